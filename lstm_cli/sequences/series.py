"""Small questions about arrays that were read."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import InputError, UsageError
from .npy import Array


def windows(array: Array, size: int, stride: int = 1) -> Array:
    """Overlapping pieces of a series, as a read-only view.

    Args:
        array: Steps along the first axis, shape (T, F) or (T,).
        size: Steps in a window.
        stride: Steps from one window's start to the next one's. Steps after the last window that
            fits are in none.

    Returns:
        Shape (N, size, F) or (N, size), where N = (T - size) // stride + 1.

    Raises:
        InputError: If the series is shorter than one window.
        UsageError: If size or stride is not positive.
    """
    for option, value in (("--window", size), ("--stride", stride)):
        if value < 1:
            raise UsageError(f"{option} {value}: expected at least 1")
    steps = array.shape[0]
    if size > steps:
        raise InputError(
            f"the sequence has {steps} step{'' if steps == 1 else 's'}, --window asks for {size}"
        )
    every = sliding_window_view(array, size, axis=0)[::stride]  # (N, [F,] size)
    return np.moveaxis(every, -1, 1)


def first_nonfinite(array: Array) -> tuple[int, ...] | None:
    """Index of the first NaN or infinite value in C order, or None."""
    if array.dtype.kind not in "fc":
        return None
    finite = np.isfinite(array)
    if finite.all():
        return None
    place = np.unravel_index(int(np.argmin(finite)), array.shape)
    return tuple(int(k) for k in place)
