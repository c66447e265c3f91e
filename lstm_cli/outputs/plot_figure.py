"""Charts as figures for files and notebooks, with matplotlib.

Panels have a height in inches, so that a picture of more units is taller, not more crowded.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingExtraError, UsageError
from .charts import Chart
from .display_numbers import short_number
from .figure_labels import LETTER_WIDTH, StepLabels
from .figure_panels import DOTS_AN_INCH, TICK_SIZE, draw_line, draw_map, set_title
from .heatmap import common_notes, reduction_note
from .pending import replacing, write_errors
from .plot_lines import Style, strips, unit_title
from .scales import Scale, axis_of, scale_of
from .time_axis import TimeAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE_FORMATS = ("png", "svg", "pdf")

WIDTH = 9.0
"""Inches, as all sizes but those of text, which are points."""

LEFT, RIGHT, TOP, BOTTOM, GAP = 0.5, 0.6, 0.0, 0.36, 0.3
BESIDE_NUMBERS = 0.28
"""Between the edge and an axis: its ticks or its bar of colours, and a little room."""

UNIT_HEIGHT, LOWEST_MAP, HIGHEST_MAP = 0.1, 0.4, 2.6
STATE_HEIGHT, GATE_HEIGHT, STRIP_GAP = 0.75, 0.42, 0.12
NOTE_SIZE, NOTE_HEIGHT = 7.0, 0.15
DIGIT_WIDTH = 0.64
POINTS = 72

TALLEST = 200.0
"""A figure of more than 30,000 dots is for nobody."""


def figure_of(chart: Chart, style: Style, width: float = WIDTH) -> Figure:
    """The chart as a figure: ``maps`` of units by time, or ``lines`` of single units.

    Raises:
        MissingExtraError: without matplotlib.
        UsageError: if there is nothing to draw, or more than one figure can show.
    """
    require_matplotlib()
    if not chart.steps:
        raise UsageError("there are no steps to draw")
    return _lines(chart, width) if style == "lines" else _maps(chart, width)


def require_matplotlib() -> None:
    """See that matplotlib is there, before any work is done for it.

    Raises:
        MissingExtraError: if it is not.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("drawing a figure", "matplotlib", "plot")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as .png, .svg or .pdf, whole or not at all; the same one twice alike.

    Raises:
        UsageError: for another extension.
        OutputError: if the file could not be written; an earlier one is untouched.
    """
    form = figure_format(path)
    from matplotlib import rc_context

    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    with (
        replacing(path) as temporary,
        write_errors(path),
        rc_context({"svg.hashsalt": "lstm"}),
        warnings.catch_warnings(),
    ):
        # A label in letters that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(temporary, format=form, metadata=metadata)


def figure_format(path: Path) -> str:
    """``svg`` of ``picture.svg``.

    Raises:
        UsageError: if figures cannot be written in it.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FIGURE_FORMATS:
        known = ", ".join(f".{name}" for name in FIGURE_FORMATS)
        raise UsageError(f"{path}: figures are written as {known}; choose one of these extensions")
    return form


class _Sheet:
    """Places axes from top to bottom; all of them have the same steps."""

    def __init__(
        self, chart: Chart, style: Style, height: float, width: float, numbers: float
    ) -> None:
        """``numbers``: inches that the longest one beside an axis takes."""
        from matplotlib.figure import Figure

        self._chart, self._width = chart, width
        self._left = max(LEFT, numbers if style == "lines" else 0.0)
        self._right = max(RIGHT, numbers if style == "maps" else 0.0)
        across = width - self._left - self._right
        self.most_columns = int(across * DOTS_AN_INCH)
        self._labels = StepLabels(chart, across * POINTS / chart.steps)
        notes = _notes(chart, style, width, self.most_columns, self._labels.every)
        room = self._labels.room / POINTS + NOTE_HEIGHT * len(notes)
        self._height = TOP + height + BOTTOM + room
        if self._height > TALLEST:
            raise UsageError(
                "one figure cannot show so many units; choose --units, --tensors or --layer"
            )
        self._done = TOP
        self._axes: list[Axes] = []
        self.figure = Figure(figsize=(width, self._height), dpi=DOTS_AN_INCH, facecolor="white")
        self.figure.text(
            self._left / width,
            0.05 / self._height,
            "\n".join(notes),
            fontsize=NOTE_SIZE,
            color="0.4",
            va="bottom",
        )

    def axes(self, above: float, height: float) -> Axes:
        """The next axes, with some space above them."""
        self._done += above + height
        axes = self._add(self._left, self._width - self._left - self._right, height)
        first = self._chart.first_step
        axes.set_xlim(first - 0.5, first + self._chart.steps - 0.5)
        axes.tick_params(axis="x", labelbottom=False, labelsize=TICK_SIZE + 0.5, length=2)
        self._axes.append(axes)
        return axes

    def beside(self, height: float) -> Axes:
        """Narrow axes to the right of the last ones."""
        return self._add(self._width - self._right + 0.08, 0.09, height)

    def finish(self) -> Figure:
        """Number the steps, and label them."""
        from matplotlib.ticker import MaxNLocator

        for axes in self._axes:
            axes.xaxis.set_major_locator(
                MaxNLocator(nbins=12, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
            )
        last = self._axes[-1]
        last.tick_params(axis="x", labelbottom=True, pad=2 + self._labels.room)
        last.set_xlabel("step", fontsize=TICK_SIZE + 0.5, labelpad=1)
        self._labels.put(last)
        return self.figure

    def _add(self, left: float, width: float, height: float) -> Axes:
        bottom = self._height - self._done
        across, up = self._width, self._height
        return self.figure.add_axes((left / across, bottom / up, width / across, height / up))


def _maps(chart: Chart, width: float) -> Figure:
    heights = [_map_height(len(panel.units)) for panel in chart.panels]
    numbers = _numbers_width({panel.name: scale_of(panel) for panel in chart.panels})
    sheet = _Sheet(chart, "maps", sum(heights) + GAP * len(heights), width, numbers)
    for panel, height in zip(chart.panels, heights, strict=True):
        axes = sheet.axes(GAP, height)
        columns = panel.columns.within(sheet.most_columns)
        draw_map(axes, sheet.beside(height), panel, columns, chart.first_step)
    return sheet.finish()


def _lines(chart: Chart, width: float) -> Figure:
    groups = list(strips(chart))
    scales = {panel.name: axis_of(panel) for panel in chart.panels}
    total = sum(
        GAP - STRIP_GAP + sum(STRIP_GAP + _strip_height(panel.to_one) for panel in panels)
        for _, _, panels in groups
    )
    sheet = _Sheet(chart, "lines", total, width, _numbers_width(scales))
    for cell, unit, panels in groups:
        for number, panel in enumerate(panels):
            axes = sheet.axes(STRIP_GAP if number else GAP, _strip_height(panel.to_one))
            single = panel.of_units([unit])
            columns = single.columns.within(sheet.most_columns)
            draw_line(axes, single, columns, scales[panel.name], chart.first_step)
            if not number:
                set_title(axes, unit_title(cell, unit, panel))
    return sheet.finish()


def _map_height(units: int) -> float:
    """Of one map; a unit has at least one line of dots, or some would not be seen at all."""
    return max(min(HIGHEST_MAP, max(LOWEST_MAP, UNIT_HEIGHT * units)), units / DOTS_AN_INCH)


def _strip_height(gate: bool) -> float:
    return GATE_HEIGHT if gate else STATE_HEIGHT


def _numbers_width(scales: Mapping[str, Scale]) -> float:
    """Inches from the edge of the figure to an axis that has these numbers beside it."""
    ends = [short_number(end) for scale in scales.values() for end in (scale.low, scale.high)]
    return BESIDE_NUMBERS + max(map(len, ends)) * TICK_SIZE * DIGIT_WIDTH / POINTS


def _notes(chart: Chart, style: Style, width: float, most_columns: int, every: int) -> list[str]:
    """What a reader has to know, in lines that fit."""
    notes = [f"sequence {chart.sequence}"] if chart.sequences > 1 else []
    notes += common_notes(chart, TimeAxis(chart.first_step, chart.steps, 1, 1), "grey")
    if any(panel.columns.nan.any() for panel in chart.panels):
        notes.append("magenta: not a number")
    if every > 1:
        notes.append(f"one label in {every} is shown")
    together = chart.panels[0].columns.within(most_columns).width
    if together > 1 and style == "maps":
        notes.insert(0, reduction_note(chart, together))
    elif together > 1:
        notes.insert(0, f"each column is {together} steps: the line covers all numbers in them")
    letters = int((width - LEFT) * POINTS / (NOTE_SIZE * LETTER_WIDTH))
    return textwrap.wrap("; ".join(notes), letters)
