"""TimeDistributed layers: the axes they go along, folded into that of the sequences and back.

Letters: B sequences, N entries of an axis that is gone along.
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..model import Array, Layer
from .tensor import Tensor


def time_first(tensor: Tensor) -> Tensor:
    """Swap the first two axes: (T, B, …) ↔ (B, T, …)."""
    mask = None if tensor.mask is None else tensor.mask.swapaxes(0, 1)
    return Tensor(tensor.array.swapaxes(0, 1), mask)


def folded(tensor: Tensor, layer: Layer) -> Tensor:
    """The axes that a TimeDistributed goes along, folded into the first: (B, N, …) → (B·N, …)."""
    depth = layer.distributed
    if not depth:
        return tensor
    shape = tensor.array.shape
    if len(shape) <= depth + 1:
        raise ShapeError("input", f"at least {depth + 2} axes", shape)
    rows = int(np.prod(shape[: depth + 1]))
    mask = None if layer.wrapper_mask == "unread" else tensor.mask
    if mask is not None:
        mask = mask.reshape(rows, *mask.shape[depth + 1 :]) if mask.ndim > depth + 1 else None
    return Tensor(tensor.array.reshape(rows, *shape[depth + 1 :]), mask)


def unfolded(result: Tensor, layer: Layer, outer: Tensor) -> Tensor:
    """The reverse of ``folded``, with the mask that TimeDistributed hands on."""
    leading = outer.array.shape[: layer.distributed + 1]
    inner = None if result.mask is None else result.mask.reshape(*leading, *result.mask.shape[1:])
    array = result.array.reshape(*leading, *result.array.shape[1:])
    return Tensor(array, wrapper_mask(layer, inner, outer.mask))


def wrapper_mask(layer: Layer, inner: Array | None, outer: Array | None) -> Array | None:
    """The inner layer's mask; without one the wrapper's own, a step real if any of it was.

    Keras 3, and Keras before 2.2, hand on the wrapper's own as it is.
    """
    if layer.wrapper_mask in ("passed", "unread"):
        return outer
    if inner is not None or outer is None or not layer.wrapper_mask:
        return inner
    return np.asarray(outer.any(axis=tuple(range(layer.distributed + 1, outer.ndim))))
