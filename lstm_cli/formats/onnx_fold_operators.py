"""The ONNX operators that stand between a file's tensors and the weights of an LSTM, in NumPy.

Source: https://github.com/onnx/onnx/blob/main/docs/Operators.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from ..model import Array
from .onnx_proto import Node
from .onnx_tensors import BFLOAT16, DTYPES, Tensors
from .reading import NotComputed

Given = Sequence[Array | None]


class Costs(NamedTuple):
    """How many bytes an operator may still make, and who reads the tensors in attributes."""

    left: int
    tensors: Tensors

    def allow(self, count: int, node: Node, itemsize: int = 8) -> None:
        """Refuse an operator that would make more than there is room for."""
        if count * itemsize > self.left:
            raise NotComputed(
                f"{node!r} would make {count:,} numbers of a constant, more than such a file needs"
            )


def _need(given: Given, place: int, node: Node) -> Array:
    if place >= len(given) or (array := given[place]) is None:
        raise NotComputed(f"{node!r} lacks its input {place}")
    return array


def _optional(given: Given, place: int) -> Array | None:
    return given[place] if place < len(given) else None


def integers_of(node: Node, given: Given, place: int, name: str) -> list[int] | None:
    """Whole numbers that stand in an input, or in an attribute in old versions.

    Raises:
        ValueError: if the input holds others.
    """
    array = _optional(given, place)
    if array is None:
        return node.integers(name)
    if array.dtype.kind not in "iu":
        raise ValueError(f"expected whole numbers, found {array.dtype}")
    return [int(n) for n in array.ravel()]


def _constant(node: Node, given: Given, costs: Costs) -> list[Array]:
    attribute = node.attributes.get("value")
    if attribute is not None:
        return [costs.tensors.array(attribute.message.message(5, f"the value of {node!r}"))]
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if name in node.attributes:
            read = node.real if dtype is np.float32 else node.integer
            return [np.array(read(name, 0), dtype)]
    reals, whole = node.reals("value_floats"), node.integers("value_ints")
    if reals is not None:
        return [reals]
    if whole is not None:
        return [np.array(whole, np.int64)]
    raise NotComputed(f"{node!r} holds neither numbers nor a tensor of them")


def constant_fill(node: Node, tensors: Tensors) -> Array:
    """The one number that ConstantOfShape, or ConstantFill of old files, makes its output of."""
    attribute = node.attributes.get("value")
    if attribute is None:
        return np.zeros(1, np.float32)
    if attribute.message.has(5):
        return tensors.array(attribute.message.message(5, f"the value of {node!r}"))
    return np.array([node.real("value", 0.0)], np.float32)


def _constant_of_shape(node: Node, given: Given, costs: Costs) -> list[Array]:
    shape = [int(n) for n in _need(given, 0, node).ravel()]
    costs.allow(prod(shape), node)
    return [np.full(shape, constant_fill(node, costs.tensors).ravel()[0])]


def _identity(node: Node, given: Given, costs: Costs) -> list[Array]:
    return [_need(given, 0, node)]


def _slice(node: Node, given: Given, costs: Costs) -> list[Array]:
    x = _need(given, 0, node)
    starts = integers_of(node, given, 1, "starts") or []
    ends = integers_of(node, given, 2, "ends") or []
    axes = integers_of(node, given, 3, "axes") or list(range(len(starts)))
    steps = integers_of(node, given, 4, "steps") or [1] * len(starts)
    key: list[slice] = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        key[axis] = slices(start, end, step)
    return [x[tuple(key)]]


def slices(start: int, end: int, step: int) -> slice:
    """A slice of ONNX as one of Python: to the very first element it ends far below -1."""
    far = -(2**31) + 1
    return slice(start, None if step < 0 and end <= far else end, step)


def _concat(node: Node, given: Given, costs: Costs) -> list[Array]:
    arrays = [_need(given, k, node) for k in range(len(given))]
    costs.allow(sum(array.size for array in arrays), node)
    return [np.concatenate(arrays, axis=node.integer("axis", 1))]


def _unsqueeze(node: Node, given: Given, costs: Costs) -> list[Array]:
    axes = integers_of(node, given, 1, "axes") or []
    return [np.expand_dims(_need(given, 0, node), tuple(axes))]


def _squeeze(node: Node, given: Given, costs: Costs) -> list[Array]:
    axes = integers_of(node, given, 1, "axes")
    return [np.squeeze(_need(given, 0, node), None if axes is None else tuple(axes))]


def _transpose(node: Node, given: Given, costs: Costs) -> list[Array]:
    return [_need(given, 0, node).transpose(node.integers("perm"))]


def _reshape(node: Node, given: Given, costs: Costs) -> list[Array]:
    x = _need(given, 0, node)
    shape = integers_of(node, given, 1, "shape") or []
    if not node.integer("allowzero", 0):
        shape = [x.shape[k] if n == 0 else n for k, n in enumerate(shape)]
    return [x.reshape(shape)]


def _flatten(node: Node, given: Given, costs: Costs) -> list[Array]:
    x, axis = _need(given, 0, node), node.integer("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return [x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))]


def _cast(node: Node, given: Given, costs: Costs) -> list[Array]:
    x, to = _need(given, 0, node), node.integer("to", 0)
    if not to:  # the first versions name the type
        name = node.text("to", "").upper()
        to = {"FLOAT": 1, "INT32": 6, "INT64": 7, "FLOAT16": 10, "DOUBLE": 11}.get(name, 0)
    if to not in DTYPES or to == BFLOAT16:
        raise NotComputed(f"{node!r} casts to type {to}, which is not read")
    costs.allow(x.size, node)
    return [x.astype(DTYPES[to])]


def _gather(node: Node, given: Given, costs: Costs) -> list[Array]:
    x, places = _need(given, 0, node), _need(given, 1, node)
    axis = node.integer("axis", 0)
    costs.allow(places.size * (x.size // max(1, x.shape[axis])), node)
    return [np.take(x, places, axis=axis)]


def _split(node: Node, given: Given, costs: Costs) -> list[Array]:
    x, axis = _need(given, 0, node), node.integer("axis", 0)
    sizes = integers_of(node, given, 1, "split")
    if sizes is None:
        count = len(node.outputs)
        each = -(-x.shape[axis] // count)
        sizes = [each] * count
    places = np.cumsum(sizes)[:-1].tolist()
    return np.split(x, places, axis=axis)


def _expand(node: Node, given: Given, costs: Costs) -> list[Array]:
    x = _need(given, 0, node)
    wanted = [int(n) for n in _need(given, 1, node).ravel()]
    shape = np.broadcast_shapes(x.shape, tuple(wanted))
    costs.allow(prod(shape), node)
    return [np.broadcast_to(x, shape)]


def _tile(node: Node, given: Given, costs: Costs) -> list[Array]:
    x, repeats = _need(given, 0, node), [int(n) for n in _need(given, 1, node).ravel()]
    costs.allow(x.size * prod(repeats), node)
    return [np.tile(x, repeats)]


def _shape(node: Node, given: Given, costs: Costs) -> list[Array]:
    shape = np.array(_need(given, 0, node).shape, np.int64)
    end = node.integer("end", len(shape)) if "end" in node.attributes else None
    return [shape[node.integer("start", 0) : end]]


def _dequantise(node: Node, given: Given, costs: Costs) -> list[Array]:
    """(x - zero point) · scale, with one scale for all, for each of an axis, or for each block."""
    x, scale, zero = _need(given, 0, node), _need(given, 1, node), _optional(given, 2)
    costs.allow(x.size, node)
    axis, block = node.integer("axis", 1), node.integer("block_size", 0)
    whole = x.astype(np.int64)
    if zero is not None:
        whole -= _fitted(zero, x, axis, block).astype(np.int64)
    return [whole.astype(np.float32) * _fitted(scale, x, axis, block).astype(np.float32)]


def _fitted(each: Array, x: Array, axis: int, block: int) -> Array:
    """Scales or zero points, in a shape that fits ``x``."""
    if each.size == 1:
        return each.reshape(())
    if block:
        block = min(block, x.shape[axis])
        return np.repeat(each, block, axis=axis)[tuple(slice(n) for n in x.shape)]
    shape = [1] * x.ndim
    shape[axis] = each.size
    return each.reshape(shape)


def _arithmetic(function: Callable[[Array, Array], Array]) -> Fold:
    def fold(node: Node, given: Given, costs: Costs) -> list[Array]:
        x, y = _need(given, 0, node), _need(given, 1, node)
        if node.integer("broadcast", 0) and "axis" in node.attributes:
            raise NotComputed(f"{node!r} broadcasts from an axis on, as the first versions do")
        costs.allow(prod(np.broadcast_shapes(x.shape, y.shape)), node)
        return [np.asarray(function(x, y)).astype(x.dtype, copy=False)]

    return fold


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.asarray(np.divide(x, y))
    return np.asarray(np.trunc(np.divide(x, y)))


Fold = Callable[[Node, Given, Costs], list[Array]]

FOLDED: Mapping[str, Fold] = {
    "Add": _arithmetic(np.add),
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DequantizeLinear": _dequantise,
    "Div": _arithmetic(_divide),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _identity,
    "Mul": _arithmetic(np.multiply),
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": _arithmetic(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""By the operator's name, in ONNX's own domain."""
