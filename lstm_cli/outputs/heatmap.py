"""Heat maps of units by time, in colour or in plain characters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ..model import Array
from .colours import colour, half_blocks
from .display_numbers import short_number
from .grid import Lines, wrapped
from .notes import left_out_note
from .results import Results, base_name
from .view import DESCRIPTIONS, View, view

WIDEST_STEP = 4
"""Cells that one step takes at most, where there are few steps."""

GATE_RAMP = ".:-=+*#%@"
"""From 0 to 1 without colour; the blank is left for masked steps."""

SIGNED_RAMP = "Oo-.+xX"
"""From the most negative to the most positive, without colour."""

GATES_TO_ONE = ("i", "f", "o")
PLAIN_NAN = "!"
LEGEND_CELLS = 12


@dataclass(frozen=True, slots=True)
class Scale:
    """What the ends of a colour scale stand for; a diverging one has 0 in its middle."""

    low: float
    high: float
    diverging: bool

    def fractions(self, values: Array) -> NDArray[np.float64]:
        """Where ``values`` lie between the ends, 0 to 1; NaN stays."""
        span = self.high - self.low
        with np.errstate(invalid="ignore"):
            part = (np.asarray(values, np.float64) - self.low) / (span if span > 0 else 1.0)
        return np.clip(part, 0.0, 1.0)


def heat_map(results: Results, width: int, height: int, *, colours: bool) -> Lines:
    """One map a tensor: units from top to bottom, steps from left to right, first sequence only.

    Where a column stands for several steps it shows the one that stands out most: of a gate the
    one farthest from the unit's mean, of others the largest magnitude. Masked steps are blank.

    Args:
        results: arrays of steps.
        width, height: of the console.
        colours: two units a line in 256 or more colours, rather than one in plain characters.

    Raises:
        UsageError: if the arrays differ in their number of sequences or steps.
    """
    shown = view(results)
    rows = shown.rows(0) if shown.sequences else {}
    steps = int(shown.lengths[0]) if shown.sequences else 0
    if not steps or not rows:
        return Lines([Text("nothing with steps to show")])
    margin = max(len(str(unit)) for units in shown.units.values() for unit in units) + 1
    bins = _Bins.fitting(steps, max(1, width - margin))
    notes = _notes(shown, rows, bins, width, colours)
    lines = max(1, (height - 4 - len(notes)) // len(rows) - 1)
    units = lines * 2 if colours else lines
    picture: list[Text] = []
    for name, array in rows.items():
        scale = scale_of(name, array[~shown.masked[0, :steps]])
        picture += _title(name, scale, width, colours)
        values, blank = bins.reduced(array[:, :units], shown.masked[0, :steps], scale.diverging)
        labels = [str(unit).rjust(margin - 1) + " " for unit in shown.units[name]]
        draw = _coloured if colours else _plain
        picture += draw(scale.fractions(values), blank, labels, bins.cells, scale.diverging)
    picture.append(_axis(bins, shown.first_step, margin))
    hidden = max(0, *(array.shape[1] - units for array in rows.values()))
    missing = {"unit": hidden, "sequence": shown.sequences - 1}
    return Lines([*picture, *notes, *left_out_note(missing, width)])


def draws_in_colour(console: Console) -> bool:
    """Whether half blocks in many colours look right there."""
    many = console.color_system in ("256", "truecolor")
    return many and not console.no_color and console.encoding.lower().startswith("utf")


def scale_of(name: str, values: Array) -> Scale:
    """0 to 1 for gates, and as far as they go beyond; else symmetric about 0.

    Args:
        name: of the tensor.
        values: at the steps that count.
    """
    finite = values[np.isfinite(values)]
    if base_name(name) in GATES_TO_ONE:
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        return Scale(min(0.0, low), max(1.0, high), False)
    most = float(np.abs(finite).max()) if finite.size else 0.0
    return Scale(-(most or 1.0), most or 1.0, True)


@dataclass(frozen=True, slots=True)
class _Bins:
    """How steps become columns: several steps a column, or several cells a step."""

    steps: int
    width: int
    cells: int

    @classmethod
    def fitting(cls, steps: int, room: int) -> _Bins:
        return cls(steps, -(-steps // room), max(1, min(WIDEST_STEP, room // steps)))

    @property
    def count(self) -> int:
        return -(-self.steps // self.width)

    def reduced(
        self, array: Array, masked: NDArray[np.bool_], diverging: bool
    ) -> tuple[Array, NDArray[np.bool_]]:
        """One value a column and unit, shape (U, columns), and which columns are blank."""
        padding = self.count * self.width - self.steps
        hidden = np.concatenate([masked, np.ones(padding, np.bool_)])
        values = np.pad(array.astype(np.float64), ((0, padding), (0, 0)))  # (columns * width, U)
        middle = 0.0 if diverging else _finite_mean(values[: self.steps][~masked])
        with np.errstate(invalid="ignore"):
            distance = np.abs(values - middle)
        distance[np.isnan(distance)] = np.inf
        distance[hidden] = -1.0
        apart = distance.reshape(self.count, self.width, -1)
        most = apart.argmax(axis=1)[:, np.newaxis]  # (columns, 1, U)
        chosen = np.take_along_axis(values.reshape(apart.shape), most, axis=1)[:, 0]
        blank = np.logical_and.reduce(hidden.reshape(self.count, self.width), axis=1)
        return chosen.T, blank


def _finite_mean(values: Array) -> Array:
    """Mean of each column's finite numbers, 0 where there are none."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(1, finite.sum(axis=0)))


def _title(name: str, scale: Scale, width: int, colours: bool) -> list[Text]:
    """``f  forget gate   0 ██████ 1``; without room, no description, then a line for the scale."""
    legend = Text(short_number(scale.low) + " ")
    if colours:
        for k in range(LEGEND_CELLS):
            fractions = [(2 * k + half) / (2 * LEGEND_CELLS - 1) for half in (0, 1)]
            left, right = (colour(fraction, scale.diverging) for fraction in fractions)
            legend.append("▌", half_blocks(left, right))
    else:
        legend.append(SIGNED_RAMP if scale.diverging else GATE_RAMP)
    legend.append(" " + short_number(scale.high))
    title = Text.assemble((name, "bold"))
    description = DESCRIPTIONS.get(base_name(name), "")
    if description and cell_len(f"{name}  {description}   ") + legend.cell_len <= width:
        title.append("  " + description)
    if title.cell_len + 3 + legend.cell_len > width:
        return [title, legend]
    return [Text.assemble(title, "   ", legend)]


def _coloured(
    fractions: NDArray[np.float64],
    blank: NDArray[np.bool_],
    labels: list[str],
    cells: int,
    diverging: bool,
) -> list[Text]:
    """Two units a line: ``▀`` has the upper one's colour, and the lower one's behind it."""
    lines = []
    for top in range(0, len(fractions), 2):
        line = Text.assemble((labels[top], "dim"))
        for column, hidden in enumerate(blank):
            if hidden:
                line.append(" " * cells)
                continue
            pair = [colour(part, diverging) for part in fractions[top : top + 2, column]]
            line.append("▀" * cells, half_blocks(pair[0], pair[1] if len(pair) > 1 else None))
        lines.append(line)
    return lines


def _plain(
    fractions: NDArray[np.float64],
    blank: NDArray[np.bool_],
    labels: list[str],
    cells: int,
    diverging: bool,
) -> list[Text]:
    """One unit a line, a character of a ramp for each value."""
    ramp = SIGNED_RAMP if diverging else GATE_RAMP
    lines = []
    for label, row in zip(labels, fractions, strict=False):
        marks = [PLAIN_NAN if np.isnan(v) else ramp[round(v * (len(ramp) - 1))] for v in row]
        shown = [" " if hidden else mark for mark, hidden in zip(marks, blank, strict=True)]
        lines.append(Text(label + "".join(mark * cells for mark in shown)))
    return lines


def _axis(bins: _Bins, first_step: int, margin: int) -> Text:
    """Step numbers under the columns they belong to."""
    room = bins.count * bins.cells
    every = _tick_distance(bins, len(str(first_step + bins.steps)) + 2)
    marks = [" "] * room
    start = -(-first_step // every) * every
    for step in range(start, first_step + bins.steps, every):
        at = (step - first_step) // bins.width * bins.cells
        if at + len(str(step)) <= max(room, len(str(step))):
            marks[at : at + len(str(step))] = str(step)
    return Text(" " * margin + "".join(marks).rstrip(), "dim")


def _tick_distance(bins: _Bins, cells: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, … steps that leaves ``cells`` cells between numbers."""
    distances = (digit * int(10**exponent) for exponent in count() for digit in (1, 2, 5))
    return next(d for d in distances if d // bins.width * bins.cells >= cells)


def _notes(
    shown: View, rows: Mapping[str, Array], bins: _Bins, width: int, colours: bool
) -> list[Text]:
    notes = []
    if bins.width > 1:
        gates = any(base_name(name) in GATES_TO_ONE for name in rows)
        others = any(base_name(name) not in GATES_TO_ONE for name in rows)
        rules = ["the one farthest from the unit's mean"] if gates else []
        rules += ["the largest magnitude"] if others else []
        kinds = ["of gates ", "of the others "] if gates and others else [""]
        which = ", ".join(kind + rule for kind, rule in zip(kinds, rules, strict=True))
        notes.append(f"each column is {bins.width} steps: {which}")
    if shown.masked[0, : bins.steps].any():
        notes.append("blank: masked steps")
    if any(np.isnan(array[~shown.masked[0, : bins.steps]]).any() for array in rows.values()):
        notes.append(f"{'magenta' if colours else PLAIN_NAN}: not a number")
    return [line for note in notes for line in wrapped(note, width, "dim")]
