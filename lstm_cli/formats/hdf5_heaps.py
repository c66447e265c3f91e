"""The heaps in which HDF5 keeps texts of variable length, checked before libhdf5 reads them.

libhdf5 trusts the sizes in a heap: an object of size 0 makes it go round for ever, and a size that
is too large makes it take that much memory. Source: "Disk Format: Level 1E - Global Heap" of the
HDF5 File Format Specification.
"""

from __future__ import annotations

import struct
from os import SEEK_END
from typing import BinaryIO

from .reading import Problem

_SIGNATURE = b"GCOL\x01"  # with the only version there is
_HEADER = struct.Struct("<5s3xQ")  # signature, version, size of the whole heap
_OBJECT = struct.Struct("<HH4xQ")  # index (0 for the free space at the end), references, size
_BLOCK = 2**24


def check_heaps(file: BinaryIO) -> None:
    """Look through a file for heaps.

    Raises:
        Problem: if one of them has sizes that cannot be.
    """
    end = file.seek(0, SEEK_END)
    for start in range(0, end, _BLOCK):
        file.seek(start)
        block = file.read(_BLOCK + len(_SIGNATURE) - 1)  # a signature may cross into the next one
        found = block.find(_SIGNATURE)
        while found >= 0:
            _check_heap(file, start + found, end)
            found = block.find(_SIGNATURE, found + 1)


def _check_heap(file: BinaryIO, start: int, end: int) -> None:
    """Walk over the objects of the heap at byte ``start`` of a file of ``end`` bytes."""
    damaged = Problem(f"the HDF5 data is damaged or cut short (the heap at byte {start})")
    file.seek(start)
    header = file.read(_HEADER.size)
    size = _HEADER.unpack(header)[1] if len(header) == _HEADER.size else 0
    if not _HEADER.size <= size <= end - start:
        return  # numbers that happen to look like a heap; libhdf5 refuses one that is cut short
    body = file.read(size - _HEADER.size)
    position = 0
    while len(body) - position >= _OBJECT.size:
        index, _, length = _OBJECT.unpack_from(body, position)
        taken = _OBJECT.size + (length + 7) // 8 * 8 if index else length
        if not _OBJECT.size <= taken <= len(body) - position:
            raise damaged
        position += taken
