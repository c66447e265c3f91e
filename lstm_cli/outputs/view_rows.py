"""Rows of coloured cells with a cursor in them.

Letters: C columns.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style
from rich.text import Span, Text

from ..model import Array
from .colours import LEVELS, MASKED_COLOUR, colour
from .heatmap import MASKED_MARK, PLAIN_NAN, plain_mark
from .reduction import Flags
from .scales import Scale
from .time_axis import TimeAxis

HERE, ACROSS = "◆", "│"
"""The cursor, and where other rows are in its column."""

_NAN, _MASKED = -1, -2
_FILLED = {_NAN: PLAIN_NAN, _MASKED: MASKED_MARK}
"""What stands in cells that have no number."""

_DARK, _LIGHT = Color.from_rgb(0, 0, 0), Color.from_rgb(255, 255, 255)
_BRIGHT = 128
"""Luma, of 255, from which on black is seen better on a colour than white."""


class Painter:
    """Draws rows on one time axis, all with the cursor in the same column.

    Args:
        axis: of the steps.
        step: the input's number of the step under the cursor.
        colours: colours, rather than characters of a ramp.
    """

    def __init__(self, axis: TimeAxis, step: int, *, colours: bool) -> None:
        self._cells, self._colours = axis.cells, colours
        self._at = (step - axis.first_step) // axis.width
        self._styles: dict[tuple[int, bool], Style] = {}

    def row(self, values: Array, masked: Flags, scale: Scale, here: bool, marked: bool) -> Text:
        """The cells of one row.

        Args:
            values: of one unit, shape (C,).
            masked: shape (C,).
            scale: of the colours.
            here: whether the cursor is in this row.
            marked: whether the cursor's own mark is in this line; a row may take several.
        """
        fractions = scale.fractions(values)
        if not self._colours:
            return self._plain(fractions, masked, scale.diverging, here)
        levels = np.where(np.isnan(fractions), _NAN, np.rint(fractions * (LEVELS - 1)))
        levels = np.where(masked, _MASKED, levels).astype(int)
        changes = np.flatnonzero(np.diff(levels)) + 1
        spans, pieces = [], []
        for start, stop in pairwise([0, *changes.tolist(), len(levels)]):
            level = int(levels[start])
            pieces.append(_FILLED.get(level, " ") * self._cells * (stop - start))
            style = self._style(level, scale.diverging)
            spans.append(Span(start * self._cells, stop * self._cells, style))
        return Text(
            self._with_mark("".join(pieces), HERE if here and marked else ACROSS), spans=spans
        )

    def _with_mark(self, text: str, mark: str) -> str:
        at = self._at * self._cells + (self._cells - 1) // 2
        return f"{text[:at]}{mark}{text[at + 1 :]}"

    def _plain(
        self, fractions: NDArray[np.float64], masked: Flags, diverging: bool, here: bool
    ) -> Text:
        """Characters of a ramp, the cursor's in reverse."""
        marks = [
            " " if hidden else plain_mark(float(fraction), diverging)
            for fraction, hidden in zip(fractions, masked, strict=True)
        ]
        line = Text("".join(mark * self._cells for mark in marks))
        if here:
            line.stylize("reverse", self._at * self._cells, (self._at + 1) * self._cells)
        return line

    def _style(self, level: int, diverging: bool) -> Style:
        key = (level, diverging)
        if key not in self._styles:
            if level == _MASKED:
                self._styles[key] = Style(color=MASKED_COLOUR)
            else:
                part = np.nan if level == _NAN else level / (LEVELS - 1)
                back = colour(part, diverging)
                self._styles[key] = Style(color=_against(back), bgcolor=back, bold=True)
        return self._styles[key]


def _against(back: Color) -> Color:
    """Black or white, whichever is seen on a colour."""
    luma = float(np.dot(back.get_truecolor(), (0.299, 0.587, 0.114)))
    return _DARK if luma > _BRIGHT else _LIGHT
