"""Long sequences in few columns, so that nothing that stands out is lost.

Letters: T time steps, U units, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..analysis.unit_sums import folded
from ..model import Array

MOST_COLUMNS = 4096
"""Columns kept while steps arrive: more than any terminal or figure has, and bounded."""

STEPS_AT_ONCE = 8192

Flags = NDArray[np.bool_]

Grouped = tuple[Array, Array, Flags, Flags]
"""``low high nan masked`` of some columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The steps of one tensor of one cell, ``width`` consecutive steps a column.

    Attributes:
        steps, width: number of steps, and how many stand in each column but the last.
        low, high: shape (C, U), smallest and largest number of the column's unmasked steps; NaN
            where it has none.
        nan: shape (C, U), whether an unmasked step holds NaN.
        masked: shape (C,), whether all of its steps are masked.
        means, finite_low, finite_high: shape (U,), mean, smallest and largest of a unit's finite
            numbers at all unmasked steps; 0 and NaN where it has none.
    """

    steps: int
    width: int
    low: Array
    high: Array
    nan: Flags
    masked: Flags
    means: Array
    finite_low: Array
    finite_high: Array

    def __len__(self) -> int:
        return len(self.low)

    def farthest_from(self, middle: float | Array) -> Array:
        """Shape (C, U), of each column the number farthest from ``middle``; NaN wins over all.

        Args:
            middle: one number, or one for each unit, shape (U,).
        """
        with np.errstate(invalid="ignore"):
            upper = self.high - middle >= middle - self.low
        return np.where(self.nan, np.nan, np.where(upper, self.high, self.low))

    def of_units(self, units: list[int]) -> Columns:
        """The columns of these units alone, in this order."""
        return replace(
            self,
            low=self.low[:, units],
            high=self.high[:, units],
            nan=self.nan[:, units],
            means=self.means[units],
            finite_low=self.finite_low[units],
            finite_high=self.finite_high[units],
        )

    def within(self, most: int) -> Columns:
        """As many neighbouring columns put together as it takes to have at most ``most``."""
        together = -(-len(self) // max(1, most))
        return self if together <= 1 else self.merged(together)

    def merged(self, together: int) -> Columns:
        """So many neighbouring columns as one."""
        starts = np.arange(0, len(self), together)
        low, high, nan, masked = _grouped((self.low, self.high, self.nan, self.masked), starts)
        width = self.width * together
        return replace(self, width=width, low=low, high=high, nan=nan, masked=masked)


class Reducer:
    """Takes the steps of one tensor block by block, in bounded memory.

    There are never more than ``most`` columns: where there would be, neighbours are put together
    two by two.

    Args:
        units: U.
        most: columns that are kept at most.
    """

    def __init__(self, units: int, most: int = MOST_COLUMNS) -> None:
        self._most, self._steps, self._width = most, 0, 1
        none = np.zeros((0, units), np.float32)
        self._pieces: list[Grouped] = [
            (none, none, none.astype(np.bool_), np.zeros(0, np.bool_)),
        ]
        self._sum, self._count = np.zeros(units), np.zeros(units, np.int64)
        self._low, self._high = np.full(units, np.nan), np.full(units, np.nan)

    def add(self, values: Array, masked: Flags) -> None:
        """Add the next steps, shape (T, U), and which of them are masked, shape (T,)."""
        for start in range(0, len(values), STEPS_AT_ONCE):
            part = slice(start, start + STEPS_AT_ONCE)
            self._add(values[part], masked[part])

    def columns(self) -> Columns:
        """What has been added so far."""
        means = self._sum / np.maximum(1, self._count)
        ends = self._low, self._high
        return Columns(self._steps, self._width, *_joined(self._pieces), means, *ends)

    def _add(self, values: Array, masked: Flags) -> None:
        while self._steps + len(values) > self._most * self._width:
            joined = _joined(self._pieces)
            self._pieces = [_grouped(joined, np.arange(0, len(joined[0]), 2))]
            self._width *= 2
        begun = -self._steps % self._width  # steps that the last column still has room for
        starts = np.arange(begun, len(values), self._width)
        new = self._reduced(values, masked, np.concatenate([[0], starts]) if begun else starts)
        if begun:
            self._pieces[-1] = _last_with_first(self._pieces[-1], new)
            new = new[0][1:], new[1][1:], new[2][1:], new[3][1:]
        if len(new[0]):
            self._pieces.append(new)
        self._steps += len(values)

    def _reduced(self, values: Array, masked: Flags, starts: Array) -> Grouped:
        """A block as columns, and its numbers in the account of all steps."""
        with np.errstate(invalid="ignore"):
            total = folded(np.add, values.astype(np.float64))
        if np.isfinite(total).all() and not masked.any():
            low, high = (by_column(end, values, starts) for end in (np.minimum, np.maximum))
            none = np.zeros(low.shape, np.bool_)
            self._account(total, len(values), low.min(axis=0), high.max(axis=0))
            return low, high, none, none[:, 0]
        hidden = masked[:, np.newaxis]
        shown = np.where(hidden, values.dtype.type(np.nan), values)
        finite = np.isfinite(shown)
        kept = np.where(finite, shown, np.nan)
        ends = np.fmin.reduce(kept, axis=0), np.fmax.reduce(kept, axis=0)
        total = np.where(finite, shown, 0).sum(axis=0, dtype=np.float64)
        self._account(total, finite.sum(axis=0), *ends)
        return _grouped((shown, shown, np.isnan(values) & ~hidden, masked), starts)

    def _account(self, total: Array, count: Array | int, low: Array, high: Array) -> None:
        self._sum += total
        self._count += count
        self._low, self._high = np.fmin(self._low, low), np.fmax(self._high, high)


def by_column(operation: np.ufunc, values: Array, starts: Array) -> Array:
    """``operation.reduceat`` along the first axis, where all columns but the ends are equally wide.

    Args:
        operation: such as ``np.minimum``.
        values: shape (T, U).
        starts: where columns begin, from 0 on; those between the first and the last have one width.
    """
    inner = starts[1:-1]
    if not len(inner):
        return np.asarray(operation.reduceat(values, starts))
    first, last, width = int(inner[0]), int(starts[-1]), int(starts[2] - starts[1])
    columns = values[first:last].reshape(len(inner), width, -1)
    together = next(k for k in (16, 8, 4, 2, 1) if not width % k)  # steps as one, as in ``folded``
    lines = operation.reduce(columns.reshape(len(inner), width // together, -1), axis=1)
    middle = operation.reduce(lines.reshape(len(inner), together, -1), axis=1)
    ends = (
        folded(operation, values[part])[np.newaxis] for part in (slice(first), slice(last, None))
    )
    return np.concatenate((next(ends), middle, next(ends)))


def _grouped(columns: Grouped, starts: Array) -> Grouped:
    """``low high nan masked``, all columns from one start to the next as one."""
    low, high, nan, masked = columns
    if not len(starts):
        return columns
    return (
        np.fmin.reduceat(low, starts),
        np.fmax.reduceat(high, starts),
        np.logical_or.reduceat(nan, starts),
        np.logical_and.reduceat(masked, starts),
    )


def _joined(pieces: list[Grouped]) -> Grouped:
    low, high, nan, masked = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return low, high, nan, masked


def _last_with_first(before: Grouped, after: Grouped) -> Grouped:
    """The columns of ``before``, the last of them with the first of ``after``."""
    low, high, nan, masked = (array.copy() for array in before)
    low[-1], high[-1] = np.fmin(low[-1], after[0][0]), np.fmax(high[-1], after[1][0])
    nan[-1] |= after[2][0]
    masked[-1] &= after[3][0]
    return low, high, nan, masked
