"""How many steps a sequence of a trace has, and whether a sequence and a step are there."""

from __future__ import annotations

from ..errors import InputError, numbered
from .cells import TracedCell


def length_of(cell: TracedCell, sequence: int) -> int:
    """The number of steps of one sequence that the trace holds."""
    return cell.steps if cell.lengths is None else min(cell.steps, int(cell.lengths[sequence]))


def check_sequence(cell: TracedCell, sequence: int) -> None:
    """Refuse the number of a sequence that is not there.

    Raises:
        InputError: says which there are.
    """
    if not 0 <= sequence < cell.sequences:
        there = numbered("sequence", cell.sequences)
        raise InputError(f"sequence {sequence}: the trace has {there}")


def check_step(cell: TracedCell, step: int, sequence: int) -> int:
    """The number of steps of a sequence, of which this is one; steps as the trace counts them.

    Raises:
        InputError: if the sequence or the step is not there.
    """
    check_sequence(cell, sequence)
    length = length_of(cell, sequence)
    if not 0 <= step < length:
        raise InputError(f"step {step}: sequence {sequence} has {numbered('step', length)}")
    return length
