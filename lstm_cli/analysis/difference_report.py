"""What a comparison of two traces finds.

Letters: U units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .difference_sums import Figures
from .step_cosines import NO_STEP_TELLS, LeastCosine


class Place(NamedTuple):
    """Where a value stands; the step is the input's."""

    sequence: int
    step: int
    unit: int


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor of a cell differs, over the real steps.

    Attributes:
        tensor: its name.
        figures: of |Δ|.
        bound: the largest |Δ| that counts as none, beside a relative part.
        first: the first place beyond it, in the order in which the cell reads; None without one.
        worst: the place of the largest |Δ|.
        steps: how many steps, of all sequences, are beyond the tolerance.
        cosine: between the two sides, by step; the least of them.
    """

    tensor: str
    figures: Figures
    bound: float
    first: Place | None
    worst: Place | None
    steps: int
    cosine: LeastCosine = NO_STEP_TELLS

    @property
    def same(self) -> bool:
        return self.first is None


@dataclass(frozen=True, slots=True)
class UnitDifference:
    """The largest difference of one unit: |Δ| in ``tensor``, ``excess`` times its tolerance."""

    unit: int
    tensor: str
    maximum: float
    excess: float


@dataclass(frozen=True, slots=True)
class CellDifference:
    """How one cell differs.

    Attributes:
        name, other: its name on either side; empty where there is one cell.
        tensors: in the order of computation.
        first: the tensor that is the first, in the order of computation, to differ at the first
            step at which any does; None where none does.
        growth: slope of ln ‖Δh‖ over the steps read from the first difference on, per step; above
            0 differences are amplified. NaN where fewer than three steps tell.
        worst_units: largest first, measured in tolerances; ``output`` and ``x`` left out.
        steps: of the longest sequence.
    """

    name: str
    other: str
    tensors: tuple[TensorDifference, ...]
    first: TensorDifference | None
    growth: float
    worst_units: tuple[UnitDifference, ...]
    steps: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How two traces differ.

    Attributes:
        cells: in the order of the file.
        notes: what could not be compared, a sentence each.
        uneven: whether one has more steps than the other, which is a difference too.
    """

    cells: tuple[CellDifference, ...]
    notes: tuple[str, ...] = ()
    uneven: bool = False

    @property
    def first(self) -> CellDifference | None:
        """The first cell that differs; what comes after it in the file may only inherit."""
        return next((cell for cell in self.cells if cell.first is not None), None)

    @property
    def same(self) -> bool:
        return self.first is None and not self.uneven
