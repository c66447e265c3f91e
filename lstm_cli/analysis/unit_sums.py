"""Running figures of a cell's units, a block of steps at a time: sums, extremes, correlations.

Letters: N real steps of all sequences, U units.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..model import Array

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


FEW_ROWS = 32
BYTE_HALVINGS = 7


def folded(operation: np.ufunc, values: Array) -> Array:
    """``operation.reduce`` along the first axis, (N, U) -> (U,), halving it again and again.

    Whole halves stand one after another in memory, and are compared several times as quickly as
    NumPy goes down columns.
    """
    while len(values) > FEW_ROWS:
        half = len(values) // 2
        rest = values[2 * half :]
        values = operation(values[:half], values[half : 2 * half])
        if len(rest):
            values[0] = operation(values[0], rest[0])
    return np.asarray(operation.reduce(values, axis=0))


def counted(held: NDArray[np.bool_]) -> Floats:
    """How many rows of each column are true, (N, U) -> (U,).

    Bytes are added in halves as in ``folded``, as long as their sums fit into a byte.
    """
    rows = held.view(np.uint8)
    total = np.zeros(rows.shape[1])
    for _ in range(BYTE_HALVINGS):
        if len(rows) <= FEW_ROWS:
            break
        half = len(rows) // 2
        if len(rows) % 2:
            total += rows[-1]
        rows = rows[:half] + rows[half : 2 * half]
    return np.asarray(total + rows.sum(axis=0, dtype=np.float64))


class Extremes:
    """Least and largest value of each unit.

    Attributes:
        least, largest: shape (U,); NaN before anything was added.
    """

    def __init__(self, units: int) -> None:
        self.least, self.largest = np.full(units, np.nan), np.full(units, np.nan)

    def add(self, values: Array) -> None:
        """Take more steps, (N, U)."""
        np.fmin(self.least, folded(np.minimum, values), out=self.least)
        np.fmax(self.largest, folded(np.maximum, values), out=self.largest)

    @property
    def magnitude(self) -> Floats:
        """The largest absolute value, (U,)."""
        return np.asarray(np.maximum(np.abs(self.least), np.abs(self.largest)))

    @property
    def span(self) -> Floats:
        """Largest minus least, (U,)."""
        return np.asarray(self.largest - self.least)


class Mean:
    """The mean of each unit, summed in float64; ``transform`` is applied before."""

    def __init__(self, units: int, transform: Callable[[Array], Array] | None = None) -> None:
        self._sum, self._count, self._transform = np.zeros(units), 0, transform

    def add(self, values: Array) -> None:
        """Take more steps, (N, U)."""
        taken = values if self._transform is None else self._transform(values)
        self._sum += taken.sum(axis=0, dtype=np.float64)
        self._count += len(values)

    @property
    def value(self) -> Floats:
        """Shape (U,)."""
        return self._sum / self._count if self._count else np.full(len(self._sum), np.nan)


class Beyond:
    """The shares of steps below one limit and above another, of each unit.

    Args:
        units: how many.
        below, above: the limits; equal to one is within, unless ``at`` counts that too.
        at: whether to count values equal to a limit.
    """

    def __init__(self, units: int, below: float, above: float, *, at: bool = False) -> None:
        self._low, self._high, self._steps = np.zeros(units), np.zeros(units), 0
        self._below, self._above = below, above
        self._less: np.ufunc = np.less_equal if at else np.less
        self._more: np.ufunc = np.greater_equal if at else np.greater

    def add(self, values: Array, known: Extremes) -> None:
        """Take more steps, (N, U); ``known``: extremes that are at least theirs."""
        self._steps += len(values)
        below, above = values.dtype.type(self._below), values.dtype.type(self._above)
        if self._less(known.least.min(), below):
            self._low += counted(self._less(values, below))
        if self._more(known.largest.max(), above):
            self._high += counted(self._more(values, above))

    @property
    def low(self) -> Floats:
        """Shape (U,), from 0 to 1."""
        return self._share(self._low)

    @property
    def high(self) -> Floats:
        """Shape (U,), from 0 to 1."""
        return self._share(self._high)

    @property
    def outside(self) -> Floats:
        """Below or above, (U,)."""
        return self._share(self._low + self._high)

    def _share(self, count: Floats) -> Floats:
        return count / self._steps if self._steps else np.full(len(count), np.nan)


class Correlation:
    """Correlations of every unit with every other.

    Blocks are centred by their own means and joined, so that large means cost no digits. Source:
    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979).

    Args:
        units: how many.
        most: products of numbers that a block may take; every n-th step is used where it would
            take more.
    """

    def __init__(self, units: int, most: float = 2.0**31) -> None:
        self._mean = np.zeros(units)
        self._products = np.zeros((units, units))
        self._count = 0
        self._most = most
        self.stride = 1

    def add(self, values: Array) -> None:
        """Take more steps, (N, U)."""
        needed = float(len(values)) * values.shape[1] ** 2
        self.stride = max(self.stride, int(needed // self._most) + 1)
        used = values[:: self.stride]
        count = len(used)
        ones = np.ones(count, used.dtype)
        near = ones @ used / count  # the mean but for rounding, which the rest of it mends
        centred = used - near
        rest = (ones @ centred).astype(np.float64) / count
        shift = near + rest - self._mean
        total = self._count + count
        self._products += centred.T @ centred - np.outer(rest, rest) * count
        self._products += np.outer(shift, shift) * (self._count * count / total)
        self._mean += shift * (count / total)
        self._count = total

    def pairs(self, least: float) -> list[tuple[int, int, float]]:
        """Pairs of units whose |correlation| is at least ``least``, closest first."""
        scale = np.sqrt(np.diag(self._products))
        varying = scale > 0
        safe = np.where(varying, scale, 1.0)
        r = self._products / safe / safe[:, np.newaxis]
        first, second = np.nonzero(np.triu(np.abs(r) >= least, 1) & np.outer(varying, varying))
        found = [
            (int(j), int(k), float(r[j, k].clip(-1, 1))) for j, k in zip(first, second, strict=True)
        ]
        return sorted(found, key=lambda pair: -abs(pair[2]))
