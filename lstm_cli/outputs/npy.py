"""NPY: one array, written in pieces, to files and to pipes.

``numpy.save`` asks for a position that a pipe does not have, and needs the whole array.
Source: numpy.lib.format, "NPY format", version 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from ..model import Array

HEADER_BYTES = 192
"""Of every header written here: room for any shape, so that it can be replaced in its place."""

PIECE_BYTES = 1 << 24


def header_bytes(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    """The header of an array in C order, always ``HEADER_BYTES`` long.

    Raises:
        ValueError: for Python objects, which would have to be pickled.
    """
    if dtype.hasobject:
        raise ValueError(f"an array of Python objects ({dtype}) cannot be written")
    values = {
        "descr": npy_format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(map(int, shape)),
    }
    magic = npy_format.magic(1, 0)
    room = HEADER_BYTES - len(magic) - 2
    text = repr(values).encode("ascii").ljust(room - 1) + b"\n"
    return magic + room.to_bytes(2, "little") + text


def value_bytes(array: Array) -> Iterator[bytes]:
    """The values in C order, in pieces, so that a view is never copied whole."""
    if array.ndim and array.nbytes > PIECE_BYTES and len(array) > 1:
        rows = max(1, len(array) * PIECE_BYTES // array.nbytes)
        for start in range(0, len(array), rows):
            yield from value_bytes(array[start : start + rows])
    elif array.ndim > 1 and array.nbytes > PIECE_BYTES:
        yield from value_bytes(array[0])
    else:
        yield array.tobytes()


def write_npy(file: BinaryIO, array: Array) -> None:
    """Write header and values."""
    file.write(header_bytes(array.dtype, array.shape))
    for piece in value_bytes(array):
        file.write(piece)
