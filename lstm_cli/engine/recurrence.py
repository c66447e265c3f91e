"""Runs one cell over a sequence, in blocks of steps.

Letters: B sequences, T time steps, F input features, U units, P size of the hidden state (U but for
projections), n steps of one block. Inside, time runs in reading order: a reversed run works on
flipped views of its input and of its results.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..model import Array, Cell, GruCell, LstmCell
from .activations import quiet
from .general_loop import GeneralLoop
from .lstm_loops import LstmLoops
from .real_steps import RealSteps
from .rnn_loops import GruLoop, SimpleRnnLoop

BLOCK = 256
"""Steps of one block, counted from the first step read, whatever the number of sequences.

A run that is cut at a multiple of it and continued from its final state does the same arithmetic
on arrays of the same shapes as the whole run, and so gives the same bits.
"""

LSTM_TENSORS = frozenset("h c i f g o z_i z_f z_g z_o".split())

State = tuple[Array, ...]


class Steps(NamedTuple):
    """What a run returns.

    Attributes:
        arrays: the tensors asked for, each (B, T, U), h (B, T, P), C order, in the input's time
            order.
        final: state after the last step read: (h, c) or (h,), (B, P) and (B, U).
    """

    arrays: dict[str, Array]
    final: State


class Loops(Protocol):
    """The step loops of one cell."""

    def run(self, x: Array, state: State, results: Mapping[str, Array]) -> State:
        """Read every step of ``x``, (B, n, F), from ``state``, each (B, U), which is not changed.

        Writes every array of ``results``, (B, n, U), and returns the state after the last step.
        B and n are at least 1, n at most ``BLOCK``.
        """


class CellRunner:
    """One cell, its weights folded once for a dtype.

    Buffers are reused from block to block and from call to call: no two threads may share one.
    """

    def __init__(self, cell: Cell, dtype: np.dtype[Any]) -> None:
        self.cell = cell
        self.dtype = np.dtype(dtype)
        self._loops = _loops_of(cell, self.dtype)

    def run(
        self,
        x: Array,
        state: Sequence[Array],
        *,
        mask: Array | None = None,
        reverse: bool = False,
        keep: Collection[str] = ("h",),
    ) -> Steps:
        """Run the cell over every step of ``x``.

        Args:
            x: input, (B, T, F), any strides; B and T may be 0. Masked rows may hold anything.
            state: state before the first step read: (h, c), or (h,) without cell state; (B, U).
            mask: (B, T), true for a real step. Masked steps repeat the h and c of the step read
                before, their gates and pre-activations are NaN.
            reverse: read the last step first. Results stay in the input's order.
            keep: which tensors to return: of an LSTM ``h c i f g o z_i z_f z_g z_o``, else ``h``.

        Raises:
            ValueError: if the cell has no tensor of a name in ``keep``.
        """
        self._check(keep)
        sizes = self.cell.state_sizes
        arrays = {
            name: np.empty((*x.shape[:2], sizes.get(name, self.cell.units)), self.dtype)
            for name in keep
        }
        now: State = tuple(np.array(part, self.dtype, order="C") for part in state)
        if 0 in x.shape[:2]:
            return Steps(arrays, now)
        results = dict(arrays)
        if reverse:
            x = x[:, ::-1]
            mask = None if mask is None else mask[:, ::-1]
            results = {name: array[:, ::-1] for name, array in arrays.items()}
        with quiet():
            for start in range(0, x.shape[1], BLOCK):
                steps = slice(start, start + BLOCK)
                block = {name: array[:, steps] for name, array in results.items()}
                if mask is None or mask[:, steps].all():
                    now = self._loops.run(x[:, steps], now, block)
                else:
                    now = self._masked_block(x[:, steps], now, block, mask[:, steps])
        return Steps(arrays, now)

    def _check(self, keep: Collection[str]) -> None:
        known = LSTM_TENSORS if isinstance(self.cell, LstmCell) else {"h"}
        if unknown := set(keep) - known:
            raise ValueError(f"the {self.cell.kind} cell keeps no {', '.join(sorted(unknown))}")

    def _masked_block(
        self, x: Array, state: State, results: Mapping[str, Array], mask: Array
    ) -> State:
        """One block of which only the real steps are computed; the arguments of ``Loops.run``."""
        real = RealSteps(mask)
        x = real.pack(x)
        rows = tuple(part[real.order] for part in state)
        before = dict(zip(self.cell.state_names, rows, strict=True))
        packed = {name: real.empty(before.get(name), array) for name, array in results.items()}
        for active, steps in real.segments():
            written = {name: array[:active, 1:][:, steps] for name, array in packed.items()}
            now = self._loops.run(x[:active, steps], tuple(r[:active] for r in rows), written)
            for part, new in zip(rows, now, strict=True):
                part[:active] = new
        for name, array in results.items():
            array[...] = real.spread(packed[name], carried=name in before)
        return tuple(part[real.rank] for part in rows)


def _loops_of(cell: Cell, dtype: np.dtype[Any]) -> Loops:
    if isinstance(cell, LstmCell):
        return LstmLoops(cell, dtype, BLOCK) if cell.is_plain else GeneralLoop(cell, dtype)
    return GruLoop(cell, dtype) if isinstance(cell, GruCell) else SimpleRnnLoop(cell, dtype)
