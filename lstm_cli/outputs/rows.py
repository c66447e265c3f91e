"""Steps and sequences as lines of text: CSV, and JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from .number_text import RowTemplate, as_doubles, json_array, json_name, number_spec, row_blocks
from .results import Layout, Results, table_shape

RowForm = Literal["csv", "jsonl"]


class StepRows:
    """One line a step: its sequence, its number, and the values of every array there.

    Args:
        form: ``csv`` or ``jsonl``. CSV has a column ``sequence`` only with a batch axis.
        arrays: of steps, shape (B, T, ...); their names, dtypes and later axes are what counts.
        layout: what the axes are.
    """

    def __init__(self, form: RowForm, arrays: Mapping[str, Array], layout: Layout) -> None:
        self._form, self._layout = form, layout
        self._keys = _keys(form, layout.batched, "step")
        self._labels = {name: _labels(name, a.shape[2:], layout) for name, a in arrays.items()}
        self._template = _template(form, self._keys, arrays, 2)

    def header(self) -> str:
        """The first line: column names in CSV, nothing in JSON lines."""
        labels = chain.from_iterable(self._labels.values())
        return _csv_line([*self._keys, *labels]) if self._form == "csv" else ""

    def lines(self, arrays: Mapping[str, Array], sequence: int, first: int) -> Iterator[str]:
        """Lines of one sequence, in pieces.

        Args:
            arrays: shape (B, t, ...), the same names as before.
            sequence: which sequence.
            first: steps of that sequence that came before these.
        """
        parts = [_matrix(a[sequence]) for a in arrays.values()]
        steps = self._real_steps(sequence, first, len(parts[0]))
        numbers = np.arange(len(parts[0])) + self._layout.first_step + first
        for block in row_blocks(steps, len(self._template.specs)):
            ids = {"sequence": np.full(block.stop - block.start, sequence), "step": numbers[block]}
            columns = [ids[key][:, np.newaxis] for key in self._keys]
            yield _text(self._form, self._template, columns, [part[block] for part in parts])

    def _real_steps(self, sequence: int, first: int, steps: int) -> int:
        if self._layout.lengths is None:
            return steps
        return int(np.clip(int(self._layout.lengths[sequence]) - first, 0, steps))


def table_lines(form: RowForm, results: Results) -> Iterator[str]:
    """The whole text of ``results`` in pieces: steps; else sequences; else weights.

    A table of steps has no place for arrays without a time axis: they are left out where there
    are arrays of steps, and fill a table of one row a sequence where there are none. Weights
    alone become one row a number in CSV and one object a tensor in JSON lines.

    Raises:
        UsageError: if the arrays differ in their number of sequences or steps.
    """
    if steps := results.steps():
        sequences, _ = table_shape(steps, 2)
        rows = StepRows(form, steps, results.layout)
        yield rows.header()
        for sequence in range(sequences):
            yield from rows.lines(steps, sequence, 0)
    elif arrays := results.per_sequence():
        yield from _sequence_lines(form, arrays, results.layout)
    else:
        yield from _weight_lines(form, results.weights())


def left_out_of_tables(results: Results) -> list[str]:
    """Names of the arrays that ``table_lines`` has no place for."""
    first = results.steps() or results.per_sequence() or results.weights()
    return [name for name in results.arrays if name not in first]


def _sequence_lines(form: RowForm, arrays: Mapping[str, Array], layout: Layout) -> Iterator[str]:
    (sequences,) = table_shape(arrays, 1)
    keys = _keys(form, layout.batched)
    if form == "csv":
        labels = [_labels(name, a.shape[1:], layout) for name, a in arrays.items()]
        yield _csv_line([*keys, *chain.from_iterable(labels)])
    template = _template(form, keys, arrays, 1)
    for block in row_blocks(sequences, len(template.specs)):
        ids = [np.arange(sequences)[block][:, np.newaxis]] if keys else []
        parts = [_matrix(a[block]) for a in arrays.values()]
        yield _text(form, template, ids, parts)


def _weight_lines(form: RowForm, weights: Mapping[str, Array]) -> Iterator[str]:
    if form == "csv":
        yield "tensor,row,column,value\n"
    for name, array in weights.items():
        if form == "jsonl":
            yield f'{{"tensor":{json_name(name)},"values":'
            yield from json_array(array)
            yield "}\n"
        else:
            yield from _weight_cells(name, array)


def _weight_cells(name: str, array: Array) -> Iterator[str]:
    """``kernel,0,3,0.25``; a vector is row 0."""
    matrix = _matrix(array) if array.ndim > 1 else array.reshape(1, array.size)
    rows, columns = np.indices(matrix.shape).reshape(2, -1)
    literals = (csv_cell(name) + ",", ",", ",", "\n")
    specs = ("%d", "%d", number_spec(array.dtype))
    template = RowTemplate(literals, specs, np.zeros(3, np.bool_))
    for block in row_blocks(matrix.size, 3):
        values = as_doubles(matrix.reshape(-1)[block])
        yield template.text(np.column_stack([rows[block], columns[block], values]))


def _keys(form: RowForm, batched: bool, *more: str) -> tuple[str, ...]:
    return ("sequence", *more) if batched or form == "jsonl" else more


def _labels(name: str, shape: tuple[int, ...], layout: Layout) -> list[str]:
    """Column names: ``h[0]``; the name alone where there is one number a row."""
    numbers: list[Sequence[int]] = [range(length) for length in shape]
    if shape and name in layout.units:
        numbers[-1] = layout.units[name]
    labels = [name]
    for axis in numbers:
        labels = [f"{label}[{number}]" for label in labels for number in axis]
    return labels


def _template(
    form: RowForm, keys: tuple[str, ...], arrays: Mapping[str, Array], axes: int
) -> RowTemplate:
    """The line of one row of ``arrays``, each with ``axes`` axes before those that make columns."""
    groups = [(key, (), np.dtype(np.int64)) for key in keys]
    groups += [(name, a.shape[axes:], a.dtype) for name, a in arrays.items()]
    literals, specs, boolean = [""], list[str](), list[bool]()
    for name, shape, dtype in groups:
        count = prod(shape)
        specs += [number_spec(dtype)] * count
        boolean += [dtype.kind == "b"] * count
        if form == "csv":
            literals += [","] * count
        else:
            before, between, after = _json_list(name, shape)
            literals[-1] += before if count else before + after
            literals += [*between, after] if count else []
    ends = ("", "\n") if form == "csv" else ("{", "}\n")
    literals[0] = ends[0] + literals[0]
    literals[-1] = literals[-1].removesuffix(",") + ends[1]
    return RowTemplate(tuple(literals), tuple(specs), np.array(boolean, np.bool_))


def _json_list(name: str, shape: tuple[int, ...]) -> tuple[str, list[str], str]:
    """What stands before, between and after the numbers of one array in a JSON object."""
    if not shape:
        return f"{json_name(name)}:", [], ","
    before, between, after = f"{json_name(name)}:" + "[" * len(shape), [], "]" * len(shape) + ","
    for k in range(1, prod(shape)):
        closed = sum(k % prod(shape[axis:]) == 0 for axis in range(1, len(shape)))
        between.append("]" * closed + "," + "[" * closed)
    return before, between, after


def _text(
    form: RowForm, template: RowTemplate, ids: list[NDArray[np.int64]], parts: list[Array]
) -> str:
    values = np.concatenate([*ids, *map(as_doubles, parts)], axis=1, dtype=np.float64)
    return template.text(values) if form == "csv" else template.json_text(values)


def _matrix(array: Array) -> Array:
    """A row for each entry of the first axis; ``-1`` would not do for empty arrays."""
    return array.reshape(len(array), prod(array.shape[1:]))


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def csv_cell(text: str) -> str:
    """A text as a CSV cell, quoted where it must be."""
    return text and _csv_line([text]).removesuffix("\n")
