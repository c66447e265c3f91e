"""Arrays in files of which a block of steps is read at a time.

Letters: B sequences, T time steps.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .npy import NpyHeader, convert, read_header, read_values
from .npz import reporting
from .sources import ByteSource

Array = NDArray[Any]

KEPT_BYTES = 24 << 20
"""Less than the 32 MiB up to which glibc learns."""

MOST_CHECKED = 16 << 20
"""Bytes of a member up to which its checksum is compared."""

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


class Stored:
    """An NPY array in a file, its values one after another from a certain byte on.

    Args:
        file: stays open as long as the array is used.
        name: for messages.
        header: of the array, in C order.
        start: the byte of the file at which the values begin.
        checksum: compared before the first values are read.
        sequences: whether the first axis is that of sequences; without it the file holds one.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        header: NpyHeader,
        start: int,
        checksum: Checksum,
        sequences: bool = True,
    ) -> None:
        self._file, self._name, self._header = file, name, header
        self._checksum = checksum
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
        return Stored(
            self._file, self._name, self._header, self._start, self._checksum, sequences=False
        )

    def _fill(self, block: Array, first: int) -> None:
        """Read values from number ``first`` on into ``block``, which is C contiguous."""
        if not block.size:
            return
        self._checksum.compare()
        self._file.seek(self._start + first * self._header.dtype.itemsize)
        # A buffered file fills all of it, or as much as there is.
        count = self._file.readinto(block.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
        if count < block.nbytes:
            raise InputError(f"{self._name}: the file ends within the array; write it again")


class Packed:
    """A compressed or column-wise array in an archive, as a ``StepArray``: read whole when used."""

    def __init__(
        self, header: NpyHeader, read: Callable[[], Array], sequences: bool = True
    ) -> None:
        self._header, self._read, self._sequences = header, read, sequences
        self.shape = header.shape if sequences else (1, *header.shape)
        self.dtype = convert(np.empty(0, header.dtype), None).dtype
        self._held: Array | None = None

    def read(self, start: int, stop: int) -> Array:
        if self._held is None:
            self._held = self.whole().reshape(self.shape)
        return self._held[:, start:stop]

    def whole(self) -> Array:
        return self._read()

    def with_sequences(self) -> StepArray:
        return Packed(self._header, self._read, sequences=False)


class Checksum:
    """What an archive notes to recognise a damaged member by; the whole member is read for it.

    That is done for members of at most ``MOST_CHECKED`` bytes, as it takes several times as long
    as reading: a number that was changed in a larger one is not found, as in an .h5 file.
    """

    def __init__(self, file: BinaryIO, name: str, start: int, member: zipfile.ZipInfo) -> None:
        self._file, self._name, self._start = file, name, start
        self._size, self._expected = member.file_size, member.CRC
        self._compared = self._size > MOST_CHECKED

    def compare(self) -> None:
        """Compare it, the first time.

        Raises:
            InputError: if it is another.
        """
        if self._compared:
            return
        self._file.seek(self._start)
        if zlib.crc32(self._file.read(self._size)) != self._expected:
            raise InputError(f"{self._name}: its checksum is wrong, it is damaged; write it again")
        self._compared = True


def keep_freed_memory() -> None:
    """Have the C library keep the memory of a block that is freed for the next one.

    At first glibc gives each array of more than 128 KiB back to the system, and the page faults of
    the next one take longer than reading it. It raises that limit to the size of the largest array
    that it saw freed. Source: mallopt(3), M_MMAP_THRESHOLD.
    """
    np.empty(KEPT_BYTES, np.uint8)


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
            return Packed(header, partial(_unpacked, file, name, member))
        start = _data_start(file, member)
        return Stored(
            file, name, header, start + header.offset, Checksum(file, name, start, member)
        )


def _unpacked(file: BinaryIO, name: str, member: zipfile.ZipInfo) -> Array:
    with reporting(name), zipfile.ZipFile(file) as archive, archive.open(member) as stream:
        source = ByteSource(name, stream, live=False)
        header = read_header(source)
        source.size = member.file_size  # which the packed bytes can unpack to
        return read_values(source, header, None)


def _data_start(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """The byte at which a member's own bytes begin. Source: APPNOTE.TXT 4.3.7."""
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER)
    lengths = (int.from_bytes(header[k : k + 2], "little") for k in (26, 28))
    return member.header_offset + _LOCAL_HEADER + sum(lengths)
