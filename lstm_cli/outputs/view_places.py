"""Where to jump to: the largest changes, steps with a label, steps alike.

Letters: T time steps, U units.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ..analysis.cells import TracedCell, real_steps
from ..analysis.search import find
from ..errors import UsageError
from ..model import Array
from .step_labels import separator, shown_label

MOST_PLACES = 20

Change = tuple[float, int, int]
"""How much, at which step, of which unit."""


@dataclass(frozen=True, slots=True)
class Place:
    """Steps to jump to.

    Attributes:
        start, stop: the first step and the one after the last.
        text: why they are of interest, in a few characters.
        unit: which unit it is about; None for no one unit.
        sequence: which sequence they are in.
    """

    start: int
    stop: int
    text: str
    unit: int | None = None
    sequence: int = 0

    @property
    def full(self) -> str:
        """Where it is, and why: ``step 5:7, unit 3, +0.9``."""
        one = self.stop - self.start == 1
        unit = "" if self.unit is None else f", unit {self.unit}"
        return f"step {self.start if one else f'{self.start}:{self.stop}'}{unit}, {self.text}"

    @property
    def brief(self) -> str:
        """The same in a few cells."""
        unit = "" if self.unit is None else f"[{self.unit}] "
        return unit + self.text.partition(",")[0]


def largest_changes(
    cell: TracedCell, tensor: str, sequence: int, unit: int | None = None
) -> list[Place]:
    """The steps at which a tensor changed most since the real step that was read before.

    The first step is compared with the initial state, where there is one.

    Args:
        cell: read block by block.
        tensor: ``h``, ``c`` or a gate.
        sequence: which.
        unit: which; None for all of them.

    Returns:
        The largest first, at most ``MOST_PLACES``.
    """
    units = np.arange(cell.shape(tensor)[2]) if unit is None else np.array([unit])
    outside = cell.others.get(f"initial_{tensor}")
    initial = None if outside is None else outside[sequence, units][np.newaxis]
    found: list[Change] = []
    rows, steps = np.zeros((0, len(units))), np.zeros(0, np.intp)
    if initial is not None and not cell.is_backward:
        rows, steps = initial, np.array([-1])
    for start, stop in cell.blocks():
        block = cell.read(start, stop, (tensor,), states=False)
        real = real_steps(block)[sequence]
        rows = np.concatenate([rows, block.arrays[tensor][sequence][real][:, units]])
        steps = np.concatenate([steps, start + np.flatnonzero(real)])
        found = _largest([*found, *_changes(rows, steps, units, cell.is_backward)])
        rows, steps = rows[-1:], steps[-1:]
    if initial is not None and cell.is_backward and len(rows):
        rows, steps = np.concatenate([rows, initial]), np.append(steps, -1)
        found = _largest([*found, *_changes(rows, steps, units, True)])
    return [
        Place(step, step + 1, f"{change:+.4f}", which, sequence) for change, step, which in found
    ]


def find_label(labels: Sequence[str], text: str, sequence: int) -> list[Place]:
    """The steps whose labels hold a text, or at which a text of several labels begins.

    Raises:
        UsageError: if there are none.
    """
    if not labels:
        raise UsageError("there are no labels to search: start with --labels")
    shown = [shown_label(label) for label in labels]
    between = separator(labels)
    running = between.join(shown)
    starts = [0, *accumulate(len(label) + len(between) for label in shown)]
    places: list[Place] = []
    at = running.find(text)
    while at >= 0 and text:
        first = bisect_right(starts, at) - 1
        stop = bisect_right(starts, at + len(text) - 1)
        if not places or places[-1].start != first:
            places.append(Place(first, min(stop, len(shown)), text, None, sequence))
        at = running.find(text, at + 1)
    if not places:
        raise UsageError(f"no step has the label '{text}'")
    return places


def find_alike(cell: TracedCell, tensor: str, span: tuple[int, int], sequence: int) -> list[Place]:
    """Where else the units do what they do in a range of steps, as ``lstm find`` does.

    Raises:
        InputError: if no unit is on throughout the range.
    """
    found = find(cell, span, sequence=sequence, tensor=tensor, matches=MOST_PLACES)
    size = len(found.units)
    return [
        Place(
            hit.start,
            hit.start + hit.length,
            f"score {hit.score:.2f}, {hit.shared} of {size} unit{'s' if size != 1 else ''}",
            None,
            hit.sequence,
        )
        for hit in found.hits
        if not hit.selected
    ]


def _changes(
    rows: Array, steps: NDArray[np.intp], units: NDArray[np.intp], backward: bool
) -> list[Change]:
    """The largest changes between neighbouring rows, each at the step that was read later."""
    if len(rows) < 2:
        return []
    changes = np.diff(rows.astype(np.float64), axis=0) * (-1 if backward else 1)
    later = steps[:-1] if backward else steps[1:]
    size = np.nan_to_num(np.abs(changes), nan=0.0).ravel()
    most = min(MOST_PLACES, size.size)
    chosen = np.argpartition(-size, most - 1)[:most]
    return [
        (float(changes.flat[k]), int(later[k // len(units)]), int(units[k % len(units)]))
        for k in chosen
    ]


def _largest(changes: list[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: (-abs(change[0]), *change[1:]))[:MOST_PLACES]
