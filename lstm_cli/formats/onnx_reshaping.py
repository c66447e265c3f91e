"""The new shape of a Reshape, also where a graph computes it from the shape of what it reshapes.

Exporters write so that some axes stay and the others become one: Shape, then Slice or Gather for
each axis, Mul for those that become one, Concat.

Source: https://github.com/onnx/onnx/blob/main/docs/Operators.md
"""

from __future__ import annotations

from .onnx_folding import Folder
from .onnx_steps import Step, Value

SAME_NUMBERS = ("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape")
"""Operators that hand on the numbers of their first input."""
ARITHMETIC = ("Add", "Div", "Mul", "Sub")
MOST_STEPS = 16
"""How many operators may follow each other on the way to one size."""


def new_shape(step: Step, folder: Folder) -> list[int] | None:
    """The sizes of the new axes: 0 where one stays as it is, -1 for what is left.

    None where they are not known.
    """
    value = step.inputs[1] if len(step.inputs) > 1 else None
    sizes = folder.integers(step, 1, "shape")
    if sizes is None and value is not None and value.step is not None:
        return _computed(value.step, step, folder)
    literal = sizes is not None and 0 in sizes and step.node.integer("allowzero", 0)
    return None if literal else sizes


def _computed(maker: Step, step: Step, folder: Folder) -> list[int] | None:
    """Sizes that a Concat puts together: one that is neither constant nor kept is what is left."""
    if not _is(maker, "Concat") or step.inputs[0] is None:
        return None
    found: list[int] = []
    for piece in maker.reads:
        array = folder.constant(piece)
        if array is not None and array.all():
            found += [int(n) for n in array.ravel()]
        elif array is None and _is_one_number(piece, folder):
            found.append(0 if _axis_of(piece, step.inputs[0], folder) == len(found) else -1)
        else:
            return None
    return found if found.count(-1) < 2 else None


def _is(step: Step, *operators: str) -> bool:
    return step.kind == "operator" and not step.node.domain and step.node.op in operators


def _is_one_number(value: Value, folder: Folder, depth: int = 0) -> bool:
    """Whether a value is certain to hold exactly one number."""
    array, step = folder.constant(value), value.step
    if array is not None or step is None or depth == MOST_STEPS:
        return array is not None and array.size == 1
    if _is(step, *ARITHMETIC):
        return all(_is_one_number(each, folder, depth + 1) for each in step.reads)
    if _is(step, *SAME_NUMBERS) and step.reads:
        return _is_one_number(step.reads[0], folder, depth + 1)
    return _picked(step, folder) is not None


def _axis_of(value: Value, reshaped: Value, folder: Folder) -> int | None:
    """Which axis of what is reshaped a number is the size of."""
    step = value.step
    for _ in range(MOST_STEPS):
        if step is None or not _is(step, *SAME_NUMBERS) or not step.reads:
            break
        step = step.reads[0].step
    found = None if step is None else _picked(step, folder)
    return found[1] if found is not None and found[0] is reshaped else None


def _picked(step: Step, folder: Folder) -> tuple[Value, int] | None:
    """The value whose shape an operator picks one size of, and of which axis."""
    if not step.reads:
        return None
    if _is(step, "Shape"):
        start, end = step.node.integer("start", 0), step.node.integer("end", 0)
        return (step.reads[0], start) if 0 <= start == end - 1 else None
    shape = step.reads[0].step
    if shape is None or not _is(shape, "Shape") or not shape.reads:
        return None
    first, place = shape.node.integer("start", 0), _place(step, folder)
    return None if place is None or first < 0 else (shape.reads[0], first + place)


def _place(step: Step, folder: Folder) -> int | None:
    """Which number of a list a Slice or Gather picks, counted from the front."""
    name = "starts" if _is(step, "Slice") else ""
    places = folder.integers(step, 1, name)
    if not _is(step, "Slice", "Gather") or places is None or len(places) != 1 or places[0] < 0:
        return None
    if name:
        ends = folder.integers(step, 2, "ends")
        if ends != [places[0] + 1] or len(step.inputs) > 4:
            return None
    return places[0]
