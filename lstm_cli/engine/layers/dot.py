"""Dot: products of two tensors, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import InputError, ShapeError
from ...model import Array, Operation
from ..tensor import Tensor
from .arithmetic import with_common_dtype
from .rule import Rule, as_tuple, axes_of, quiet

SMALLEST_NORM = 1e-7


@quiet
def dot(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Sums over axis ``axes[0]`` of the first input and ``axes[1]`` of the second.

    The remaining axes follow each other: (B, T, F) and (B, S, F) along the last give (B, T, S).
    With ``normalize``, vectors along those axes have length 1.
    """
    if len(inputs) != 2:
        raise InputError(f"expected two inputs, found {len(inputs)}")
    x, y = with_common_dtype([each.array for each in inputs])
    over_x, over_y = as_tuple(operation.settings.get("axes", -1), 2)
    (over_x,), (over_y,) = axes_of(over_x, x.shape), axes_of(over_y, y.shape)
    if x.shape[0] != y.shape[0] or x.shape[over_x] != y.shape[over_y] or not over_x or not over_y:
        expected = f"(B={x.shape[0]}, ...) with {x.shape[over_x]} along axis {over_y}"
        raise ShapeError("input 1", expected, y.shape)
    if operation.settings.get("normalize"):
        x, y = _normalised(x, over_x), _normalised(y, over_y)
    products = _products(np.moveaxis(x, over_x, -1), np.moveaxis(y, over_y, 1))
    if operation.settings.get("extra_axis"):  # Keras 1's Merge of mode "cos" adds one
        products = np.expand_dims(products, 1)
    return Tensor(products)


def _normalised(x: Array, axis: int) -> Array:
    norm = np.sqrt(np.square(x).sum(axis=axis, keepdims=True))
    y: Array = x / np.maximum(norm, SMALLEST_NORM)
    return y


def _products(x: Array, y: Array) -> Array:
    """x (B, ..., K) and y (B, K, ...) give (B, ..., ...), at least (B, 1)."""
    batch, size = y.shape[:2]
    outer = x.shape[1:-1] + y.shape[2:]
    rows = int(np.prod(x.shape[1:-1]))
    products: Array = x.reshape(batch, rows, size) @ y.reshape(
        batch, size, int(np.prod(y.shape[2:]))
    )
    return products.reshape(batch, *(outer or (1,)))


RULES: Mapping[str, Rule] = {"dot": Rule(dot)}
