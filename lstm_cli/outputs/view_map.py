"""The map under a cursor: units from top to bottom, steps from left to right."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from .display_numbers import short_number
from .scales import Scale
from .step_labels import shown_label
from .time_axis import LABEL_LINES, WIDEST_STEP, TimeAxis
from .view_rows import Painter
from .view_state import Viewer
from .view_window import Window

BELOW = 2
"""Lines below the units: the cursor and marks, and step numbers; those of labels come to them."""

TALLEST_UNIT = 3
"""Lines that a unit takes at most, where there are few units."""

FEWEST_UNITS = 12
"""Units that are seen before a part of the screen is given to the tensors of one."""

CURSOR, MARKED, FOUND = "▲", "━", "╌"


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMap:
    """A map's lines, and what stands where in them.

    Attributes:
        lines: units, the axis below them, then those of the unit under the cursor.
        axis: of the steps.
        margin: cells to the left of the first step.
        top: the unit of the first line.
        units: how many units are seen.
        tall: lines that each of them takes.
        tensors: those of the unit under the cursor, each in one of the last lines.
    """

    lines: list[Text]
    axis: TimeAxis
    margin: int
    top: int
    units: int
    tall: int = 1
    tensors: tuple[str, ...] = ()

    def step(self, column: int) -> int | None:
        """The step at a column of the screen; None beside the map."""
        at = column - self.margin
        if not 0 <= at < self.axis.room:
            return None
        step = self.axis.first_step + at * 2 // self.axis.halves * self.axis.width
        return min(step, self.axis.first_step + self.axis.steps - 1)

    def unit(self, line: int) -> int | None:
        """The unit at a line; None below the map."""
        return self.top + line // self.tall if 0 <= line < self.units * self.tall else None

    def tensor(self, line: int) -> str | None:
        """The tensor of a line below the map; None elsewhere."""
        at = line - (len(self.lines) - len(self.tensors))
        return self.tensors[at] if 0 <= at < len(self.tensors) else None


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
    margin, room = _margin(viewer), room_of(viewer, width)
    window = viewer.window(room)
    columns = window.columns
    cells = min(WIDEST_STEP, room // max(1, len(columns))) if columns.width == 1 else 1
    axis = TimeAxis(window.first_step, columns.steps, columns.width, 2 * max(1, cells))
    painter = Painter(axis, viewer.step, colours=colours)
    labels = _label_lines(viewer, axis, height)
    height -= BELOW + labels
    tensors = _tensors(viewer, height)
    rows = max(1, min(height - (len(tensors) + 1 if tensors else 0), viewer.units))
    top = max(0, min(max(top, viewer.unit - rows + 1), viewer.unit, viewer.units - rows))
    tall = max(1, min(TALLEST_UNIT, (height - (len(tensors) + 1 if tensors else 0)) // rows))
    lines = [
        line
        for unit in range(top, top + rows)
        for line in _unit(viewer, window, painter, unit, margin, tall)
    ]
    lines += _below(viewer, window, axis, margin, labels)
    if tensors:
        lines += _of_the_unit(viewer, tensors, painter, room, margin, width - margin - axis.room)
    return DrawnMap(lines, axis, margin, top, rows, tall, tensors)


def _margin(viewer: Viewer) -> int:
    return max(len(str(viewer.unit_number)), len(str(viewer.number_of(viewer.units - 1)))) + 2


def _tensors(viewer: Viewer, height: int) -> tuple[str, ...]:
    """Those of the unit under the cursor, where there is room for them below the map."""
    found = viewer.tensors
    enough = height >= min(viewer.units, FEWEST_UNITS) + len(found) + 1
    return found if enough and len(found) > 1 and viewer.sees_all_tensors else ()


def _unit(
    viewer: Viewer, window: Window, painter: Painter, unit: int, margin: int, tall: int
) -> list[Text]:
    here = unit == viewer.unit
    label = f"{viewer.number_of(unit):>{margin - 1}} "
    lines = []
    for k in range(tall):
        text = label if k == (tall - 1) // 2 else " " * margin
        line = Text(text, "bold reverse" if here and text.strip() else "dim")
        lines.append(_with_row(line, window, painter, unit, here, text == label))
    return lines


def _with_row(
    line: Text, window: Window, painter: Painter, unit: int, here: bool, first: bool
) -> Text:
    """A line with a unit's cells behind its label."""
    values, masked = window.values[:, unit], window.columns.masked
    row = painter.row(values, masked, window.scale, here, first)
    return Text.assemble(line).append_text(row)


def _of_the_unit(
    viewer: Viewer, tensors: tuple[str, ...], painter: Painter, room: int, margin: int, right: int
) -> list[Text]:
    """A line for each tensor of the unit under the cursor, on the same axis."""
    lines = [Text(" " * margin + f"all of unit {viewer.unit_number}", "bold")]
    for tensor in tensors:
        here = tensor == viewer.tensor
        line = Text(f"{tensor:>{margin - 1}} ", "bold reverse" if here else "dim")
        if viewer.unit >= viewer.traced.shape(tensor)[2]:  # h of a projection has fewer
            lines.append(line)
            continue
        window = viewer.window(room, tensor)
        line = _with_row(line, window, painter, viewer.unit, here, True)
        ends = f"  {_ends(window.scale)}"
        lines.append(line.append(ends, "dim") if len(ends) <= right else line)
    return lines


def _ends(scale: Scale) -> str:
    return f"{short_number(scale.low)} to {short_number(scale.high)}"


def _label_lines(viewer: Viewer, axis: TimeAxis, height: int) -> int:
    """One for labels that are no wider than their steps; for others as many as there is room."""
    if not viewer.labels:
        return 0
    wide = any(cell_len(shown_label(label)) >= max(2, axis.cells) for label in viewer.labels)
    return LABEL_LINES if wide and height >= viewer.units + BELOW + LABEL_LINES else 1


def _below(
    viewer: Viewer, window: Window, axis: TimeAxis, margin: int, label_lines: int
) -> list[Text]:
    """Marks, step numbers and labels, that of the cursor's step in reverse."""
    numbers, *labels = axis.lines(margin, window.labels)
    label, start = shown_label(viewer.label(viewer.step)), margin + axis.cell(viewer.step)
    own = slice(start, start + len(label))
    for line in labels:
        if label.strip() and line.plain[own] == label:
            line.stylize("reverse bold", own.start, own.stop)
    missing = [Text("")] * (label_lines - len(labels))
    return [_marks(viewer, axis, margin), numbers, *labels[:label_lines], *missing]


def _marks(viewer: Viewer, axis: TimeAxis, margin: int) -> Text:
    """Where the cursor, the marked range and the places to jump to are."""
    marks = [" "] * axis.room
    for place in viewer.places.found:
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
