"""What the engine does for an ONNX operator: moving axes, embeddings, dense layers, arithmetic.

Source: https://github.com/onnx/onnx/blob/main/docs/Operators.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..model import Activation, Array, Operation
from .onnx_fold_operators import slices
from .onnx_folding import Folder
from .onnx_reshaping import new_shape
from .onnx_steps import Step, Value

MOST_AXES = 8


class Native(NamedTuple):
    """What the engine does for an operator.

    Attributes:
        operation: what.
        arguments: the values that it takes.
        distributed: along how many axes after the first it goes.
        rank: how many axes the result has; None where that is not known.
        then: a further operation on the result, with further arguments.
    """

    operation: Operation
    arguments: tuple[Value, ...]
    distributed: int = 0
    rank: int | None = None
    then: tuple[Operation, tuple[Value, ...]] | None = None


class Reading(NamedTuple):
    """One operator being read: its step, the numbers of axes known so far, what is constant."""

    step: Step
    ranks: Mapping[Value, int | None]
    folder: Folder

    def value(self, place: int) -> Value | None:
        inputs = self.step.inputs
        return inputs[place] if place < len(inputs) else None

    def rank(self, place: int = 0) -> int | None:
        value = self.value(place)
        if value is None:
            return None
        array = self.folder.constant(value)
        return self.ranks.get(value) if array is None else array.ndim

    def constant(self, place: int) -> Array | None:
        value = self.value(place)
        return None if value is None else self.folder.constant(value)

    def integers(self, place: int, name: str) -> list[int] | None:
        """From a constant input, or from the attribute of old versions; None for none at all."""
        return self.folder.integers(self.step, place, name)

    def is_open(self, *places: int) -> bool:
        """Whether one of the inputs is there, but no constant of whole numbers."""
        arrays = [self.constant(place) for place in places if self.value(place) is not None]
        return any(array is None or array.dtype.kind not in "iu" for array in arrays)


def _first(
    at: Reading, name: str, rank: int | None, distributed: int = 0, **settings: Any
) -> Native | None:
    """An operation on the first input alone."""
    value = at.value(0)
    if value is None or (rank is not None and rank > MOST_AXES):
        return None
    return Native(Operation(name, settings), (value,), distributed, rank)


def _same(name: str) -> Callable[[Reading], Native | None]:
    return lambda at: _first(at, name, at.rank())


def _dropout(at: Reading) -> Native | None:
    """What it is when a model is used; not with a mask, or where the file may say it is trained."""
    used = [output for output in at.step.outputs[1:] if output is not None]
    trained = at.value(2) is not None or not at.step.node.integer("is_test", 1)
    return None if used or trained else _first(at, "op_identity", at.rank())


def _transpose(at: Reading) -> Native | None:
    axes = at.step.node.integers("perm")
    rank = at.rank() if axes is None else len(axes)
    return _first(at, "op_transpose", rank, axes=None if axes is None else tuple(axes))


def _axes(name: str, change: int) -> Callable[[Reading], Native | None]:
    """Constant axes that go or come."""

    def rule(at: Reading) -> Native | None:
        axes, rank = at.integers(1, "axes"), at.rank()
        if not axes or at.is_open(1):
            return None
        axis = axes[0] if len(axes) == 1 else tuple(axes)
        return _first(at, name, None if rank is None else rank + change * len(axes), axis=axis)

    return rule


def _reshape(at: Reading) -> Native | None:
    """Axes that stay are only taken in front."""
    shape, rank = new_shape(at.step, at.folder), at.rank()
    if not shape or shape.count(-1) > 1 or min(shape) < -1:
        return None
    kept = next((k for k, n in enumerate(shape) if n), len(shape))
    rest = tuple(shape[kept:])
    if not kept:
        return _first(at, "op_reshape", len(shape), shape=rest) if 0 not in rest else None
    if 0 in rest or not rest or rank is None or rank <= kept:
        return None
    return _first(at, "reshape", len(shape), kept - 1, target_shape=rest)


def _flatten(at: Reading) -> Native | None:
    if at.step.node.integer("axis", 1) != 1 or (at.rank() or 0) < 2:
        return None
    return _first(at, "flatten", 2)


def _concat(at: Reading) -> Native | None:
    values = [value for value in at.step.inputs if value is not None]
    axis = at.step.node.integer("axis", 1)
    rank = next((each for k in range(len(values)) if (each := at.rank(k)) is not None), None)
    return Native(Operation("op_concatenate", {"axis": axis}), tuple(values), rank=rank)


def _slice(at: Reading) -> Native | None:
    if at.is_open(1, 2, 3, 4):
        return None
    starts, ends = at.integers(1, "starts"), at.integers(2, "ends")
    rank = at.rank()
    if not starts or not ends:
        return None
    axes = at.integers(3, "axes") or list(range(len(starts)))
    steps = at.integers(4, "steps") or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        return None
    if min(axes) < 0:
        if not rank:
            return None
        axes = [axis % rank for axis in axes]
    if max(axes) >= (rank or MOST_AXES):
        return None
    key = [slice(None)] * (max(axes) + 1)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        key[axis] = slices(start, end, step)
    return _first(at, "op_getitem", rank, key=tuple(key))


def _gather(at: Reading) -> Native | None:
    """Constant places of an axis; or rows of a constant table."""
    places, table = at.constant(1), at.constant(0)
    axis, rank = at.step.node.integer("axis", 0), at.rank()
    if places is not None and places.ndim < 2 and places.dtype.kind in "iu":
        after = None if rank is None else rank - 1 + places.ndim
        indices = int(places) if places.ndim == 0 else places
        return _first(at, "op_take", after, indices=indices, axis=axis)
    ids = at.value(1)
    if ids is None or table is None or table.ndim != 2 or axis or table.dtype.kind != "f":
        return None
    after = None if at.rank(1) is None else (at.rank(1) or 0) + 1
    return Native(Operation("embedding", weights={"embeddings": table}), (ids,), rank=after)


def _binary(name: str, needs_float: bool = False) -> Callable[[Reading], Native | None]:
    """Element by element; constants are floating numbers, and with ``needs_float`` there is one."""

    def rule(at: Reading) -> Native | None:
        x, y = at.value(0), at.value(1)
        first, second = at.rank(0), at.rank(1)
        constants = [each for each in (at.constant(0), at.constant(1)) if each is not None]
        if x is None or y is None or "broadcast" in at.step.node.attributes:
            return None
        if any(each.dtype.kind != "f" for each in constants) or (needs_float and not constants):
            return None
        known = first is not None and second is not None
        rank = max(first or 0, second or 0) if known else None
        return Native(Operation(name), (x, y), rank=rank)

    return rule


def _compared(name: str) -> Callable[[Reading], Native | None]:
    """True or false, element by element."""

    def rule(at: Reading) -> Native | None:
        x, y = at.value(0), at.value(1)
        if x is None or y is None or "broadcast" in at.step.node.attributes:
            return None
        return Native(Operation(name), (x, y))

    return rule


def _matmul(at: Reading) -> Native | None:
    """By a constant matrix."""
    x, y, matrix, rank = at.value(0), at.value(1), at.constant(1), at.rank()
    if x is None or y is None or matrix is None or matrix.ndim != 2 or matrix.dtype.kind != "f":
        return None
    return None if rank == 1 else Native(Operation("op_matmul"), (x, y), rank=rank)


def _gemm(at: Reading) -> Native | None:
    """x times a constant matrix, plus a constant."""
    node, x, y, c = at.step.node, at.value(0), at.value(1), at.value(2)
    plain = node.real("alpha", 1.0) == 1 and node.real("beta", 1.0) == 1
    if not plain or node.integer("transA", 0) or "broadcast" in node.attributes:
        return None
    matrix = at.constant(1)
    if x is None or y is None or matrix is None or matrix.dtype.kind != "f":
        return None
    operation = Operation("op_matmul", {"transpose_b": bool(node.integer("transB", 0))})
    return Native(operation, (x, y), 0, 2, None if c is None else (Operation("op_add"), (c,)))


def _softmax(name: str) -> Callable[[Reading], Native | None]:
    """Along the last axis, where all versions of the operator agree about what that means."""

    def rule(at: Reading) -> Native | None:
        rank = at.rank()
        if not rank or at.step.node.integer("axis", 1 if rank == 2 else 0) % rank != rank - 1:
            return None
        return _first(at, "op_activation", rank, activation=Activation(name))

    return rule


RULES: Mapping[str, Callable[[Reading], Native | None]] = {
    "Add": _binary("op_add"),
    "Concat": _concat,
    "Div": _binary("op_divide", needs_float=True),
    "Dropout": _dropout,
    "Equal": _compared("op_equal"),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "Greater": _compared("op_greater"),
    "Identity": _same("op_identity"),
    "Less": _compared("op_less"),
    "LogSoftmax": _softmax("log_softmax"),
    "MatMul": _matmul,
    "Mul": _binary("op_multiply"),
    "Neg": _same("op_negative"),
    "Not": _same("op_logical_not"),
    "Relu": _same("op_relu"),
    "Reshape": _reshape,
    "Sigmoid": _same("op_sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax("softmax"),
    "Squeeze": _axes("op_squeeze", -1),
    "Sub": _binary("op_subtract"),
    "Tanh": _same("op_tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _axes("op_expand_dims", 1),
}
