"""One tensor of two cells beside each other, gathered block by block.

Letters: B sequences, t steps of a block, U units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from .difference_report import Place
from .difference_sums import DifferenceSums, Tolerance, doubles
from .step_cosines import StepCosines
from .unit_sums import folded


class TensorPair:
    """What is gathered of one tensor.

    Of each step of a block that is beyond the tolerance anywhere one number is kept, as what the
    tolerance is, is not known before the end.

    Attributes:
        sums: of all values.
        cosines: of the steps.
        largest: |Δ| of each unit, (U,).
        worst: the largest |Δ| and its place.
    """

    def __init__(self, tolerance: Tolerance) -> None:
        self.sums, self.cosines = DifferenceSums(), StepCosines()
        self.largest: Array = np.zeros(1)
        self.worst: tuple[float, Place] | None = None
        self._tolerance = tolerance
        self._kept: list[tuple[int, Array]] = []

    def add(self, a: Array, b: Array, real: NDArray[np.bool_], first_step: int) -> None:
        """Take in a block, (B, t, U); what is not ``real``, (B, t), does not count."""
        a, b = (array.reshape(*array.shape[:2], -1) for array in (a, b))
        gap = self.sums.add(a, b, real[..., np.newaxis])
        largest = folded(np.maximum, gap.reshape(-1, gap.shape[2]))
        self.largest, top = np.maximum(self.largest, largest), float(largest.max())
        if top > (self.worst[0] if self.worst else 0.0):
            sequence, step, unit = map(int, np.unravel_index(int(gap.argmax()), gap.shape))
            self.worst = top, Place(sequence, step + first_step, unit)
        if top > self.bound:
            self._kept.append((first_step, self._beside(a, gap).max(axis=-1)))
        self.cosines.add(a, b, real, first_step, top == 0, self.sums.step_squares)

    @property
    def bound(self) -> float:
        """The largest |Δ| that counts as none, beside a relative part.

        It may grow with what is added, and does not shrink.
        """
        return self._tolerance.bound(self.sums.scale, self.sums.precision)

    def excess(self, a: Array, b: Array) -> Array:
        """|Δ| less the relative part that is allowed, of values that count."""
        gap = DifferenceSums().add(a, b, np.ones(1, np.bool_))
        return self._beside(a, gap)

    def steps_beyond(self) -> int:
        """How many steps, of all sequences, are beyond the tolerance."""
        return sum(int(np.count_nonzero(excess > self.bound)) for _, excess in self._kept)

    def first_beyond(self, last: bool) -> list[tuple[int, int]]:
        """Of each sequence the first step beyond the tolerance, or the last: step and sequence."""
        found: dict[int, int] = {}
        for first_step, excess in self._kept[:: -1 if last else 1]:
            beyond = excess > self.bound
            for sequence in map(int, np.flatnonzero(beyond.any(axis=1))):
                step = int(np.flatnonzero(beyond[sequence])[-1 if last else 0])
                found.setdefault(sequence, first_step + step)
        return [(step, sequence) for sequence, step in found.items()]

    def _beside(self, a: Array, gap: Array) -> Array:
        if not self._tolerance.relative:
            return gap
        return np.asarray(gap - self._tolerance.relative * np.abs(np.nan_to_num(doubles(a))))
