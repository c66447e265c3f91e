"""What ``--steps`` and ``--units`` left out of a trace: its numbers in the input and the layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, listing
from ..model import Array

FIRST_STEP, KEPT_UNITS, ENDS_EARLY = OF_A_CUT = ("first_step", "kept_units", "ends_early")


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the steps and units of a trace stand in what was run.

    Attributes:
        first_step: the input's number of the first step.
        units: the layer's numbers of the units; None where all of them are there.
        ends_early: whether the input has steps behind the last one.
    """

    first_step: int = 0
    units: tuple[int, ...] | None = None
    ends_early: bool = False

    def number(self, unit: int, tensor: str = "c") -> int:
        """The layer's number of a unit; of ``x``, whose features are never left out, its own."""
        return unit if self.units is None or tensor == "x" else self.units[unit]

    def place(self, unit: int, tensor: str = "c") -> int:
        """Where the unit of a number is.

        Raises:
            InputError: if it was left out.
        """
        if self.units is None or tensor == "x":
            return unit
        if unit not in self.units:
            raise InputError(f"unit {unit}: the trace holds units {listing(map(str, self.units))}")
        return self.units.index(unit)

    def begins_late(self, backward: bool) -> bool:
        """Whether the cell had read steps before the first that is here."""
        return self.ends_early if backward else self.first_step > 0


def cut_of(meta: Mapping[str, Any], units: int) -> Cut:
    """What is said about a trace that has so many units.

    Raises:
        InputError: if it cannot be so.
    """
    first, kept = meta.get(FIRST_STEP, 0), meta.get(KEPT_UNITS)
    numbers = kept if isinstance(kept, list | tuple) else []
    if not _is_number(first) or not all(map(_is_number, numbers)):
        raise InputError("'meta' is not what lstm export writes; export it again")
    if kept is not None and len(numbers) != units:
        raise InputError(f"'meta' names {len(numbers)} units, and the trace has {units}")
    return Cut(first, None if kept is None else tuple(numbers), bool(meta.get(ENDS_EARLY)))


def with_lengths_from(others: Mapping[str, Array], meta: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays without steps, with ``lengths`` counted from the first step that is there."""
    first = meta.get(FIRST_STEP, 0)
    if "lengths" not in others or not first or not _is_number(first):
        return dict(others)
    return {**others, "lengths": np.maximum(others["lengths"] - first, 0)}


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
