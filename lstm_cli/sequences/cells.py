"""Cells of one line of a table: how a line is split, and what counts as a number."""

from __future__ import annotations

import csv
import re

MISSING = frozenset({"", "na", "n/a", "null", "none", "-", "?", "#n/a", "missing"})
"""What tables hold, in lower case, where a value is missing; ``nan`` is a number instead."""

_NUMBER = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)", re.ASCII | re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+,\d*|,\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


def split(line: str, delimiter: str | None) -> list[str]:
    """Cells of a line, without the spaces and quotation marks around them.

    Args:
        line: Without its end.
        delimiter: One character; None for any run of spaces and tabs.
    """
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    if delimiter is None:
        line, delimiter = line.replace("\t", " ").strip(), " "
    reader = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
    return [cell.strip() for cell in next(reader, [])]


def is_number(cell: str) -> bool:
    """Whether the cell is a number with a decimal point or none, ``nan`` or ``inf``."""
    return bool(_NUMBER.fullmatch(cell))


def is_integer(cell: str) -> bool:
    """Whether the cell is written as a whole number: ``3``, not ``3.0``."""
    return bool(_INTEGER.fullmatch(cell))


def has_decimal_comma(cell: str) -> bool:
    """Whether the cell is a number like ``1,5``."""
    return bool(_DECIMAL_COMMA.fullmatch(cell))


def is_missing(cell: str) -> bool:
    """Whether the cell says that there is no value."""
    return cell.lower() in MISSING


def shown(cell: str, most: int = 30) -> str:
    """The cell for a message: quoted, control characters escaped, long text cut."""
    return repr(cell if len(cell) <= most else f"{cell[:most]}…")
