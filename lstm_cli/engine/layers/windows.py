"""Sliding windows over one or two spatial axes, for convolutions and pooling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...model import Array, Operation
from .rule import as_tuple, need_positive, need_rank


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows of a layer lie.

    Attributes:
        size: steps read along each spatial axis.
        strides: steps from one window to the next.
        dilation: steps from one reading to the next inside a window.
        padding: valid, same, causal, full; or half, which is what Keras's Theano backend means by
            same: as many windows, but those of even size begin one step earlier.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str

    @property
    def spans(self) -> tuple[int, ...]:
        """Steps from the first to the last reading of a window, both included."""
        return tuple((n - 1) * d + 1 for n, d in zip(self.size, self.dilation, strict=True))

    def margins(self, lengths: tuple[int, ...]) -> list[tuple[int, int]]:
        """How many steps are added before and after each spatial axis of these lengths."""
        axes = zip(lengths, self.spans, self.strides, strict=True)
        return [_margin(self.padding, *axis) for axis in axes]

    def view(self, x: Array, fill: float = 0.0) -> Array:
        """The windows of ``x`` (B, spatial..., C): a view (B, out..., C, size...).

        Raises:
            ShapeError: if no window fits into ``x``.
        """
        axes = tuple(range(1, 1 + len(self.size)))
        margins = self.margins(x.shape[1:-1])
        if any(before or after for before, after in margins):
            x = np.pad(x, [(0, 0), *margins, (0, 0)], constant_values=fill)
        if any(x.shape[axis] < span for axis, span in zip(axes, self.spans, strict=True)):
            least = " x ".join(map(str, self.spans))
            raise ShapeError("input", f"with at least {least} steps", x.shape)
        view = np.lib.stride_tricks.sliding_window_view(x, self.spans, axis=axes)
        steps = [slice(None, None, step) for step in self.strides]
        inner = [slice(None, None, step) for step in self.dilation]
        return view[(slice(None), *steps, slice(None), *inner)]

    def readings(self, view: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
        """Each place of a window, with what all windows hold there: (B, out..., C)."""
        for place in product(*map(range, self.size)):
            yield place, view[(slice(None),) * (view.ndim - len(place)) + place]


def _margin(padding: str, length: int, span: int, stride: int) -> tuple[int, int]:
    total = max((-(-length // stride) - 1) * stride + span - length, 0)
    if padding == "same":
        return total // 2, total - total // 2
    if padding == "half":
        return span // 2, max(total - span // 2, 0)
    before = span - 1 if padding in ("causal", "full") else 0
    return before, span - 1 if padding == "full" else 0


def windows_of(operation: Operation, size: Any, rank: int) -> Windows:
    """The windows that an operation's settings describe, over ``rank`` spatial axes."""
    settings = operation.settings
    size = as_tuple(size, rank)
    strides = settings.get("strides")
    default = size if "pool_size" in settings else 1
    windows = Windows(
        size,
        as_tuple(default if strides is None else strides, rank),
        as_tuple(settings.get("dilation_rate", 1), rank),
        settings.get("padding", "valid"),
    )
    need_positive("window size", *windows.size)
    need_positive("strides", *windows.strides)
    need_positive("dilation", *windows.dilation)
    return windows


def is_channels_first(operation: Operation) -> bool:
    return operation.settings.get("data_format") == "channels_first"


def channels_last(operation: Operation, x: Array, rank: int) -> Array:
    """``x`` as (B, spatial..., C), whatever the operation's data format.

    Raises:
        ShapeError: if it does not have ``rank`` spatial axes.
    """
    spatial = ("T",) if rank == 1 else ("H", "W")
    names = ("C", *spatial) if is_channels_first(operation) else (*spatial, "C")
    need_rank(x, rank + 2, f"(B, {', '.join(names)})")
    return np.moveaxis(x, 1, -1) if is_channels_first(operation) else x


def as_given(operation: Operation, y: Array) -> Array:
    """The reverse of ``channels_last``."""
    return np.ascontiguousarray(np.moveaxis(y, -1, 1)) if is_channels_first(operation) else y
