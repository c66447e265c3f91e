"""Columns of text that never wrap: what does not fit goes into a band below, or is cut."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from .plain_letters import in_plain_letters

GAP = "  "
RULE = " │ "
ELLIPSIS = "…"

_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "�")
"""Names come from files: none of them may steer the terminal."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Finished lines; a console shows them as they are, cut at its edge and never wrapped."""

    lines: Sequence[Text]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines:
            shown = line.copy()
            shown.plain = line.plain.translate(_CONTROLS)
            if not console.encoding.lower().startswith("utf"):
                shown = in_plain_letters(shown)
            shown.no_wrap, shown.overflow = True, "crop"
            yield shown

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "\n".join(line.plain for line in self.lines)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column.

    Attributes:
        header: above the cells.
        cells: one a row, without line breaks.
        group: columns of one group stand together under its name, apart from others.
        right: align to the right.
        style: of the cells.
    """

    header: str
    cells: Sequence[str]
    group: str = ""
    right: bool = True
    style: str = ""

    @property
    def width(self) -> int:
        return max(map(cell_len, (self.header, *self.cells)))


def grid(columns: Sequence[Column], row_styles: Sequence[str] = ()) -> list[Text]:
    """Lines: group names where there are any, headers, a line a row."""
    lines = [_group_line(columns)] if any(column.group for column in columns) else []
    headers = [(column.header, "bold") for column in columns]
    lines.append(_line(columns, headers))
    for row in range(len(columns[0].cells)):
        cells = [(column.cells[row], column.style) for column in columns]
        line = _line(columns, cells)
        line.style = row_styles[row] if row_styles else ""
        lines.append(line)
    return lines


def grid_width(columns: Sequence[Column]) -> int:
    """Width of the lines that ``grid`` makes."""
    between = (_between(a, b) for a, b in pairwise(columns))
    return sum(column.width for column in columns) + sum(map(len, between))


def bands(keys: Sequence[Column], columns: Sequence[Column], width: int) -> list[list[Column]]:
    """``columns`` cut into bands that fit, the ``keys`` in front of each.

    Columns of one group stay together where a band has room for all of them.
    """
    found: list[list[Column]] = []
    band: list[Column] = []
    for column in columns:
        if band and grid_width([*keys, *band, column]) > width:
            whole = [other for other in columns if column.group and other.group == column.group]
            begun = len([other for other in band if other in whole])
            moved = begun if begun < len(band) and grid_width([*keys, *whole]) <= width else 0
            found.append([*keys, *band[: len(band) - moved]])
            band = band[len(band) - moved :]
        band.append(column)
    return [*found, [*keys, *band]] if band or not found else found


def clipped(line: str, width: int) -> str:
    """``line`` in ``width`` cells, its end replaced by an ellipsis where it is longer."""
    if cell_len(line) <= width:
        return line
    return set_cell_size(line, max(0, width - 1)).rstrip() + ELLIPSIS


def clipped_left(line: str, width: int) -> str:
    """``line`` in ``width`` cells, its beginning replaced by an ellipsis where it is longer."""
    if cell_len(line) <= width:
        return line
    return ELLIPSIS + set_cell_size(line[::-1], max(0, width - 1))[::-1]


def wrapped(text: str, width: int, style: str = "", first: str = "", later: str = "") -> list[Text]:
    """``text`` in lines of at most ``width``, with an indent for the first and the later ones."""
    lines = textwrap.wrap(
        text, max(width, 10), initial_indent=first, subsequent_indent=later, break_on_hyphens=False
    )
    return [Text(line, style) for line in lines]


def _group_line(columns: Sequence[Column]) -> Text:
    """Each group's name above its columns, followed by a rule."""
    line, k = Text(), 0
    while k < len(columns):
        group = columns[k].group
        end = next((n for n in range(k, len(columns)) if columns[n].group != group), len(columns))
        width = grid_width(columns[k:end])
        name = clipped_left(group, width)
        line.append(name, "bold")
        rule = width - cell_len(name) - 1
        line.append(" " + "─" * rule if group and rule > 0 else " " * (rule + 1), "dim")
        if end < len(columns):
            line.append(RULE if columns[end].group else GAP, "dim")
        k = end
    line.rstrip()
    return line


def _line(columns: Sequence[Column], cells: Sequence[tuple[str, str]]) -> Text:
    line = Text()
    for k, (column, (text, style)) in enumerate(zip(columns, cells, strict=True)):
        if k:
            line.append(_between(columns[k - 1], column), "dim")
        padding = " " * (column.width - cell_len(text))
        line.append(padding + text if column.right else text + padding, style)
    line.rstrip()
    return line


def _between(left: Column, right: Column) -> str:
    return RULE if left.group != right.group and right.group else GAP
