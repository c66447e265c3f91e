"""Tables of numbers for a terminal: the first and last steps, as many units as fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np
from rich.text import Text

from ..model import Array
from .display_numbers import number_format
from .grid import Column, Lines, grid, grid_width, wrapped
from .notes import left_out_note
from .results import Results
from .view import View, view

FEWEST_ROWS = 4
COMFORTABLE_UNITS = 2
"""Tensors stand side by side where each shows this many of its units, else above each other."""

MASKED = "m"

NARROWEST_COLUMN = 3
FIXED_LINES = 4
"""Lines of a table that are no rows: two of headers, two of notes."""

Row = tuple[int, int] | None
"""Sequence and step of a table's row; None stands for the steps that are not shown."""


def trace_table(results: Results, width: int, height: int) -> Lines:
    """States or gates: steps as rows, units as columns, tensors as groups of columns.

    All sequences where their steps fit, else the first. A masked step is marked, and its gates
    are blank; steps beyond a sequence's length are not there.

    Args:
        results: arrays of steps; arrays without a time axis are not shown.
        width, height: of the console.

    Raises:
        UsageError: if the arrays differ in their number of sequences or steps.
    """
    shown = view(results)
    if not shown.tensors:
        return Lines([Text("nothing with steps to show")])
    across = _bands(shown, _rows(shown, max(FEWEST_ROWS, height - FIXED_LINES)), width)
    rows = _rows(shown, max(FEWEST_ROWS, (height - 1) // len(across) - FIXED_LINES + 1))
    keys = _key_columns(shown, rows)
    styles = [_row_style(shown, row) for row in rows]
    lines: list[Text] = []
    hidden = 0
    for names in across:
        groups = [_unit_columns(shown, name, rows, width) for name in names]
        count = _fitting(keys, groups, width)
        columns = [column for group in groups for column in group[:count]]
        lines += [Text()] if lines else []
        lines += grid([*keys, *columns], styles)
        hidden = max(hidden, *(len(shown.units[name]) - count for name in names))
    return Lines([*lines, *_notes(shown, rows, hidden, width)])


def outputs_table(arrays: Mapping[str, Array], width: int, height: int) -> Lines:
    """Arrays with names and shapes: the last axis across, the axes before it down.

    Args:
        arrays: what a layer or model returned, by name.
        width, height: of the console.
    """
    rooms = _shares([_row_count(array) for array in arrays.values()], height - 1)
    lines: list[Text] = []
    missing = {"row": 0, "column": 0}
    for (name, array), room in zip(arrays.items(), rooms, strict=True):
        shape = ", ".join(map(str, array.shape)) + ("," if array.ndim == 1 else "")
        heading = Text.assemble((name, "bold"), (f"  ({shape})  {array.dtype}", "dim"))
        lines += [Text(), heading] if lines else [heading]
        body, rows, columns = _array_lines(array, room, width)
        lines += body
        missing = {"row": missing["row"] + rows, "column": max(missing["column"], columns)}
    return Lines([*lines, *left_out_note(missing, width)])


def ends(count: int, room: int) -> list[int | None]:
    """The first and last of ``count`` rows, with None between them, in at most ``room`` rows."""
    if count <= room:
        return list(range(count))
    tail = (room - 1) // 2
    return [*range(room - 1 - tail), None, *range(count - tail, count)]


def _rows(shown: View, room: int) -> list[Row]:
    """Every step of every sequence, or the first and last steps of the first sequence."""
    if shown.lengths.sum() <= room:
        return [(b, t) for b in range(shown.sequences) for t in range(shown.lengths[b])]
    return [None if t is None else (0, t) for t in ends(int(shown.lengths[0]), room)]


def _bands(shown: View, rows: Sequence[Row], width: int) -> list[list[str]]:
    """Names of the tensors that stand side by side, from the top to the bottom."""
    names = list(shown.tensors)
    keys = _key_columns(shown, rows)
    groups = {name: _unit_columns(shown, name, rows, width) for name in names}
    for across in range(len(names), 1, -1):
        cut = [names[k : k + across] for k in range(0, len(names), across)]
        wanted = [[c for n in band for c in groups[n][:COMFORTABLE_UNITS]] for band in cut]
        if all(grid_width([*keys, *columns]) <= width for columns in wanted):
            return cut
    return [[name] for name in names]


def _key_columns(shown: View, rows: Sequence[Row]) -> list[Column]:
    steps = ["…" if row is None else str(row[1] + shown.first_step) for row in rows]
    marks = [MASKED if row and shown.masked[row] else "" for row in rows]
    columns = [Column("step", steps)]
    if len({row[0] for row in rows if row}) > 1:
        columns.insert(0, Column("sequence", [str(row[0]) if row else "…" for row in rows]))
    return [*columns, Column("", marks)] if any(marks) else columns


def _row_style(shown: View, row: Row) -> str:
    return "dim" if row is None or shown.masked[row] else ""


def _unit_columns(shown: View, name: str, rows: Sequence[Row], width: int) -> list[Column]:
    """A column for each unit of a tensor that could find room in ``width``."""
    array, most = shown.tensors[name], max(1, width // NARROWEST_COLUMN)
    number = number_format(np.array([array[row][:most] for row in rows if row], array.dtype))
    columns = []
    for k, unit in enumerate(shown.units[name][:most]):
        cells = [_cell(shown, row, array, k, number) for row in rows]
        columns.append(Column(f"[{unit}]", cells, group=name))
    return columns


def _cell(shown: View, row: Row, array: Array, unit: int, number: Callable[[float], str]) -> str:
    if row is None:
        return "…"
    value = array[(*row, unit)]
    return "" if shown.masked[row] and np.isnan(value) else number(value)


def _fitting(keys: Sequence[Column], groups: Sequence[Sequence[Column]], width: int) -> int:
    """How many columns of each group fit side by side, at least one."""
    count = 1
    while count < max(map(len, groups)):
        wider = [column for group in groups for column in group[: count + 1]]
        if grid_width([*keys, *wider]) > width:
            break
        count += 1
    return count


def _notes(shown: View, rows: Sequence[Row], hidden_units: int, width: int) -> list[Text]:
    sequences = {row[0] for row in rows if row}
    steps = sum(int(shown.lengths[k]) for k in sequences)
    missing = {
        "unit": hidden_units,
        "step": steps - sum(row is not None for row in rows),
        "sequence": int(np.count_nonzero(shown.lengths)) - len(sequences),
    }
    lines = left_out_note(missing, width)
    if any(row and shown.masked[row] for row in rows):
        lines += wrapped(f"{MASKED}: masked step, the state is carried over", width, "dim")
    return lines


def _array_lines(array: Array, room: int, width: int) -> tuple[list[Text], int, int]:
    """Lines of one array, and how many of its rows and columns they leave out."""
    if not array.size:
        return [Text("no values", "dim")], 0, 0
    matrix = array.reshape(-1, array.shape[-1] if array.ndim else 1)
    chosen = ends(len(matrix), room)
    most = max(1, width // NARROWEST_COLUMN)
    number = number_format(matrix[[row for row in chosen if row is not None], :most])
    keys = [_index_column(array.shape[:-1], chosen)] if array.ndim > 1 else []
    columns = [
        Column(f"[{k}]", ["…" if row is None else number(matrix[row, k]) for row in chosen])
        for k in range(min(most, matrix.shape[1]))
    ]
    count = _fitting(keys, [columns], width)
    lines = grid([*keys, *columns[:count]])
    rows_left = len(matrix) - sum(row is not None for row in chosen)
    return lines if array.ndim else lines[1:], rows_left, matrix.shape[1] - count


def _row_count(array: Array) -> int:
    return prod(array.shape[:-1])


def _shares(needs: Sequence[int], height: int) -> list[int]:
    """How many rows each array gets: as many as it has, or an equal share of what is left."""
    left = height - 3 * len(needs)  # a heading, a header and a blank line each
    shares = [0] * len(needs)
    smallest_first = sorted(range(len(needs)), key=lambda k: needs[k])
    for waiting, k in zip(range(len(needs), 0, -1), smallest_first, strict=True):
        shares[k] = max(FEWEST_ROWS, min(needs[k], left // waiting))
        left -= min(needs[k], shares[k])
    return shares


def _index_column(shape: tuple[int, ...], rows: Sequence[int | None]) -> Column:
    """``[0]``, or ``[0, 3]`` where several axes run down."""
    cells = []
    for row in rows:
        index = () if row is None else np.unravel_index(row, shape)
        cells.append("…" if row is None else f"[{', '.join(str(k) for k in index)}]")
    return Column("", cells)
