"""Labels of steps: a file with one a line, or a column of a text table."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError, NoSuchNameError
from .cells import is_missing, is_number
from .csv_columns import find_column
from .csv_layout import Layout, read_layout
from .csv_rows import RowReader
from .inputs import BLOCK_ROWS
from .lines import LineReader
from .signatures import kind_of
from .sources import open_source


def read_step_labels(path: str | Path) -> list[str]:
    """The lines of a text file as they stand, blanks included: a label each.

    Raises:
        InputError: If the file cannot be read, is no text, or is empty.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if b"\0" in data:
        raise InputError(f"{path}: expected text with a label a line, found a binary file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if not text:
        raise InputError(f"{path}: the file is empty; expected a label a line")
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def read_label_column(
    path: str | Path, column: str | int, sequence_column: str | int | None = None
) -> list[list[str]]:
    """A column of a text table as labels, a list for each sequence.

    Args:
        path: Of a text file.
        column: By name or index.
        sequence_column: Column whose values split the rows into sequences; without it there is
            one.

    Raises:
        InputError: If the file cannot be read or is no text table.
        NoSuchNameError: If there is no such column.
    """
    labels = _column(path, column)
    if sequence_column is None:
        return [labels]
    sequences: dict[str, list[str]] = {}
    for name, label in zip(_column(path, sequence_column), labels, strict=True):
        sequences.setdefault(name, []).append(label)
    return list(sequences.values())


def feature_columns(
    path: str | Path, label: str | int, sequence_column: str | int | None = None
) -> list[int] | None:
    """Indices of the columns of a text table without a column of labels; None where that one is
    numbers all the way down, so that it may well be a feature too.

    Raises:
        InputError: If the file cannot be read or is no text table.
        NoSuchNameError: If there is no such column.
    """
    with open_source(path) as opened:
        if kind_of(opened) != "text":
            raise InputError(f"{opened.name}: is no text table, so it has no columns with names")
        layout = read_layout(LineReader(opened))
    without = {_index(layout, c) for c in (label, sequence_column) if c is not None}
    if all(is_number(text) or is_missing(text) for text in _column(path, label)):
        return None
    return [k for k in range(layout.width) if k not in without]


def _index(layout: Layout, column: str | int) -> int:
    return find_column(column, layout.names, layout.width)


def _column(path: str | Path, column: str | int) -> list[str]:
    with open_source(path) as opened:
        if kind_of(opened) != "text":
            raise NoSuchNameError("column", str(column), ())
        reader = RowReader(LineReader(opened), columns=(), sequence_column=column)
        return [label for block in reader.blocks(BLOCK_ROWS) for label in block.labels]
