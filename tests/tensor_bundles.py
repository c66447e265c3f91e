"""Writes tensor bundles as TensorFlow does, and object graphs, byte by byte, for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from golden_files import Array

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19, "bfloat16": 14}


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a message: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number * 8 + 2) + varint(len(content)) + content


def crc32c(content: bytes) -> int:
    """The checksum, bit by bit, as its definition has it."""
    value = 2**32 - 1
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value // 2 ^ (0x82F63B78 if value % 2 else 0)
    return value ^ (2**32 - 1)


def masked(content: bytes) -> bytes:
    value = crc32c(content)
    return struct.pack("<I", (value // 2**15 + value % 2**15 * 2**17 + 0xA282EAD8) % 2**32)


def block(entries: Sequence[tuple[bytes, bytes]], kind: int = 0) -> bytes:
    """Entries with what they share with the key before left out, and the block's trailer."""
    content, last = b"", b""
    for key, value in entries:
        shared = next(
            (k for k, (a, b) in enumerate(zip(key, last, strict=False)) if a != b),
            min(len(key), len(last)),
        )
        sizes = varint(shared) + varint(len(key) - shared) + varint(len(value))
        content += sizes + key[shared:] + value
        last = key
    content += struct.pack("<II", 0, 1) + bytes([kind])
    return content + masked(content)


def table(entries: Sequence[tuple[bytes, bytes]], size: int = 8, kind: int = 0) -> bytes:
    """A whole table, so many entries a block."""
    content, places = b"", []
    for first in range(0, len(entries), size):
        made = block(entries[first : first + size], kind)
        handle = varint(len(content)) + varint(len(made) - 5)
        places.append((entries[min(first + size, len(entries)) - 1][0] + b"\xff", handle))
        content += made
    meta, index = block([]), block(places)
    handles = varint(len(content)) + varint(len(meta) - 5)
    handles += varint(len(content) + len(meta)) + varint(len(index) - 5)
    return content + meta + index + handles.ljust(40, b"\0") + MAGIC


def entry(dtype: int, shape: Sequence[int], shard: int, offset: int, size: int) -> bytes:
    axes = b"".join(field(2, field(1, axis)) for axis in shape)
    out = field(1, dtype) + field(2, axes)
    return out + field(3, shard) + field(4, offset) + field(5, size)


def text_tensor(content: bytes) -> bytes:
    return varint(len(content)) + b"\0\0\0\0" + content


def write_bundle(
    stem: Path, tensors: Mapping[str, Array | bytes], shards: int = 1, size: int = 8
) -> Path:
    """Write arrays and texts as ``STEM.index`` and its data files; the index's path."""
    files = [bytearray() for _ in range(shards)]
    entries = [(b"", field(1, shards) + field(3, field(1, 1)))]
    for k, name in enumerate(sorted(tensors)):
        value, shard = tensors[name], k % shards
        if isinstance(value, bytes):
            kind, shape, content = 7, (), text_tensor(value)
        else:
            kind, shape, content = TYPES[value.dtype.name], value.shape, value.tobytes()
        made = entry(kind, shape, shard, len(files[shard]), len(content))
        entries.append((name.encode(), made))
        files[shard] += content
    for number, file in enumerate(files):
        stem.with_name(f"{stem.name}.data-{number:05d}-of-{shards:05d}").write_bytes(bytes(file))
    index = stem.with_name(f"{stem.name}.index")
    index.write_bytes(table(entries, size))
    return index


class Held(NamedTuple):
    """A variable in a tree of objects: its array and its full name."""

    array: Array
    name: str


def write_objects(stem: Path, tree: Mapping[str, Any]) -> Path:
    """A checkpoint of objects, each a mapping of attributes; ``Held`` are the variables."""
    nodes: list[bytes] = []
    tensors: dict[str, Array | bytes] = {}

    def add(item: Any, path: str) -> int:
        number = len(nodes)
        nodes.append(b"")
        if isinstance(item, Held):
            key = f"{path}/.ATTRIBUTES/VARIABLE_VALUE"
            tensors[key] = item.array
            told = field(1, "VARIABLE_VALUE") + field(2, item.name) + field(3, key)
            nodes[number] = field(2, told)
            return number
        children = b""
        for name, child in item.items():
            place = add(child, f"{path}/{name}".lstrip("/"))
            children += field(1, field(1, place) + field(2, name))
        nodes[number] = children
        return number

    add(tree, "")
    tensors["_CHECKPOINTABLE_OBJECT_GRAPH"] = b"".join(field(1, node) for node in nodes)
    return write_bundle(stem, tensors)


def lstm_cell(seed: int, features: int, units: int, name: str) -> dict[str, Held]:
    """The variables of one cell."""
    random = np.random.default_rng(seed)
    shapes = {
        "kernel": (features, 4 * units),
        "recurrent_kernel": (units, 4 * units),
        "bias": (4 * units,),
    }
    return {
        key: Held(random.normal(size=shape).astype(np.float32), f"{name}/{key}")
        for key, shape in shapes.items()
    }
