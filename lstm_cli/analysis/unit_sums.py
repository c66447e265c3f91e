"""Running figures of a cell's units, a block of steps at a time: sums, extremes, correlations.

Letters: N real steps of all sequences, U units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model import Array

Floats = NDArray[np.float64]


LINE = 1024
"""Values that are taken as one row where the rows themselves are shorter."""

MOST_BYTES = 255
"""Ones of which the sum fits into a byte."""

TERMS = 64

FACTORS = 32
SMALLEST_FACTOR = 1e-9
"""So many factors of at least this have a product that float64 holds."""


class Ends(NamedTuple):
    """Least and largest value of each unit, (U,), or of all of them, ()."""

    least: Array
    largest: Array


def folded(operation: np.ufunc, values: Array) -> Array:
    """``operation.reduce`` along the first axis, (N, U) -> (U,).

    Many rows are taken as one: NumPy goes along long rows several times as quickly as along short
    ones.
    """
    units = values.shape[1]
    together = max(1, LINE // units)
    whole = len(values) // together * together
    if whole > together:
        lines = operation.reduce(values[:whole].reshape(-1, together * units), axis=0)
        values = np.concatenate((lines.reshape(together, units), values[whole:]))
    return np.asarray(operation.reduce(values, axis=0))


def ends_of_units(values: Array) -> Ends:
    """Least and largest of each unit; NaN where one is among them."""
    return Ends(folded(np.minimum, values), folded(np.maximum, values))


def ends_of_all(values: Array) -> Ends:
    """Those of all units together, which are found more quickly."""
    return Ends(np.asarray(values.min()), np.asarray(values.max()))


def counted(held: NDArray[np.bool_]) -> Floats:
    """How many rows of each column are true, (N, U) -> (U,).

    Eight columns are added at once, as the bytes of one number, as long as none overflows.
    """
    units = held.shape[1]
    together = 8 * max(1, LINE // units)
    whole = len(held) // together * together
    words = held[:whole].reshape(-1).view(np.uint64).reshape(-1, together * units // 8)
    total = np.zeros(units)
    ones = np.ones(together, np.float32)  # sums of so few bytes are exact in float32
    for start in range(0, len(words), MOST_BYTES):
        sums = np.add.reduce(words[start : start + MOST_BYTES], axis=0)
        total += ones @ sums.view(np.uint8).reshape(together, units).astype(np.float32)
    if whole < len(held):
        total += held[whole:].sum(axis=0)
    return total


def summed(values: Array) -> Floats:
    """The sum along the first axis, (N, U) -> (U,).

    ``TERMS`` values at a time are added in their own precision, at least float32, their sums in
    float64: quicker than all in float64, and as exact as the values are.
    """
    whole = len(values) // TERMS * TERMS
    own = np.result_type(values.dtype, np.float32)
    parts = np.add.reduce(values[:whole].reshape(TERMS, -1), axis=0, dtype=own)
    total = parts.reshape(-1, values.shape[1]).sum(axis=0, dtype=np.float64)
    return np.asarray(total + values[whole:].sum(axis=0, dtype=np.float64))


def minus(values: Array, row: Array) -> Array:
    """``values - row``, (N, U) and (U,), many rows at once as in ``folded``."""
    units = values.shape[1]
    together = max(1, LINE // units)
    whole = len(values) // together * together
    found = np.empty(values.shape, values.dtype)
    shape = (-1, together * units)
    np.subtract(
        values[:whole].reshape(shape), np.tile(row, together), out=found[:whole].reshape(shape)
    )
    np.subtract(values[whole:], row, out=found[whole:])
    return found


class Extremes:
    """Least and largest value of each unit.

    Attributes:
        least, largest: shape (U,); NaN before anything was added.
    """

    def __init__(self, units: int) -> None:
        self.least, self.largest = np.full(units, np.nan), np.full(units, np.nan)

    def add(self, ends: Ends) -> None:
        """Take those of more steps."""
        np.fmin(self.least, ends.least, out=self.least)
        np.fmax(self.largest, ends.largest, out=self.largest)

    @property
    def magnitude(self) -> Floats:
        """The largest absolute value, (U,)."""
        return np.asarray(np.maximum(np.abs(self.least), np.abs(self.largest)))

    @property
    def span(self) -> Floats:
        """Largest minus least, (U,)."""
        return np.asarray(self.largest - self.least)


class MeanAndLog:
    """The mean of each unit and that of its logarithm, summed in float64."""

    def __init__(self, units: int) -> None:
        self._sum, self._logs, self._count = np.zeros(units), np.zeros(units), 0

    def add(self, values: Array, ends: Ends) -> None:
        """Take more steps, (N, U), from ``ends.least`` to ``ends.largest``.

        A product of values has the sum of their logarithms as its own, and is found more quickly.
        """
        doubles = values.astype(np.float64, copy=False)
        self._sum += folded(np.add, doubles)
        self._count += len(doubles)
        whole = 0
        least, largest = float(ends.least.min()), float(ends.largest.max())
        if least > SMALLEST_FACTOR and largest < 1 / SMALLEST_FACTOR:
            whole = len(doubles) // FACTORS * FACTORS
            products = np.multiply.reduce(doubles[:whole].reshape(FACTORS, -1), axis=0)
            self._logs += folded(np.add, np.log(products).reshape(-1, doubles.shape[1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            self._logs += folded(np.add, np.log(doubles[whole:]))

    @property
    def mean(self) -> Floats:
        """Shape (U,)."""
        return self._divided(self._sum)

    @property
    def mean_log(self) -> Floats:
        """Shape (U,); minus infinity where a value was 0, NaN where one was below."""
        return self._divided(self._logs)

    def _divided(self, total: Floats) -> Floats:
        return total / self._count if self._count else np.full(len(total), np.nan)


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

    def add(self, values: Array, ends: Ends) -> None:
        """Take more steps, (N, U), from ``ends.least`` to ``ends.largest``."""
        self._steps += len(values)
        below, above = values.dtype.type(self._below), values.dtype.type(self._above)
        if self._less(ends.least.min(), below):
            self._low += counted(self._less(values, below))
        if self._more(ends.largest.max(), above):
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
        centred = minus(used, near)
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
