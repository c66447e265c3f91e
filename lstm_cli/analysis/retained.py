"""What each earlier step left in a cell state, read from a step back to where the cell began.

Letters: n steps, U units.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..model import Array
from .cells import BLOCK_STEPS, TracedCell, real_steps
from .lengths import check_step, length_of
from .unit_sums import Floats

NEEDED = ("c", "f", "i", "g")
ROUNDINGS = 64
"""Units in the last place by which a step of c may be off, before that counts as a clip."""

NEGLIGIBLE = 1e-30
"""A survival below it changes no figure: contributions beyond it are not read."""


class Piece(NamedTuple):
    """Some consecutive steps, from the latest that the cell read to the earliest.

    Attributes:
        steps: their numbers in the input, (n,).
        written: i g, 0 where masked, (n, U).
        kept: how much of it survives up to the asked-for step, (n, U).
        clipped: what a clip of c took away or added, already multiplied by ``kept``, (n, U); one
            row of zeros where there was none.
    """

    steps: Array
    written: Floats
    kept: Floats
    clipped: Floats


class Retained:
    """The pieces from one step of one sequence back to the initial state.

    Args:
        cell: with ``c f i g`` and ``initial_c``.
        step: of the input.
        sequence: which one.

    Attributes:
        count: how many steps the cell had read by then, this one included.

    Raises:
        InputError: if the trace lacks an array, or there is no such step.
    """

    def __init__(self, cell: TracedCell, step: int, sequence: int) -> None:
        cell.require((*NEEDED, "initial_c"))
        length = check_step(cell, step, sequence)
        self._cell, self._step, self._sequence = cell, step, sequence
        self._length = length
        self.count = length - step if cell.is_backward else step + 1
        self.initial = cell.others["initial_c"][sequence].astype(np.float64)
        row = cell.read(step, step + 1, ("c",)).arrays["c"]
        self.value: Floats = row[sequence, 0].astype(np.float64)
        self.survival = np.ones(cell.units)

    def pieces(self, units: slice = slice(None)) -> Iterator[Piece]:
        """From the asked-for step away; afterwards ``survival`` is that of the initial state."""
        kept = np.ones(self.initial[units].shape)
        limit = _known_limit(self._cell)
        for start, stop in self._blocks():
            steps, f, written, drift, c = self._block(start, stop, units)
            _check_clips(drift, c, steps, limit)
            survived = np.cumprod(f, axis=0)
            before = np.concatenate((np.ones_like(survived[:1]), survived[:-1])) * kept
            yield Piece(steps, written, before, drift * before[: len(drift)])
            kept = kept * survived[-1]
            if not (kept > NEGLIGIBLE).any():
                break
        self.survival[units] = kept

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Blocks of the input's steps, from the asked-for step away."""
        if self._cell.is_backward:
            for start in range(self._step, self._length, BLOCK_STEPS):
                yield start, min(start + BLOCK_STEPS, self._length)
        else:
            for stop in range(self._step + 1, 0, -BLOCK_STEPS):
                yield max(0, stop - BLOCK_STEPS), stop

    def _block(
        self, start: int, stop: int, units: slice
    ) -> tuple[Array, Floats, Floats, Floats, Array]:
        """Steps, f, i g, what c differs by from f c + i g, and c: latest first, each (n, U)."""
        trace = self._cell.read(start, stop, NEEDED)
        row = self._sequence
        f, i, g, c = (trace.arrays[name][row][:, units] for name in "figc")
        real = real_steps(trace)[row]
        _check_finite(np.arange(start, stop) + self._cell.cut.first_step, real, f, i, g, c)
        edge = trace.arrays["initial_c"][row : row + 1, units]
        before = np.concatenate((c[1:], edge) if self._cell.is_backward else (edge, c[:-1]))
        written, kept = i.astype(np.float64) * g, f.astype(np.float64)
        if not real.all():
            written[~real], kept[~real] = 0.0, 1.0
        order = slice(None) if self._cell.is_backward else slice(None, None, -1)
        drift = _drift(c, before, kept, written)
        steps = np.arange(start, stop) + self._cell.cut.first_step
        return steps[order], kept[order], written[order], drift[order], c[order]


def _check_finite(steps: Array, real: Array, *arrays: Array) -> None:
    """Refuse steps of which no sum can be made."""
    if all(np.isfinite(array).all() for array in arrays):
        return
    bad = real & ~np.all([np.isfinite(array).all(axis=1) for array in arrays], axis=0)
    if bad.any():
        raise InputError(
            f"step {steps[bad][0]} holds NaN or infinity, so that c is no sum; lstm stats says "
            "where that began"
        )


def _drift(c: Array, before: Array, f: Floats, written: Floats) -> Floats:
    """c less f c_before + i g where that is more than rounding, (n, U); 0 elsewhere."""
    eps = float(np.finfo(c.dtype if c.dtype.kind == "f" else np.float64).eps)
    drift = f * before
    drift += written
    np.subtract(c, drift, out=drift)
    if np.abs(drift).max() <= ROUNDINGS * eps:
        return np.zeros((1, c.shape[1]))
    drift[np.abs(drift) <= ROUNDINGS * eps * np.maximum(1.0, np.abs(c))] = 0.0
    return drift


def last_step(cell: TracedCell, sequence: int) -> int:
    """The step that the cell read last, of the input's."""
    return 0 if cell.is_backward else length_of(cell, sequence) - 1


def _known_limit(cell: TracedCell) -> float:
    """What |c| is held within; NaN without a clip."""
    limit = cell.meta.get("cell_clip")
    return float(limit) if isinstance(limit, int | float) else float("nan")


def _check_clips(drift: Floats, c: Array, steps: Array, known: float) -> None:
    """Make sure that the cell's clip explains where c is not f c + i g.

    Raises:
        InputError: if it does not.
    """
    rows, units = np.nonzero(drift)
    if not len(rows):
        return
    values = np.abs(c[rows, units])
    held = np.isclose(values, known, rtol=1e-5) & (drift[rows, units] * c[rows, units] < 0)
    if not held.all():
        wrong = int(np.argmin(held))
        raise InputError(
            f"at step {steps[rows[wrong]]} c is not f times the c before plus i g; the trace is "
            "damaged, or was cut with --steps: export all of it"
        )
