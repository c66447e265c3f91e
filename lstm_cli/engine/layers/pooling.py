"""Pooling, in windows and over everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import ShapeError, UnsupportedFeatureError
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
    """The mean of what a window holds of the input itself, padding left out.

    Where padding is uneven, ``uneven`` says what else counts: the values at the edges again
    (``edge``), or a zero behind the last one (``zero``). ``unknown``: then it is not computed.

    Raises:
        UnsupportedFeatureError: if nothing says what counts.
    """

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x = channels_last(operation, floating(one(inputs).array), rank)
        windows = windows_of(operation, operation.settings["pool_size"], rank)
        ones = np.ones((1, *x.shape[1:-1], 1), x.dtype)
        margins, rule = windows.margins(x.shape[1:-1]), operation.settings.get("uneven", "")
        if rule and any(before != after for before, after in margins):
            _refuse_unknown(x, rule)
            x, ones = _padded(x, margins, rule), _padded(ones, margins, rule, 1)
            windows = replace(windows, padding="valid")
        view, held = windows.view(x), windows.view(ones)
        y, count = (
            np.zeros(view.shape[: rank + 2], x.dtype),
            np.zeros(held.shape[: rank + 2], x.dtype),
        )
        for (_, readings), (_, counts) in zip(
            windows.readings(view), windows.readings(held), strict=True
        ):
            y += readings
            count += counts
        return Tensor(as_given(operation, y / count))

    return compute


def _refuse_unknown(x: Array, rule: str) -> None:
    """Without sequences it is only the shape that counts, which is always the same."""
    if rule == "unknown" and len(x):
        steps = " x ".join(map(str, x.shape[1:-1]))
        raise UnsupportedFeatureError(
            f"average pooling of {steps} steps needs uneven padding, which Keras counts in another "
            "way on PyTorch than on JAX, and the file does not say which of them wrote it"
        )


def _padded(x: Array, margins: Sequence[tuple[int, int]], rule: str, behind: float = 0) -> Array:
    """The input with its uneven padding; ``zero`` adds a step of ``behind`` behind the last one."""
    if rule != "zero":
        return np.pad(x, [(0, 0), *margins, (0, 0)], mode="edge")
    one = [(0, int(after > before)) for before, after in margins]
    x = np.pad(x, [(0, 0), *one, (0, 0)], constant_values=behind)
    return np.pad(x, [(0, 0), *((before, before) for before, _ in margins), (0, 0)])


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
