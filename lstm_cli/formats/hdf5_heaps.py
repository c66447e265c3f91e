"""The heaps in which HDF5 keeps texts of variable length, checked before libhdf5 reads them.

libhdf5 trusts the sizes in a heap: an object of size 0 makes it go round for ever, and a size that
is too large makes it take that much memory. Source: "Disk Format: Level 1E - Global Heap" of the
HDF5 File Format Specification.
"""

from __future__ import annotations

import struct
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
    position, rest = 0, b""
    while block := file.read(_BLOCK):
        block = rest + block
        start = block.find(_SIGNATURE)
        while start >= 0:
            _check_heap(file, position - len(rest) + start)
            start = block.find(_SIGNATURE, start + 1)
        position += len(block) - len(rest)
        file.seek(position)
        rest = block[-len(_SIGNATURE) + 1 :]


def _check_heap(file: BinaryIO, start: int) -> None:
    file.seek(start)
    header = file.read(_HEADER.size)
    size = _HEADER.unpack(header)[1] if len(header) == _HEADER.size else 0
    body = file.read(size - _HEADER.size) if _HEADER.size < size <= file.seek(0, 2) else b""
    if len(body) != size - _HEADER.size:
        raise Problem(f"the HDF5 data is damaged or cut short (heap at byte {start})")
    position = 0
    while len(body) - position >= _OBJECT.size:
        index, _, length = _OBJECT.unpack_from(body, position)
        taken = _OBJECT.size + (length + 7) // 8 * 8 if index else length
        if not _OBJECT.size <= taken <= len(body) - position:
            raise Problem(f"the HDF5 data is damaged (an object of the heap at byte {start})")
        position += taken
