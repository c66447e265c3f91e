"""Dense: the last axis through a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ...errors import ShapeError
from ...model import Array, Operation
from ..tensor import Tensor
from .rule import Rule, activated, one, quiet, weight

BLOCK = 256
"""Steps in a block."""


@quiet
def dense(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """activation(x kernel + bias), x of shape (B, ..., F), kernel (F, U)."""
    x, kernel = one(inputs), operation.weights["kernel"]
    features, units = kernel.shape
    if x.array.ndim < 2 or x.array.shape[-1] != features:
        raise ShapeError("input", f"(B, ..., {features})", x.array.shape)
    y = blocked_product(x.array.astype(kernel.dtype, copy=False), kernel)
    bias = weight(operation, "bias", units)
    if bias is not None:
        y += bias
    return Tensor(activated(operation, y), x.mask)


def blocked_product(x: Array, kernel: Array) -> Array:
    """``x @ kernel``, in blocks of steps along axis 1.

    Sums inside a product may depend on its size. Blocks make sure that a sequence that is cut at
    a multiple of ``BLOCK`` gives the same bits in one piece and in two.
    """
    if x.ndim == 2:
        y: Array = np.matmul(x, kernel)
        return y
    rows = prod(x.shape[2:-1])  # of one step
    x_rows = np.ascontiguousarray(x).reshape(x.shape[0], x.shape[1] * rows, x.shape[-1])
    y = np.empty((*x_rows.shape[:2], kernel.shape[1]), np.result_type(x, kernel))
    block = max(1, BLOCK * rows)
    for start in range(0, x_rows.shape[1], block):
        part = slice(start, start + block)
        np.matmul(x_rows[:, part], kernel, out=y[:, part])
    return y.reshape(*x.shape[:-1], kernel.shape[1])


def _has_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    return ranks[0] >= 3


RULES: Mapping[str, Rule] = {"dense": Rule(dense, _has_steps)}
