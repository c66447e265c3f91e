"""Charts as figures for files and notebooks, with matplotlib.

Panels have a height in inches, so that a picture of more units is taller, not more crowded.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingExtraError, UsageError
from .charts import Chart
from .figure_panels import MOST_COLUMNS, TICK_SIZE, draw_line, draw_map, set_title
from .heatmap import common_notes, reduction_note
from .pending import replacing, write_errors
from .plot_lines import Style, strips, unit_title
from .scales import axis_of
from .step_labels import shown_label
from .time_axis import TimeAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE_FORMATS = ("png", "svg", "pdf")

WIDTH = 9.0
"""Inches, as all sizes but those of text, which are points."""

LEFT, RIGHT, TOP, BOTTOM, GAP = 0.5, 0.6, 0.0, 0.36, 0.3
UNIT_HEIGHT, LOWEST_MAP, HIGHEST_MAP = 0.1, 0.4, 2.6
STATE_HEIGHT, GATE_HEIGHT, STRIP_GAP = 0.75, 0.42, 0.12
LARGEST_LABEL, SMALLEST_LABEL = 8.0, 4.5
LETTER_WIDTH, LINE_HEIGHT = 0.68, 1.25
"""Of the size of the letters."""

LONGEST_LABEL = 24
NOTE_SIZE, NOTE_HEIGHT = 7.0, 0.15
POINTS = 72
DOTS_AN_INCH = 150

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

    def __init__(self, chart: Chart, style: Style, height: float, width: float) -> None:
        from matplotlib.figure import Figure

        self._chart, self._width = chart, width
        self._labels = _Labels(chart, (width - LEFT - RIGHT) * POINTS / chart.steps)
        notes = _notes(chart, style, width)
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
            LEFT / width,
            0.05 / self._height,
            "\n".join(notes),
            fontsize=NOTE_SIZE,
            color="0.4",
            va="bottom",
        )

    def axes(self, above: float, height: float) -> Axes:
        """The next axes, with some space above them."""
        self._done += above + height
        axes = self._add(LEFT, self._width - LEFT - RIGHT, height)
        first = self._chart.first_step
        axes.set_xlim(first - 0.5, first + self._chart.steps - 0.5)
        axes.tick_params(axis="x", labelbottom=False, labelsize=TICK_SIZE + 0.5, length=2)
        self._axes.append(axes)
        return axes

    def beside(self, height: float) -> Axes:
        """Narrow axes to the right of the last ones."""
        return self._add(self._width - RIGHT + 0.08, 0.09, height)

    def finish(self) -> Figure:
        """Number the steps, and label them."""
        from matplotlib.ticker import MaxNLocator

        for axes in self._axes:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 2, 5, 10], integer=True))
        last = self._axes[-1]
        last.tick_params(axis="x", labelbottom=True, pad=2 + self._labels.room)
        last.set_xlabel("step", fontsize=TICK_SIZE + 0.5, labelpad=1)
        self._labels.put(last)
        return self.figure

    def _add(self, left: float, width: float, height: float) -> Axes:
        bottom = self._height - self._done
        across, up = self._width, self._height
        return self.figure.add_axes((left / across, bottom / up, width / across, height / up))


class _Labels:
    """The labels of steps below a time axis, turned where they are long, as many as can be read.

    Args:
        chart: whose labels they are.
        points: from one step to the next.
    """

    def __init__(self, chart: Chart, points: float) -> None:
        labels = [_cut(shown_label(label)) for label in chart.labels]
        longest = max(map(len, labels), default=0)
        across = points / (LETTER_WIDTH * max(1, longest) + (longest > 1) * LETTER_WIDTH)
        self._turned = across < SMALLEST_LABEL and longest > 1
        self._size = min(LARGEST_LABEL, points / LINE_HEIGHT if self._turned else across)
        self._size = max(self._size, SMALLEST_LABEL)
        every = max(1, math.ceil(SMALLEST_LABEL * LINE_HEIGHT / points)) if self._turned else 1
        if not self._turned and across < SMALLEST_LABEL:
            every = math.ceil(SMALLEST_LABEL / across)
        self._texts = {chart.first_step + k: labels[k] for k in range(0, len(labels), every)}
        height = LETTER_WIDTH * longest if self._turned else LINE_HEIGHT
        self.room = height * self._size + 2 if labels else 0.0

    def put(self, axes: Axes) -> None:
        """Write them."""
        if not self._texts:
            return
        axes.xaxis.remove_overlapping_locs = False  # a label stays where a number stands below it
        axes.set_xticks(
            list(self._texts),
            list(self._texts.values()),
            minor=True,
            fontsize=self._size,
            rotation=90 if self._turned else 0,
            parse_math=False,
        )
        axes.tick_params(axis="x", which="minor", length=0, pad=4)


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _maps(chart: Chart, width: float) -> Figure:
    heights = [
        min(HIGHEST_MAP, max(LOWEST_MAP, UNIT_HEIGHT * len(panel.units))) for panel in chart.panels
    ]
    sheet = _Sheet(chart, "maps", sum(heights) + GAP * len(heights), width)
    for panel, height in zip(chart.panels, heights, strict=True):
        axes = sheet.axes(GAP, height)
        draw_map(axes, sheet.beside(height), panel, chart, height)
    return sheet.finish()


def _lines(chart: Chart, width: float) -> Figure:
    groups = list(strips(chart))
    scales = {panel.name: axis_of(panel) for panel in chart.panels}
    total = sum(
        GAP + sum(STRIP_GAP + _strip_height(panel.to_one) for panel in panels)
        for _, _, panels in groups
    )
    sheet = _Sheet(chart, "lines", total, width)
    for cell, unit, panels in groups:
        for number, panel in enumerate(panels):
            axes = sheet.axes(STRIP_GAP if number else GAP, _strip_height(panel.to_one))
            draw_line(axes, panel.of_units([unit]), scales[panel.name], chart)
            if not number:
                set_title(axes, unit_title(cell, unit, panel))
    return sheet.finish()


def _strip_height(gate: bool) -> float:
    return GATE_HEIGHT if gate else STATE_HEIGHT


def _notes(chart: Chart, style: Style, width: float) -> list[str]:
    """What a reader has to know, in lines that fit."""
    notes = [f"sequence {chart.sequence}"] if chart.sequences > 1 else []
    notes += common_notes(chart, TimeAxis(chart.first_step, chart.steps, 1, 1), "grey")
    together = chart.panels[0].columns.within(MOST_COLUMNS).width
    if together > 1 and style == "maps":
        notes.insert(0, reduction_note(chart, together))
    elif together > 1:
        notes.insert(0, f"each column is {together} steps: the line covers all numbers in them")
    letters = int((width - LEFT) * POINTS / (NOTE_SIZE * LETTER_WIDTH))
    return textwrap.wrap("; ".join(notes), letters)
