"""The wire format of Protocol Buffers, read as it stands: enough for ONNX and TensorFlow files.

Nothing is copied: the value of a field is a number, or a view of the bytes. A file of a gigabyte
that is mapped into memory costs only the fields that are looked at.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..model import Array
from .reading import Problem

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_DEPTH = 64
"""Far above how deep messages of real models stand in each other."""


class Field(NamedTuple):
    """One field: its number, its wire type, and a number or the bytes it holds."""

    number: int
    wire_type: int
    value: int | memoryview


class Message:
    """The fields of one message, in the file's order, found by one pass over it.

    A field that comes several times, as concatenated messages have it, keeps all its values.
    """

    def __init__(self, view: memoryview | bytes, what: str) -> None:
        """``what``: names the message in errors.

        Raises:
            Problem: if the bytes are no message.
        """
        self.view, self.what = memoryview(view), what
        self.fields = list(fields(self.view, what))

    def all(self, number: int) -> list[int | memoryview]:
        """Every value of a field."""
        return [field.value for field in self.fields if field.number == number]

    def integer(self, number: int, default: int = 0) -> int:
        """The last value of a number, read as int64."""
        value = self.last(number)
        if value is None:
            return default
        if not isinstance(value, int):
            raise Problem(f"field {number} of {self.what} should be a number")
        return value - 2**64 if value >= 2**63 else value

    def integers(self, number: int) -> list[int]:
        """A repeated number, packed or not, read as int64."""
        found: list[int] = []
        for value in self.all(number):
            found += [value] if isinstance(value, int) else varints(value, self.what)
        return [value - 2**64 if value >= 2**63 else value for value in found]

    def real(self, number: int, default: float = 0.0) -> float:
        """A ``float``."""
        value = self.last(number)
        if value is None:
            return default
        if not isinstance(value, int):
            raise Problem(f"field {number} of {self.what} should be a float")
        return float(struct.unpack("<f", struct.pack("<I", value & 0xFFFFFFFF))[0])

    def reals(self, number: int) -> Array:
        """A repeated ``float``, packed or not, as float32."""
        pieces = []
        for value in self.all(number):
            if isinstance(value, int):
                pieces.append(np.frombuffer(struct.pack("<I", value & 0xFFFFFFFF), "<f4"))
            elif len(value) % 4:
                raise Problem(f"field {number} of {self.what} is cut short")
            else:
                pieces.append(np.frombuffer(value, "<f4"))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def bytes(self, number: int) -> memoryview:
        """The last value of a text, some bytes or a message; nothing if it is not there."""
        value = self.last(number)
        if value is None:
            return memoryview(b"")
        if isinstance(value, int):
            raise Problem(f"field {number} of {self.what} should hold bytes")
        return value

    def text(self, number: int) -> str:
        return decode(self.bytes(number), self.what)

    def texts(self, number: int) -> list[str]:
        return [decode(value, self.what) for value in self.views(number)]

    def views(self, number: int) -> list[memoryview]:
        """Every value of a repeated text, bytes or message."""
        found = []
        for value in self.all(number):
            if isinstance(value, int):
                raise Problem(f"field {number} of {self.what} should hold bytes")
            found.append(value)
        return found

    def message(self, number: int, what: str) -> Message:
        """A message inside this one; an empty one if it is not there."""
        return Message(self.bytes(number), what)

    def messages(self, number: int, what: str) -> list[Message]:
        return [Message(view, what) for view in self.views(number)]

    def has(self, number: int) -> bool:
        return any(field.number == number for field in self.fields)

    def last(self, number: int) -> int | memoryview | None:
        """The value that counts where a field should come once: the last."""
        return next(
            (field.value for field in reversed(self.fields) if field.number == number), None
        )


def fields(view: memoryview, what: str) -> Iterator[Field]:
    """The fields of a message, one after another.

    Raises:
        Problem: if the bytes are no message.
    """
    at, end = 0, len(view)
    while at < end:
        key, at = varint(view, at, what)
        number, wire_type = key >> 3, key & 7
        value: int | memoryview
        if wire_type == VARINT:
            value, at = varint(view, at, what)
        elif wire_type == BYTES:
            size, at = varint(view, at, what)
            if size > end - at:
                raise Problem(f"{what} is cut short: a field of {size:,} bytes ends beyond it")
            value, at = view[at : at + size], at + size
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
            if size > end - at:
                raise Problem(f"{what} is cut short")
            value, at = int.from_bytes(view[at : at + size], "little"), at + size
        else:
            raise Problem(f"{what} is damaged: no field has the wire type {wire_type}")
        if not number:
            raise Problem(f"{what} is damaged: no field has the number 0")
        yield Field(number, wire_type, value)


def varint(view: memoryview, at: int, what: str) -> tuple[int, int]:
    """A number of 7 bits a byte, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise Problem(f"{what} is damaged or cut short: a number has no end")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
        shift += 7


def varints(view: memoryview, what: str) -> list[int]:
    """Packed numbers."""
    found, at = [], 0
    while at < len(view):
        value, at = varint(view, at, what)
        found.append(value)
    return found


def decode(view: memoryview, what: str) -> str:
    try:
        return bytes(view).decode()
    except UnicodeDecodeError as error:
        raise Problem(f"{what} holds a text that is not UTF-8") from error


# -- writing, for programs that are put together from parts of a file


def encoded_varint(value: int) -> bytes:
    """A number of 7 bits a byte."""
    out = bytearray()
    value &= 2**64 - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encoded(number: int, value: int | str | bytes | memoryview) -> bytes:
    """A field: a number as a varint, a text, bytes or a message with its length."""
    if isinstance(value, int):
        return encoded_varint(number << 3 | VARINT) + encoded_varint(value)
    content = value.encode() if isinstance(value, str) else bytes(value)
    return encoded_varint(number << 3 | BYTES) + encoded_varint(len(content)) + content
