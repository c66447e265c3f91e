"""How a text file is laid out, found by looking at its first lines: delimiter and header."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from ..errors import InputError
from .cells import has_decimal_comma, is_integer, is_missing, is_number, split
from .lines import LineReader

DELIMITERS = ("\t", ";", ",", None)
"""Candidates, in the order in which they win where the lines leave it open."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What every row of a table has in common.

    Attributes:
        delimiter: between cells; None for any run of spaces and tabs.
        width: number of cells in a row.
        names: of the columns, from the header; empty without one.
        note: what was assumed where the lines can be read in two ways, or empty.
    """

    delimiter: str | None
    width: int
    names: tuple[str, ...] = ()
    note: str = ""

    def name(self, column: int) -> str:
        """How messages call a column: ``column 'open'`` or ``column 3``."""
        named = self.names[column] if self.names else ""
        return f"column '{named}'" if named else f"column {column}"


def read_layout(lines: LineReader, header: bool | None = None) -> Layout:
    """Find the layout, and leave the first row of data as the first waiting line.

    A second line is waited for only where the first one does not settle it.

    Args:
        lines: At the start of the source.
        header: Whether the first line holds names; None to find out by looking.

    Raises:
        InputError: If there is nothing but comments, or nothing below the header.
    """
    first = lines.find(0)
    if first is None:
        what = "only comments and blank lines" if lines.waiting else "nothing"
        raise InputError(f"{lines.name}: the file holds {what}; expected rows of numbers")
    comments = [line for line in lines.waiting[:first] if line.lstrip().startswith("#")]
    line = lines.waiting[first]
    try:
        alone = header is False or (header is None and _is_plain_row(line))
        second = None if alone else lines.find(first + 1)
        following = None if second is None else lines.waiting[second]
        layout, names_first = _layout(line, following, header)
        if not names_first:
            layout = _with_comment_names(layout, comments)
    except csv.Error as error:
        raise InputError(f"{lines.name}: line {lines.number + first}: {error}") from error
    if names_first and second is None:
        names = ", ".join(layout.names)
        raise InputError(f"{lines.name}: the file holds a header ({names}) and no rows below it")
    lines.take(second if names_first and second is not None else first)
    return layout


def _layout(first: str, second: str | None, header: bool | None) -> tuple[Layout, bool]:
    """The layout, and whether ``first`` is its header."""
    delimiter = _delimiter([first] if second is None else [first, second])
    cells = split(first, delimiter)
    below = None if second is None else split(second, delimiter)
    if header is None:
        header = _is_header(cells, below)
    note = ""
    if _counts_up(cells):
        read_as = "a header" if header else "a row of numbers, not as a header"
        start = ", ".join(cells if len(cells) < 5 else [*cells[:4], "…"])
        note = f"the first line ({start}) was read as {read_as}"
    names = tuple(cells) if header else ()
    return Layout(delimiter, len(cells), names, note), header


def _is_plain_row(line: str) -> bool:
    """Whether the line is a row of numbers without a doubt, so that no other need be seen."""
    cells = split(line, _delimiter([line]))
    unclear = len(cells) > 2 and _counts_up(cells)
    return not unclear and all(is_number(c) or has_decimal_comma(c) for c in cells)


def _delimiter(lines: list[str]) -> str | None:
    """The delimiter that gives all lines the same number of cells, and the last most numbers."""
    split_lines = {d: [split(line, d) for line in lines] for d in DELIMITERS}
    even = [d for d, rows in split_lines.items() if len({len(row) for row in rows}) == 1]
    several = [d for d in even if len(split_lines[d][-1]) > 1]
    if several:
        return max(several, key=lambda d: _numeric_share(split_lines[d][-1], d))
    single = [d for d in even if _numeric_share(split_lines[d][-1], d) == 1]
    if single or len(lines) == 1:
        return ","
    # The lines do not fit together. Whoever reads them will say so with this choice.
    return max(
        DELIMITERS, key=lambda d: (_numeric_share(split_lines[d][-1], d), len(split_lines[d][0]))
    )


def _numeric_share(cells: list[str], delimiter: str | None) -> float:
    numeric = sum(is_number(c) or (delimiter != "," and has_decimal_comma(c)) for c in cells)
    return numeric / max(1, len(cells))


def _is_header(cells: list[str], below: list[str] | None) -> bool:
    """Whether the first line's cells are names, judged by themselves and by the line below."""
    numeric = [is_number(c) or has_decimal_comma(c) for c in cells]
    if all(numeric):
        # pandas names unnamed columns 0, 1, 2, …; the same writer puts a decimal point into floats.
        # Two such cells may well be the first row of a series, so they stay a row, with a note.
        if len(cells) < 3 or below is None:
            return False
        return _counts_up(cells) and not all(map(is_integer, below))
    if not any(numeric):
        return not all(map(is_missing, cells))
    if below is None or len(below) != len(cells):
        return False
    if cells[0] == "" and cells[1:] == [str(k) for k in range(len(cells) - 1)]:
        return True  # pandas again, with the index as its first column
    words = [(c, b) for c, b, n in zip(cells, below, numeric, strict=True) if not n]
    years = all(is_integer(c) for c, n in zip(cells, numeric, strict=True) if n)
    return years and all(_is_word(c) and not _is_word(b) for c, b in words)


def _counts_up(cells: list[str]) -> bool:
    """Whether the cells are 0, 1, 2, …, at least two."""
    return len(cells) > 1 and cells == [str(k) for k in range(len(cells))]


def _is_word(cell: str) -> bool:
    return cell[:1].isalpha() and not is_number(cell) and not is_missing(cell)


def _with_comment_names(layout: Layout, comments: list[str]) -> Layout:
    """Names from the last comment that has one for every column, as numpy.savetxt writes them."""
    for comment in reversed(comments):
        text = comment.strip().lstrip("#").strip()
        for delimiter in (layout.delimiter, ",", None):
            names = split(text, delimiter)
            if len(names) == layout.width and all(names) and not any(map(is_number, names)):
                return Layout(layout.delimiter, layout.width, tuple(names), layout.note)
    return layout
