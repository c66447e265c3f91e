"""The cells of a trace, wherever it is: in memory, or in a file that is read block by block.

>>> for cell in cells_of(trace).values():
...     for start, stop in cell.blocks():
...         block = cell.read(start, stop, ("h", "f"))  # a Trace of these steps

A block is a trace by itself: its initial state is the state before the first of its steps that
the cell read, and ``lengths`` count from its own first step.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NoSuchNameError, listing
from ..model import LSTM_WEIGHTS, Array
from ..traces import GATE_TENSORS, PRE_ACTIVATIONS, STATE_TENSORS, STEP_TENSORS, Trace, Traces
from .cell_names import base, export_advice, full_name, prefixes, without_call
from .cut import FIRST_STEP, Cut, cut_of

CELL_TENSORS = (*STATE_TENSORS, *GATE_TENSORS, *PRE_ACTIVATIONS)

BLOCK_STEPS = 4096
BLOCK_VALUES = 1 << 23  # of one tensor, unless a single step of all sequences is more

OF_STATES = {"h": ("initial_h", "final_h"), "c": ("initial_c", "final_c")}


class StepArray(Protocol):
    """An array (B, T, …) of which steps are read when they are asked for."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, start: int, stop: int) -> Array:
        """Steps ``start`` to ``stop``, (B, n, …)."""


class StoredTrace(Protocol):
    """A trace in a file.

    Attributes:
        name: the file's path.
        meta: where it comes from.
        steps: the arrays with a time axis by name in the file, each (B, T, …).
        others: all others: (B, U), (B,), and weights in their own shape.
    """

    name: str
    meta: dict[str, Any]
    steps: dict[str, Any]
    others: dict[str, Array]


class Opened(Protocol):
    """Whatever has cells, such as an open trace file."""

    @property
    def cells(self) -> dict[str, TracedCell]:
        """By name."""


class InMemory:
    """An array in memory, as a ``StepArray``."""

    def __init__(self, array: Array) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def read(self, start: int, stop: int) -> Array:
        return self._array[:, start:stop]


class TracedCell:
    """One LSTM cell's trace.

    Attributes:
        name: its part or address; empty for a lone cell.
        meta: where it comes from: layer, part, activations, direction.
        steps: number of steps, T.
        sequences: number of sequences, B.
        units: number of units, U.
        tensors: names of its arrays with steps, those of its layer included.
        others: its arrays without steps: ``initial_c`` …, ``lengths``, and weights.
        cut: the numbers of its steps and units in what was run.
    """

    def __init__(
        self,
        name: str,
        meta: Mapping[str, Any],
        arrays: Mapping[str, StepArray],
        others: Mapping[str, Array],
    ) -> None:
        self.name, self.meta, self.others = name, dict(meta), dict(others)
        self._arrays = dict(arrays)
        own = [array for tensor, array in arrays.items() if tensor in CELL_TENSORS]
        if len({array.shape[:2] for array in own}) != 1:
            raise InputError(f"the arrays of cell '{name}' differ in their sequences or steps")
        self.sequences, self.steps = own[0].shape[:2]
        wide = [array for tensor, array in arrays.items() if tensor in CELL_TENSORS[1:]]
        self.units = int((wide or own)[0].shape[2])
        self.cut: Cut = cut_of(meta, self.units)

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(self._arrays)

    @property
    def is_backward(self) -> bool:
        """Whether the cell read the last step first."""
        return self.meta.get("direction") == "backward"

    @property
    def lengths(self) -> Array | None:
        """Steps of each sequence, (B,); None where all have T."""
        return self.others.get("lengths")

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Of the whole array, (B, T, …)."""
        self.require((tensor,))
        return tuple(self._arrays[tensor].shape)

    def dtype(self, tensor: str) -> np.dtype[Any]:
        """Of its values."""
        self.require((tensor,))
        return self._arrays[tensor].dtype

    def require(self, tensors: Collection[str]) -> None:
        """Refuse a trace that lacks any of ``tensors``, with or without steps.

        Raises:
            InputError: naming what ``lstm export`` has to be asked for.
        """
        missing = [name for name in tensors if name not in self._arrays and name not in self.others]
        if missing:
            found = listing(self.tensors)
            raise InputError(
                f"the trace{_of(self.name)} lacks {listing(missing)} (it has {found}); "
                f"{export_advice(missing)}"
            )

    def blocks(self, size: int | None = None) -> Iterator[tuple[int, int]]:
        """Where blocks of ``size`` steps begin and end; by default fewer of many sequences."""
        if size is None:
            size = max(1, min(BLOCK_STEPS, BLOCK_VALUES // max(1, self.sequences * self.units)))
        for start in range(0, self.steps, size):
            yield start, min(start + size, self.steps)

    def read(
        self,
        start: int = 0,
        stop: int | None = None,
        tensors: Collection[str] | None = None,
        *,
        states: bool = True,
    ) -> Trace:
        """The trace of some steps.

        Args:
            start, stop: of the input's steps; by default all of them.
            tensors: names of arrays with steps to read; None for all. ``mask`` is always there.
            states: whether a block has the states before and after it, where h and c are read.

        Raises:
            InputError: if one of ``tensors`` is missing.
        """
        stop = self.steps if stop is None else min(stop, self.steps)
        wanted = self.tensors if tensors is None else tuple(tensors)
        self.require(wanted)
        names = dict.fromkeys((*wanted, *(("mask",) if "mask" in self._arrays else ())))
        arrays = {name: self._arrays[name].read(start, stop) for name in names}
        if start == 0 and stop == self.steps:
            return Trace({**arrays, **self._without_weights()}, self.meta)
        for tensor in OF_STATES if states else ():
            arrays |= self._states(tensor, start, stop, arrays.get(tensor))
        if self.lengths is not None:
            arrays["lengths"] = np.clip(self.lengths - start, 0, stop - start)
        return Trace(arrays, {**self.meta, FIRST_STEP: self.cut.first_step + start})

    def weights(self) -> dict[str, Array]:
        """``kernel``, ``recurrent_kernel``, ``bias`` …, as far as the trace has them."""
        return {name: array for name, array in self.others.items() if name in LSTM_WEIGHTS}

    def add_weights(self, arrays: Mapping[str, Array]) -> None:
        """Take this cell's own from the arrays that ``lstm_cli.weights`` gives for its layers."""
        for prefix in prefixes(self.name):
            for full, values in arrays.items():
                if full.rpartition("/")[0] in (prefix, without_call(prefix)):
                    self.others.setdefault(base(full), values)

    def _without_weights(self) -> dict[str, Array]:
        return {name: array for name, array in self.others.items() if name not in LSTM_WEIGHTS}

    def _states(self, tensor: str, start: int, stop: int, block: Array | None) -> dict[str, Array]:
        """The states before and after a block, in the order in which the cell reads."""
        initial, final = OF_STATES[tensor]
        if block is None:
            return {}
        backward = self.is_backward
        outside = self._outside(tensor, stop if backward else start - 1)
        before = self.others.get(initial) if outside is None else outside
        last = start == 0 if backward else stop == self.steps
        after = self.others.get(final) if last else block[:, 0 if backward else -1]
        ends, lengths = self.others.get(initial if backward else final), self.lengths
        if lengths is not None and ends is not None:  # where there are no steps the file has zeros
            rows = lengths[:, np.newaxis]
            if before is not None:
                before = np.where(rows > stop if backward else rows >= start, before, ends)
            if after is not None:
                after = np.where(rows > start if backward else rows >= stop, after, ends)
        found = ((initial, before), (final, after))
        return {name: np.array(array) for name, array in found if array is not None}

    def _outside(self, tensor: str, step: int) -> Array | None:
        there = 0 <= step < self.steps
        return self._arrays[tensor].read(step, step + 1)[:, 0] if there else None


AnyTrace = Trace | Traces | TracedCell | Opened
"""What has cells."""


def cells_of(trace: AnyTrace) -> dict[str, TracedCell]:
    """The cells of a trace by name: ``""`` for a lone one, else parts or addresses, in order.

    Raises:
        InputError: if its arrays do not fit together.
    """
    if isinstance(trace, TracedCell):
        return {trace.name: trace}
    if isinstance(trace, Trace):
        return {"": _in_memory("", trace)}
    if isinstance(trace, Traces):
        return {name: _in_memory(name, cell) for name, cell in trace.items()}
    return dict(trace.cells)


def choose_cells(cells: Mapping[str, TracedCell], names: Collection[str]) -> dict[str, TracedCell]:
    """The cells that names choose: one cell, or all below a layer; all of them without names.

    A name is an address or its end: ``bidirectional_1``, ``backward``, ``bidirectional_1/forward``.

    Raises:
        NoSuchNameError: if there is none.
    """
    if not names:
        return dict(cells)
    chosen: dict[str, TracedCell] = {}
    for name in names:
        found = {key: cell for key, cell in cells.items() if _is_chosen(cell, key, name)}
        if not found:
            raise NoSuchNameError(
                "cell", name, [_address(cell, key) for key, cell in cells.items()]
            )
        chosen |= found
    return chosen


def real_steps(trace: Trace) -> NDArray[np.bool_]:
    """Where a gate was applied, (B, T): neither masked nor beyond a sequence's length."""
    some = next(array for name, array in trace.arrays.items() if name in STEP_TENSORS)
    real = np.ones(some.shape[:2], np.bool_)
    if "mask" in trace.arrays:
        real &= trace.arrays["mask"].astype(np.bool_)
    if "lengths" in trace.arrays:
        real &= np.arange(some.shape[1]) < trace.arrays["lengths"][:, np.newaxis]
    return real


def _in_memory(name: str, trace: Trace) -> TracedCell:
    steps = {n: InMemory(a) for n, a in trace.arrays.items() if n in STEP_TENSORS}
    others = {n: a for n, a in trace.arrays.items() if n not in STEP_TENSORS}
    if not any(tensor in CELL_TENSORS for tensor in steps):
        raise InputError("the trace holds no h, c or gates")
    return TracedCell(name, trace.meta, steps, others)


def _address(cell: TracedCell, name: str) -> str:
    return name or full_name(cell.meta) or "lstm"


def _is_chosen(cell: TracedCell, key: str, name: str) -> bool:
    wanted = name.strip("/")
    for full in {key, full_name(cell.meta)}:
        if not full:
            continue
        ends = [full, *(full[:k] for k, letter in enumerate(full) if letter == "/")]
        if any(e == wanted or e.endswith((f"/{wanted}", f".{wanted}")) for e in ends):
            return True
    return False


def _of(name: str) -> str:
    return f" of '{name}'" if name else ""
