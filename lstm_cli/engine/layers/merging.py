"""Layers that make one tensor of several, and what becomes of their masks.

Up to Keras 3.3 masks merge by AND (``mask_merge="and"``), from 3.4 on by OR, and then Multiply,
Maximum and Minimum leave masked steps out of the values too.
Source: ``merging/base_merge.py``, ``multiply.py`` and ``concatenate.py`` of tf_keras 2.21 and
Keras 3.0.5, 3.3.3, 3.4.0 and 3.15.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np

from ...errors import InputError, UnsupportedFeatureError
from ...model import Array, Operation
from ..tensor import Tensor
from .arithmetic import need_broadcastable, need_same_beside, with_common_dtype
from .rule import Compute, Rule, axes_of, beside_steps, floating, quiet

Binary = Callable[[Array, Array], Array]
Merge = Callable[[Sequence[Array], Sequence[Array | None]], Array]


def _elementwise(merge: Merge) -> Compute:
    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        arrays = _aligned([x.array for x in inputs])
        masks = [x.mask for x in inputs]
        ignored = masks if operation.settings.get("mask_merge") == "or" else [None] * len(masks)
        y = merge(arrays, [_spread(m, x) for m, x in zip(ignored, arrays, strict=True)])
        return Tensor(y, _merged_mask(operation, masks))

    return compute


def _aligned(arrays: Sequence[Array]) -> list[Array]:
    """In one dtype and rank: what lacks axes gets them behind the batch axis."""
    if not arrays:
        raise InputError("expected at least one input, found none")
    rank = max(array.ndim for array in arrays)
    arrays = [
        array.reshape(array.shape[:1] + (1,) * (rank - array.ndim) + array.shape[1:])
        for array in with_common_dtype(arrays)
    ]
    need_broadcastable(arrays)
    return arrays


def _spread(mask: Array | None, x: Array) -> Array | None:
    """A mask (B, T) as an array like ``x`` (B, T, F)."""
    if mask is None:
        return None
    if x.shape[:-1] != mask.shape:
        feature = f"masks of shape {mask.shape} on inputs of shape {x.shape}"
        raise UnsupportedFeatureError(f"merging {feature} is not computed", [feature])
    return np.broadcast_to(mask[..., None], x.shape)


def _merged_mask(operation: Operation, masks: Sequence[Array | None]) -> Array | None:
    found = [mask for mask in masks if mask is not None]
    if operation.settings.get("mask_merge") == "or":
        return reduce(np.logical_or, found) if len(found) == len(masks) else None
    return reduce(np.logical_and, found) if found else None


def _sum(arrays: Sequence[Array], masks: Sequence[Array | None]) -> Array:
    return reduce(np.add, arrays)


def _mean(arrays: Sequence[Array], masks: Sequence[Array | None]) -> Array:
    return floating(reduce(np.add, arrays)) / len(arrays)


def _difference(arrays: Sequence[Array], masks: Sequence[Array | None]) -> Array:
    if len(arrays) != 2:
        raise InputError(f"expected two inputs, found {len(arrays)}")
    y: Array = np.subtract(*arrays)
    return y


def _product(arrays: Sequence[Array], masks: Sequence[Array | None]) -> Array:
    """Masked steps count as 1; where all inputs are masked the product is 0."""
    found = [mask for mask in masks if mask is not None]
    factors = [
        x if mask is None else np.where(mask, x, x.dtype.type(1))
        for x, mask in zip(arrays, masks, strict=True)
    ]
    y = reduce(np.multiply, factors)
    if len(found) < len(masks):
        return y
    return np.where(reduce(np.logical_or, found), y, y.dtype.type(0))


def _extreme(choose: Binary) -> Merge:
    """The larger or smaller of what is not masked."""

    def merge(arrays: Sequence[Array], masks: Sequence[Array | None]) -> Array:
        y, valid = arrays[0], masks[0]
        for x, mask in zip(arrays[1:], masks[1:], strict=True):
            if mask is not None:
                x = np.where(mask, x, y)
            if valid is not None:
                y = np.where(valid, y, x)
            valid = valid | mask if valid is not None and mask is not None else None
            y = choose(y, x)
        return y

    return merge


def concatenate(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Arrays end to end along ``axis``, masks too where it is the time axis."""
    if not inputs:
        raise InputError("expected at least one input, found none")
    arrays = with_common_dtype([x.array for x in inputs])
    (axis,) = axes_of(operation.settings.get("axis", -1), arrays[0].shape)
    need_same_beside(axis, arrays)
    y = np.concatenate(arrays, axis=axis)
    return Tensor(y, _concatenated_mask(operation, inputs, axis))


def _concatenated_mask(operation: Operation, inputs: Sequence[Tensor], axis: int) -> Array | None:
    """An input without a mask counts as unmasked, as long as another input has one."""
    if all(x.mask is None for x in inputs):
        return None
    masks = [np.ones(x.array.shape[:2], bool) if x.mask is None else x.mask for x in inputs]
    if axis in (0, 1):
        return np.concatenate(masks, axis=axis)
    merge = np.logical_or if operation.settings.get("mask_merge") == "or" else np.logical_and
    return reduce(merge, masks)


def _same_rank(operation: Operation, ranks: Sequence[int]) -> bool:
    """Arrays of a lower rank are repeated over the steps, so they have none of their own."""
    return len(set(ranks)) == 1


RULES: Mapping[str, Rule] = {
    "add": Rule(_elementwise(_sum), _same_rank),
    "average": Rule(_elementwise(_mean), _same_rank),
    "subtract": Rule(_elementwise(_difference), _same_rank),
    "multiply": Rule(_elementwise(_product), _same_rank),
    "maximum": Rule(_elementwise(_extreme(np.maximum)), _same_rank),
    "minimum": Rule(_elementwise(_extreme(np.minimum)), _same_rank),
    "concatenate": Rule(concatenate, beside_steps(-1)),
}
