"""Single panels of a figure: a map of units by time, or one unit's line, with matplotlib."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from ..model import Array
from .charts import Panel
from .colours import DIVERGING, LINES, NAN_RGB, SEQUENTIAL
from .display_numbers import short_number
from .reduction import Columns
from .scales import Scale, scale_of
from .view import DESCRIPTIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

DOTS_AN_INCH = 150
UNIT_TICKS_AN_INCH = 11
MASKED_GREY = "0.6"
"""Darker than numbers near 0, which are grey as well."""

TINT = 0.2
TICK_SIZE = 6.5
"""Points."""


def draw_map(axes: Axes, bar: Axes, panel: Panel, columns: Columns, first_step: int) -> None:
    """Units from top to bottom, steps from left to right, and the scale of colours beside it.

    Args:
        axes, bar: where to draw.
        panel: what to draw.
        columns: its numbers, in no more columns than the picture has dots.
        first_step: the input's number of the first step.
    """
    scale = scale_of(panel)
    middle = 0.0 if scale.diverging else columns.means
    colours = _colour_map(scale.diverging)
    first = first_step - 0.5
    values = columns.farthest_from(middle)
    values[columns.masked] = middle  # under the grey: not a number would shine through at its edges
    axes.imshow(
        values.T,
        cmap=colours,
        vmin=scale.low,
        vmax=scale.high,
        aspect="auto",
        interpolation="nearest",
        extent=(first, first + len(columns) * columns.width, len(panel.units) - 0.5, -0.5),
    )
    _grey_masked(axes, columns, first)
    height = axes.bbox.height / DOTS_AN_INCH
    every = -(-len(panel.units) // max(1, int(height * UNIT_TICKS_AN_INCH)))
    places = list(range(0, len(panel.units), every))
    axes.set_yticks(places, [str(panel.units[k]) for k in places], fontsize=TICK_SIZE)
    axes.set_ylabel("unit", fontsize=TICK_SIZE, labelpad=2)
    description = DESCRIPTIONS.get(panel.tensor, "")
    backward = ", reads backwards" if panel.backward else ""
    set_title(axes, f"{panel.name}  {description}{backward}")
    ramp = np.linspace(scale.low, scale.high, 256)[:, np.newaxis]
    extent = (0.0, 1.0, scale.low, scale.high)
    bar.imshow(ramp, cmap=colours, aspect="auto", origin="lower", extent=extent)
    bar.set_xticks([])
    bar.yaxis.tick_right()
    _number_axis(bar, scale)


def draw_line(axes: Axes, panel: Panel, columns: Columns, scale: Scale, first_step: int) -> None:
    """One unit: level within each step; where a column is several steps, all of their range.

    Args:
        axes: where to draw.
        panel: one unit.
        columns: its numbers.
        scale: of the vertical axis.
        first_step: the input's number of the first step.
    """
    colour = _rgb(LINES.get(panel.tensor, (90, 90, 90)))
    low, high = (np.repeat(array[:, 0], 2) for array in (columns.low, columns.high))
    edges = np.minimum(np.arange(len(columns) + 1) * columns.width, columns.steps)
    x = np.repeat(edges, 2)[1:-1] + first_step - 0.5
    if columns.width > 1:
        axes.fill_between(x, low, high, color=colour, linewidth=0.8)
    else:
        axes.fill_between(x, 0, high, color=_tint(colour), linewidth=0)
        axes.plot(x, high, color=colour, linewidth=1.2)
    axes.axhline(0, color="0.6", linewidth=0.5, zorder=1.5)
    _grey_masked(axes, columns, first_step - 0.5)
    for start, stop in _spans(columns, columns.nan[:, 0]):
        left = first_step - 0.5
        axes.axvspan(left + start, left + stop, color=_rgb(NAN_RGB), linewidth=0)
    room = 0.06 * (scale.high - scale.low)
    axes.set_ylim(scale.low - room, scale.high + room)
    _number_axis(axes, scale)
    axes.text(
        1.01, 0.5, panel.tensor, transform=axes.transAxes, va="center", color=colour, weight="bold"
    )
    axes.spines[["top", "right"]].set_visible(False)


def set_title(axes: Axes, text: str) -> None:
    """A title at the left end; names are no formulas, whatever characters they have."""
    axes.set_title(text, loc="left", fontsize=9, pad=3, parse_math=False)


def _number_axis(axes: Axes, scale: Scale) -> None:
    """Numbers at both ends and at 0; 0 alone where an end is too near to it."""
    span = scale.high - scale.low
    ends = [end for end in (scale.low, scale.high) if end == 0 or abs(end) > 0.15 * span]
    ticks = sorted({0.0, *ends})
    axes.set_yticks(ticks, [short_number(tick) for tick in ticks], fontsize=TICK_SIZE)


def _colour_map(diverging: bool) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    stops = [_rgb(stop) for stop in (DIVERGING if diverging else SEQUENTIAL)]
    return LinearSegmentedColormap.from_list("", stops).with_extremes(bad=_rgb(NAN_RGB))


def _rgb(parts: tuple[int, int, int]) -> tuple[float, float, float]:
    return parts[0] / 255, parts[1] / 255, parts[2] / 255


def _tint(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """A light one of the same hue, opaque: not every viewer of SVG files blends colours."""
    red, green, blue = (1 - TINT * (1 - part) for part in colour)
    return red, green, blue


def _grey_masked(axes: Axes, columns: Columns, left: float) -> None:
    for start, stop in _spans(columns, columns.masked):
        axes.axvspan(left + start, left + stop, color=MASKED_GREY, linewidth=0)


def _spans(columns: Columns, flags: Array) -> list[tuple[int, int]]:
    """The steps at which flagged columns begin and end, counted from the first."""
    return [
        (first * columns.width, min(last * columns.width, columns.steps))
        for first, last in _runs(flags)
    ]


def _runs(flags: Array) -> list[tuple[int, int]]:
    """Where runs of true flags begin and end."""
    found, place = [], 0
    for flag, run in groupby(flags.tolist()):
        length = len(list(run))
        if flag:
            found.append((place, place + length))
        place += length
    return found
