"""Parts of an ONNX file as programs of their own, put together from the file's own bytes.

Source: https://protobuf.dev/programming-guides/encoding/, for why messages may be concatenated.
"""

from __future__ import annotations

from ..errors import ModelFileError
from .onnx_order import every_tensor
from .onnx_proto import File
from .onnx_segments import Segment
from .onnx_tensors import LOCATION, Tensors
from .protobuf import encoded
from .reading import NotComputed, Problem

FIRST_VERSION = 4
"""Of the format, from which on initialisers need not be declared as inputs."""

FIRST_CAST = 6
"""The version of the operators from which on a Cast is written as it is today."""

GIVEN = "{} (as given)"
"""The name of an input before it is cast to the type that the file has for it."""


def program(file: File, tensors: Tensors, segment: Segment, casts: dict[str, int]) -> bytes:
    """A segment as a serialised model, without the types of its inputs.

    Args:
        file: where it comes from.
        tensors: reads the values of initialisers.
        segment: what to cut out.
        casts: inputs to cast to a type, by its number; they go by the name of ``GIVEN``.

    Raises:
        ModelFileError: if the values of a tensor cannot be read.
    """
    try:
        graph = _graph(file, tensors, segment, casts)
    except (Problem, NotComputed) as problem:
        raise ModelFileError(tensors.path, str(problem)) from problem
    return _header(file) + encoded(7, graph)


def _header(file: File) -> bytes:
    """Versions and functions."""
    parts = [encoded(1, max(FIRST_VERSION, file.message.integer(1)))]
    parts += [encoded(8, view) for view in file.message.views(8)]
    if "" not in file.opsets:
        parts.append(encoded(8, encoded(1, "") + encoded(2, file.opset)))
    parts += [encoded(25, view) for view in file.message.views(25)]
    return b"".join(parts)


def _graph(file: File, tensors: Tensors, segment: Segment, casts: dict[str, int]) -> bytes:
    _refuse_places(file, segment)
    parts = [encoded(2, "segment")]
    for name, kind in casts.items():
        parts.append(encoded(1, _cast(name, kind)))
    parts += [encoded(1, step.node.view) for step in segment.every_step]
    used = {
        name: value
        for step in segment.every_step
        for name, value in step.named_reads
        if value.tensor is not None and name not in segment.inputs
    }
    for value in used.values():
        if value.tensor is not None:
            content = bytes(value.tensor.view) if value.sparse else tensors.inlined(value.tensor)
            parts.append(encoded(15 if value.sparse else 5, content))
    parts += [encoded(12, encoded(1, value.name)) for value in segment.outputs]
    return b"".join(parts)


def _refuse_places(file: File, segment: Segment) -> None:
    """Raise a Problem if a node names another file, which a library would look for by itself."""
    nodes = [step.node for step in segment.every_step]
    nodes += [node for function in file.functions.values() for node in function.nodes]
    for node in nodes:
        if any(tensor.integer(LOCATION) == 1 for tensor in every_tensor(node)):
            raise Problem(f"{node!r} holds a tensor that stands in another file, which is not read")


def _cast(name: str, kind: int) -> bytes:
    """A node that casts an input."""
    attribute = encoded(5, encoded(1, "to") + encoded(3, kind) + encoded(20, 2))
    return encoded(1, GIVEN.format(name)) + encoded(2, name) + encoded(4, "Cast") + attribute
