"""TensorFlow's tensor bundle: an index of names, and the tensors themselves in files beside it.

``NAME.index`` is a table: sorted keys in blocks, each key without what it shares with the one
before, each block followed by its kind and a checksum. The key ``""`` holds the number of data
files, every other one where ``NAME.data-00000-of-00001`` keeps a tensor. The data files are mapped,
so that opening a checkpoint costs the tensors that are used.

Source: ``tensor_bundle.proto``, ``table/format.cc`` and ``table/block.cc`` of TensorFlow 2.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import cache
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..model import Array
from .protobuf import Message, decode, varint
from .reading import LARGE, SMALL, Problem

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
TRAILER = 5  # one byte for the kind of compression, four for the checksum
MAX_INDEX = 2**28
MAX_KEYS = 2**24
"""How many bytes the keys of a small index may unfold to; larger ones get 16 for each of theirs."""

STRING, BFLOAT16, HALF = 7, 14, 19
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 14: "<u2"}
DTYPES |= {17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8"}


class Entry(NamedTuple):
    """Where a tensor is: its type's number, its shape, its file, and the bytes there."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    sliced: bool


class Bundle:
    """The tensors of a checkpoint by their keys; ``entries`` is in the order of the index."""

    def __init__(self, index: Path) -> None:
        """Read an index.

        Raises:
            Problem: if it is damaged.
        """
        self.stem = index.with_suffix("")
        if index.stat().st_size > MAX_INDEX:
            raise Problem(f"the index has more than {MAX_INDEX:,} bytes, which is refused")
        self._files: dict[int, memoryview] = {}
        self._arrays: dict[str, Array] = {}
        self._copied = 0
        self.shards = 0
        self.entries: dict[str, Entry] = {}
        for key, value in read_table(index.read_bytes()):
            if key.startswith(b"\0"):
                continue  # a slice of a partitioned variable, whose own entry says that it is one
            if key:
                name = decode(memoryview(key), "a key of the index")
                self.entries[name] = _entry(Message(value, f"the entry of '{name}'"), name)
            else:
                self.shards = _shards(Message(value, "the header of the index"))
        if not self.shards:
            raise Problem("the index has no header, so it is no index of a TensorFlow checkpoint")

    def shape(self, key: str) -> tuple[int, ...]:
        return self.entries[key].shape

    def is_float(self, key: str) -> bool:
        """Whether the tensor holds floating-point numbers."""
        return self.entries[key].dtype in (1, 2, BFLOAT16, HALF)

    def array(self, key: str) -> Array:
        """A tensor as float32 or float64 (half precision widened), or as the integers it holds.

        Raises:
            Problem: if the tensor is not there, or not as large as its shape says.
        """
        if key not in self._arrays:
            self._arrays[key] = self._read(key)
        return self._arrays[key]

    def _read(self, key: str) -> Array:
        values, number = self.view(key), self.entries[key].dtype
        self._copied += values.nbytes
        if self._copied > SMALL + sum(map(len, self._files.values())):
            raise Problem("the index is damaged: its tensors lie on each other in the data files")
        if number == BFLOAT16:
            return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
        if number == HALF:
            return values.astype(np.float32)
        # Tensors stand in the file without gaps, where matrix products would copy them each time.
        return values if values.flags.aligned or values.nbytes > LARGE else values.copy()

    def view(self, key: str) -> Array:
        """A tensor as it stands in the file, which is read only where it is looked at."""
        entry = self._entry(key)
        dtype = DTYPES.get(entry.dtype)
        if dtype is None:
            raise Problem(f"tensor '{key}' has the type number {entry.dtype}, which is not read")
        declared = prod(entry.shape) * np.dtype(dtype).itemsize
        if declared != entry.size:
            raise Problem(
                f"tensor '{key}' of shape {entry.shape} should take {declared:,} bytes, the index "
                f"says {entry.size:,}"
            )
        return np.frombuffer(self.content(key), dtype).reshape(entry.shape)

    def text(self, key: str) -> memoryview:
        """A scalar text: a varint for its length, a checksum of that, the bytes."""
        if self._entry(key).dtype != STRING:
            raise Problem(f"tensor '{key}' should be a text")
        content = self.content(key)
        length, at = varint(content, 0, f"tensor '{key}'")
        if length != len(content) - at - 4:
            raise Problem(f"tensor '{key}' should hold one text of {len(content) - at - 4:,} bytes")
        return content[at + 4 :]

    def content(self, key: str) -> memoryview:
        """The bytes of a tensor."""
        entry = self._entry(key)
        file = self._file(entry.shard)
        if entry.offset + entry.size > len(file):
            raise Problem(
                f"tensor '{key}' should end at byte {entry.offset + entry.size:,} of "
                f"{self._name(entry.shard)}, which has {len(file):,}"
            )
        return file[entry.offset : entry.offset + entry.size]

    def _entry(self, key: str) -> Entry:
        entry = self.entries.get(key)
        if entry is None:
            raise Problem(f"the index has no tensor '{key}'")
        if entry.sliced:
            raise Problem(f"tensor '{key}' is stored in slices (a partitioned variable), not read")
        return entry

    def _name(self, shard: int) -> str:
        return f"{self.stem.name}.data-{shard:05d}-of-{self.shards:05d}"

    def _file(self, shard: int) -> memoryview:
        if shard not in self._files:
            if shard >= self.shards:
                raise Problem(f"the index names data file {shard} of {self.shards}")
            path = self.stem.with_name(self._name(shard))
            if not path.is_file():
                raise Problem(f"its data file {path.name} is missing from the same folder")
            self._files[shard] = mapped(path)
        return self._files[shard]


def mapped(path: Path) -> memoryview:
    """The bytes of a file, read only where they are looked at."""
    if not path.stat().st_size:
        return memoryview(b"")
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _shards(header: Message) -> int:
    if header.integer(2):
        raise Problem("it was written on a big-endian machine, which is not read")
    shards = header.integer(1)
    if not 1 <= shards <= 99_999:
        raise Problem(f"the index should name 1 to 99,999 data files, found {shards:,}")
    return shards


def _entry(message: Message, key: str) -> Entry:
    sizes = []
    shape = message.message(2, f"the shape of '{key}'")
    for axis in shape.messages(2, f"an axis of '{key}'"):
        sizes.append(axis.integer(1))
    dtype, shard, offset, size = (message.integer(number) for number in (1, 3, 4, 5))
    if min([*sizes, shard, offset, size], default=0) < 0:
        raise Problem(f"the index is damaged: the entry of '{key}' holds a negative number")
    return Entry(dtype, tuple(sizes), shard, offset, size, message.has(7))


# -- the table


def read_table(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Keys and values of a table, in order.

    Raises:
        Problem: if it is damaged, or compressed.
    """
    view = memoryview(content)
    if len(view) < FOOTER or int.from_bytes(view[-8:], "little") != MAGIC:
        raise Problem("the index does not end as a TensorFlow index does: it is damaged or cut")
    footer = view[-FOOTER:-8]
    _, at = _handle(footer, 0)  # of a block that is not used
    handle, _ = _handle(footer, at)
    allowed, end, last = max(MAX_KEYS, 16 * len(view)), 0, None
    for _, value in _block(view, handle, allowed):
        place, _ = _handle(value, 0)
        if place[0] < end:  # the same block a million times over would have no end
            raise Problem("the index is damaged: its blocks overlap")
        end = sum(place)
        for key, entry in _block(view, place, allowed):
            allowed -= len(key)
            if last is not None and key <= last:
                raise Problem("the index is damaged: its keys are not in order")
            last = key
            yield key, entry


def _handle(view: memoryview, at: int) -> tuple[tuple[int, int], int]:
    """Where a block is and how long; and where this ends."""
    offset, at = varint(view, at, "a place in the index")
    size, at = varint(view, at, "a place in the index")
    return (offset, size), at


def _block(
    view: memoryview, handle: tuple[int, int], allowed: int
) -> Iterator[tuple[bytes, memoryview]]:
    """Keys and values of one block, whose keys may unfold to so many bytes."""
    offset, size = handle
    end = offset + size
    if size < 4 or end + TRAILER > len(view) - FOOTER:
        raise Problem("the index is damaged or cut short: a block of it ends beyond the file")
    kind = view[end]
    if kind:
        name = {1: "Snappy"}.get(kind, f"kind {kind}")
        raise Problem(f"the index is compressed ({name}), which is not read")
    stored = int.from_bytes(view[end + 1 : end + TRAILER], "little")
    if _masked(_crc32c(view[offset : end + 1])) != stored:
        raise Problem("the index is damaged: the checksum of a block does not match")
    restarts = int.from_bytes(view[end - 4 : end], "little")
    entries = view[offset : max(offset, end - 4 - 4 * restarts)]
    at, key, unfolded = 0, b"", 0
    while at < len(entries):
        shared, at = varint(entries, at, "the index")
        own, at = varint(entries, at, "the index")
        length, at = varint(entries, at, "the index")
        if shared > len(key) or own + length > len(entries) - at:
            raise Problem("the index is damaged: an entry ends beyond its block")
        key = key[:shared] + bytes(entries[at : at + own])
        unfolded += len(key)
        if unfolded > allowed:
            raise Problem("the names in the index are too long together, which is refused")
        yield key, entries[at + own : at + own + length]
        at += own + length


# -- CRC-32C (Castagnoli), the checksum of every block


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _crc32c(view: memoryview) -> int:
    table, value = _crc_table(), 0xFFFFFFFF
    for byte in bytes(view):
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _masked(checksum: int) -> int:
    """A checksum as it is stored, so that checksums of checksums are no trouble."""
    turned = checksum >> 15 | checksum << 17
    return (turned + 0xA282EAD8) & 0xFFFFFFFF
