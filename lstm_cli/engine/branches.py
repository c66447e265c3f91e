"""Calls in the branches of an If: those that the input chose, and those that it left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import InputError, listing
from ..model import Model
from .selection import Unit
from .values import Values

NOT_RUN = "not run for this input, which chooses another branch of an If"


class Made(NamedTuple):
    """The calls that were made; ``note`` names the others, and is ``""`` where there are none."""

    units: list[Unit]
    note: str


def made_units(model: Model, units: Sequence[Unit], values: Values, *, all_wanted: bool) -> Made:
    """Those of some calls that were made.

    Raises:
        InputError: if none was, or not every one and all are wanted.
    """
    made = [unit for unit in units if unit.call in values.layers]
    missing = [unit for unit in units if unit not in made]
    if missing and (all_wanted or not made):
        raise not_run(model, [unit.call for unit in missing])
    names = listing(unit.name for unit in missing)
    return Made(made, f"{NOT_RUN}: {names}" if missing else "")


def not_run(model: Model, calls: Sequence[int]) -> InputError:
    """The error for layers in a branch that the input does not choose."""
    layers = dict.fromkeys(model.calls[call].layer.address for call in calls)
    return InputError(f"{listing(layers)}: {NOT_RUN}")
