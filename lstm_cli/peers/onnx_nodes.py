"""ONNX operators, run by onnxruntime, or by the reference evaluator of ``onnx`` where that is all.

A program comes without the types of its inputs: they are those of the arrays that it gets. As
messages of Protocol Buffers may be concatenated, the inputs are appended to it.

A library trusts its programs: one that is broken on purpose may end the process that runs it.

Source: https://protobuf.dev/programming-guides/encoding/#last-one-wins
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import InputError, MissingExtraError, UnsupportedFeatureError
from ..model import Array, Foreign

TYPES = {
    **{"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7},
    **{"object": 8, "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13},
}
"""ONNX's numbers of types, by NumPy's names."""

Run = Callable[[Mapping[str, Array]], list[Any]]
"""Runs a prepared program on its inputs, by name."""


class OnnxNodes:
    """Runs programs of ONNX operators; each is prepared once for the types that it gets.

    Called with a program and the arrays that go in; returns those that come out.

    Raises:
        MissingExtraError: if no library is installed that runs them.
        UnsupportedFeatureError: if the libraries that are installed do not know an operator.
        InputError: if the operators cannot take the arrays.
    """

    def __init__(self) -> None:
        self._prepared: dict[tuple[Foreign, tuple[int, ...]], Run] = {}

    def __call__(self, operation: Foreign, arrays: Sequence[Array]) -> list[Array]:
        key = (operation, tuple(_type(array) for array in arrays))
        if key not in self._prepared:
            self._prepared[key] = _prepare(operation, key[1])
        contiguous = (np.asarray(array, order="C") for array in arrays)
        given = dict(zip(operation.inputs, contiguous, strict=True))
        try:
            found = self._prepared[key](given)
        except Exception as error:  # a library raises what it likes
            shapes = ", ".join(f"{name} {array.shape}" for name, array in given.items())
            raise InputError(f"its operators cannot take {shapes}: {_told(error)}") from error
        return [_array(value, name) for value, name in zip(found, operation.outputs, strict=True)]


def _type(array: Array) -> int:
    if array.dtype.name not in TYPES:
        raise UnsupportedFeatureError(
            f"its operators cannot take values of type {array.dtype}", [str(array.dtype)]
        )
    return TYPES[array.dtype.name]


def _array(value: Any, name: str) -> Array:
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    raise UnsupportedFeatureError(
        f"'{name}' is a {type(value).__name__}, where only tensors can be handed on",
        [type(value).__name__],
    )


def _prepare(operation: Foreign, types: Sequence[int]) -> Run:
    """The program, ready to run with the first library that takes it."""
    libraries = {"onnxruntime": _with_runtime, "onnx": _with_reference}
    installed = [name for name in libraries if _is_installed(name)]
    if not installed:
        kinds = ", ".join(dict.fromkeys(operation.operators))
        raise MissingExtraError(f"running {kinds}", "onnxruntime or onnx", "onnx")
    ports = (_port(name, kind) for name, kind in zip(operation.inputs, types, strict=True))
    program = operation.program() + _field(7, b"".join(_field(11, port) for port in ports))
    refusals = []
    for name in installed:
        try:
            return libraries[name](program, operation.outputs)
        except Exception as error:  # a library raises what it likes
            refusals.append((name, error))
    told = "; ".join(f"{name}: {_told(error)}" for name, error in refusals)
    raise UnsupportedFeatureError(
        f"its operators are not known to what is installed ({told})", operation.operators
    ) from refusals[-1][1]


def _is_installed(name: str) -> bool:
    """Whether a library is there; a folder of its name in the working directory is none."""
    found = find_spec(name)
    return found is not None and found.origin is not None


def _with_runtime(program: bytes, outputs: Sequence[str]) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong comes as an error
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(program, options, providers=["CPUExecutionProvider"])
    return lambda given: list(session.run(list(outputs), dict(given)))


def _with_reference(program: bytes, outputs: Sequence[str]) -> Run:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(program)
    return lambda given: list(evaluator.run(list(outputs), dict(given)))


def _told(error: Exception) -> str:
    """What a library says, in one line, without the number and name of its own error."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^\[\w+\] : \d+ : \w+ : ", "", lines[0])[:300]


# -- the few messages that are added to a program


def _port(name: str, kind: int) -> bytes:
    """A declared input: its name and type."""
    return _field(1, name.encode()) + _field(2, _field(1, _varint(1 << 3) + _varint(kind)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """A number of 7 bits a byte."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
