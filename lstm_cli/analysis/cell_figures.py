"""What the units of one cell do, as figures and labels.

Letters: U units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .cut import cut_of
from .nonfinite import NonFinite
from .timescale import half_life, quantiles
from .unit_sums import Floats

GATES = ("i", "f", "o")
LABELS = (
    *("dead", "constant", "closed", "frozen", "no-write"),
    *("railed", "memoryless", "saturated", "twin"),
)
"""What a unit may be, the worst first."""

IMPLIED = {"no-write": "frozen", "saturated": "closed"}
"""Labels that say nothing beside another one."""

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Saturation:
    """How often each unit of a gate is at an end of its range, shares of steps, (U,).

    Attributes:
        left: gates below ``lo``; of g and tanh(c), values below ``-hi``.
        right: above ``hi``.
        rail: of gates alone: exactly 0 or 1.
        distance: mean distance from the nearer rail, 0 or 1 of gates, -1 or 1 of g; NaN of c.
    """

    left: Floats
    right: Floats
    rail: Floats
    distance: Floats


@dataclass(frozen=True, slots=True, eq=False)
class CellStats:
    """What the units of a cell do over all real steps.

    Attributes:
        name: of the cell.
        meta: where it comes from.
        units, sequences, steps: sizes; ``steps`` of the longest sequence.
        counted: real steps of all sequences that the figures are of.
        saturation: by tensor: ``i f o g c``, ``c`` after its tanh.
        mean_f: mean forget gate, (U,).
        timescale, effective: in steps, -1 / ln mean f and -1 / mean ln f, (U,).
        largest_h, span_h, inactive: largest |h|; largest minus least h; share of steps with
            |h| at most ``eps``, (U,). Where h is projected, c stands for it.
        largest_o, largest_write, least_f, largest_f, railed: as the rules need them, (U,).
        twins: pairs of units and their correlation.
        twin_stride: every how-manieth step the correlation is of.
        labels: of each unit, the worst first.
        nonfinite: the first NaN or infinity, if there is one; its steps are not counted.
        nonfinite_steps: how many steps have one.
    """

    name: str
    meta: dict[str, Any]
    units: int
    sequences: int
    steps: int
    counted: int
    saturation: dict[str, Saturation]
    mean_f: Floats
    timescale: Floats
    effective: Floats
    largest_h: Floats
    span_h: Floats
    inactive: Floats
    largest_o: Floats
    largest_write: Floats
    least_f: Floats
    largest_f: Floats
    railed: Floats
    twins: list[tuple[int, int, float]]
    twin_stride: int
    labels: tuple[tuple[str, ...], ...]
    nonfinite: NonFinite | None
    nonfinite_steps: int
    is_projected: bool = False

    @property
    def half_life(self) -> Floats:
        """Steps until half of a memory is left, from ``timescale``, (U,)."""
        return half_life(self.timescale)

    @property
    def effective_half_life(self) -> Floats:
        """The same from ``effective``, (U,)."""
        return half_life(self.effective)

    @property
    def quantiles(self) -> Floats:
        """Least, lower quartile, median, upper quartile and largest timescale."""
        return quantiles(self.timescale, QUANTILES)

    @property
    def never_forgetting(self) -> int:
        """How many units have a timescale beyond the longest sequence."""
        return int(np.count_nonzero(self.timescale > self.steps))

    def number(self, unit: int) -> int:
        """The layer's number of a unit, where a trace holds some units alone."""
        return cut_of(self.meta, self.units).number(unit)

    def worst_first(self) -> list[int]:
        """Units by their worst label, then by how many they have, then by saturation."""
        return sorted(range(self.units), key=self.rank)

    def rank(self, unit: int) -> tuple[int, int, float]:
        """What units are sorted by, the worst first."""
        labels = self.labels[unit]
        worst = LABELS.index(labels[0]) if labels else len(LABELS)
        saturation = [self.saturation[gate] for gate in GATES]
        most = max(float(max(s.left[unit], s.right[unit])) for s in saturation)
        return worst, -len(labels), -most

    def shown_labels(self, unit: int) -> list[str]:
        """The labels of a unit without those that another one implies."""
        labels = self.labels[unit]
        return [label for label in labels if IMPLIED.get(label) not in labels]

    def shares(self) -> dict[str, float]:
        """The share of units that have each label, of any gate saturated, of any label at all."""
        found = {
            label: sum(label in labels for labels in self.labels) / self.units for label in LABELS
        }
        return {**found, "flagged": sum(map(bool, self.labels)) / self.units}
