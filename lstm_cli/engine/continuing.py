"""Which layers a run starts where the one before ended, and from which states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import InputError, UnsupportedFeatureError, listing
from .plan import Prepared, recurrent_of
from .selection import Unit
from .steps_flow import follow_steps, input_axes
from .time_steps import time_mixing
from .unequal_lengths import mixing_reasons
from .values import StatesByCall


class Continued(NamedTuple):
    """The calls whose final states the next chunk of a sequence starts from.

    Attributes:
        units: the calls.
        note: what a user should know about the others; ``""`` where there is nothing.
    """

    units: list[Unit]
    note: str = ""


def continued(prepared: Prepared, targets: Sequence[int]) -> Continued:
    """What goes on in the next chunk: the layers that the file marks stateful, else all.

    Raises:
        UnsupportedFeatureError: if the sequence cannot be continued.
    """
    marked = [unit for unit in prepared.recurrent if recurrent_of(unit).stateful]
    if marked:
        rest = [unit.name for unit in prepared.recurrent if unit not in marked]
        note = (
            f"the file marks only some layers stateful; {listing(rest)} start afresh at each "
            "input, as in the framework"
        )
        return Continued(marked, note if rest else "")
    before = time_mixing(prepared.model, [unit.call for unit in prepared.recurrent])
    after = follow_steps(prepared.model, targets, input_axes(prepared.inputs))
    reasons = dict.fromkeys((*before, *mixing_reasons(after)))
    if reasons:
        raise UnsupportedFeatureError(
            f"the sequence cannot be continued in the next input: {'; '.join(reasons)}"
        )
    return Continued(prepared.recurrent)


def carried_states(prepared: Prepared, carried: StatesByCall, batch: int) -> StatesByCall:
    """The states that a run takes over.

    Args:
        prepared: the run.
        carried: all that the one before left.
        batch: how many sequences the run has.

    Raises:
        InputError: if the one before had another number of them.
    """
    found = {number: parts for number, parts in carried.items() if number in prepared.needed}
    for number, parts in found.items():
        rows = {len(state[0]) for state in parts.values()}
        if rows != {batch}:
            name = prepared.model.calls[number].layer.address
            raise InputError(
                f"the states carried over for '{name}' are of {rows.pop()} sequences, this "
                f"input has {batch}"
            )
    return found
