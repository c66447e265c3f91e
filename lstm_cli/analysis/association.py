"""How well single units follow a label: correlation, separation of two classes, class means.

Letters: N steps, U units, L the longest lag.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from .labelled_steps import LabelledSteps

BLOCK_STEPS = 1 << 16

Doubles = NDArray[np.float64]


def correlations(series: LabelledSteps, lag: int) -> Doubles:
    """Pearson's r of each unit at step t + lag with the label at step t, (U,); NaN if constant.

    A positive lag: the unit follows the label so many steps later. Pairs of which one step is not
    real do not count.
    """
    count, sums = 0.0, np.zeros((3, series.values.shape[1]))
    labels = np.zeros(2)
    centre = _centre(series)
    for x, y, real in _pairs(series, lag):
        x, y = (x - centre[0]) * real[:, np.newaxis], (y - centre[1]) * real
        count += real.sum()
        sums += [x.sum(axis=0), np.einsum("nu,nu->u", x, x), y @ x]
        labels += [y.sum(), y @ y]
    if not count:
        return np.full(sums.shape[1], np.nan)
    spread_x = sums[1] - sums[0] ** 2 / count
    spread_y = labels[1] - labels[0] ** 2 / count
    shared = sums[2] - sums[0] * labels[0] / count
    with np.errstate(invalid="ignore", divide="ignore"):
        r = shared / np.sqrt(spread_x * spread_y)
    tiny = _tiny(sums[1]) >= spread_x
    return np.where(tiny | (spread_y <= _tiny(labels[1])), np.nan, np.clip(r, -1, 1))


def _tiny(squares: Doubles | float) -> Doubles | float:
    """What rounding leaves of a sum of squares that should be 0."""
    return 1e-13 * squares


def _centre(series: LabelledSteps) -> tuple[Doubles, float]:
    """A value within each unit's range and the labels', subtracted so that nothing cancels."""
    if not series.real.any():
        return np.zeros(series.values.shape[1]), 0.0
    first = int(series.real.argmax())
    return series.values[first].astype(np.float64), float(series.labels[first])


def _pairs(series: LabelledSteps, lag: int) -> Iterator[tuple[Doubles, Doubles, Doubles]]:
    """Units at t + lag, (n, U), labels at t and whether the pair counts, both (n,)."""
    steps = len(series.labels)
    for start in range(max(0, -lag), max(0, steps - max(0, lag)), BLOCK_STEPS):
        stop = min(start + BLOCK_STEPS, steps - max(0, lag))
        here, there = slice(start, stop), slice(start + lag, stop + lag)
        real = series.real[here] & series.real[there]
        x, y = series.values[there].astype(np.float64), series.labels[here].astype(np.float64)
        real &= np.isfinite(x).all(axis=1)
        yield np.where(real[:, np.newaxis], x, 0.0), np.where(real, y, 0.0), real.astype(float)


def pairs_at(series: LabelledSteps, lag: int) -> tuple[slice, NDArray[np.bool_], Array]:
    """Which pairs count at a lag: the units' steps, which of them, and the labels beside those."""
    steps = len(series.labels)
    here = slice(max(0, -lag), max(0, steps - max(0, lag)))
    there = slice(here.start + lag, here.stop + lag)
    real = series.real[here] & series.real[there] & np.isfinite(series.values[there]).all(axis=1)
    return there, real, series.labels[here][real]


def ranks(values: Array) -> Doubles:
    """Ranks from 1; equal values share the mean of theirs."""
    order = np.argsort(values)
    found = np.empty(len(order))
    found[order] = _shared_ranks(values[order])
    return found


def _shared_ranks(ordered: Array) -> Doubles:
    """Ranks of values in rising order."""
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ends = np.r_[first[1:], len(ordered)]
    shared: Doubles = np.repeat((first + 1 + ends) / 2, ends - first)
    return shared


def spearman(x: Array, label_ranks: Doubles) -> float:
    """Spearman's ρ: Pearson's r of the ranks; NaN where one is constant.

    Args:
        x: values, (n,).
        label_ranks: the ranks of the labels beside them.
    """
    if len(x) < 2:
        return float("nan")
    a, b = ranks(x), label_ranks - label_ranks.mean()
    a -= a.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread else float("nan")


def autocorrelation(series: LabelledSteps) -> tuple[Doubles, float]:
    """Correlation of each unit, (U,), and of the labels, with themselves one step later."""
    labels = np.where(series.real, series.labels, 0.0)[:, np.newaxis]
    own = LabelledSteps(labels, series.labels, series.real)
    return _self_correlations(series), float(_self_correlations(own)[0])


def _self_correlations(series: LabelledSteps) -> Doubles:
    """Pearson's r of each unit at step t + 1 with itself at t, (U,)."""
    count, sums = 0.0, np.zeros((5, series.values.shape[1]))
    centre = _centre(series)[0]
    for start in range(0, len(series.real) - 1, BLOCK_STEPS):
        block = series.values[start : start + BLOCK_STEPS + 1].astype(np.float64) - centre
        real = series.real[start : start + BLOCK_STEPS + 1] & np.isfinite(block).all(axis=1)
        both = real[:-1] & real[1:]
        before, after = block[:-1][both], block[1:][both]
        count += len(before)
        sums += [
            before.sum(axis=0),
            after.sum(axis=0),
            np.einsum("nu,nu->u", before, before),
            np.einsum("nu,nu->u", after, after),
            np.einsum("nu,nu->u", before, after),
        ]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (sums[2] - sums[0] ** 2 / count) * (sums[3] - sums[1] ** 2 / count)
        return np.asarray((sums[4] - sums[0] * sums[1] / count) / np.sqrt(spread))


def effective_count(count: int, unit: float, label: float) -> float:
    """n (1 - ρρ') / (1 + ρρ'): how many independent pairs as many autocorrelated ones are worth.

    Args:
        count: n.
        unit, label: autocorrelation of either at lag 1.
    """
    shared = unit * label
    if np.isnan(shared) or shared <= -1:
        return float("nan")
    return count * (1 - shared) / (1 + shared)


class Separation:
    """How well one value tells yes from no.

    Args:
        values: (n,).
        positive: (n,), where the answer is yes.
    """

    def __init__(self, values: Array, positive: NDArray[np.bool_]) -> None:
        order = np.argsort(values)
        self._ordered, self._hits = values[order], positive[order]
        self._ones = int(positive.sum())

    def area_under_curve(self) -> float:
        """Chance that a yes has the larger value, equal ones counting half (Mann-Whitney)."""
        zeros = len(self._hits) - self._ones
        if not self._ones or not zeros:
            return float("nan")
        above = _shared_ranks(self._ordered)[self._hits].sum() - self._ones * (self._ones + 1) / 2
        return float(above / (self._ones * zeros))

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
    """Mean of each unit over the steps of each class, (classes, U)."""
    means = [values[classes == k].mean(axis=0, dtype=np.float64) for k in range(count)]
    return np.array(means)


def pair_gaps(means: Doubles) -> Doubles:
    """For each class and unit the sum of |mean - mean of another class|, (classes, U).

    Half the sum over classes is the score of a unit: the sum over pairs of classes.
    Source: Antverg & Belinkov, "On the Pitfalls of Analyzing Individual Neurons" (2022), probeless.
    """
    gaps: Doubles = np.abs(means[:, np.newaxis] - means[np.newaxis])
    return np.asarray(gaps.sum(axis=1))
