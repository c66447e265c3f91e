"""What a search for similar steps finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Hit(NamedTuple):
    """Steps that resemble the selection.

    Attributes:
        source: which of the traces, from 0.
        sequence: which of its sequences.
        start, length: the steps.
        score: shared / union, 1 where exactly the selected units are on.
        shared: selected units that are on throughout, with the same sign.
        union: units that are on throughout, or selected.
        selected: whether these are the very steps that were chosen.
    """

    source: int
    sequence: int
    start: int
    length: int
    score: float
    shared: int
    union: int
    selected: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        hits: the best first.
        units: the selection: unit numbers, and +1 for on above zero, -1 for below.
        tensor: whose values were looked at.
        thresholds: of each selected unit; of c that of tanh(c).
        steps: how many were searched.
        lengths: how many candidates have each length.
        strict_lengths: the same of those that share every selected unit.
        blips: for how many steps in a row a unit has to be on, less one, to count as on.
    """

    hits: tuple[Hit, ...]
    units: tuple[tuple[int, int], ...]
    tensor: str
    thresholds: tuple[float, ...]
    steps: int
    lengths: dict[int, int]
    strict_lengths: dict[int, int]
    blips: int = 0
