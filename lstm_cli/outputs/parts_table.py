"""Parts of a number as rows of a table: how many fit, their labels and bars."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from .grid import Column, grid, grid_width

Room = tuple[int, int | None] | None
"""Height of the console, and how many parts are asked for; None for all of them."""

FEWEST_ROWS = 5
BAR_CELLS = 16
LABEL_CELLS = 16


def with_bars(columns: list[Column], parts: Sequence[float], width: int) -> list[Text]:
    """The columns, and a bar for each part where there is room."""
    room = min(BAR_CELLS, (width - grid_width(columns) - 2) // 2)
    if room < 4:
        return grid(columns)
    largest = max((abs(part) for part in parts), default=0.0) or 1.0
    bars = []
    for part in parts:
        length = round(room * abs(part) / largest)
        left, right = ("█" * length, "") if part < 0 else ("", "█" * length)
        bars.append(left.rjust(room) + "│" + right.ljust(room))
    return grid([*columns, Column("", bars, right=False)])


def rows_for(count: int, room: Room, taken: int) -> int:
    """How many of ``count`` rows to show, beside ``taken`` other lines."""
    if room is None:
        return count
    height, asked = room
    return min(count, max(FEWEST_ROWS, height - taken) if asked is None else asked)


def number_text(value: float, digits: int = 5) -> str:
    """A number in few digits, its sign always in front of it."""
    return f"{value:.{digits}g}" if value == value else "-"


def label_of(labels: Sequence[str], step: int) -> str:
    """The label of a step; nothing where there is none."""
    return labels[step] if step < len(labels) else ""
