"""Average precision of one value as a detector of yes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model import Array

NEAR_ZERO = 0.05
"""Values smaller than this count as 0: the default of the source."""


def average_precision(
    ordered: Array, hits: NDArray[np.bool_], near_zero: float, above: bool
) -> float:
    """The mean over the hits of the share of hits among all values at least as far out.

    Source: the IoU probe of NeuroX (Dalvi, Sajjad and Durrani 2023), after Mu and Andreas,
    "Compositional Explanations of Neurons" (2020). Equal values count together.

    Args:
        ordered: values in rising order, (n,).
        hits: which of them are yes.
        near_zero: values with a smaller magnitude count as 0.
        above: whether large values say yes, or small ones.
    """
    positive = int(hits.sum())
    if not positive:
        return float("nan")
    values = np.where(np.abs(ordered) < near_zero, 0, ordered)
    if above:
        values, hits = values[::-1], hits[::-1]
    ends = np.r_[np.flatnonzero(values[1:] != values[:-1]), len(values) - 1]
    found = np.cumsum(hits)[ends]
    recalled = np.diff(found, prepend=0) / positive
    return float(recalled @ (found / (ends + 1)))
