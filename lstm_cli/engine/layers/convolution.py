"""Convolutions over one or two axes, as Keras has them: correlations, no kernel is turned round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ...errors import ShapeError
from ...model import Array, Operation
from ..tensor import Tensor
from .rule import BLOCK_ELEMENTS, Compute, Rule, activated, need_positive, one, quiet, weight
from .windows import as_given, channels_last, is_channels_first, windows_of


def _convolution(rank: int) -> Compute:
    """activation(x * kernel + bias); kernel (size..., C / groups, U)."""

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x, kernel = channels_last(operation, one(inputs).array, rank), operation.weights["kernel"]
        groups = operation.settings.get("groups", 1)
        need_positive("groups", groups)
        _need_channels(operation, x, kernel.shape[-2] * groups)
        if kernel.shape[-1] % groups:
            raise ShapeError("kernel", f"with a multiple of {groups} filters", kernel.shape)
        windows = windows_of(operation, kernel.shape[:rank], rank)
        view = windows.view(x.astype(kernel.dtype, copy=False))
        return _finished(operation, _correlate(view, kernel, groups))

    return compute


def _depthwise(rank: int) -> Compute:
    """Each channel by itself with depth_multiplier filters; kernel (size..., C, M)."""

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        return _finished(operation, _each_channel(operation, one(inputs).array, rank))

    return compute


def _separable(rank: int) -> Compute:
    """A depthwise convolution, then a mixture of its channels at each place."""

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        y = _each_channel(operation, one(inputs).array, rank)
        pointwise = operation.weights["pointwise_kernel"]
        if pointwise.shape[:-1] != (1,) * rank + y.shape[-1:]:
            expected = "1, " * rank + f"{y.shape[-1]}, U"
            raise ShapeError("pointwise_kernel", f"({expected})", pointwise.shape)
        return _finished(operation, y @ pointwise.reshape(pointwise.shape[-2:]))

    return compute


def _need_channels(operation: Operation, x: Array, channels: int) -> None:
    if x.shape[-1] != channels:
        expected = (
            f"(B, {channels}, ...)" if is_channels_first(operation) else f"(B, ..., {channels})"
        )
        raise ShapeError("input", expected, as_given(operation, x).shape)


def _correlate(view: Array, kernel: Array, groups: int) -> Array:
    """Products of windows (B, out..., C, size...) and kernel, in blocks of bounded memory."""
    rank = kernel.ndim - 2
    view = np.moveaxis(view, rank + 1, -1)  # (B, out..., size..., C)
    batch, *lengths = view.shape[: rank + 1]
    y = np.empty((batch, *lengths, kernel.shape[-1]), kernel.dtype)
    row = batch * prod(lengths[1:]) * prod(view.shape[rank + 1 :])
    block = max(1, BLOCK_ELEMENTS // max(1, row))
    matrices = [_matrix(part) for part in np.split(kernel, groups, axis=-1)]
    for start in range(0, lengths[0], block):
        parts = np.split(view[:, start : start + block], groups, axis=-1)
        products = [
            (part.reshape(-1, len(matrix)) @ matrix).reshape(*part.shape[: rank + 1], len(matrix.T))
            for part, matrix in zip(parts, matrices, strict=True)
        ]
        np.concatenate(products, axis=-1, out=y[:, start : start + block])
    return y


def _matrix(kernel: Array) -> Array:
    return kernel.reshape(-1, kernel.shape[-1])


def _each_channel(operation: Operation, x: Array, rank: int) -> Array:
    """(B, out..., C M): a sum over the window's places, one product of whole arrays each."""
    x, kernel = channels_last(operation, x, rank), operation.weights["depthwise_kernel"]
    _need_channels(operation, x, kernel.shape[-2])
    windows = windows_of(operation, kernel.shape[:rank], rank)
    view = windows.view(x.astype(kernel.dtype, copy=False))
    shape = view.shape[: rank + 2]  # (B, out..., C)
    y = np.zeros((*shape, kernel.shape[-1]), kernel.dtype)
    for place, readings in windows.readings(view):
        y += readings[..., None] * kernel[place]
    return y.reshape(*shape[:-1], shape[-1] * kernel.shape[-1])


def _finished(operation: Operation, y: Array) -> Tensor:
    """With bias and activation, in the operation's data format; a mask ends here."""
    bias = weight(operation, "bias", y.shape[-1])
    if bias is not None:
        y = y + bias
    return Tensor(activated(operation, as_given(operation, y)))


RULES: Mapping[str, Rule] = {
    "conv1d": Rule(_convolution(1)),
    "conv2d": Rule(_convolution(2)),
    "depthwise_conv1d": Rule(_depthwise(1)),
    "depthwise_conv2d": Rule(_depthwise(2)),
    "separable_conv1d": Rule(_separable(1)),
    "separable_conv2d": Rule(_separable(2)),
}
