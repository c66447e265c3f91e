"""NumPy archives: arrays by name, each read when it is asked for, with sizes checked before.

Source: ``numpy/lib/format.py`` and PKWARE's APPNOTE.TXT.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ..model import Array
from .reading import Problem, may_unpack_to

MAX_MEMBERS = 100_000
MAX_HEADER = 10_000
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, tokenize.TokenError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError, SyntaxError, KeyError),
)


class Member(NamedTuple):
    """One array of an archive, by what its header says.

    Attributes:
        archive: the path of the archive.
        name: of the array, without ``.npy``.
        shape: its shape.
        type: its type.
        by_columns: whether the first axis runs fastest.
        start: where its numbers begin in the member.
    """

    archive: Path
    name: str
    shape: tuple[int, ...]
    type: np.dtype[np.generic]
    by_columns: bool
    start: int

    @property
    def dtype(self) -> str:
        return self.type.name

    @property
    def is_real(self) -> bool:
        """Whether it holds floating-point numbers of a usual size."""
        return self.type.kind == "f" and self.type.itemsize <= 8

    def read(self) -> Array:
        """The numbers; half precision widened.

        Raises:
            Problem: if the archive does not hold them.
        """
        with _opened(self.archive) as archive, _stream(archive, f"{self.name}.npy") as stream:
            stream.read(self.start)
            content = stream.read(prod(self.shape) * self.type.itemsize)
        values = np.frombuffer(content, self.type)
        order = values.reshape(self.shape, order="F" if self.by_columns else "C")
        wide = np.float32 if self.type.itemsize == 2 else self.type.newbyteorder("=")
        return np.ascontiguousarray(order, wide)

    def text(self) -> str:
        """A single text."""
        if self.type.kind != "U" or prod(self.shape) != 1 or self.type.itemsize > 2**20:
            raise Problem(f"array '{self.name}' should hold one text")
        with _opened(self.archive) as archive, _stream(archive, f"{self.name}.npy") as stream:
            stream.read(self.start)
            content = stream.read(self.type.itemsize)
        return str(np.frombuffer(content, self.type)[0])


def members(path: Path) -> dict[str, Member]:
    """The arrays of an archive by name, in its order; their numbers are not read.

    Raises:
        Problem: if it is damaged, claims more than it can hold, or holds Python objects.
    """
    found: dict[str, Member] = {}
    with _opened(path) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_MEMBERS:
            raise Problem(f"the archive holds {len(entries):,} arrays; at most {MAX_MEMBERS:,}")
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            if name == entry.filename:
                raise Problem(f"the archive holds '{name}', which is no array")
            if name in found:
                raise Problem(f"the archive holds the array '{name}' twice")
            found[name] = _member(path, archive, entry, name)
    return found


def _member(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> Member:
    with _stream(archive, entry.filename) as stream:
        shape, by_columns, dtype = _header(stream, name)
        start = stream.tell()
    declared = prod(shape) * dtype.itemsize
    if declared + start != entry.file_size:
        raise Problem(
            f"array '{name}' of shape {shape} should take {declared:,} bytes, the archive says "
            f"{entry.file_size - start:,}"
        )
    if not may_unpack_to(entry.file_size, entry.compress_size):
        raise Problem(f"array '{name}' claims {declared:,} bytes, which is refused")
    return Member(path, name, shape, dtype, by_columns, start)


def _header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, whether by columns, and type; ``numpy`` takes the header for a literal and no more."""
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise Problem(f"array '{name}' has version {version} of the format, which is not read")
    shape, by_columns, dtype = readers[version](stream, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise Problem(
            f"array '{name}' holds Python objects, which only unpickling could read; that is never "
            "done: save plain arrays"
        )
    if dtype.names or min(shape, default=0) < 0:
        raise Problem(f"array '{name}' should hold numbers, found {dtype} of shape {shape}")
    return shape, by_columns, dtype


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGE as error:
        raise Problem(f"the .npz archive is damaged or cut short ({error})") from error


@contextmanager
def _stream(archive: zipfile.ZipFile, name: str) -> Iterator[BinaryIO]:
    with archive.open(name) as stream:
        yield stream  # type: ignore[misc]
