"""Values in rising order: their ranks, and Spearman's correlation of two series of ranks.

Ranks count from 1, equal values share the mean of theirs; they are kept twice as large, as whole
numbers.

Letters: n values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model import Array

HALF = np.uint64(32)


def in_order(values: Array, beside: Array) -> tuple[Array, Array]:
    """Values in rising order, and what stands beside each of them, (n,).

    Args:
        values: (n,), none of them NaN.
        beside: (n,), whole numbers from 0 to below 2**32.
    """
    if values.dtype.kind != "f" or values.dtype.itemsize > 4:
        order = np.argsort(values)
        return values[order], beside[order]
    # Numbers are sorted several times as quickly as places: both go into one number, the value in
    # its upper half. Bits of float32 rise with the number where that is positive, and fall where
    # it is negative.
    bits = values.astype(np.float32).view(np.int32)
    upper = (bits ^ (bits >> 31 | np.int32(-(2**31)))).view(np.uint32)
    packed = upper.astype(np.uint64) << HALF
    packed |= beside.astype(np.uint64)
    packed.sort()
    upper = (packed >> HALF).astype(np.uint32).view(np.int32)
    ordered = (upper ^ (~upper >> 31 | np.int32(-(2**31)))).view(np.float32)
    return ordered, packed.astype(np.uint32)


def ranks_of_ordered(ordered: Array) -> Array:
    """Twice the ranks of values in rising order, (n,)."""
    count = len(ordered)
    new = ordered[1:] != ordered[:-1]
    if new.all():
        return np.arange(2, 2 * count + 2, 2)
    first = np.flatnonzero(np.concatenate(([True], new)))
    ends = np.append(first[1:], count)
    return np.repeat(first + 1 + ends, ends - first)


class LabelRanks:
    """Ranks of some of many labels at a time.

    Args:
        labels: (n,).
    """

    def __init__(self, labels: Array) -> None:
        self._numbers: NDArray[np.int64] = np.unique(labels, return_inverse=True)[1]

    def among(self, chosen: slice, real: NDArray[np.bool_]) -> Array:
        """Twice the ranks of the labels ``[chosen][real]`` among themselves."""
        numbers = self._numbers[chosen][real]
        counts = np.bincount(numbers)
        twice = 2 * np.cumsum(counts) - counts + 1
        found: Array = twice.astype(np.uint32)[numbers]
        return found


def spearman(values: Array, label_ranks: Array) -> float:
    """Spearman's ρ: Pearson's r of the ranks; NaN where one is constant.

    Args:
        values: (n,).
        label_ranks: twice the ranks of the labels beside them, (n,).
    """
    if len(values) < 2:
        return float("nan")
    ordered, beside = in_order(values, label_ranks)
    mean = len(values) + 1  # of ranks that are twice as large
    a, b = (ranks.astype(np.float64) - mean for ranks in (ranks_of_ordered(ordered), beside))
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread else float("nan")
