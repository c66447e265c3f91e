"""Which columns of a table are read, and what to say where they hold no numbers."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Sequence

from ..errors import AmbiguousNameError, InputError, NoSuchNameError, UsageError
from .cells import has_decimal_comma, is_missing, is_number, shown
from .csv_layout import Layout

MOST_ADVISED = 50
"""Columns that a message spells out; a longer option would not be pasted anyway."""


def parse_columns(text: str) -> list[str]:
    """``a,b,"c, d"`` -> its names or indices.

    Raises:
        UsageError: If a name is missing.
    """
    names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
    if not names or not all(names):
        raise UsageError(f"--columns '{text}': expected names or indices such as open,high or 0,3")
    return names


def find_column(column: str | int, names: Sequence[str], width: int) -> int:
    """Index of a column given by name or, where no column has that name, by index from 0.

    Raises:
        NoSuchNameError: If there is no such column.
        AmbiguousNameError: If several columns have the name.
    """
    if isinstance(column, str):
        places = [k for k, name in enumerate(names) if name == column]
        if len(places) > 1:
            raise AmbiguousNameError("column", column, map(str, places))
        if places:
            return places[0]
    text = str(column)
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < width:
        return int(text)
    raise NoSuchNameError("column", text, [n for n in names if n] or map(str, range(width)))


def find_columns(columns: Sequence[str | int], names: Sequence[str], width: int) -> tuple[int, ...]:
    """Indices of several columns; one text ``"a,b"`` is taken apart by ``parse_columns``.

    Raises:
        NoSuchNameError: If there is no such column.
        AmbiguousNameError: If several columns have a name.
    """
    if isinstance(columns, str):
        columns = parse_columns(columns)
    return tuple(find_column(column, names, width) for column in columns)


def choose_columns(
    layout: Layout,
    first_row: Sequence[str],
    columns: Sequence[str | int] | None,
    sequence_column: int | None,
    source: str,
) -> tuple[int, ...]:
    """Indices of the columns to read: those asked for, or all but the sequence column.

    Args:
        layout: Of the table.
        first_row: Cells of the first row of data.
        columns: Names or indices; None for all.
        sequence_column: Index of the column that names each row's sequence, if there is one.
        source: Name of the file, for messages.

    Raises:
        InputError: If a column that nobody asked for holds text, or lacks a name.
    """
    if columns is not None:
        return find_columns(columns, layout.names, layout.width)
    chosen = tuple(k for k in range(layout.width) if k != sequence_column)
    if len(first_row) != layout.width:
        return chosen  # ragged, which is said with row and line when the row is read
    numeric = [k for k in chosen if is_number(first_row[k]) or has_decimal_comma(first_row[k])]
    text = [k for k in sorted({*chosen} - {*numeric}) if not is_missing(first_row[k])]
    if text:
        raise InputError(f"{source}: {_holds_text(layout, first_row, text, numeric)}")
    nameless = [k for k in chosen if layout.names and layout.width > 1 and not layout.names[k]]
    if nameless:
        index = ", like an index that was saved with its table" if nameless[0] == 0 else ""
        named = [k for k in numeric if layout.names[k]]
        raise InputError(
            f"{source}: column {nameless[0]} has no name{index}; {_advice(layout, named)}"
        )
    if not chosen:
        raise InputError(f"{source}: there is no column beside the one that names the sequences")
    return chosen


def _holds_text(
    layout: Layout, first_row: Sequence[str], text: Sequence[int], numeric: Sequence[int]
) -> str:
    first = text[0]
    found = f"{layout.name(first)} holds text ({shown(first_row[first])} in row 1)"
    if len(text) > 1:
        others = ", ".join(layout.name(k).removeprefix("column ") for k in text[1:6])
        found += f", and so {'does' if len(text) == 2 else 'do'} {others}" + (
            " and more" if len(text) > 6 else ""
        )
    if not numeric:
        return f"{found}; expected at least one column of numbers"
    return f"{found}; {_advice(layout, numeric)}"


def _advice(layout: Layout, columns: Sequence[int]) -> str:
    """``choose numeric columns with --columns open,high``."""
    if not 0 < len(columns) <= MOST_ADVISED:
        return "choose numeric columns with --columns"
    names = [layout.names[k] if layout.names else "" for k in columns]
    plain = all(
        name and layout.names.count(name) == 1 and not set(name) & set('",') and not name.isdigit()
        for name in names
    )
    option = ",".join(names if plain else map(str, columns))
    return f"choose numeric columns with --columns {shlex.quote(option)}"
