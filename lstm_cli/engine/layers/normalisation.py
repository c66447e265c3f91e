"""Layers that shift and scale: batch and layer normalisation, Normalization, Rescaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import ShapeError
from ...model import Array, Operation
from ..tensor import Tensor
from .rule import Rule, as_tuple, axes_of, beside_steps, floating, one, quiet, weight

KERAS_EPSILON = 1e-7
"""Smallest standard deviation that Normalization divides by."""


@quiet
def batch_normalization(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """gamma (x - moving_mean) / sqrt(moving_variance + epsilon) + beta along ``axis``."""
    x, mean = one(inputs), operation.weights["moving_mean"]
    array = x.array.astype(mean.dtype, copy=False)
    (axis,) = axes_of(operation.settings.get("axis", -1), array.shape)
    channels = _need_size(array, axis, mean)
    variance = _need(operation, "moving_variance", channels)
    gamma, beta = (weight(operation, name, channels) for name in ("gamma", "beta"))
    scale = 1 / np.sqrt(variance + operation.settings["epsilon"])
    scale = scale if gamma is None else scale * gamma
    shift = -mean * scale if beta is None else beta - mean * scale
    return Tensor(array * _along(scale, array, axis) + _along(shift, array, axis), x.mask)


@quiet
def layer_normalization(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, moments over ``axis`` of each sample.

    With ``rms_scaling``, Keras leaves the mean and beta out, but divides by the same deviation.
    """
    x, settings = one(inputs), operation.settings
    array = floating(x.array)
    axes = axes_of(settings.get("axis", -1), array.shape)
    sizes = tuple(array.shape[axis] for axis in axes)
    gamma, beta = (weight(operation, name, *sizes) for name in ("gamma", "beta"))
    centred = array - array.mean(axis=axes, keepdims=True)
    scale = 1 / np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + settings["epsilon"])
    y = (array if settings.get("rms_scaling") else centred) * scale
    if gamma is not None:
        y = y * _along(gamma, array, *axes)
    if beta is not None:
        y = y + _along(beta, array, *axes)
    return Tensor(y, x.mask)


@quiet
def normalization(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """(x - mean) / sqrt(variance), or back again with ``invert``."""
    x, axis = one(inputs), operation.settings.get("axis", -1)
    axes = () if axis is None else axes_of(axis, x.array.shape)
    mean, variance = (_fitted(operation, name, x.array, axes) for name in ("mean", "variance"))
    deviation = np.maximum(np.sqrt(variance), KERAS_EPSILON)
    array = x.array.astype(mean.dtype, copy=False)
    y = mean + array * deviation if operation.settings.get("invert") else (array - mean) / deviation
    return Tensor(y, x.mask)


@quiet
def rescaling(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """x scale + offset; ``scale`` and ``offset`` are numbers, or one for each feature."""
    x = one(inputs)
    array = floating(x.array)
    scale, offset = (
        np.asarray(operation.settings.get(name, default), array.dtype)
        for name, default in (("scale", 1.0), ("offset", 0.0))
    )
    for name, value in (("scale", scale), ("offset", offset)):
        if not _broadcasts(value.shape, array.shape):
            raise ShapeError("input", f"that a {name} of shape {value.shape} fits", array.shape)
    return Tensor(array * scale + offset, x.mask)


def _need_size(x: Array, axis: int, vector: Array) -> int:
    """The size of ``axis``, which ``vector`` must share."""
    if vector.shape != (x.shape[axis],):
        raise ShapeError("input", f"with {vector.size} along axis {axis}", x.shape)
    return vector.size


def _need(operation: Operation, name: str, *shape: int) -> Array:
    array = weight(operation, name, *shape)
    if array is None:
        raise ShapeError(name, str(shape), ())
    return array


def _along(values: Array, x: Array, *axes: int) -> Array:
    """``values`` shaped so that they are broadcast along ``axes`` of ``x``."""
    return values.reshape([n if k in axes else 1 for k, n in enumerate(x.shape)])


def _fitted(operation: Operation, name: str, x: Array, axes: tuple[int, ...]) -> Array:
    """Statistics for ``axes`` of ``x``; fewer values stand for all."""
    values, sizes = operation.weights[name], tuple(x.shape[axis] for axis in axes)
    if not _broadcasts(values.shape, sizes):
        raise ShapeError("input", f"with {values.shape} along axes {list(axes)}", x.shape)
    return _along(np.broadcast_to(values, sizes), x, *axes)


def _broadcasts(shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    return len(shape) <= len(onto) and all(
        n in (1, m) for n, m in zip(shape[::-1], onto[::-1], strict=False)
    )


def _rescaling_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    most = max(np.ndim(operation.settings.get(name, 1.0)) for name in ("scale", "offset"))
    return most == 0 or ranks[0] - most >= 2


def _normalization_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    axis = operation.settings.get("axis", -1)
    if axis is None:
        return True
    return ranks[0] >= 2 and not {each % ranks[0] for each in as_tuple(axis)} & {0, 1}


RULES: Mapping[str, Rule] = {
    "batch_normalization": Rule(batch_normalization, beside_steps(-1)),
    "layer_normalization": Rule(layer_normalization, beside_steps(-1)),
    "normalization": Rule(normalization, _normalization_steps),
    "rescaling": Rule(rescaling, _rescaling_steps),
}
