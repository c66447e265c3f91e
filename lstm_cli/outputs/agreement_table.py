"""Arrays beside the expected ones, for a terminal, as CSV and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from ..analysis.agreement import Agreement, ArrayAgreement
from ..errors import listing
from .display_numbers import short_number
from .grid import GAP, Column, Lines, bands, grid, grid_width, wrapped
from .rows import csv_cell

HEADER = (
    "array,verdict,max,mean,median,q99,relative,rmse,nonfinite,values,tolerance,beyond,"
    "expected_to_float64,found_to_float64,worst"
)
LEAST_IMPORTANT = ("mean", "median", "q99")
"""Columns that a narrow console leaves out, in this order."""

LONG = 20
"""Rows from which the verdict is repeated below, as the first one may be out of sight."""

MARKS = {"equal": "", "rounding": "rounding", "different": "different"}


def agreement_report(found: Agreement, title: str, width: int) -> Lines:
    """The verdict first, then a row an array, those that differ first."""
    verdict = _verdict(found, width)
    lines = [*wrapped(title, width), Text(), *verdict]
    if found.unchecked:
        lines += wrapped(f"not checked: {listing(found.unchecked)}", width, "dim", "", GAP)
    rows = sorted(found.arrays, key=lambda row: row.verdict == "equal")
    keys = [Column("|Δ| in", [row.name for row in rows], right=False)]
    styles = ["" if row.verdict == "equal" else "bold" for row in rows]
    columns, left_out = _fitting(keys, _columns(rows), width)
    for band in bands(keys, columns, width):
        lines += [Text(), *grid(band, styles)]
    if left_out:
        text = f"… {', '.join(left_out)}: in a wider terminal, or with --json"
        lines += wrapped(text, width, "dim", "", GAP)
    for text in _legend(rows):
        lines += wrapped(text, width, "dim", "", GAP)
    return Lines([*lines, Text(), *verdict] if len(rows) > LONG else lines)


def agreement_lines(found: Agreement) -> Iterator[str]:
    """A line an array, as CSV with a header."""
    yield HEADER
    for row in found.arrays:
        figures = row.figures
        numbers = [figures.maximum, figures.mean, figures.median, figures.q99]
        numbers += [figures.relative, figures.rmse]
        cells = [
            csv_cell(row.name),
            row.verdict,
            *(f"{number:.9g}" for number in numbers),
            str(figures.nonfinite),
            str(figures.values),
            f"{row.bound:.9g}",
            str(row.beyond),
            f"{row.expected_error:.9g}",
            f"{row.found_error:.9g}",
            " ".join(map(str, row.worst)),
        ]
        yield ",".join(cells)


def agreement_facts(found: Agreement) -> dict[str, Any]:
    """The same for JSON: ``same``, ``by``, ``unchecked``, ``notes``, ``arrays``."""
    return {
        "same": found.same,
        "by": found.by or None,
        "unchecked": list(found.unchecked),
        "notes": list(found.notes),
        "arrays": [
            {
                "array": row.name,
                "verdict": row.verdict,
                "max": row.figures.maximum,
                "mean": row.figures.mean,
                "median": row.figures.median,
                "q99": row.figures.q99,
                "relative": row.figures.relative,
                "rmse": row.figures.rmse,
                "nonfinite": row.figures.nonfinite,
                "values": row.figures.values,
                "tolerance": row.bound,
                "beyond": row.beyond,
                "worst": list(row.worst),
                "expected_to_float64": row.expected_error,
                "found_to_float64": row.found_error,
            }
            for row in found.arrays
        ],
    }


def _verdict(found: Agreement, width: int) -> list[Text]:
    count = len(found.arrays)
    different = [row.name for row in found.arrays if row.verdict == "different"]
    rounded = [row.name for row in found.arrays if row.verdict == "rounding"]
    amount = f"{count} array{'' if count == 1 else 's'}"
    if found.same:
        return wrapped(f"verified: {amount} equal, within the tolerance", width, "bold")
    lines: list[Text] = []
    if different:
        lines += wrapped(f"different: {listing(different)}", width, "bold", "", GAP)
        lines += wrapped(_reason(found), width, "", "", GAP)
    if rounded:
        text = (
            f"beyond the tolerance, by rounding: {listing(rounded)} (as near to a run in float64 "
            "as ours)"
        )
        lines += wrapped(text, width, "bold", "", GAP)
    return lines


def _reason(found: Agreement) -> str:
    """Why it is no rounding, of the array that is farthest beyond its tolerance."""
    different = [row for row in found.arrays if row.verdict == "different"]
    worst = max(different, key=lambda row: row.figures.maximum / (row.bound or 1))
    if worst.expected_error != worst.expected_error:
        return f"there is no run in float64 to tell whether {worst.name} differs by rounding alone"
    return (
        f"no rounding: of {worst.name} a run of ours in float64 is "
        f"{short_number(worst.expected_error)} from what is expected, "
        f"{short_number(worst.found_error)} from ours"
    )


def _legend(rows: list[ArrayAgreement]) -> list[str]:
    """What the headers mean, as far as they are there."""
    texts = []
    if any(MARKS[row.verdict] for row in rows):
        texts.append("beyond: values farther off than allowed; at: where the largest |Δ| is")
    if any(row.expected_error == row.expected_error for row in rows):
        texts.append("expected, ours: the largest distance of either from a run of ours in float64")
    return texts


def _fitting(
    keys: list[Column], columns: list[Column], width: int
) -> tuple[list[Column], list[str]]:
    """The columns that fit side by side without the least important ones, and those ones' names."""
    kept, left_out = columns, list[str]()
    for header in LEAST_IMPORTANT:
        if grid_width([*keys, *kept]) <= width:
            return kept, left_out
        kept = [column for column in kept if column.header != header]
        left_out.append(header)
    return kept, left_out


def _columns(rows: list[ArrayAgreement]) -> list[Column]:
    figures = [row.figures for row in rows]
    columns = [
        Column("max", [short_number(f.maximum) for f in figures]),
        Column("mean", [short_number(f.mean) for f in figures]),
        Column("median", [short_number(f.median) for f in figures]),
        Column("q99", [short_number(f.q99) for f in figures]),
        Column("allowed", [short_number(row.bound) for row in rows]),
        Column("expected", [short_number(row.expected_error) for row in rows]),
        Column("ours", [short_number(row.found_error) for row in rows]),
    ]
    if any(MARKS[row.verdict] for row in rows):
        columns.insert(0, Column("verdict", [MARKS[row.verdict] for row in rows], right=False))
        columns.insert(
            1, Column("beyond", [str(row.beyond) if row.beyond else "-" for row in rows])
        )
        columns.insert(3, Column("at", [", ".join(map(str, row.worst)) for row in rows]))
    return columns
