"""Rows of a text file as blocks of numbers, in bounded memory and as they arrive.

A block is parsed by ``numpy.loadtxt``, about as fast as text can be read without another library.
Where that fails, or might read something else than meant, the block is parsed cell by cell. That
slow reading is the definition: it takes what the fast one must not decide (decimal commas, comments
between rows) and names the row, line and column of what cannot be read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .cells import has_decimal_comma, is_missing, is_number, shown, split
from .csv_columns import choose_columns, find_column
from .csv_layout import read_layout
from .lines import LineReader, is_content
from .npy import Array


class Rows(NamedTuple):
    """Consecutive rows of a table.

    Attributes:
        values: of the chosen columns, float64, shape (n, C).
        labels: text of the sequence column, one a row; empty without such a column.
    """

    values: Array
    labels: list[str]


class RowReader:
    """The table in a text file, read once, from the first row to the last.

    Attributes:
        name: of the source, for messages.
        layout: delimiter, width and names, as found.
        chosen: indices of the columns that are read.
        row: number of rows read so far.
    """

    def __init__(
        self,
        lines: LineReader,
        *,
        columns: Sequence[str | int] | None = None,
        sequence_column: str | int | None = None,
        header: bool | None = None,
    ) -> None:
        self.name = lines.name
        self.row = 0
        self._lines = lines
        self.layout = read_layout(lines, header)
        names, width = self.layout.names, self.layout.width
        self._label = (
            None if sequence_column is None else find_column(sequence_column, names, width)
        )
        first_row = split(lines.waiting[0], self.layout.delimiter)
        self.chosen = choose_columns(self.layout, first_row, columns, self._label, self.name)
        # With commas between cells only a point can be decimal; else the first number that has
        # one of the two decides, here or in a later row.
        self._decimal = "." if self.layout.delimiter == "," else ""
        for column in self.chosen:
            if column < len(first_row):
                self._decimal = self._decimal or _decimal_mark(first_row[column])
        self._blank_line = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the chosen columns; empty without a header."""
        names = self.layout.names
        return tuple(names[k] for k in self.chosen) if names else ()

    def blocks(self, rows: int) -> Iterator[Rows]:
        """Blocks of 1 to ``rows`` rows; from a live source, whatever has arrived.

        Raises:
            InputError: If a row cannot be read; its message names row, line and column.
        """
        while True:
            self._lines.fill(rows)
            number, lines = self._lines.take(rows)
            if not lines:
                return
            block = self._fast(lines) or self._careful(lines, number)
            if len(block.values):
                yield block

    def _fast(self, lines: list[str]) -> Rows | None:
        """The block by ``numpy.loadtxt``, or None where it must be read with care."""
        if not any(map(str.strip, lines)) or not self.chosen or self._blank_line:
            return None
        if self._decimal != "." and any("." in line or "," in line for line in lines):
            if self._decimal == "" or any("." in line for line in lines):
                return None
            numbers = [line.replace(",", ".") for line in lines]
        else:
            numbers = lines
        # Reading all columns, loadtxt sees by itself where widths differ.
        whole = self.chosen == tuple(range(self.layout.width))
        labels = [] if whole and self._label is None else self._labels(lines)
        if labels is None:
            return None
        try:
            values = np.loadtxt(
                numbers,
                delimiter=self.layout.delimiter,
                comments=None,
                quotechar='"',
                usecols=None if whole else self.chosen,
                ndmin=2,
                encoding="utf-8",
            )
        except (ValueError, OverflowError):
            return None
        if values.shape != (len(lines), len(self.chosen)):
            return None
        self.row += len(lines)
        return Rows(values, labels)

    def _labels(self, lines: list[str]) -> list[str] | None:
        """Text of the sequence column, if any; None where the block must be read with care.

        That is where a row has another width, or looks like a comment.
        """
        delimiter, width = self.layout.delimiter, self.layout.width
        text = "\n".join(lines)
        if "#" in text and not all(map(is_content, lines)):
            return None
        quoted = '"' in text
        if not quoted and self._label is None and delimiter is not None:
            return [] if all(line.count(delimiter) == width - 1 for line in lines) else None
        try:
            rows = _split_all(lines, delimiter) if quoted else [x.split(delimiter) for x in lines]
        except csv.Error:
            return None
        if len(rows) != len(lines) or any(len(row) != width for row in rows):
            return None
        if self._label is None:
            return []
        labels = [row[self._label].strip() for row in rows]
        return labels if all(labels) else None

    def _careful(self, lines: list[str], first: int) -> Rows:
        values, labels = [], []
        for number, line in enumerate(lines, first):
            if not is_content(line):
                self._skip(line, number)
                continue
            self.row += 1
            self._refuse_blank_line_before()
            cells = self._cells(line, number)
            values.append([self._number(cells[k], k, number) for k in self.chosen])
            if self._label is not None:
                if not cells[self._label]:
                    raise self._bad(self._label, number, "no value", "the name of its sequence")
                labels.append(cells[self._label])
        return Rows(np.array(values, np.float64).reshape(len(values), len(self.chosen)), labels)

    def _skip(self, line: str, number: int) -> None:
        """Pass over a blank line or a comment; a blank one may be a missing value."""
        if self.layout.width == 1 and not line.strip():
            self._blank_line = self._blank_line or number

    def _refuse_blank_line_before(self) -> None:
        if self._blank_line:
            raise InputError(
                f"{self.name}: line {self._blank_line} is blank, between row {self.row - 1} and "
                "the next; delete it, or write nan for a missing value"
            )

    def _cells(self, line: str, number: int) -> list[str]:
        try:
            cells = split(line, self.layout.delimiter)
        except csv.Error as error:
            raise InputError(f"{self._where(number)}: {error}") from error
        if len(cells) != self.layout.width:
            by = "the header" if self.layout.names else "row 1"
            quoted = (
                "; a quoted cell may not go over the end of a line" if line.count('"') % 2 else ""
            )
            raise InputError(
                f"{self._where(number)}: expected {_count(self.layout.width, 'cell')} as in {by}, "
                f"found {len(cells)}{quoted}"
            )
        return cells

    def _number(self, cell: str, column: int, number: int) -> float:
        mark = _decimal_mark(cell)
        if is_number(cell) or mark == ",":
            self._decimal = self._decimal or mark
            if mark in ("", self._decimal):
                return float(cell.replace(",", "."))
            raise self._bad(
                column, number, shown(cell), "one decimal mark, point or comma, in the whole file"
            )
        if is_missing(cell):
            found = shown(cell) if cell else "no value"
            raise self._bad(column, number, found, "a number; write nan for a missing value")
        raise self._bad(
            column, number, shown(cell), "a number; correct the cell, or choose other columns"
        )

    def _bad(self, column: int, number: int, found: str, expected: str) -> InputError:
        return InputError(
            f"{self._where(number)}, {self.layout.name(column)}: found {found}, expected {expected}"
        )

    def _where(self, number: int) -> str:
        return f"{self.name}: row {self.row} (line {number})"


def _decimal_mark(cell: str) -> str:
    """The decimal mark that the number in the cell has; empty for whole numbers and text."""
    if has_decimal_comma(cell):
        return ","
    return "." if "." in cell and is_number(cell) else ""


def _split_all(lines: list[str], delimiter: str | None) -> list[list[str]]:
    if delimiter is None:
        return [split(line, None) for line in lines]
    return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
