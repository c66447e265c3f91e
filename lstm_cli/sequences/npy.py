"""NPY: one array after a small header, from a file, a pipe or a member of an archive.

Source: numpy.lib.format, "NPY format", versions 1.0 to 3.0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import InputError
from .sources import ByteSource

Array = NDArray[Any]

MAGIC = b"\x93NUMPY"
MOST_AXES = 32
LONGEST_HEADER = 1 << 16
SEGMENT_BYTES = 16 << 20
"""Memory taken at once while it is not yet known that the bytes will come."""

_DESCR = re.compile(r"""['"]descr['"]\s*:\s*(?:['"]([^'"]*)['"]|(\[))""")
_ORDER = re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)\b""")
_SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(([0-9,L\s]*)\)""")  # Python 2 wrote 10L
_NUMERIC = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f(?:2|4|8|12|16))")
_TEXT = re.compile(r"[<>|=]?[US]\d{1,9}")
_KINDS = {
    "c": "complex numbers",
    "O": "Python objects, which are never loaded",
    "S": "text",
    "U": "text",
    "V": "records or raw bytes",
    "M": "dates",
    "m": "time differences",
}


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What stands before the values.

    Attributes:
        dtype: of the values in the file, in the file's byte order.
        shape: of the array.
        fortran: whether the first axis varies fastest.
        offset: bytes before the first value.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return self.count * self.dtype.itemsize


def read_header(source: ByteSource, *, text: bool = False) -> NpyHeader:
    """Read the header and, of a regular file, check that the values it declares are there.

    Args:
        source: At the start of the array.
        text: Whether an array of text is accepted as well as one of numbers.

    Raises:
        InputError: If it is no NPY header, the values are no real numbers, or the sizes differ.
    """
    start = source.read_fully(8)
    width = {1: 2, 2: 4, 3: 4}.get(start[6]) if len(start) == 8 and start[:6] == MAGIC else None
    if width is None:
        raise InputError(f"{source.name}: the NPY header is damaged; write the file again")
    length = int.from_bytes(source.read_fully(width), "little")
    if length > LONGEST_HEADER:
        raise InputError(
            f"{source.name}: the NPY header claims {length} bytes, at most {LONGEST_HEADER} are "
            "read; it is damaged or holds an array of records"
        )
    fields = source.read_fully(length)
    if len(fields) < length:
        raise InputError(f"{source.name}: the file ends within its NPY header; write it again")
    header = _parsed(fields.decode("latin-1"), 8 + width + length, source.name, text)
    if source.size is not None:
        _check_size(header, source.size, source.name)
    return header


def read_values(source: ByteSource, header: NpyHeader, dtype: DTypeLike | None) -> Array:
    """Read the values that follow the header; C order, native byte order.

    Args:
        source: Right behind the header.
        header: What ``read_header`` returned.
        dtype: Type of the result; None keeps the file's.

    Raises:
        InputError: If the source ends too early, goes on too long, or memory does not suffice.
    """
    try:
        flat = _flat_values(source, header, dtype)
        ordered = flat.reshape(header.shape, order="F" if header.fortran else "C")
        ordered = np.ascontiguousarray(ordered).reshape(header.shape)
    except (MemoryError, ValueError) as error:
        raise InputError(
            f"{source.name}: an array of {header.size / 2**30:.1f} GiB does not fit in memory"
        ) from error
    check_end(source)
    return ordered


def convert(raw: Array, dtype: DTypeLike | None) -> Array:
    """Values as they lie in the file in another type; None keeps theirs in native byte order."""
    if raw.dtype.kind == "b":
        raw = raw.view(np.uint8) != 0  # a damaged file may hold bytes other than 0 and 1
    wanted = np.dtype(dtype) if dtype is not None else raw.dtype.newbyteorder("=")
    with np.errstate(over="ignore", invalid="ignore"):
        return raw.astype(wanted, copy=False)


def check_end(source: ByteSource) -> None:
    """Raise InputError if something follows the array."""
    if source.read(1):
        raise InputError(
            f"{source.name}: something follows the one array that the header declares; "
            "save several arrays with numpy.savez"
        )


def ended_early(source: ByteSource, header: NpyHeader, values: int) -> InputError:
    """The error for a source that ends within the values."""
    return InputError(
        f"{source.name}: the header declares {header.count} values (shape {header.shape}), and "
        f"the data ends after {values}; write the file again"
    )


def _flat_values(source: ByteSource, header: NpyHeader, dtype: DTypeLike | None) -> Array:
    item = header.dtype.itemsize
    if item == 0 or header.count == 0:
        return np.zeros(header.count, convert(np.empty(0, header.dtype), dtype).dtype)
    known = source.size is not None
    segment = header.count if known else max(1, SEGMENT_BYTES // item)
    segments, done = [], 0
    while done < header.count:
        values = _segment(source, header, dtype, done, min(segment, header.count - done))
        segments.append(values)
        done += len(values)
    return segments[0] if len(segments) == 1 else np.concatenate(segments)


def _segment(
    source: ByteSource, header: NpyHeader, dtype: DTypeLike | None, done: int, count: int
) -> Array:
    """``count`` values, converted piece by piece so that they are not held twice."""
    values = np.empty(count, convert(np.empty(0, header.dtype), dtype).dtype)
    item = header.dtype.itemsize
    piece = max(1, (1 << 20) // item)
    for start in range(0, count, piece):
        wanted = min(piece, count - start)
        data = source.read_fully(wanted * item)
        if len(data) < wanted * item:
            raise ended_early(source, header, done + start + len(data) // item)
        values[start : start + wanted] = convert(np.frombuffer(data, header.dtype), dtype)
    return values


def _parsed(fields: str, offset: int, name: str, text: bool) -> NpyHeader:
    descr, order, shape = _DESCR.search(fields), _ORDER.search(fields), _SHAPE.search(fields)
    if not (descr and order and shape):
        raise InputError(f"{name}: the NPY header is damaged; write the file again")
    type_name = descr[1] or "V"
    if not (_NUMERIC.fullmatch(type_name) or (text and _TEXT.fullmatch(type_name))):
        kind = _KINDS.get(type_name.lstrip("<>|=")[:1], f"values of type {type_name[:20]!r}")
        raise InputError(f"{name}: the array holds {kind}; expected real numbers")
    sizes = [part.strip(" \t\r\nL") for part in shape[1].split(",")]
    sizes = sizes[:-1] if sizes[-1] == "" else sizes
    if len(sizes) > MOST_AXES or not all(part.isdecimal() and len(part) < 20 for part in sizes):
        raise InputError(f"{name}: the NPY header gives a shape that no array has; write it again")
    try:
        dtype = np.dtype(type_name)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: values of type {type_name!r} are unknown here") from error
    return NpyHeader(dtype, tuple(map(int, sizes)), order[1] == "True", offset)


def _check_size(header: NpyHeader, size: int, name: str) -> None:
    expected, found = header.offset + header.size, size
    if found != expected:
        relation = "only" if found < expected else "even"
        advice = (
            "it was cut short; write it again"
            if found < expected
            else "something follows the array; save several arrays with numpy.savez"
        )
        raise InputError(
            f"{name}: an array of shape {header.shape} and type {header.dtype.name} makes "
            f"{expected} bytes, and the file has {relation} {found}; {advice}"
        )
