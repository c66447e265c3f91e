"""Values of an ONNX graph that do not depend on its inputs: weights behind chains of operators.

Source: https://github.com/onnx/onnx/blob/main/docs/Operators.md and its Changelog, for attributes
of old versions that are inputs today.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..model import Array
from .onnx_fold_operators import FOLDED, Costs, constant_fill
from .onnx_steps import Step, Value
from .onnx_tensors import Tensors
from .reading import NotComputed

BUDGET = 2**28
"""How many bytes folding may make, beside a multiple of what it reads from the file."""

MOVED = {
    "Identity", "Slice", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "Expand", "Tile",
    "Cast", "Gather", "Flatten", "Split", "Dropout",
}  # fmt: skip
"""Operators that give zeros for zeros, whatever else they read."""

FAILURES = (ValueError, IndexError, TypeError, OverflowError, ArithmeticError, RuntimeError)
"""What NumPy raises for settings or shapes that do not go together."""


class Folded(NamedTuple):
    """A constant, and how it came about: whether any of it was dequantised."""

    array: Array
    dequantised: bool = False


class Folder:
    """Finds the constants of one file; each is computed once, when it is asked for."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self._static: dict[Value, bool] = {}
        self._known: dict[Value, Folded] = {}
        self._zeros: dict[Value, bool] = {}
        self._left = BUDGET

    def constant(self, value: Value) -> Array | None:
        """The value; None if it depends on inputs, or is not folded."""
        try:
            return self.folded(value, "").array
        except NotComputed:
            return None

    def integers(self, step: Step, place: int, name: str) -> list[int] | None:
        """Whole numbers in an input, or in an attribute of old versions; None if not constant."""
        value = step.inputs[place] if place < len(step.inputs) else None
        if value is None:
            return step.node.integers(name)
        array = self.constant(value)
        if array is None or array.dtype.kind not in "iu":
            return None
        return [int(n) for n in array.ravel()]

    def folded(self, value: Value, what: str) -> Folded:
        """The value, and whether it was dequantised.

        Args:
            value: the value.
            what: names it in errors: ``its weights W``.

        Raises:
            NotComputed: if it depends on the model's inputs, or is made in another way.
            Problem: if a tensor of the file is damaged.
        """
        if not self.is_static(value):
            raise NotComputed(f"{what} {self._origin(value)}")
        waiting = [value]
        while waiting:
            current = waiting[-1]
            if current in self._known:
                waiting.pop()
                continue
            inputs = [] if current.step is None else current.step.reads
            missing = [each for each in inputs if each not in self._known]
            if missing:
                waiting += missing
            else:
                self._compute(current, what)
        return self._known[value]

    def _compute(self, value: Value, what: str) -> None:
        if value.tensor is not None:
            array = self.tensors.array(value.tensor)
            self._left += 8 * array.nbytes
            self._known[value] = Folded(array)
            return
        step = value.step
        if step is None:
            raise NotComputed(f"{what} is an input of the model")
        given = [None if each is None else self._known[each] for each in step.inputs]
        arrays = [None if each is None else each.array for each in given]
        costs = Costs(self._left, self.tensors)
        try:
            found = FOLDED[step.node.op](step.node, arrays, costs)
        except FAILURES as error:
            raise NotComputed(f"{what} comes from {step.node!r}, which fails: {error}") from error
        quantised = step.node.op == "DequantizeLinear" or any(
            each is not None and each.dequantised for each in given
        )
        for output, array in zip(step.outputs, found, strict=False):
            if output is not None:
                self._left -= array.nbytes
                self._known[output] = Folded(array, quantised)
        if value not in self._known:
            raise NotComputed(f"{what} is an output that {step.node!r} does not have")

    def is_static(self, value: Value) -> bool:
        """Whether a value depends on nothing but what the file holds, through known operators."""
        waiting = [value]
        while waiting:
            current = waiting[-1]
            if current in self._static:
                waiting.pop()
            elif current.step is None:
                self._static[current] = current.tensor is not None and not current.sparse
            elif not _is_foldable(current.step):
                self._static[current] = False
            elif missing := [each for each in current.step.reads if each not in self._static]:
                waiting += missing
            else:
                self._static[current] = all(self._static[each] for each in current.step.reads)
        return self._static[value]

    def _origin(self, value: Value) -> str:
        """Why a value is no constant, as a clause."""
        while value.step is not None and _is_foldable(value.step):
            value = next(each for each in value.step.reads if not self.is_static(each))
        if value.sparse:
            return "is a sparse tensor, which is not read"
        if value.step is None:
            return f"depends on the model's input '{value.name}'"
        return f"comes from {value.step.node!r}, which is not a constant of the file"

    def is_zero(self, value: Value) -> bool:
        """Whether every element of a value is 0, whatever its shape turns out to be."""
        waiting = [value]
        while waiting:
            current = waiting[-1]
            if current in self._zeros:
                waiting.pop()
                continue
            sources = _zero_sources(current.step)
            if self.is_static(current):
                array = self.constant(current)
                self._zeros[current] = array is not None and not array.any()
            elif current.step is not None and current.step.node.op in (
                "ConstantOfShape", "ConstantFill",
            ):  # fmt: skip
                self._zeros[current] = _fills_with_zeros(current.step, self.tensors)
            elif not sources:
                self._zeros[current] = False
            elif missing := [each for each in sources if each not in self._zeros]:
                waiting += missing
            else:
                self._zeros[current] = all(self._zeros[each] for each in sources)
        return self._zeros[value]


def _is_foldable(step: Step) -> bool:
    return step.kind == "operator" and not step.node.domain and step.node.op in FOLDED


def _zero_sources(step: Step | None) -> list[Value]:
    """The values that must be zeros for the outputs of a step to be zeros."""
    if step is None or step.kind != "operator" or step.node.domain or not step.inputs:
        return []
    if step.node.op == "Concat":
        return step.reads
    first = step.inputs[0]
    return [first] if step.node.op in MOVED and first is not None else []


def _fills_with_zeros(step: Step, tensors: Tensors) -> bool:
    if step.kind != "operator" or step.node.domain:
        return False
    fill: Sequence[float] | Array = constant_fill(step.node, tensors).ravel()
    return not any(fill)
