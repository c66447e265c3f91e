"""The map under a cursor: units from top to bottom, steps from left to right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

from .colours import MASKED_COLOUR, colour
from .heatmap import MASKED_MARK, plain_mark, scale_legend
from .time_axis import WIDEST_STEP, TimeAxis
from .view import DESCRIPTIONS
from .view_state import Viewer, Window

BELOW = 3
"""Lines below the units: the cursor and marks, step numbers, labels."""

TALLEST_UNIT = 3
"""Lines that a unit takes at most, where there are few units."""

CURSOR, MARKED, FOUND = "▲", "━", "╌"
HERE = "◆"

_DARK, _LIGHT = Color.from_rgb(0, 0, 0), Color.from_rgb(255, 255, 255)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMap:
    """A map's lines, and what stands where in them.

    Attributes:
        lines: units, then ``BELOW`` lines.
        axis: of the steps.
        margin: cells to the left of the first step.
        top: the unit of the first line.
        units: how many units are seen.
        tall: lines that each of them takes.
    """

    lines: list[Text]
    axis: TimeAxis
    margin: int
    top: int
    units: int
    tall: int = 1

    def place(self, column: int, line: int) -> tuple[int, int] | None:
        """Step and unit at a cell of the screen; None where there is none."""
        at = column - self.margin
        if not (0 <= at < self.axis.room and 0 <= line < self.units * self.tall):
            return None
        step = self.axis.first_step + at * 2 // self.axis.halves * self.axis.width
        return min(step, self.axis.first_step + self.axis.steps - 1), self.top + line // self.tall


def room_of(viewer: Viewer, width: int) -> int:
    """How many columns of one cell a map of so many cells has."""
    return max(1, width - _margin(viewer))


def draw_map(viewer: Viewer, width: int, height: int, top: int, *, colours: bool) -> DrawnMap:
    """The map around the cursor.

    Args:
        viewer: which scrolls along the steps where it must.
        width, height: of the screen's part for it.
        top: the unit in the first line so far.
        colours: colours, rather than characters of a ramp.
    """
    margin = _margin(viewer)
    room = max(1, width - margin)
    window = viewer.window(room)
    columns = window.columns
    cells = min(WIDEST_STEP, room // max(1, len(columns))) if columns.width == 1 else 1
    axis = TimeAxis(window.first_step, columns.steps, columns.width, 2 * max(1, cells))
    rows = max(1, min(height - BELOW, viewer.units))
    top = max(0, min(max(top, viewer.unit - rows + 1), viewer.unit, viewer.units - rows))
    tall = max(1, min(TALLEST_UNIT, (height - BELOW) // rows))
    lines = []
    for unit in range(top, top + rows):
        line = _unit(viewer, window, axis, unit, margin, colours)
        lines += [line, *[_repeated(line, margin) for _ in range(1, tall)]]
    below = _below(viewer, window, axis, margin)
    return DrawnMap([*lines, *below], axis, margin, top, rows, tall)


def map_title(viewer: Viewer, width: int, room: int, colours: bool, name: str = "") -> Text:
    """What is seen, and its scale: ``c  cell state   -8.4 ████ 8.4``.

    Args:
        viewer: with as much ``room`` as its map has.
        width: of the line; what does not fit is left out, the last first.
        colours: whether the scale is in colour.
        name: of what is looked at.
    """
    sequences, window = viewer.traced.sequences, viewer.window(room)
    parts = [Text(f"  {DESCRIPTIONS[viewer.tensor]}"), Text("   ")]
    parts[1].append_text(scale_legend(window.scale, colours))
    parts += [Text("   reads backwards", "dim")] if viewer.traced.is_backward else []
    if sequences > 1:
        parts.append(Text(f"   sequence {viewer.sequence} (0 to {sequences - 1})", "dim"))
    parts += [Text(f"   {viewer.zoom} steps a column", "dim")] if viewer.zoom > 1 else []
    parts += [Text(f"   {name}", "dim")] if name else []
    line = Text.assemble((viewer.tensor, "bold"))
    for part in parts:
        if line.cell_len + part.cell_len <= width:
            line.append_text(part)
    return line


def _margin(viewer: Viewer) -> int:
    return len(str(viewer.units - 1)) + 2


def _unit(
    viewer: Viewer, window: Window, axis: TimeAxis, unit: int, margin: int, colours: bool
) -> Text:
    columns, scale = window.columns, window.scale
    middle = 0.0 if scale.diverging else columns.means
    values = columns.farthest_from(middle)[:, unit]
    fractions, here = scale.fractions(values), unit == viewer.unit
    label = f"{unit:>{margin - 1}} "
    line = Text.assemble((label, "reverse bold" if here else "dim"))
    at = (viewer.step - axis.first_step) // axis.width if here else -1
    for column, hidden in enumerate(columns.masked):
        text = " " * axis.cells
        if column == at:
            text = HERE.center(axis.cells)
        if not colours:
            mark = " " if hidden else plain_mark(float(fractions[column]), scale.diverging)
            line.append(mark * axis.cells, "reverse" if column == at else "")
        elif hidden:
            text = text.replace(" ", MASKED_MARK)
            line.append(text, Style(color=MASKED_COLOUR))
        else:
            back = colour(float(fractions[column]), scale.diverging)
            line.append(text, Style(color=_against(back), bgcolor=back, bold=True))
    return line


def _repeated(line: Text, margin: int) -> Text:
    """A unit's line once more, without its number and the cursor."""
    again = line[margin:]
    again.plain = again.plain.replace(HERE, " ")
    return Text.assemble(" " * margin, again)


def _against(back: Color) -> Color:
    """Black or white, whichever is seen on a colour."""
    red, green, blue = back.get_truecolor()
    return _DARK if np.dot((red, green, blue), (0.299, 0.587, 0.114)) > 128 else _LIGHT


def _below(viewer: Viewer, window: Window, axis: TimeAxis, margin: int) -> list[Text]:
    below = axis.lines(margin, window.labels)[: BELOW - 1]
    return [_marks(viewer, axis, margin), *below, *[Text("")] * (BELOW - 1 - len(below))]


def _marks(viewer: Viewer, axis: TimeAxis, margin: int) -> Text:
    """Where the cursor, the marked range and the places to jump to are."""
    marks = [" "] * axis.room
    for place in viewer.places:
        if place.sequence == viewer.sequence:
            _underline(marks, axis, place.start, place.stop, FOUND)
    if viewer.span is not None:
        _underline(marks, axis, *viewer.span, MARKED)
    at = axis.cell(viewer.step) + (axis.cells - 1) // 2
    marks[min(at, len(marks) - 1)] = CURSOR
    return Text(" " * margin + "".join(marks), "bold")


def _underline(marks: list[str], axis: TimeAxis, start: int, stop: int, mark: str) -> None:
    first, last = axis.first_step, axis.first_step + axis.steps - 1
    if start > last or stop <= first:
        return
    begin = axis.cell(max(start, first))
    end = axis.cell(min(stop - 1, last)) + axis.cells
    for k in range(begin, min(end, len(marks))):
        marks[k] = mark
