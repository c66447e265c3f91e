"""How units change at the steps of each symbol: a table with bands, and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.text import Text

from ..analysis.ranking import Association, Ranking
from ..analysis.responses import Response
from .display_numbers import short_number
from .grid import GAP, Column, Lines, clipped, grid, grid_width, wrapped
from .rows import csv_cell

MOST_SYMBOLS = 16
LABEL_CELLS = 16
BAND_CELLS = 40
FEWEST_BAND_CELLS = 12

OUTER, INNER, MEAN, ZERO = "─", "━", "●", "┊"


def responses_table(found: Ranking, top: int, width: int) -> Lines:
    """For each of the best units a table of its symbols, the most positive first.

    Args:
        found: with responses.
        top: how many units of each tensor.
        width: of the console.
    """
    lines: list[Text] = []
    for tensor in dict.fromkeys(row.tensor for row in found.rows):
        rows = [row for row in found.rows if row.tensor == tensor]
        for row in rows[:top]:
            lines += [Text(), *_unit(row, width)] if lines else _unit(row, width)
        if len(rows) > top:
            text = f"… {len(rows) - top} more units of {tensor}: --top or --json"
            lines += wrapped(text, width, "dim")
    text = (
        f"change: value after a step less that before; {INNER} from 25 to 75% of the steps of a "
        f"symbol, {OUTER} from 9 to 91% (Ming et al. 2017), {MEAN} mean, {ZERO} no change; units "
        "in the order of rank"
    )
    return Lines([*lines, Text(), *wrapped(text, width, "dim", "", GAP)])


def responses_lines(found: Ranking) -> Iterator[str]:
    """A line for each unit and symbol, as CSV with a header."""
    yield f"cell,tensor,unit,label,{','.join(Response._fields)}"
    for row in found.rows:
        front = f"{csv_cell(row.cell)},{row.tensor},{row.unit}"
        for name, (count, *figures) in row.responses.items():
            numbers = ",".join(f"{value:.9g}" for value in figures)
            yield f"{front},{csv_cell(name)},{count},{numbers}"


def _unit(row: Association, width: int) -> list[Text]:
    of = f" of {row.cell}" if row.cell else ""
    title = f"unit {row.unit}{of}: change of {row.tensor}"
    shown = _shown(row.responses)
    told = list(shown.values())
    columns = [
        Column("label", [clipped(_label(name), LABEL_CELLS) for name in shown], right=False),
        Column("n", [str(each.n) for each in told]),
        *(
            Column(name, [_number(getattr(each, field)) for each in told])
            for name, field in (
                *(("mean", "mean"), ("9%", "p9")),
                *(("25%", "p25"), ("75%", "p75"), ("91%", "p91")),
            )
        ),
    ]
    room = min(BAND_CELLS, width - grid_width(columns) - len(GAP))
    if room >= FEWEST_BAND_CELLS:
        columns.append(Column("", bands_of(told, room), right=False))
    lines = [*wrapped(title, width, "bold"), *grid(columns)]
    left = len(row.responses) - len(shown)
    return [*lines, *wrapped(f"… {left} more labels: --json", width, "dim")] if left else lines


def _shown(told: Mapping[str, Response]) -> dict[str, Response]:
    """The symbols with the largest changes, from the most positive to the most negative."""
    largest = sorted(told, key=lambda name: -abs(told[name].mean))[:MOST_SYMBOLS]
    return {name: told[name] for name in sorted(largest, key=lambda name: -told[name].mean)}


def bands_of(told: list[Response], cells: int) -> list[str]:
    """A line for each response, all on one scale: its bands, its mean, and zero."""
    least = min(0.0, *(min(each.p9, each.mean) for each in told))
    most = max(0.0, *(max(each.p91, each.mean) for each in told))
    spread = (most - least) or 1.0

    def place(value: float) -> int:
        return round((value - least) / spread * (cells - 1))

    lines = []
    for each in told:
        line = [" "] * cells
        line[place(0.0)] = ZERO
        for low, high, mark in ((each.p9, each.p91, OUTER), (each.p25, each.p75, INNER)):
            line[place(low) : place(high) + 1] = mark * (place(high) - place(low) + 1)
        line[place(each.mean)] = MEAN
        lines.append("".join(line).rstrip())
    return lines


def _label(name: str) -> str:
    return repr(name) if name.isspace() else name


def _number(value: float) -> str:
    return f"{value:+.3f}" if abs(value) < 1e3 else short_number(value)
