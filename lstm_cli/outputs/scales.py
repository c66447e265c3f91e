"""What the ends of a colour scale or a vertical axis stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from .charts import Panel


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale of numbers; a diverging one has 0 in its middle."""

    low: float
    high: float
    diverging: bool

    def fractions(self, values: Array) -> NDArray[np.float64]:
        """Where ``values`` lie between the ends, 0 to 1; NaN stays."""
        span = self.high - self.low
        with np.errstate(invalid="ignore"):
            part = (np.asarray(values, np.float64) - self.low) / (span if span > 0 else 1.0)
        return np.clip(part, 0.0, 1.0)


def scale_of(panel: Panel) -> Scale:
    """0 to 1 for gates, and as far as they go beyond; else symmetric about 0."""
    low, high = extremes(panel)
    if panel.to_one:
        return Scale(min(0.0, low), max(1.0, high), False)
    most = max(abs(low), abs(high))
    return Scale(-(most or 1.0), most or 1.0, True)


def axis_of(panel: Panel) -> Scale:
    """The numbers of a line's axis: those of a colour scale, but no wider below or above 0."""
    scale = scale_of(panel)
    low, high = extremes(panel)
    if not scale.diverging or low == high == 0:
        return scale
    return Scale(min(0.0, low), max(0.0, high), True)


def extremes(panel: Panel) -> tuple[float, float]:
    """The smallest and the largest finite number of a panel; 0 where there is none."""
    low, high = panel.columns.finite_low, panel.columns.finite_high
    known = np.isfinite(low)
    return (float(low[known].min()), float(high[known].max())) if known.any() else (0.0, 0.0)
