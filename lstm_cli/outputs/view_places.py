"""Where to jump to: the largest changes, steps with a label, steps alike.

Letters: T time steps, U units.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.cells import TracedCell, real_steps
from ..analysis.search import THRESHOLD, find
from ..analysis.search_report import Hit
from ..errors import InputError, UsageError
from ..model import Array
from .step_labels import separator, shown_label

MOST_PLACES = 20

Change = tuple[float, int, int]
"""How much, at which step, of which unit."""


@dataclass(frozen=True, slots=True)
class Place:
    """Steps to jump to.

    Attributes:
        start, stop: the input's numbers of the first step and of the one after the last.
        text: why they are of interest, in one line.
        cells: the same as cells of a table.
        unit: the number of the unit it is about; None for no one unit.
        sequence: which sequence they are in.
    """

    start: int
    stop: int
    text: str
    cells: tuple[str, ...]
    unit: int | None = None
    sequence: int = 0

    @property
    def steps(self) -> str:
        """``5``, or ``5:7``."""
        return str(self.start) if self.stop - self.start == 1 else f"{self.start}:{self.stop}"

    @property
    def full(self) -> str:
        """Where it is, and why: ``step 5:7, unit 3, +0.9``."""
        unit = "" if self.unit is None else f", unit {self.unit}"
        return f"step {self.steps}{unit}, {self.text}"


@dataclass(frozen=True, slots=True)
class Places:
    """What a search found.

    Attributes:
        title: what was searched for.
        headers: above the cells of the places.
        found: the best first, or in the order of the steps.
        cell: which cell they are of; None for all.
        rule: by which they were found, where it has a cut-off.
    """

    title: str = ""
    headers: tuple[str, ...] = ()
    found: tuple[Place, ...] = ()
    cell: str | None = None
    rule: str = ""


def largest_changes(
    cell: TracedCell, tensor: str, sequence: int, unit: int | None = None
) -> Places:
    """The steps at which a tensor changed most since the real step that was read before.

    The first step is compared with the initial state, where there is one.

    Args:
        cell: read block by block.
        tensor: ``h``, ``c`` or a gate.
        sequence: which.
        unit: in which column of it; None for all of them.

    Returns:
        The largest first, at most ``MOST_PLACES``.
    """
    units = np.arange(cell.shape(tensor)[2]) if unit is None else np.array([unit])
    cut = cell.cut
    late = cut.begins_late(cell.is_backward)
    outside = None if late else cell.others.get(f"initial_{tensor}")
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
        least = abs(found[-1][0]) if len(found) == MOST_PLACES else 0.0
        found = _largest([*found, *_changes(rows, steps, units, cell.is_backward, least)])
        rows, steps = rows[-1:], steps[-1:]
    if initial is not None and cell.is_backward and len(rows):
        rows, steps = np.concatenate([rows, initial]), np.append(steps, -1)
        found = _largest([*found, *_changes(rows, steps, units, True, 0.0)])
    return Places(
        f"changes of {tensor}" if unit is None else f"changes of {tensor}[{cut.number(unit)}]",
        ("unit", "change"),
        tuple(
            _change(change, step + cut.first_step, cut.number(which), sequence)
            for change, step, which in found
        ),
        cell.name,
    )


def _change(change: float, step: int, unit: int, sequence: int) -> Place:
    text = f"{change:+.4f}"
    return Place(step, step + 1, text, (str(unit), text), unit, sequence)


def find_label(labels: Sequence[str], text: str, sequence: int, first_step: int = 0) -> Places:
    """The steps whose labels hold a text, or at which a text of several labels begins.

    Args:
        labels: of the steps from ``first_step`` on.
        text: what is searched for.
        sequence: which they are of.
        first_step: the input's number of the first.

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
        first = bisect_right(starts, at) - 1 + first_step
        stop = min(bisect_right(starts, at + len(text) - 1), len(shown)) + first_step
        if not places or places[-1].start != first:
            words = between.join(shown[first - first_step : stop - first_step])
            places.append(Place(first, stop, words, (words,), None, sequence))
        at = running.find(text, at + 1)
    if not places:
        raise UsageError(f"no step has the label '{text}'")
    return Places(f"label '{text}'", ("label",), tuple(places))


def find_alike(
    cell: TracedCell,
    tensor: str,
    span: tuple[int, int],
    sequence: int,
    threshold: float = THRESHOLD,
    labels_of: Callable[[int], Sequence[str]] | None = None,
) -> Places:
    """Where else the units do what they do in a range of steps, as ``lstm find`` does.

    Units count that are on throughout and off in the step before; where there are none, those that
    are on throughout.

    Args:
        cell: read block by block.
        tensor: whose values.
        span: the input's numbers of the first step and of the one after the last.
        sequence: which.
        threshold: a unit is on where its |value| is at least this.
        labels_of: the labels of a sequence's steps, which are shown with the places.

    Raises:
        InputError: if no unit is on throughout the range.
    """
    how: dict[str, Any] = {"sequence": sequence, "tensor": tensor, "threshold": threshold}
    how["matches"] = MOST_PLACES + 1
    before = 1
    try:
        found = find(cell, span, left=before, **how)
    except InputError:  # a range that begins where nothing changes: then on is enough
        before = 0
        found = find(cell, span, left=before, **how)
    units = " ".join(f"{unit}{'+' if sign > 0 else '−'}" for unit, sign in found.units)
    value = "tanh c" if tensor == "c" else tensor
    hits = [hit for hit in found.hits if not hit.selected][:MOST_PLACES]
    texts = [_words(labels_of, hit, cell.cut.first_step) for hit in hits]
    return Places(
        f"like {span[0]}:{span[1]} in {tensor}",
        ("score", "shared", "labels") if any(texts) else ("score", "shared"),
        tuple(_alike(hit, text) for hit, text in zip(hits, texts, strict=True)),
        cell.name,
        f"on at |{value}| ≥ {threshold:g}{' and off 1 step before' if before else ''}: {units}",
    )


def _alike(hit: Hit, words: str) -> Place:
    shared = f"{hit.shared}/{hit.union}"
    text = f"score {hit.score:.2f}, {shared} units on" + (f", {words}" if words else "")
    cells = (f"{hit.score:.2f}", shared, words)
    return Place(hit.start, hit.start + hit.length, text, cells, None, hit.sequence)


def _words(labels_of: Callable[[int], Sequence[str]] | None, hit: Hit, first_step: int) -> str:
    """The labels of a hit's steps as running text; empty without labels."""
    if labels_of is None:
        return ""
    labels = labels_of(hit.sequence)
    start = hit.start - first_step
    own = labels[start : start + hit.length]
    return separator(labels).join(shown_label(label) for label in own)


def _changes(
    rows: Array, steps: NDArray[np.intp], units: NDArray[np.intp], backward: bool, least: float
) -> list[Change]:
    """The largest changes between neighbouring rows, each at the step that was read later.

    Those up to ``least`` are left out.
    """
    if len(rows) < 2:
        return []
    with np.errstate(invalid="ignore"):  # from inf to inf
        changes = np.diff(rows.astype(np.float64), axis=0) * (-1 if backward else 1)
    later = steps[:-1] if backward else steps[1:]
    size = np.nan_to_num(np.abs(changes), nan=0.0).ravel()
    chosen = np.flatnonzero(size > least)
    if len(chosen) > MOST_PLACES:
        chosen = chosen[np.argpartition(-size[chosen], MOST_PLACES - 1)[:MOST_PLACES]]
    return [
        (float(changes.flat[k]), int(later[k // len(units)]), int(units[k % len(units)]))
        for k in chosen
    ]


def _largest(changes: list[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: (-abs(change[0]), *change[1:]))[:MOST_PLACES]
