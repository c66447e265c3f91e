"""Steps of many sequences with their labels, one after another.

Letters: B sequences, T time steps, N steps of all sequences with the gaps between them, U units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from .cells import TracedCell, real_steps
from .nonfinite import all_finite

GROUP_BYTES = 1 << 26
"""What the values of the units that are held at a time may take."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSteps:
    """Some units of one tensor of a cell, beside the labels of its steps.

    Attributes:
        values: (N, U), in the order in which each unit's stand one after another.
        labels: (N,), NaN where there is none.
        real: (N,), false where a step is masked, beyond an end, holds NaN or infinity in any unit
            of the tensor, or is a gap between sequences.
    """

    values: Array
    labels: Array
    real: Flags

    @property
    def labelled(self) -> Flags:
        """Real steps that have a label, (N,)."""
        return self.real & ~np.isnan(self.labels)

    def counted(self) -> tuple[Array, Array]:
        """Values and labels of the real steps that have a label."""
        chosen = self.labelled
        if chosen.all():
            return self.values, self.labels
        return self.values.T[:, chosen].T, self.labels[chosen]


def labelled_groups(
    cells: Sequence[TracedCell], labels: Sequence[Array], tensor: str, gap: int
) -> Iterator[tuple[int, LabelledSteps]]:
    """The steps of one cell in several runs as one series, a group of units after another.

    A group takes ``GROUP_BYTES``, or is a single unit; for each the steps are read again.

    Args:
        cells: of each run.
        labels: for each run (B, T); or (B,), one a sequence: then the series has one step a
            sequence, the last that the cell read.
        tensor: which array, (B, T, U).
        gap: steps that are not real between sequences, so that no pair of steps that far apart
            spans two.

    Yields:
        The number of the first unit, and its group, of which the next one takes the place.

    Raises:
        InputError: if a run lacks the tensor.
    """
    units = cells[0].shape(tensor)[2]
    rows = [row for own in labels for row in (own if own.ndim > 1 else own[:, np.newaxis])]
    joined = rows[0] if len(rows) == 1 else _with_gaps(rows, gap)
    dtype = np.result_type(*(cell.dtype(tensor) for cell in cells))
    together = min(units, max(1, GROUP_BYTES // max(1, len(joined) * dtype.itemsize)))
    values, real = np.zeros((together, len(joined)), dtype), np.zeros(len(joined), np.bool_)
    for first in range(0, units, together):
        group = values[: units - first]
        start = 0
        for cell, own in zip(cells, labels, strict=True):
            fill = _fill_steps if own.ndim > 1 else _fill_last
            fill(cell, tensor, first, group[:, start:], real[start:], gap)
            start += len(own) * (gap + (own.shape[1] if own.ndim > 1 else 1))
        yield first, LabelledSteps(group.T, joined, real)


def _fill_steps(
    cell: TracedCell, tensor: str, first: int, values: Array, real: Flags, gap: int
) -> None:
    """The steps of all sequences, ``gap`` apart, (units, N) and (N,)."""
    for start, stop in cell.blocks():
        block = cell.read(start, stop, (tensor,), states=False)
        array = block.arrays[tensor]
        counted = _finite(array, real_steps(block))
        for sequence in range(len(array)):
            at = sequence * (cell.steps + gap) + start
            steps = slice(at, at + stop - start)
            values[:, steps] = array[sequence, :, first : first + len(values)].T
            real[steps] = counted[sequence]


def _fill_last(
    cell: TracedCell, tensor: str, first: int, values: Array, real: Flags, gap: int
) -> None:
    """The last real step of each sequence that the cell read."""
    blocks = list(cell.blocks())
    real[: cell.sequences * (gap + 1) : gap + 1] = False
    for start, stop in reversed(blocks) if cell.is_backward else blocks:
        block = cell.read(start, stop, (tensor,), states=False)
        array, counted = block.arrays[tensor], real_steps(block)
        finite = _finite(array, counted)
        for sequence in np.flatnonzero(counted.any(axis=1)):
            step = np.flatnonzero(counted[sequence])[0 if cell.is_backward else -1]
            values[:, sequence * (gap + 1)] = array[sequence, step, first : first + len(values)]
            real[sequence * (gap + 1)] = finite[sequence, step]


def _finite(array: Array, counted: Flags) -> Flags:
    """The steps that count and are finite in all units, (B, n)."""
    return counted if all_finite(array) else counted & np.isfinite(array).all(axis=-1)


def _with_gaps(pieces: Sequence[Array], gap: int) -> Array:
    """Pieces with ``gap`` zeros between them."""
    joined = [part for piece in pieces for part in (piece, np.zeros(gap, piece.dtype))]
    return np.concatenate(joined[: -1 if gap else None])
