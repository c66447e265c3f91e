"""Quantiles of a stream of magnitudes in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model import Array

EXACT_VALUES = 1 << 20
"""Up to so many values are kept, and their quantiles are exact."""

_DROPPED_BITS = 12
_BINS = 1 << (31 - _DROPPED_BITS)


class MagnitudeQuantiles:
    """Collects values from 0 to infinity, piece by piece; NaN counts as infinity.

    Beyond ``EXACT_VALUES`` values a histogram over the bits of their float32 forms, whose order is
    that of the numbers, takes their place: a quantile is then exact to one part in 2048.
    """

    def __init__(self) -> None:
        self._kept: list[Array] = []
        self._counts: NDArray[np.int64] | None = None
        self.count = 0

    def add(self, values: Array) -> None:
        """Take in values of any shape, which are not changed afterwards."""
        self._kept.append(values.ravel())
        self.count += values.size
        if self.count <= EXACT_VALUES:
            return
        if self._counts is None:
            self._counts = np.zeros(_BINS, np.int64)
        for piece in self._kept:
            np.add.at(self._counts, _places(piece), 1)
        self._kept = []

    def quantile(self, fraction: float) -> float:
        """The smallest value that at least ``fraction`` of all do not exceed; 0 where none are.

        The median of an even number of values lies half way between the middle two.
        """
        if not self.count:
            return 0.0
        if self._counts is None:
            values = _without_nan(np.concatenate(self._kept).astype(np.float64))
            if fraction == 0.5:
                return float(np.median(values))
            return float(np.quantile(values, fraction, method="inverted_cdf"))
        rank = max(1, int(np.ceil(fraction * self.count)))
        bits = np.searchsorted(np.cumsum(self._counts), rank).astype(np.uint32)
        return float((bits << np.uint32(_DROPPED_BITS)).view(np.float32))


def _places(values: Array) -> Array:
    """In which bin each value is."""
    with np.errstate(over="ignore", under="ignore"):
        single = _without_nan(values.astype(np.float32, copy=False))
    return np.asarray(single.view(np.int32) >> _DROPPED_BITS)


def _without_nan(values: Array) -> Array:
    return np.where(np.isnan(values), np.inf, values) if np.isnan(values).any() else values
