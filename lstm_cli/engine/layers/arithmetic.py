"""What layers and operations with several inputs share: one dtype, shapes that fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ShapeError
from ...model import Array


def common_dtype(arrays: Sequence[Array]) -> np.dtype[np.generic]:
    """The dtype in which frameworks would combine ``arrays``.

    Floating arrays decide over whole numbers, and arrays over single values, so that a constant
    never makes double precision of single.
    """
    floats = [array for array in arrays if array.dtype.kind == "f"]
    deciding = [array for array in floats if array.ndim] or floats or arrays
    return np.result_type(*(array.dtype for array in deciding))


def with_common_dtype(arrays: Sequence[Array]) -> list[Array]:
    dtype = common_dtype(arrays)
    return [array.astype(dtype, copy=False) for array in arrays]


def need_broadcastable(arrays: Sequence[Array]) -> None:
    """Raise ``ShapeError`` unless the shapes can be broadcast together."""
    shape: tuple[int, ...] = ()
    for k, array in enumerate(arrays):
        try:
            shape = np.broadcast_shapes(shape, array.shape)
        except ValueError:
            raise ShapeError(f"input {k}", f"that fits {shape}", array.shape) from None


def need_same_beside(axis: int, arrays: Sequence[Array]) -> None:
    """Raise ``ShapeError`` unless shapes differ along ``axis`` only."""
    first = arrays[0].shape
    for k, array in enumerate(arrays):
        others = zip(first, array.shape, strict=False)
        if array.ndim != len(first) or any(n != m for d, (n, m) in enumerate(others) if d != axis):
            wanted = ", ".join("n" if d == axis else str(n) for d, n in enumerate(first))
            raise ShapeError(f"input {k}", f"({wanted})", array.shape)
