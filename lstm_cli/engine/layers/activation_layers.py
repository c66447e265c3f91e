"""Activation functions that are layers of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import ShapeError, UnsupportedFeatureError
from ...model import Array, Operation
from ..tensor import Tensor
from .rule import Rule, activated, always, axes_of, beside_steps, floating, one, quiet


@quiet
def activation(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    x = one(inputs)
    return Tensor(activated(operation, floating(x.array)), x.mask)


@quiet
def relu(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """x above ``threshold``, at most ``max_value``; ``negative_slope`` (x - threshold) below."""
    x, settings = one(inputs), operation.settings
    highest, threshold = settings.get("max_value"), settings.get("threshold") or 0.0
    slope = settings.get("negative_slope") or 0.0
    y = x.array * (x.array > threshold) if threshold else np.maximum(x.array, 0)
    if highest is not None:
        y = np.minimum(np.maximum(y, 0), highest)
    if slope:
        y = y - slope * np.maximum(threshold - x.array, 0)
    return Tensor(y, x.mask)


@quiet
def leaky_relu(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    x = one(inputs)
    return Tensor(_leaky(x.array, operation.settings["negative_slope"]), x.mask)


@quiet
def prelu(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Slope ``alpha`` below 0, one for each place; shared along axes of size 1."""
    x, alpha = one(inputs), operation.weights["alpha"]
    inner = x.array.shape[1:]
    if alpha.ndim != len(inner) or any(
        a not in (1, n) for a, n in zip(alpha.shape, inner, strict=True)
    ):
        expected = ", ".join(str(a) if a > 1 else "n" for a in alpha.shape)
        raise ShapeError("input", f"(B, {expected})", x.array.shape)
    return Tensor(_leaky(x.array, alpha), x.mask)


def _leaky(x: Array, slope: float | Array) -> Array:
    return np.maximum(x, 0) + slope * np.minimum(x, 0)


@quiet
def elu(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    x = one(inputs)
    below = operation.settings["alpha"] * np.expm1(np.minimum(x.array, 0))
    return Tensor(np.where(x.array > 0, x.array, below), x.mask)


@quiet
def thresholded_relu(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    x = one(inputs)
    return Tensor(x.array * (x.array > operation.settings["theta"]), x.mask)


@quiet
def softmax(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    x = one(inputs)
    if x.mask is not None:
        raise UnsupportedFeatureError(
            "a masked Softmax layer is not computed, because versions of Keras disagree about it",
            ["a masked Softmax layer"],
        )
    axes = axes_of(operation.settings.get("axis", -1), x.array.shape)
    return Tensor(softmax_of(x.array, axes))


def softmax_of(x: Array, axes: int | tuple[int, ...]) -> Array:
    """exp(x) over its sum along ``axes``."""
    y: Array = np.exp(x - x.max(axis=axes, keepdims=True))
    y /= y.sum(axis=axes, keepdims=True)
    return y


def _beside_shared_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    return ranks[0] >= 3 and operation.weights["alpha"].shape[0] == 1


def _activation_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    """Some activations, such as softmax, look at the whole last axis."""
    return ranks[0] >= 3


RULES: Mapping[str, Rule] = {
    "activation": Rule(activation, _activation_steps),
    "relu": Rule(relu, always),
    "leaky_relu": Rule(leaky_relu, always),
    "prelu": Rule(prelu, _beside_shared_steps),
    "elu": Rule(elu, always),
    "thresholded_relu": Rule(thresholded_relu, always),
    "softmax": Rule(softmax, beside_steps(-1)),
}
