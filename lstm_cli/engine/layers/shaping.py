"""Layers that move, repeat, cut or pad what they get. None of them keeps a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ...errors import ShapeError, UnsupportedFeatureError
from ...model import Array, Operation
from ..tensor import Tensor
from .rule import Compute, Rule, as_tuple, need_positive, need_rank, one
from .windows import as_given, channels_last, is_channels_first


def flatten(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """(B, everything else), channels last."""
    x = one(inputs).array
    if is_channels_first(operation) and x.ndim > 2:
        x = np.moveaxis(x, 1, -1)
    return Tensor(x.reshape(len(x), prod(x.shape[1:])))


def reshape(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """(B, *target_shape); one -1 stands for what is left."""
    x, target = one(inputs).array, as_tuple(operation.settings["target_shape"])
    held, known = prod(x.shape[1:]), prod(n for n in target if n >= 0)
    missing = sum(n < 0 for n in target)
    if missing > 1 or (held != known if not missing else not known or held % known):
        wanted = ", ".join("?" if n < 0 else str(n) for n in target)
        raise ShapeError("input", f"with as many numbers a sample as ({wanted})", x.shape)
    shape = [held // known if n < 0 else n for n in target]
    return Tensor(x.reshape(len(x), *shape))


def permute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Axes in the order of ``dims``, which count from 1."""
    x, dims = one(inputs).array, as_tuple(operation.settings["dims"])
    need_rank(x, len(dims) + 1, f"of {len(dims) + 1} axes")
    return Tensor(np.ascontiguousarray(x.transpose(0, *dims)))


def repeat_vector(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """(B, F) at every one of ``n`` steps."""
    x = one(inputs).array
    need_rank(x, 2, "(B, F)")
    need_positive("n", operation.settings["n"])
    return Tensor(np.repeat(x[:, None], operation.settings["n"], axis=1))


def _zero_padding(rank: int) -> Compute:
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x = channels_last(operation, one(inputs).array, rank)
        margins = _pairs(operation, "padding", rank)
        return Tensor(as_given(operation, np.pad(x, [(0, 0), *margins, (0, 0)])))

    return compute


def _cropping(rank: int) -> Compute:
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x = channels_last(operation, one(inputs).array, rank)
        pairs = _pairs(operation, "cropping", rank)
        lengths = x.shape[1:-1]
        if any(before + after >= n for (before, after), n in zip(pairs, lengths, strict=True)):
            least = " x ".join(str(before + after + 1) for before, after in pairs)
            raise ShapeError("input", f"with at least {least} steps", one(inputs).array.shape)
        kept = [slice(before, n - after) for (before, after), n in zip(pairs, lengths, strict=True)]
        return Tensor(as_given(operation, x[(slice(None), *kept)]))

    return compute


def _pairs(operation: Operation, name: str, rank: int) -> list[tuple[int, ...]]:
    """A pair for each spatial axis; over one axis the setting is the pair itself."""
    value = operation.settings[name]
    return [as_tuple(pair, 2) for pair in ([value] if rank == 1 else value)]


def _up_sampling(rank: int) -> Compute:
    """Every step ``size`` times."""

    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        interpolation = operation.settings.get("interpolation", "nearest")
        if interpolation != "nearest":
            feature = f"{interpolation} interpolation"
            raise UnsupportedFeatureError(f"{feature} is not computed, only nearest is", [feature])
        y: Array = channels_last(operation, one(inputs).array, rank)
        size = as_tuple(operation.settings["size"], rank)
        need_positive("size", *size)
        for axis, times in enumerate(size, start=1):
            y = np.repeat(y, times, axis=axis)
        return Tensor(as_given(operation, y))

    return compute


RULES: Mapping[str, Rule] = {
    "flatten": Rule(flatten),
    "reshape": Rule(reshape),
    "permute": Rule(permute),
    "repeat_vector": Rule(repeat_vector),
    "zero_padding1d": Rule(_zero_padding(1)),
    "zero_padding2d": Rule(_zero_padding(2)),
    "cropping1d": Rule(_cropping(1)),
    "cropping2d": Rule(_cropping(2)),
    "up_sampling1d": Rule(_up_sampling(1)),
    "up_sampling2d": Rule(_up_sampling(2)),
}
