"""Whole input files as arrays, in the shape that the file has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike

from ..errors import InputError, UsageError, listing
from .csv_columns import find_columns
from .csv_rows import RowReader
from .csv_sequences import group
from .lines import LineReader
from .npy import Array, convert, read_header, read_values
from .signatures import Kind, kind_of
from .sources import ByteSource, Readable, open_source

BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True, eq=False)
class InputFile:
    """What an input file holds.

    Attributes:
        name: the file's path or ``standard input``, for messages.
        kind: found by content: ``npy``, ``npz`` or ``text``.
        arrays: by name; the name is empty where a file holds one array without a name. From text:
            rows by columns, shape (R, C), or (N, T, C) with a sequence column.
        columns: names of the last axis; empty where there are none.
        lengths: steps of each sequence, shape (N,), with a sequence column; else None.
        sequences: the sequences' names, with a sequence column.
        notes: what was assumed where the file can be read in two ways.
    """

    name: str
    kind: Kind
    arrays: Mapping[str, Array]
    columns: tuple[str, ...] = ()
    lengths: Array | None = None
    sequences: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def array(self) -> Array:
        """The only array.

        Raises:
            InputError: If there are several.
        """
        if len(self.arrays) != 1:
            names = listing(self.arrays)
            raise InputError(f"{self.name}: expected one array, found {len(self.arrays)}: {names}")
        return next(iter(self.arrays.values()))


def read_input(
    source: Readable | ByteSource,
    *,
    columns: Sequence[str | int] | None = None,
    sequence_column: str | int | None = None,
    header: bool | None = None,
    dtype: DTypeLike | None = np.float32,
) -> InputFile:
    """Read a CSV or other text table, an NPY array or an NPZ archive, told apart by content.

    Args:
        source: A path, ``"-"`` for standard input, or a binary stream.
        columns: Columns of a text file, or of an array's last axis, by name or index from 0; by
            default all but ``sequence_column``. A single text such as ``"a,b"`` is taken apart.
        sequence_column: Column of a text file whose values split the rows into sequences.
        header: Whether the first line of a text file holds names; None to find out by looking.
        dtype: Type of the arrays. float32 holds whole numbers up to 2**24 exactly, float64 up to
            2**53; None keeps what the file has (text: float64).

    Raises:
        InputError: If the file is missing, damaged, empty or holds something else.
        NoSuchNameError: If a column does not exist.
        UsageError: If an option does not go with the kind of file.
    """
    with open_source(source) as opened:
        kind = kind_of(opened)
        if kind == "text":
            return _read_text(opened, columns, sequence_column, header, dtype)
        if sequence_column is not None:
            raise UsageError(f"{opened.name}: --sequence-column works on text, this is .{kind}")
        if kind == "npz" and columns is not None:
            raise UsageError(f"{opened.name}: --columns works on one array, this is .npz")
        arrays = _read_arrays(opened, kind, dtype)
    for name, array in arrays.items():
        _refuse_empty(array, f"{opened.name}, array '{name}'" if name else opened.name)
    if columns is not None:
        values = arrays[""]
        arrays[""] = values[..., find_features(values.shape, columns)]
    return InputFile(opened.name, kind, arrays)


def find_features(shape: Sequence[int], columns: Sequence[str | int]) -> tuple[int, ...]:
    """Indices of ``columns`` in the last axis of an array, which has no names.

    Raises:
        NoSuchNameError: If there is no such index.
    """
    return find_columns(columns, (), shape[-1] if len(shape) > 1 else 0)


def _read_arrays(source: ByteSource, kind: Kind, dtype: DTypeLike | None) -> dict[str, Array]:
    if kind == "npz":
        from .npz import read_npz

        return read_npz(source, dtype)
    return {"": read_values(source, read_header(source), dtype)}


def _read_text(
    source: ByteSource,
    columns: Sequence[str | int] | None,
    sequence_column: str | int | None,
    header: bool | None,
    dtype: DTypeLike | None,
) -> InputFile:
    rows = RowReader(
        LineReader(source), columns=columns, sequence_column=sequence_column, header=header
    )
    blocks, labels = [], []
    for block in rows.blocks(BLOCK_ROWS):
        blocks.append(convert(block.values, dtype))
        labels += block.labels
    values = np.concatenate(blocks)
    notes = (rows.layout.note,) if rows.layout.note else ()
    if sequence_column is None:
        return InputFile(source.name, "text", {"": values}, rows.columns, notes=notes)
    padded = group(values, labels, source.name)
    return InputFile(
        source.name,
        "text",
        {"": padded.values},
        rows.columns,
        padded.lengths,
        padded.names,
        notes,
    )


def _refuse_empty(array: Array, where: str) -> None:
    if array.size == 0:
        raise InputError(
            f"{where}: the array has shape {array.shape}, which holds no values; "
            "expected at least one time step"
        )
