"""Arrays in files of which a block of steps is read at a time.

Letters: B sequences, T time steps.
"""

from __future__ import annotations

import zipfile
from math import prod
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .npy import NpyHeader, convert, read_header, read_values
from .npz import reporting
from .sources import ByteSource

Array = NDArray[Any]

_LOCAL_HEADER = 30
"""Bytes of a member's own header before its name; the lengths of name and extra stand last."""


class StepArray(Protocol):
    """An array whose first axes are (B, T), or (T,) before ``with_sequences``.

    Attributes:
        shape: of the whole array.
        dtype: of its values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, start: int, stop: int) -> Array:
        """Steps ``start`` to ``stop``, (B, n, …); the array is the caller's own."""

    def whole(self) -> Array:
        """All of it."""

    def with_sequences(self) -> StepArray:
        """The same with an axis of one sequence in front."""


class Held:
    """An array in memory, as a ``StepArray``."""

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def read(self, start: int, stop: int) -> Array:
        return self._array[:, start:stop]

    def whole(self) -> Array:
        return self._array

    def with_sequences(self) -> StepArray:
        return Held(self._array[np.newaxis])


class Stored:
    """An NPY array in a file, its values one after another from a certain byte on.

    Args:
        file: stays open as long as the array is used.
        name: for messages.
        header: of the array, in C order.
        start: the byte of the file at which the values begin.
        sequences: whether the first axis is that of sequences; without it the file holds one.
    """

    def __init__(
        self, file: BinaryIO, name: str, header: NpyHeader, start: int, sequences: bool = True
    ) -> None:
        self._file, self._name, self._header = file, name, header
        self._start, self._sequences = start, sequences
        self.shape = header.shape if sequences else (1, *header.shape)
        self.dtype = convert(np.empty(0, header.dtype), None).dtype

    def read(self, start: int, stop: int) -> Array:
        sequences, steps, *later = self.shape
        stop = min(stop, steps)
        count, each = max(0, stop - start), prod(later)
        block = np.empty((sequences, count, *later), self._header.dtype)
        for sequence in range(sequences):
            self._fill(block[sequence], (sequence * steps + start) * each)
        return convert(block, None)

    def whole(self) -> Array:
        block = np.empty(self._header.shape, self._header.dtype)
        self._fill(block, 0)
        return convert(block, None)

    def with_sequences(self) -> StepArray:
        return Stored(self._file, self._name, self._header, self._start, False)

    def _fill(self, block: Array, first: int) -> None:
        """Read values from number ``first`` on into ``block``, which is C contiguous."""
        if not block.size:
            return
        self._file.seek(self._start + first * self._header.dtype.itemsize)
        # A buffered file fills all of it, or as much as there is.
        count = self._file.readinto(block.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
        if count < block.nbytes:
            raise InputError(f"{self._name}: the file ends within the array; write it again")


def member_array(
    file: BinaryIO, name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> StepArray:
    """A member of an archive.

    Args:
        file: the archive's file, which stays open.
        name: for messages.
        archive: the open archive.
        member: one of its members, whose sizes were checked.

    Raises:
        InputError: If the member is damaged or holds no numbers.
    """
    with reporting(name):
        with archive.open(member) as stream:
            header = read_header(ByteSource(name, stream, live=False))
        if header.offset + header.size != member.file_size:
            raise InputError(f"{name}: its header does not fit its size; it is damaged")
        if member.compress_type != zipfile.ZIP_STORED or header.fortran:
            with archive.open(member) as stream:
                source = ByteSource(name, stream, live=False)
                return Held(read_values(source, read_header(source), None))
        return Stored(file, name, header, _data_start(file, member) + header.offset)


def _data_start(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """The byte at which a member's own bytes begin. Source: APPNOTE.TXT 4.3.7."""
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER)
    lengths = (int.from_bytes(header[k : k + 2], "little") for k in (26, 28))
    return member.header_offset + _LOCAL_HEADER + sum(lengths)
