"""Long sequences in blocks along time, in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import DTypeLike

from ..errors import InputError, UsageError
from .csv_rows import RowReader
from .inputs import BLOCK_ROWS, find_features
from .lines import LineReader
from .npy import Array, convert, read_header
from .npy_blocks import raw_blocks
from .signatures import kind_of
from .sources import ByteSource, Closable, Readable, open_source

_Reading = Callable[[int], Iterator[Array]]


class BlockSource(Closable):
    """A sequence that is read once, block after block.

    Iterate over it, or over ``blocks(time_axis)``. It is a context manager that closes its file.

    Attributes:
        name: the file's path or ``standard input``, for messages.
        shape: of the whole array; None for an axis whose length is not known before the end.
        columns: names of the features; empty where there are none.
        live: true where blocks come as their steps arrive, however few.
        notes: what was assumed where the file can be read in two ways.
    """

    def __init__(
        self,
        source: ByteSource,
        shape: Sequence[int | None],
        reading: _Reading,
        *,
        columns: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.name, self.live = source.name, source.live
        self.shape, self.columns, self.notes = tuple(shape), columns, notes
        self._source = source
        self._reading: _Reading | None = reading

    @property
    def time_axis(self) -> int:
        """The axis of time where nobody says otherwise: (T,), (T, F) or (B, T, F)."""
        return max(0, len(self.shape) - 2)

    @property
    def total(self) -> int | None:
        """Number of steps along ``time_axis``; None where it is not known before the end."""
        return self.shape[self.time_axis]

    def blocks(self, time_axis: int | None = None) -> Iterator[Array]:
        """Blocks along an axis, by default ``time_axis``; the other axes are whole.

        Raises:
            InputError: While iterating, where the data cannot be read.
            UsageError: If the blocks were already asked for, or there is no such axis.
        """
        axis = self.time_axis if time_axis is None else time_axis
        if not 0 <= axis < len(self.shape):
            raise UsageError(f"{self.name}: an array of shape {self.shape} has no axis {axis}")
        if self._reading is None:
            raise UsageError(f"{self.name}: the blocks can be read once; open the file again")
        reading, self._reading = self._reading, None
        return reading(axis)

    def __iter__(self) -> Iterator[Array]:
        return self.blocks()

    def close(self) -> None:
        """Close the file, if this object opened one."""
        self._source.close()


def open_blocks(
    source: Readable | ByteSource,
    rows: int = BLOCK_ROWS,
    *,
    columns: Sequence[str | int] | None = None,
    header: bool | None = None,
    dtype: DTypeLike | None = np.float32,
) -> BlockSource:
    """Open a text table or an NPY array for reading in blocks of at most ``rows`` steps.

    From a file blocks have ``rows`` steps, save the last one and where a block would take too much
    memory. From a pipe a block is whatever complete steps have arrived, at least one.

    Args:
        source: A path, ``"-"`` for standard input, or a binary stream.
        rows: Most steps in a block.
        columns: As for ``read_input``.
        header: As for ``read_input``.
        dtype: As for ``read_input``.

    Raises:
        InputError: If the file is missing, damaged, empty, or an archive.
        NoSuchNameError: If a column does not exist.
        UsageError: If ``rows`` is not positive.
    """
    if rows < 1:
        raise UsageError(f"blocks of {rows} rows: expected at least 1")
    opened = open_source(source)
    try:
        kind = kind_of(opened)
        if kind == "npz":
            raise InputError(
                f"{opened.name}: an .npz archive cannot be read in blocks; save the sequence as "
                ".npy or .csv"
            )
        if kind == "text":
            return _text_blocks(opened, rows, columns, header, dtype)
        return _npy_blocks(opened, rows, columns, dtype)
    except BaseException:
        opened.close()
        raise


def _text_blocks(
    source: ByteSource,
    rows: int,
    columns: Sequence[str | int] | None,
    header: bool | None,
    dtype: DTypeLike | None,
) -> BlockSource:
    reader = RowReader(LineReader(source), columns=columns, header=header)

    def reading(axis: int) -> Iterator[Array]:
        if axis != 0:
            raise UsageError(f"{source.name}: in a text file time runs along the rows, axis 0")
        return (convert(block.values, dtype) for block in reader.blocks(rows))

    notes = (reader.layout.note,) if reader.layout.note else ()
    shape = (None, len(reader.chosen))
    return BlockSource(source, shape, reading, columns=reader.columns, notes=notes)


def _npy_blocks(
    source: ByteSource, rows: int, columns: Sequence[str | int] | None, dtype: DTypeLike | None
) -> BlockSource:
    header = read_header(source)
    if header.count == 0 or not header.shape:
        raise InputError(
            f"{source.name}: the array has shape {header.shape}; expected at least one time step"
        )
    features = None if columns is None else find_features(header.shape, columns)
    shape = header.shape if features is None else (*header.shape[:-1], len(features))

    def reading(axis: int) -> Iterator[Array]:
        try:
            for block in raw_blocks(source, header, axis, rows):
                values = convert(block, dtype)
                yield values if features is None else values[..., features]
        except MemoryError as error:
            size = header.size / header.shape[axis] / 2**30
            raise InputError(
                f"{source.name}: one time step takes {size:.1f} GiB, which does not fit in memory"
            ) from error

    return BlockSource(source, shape, reading)
