"""How well single units tell classes apart: separation of two, means of several.

Letters: n steps, U units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from .precision import average_precision
from .rank_order import in_order, ranks_of_ordered

Doubles = NDArray[np.float64]


class Separation:
    """How well one value tells yes from no.

    Args:
        values: (n,).
        positive: (n,), where the answer is yes.
    """

    def __init__(self, values: Array, positive: NDArray[np.bool_]) -> None:
        self._ordered, hits = in_order(values, positive)
        self._hits = hits.astype(np.bool_)
        self._ones = int(positive.sum())

    def area_under_curve(self) -> float:
        """Chance that a yes has the larger value, equal ones counting half (Mann-Whitney)."""
        zeros = len(self._hits) - self._ones
        if not self._ones or not zeros:
            return float("nan")
        ranks = int(ranks_of_ordered(self._ordered)[self._hits].sum()) / 2
        above = ranks - self._ones * (self._ones + 1) / 2
        return float(above / (self._ones * zeros))

    def average_precision(self, near_zero: float, above: bool) -> float:
        """See ``precision.average_precision``."""
        return average_precision(self._ordered, self._hits, near_zero, above)

    def best_threshold(self) -> tuple[float, float, bool]:
        """Accuracy, threshold and side of the best rule for yes: ``value >= threshold``, or ``<``.

        Thresholds lie half way between neighbouring values.
        """
        ordered = self._ordered
        cuts = np.r_[0, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1]
        below = np.r_[0, np.cumsum(self._hits)][cuts]  # yes below the cut
        right = (self._ones - below) + (cuts - below)  # yes above, no below
        count = len(ordered)
        above = bool(right.max() >= count - right.min())
        best = int(right.argmax() if above else right.argmin())
        correct = right[best] if above else count - right[best]
        at = cuts[best]
        neighbours = ordered[max(at - 1, 0) : at + 1].astype(np.float64)
        threshold = neighbours.mean() if at else neighbours[-1]
        return float(correct / count), float(threshold), above


def mean_gap(values: Array, positive: NDArray[np.bool_]) -> float:
    """(mean of the positive - mean of the others) / their pooled standard deviation."""
    doubles = values.astype(np.float64)
    a, b = doubles[positive], doubles[~positive]
    if len(a) + len(b) < 3 or not len(a) or not len(b):
        return float("nan")
    within = ((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()
    pooled = float(np.sqrt(within / (len(a) + len(b) - 2)))
    gap = float(a.mean() - b.mean())
    if pooled:
        return gap / pooled
    return float(np.copysign(np.inf, gap)) if gap else float("nan")


def class_means(values: Array, classes: NDArray[np.intp], count: int) -> Doubles:
    """Mean of each unit over the steps of each class, (classes, U); NaN where it has none."""
    steps = np.bincount(classes, minlength=count)
    sums = [np.bincount(classes, weights=own, minlength=count) for own in values.T]
    return np.asarray((np.array(sums) / np.where(steps, steps, np.nan)).T)


def pair_gaps(means: Doubles) -> Doubles:
    """For each class and unit the sum of |mean - mean of another class|, (classes, U).

    Half the sum over classes is the score of a unit: the sum over pairs of classes. A class without
    a mean, all of whose steps are masked, takes no part.
    Source: Antverg & Belinkov, "On the Pitfalls of Analyzing Individual Neurons" (2022), probeless.
    """
    gaps: Doubles = np.abs(means[:, np.newaxis] - means[np.newaxis])
    return np.asarray(np.nansum(gaps, axis=1))
