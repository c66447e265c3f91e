"""Shapes of what the calls of a model return, found by running them, mostly on no sequences."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from ..errors import InputError, LstmCliError
from ..model import Array, Foreign, Input, Model, Output
from .dependencies import needed_calls, refuse_unsupported
from .graph import Executor
from .tensor import Tensor
from .values import Request

Shape = tuple[int, ...]

OPEN_AXIS, OTHER_LENGTH = 977, 2003
"""Stand for an axis of any length while shapes are found out; primes no layer would produce."""
LARGEST_PROBE, LARGEST_ARRAY = 2**24, 2**48
"""Numbers that an input may hold while shapes are found out, and one sequence of any input."""


def with_output_shapes(model: Model) -> Model:
    """The model with the shapes of its outputs, as far as they can be computed."""
    outputs = [
        output if output.shape is not None else replace(output, shape=_output_shape(model, output))
        for output in model.outputs
    ]
    return replace(model, outputs=tuple(outputs))


def _output_shape(model: Model, output: Output) -> tuple[int | None, ...] | None:
    """The shape of an output, None for axes that differ with the input's; None if unknown."""
    needed = needed_calls(model, [output.reference.call])
    if any(isinstance(model.calls[number].layer.operation, Foreign) for number in needed):
        return None
    try:
        refuse_unsupported(model, needed, output.name)
        probes = [possible_shapes(model, needed, size) for size in (OPEN_AXIS, OTHER_LENGTH)]
    except LstmCliError:  # a run will say why
        return None
    returned = [probe[output.reference.call] for probe in probes]
    if output.reference.output >= min(map(len, returned)):  # a split into fewer parts, an If
        return None
    one, other = (shapes[output.reference.output] for shapes in returned)
    if len(one) != len(other):
        return None
    return tuple(n if n and n == m else None for n, m in zip(one, other, strict=True))


def possible_shapes(
    model: Model, needed: Sequence[int], open_axis: int = OPEN_AXIS
) -> dict[int, list[Shape]]:
    """Shapes of what the calls return, for some length of the open axes that fits.

    An input of open length may be merged with one of a fixed length; then they are equally long.

    Raises:
        InputError: if no length does.
    """
    try:
        return call_shapes(model, needed, open_axis)
    except InputError:
        shapes = [entry.shape for entry in model.inputs if entry.call in needed and entry.shape]
        for size in sorted({n for shape in shapes for n in shape if n is not None}):
            with suppress(InputError):
                return call_shapes(model, needed, size)
        raise


def call_shapes(
    model: Model, needed: Sequence[int], open_axis: int = OPEN_AXIS
) -> dict[int, list[Shape]]:
    """Shapes of what the calls return, found by running them on no sequences at all.

    Axes of any length are ``open_axis`` long in it.

    Raises:
        InputError: if a layer does not take that length, or an input would be too large.
    """
    inputs = {
        entry.call: Tensor(empty_input(entry, open_axis))
        for entry in model.inputs
        if entry.call in needed
    }
    return shapes_for(model, needed, inputs)


def shapes_for(
    model: Model, needed: Sequence[int], inputs: Mapping[int, Tensor]
) -> dict[int, list[Shape]]:
    """Shapes of what the calls return for these inputs.

    Raises:
        InputError: if a layer does not take what it gets.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of no sequences is of no interest
        values = Executor(model, needed, None).run(inputs, Request(), needed)
    return {number: [t.array.shape for t in tensors] for number, tensors in values.tensors.items()}


def empty_input(entry: Input, open_axis: int = OPEN_AXIS) -> Array:
    """No sequences of an input's declared shape.

    Raises:
        InputError: if it would be large, for it has no axis of sequences, or larger than any array.
    """
    shape = entry.shape or (None, None, None)
    sizes = [open_axis if size is None else size for size in shape]
    if entry.batch_axis is not None:
        sizes[entry.batch_axis] = 0
    if math.prod(sizes) > LARGEST_PROBE or math.prod(size or 1 for size in sizes) > LARGEST_ARRAY:
        raise InputError(f"input '{entry.name}': its shape {shape} says too little")
    return np.zeros(sizes, np.int64 if "int" in entry.dtype else np.float32)
