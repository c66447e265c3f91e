"""Heat maps of units by time, in colour or in plain characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from .charts import Chart, Panel
from .colours import MASKED_COLOUR, colour, half_blocks
from .display_numbers import short_number
from .grid import Lines, wrapped
from .notes import left_out_note
from .reduction import Flags, Reducer
from .results import Results
from .scales import Scale, scale_of
from .time_axis import TimeAxis, map_axis
from .unit_order import DESCRIPTIONS as SORT_DESCRIPTIONS
from .view import DESCRIPTIONS, view

GATE_RAMP = ".:-=+*#%@"
"""From 0 to 1 without colour; the blank is left for masked steps."""

SIGNED_RAMP = "Oo-.+xX"
"""From the most negative to the most positive, without colour."""

MASKED_MARK = "░"
PLAIN_NAN = "!"
LEGEND_CELLS = 12
NOTHING = Text("nothing with steps to show")


def heat_map(results: Results, width: int, height: int, *, colours: bool) -> Lines:
    """One map a tensor: units from top to bottom, steps from left to right, first sequence only.

    Where a column stands for several steps it shows the one that stands out most: of a gate the
    one farthest from the unit's mean, of others the largest magnitude. Masked steps are grey, or
    blank without colours.

    Args:
        results: arrays of steps.
        width, height: of the console.
        colours: two units a line in 256 or more colours, rather than one in plain characters.

    Raises:
        UsageError: if the arrays differ in their number of sequences or steps.
    """
    shown = view(results)
    rows = shown.rows(0) if shown.sequences else {}
    panels = []
    for name, array in rows.items():
        reducer = Reducer(array.shape[1])
        reducer.add(array, shown.masked[0, : len(array)])
        panels.append(Panel(name, tuple(shown.units[name]), reducer.columns()))
    chart = Chart(tuple(panels), shown.first_step)
    others = shown.sequences - 1
    return draw_maps(chart, width, height, colours=colours, other_sequences=others)


def draw_maps(
    chart: Chart,
    width: int,
    height: int,
    *,
    colours: bool,
    fewest_units: int = 1,
    other_sequences: int = 0,
) -> Lines:
    """The panels of a chart as maps.

    Args:
        chart: what to draw.
        width, height: of the console.
        colours: two units a line in 256 or more colours, rather than one in plain characters.
        fewest_units: shown of each tensor, even where the console has fewer lines.
        other_sequences: how many a file would have beside this one.
    """
    if not chart.steps:
        return Lines([NOTHING])
    margin = 1 + max(
        len(label) for panel in chart.panels for label in _labels(panel.units, colours)
    )
    room = max(1, width - margin)
    axis, _ = map_axis(chart.panels[0].columns, chart.first_step, room)
    below = axis.lines(margin, chart.labels)
    notes = _notes(chart, axis, width, colours)
    lines = max(1, (height - 3 - len(below) - len(notes)) // len(chart.panels) - 1)
    units = max(fewest_units, lines * 2 if colours else lines)
    picture: list[Text] = []
    for panel in chart.panels:
        picture += _panel(panel, units, room, margin, width, colours)
    hidden = max(0, *(len(panel.units) - units for panel in chart.panels))
    missing = {"unit": hidden, "sequence": other_sequences}
    return Lines([*picture, *below, *notes, *left_out_note(missing, width)])


def draws_in_colour(console: Console) -> bool:
    """Whether half blocks in many colours look right there."""
    many = console.color_system in ("256", "truecolor")
    return many and not console.no_color and console.encoding.lower().startswith("utf")


def title(panel: Panel, scale: Scale, width: int, colours: bool) -> list[Text]:
    """``f  forget gate   0 ██████ 1``; without room, no description, then a line for the scale."""
    legend = scale_legend(scale, colours)
    heading = Text.assemble((panel.name, "bold"))
    text = DESCRIPTIONS.get(panel.tensor, "")
    for description in (text + ", reads backwards" if panel.backward else text, text):
        if description and cell_len(f"{panel.name}  {description}   ") + legend.cell_len <= width:
            heading.append("  " + description)
            break
    if heading.cell_len + 3 + legend.cell_len > width:
        return [heading, legend]
    return [Text.assemble(heading, "   ", legend)]


def scale_legend(scale: Scale, colours: bool) -> Text:
    """``0 ██████ 1``."""
    legend = Text(short_number(scale.low) + " ")
    if colours:
        for k in range(LEGEND_CELLS):
            fractions = [(2 * k + half) / (2 * LEGEND_CELLS - 1) for half in (0, 1)]
            left, right = (colour(fraction, scale.diverging) for fraction in fractions)
            legend.append("▌", half_blocks(left, right))
    else:
        legend.append(SIGNED_RAMP if scale.diverging else GATE_RAMP)
    legend.append(" " + short_number(scale.high))
    return legend


def plain_mark(fraction: float, diverging: bool) -> str:
    """The character of a ramp for a fraction, 0 to 1."""
    ramp = SIGNED_RAMP if diverging else GATE_RAMP
    return PLAIN_NAN if np.isnan(fraction) else ramp[round(fraction * (len(ramp) - 1))]


def _panel(
    panel: Panel, units: int, room: int, margin: int, width: int, colours: bool
) -> list[Text]:
    scale = scale_of(panel)
    drawn = panel.of_units(panel.units[:units])
    axis, columns = map_axis(drawn.columns, 0, room)
    middle = 0.0 if scale.diverging else columns.means
    fractions = scale.fractions(columns.farthest_from(middle)).T
    labels = [label.rjust(margin - 1) + " " for label in _labels(drawn.units, colours)]
    draw = _coloured if colours else _plain
    body = draw(fractions, columns.masked, labels, axis.cells, scale.diverging)
    return [*title(panel, scale, width, colours), *body]


def _labels(units: Sequence[int], colours: bool) -> list[str]:
    """A label a line: the unit's number; of two units in a line both, unless they count up."""
    if not colours:
        return [str(unit) for unit in units]
    counting = all(later == unit + 1 for unit, later in pairwise(units))
    pairs = [units[k : k + 2] for k in range(0, len(units), 2)]
    return [str(pair[0]) if counting else ",".join(map(str, pair)) for pair in pairs]


def _coloured(
    fractions: NDArray[np.float64],
    masked: Flags,
    labels: Sequence[str],
    cells: int,
    diverging: bool,
) -> list[Text]:
    """Two units a line: ``▀`` has the upper one's colour, and the lower one's behind it."""
    lines = []
    for top in range(0, len(fractions), 2):
        line = Text.assemble((labels[top // 2], "dim"))
        for column, hidden in enumerate(masked):
            if hidden:
                line.append(MASKED_MARK * cells, Style(color=MASKED_COLOUR))
                continue
            pair = [colour(part, diverging) for part in fractions[top : top + 2, column]]
            line.append("▀" * cells, half_blocks(pair[0], pair[1] if len(pair) > 1 else None))
        lines.append(line)
    return lines


def _plain(
    fractions: NDArray[np.float64],
    masked: Flags,
    labels: Sequence[str],
    cells: int,
    diverging: bool,
) -> list[Text]:
    """One unit a line, a character of a ramp for each value."""
    lines = []
    for label, row in zip(labels, fractions, strict=False):
        marks = [plain_mark(value, diverging) for value in row]
        shown = [" " if hidden else mark for mark, hidden in zip(marks, masked, strict=True)]
        lines.append(Text(label + "".join(mark * cells for mark in shown)))
    return lines


def _notes(chart: Chart, axis: TimeAxis, width: int, colours: bool) -> list[Text]:
    notes = [reduction_note(chart, axis.width)] if axis.width > 1 else []
    notes += sequence_notes(chart.sequence, chart.sequences)
    notes += common_notes(chart, axis, MASKED_MARK if colours else "blank")
    if any(panel.columns.nan.any() for panel in chart.panels):
        notes.append(f"{'magenta' if colours else PLAIN_NAN}: not a number")
    return [line for note in notes for line in wrapped(note, width, "dim")]


def reduction_note(chart: Chart, width: int) -> str:
    """Which of ``width`` steps a column of a map shows."""
    gates = any(panel.to_one for panel in chart.panels)
    others = any(not panel.to_one for panel in chart.panels)
    rules = ["the one farthest from the unit's mean"] if gates else []
    rules += ["the largest magnitude"] if others else []
    kinds = ["of gates ", "of the others "] if gates and others else [""]
    which = ", ".join(kind + rule for kind, rule in zip(kinds, rules, strict=True))
    return f"each column is {width} steps: {which}"


def common_notes(chart: Chart, axis: TimeAxis, masked: str) -> list[str]:
    """What a reader of a picture has to know, whatever its style."""
    notes = []
    if chart.labels and axis.width > 1:
        notes.append("labels are shown where a column is one step: use --steps")
    if any(panel.columns.masked.any() for panel in chart.panels):
        notes.append(f"{masked}: masked steps")
    if chart.sort:
        notes.append(SORT_DESCRIPTIONS[chart.sort])
    return notes


def sequence_notes(sequence: int, sequences: int) -> list[str]:
    """Which of several sequences is shown, and how to see another."""
    if sequences <= 1:
        return []
    return [f"sequence {sequence}; --sequence shows another, up to {sequences - 1}"]
