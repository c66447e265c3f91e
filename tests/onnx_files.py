"""ONNX files put together by hand, so that tests need no library for them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_cli.formats.protobuf import encoded, encoded_varint
from lstm_cli.model import Array

TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10}
LSTM_OUTPUTS = ("Y", "Y_h", "Y_c")


def real(number: int, value: float) -> bytes:
    """A ``float`` field."""
    return encoded_varint(number << 3 | 5) + struct.pack("<f", value)


def tensor(name: str, array: Any) -> bytes:
    array = np.asarray(array)
    dims = b"".join(encoded(1, n) for n in array.shape)
    kind = encoded(2, TYPES[array.dtype.name])
    return dims + kind + encoded(8, name) + encoded(9, array.tobytes())


def external(name: str, array: Array, **place: str) -> bytes:
    """A tensor whose values stand in another file."""
    dims = b"".join(encoded(1, n) for n in array.shape)
    entries = [encoded(13, encoded(1, key) + encoded(2, value)) for key, value in place.items()]
    kind = encoded(2, TYPES[array.dtype.name])
    return dims + kind + encoded(8, name) + b"".join(entries) + encoded(14, 1)


def attribute(name: str, value: Any) -> bytes:
    """A number, a text, a list of either, or the bytes of a field: ``graph_field`` and others."""
    if isinstance(value, bytes):
        kind, content = (5 if value[0] >> 3 == 6 else 4), value
    elif isinstance(value, float):
        kind, content = 1, real(2, value)
    elif isinstance(value, int):
        kind, content = 2, encoded(3, value)
    elif isinstance(value, str):
        kind, content = 3, encoded(4, value)
    elif all(isinstance(each, str) for each in value):
        kind, content = 8, b"".join(encoded(9, each) for each in value)
    elif all(isinstance(each, int) for each in value):
        kind, content = 7, b"".join(encoded(8, each) for each in value)
    else:
        kind, content = 6, b"".join(real(7, each) for each in value)
    return encoded(1, name) + content + encoded(20, kind)


def node(
    op: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    name: str = "",
    domain: str = "",
    **attributes: Any,
) -> bytes:
    parts = [encoded(1, each) for each in inputs] + [encoded(2, each) for each in outputs]
    parts += [encoded(3, name)] if name else []
    parts.append(encoded(4, op))
    parts += [encoded(5, attribute(key, value)) for key, value in attributes.items()]
    parts += [encoded(7, domain)] if domain else []
    return b"".join(parts)


def port(name: str, kind: int = 1, axes: Sequence[int | str | None] | None = None) -> bytes:
    """A declared input or output."""
    content = encoded(1, kind)
    if axes is not None:
        dims = [
            encoded(1, axis) if isinstance(axis, int) else encoded(2, axis or "") for axis in axes
        ]
        content += encoded(2, b"".join(encoded(1, dim) for dim in dims))
    return encoded(1, name) + encoded(2, encoded(1, content))


def graph(
    nodes: Sequence[bytes],
    inputs: Sequence[bytes] = (),
    outputs: Sequence[str] = (),
    tensors: Sequence[bytes] = (),
) -> bytes:
    parts = [encoded(1, each) for each in nodes] + [encoded(5, each) for each in tensors]
    parts += [encoded(11, each) for each in inputs]
    return b"".join([*parts, *(encoded(12, port(each)) for each in outputs)])


def graph_field(content: bytes) -> bytes:
    """A graph as the value of an attribute."""
    return encoded(6, content)


def tensor_field(content: bytes) -> bytes:
    """A tensor as the value of an attribute."""
    return encoded(5, content)


def model(content: bytes, opset: int = 14, version: int = 8, more: bytes = b"") -> bytes:
    """A whole file around a graph."""
    front = encoded(1, version) + encoded(2, "by hand")
    return front + encoded(7, content) + encoded(8, encoded(2, opset)) + more


def weights(units: int = 2, features: int = 3, ways: int = 1) -> list[bytes]:
    """W, R and B of an operator."""
    random = np.random.default_rng(units)
    shapes = {
        "W": (ways, 4 * units, features),
        "R": (ways, 4 * units, units),
        "B": (ways, 8 * units),
    }
    return [
        tensor(name, random.normal(size=shape).astype(np.float32)) for name, shape in shapes.items()
    ]


X = port("X", 1, [None, None, 3])


def lstm_model(
    *nodes: bytes, inputs: Sequence[bytes] = (X,), tensors: Sequence[bytes] = (), **attributes: Any
) -> bytes:
    """A file with one LSTM on X, and other nodes before it."""
    last = node("LSTM", ["X", "W", "R", "B"], LSTM_OUTPUTS, "lstm", hidden_size=2, **attributes)
    every = weights() if not tensors else tensors
    return model(graph([*nodes, last], inputs, LSTM_OUTPUTS, every))


def saved(folder: Path, content: bytes, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
