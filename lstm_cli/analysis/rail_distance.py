"""How far gates are from the ends of their range, on average: saturation without a cut-off.

Letters: N real steps of all sequences, U units.
"""

from __future__ import annotations

import numpy as np

from ..model import Array
from .unit_sums import Floats, summed


class RailDistance:
    """The mean distance of each unit's values from the nearer rail.

    Args:
        units: how many.
        signed: whether the rails are -1 and 1, not 0 and 1.
    """

    def __init__(self, units: int, *, signed: bool) -> None:
        self._sum, self._count, self._signed = np.zeros(units), 0, signed

    def add(self, values: Array) -> None:
        """Take more steps, (N, U)."""
        distance = np.subtract(1, np.abs(values) if self._signed else values)
        if self._signed:
            np.abs(distance, out=distance)  # beyond the rail where nothing bounds the candidate
        else:
            np.minimum(values, distance, out=distance)
        self._sum += summed(distance)
        self._count += len(distance)

    @property
    def value(self) -> Floats:
        """0 at a rail, at most 0.5 for gates and 1 for g where that is bounded, (U,)."""
        return self._sum / self._count if self._count else np.full(len(self._sum), np.nan)
