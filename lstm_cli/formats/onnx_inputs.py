"""Which axis of a model's input holds the sequences: told from where an LSTM wants them.

An axis is followed from the LSTM back to the input, through operators that keep or move axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from .onnx_folding import Folder
from .onnx_lstm import INITIAL_C, INITIAL_H, LENGTHS, X, input_of
from .onnx_proto import Port
from .onnx_reshaping import new_shape
from .onnx_steps import Step, Value

BATCH_NAMES = {"batch", "batch_size", "batchsize", "batch_dim", "n", "b", "bs"}
KEEPING = {
    "Abs", "BatchNormalization", "Cast", "Ceil", "Clip", "Dropout", "Elu", "Erf", "Exp", "Floor",
    "Gelu", "HardSigmoid", "Identity", "LayerNormalization", "LeakyRelu", "Log", "Neg", "PRelu",
    "Relu", "Round", "Selu", "Sigmoid", "SkipLayerNormalization", "Slice", "Softmax", "Softplus",
    "Softsign", "Split", "Sqrt", "Tanh", "Pad", "DequantizeLinear", "QuantizeLinear",
    "InstanceNormalization", "LpNormalization", "Tile", "Expand",
}  # fmt: skip
"""Operators whose output has the axes of their first input."""
ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Where", "Concat"}
"""Operators whose output has the axes of any of their inputs."""
BATCH_FIRST = {
    "AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "LRN", "MaxPool",
    "Upsample", "Resize", "ConvInteger", "QLinearConv",
}  # fmt: skip
"""Operators whose axis 0 is that of the sequences, before and after."""


Followed = tuple[int | None, str]
"""The axis that holds the sequences, None if it was added on the way; and the name of the LSTM."""


class Place(NamedTuple):
    """An axis of a value, which has so many axes (None where that is not known).

    The axis is ``ADDED`` where the value has no such axis, because a later operator adds it.
    """

    value: Value
    axis: int
    rank: int | None


ADDED = -1
USUAL_RANK = 3
"""Of inputs whose axes the file does not tell."""


def followed_axes(lstms: list[tuple[Step, str]], folder: Folder) -> dict[Value, Followed]:
    """The axis of the sequences in each input that leads to an LSTM, and to which one."""
    found: dict[Value, Followed] = {}
    for step, address in lstms:
        batchwise = step.node.integer("layout", 0) == 1
        wanted = {X: (0 if batchwise else 1, 3), LENGTHS: (0, 1)}
        wanted |= dict.fromkeys((INITIAL_H, INITIAL_C), (0 if batchwise else 1, 3))
        for place, (axis, rank) in wanted.items():
            value = input_of(step, place)
            if value is not None:
                for reached in _reached(Place(value, axis, rank), folder):
                    axis_there = None if reached.axis == ADDED else reached.axis
                    found.setdefault(reached.value, (axis_there, address))
    return found


def _reached(start: Place, folder: Folder) -> Iterator[Place]:
    """The inputs of the model that an axis comes from."""
    waiting, seen = [start], {start.value}
    while waiting:
        place = waiting.pop()
        if place.value.is_input:
            yield place
        step = place.value.step
        if step is None:
            continue
        for before in axes_before(step, place, folder):
            if before.value not in seen:
                seen.add(before.value)
                waiting.append(before)


def axes_before(step: Step, place: Place, folder: Folder) -> list[Place]:
    """Where an axis of an output stands in the inputs of a step; nothing where that is unknown."""
    given = [value for value in step.inputs if value is not None]
    if step.kind in ("join", "guard") or (place.axis == ADDED and step.kind == "operator"):
        return [place._replace(value=value) for value in given]
    if step.kind != "operator" or not given:
        return []
    op, axis, first = step.node.op, place.axis, place._replace(value=given[0])
    if op in KEEPING:
        return [first]
    if op in ELEMENTWISE:
        return [place._replace(value=value) for value in given if not folder.is_static(value)]
    if op in BATCH_FIRST and axis == 0:
        return [first]
    moved = MOVING.get(op)
    if moved is None:
        return []
    found = moved(step, place, folder)
    return [] if found is None else [found]


def _transpose(step: Step, place: Place, folder: Folder) -> Place | None:
    perm = step.node.integers("perm")
    if perm is None and place.rank is not None:
        perm = list(range(place.rank))[::-1]
    if perm is None or sorted(perm) != list(range(len(perm))) or place.axis >= len(perm):
        return None
    return _first(step, perm[place.axis], len(perm))


def _squeeze(step: Step, place: Place, folder: Folder) -> Place | None:
    """The input has axes that the output lacks."""
    axes = folder.integers(step, 1, "axes")
    if axes is None or (place.rank is None and any(axis < 0 for axis in axes)):
        return None
    rank = None if place.rank is None else place.rank + len(axes)
    gone = {axis if axis >= 0 or rank is None else axis + rank for axis in axes}
    kept = [axis for axis in range(place.axis + len(gone) + 1) if axis not in gone]
    return _first(step, kept[place.axis], rank)


def _unsqueeze(step: Step, place: Place, folder: Folder) -> Place | None:
    """The output has axes that the input lacks."""
    axes = folder.integers(step, 1, "axes")
    if axes is None or (place.rank is None and any(axis < 0 for axis in axes)):
        return None
    new = {axis if axis >= 0 or place.rank is None else axis + place.rank for axis in axes}
    rank = None if place.rank is None else place.rank - len(new)
    if place.axis in new:
        return _first(step, ADDED, rank)
    return _first(step, place.axis - sum(axis < place.axis for axis in new), rank)


def _reshape(step: Step, place: Place, folder: Folder) -> Place | None:
    """A 0 in the new shape keeps an axis; so does a -1 in front of sizes that are given."""
    shape = new_shape(step, folder)
    if shape is None or place.axis >= len(shape):
        return None
    if shape[place.axis] == 0 or (place.axis == 0 and shape[0] == -1 and 0 not in shape):
        return _first(step, place.axis, None)
    return None


def _flatten(step: Step, place: Place, folder: Folder) -> Place | None:
    whole = place.axis == 0 and step.node.integer("axis", 1) == 1
    return _first(step, 0, None) if whole else None


def _gather(step: Step, place: Place, folder: Folder) -> Place | None:
    """Of a constant table, the axes of the ids; of anything else, with one place, its own."""
    table, ids = input_of(step, 0), input_of(step, 1)
    axis = step.node.integer("axis", 0)
    if table is None or ids is None or axis < 0:
        return None
    if folder.is_static(table):
        return Place(ids, place.axis, None) if axis == 0 else None
    where = folder.constant(ids)
    if where is None:
        return None
    if place.axis < axis:
        return _first(step, place.axis, None)
    return _first(step, place.axis + 1 - where.ndim, None) if where.ndim < 2 else None


def _matmul(step: Step, place: Place, folder: Folder) -> Place | None:
    second = input_of(step, 1)
    last = place.rank is not None and place.axis >= place.rank - 1
    return (
        None
        if second is None or last or not folder.is_static(second)
        else _first(step, place.axis, place.rank)
    )


def _gemm(step: Step, place: Place, folder: Folder) -> Place | None:
    plain = place.axis == 0 and not step.node.integer("transA", 0)
    return _first(step, 0, 2) if plain else None


def _first(step: Step, axis: int, rank: int | None) -> Place | None:
    value = step.inputs[0]
    return None if value is None else Place(value, axis, rank)


MOVING: Mapping[str, Callable[[Step, Place, Folder], Place | None]] = {
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}


def batch_axes(
    ports: Sequence[Port], followed: Mapping[str, Followed]
) -> dict[str, tuple[int | None, str]]:
    """The axis that holds the sequences in each input, and a sentence where it was inferred.

    Args:
        ports: the inputs.
        followed: for those that lead to an LSTM, the axis and the name of that.
    """
    found: dict[str, tuple[int | None, str]] = {}
    known: list[tuple[Port, int]] = []
    for port in ports:
        axis, address = followed.get(port.name, (0, ""))
        if axis is None:
            found[port.name] = (
                None,
                (f"input '{port.name}' holds one sequence: '{address}' gets it with an axis more"),
            )
        elif address and axis < (USUAL_RANK if port.axes is None else len(port.axes)):
            why = f"because that is where '{address}' has its sequences"
            found[port.name] = axis, _told(port, axis, f", {why}")
            known.append((port, axis))
    for port in ports:
        if port.name not in found:
            found[port.name] = _guessed(port, known)
    return found


def _told(port: Port, axis: int, why: str) -> str:
    return f"{port.name}: its batch axis is taken to be {axis}{why}"


def _guessed(port: Port, known: Sequence[tuple[Port, int]]) -> tuple[int | None, str]:
    """The axis of an input that leads to no LSTM, from those of the others."""
    axes = port.axes
    if axes is None:
        return 0, _told(port, 0, ", as the file says nothing of its axes")
    names = {other.axes[axis] for other, axis in known if other.axes is not None}
    for k, name in enumerate(axes):
        if name and isinstance(name, str) and (name in names or name.lower() in BATCH_NAMES):
            return k, _told(port, k, f", because the file calls it '{name}'")
    if len(axes) < 2:
        return None, ""
    for other, axis in known:
        if other.axes is not None and len(other.axes) == len(axes):
            return axis, _told(port, axis, f", as in input '{other.name}'")
    return 0, _told(port, 0, ", as most models have it")
