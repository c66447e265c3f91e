"""A long run in consecutive blocks of steps, each going on where the one before ended."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..model import Array
from .plan import Prepared
from .sizes import Given, batch_of, steps_of
from .tensor import Tensor
from .values import Request, StatesByCall, Values


class BlockRun:
    """One run, block by block.

    Args:
        prepared: the run.
        targets: the calls that are computed.
        request: what to keep of them.

    Attributes:
        steps: how many there were so far.
    """

    def __init__(self, prepared: Prepared, targets: Collection[int], request: Request) -> None:
        self.steps = 0
        self._prepared, self._targets, self._request = prepared, targets, request
        self._seen: dict[int, Array | None] = {}
        self._batch = 0

    def block(self, arrays: Given, states: StatesByCall) -> Values:
        """The values of the next block.

        Args:
            arrays: the inputs.
            states: those that the block before ended in, or that the first one starts from.

        Raises:
            InputError: if it holds another number of sequences than the blocks before.
        """
        batch = batch_of(arrays)
        if self.steps and batch != self._batch:
            raise InputError(f"a block holds {batch} sequences, the ones before it {self._batch}")
        self._batch = batch
        self.steps += max(steps_of(arrays).values())
        inputs = {entry.call: Tensor(array) for entry, array in arrays}
        request = replace(self._request, states=states, seen=self._seen)
        values = self._prepared.executor.run(inputs, request, self._targets)
        for number, result in values.layers.items():
            real = np.ones(batch, bool) if result.seen is None else result.seen
            before = self._seen.get(number)
            self._seen[number] = real if before is None else real | before
        return values
