"""Pooling, in windows and over everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import ShapeError
from ...model import Array, Operation
from ..tensor import Tensor
from .rule import Compute, Rule, floating, one, quiet
from .windows import as_given, channels_last, is_channels_first, windows_of


def _max_pooling(rank: int) -> Compute:
    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x = channels_last(operation, floating(one(inputs).array), rank)
        windows = windows_of(operation, operation.settings["pool_size"], rank)
        view = windows.view(x, fill=-np.inf)
        y = np.full(view.shape[: rank + 2], -np.inf, x.dtype)
        for _, readings in windows.readings(view):
            np.maximum(y, readings, out=y)
        return Tensor(as_given(operation, y))

    return compute


def _average_pooling(rank: int) -> Compute:
    """The mean of what a window holds of the input itself, padding left out."""

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x = channels_last(operation, floating(one(inputs).array), rank)
        windows = windows_of(operation, operation.settings["pool_size"], rank)
        view = windows.view(x)
        held = windows.view(np.ones((1, *x.shape[1:-1], 1), x.dtype))
        y, count = (
            np.zeros(view.shape[: rank + 2], x.dtype),
            np.zeros(held.shape[: rank + 2], x.dtype),
        )
        for (_, readings), (_, ones) in zip(
            windows.readings(view), windows.readings(held), strict=True
        ):
            y += readings
            count += ones
        return Tensor(as_given(operation, y / count))

    return compute


def _global_max(rank: int) -> Compute:
    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x = one(inputs).array
        y = x.max(axis=_spatial(operation, x, rank), keepdims=_keepdims(operation))
        return Tensor(y)

    return compute


def _global_average(rank: int) -> Compute:
    """The mean over all steps, or over the unmasked ones; summed in double precision."""

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x, mask = floating(one(inputs).array), one(inputs).mask
        axes = _spatial(operation, x, rank)
        where: Array | bool = True
        if mask is not None and rank == 1:
            if mask.shape != (x.shape[0], x.shape[axes[0]]):
                raise ShapeError("mask", str((x.shape[0], x.shape[axes[0]])), mask.shape)
            where = mask[:, None, :] if is_channels_first(operation) else mask[:, :, None]
        total = x.sum(axis=axes, dtype=np.float64, keepdims=True, where=where)
        count = np.broadcast_to(where, x.shape).sum(axis=axes, keepdims=True)
        y = (total / count).astype(x.dtype)
        return Tensor(y if _keepdims(operation) else y.squeeze(axes))

    return compute


def _spatial(operation: Operation, x: Array, rank: int) -> tuple[int, ...]:
    channels_last(operation, x, rank)  # checks the rank
    first = 2 if is_channels_first(operation) else 1
    return tuple(range(first, first + rank))


def _keepdims(operation: Operation) -> bool:
    return bool(operation.settings.get("keepdims"))


RULES: Mapping[str, Rule] = {
    "max_pooling1d": Rule(_max_pooling(1)),
    "max_pooling2d": Rule(_max_pooling(2)),
    "average_pooling1d": Rule(_average_pooling(1)),
    "average_pooling2d": Rule(_average_pooling(2)),
    "global_max_pooling1d": Rule(_global_max(1)),
    "global_max_pooling2d": Rule(_global_max(2)),
    "global_average_pooling1d": Rule(_global_average(1)),
    "global_average_pooling2d": Rule(_global_average(2)),
}
