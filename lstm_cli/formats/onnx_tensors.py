"""Tensors of ONNX files, from the file itself or from files beside it.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, TensorProto;
https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
"""

from __future__ import annotations

import mmap
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from ..model import Array
from .protobuf import Message, encoded, varints
from .reading import NotComputed, Problem

FLOAT, FLOAT16, DOUBLE, BFLOAT16 = 1, 10, 11, 16
DTYPES = {
    **{1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?"},
    **{10: "<f2", 11: "<f8", 12: "<u4", 13: "<u8", 16: "<u2"},
}
"""NumPy's types by ONNX's numbers; bfloat16 is read as its bits."""
PACKED = {21: False, 22: True}
"""Types of four bits, two in a byte, and whether they have a sign."""
NAMES = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64"},
    **{8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64"},
    **{14: "complex64", 15: "complex128", 16: "bfloat16", 21: "uint4", 22: "int4"},
    **{17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz"},
}
RAW, EXTERNAL, LOCATION = 9, 13, 14
MAX_AXES = 32
SMALL = 2**26
"""So many bytes are read; more are mapped, so that opening a file costs what is looked at."""
TYPED = {1: 4, 10: 5, 16: 5, 11: 10, 7: 7, 12: 11, 13: 11}
"""Which field holds a type's numbers where they are not raw bytes; 5 for all others."""


def bfloat16(bits: Array) -> Array:
    """bfloat16, as uint16, to float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


class Tensors:
    """Reads the tensors of one model file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def array(self, tensor: Message) -> Array:
        """The values of a tensor, bfloat16 as float32, four bits as int8 or uint8.

        Raises:
            Problem: if the bytes are not those of its shape, or are outside the model's folder.
            NotComputed: if it holds values of a type that is not read.
        """
        name, kind, shape = tensor.text(8), tensor.integer(2), tensor.integers(1)
        if len(shape) > MAX_AXES or any(n < 0 for n in shape):
            told = ", ".join(map(str, shape[:MAX_AXES]))
            raise Problem(f"tensor '{name}' has axes that no array has: ({told})")
        if kind not in DTYPES and kind not in PACKED:
            told = NAMES.get(kind, f"type {kind}")
            raise NotComputed(f"tensor '{name}' holds values of {told}, which are not read")
        count = prod(shape)
        if kind in PACKED:
            return _nibbles(self._bytes(tensor, (count + 1) // 2, "u1"), count, kind).reshape(shape)
        values = self._bytes(tensor, count, DTYPES[kind])
        return (bfloat16(values) if kind == BFLOAT16 else values).reshape(shape)

    def _bytes(self, tensor: Message, count: int, dtype: str) -> Array:
        """``count`` values, wherever the tensor keeps them."""
        size = count * np.dtype(dtype).itemsize
        if tensor.integer(LOCATION) == 1:
            content = self._external(tensor, size)
        elif tensor.has(RAW):
            content = tensor.bytes(RAW)
        else:
            return _typed(tensor, count, np.dtype(dtype))
        if len(content) != size:
            raise Problem(
                f"tensor '{tensor.text(8)}' of {count:,} values should have {size:,} bytes, "
                f"found {len(content):,}"
            )
        return np.frombuffer(content, dtype)

    def _external(self, tensor: Message, size: int) -> memoryview:
        """``size`` bytes from a file beside the model; many of them mapped, not read."""
        name, place = tensor.text(8), _entries(tensor)
        path = self._beside(place.get("location", ""), name)
        offset = _number(place.get("offset", "0"), name)
        length = _number(place.get("length", str(size)), name)
        if length != size:
            raise Problem(f"tensor '{name}' should have {size:,} bytes, {path.name} keeps {length}")
        if path.exists() and not path.is_file():
            raise Problem(
                f"tensor '{name}' stands in {path.name}, which cannot be read: it is no file"
            )
        try:
            with path.open("rb") as file:
                held = file.seek(0, 2)
                if offset + size > held:
                    raise Problem(
                        f"{path.name} is cut short: tensor '{name}' ends at byte "
                        f"{offset + size:,}, the file at {held:,}"
                    )
                if size > SMALL:
                    whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    return memoryview(whole)[offset : offset + size]
                file.seek(offset)
                return memoryview(file.read(size))
        except OSError as error:
            raise Problem(
                f"tensor '{name}' stands in {path.name}, which cannot be read "
                f"({error.strerror}); it belongs beside the model"
            ) from error

    def _beside(self, location: str, name: str) -> Path:
        """The file that a location means, which must be within the folder of the model.

        A model that is a link, as caches of downloads have it, may have its files beside its own.
        """
        posix, windows = PurePosixPath(location), PureWindowsPath(location)
        outside = Problem(
            f"tensor '{name}' stands in '{location[:80]}', which is outside the model's folder"
        )
        if not location or "\0" in location:
            raise Problem(f"tensor '{name}' stands in another file, but in which is not said")
        if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
            raise outside
        path = self.path.parent / posix
        try:
            real = path.resolve()
            folders = (self.path.parent.resolve(), self.path.resolve().parent)
        except (OSError, RuntimeError) as error:  # links that lead to each other
            raise outside from error
        if not any(real.is_relative_to(folder) for folder in folders):
            raise outside
        return path

    def inlined(self, tensor: Message) -> bytes:
        """The message of a tensor, with its values in it.

        Raises:
            Problem: see ``array``.
        """
        if tensor.integer(LOCATION) != 1:
            return bytes(tensor.view)
        size = _number(_entries(tensor).get("length", "-1"), tensor.text(8))
        kind = tensor.integer(2)
        if size < 0:
            if kind not in DTYPES:
                raise Problem(f"tensor '{tensor.text(8)}' stands elsewhere without its length")
            size = prod(tensor.integers(1)) * np.dtype(DTYPES[kind]).itemsize
        dims = b"".join(encoded(1, n) for n in tensor.integers(1))
        content = encoded(RAW, self._external(tensor, size))
        return dims + encoded(2, kind) + encoded(8, tensor.text(8)) + content


def _entries(tensor: Message) -> dict[str, str]:
    return {entry.text(1): entry.text(2) for entry in tensor.messages(EXTERNAL, "a tensor's place")}


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20) and text != "-1":
        raise Problem(f"tensor '{name}' stands at '{text[:40]}' of another file: no whole number")
    return int(text)


def _typed(tensor: Message, count: int, dtype: np.dtype[np.generic]) -> Array:
    """Values from the field for their type."""
    kind = tensor.integer(2)
    field = TYPED.get(kind, 5)
    name = tensor.text(8)
    if field == 4:
        values: Array = tensor.reals(4)
    elif field == 10:
        values = _doubles(tensor)
    else:
        pieces = tensor.all(field)
        numbers: list[int] = []
        for piece in pieces:
            numbers += [piece] if isinstance(piece, int) else varints(piece, f"tensor '{name}'")
        values = np.array(numbers, np.uint64).astype(np.int64)
        # Halves stand as their bits, everything else as numbers; both keep their low bytes.
        values = values.astype(np.uint16).view(dtype) if kind == FLOAT16 else values.astype(dtype)
    if len(values) != count:
        raise Problem(f"tensor '{name}' should have {count:,} values, found {len(values):,}")
    return values


def _doubles(tensor: Message) -> Array:
    pieces = [
        piece.to_bytes(8, "little") if isinstance(piece, int) else bytes(piece)
        for piece in tensor.all(10)
    ]
    content = b"".join(pieces)
    if len(content) % 8:
        raise Problem(f"tensor '{tensor.text(8)}' is cut short")
    return np.frombuffer(content, "<f8")


def _nibbles(packed: Array, count: int, kind: int) -> Array:
    """Numbers of four bits, the lower half of each byte first."""
    halves = np.stack([packed & 15, packed >> 4], axis=-1).ravel()[:count]
    if not PACKED[kind]:
        return halves
    return ((halves.astype(np.int8) ^ 8) - 8).astype(np.int8)
