"""Single units over time as lines in a terminal: states, and the gates stacked below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.style import Style as TextStyle
from rich.text import Text

from ..model import Array
from .charts import Chart, Panel
from .colours import LINE_COLOURS, MASKED_COLOUR, NOT_A_NUMBER
from .display_numbers import short_number
from .grid import Lines, wrapped
from .heatmap import MASKED_MARK, NOTHING, PLAIN_NAN, common_notes, sequence_notes
from .reduction import Flags
from .scales import Scale, axis_of
from .time_axis import TimeAxis, line_axis

Style = Literal["maps", "lines"]

MOST_LINES = 8
"""Units that are drawn as lines where nothing else is asked for."""

STATE_LINES = 4
GATE_LINES = 2
DOTS = 4
"""Dots of a braille character from top to bottom; it has two of them side by side."""

BRAILLE = 0x2800
BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot, by row and column."""

ASCII_MARKS = {(True, False): "'", (False, True): ".", (True, True): "|"}
"""By whether dots are set in the upper and the lower half."""


def style_for(style: Style | None, units: Sequence[int] | None) -> Style:
    """The style that is asked for; else lines for a few chosen units, and maps for all."""
    if style is not None:
        return style
    return "lines" if units is not None and len(units) <= MOST_LINES else "maps"


def draw_lines(chart: Chart, width: int, *, colours: bool, braille: bool = True) -> Lines:
    """Each unit by itself: a strip for each tensor, one below the other, on one time axis.

    Where a column stands for several steps, the line covers all numbers from the smallest to the
    largest of them. Masked steps are grey.

    Args:
        chart: what to draw.
        width: of the console.
        colours: a colour for each tensor.
        braille: draw in dots of braille characters; else in ASCII.
    """
    if not chart.steps:
        return Lines([NOTHING])
    scales = {panel.name: axis_of(panel) for panel in chart.panels}
    ends = [short_number(end) for scale in scales.values() for end in (scale.low, scale.high)]
    names = max(len(panel.tensor) for panel in chart.panels)
    margin = names + 1 + max(map(len, ends)) + 1
    room = max(1, width - margin)
    axis, _ = line_axis(chart.panels[0].columns, chart.first_step, room)
    picture: list[Text] = []
    for cell, unit, panels in strips(chart):
        picture.append(Text(unit_title(cell, unit, panels[0]), "bold"))
        for panel in panels:
            strip = _Strip(panel.of_units([unit]), scales[panel.name], room)
            picture += strip.lines(names, margin, colours, braille)
    picture += axis.lines(margin, chart.labels)
    notes = [line for note in _notes(chart, axis, braille) for line in wrapped(note, width, "dim")]
    return Lines([*picture, *notes])


def strips(chart: Chart) -> Iterator[tuple[str, int, list[Panel]]]:
    """Cell, unit, and the panels that hold it, unit after unit of each cell."""
    for cell in dict.fromkeys(panel.cell for panel in chart.panels):
        panels = [panel for panel in chart.panels if panel.cell == cell]
        for unit in dict.fromkeys(unit for panel in panels for unit in panel.units):
            yield cell, unit, [panel for panel in panels if unit in panel.units]


def unit_title(cell: str, unit: int, panel: Panel) -> str:
    """``forward, unit 3``."""
    name = f"{cell}, unit {unit}" if cell else f"unit {unit}"
    return f"{name}, reads backwards" if panel.backward else name


class _Strip:
    """One tensor of one unit, some lines high."""

    def __init__(self, panel: Panel, scale: Scale, room: int) -> None:
        self._tensor, self._scale = panel.tensor, scale
        self._axis, self._columns = line_axis(panel.columns, 0, room)
        self._height = GATE_LINES if panel.to_one else STATE_LINES

    def lines(self, names: int, margin: int, colours: bool, braille: bool) -> list[Text]:
        dots = self._dots()  # (height * 4, cells * 2)
        masked = np.all(_wide(self._columns.masked, self._axis).reshape(-1, 2), axis=1)
        nan = np.any(_wide(self._columns.nan[:, 0], self._axis).reshape(-1, 2), axis=1)
        style = TextStyle(color=LINE_COLOURS.get(self._tensor)) if colours else TextStyle()
        lines = []
        for row in range(self._height):
            line = Text.assemble((self._label(row, names, margin), "dim"))
            block = dots[row * DOTS : (row + 1) * DOTS]
            for cell, (hidden, bad) in enumerate(zip(masked, nan, strict=True)):
                mark = _mark(block[:, 2 * cell : 2 * cell + 2], braille)
                if hidden:
                    line.append(MASKED_MARK if braille else " ", TextStyle(color=MASKED_COLOUR))
                elif bad and row == self._height - 1:
                    line.append(
                        PLAIN_NAN, TextStyle(color=NOT_A_NUMBER) if colours else TextStyle()
                    )
                else:
                    line.append(mark, style)
            lines.append(line)
        return lines

    def _label(self, row: int, names: int, margin: int) -> str:
        """``c   8.38 `` in the first line, the lower end in the last, 0 where it is between."""
        name = self._tensor if row == 0 else ""
        last = self._height - 1
        rows = self._height * DOTS
        zero = (rows - 1 - int(_level(self._scale.fractions(np.zeros(1)), rows)[0])) // DOTS
        number = {zero: "0", 0: short_number(self._scale.high)}.get(row, "")
        number = short_number(self._scale.low) if row == last else number
        return name.ljust(names) + number.rjust(margin - names - 1) + " "

    def _dots(self) -> Flags:
        """Which dots are set: each column from its smallest number to its largest."""
        rows = self._height * DOTS
        low, high = (
            _wide(_level(self._scale.fractions(numbers[:, 0]), rows), self._axis)
            for numbers in (self._columns.low, self._columns.high)
        )
        shown = _wide(~(self._columns.masked | np.isnan(self._columns.low[:, 0])), self._axis)
        low, high = _joined(low, high, shown)
        levels = np.arange(rows)[::-1, np.newaxis]
        return np.asarray((levels >= low) & (levels <= high) & shown)


def _level(fractions: NDArray[np.float64], rows: int) -> NDArray[np.int64]:
    """The row of dots for each fraction, 0 at the bottom."""
    return np.rint(np.nan_to_num(fractions) * (rows - 1)).astype(np.int64)


def _joined(
    low: NDArray[np.int64], high: NDArray[np.int64], shown: Flags
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns of dots that reach to the one before, so that steep lines do not break."""
    joined = low.copy(), high.copy()
    follows = shown[1:] & shown[:-1]
    rises = follows & (low[1:] > high[:-1] + 1)
    falls = follows & (high[1:] < low[:-1] - 1)
    joined[0][1:][rises] = high[:-1][rises] + 1
    joined[1][1:][falls] = low[:-1][falls] - 1
    return joined


def _wide(values: Array, axis: TimeAxis) -> Array:
    """One value a column as one a column of dots, two a cell; the last cell is filled up."""
    dots = np.repeat(values, axis.halves)
    return np.concatenate([dots, dots[-1:] if len(dots) % 2 else dots[:0]])


def _mark(dots: Flags, braille: bool) -> str:
    """The character for 4 x 2 dots."""
    if not dots.any():
        return " "
    if not braille:
        return ASCII_MARKS[bool(dots[:2].any()), bool(dots[2:].any())]
    bits = sum(
        bit for row, pair in enumerate(BRAILLE_DOTS) for k, bit in enumerate(pair) if dots[row, k]
    )
    return chr(BRAILLE + bits)


def _notes(chart: Chart, axis: TimeAxis, braille: bool) -> list[str]:
    notes = []
    if axis.width > 1:
        notes.append(f"half a character is {axis.width} steps: the line covers all numbers in them")
    notes += sequence_notes(chart.sequence, chart.sequences)
    notes += common_notes(chart, axis, MASKED_MARK if braille else "blank")
    if any(panel.columns.nan.any() for panel in chart.panels):
        notes.append(f"{PLAIN_NAN}: not a number")
    return notes
