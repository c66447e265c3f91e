"""What a layer without recurrence is to the engine: a rule, and the checks that rules share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError, ShapeError, UnsupportedFeatureError
from ...model import Activation, Array, Operation
from ..activations import apply
from ..tensor import Tensor

Compute = Callable[[Operation, Sequence[Tensor]], "Tensor | list[Tensor]"]
Stepwise = Callable[[Operation, Sequence[int]], bool]

BLOCK_ELEMENTS = 1 << 22
"""Most elements that a temporary array holds where a computation is cut into blocks."""


def never(operation: Operation, ranks: Sequence[int]) -> bool:
    """Steps of the output depend on other steps of the inputs, or there are none."""
    return False


def always(operation: Operation, ranks: Sequence[int]) -> bool:
    """Each element, or each step, is computed by itself."""
    return True


class Rule(NamedTuple):
    """How an operation is computed.

    Attributes:
        compute: from the operation and its inputs to its output, or outputs. Sets their masks.
        stepwise: from the operation and the ranks of its inputs to whether each step (axis 1) of
            the output depends on the same step of the inputs alone, so that a sequence can be
            computed in blocks of steps. Arrays of rank 0, and of rank 1 beside others of rank 3
            or more, have no steps and are the same for every block; every other input must have
            the sequence's steps along axis 1.
    """

    compute: Compute
    stepwise: Stepwise = never


def quiet(compute: Compute) -> Compute:
    """``compute`` without NumPy's warnings: frameworks give inf and NaN without a word."""
    return np.errstate(all="ignore")(compute)


def aligned_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    """Stepwise where arrays are broadcast against each other from the last axis backwards."""
    rank = max(ranks)
    return rank >= 2 and all(r in (0, rank) or (r == 1 and rank >= 3) for r in ranks)


def beside_steps(default: int | None) -> Stepwise:
    """Stepwise where the setting ``axis`` names neither axis 0 nor axis 1."""

    def stepwise(operation: Operation, ranks: Sequence[int]) -> bool:
        axis = operation.settings.get("axis", default)
        if axis is None or min(ranks) < 2:
            return False
        found = {each % rank for rank in ranks for each in as_tuple(axis)}
        return not found & {0, 1}

    return stepwise


def one(inputs: Sequence[Tensor]) -> Tensor:
    """The only input.

    Raises:
        InputError: if there are more.
    """
    if len(inputs) != 1:
        raise InputError(f"expected one input, found {len(inputs)}")
    return inputs[0]


def as_tuple(value: Any, count: int = 1) -> tuple[int, ...]:
    """A whole number ``count`` times, or the whole numbers of a list."""
    return (value,) * count if isinstance(value, int) else tuple(int(n) for n in value)


def need_positive(name: str, *numbers: int) -> None:
    """Raise ``UnsupportedFeatureError`` unless all numbers of a setting are 1 or more."""
    if min(numbers) < 1:
        feature = f"{name} {', '.join(map(str, numbers))}"
        raise UnsupportedFeatureError(
            f"{feature} cannot be computed: expected 1 or more", [feature]
        )


def need_rank(array: Array, rank: int, expected: str) -> None:
    """Raise ``ShapeError`` unless ``array`` has ``rank`` axes."""
    if array.ndim != rank:
        raise ShapeError("input", expected, array.shape)


def axes_of(axis: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes counted from the front, in ascending order.

    Raises:
        ShapeError: if an array of this shape has no such axis.
    """
    axes = as_tuple(axis)
    if not all(-len(shape) <= each < len(shape) for each in axes):
        found = axis if isinstance(axis, int) else list(axes)
        raise ShapeError("input", f"with axis {found}", shape)
    return tuple(sorted(each % len(shape) for each in axes))


def weight(operation: Operation, name: str, *shape: int) -> Array | None:
    """An array of the layer, or None where it has none of that name.

    Raises:
        ShapeError: if it does not have this shape.
    """
    array = operation.weights.get(name)
    if array is not None and array.shape != shape:
        raise ShapeError(name, str(shape), array.shape)
    return array


def floating(array: Array) -> Array:
    """``array``, with whole numbers as float32, as Keras has it."""
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def activated(operation: Operation, array: Array) -> Array:
    """``array`` through the operation's activation."""
    activation = operation.settings.get("activation")
    if not isinstance(activation, Activation) or activation.name == "linear":
        return array
    return apply(activation, array)
