"""Pearson's correlation of units with a label, at several lags, and with themselves.

Letters: N steps, n steps of a block, U units, K lags.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .labelled_steps import LabelledSteps

BLOCK_STEPS = 1 << 13

Doubles = NDArray[np.float64]


def correlations(series: LabelledSteps, longest: int) -> Doubles:
    """Pearson's r of each unit at step t + lag with the label at step t, (K, U); NaN if constant.

    Row ``longest + lag`` is that of a lag, from ``-longest`` to ``longest``. A positive lag: the
    unit follows the label so many steps later. Pairs of which one step is not real, or the
    label's has none, do not count.
    """
    sums = _LagSums(series.values.shape[1], 2 * longest + 1)
    sides = (longest, longest)
    there = np.pad(series.labelled.astype(np.float64), sides)
    label = _centred_labels(series)
    beside = np.pad(label, sides)
    for start, values, real in _blocks(series):
        steps = slice(start, start + len(real) + 2 * longest)
        sums.add(values, real, _windows(beside[steps], len(real)), there[steps])
    return sums.correlations()


class _LagSums:
    """Sums over the pairs of each lag: of the units U by K, of the labels K."""

    def __init__(self, units: int, lags: int) -> None:
        self._count, self._label, self._label_squares = (np.zeros(lags) for _ in range(3))
        self._unit, self._unit_squares, self._products = (np.zeros((units, lags)) for _ in range(3))

    def add(self, values: Doubles, real: Doubles, labels: Doubles, label_real: Doubles) -> None:
        """Take the next steps of the units.

        Args:
            values: (U, n), 0 where not real.
            real: (n,), 1 where they are.
            labels: (n, K), of each lag the labels beside them, 0 where not real.
            label_real: (n + K - 1,), 1 where the labels are, of all of these steps.
        """
        self._products += values @ labels
        if label_real.all():  # all pairs of all lags count
            self._count += len(real)
            self._unit += values.sum(axis=1)[:, np.newaxis]
            self._unit_squares += np.einsum("un,un->u", values, values)[:, np.newaxis]
        else:
            counts = _windows(label_real, len(real))
            labels = labels * real[:, np.newaxis]
            self._count += real @ counts
            self._unit += values @ counts
            self._unit_squares += values**2 @ counts
        self._label += labels.sum(axis=0)
        self._label_squares += np.einsum("nk,nk->k", labels, labels)

    def correlations(self) -> Doubles:
        """(K, U)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = self._unit_squares - self._unit**2 / self._count
            label_spread = self._label_squares - self._label**2 / self._count
            shared = self._products - self._unit * self._label / self._count
            r = shared / np.sqrt(spread * label_spread)
        constant = _tiny(self._unit_squares) >= spread
        constant |= label_spread <= _tiny(self._label_squares)
        constant |= self._count == 0
        return np.where(constant, np.nan, np.clip(r, -1, 1)).T


def _windows(steps: Doubles, count: int) -> Doubles:
    """For each of ``count`` steps those around it, the last first, (count, K)."""
    windows = np.lib.stride_tricks.sliding_window_view(steps, count)[::-1]
    return np.ascontiguousarray(windows.T)


def _tiny(squares: Doubles) -> Doubles:
    """What rounding leaves of a sum of squares that should be 0."""
    return np.asarray(1e-13 * squares)


def _centred_labels(series: LabelledSteps) -> Doubles:
    """Labels less one of them, so that nothing cancels; 0 where there is none."""
    labelled = series.labelled
    if not labelled.any():
        return np.zeros(len(labelled))
    first = float(series.labels[labelled.argmax()])
    return np.where(labelled, series.labels - first, 0.0)


def _blocks(series: LabelledSteps) -> Iterator[tuple[int, Doubles, Doubles]]:
    """Units less a value within their range, (U, n), 0 where not real, and what is, (n,)."""
    first = int(series.real.argmax())
    centre = series.values[first].astype(np.float64)[:, np.newaxis]
    for start in range(0, len(series.real), BLOCK_STEPS):
        real = series.real[start : start + BLOCK_STEPS]
        values = series.values[start : start + BLOCK_STEPS].T - centre
        if not real.all():
            values[:, ~real] = 0.0
        yield start, values, real.astype(np.float64)


def autocorrelation(series: LabelledSteps) -> tuple[Doubles, float]:
    """Correlation of each unit, (U,), and of the labels, with themselves one step later."""
    labels = _centred_labels(series)[:, np.newaxis]
    own = LabelledSteps(labels, series.labels, series.labelled)
    return _self_correlations(series), float(_self_correlations(own)[0])


def _self_correlations(series: LabelledSteps) -> Doubles:
    """Pearson's r of each unit at step t + 1 with itself at t, (U,)."""
    units = series.values.shape[1]
    count, sums = 0.0, np.zeros((5, units))
    before, before_real = np.zeros((units, 1)), np.zeros(1)
    for _, values, real in _blocks(series):
        values, real = np.hstack((before, values)), np.append(before_real, real)
        before, before_real = values[:, -1:], real[-1:]
        x, y, both = values[:, :-1], values[:, 1:], real[:-1] * real[1:]
        if not both.all():
            x, y = x * both, y * both
        count += both.sum()
        pairs = ((x, x), (y, y), (x, y))
        sums += [x.sum(axis=1), y.sum(axis=1), *(np.einsum("un,un->u", a, b) for a, b in pairs)]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (sums[2] - sums[0] ** 2 / count) * (sums[3] - sums[1] ** 2 / count)
        return np.asarray((sums[4] - sums[0] * sums[1] / count) / np.sqrt(spread))


def pairs_at(series: LabelledSteps, lag: int) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Which pairs count at a lag: the labels' steps, the units' steps, and which of them."""
    steps = len(series.labels)
    here = slice(max(0, -lag), max(0, steps - max(0, lag)))
    there = slice(max(0, lag), max(0, steps + min(0, lag)))
    return here, there, series.labelled[here] & series.real[there]


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
