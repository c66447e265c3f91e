"""The order in which units are drawn, so that those that belong together stand together.

Letters: T time steps, U units.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..model import Array

Sort = Literal["activity", "timescale", "similarity"]

ORDERING_TENSOR = {"activity": "h", "timescale": "f", "similarity": "h"}
"""What each order is found from; c takes the place of an h that is a projection."""

DESCRIPTIONS = {
    "activity": "units sorted by mean |h|, the most active first",
    "timescale": "units sorted by the mean of f, the longest memory first",
    "similarity": "units sorted so that similar ones (correlation of h) are neighbours",
}


class UnitOrder:
    """Finds an order of units from their values, block by block.

    ``activity``: mean absolute value, largest first. ``timescale``: mean of the forget gate,
    largest first, which is also the order of the timescale -1 / ln(mean f). ``similarity``:
    spectral seriation of 1 + correlation; units that do not change come last.

    Source: Atkins, Boman and Hendrickson, "A spectral algorithm for seriation" (1998).
    """

    def __init__(self, sort: Sort, units: int) -> None:
        self._sort = sort
        self._count = 0
        self._sum = np.zeros(units)
        self._products = np.zeros((units, units) if sort == "similarity" else (0, 0))
        self._origin = np.zeros(units)

    def add(self, values: Array) -> None:
        """Add unmasked steps, shape (T, U); steps that are not finite in every unit are ignored."""
        values = np.asarray(values[np.isfinite(values).all(axis=1)], np.float64)
        if not len(values):
            return
        if self._sort == "similarity":
            if not self._count:
                self._origin = values[0].copy()  # sums of squares stay small beside it
            values = values - self._origin
            self._products += values.T @ values
        elif self._sort == "activity":
            values = np.abs(values)
        self._sum += values.sum(axis=0)
        self._count += len(values)

    def order(self) -> list[int]:
        """Numbers of the units, in the order in which to draw them."""
        mean = self._sum / max(1, self._count)
        if self._sort != "similarity":
            return [int(unit) for unit in np.argsort(-mean, kind="stable")]
        covariance = self._products / max(1, self._count) - np.outer(mean, mean)
        return _seriated(covariance, np.diag(self._products) / max(1, self._count))


def _seriated(covariance: NDArray[np.float64], squares: NDArray[np.float64]) -> list[int]:
    """Units by the Fiedler vector of their similarities; the first unit in the first half."""
    variance = np.diag(covariance)
    changing = [int(k) for k in np.flatnonzero(variance > 1e-12 * np.maximum(squares, 1e-300))]
    constant = [k for k in range(len(variance)) if k not in set(changing)]
    if len(changing) < 3:
        return changing + constant
    spread = np.sqrt(variance[changing])
    correlation = covariance[np.ix_(changing, changing)] / np.outer(spread, spread)
    similarity = 1 + np.clip(correlation, -1, 1)
    laplacian = np.diag(similarity.sum(axis=1)) - similarity
    fiedler = np.linalg.eigh(laplacian)[1][:, 1]
    places = np.argsort(fiedler, kind="stable")
    if places.tolist().index(0) > (len(places) - 1) / 2:
        places = places[::-1]
    return [changing[k] for k in places] + constant
