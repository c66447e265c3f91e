"""Where operations that move, add or remove axes put an axis of their first input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from .rule import as_tuple

Settings = Mapping[str, Any]
Shape = tuple[int, ...]
Move = Callable[[Settings, int, Shape, Shape], int | None]
"""From settings, an axis, and the shapes before and after to the axis; None where it is lost."""


def _transposed(settings: Settings, axis: int, shape: Shape, result: Shape) -> int | None:
    axes = settings.get("axes")
    order = range(len(shape))[::-1] if axes is None else as_tuple(axes)
    return [each % len(shape) for each in order].index(axis)


def _permuted(settings: Settings, axis: int, shape: Shape, result: Shape) -> int | None:
    """``dims`` count from 1, and leave out the axis of the sequences."""
    return (0, *as_tuple(settings["dims"])).index(axis)


def _swapped(settings: Settings, axis: int, shape: Shape, result: Shape) -> int | None:
    pair = [settings[name] % len(shape) for name in ("axis1", "axis2")]
    return pair[1 - pair.index(axis)] if axis in pair else axis


def _squeezed(settings: Settings, axis: int, shape: Shape, result: Shape) -> int | None:
    if settings.get("axis") is None:
        return None  # which axes go depends on their lengths
    gone = {each % len(shape) for each in as_tuple(settings["axis"])}
    return None if axis in gone else axis - sum(each < axis for each in gone)


def _expanded(settings: Settings, axis: int, shape: Shape, result: Shape) -> int | None:
    new = {each % len(result) for each in as_tuple(settings["axis"])}
    return [each for each in range(len(result)) if each not in new][axis]


def _taken(settings: Settings, axis: int, shape: Shape, result: Shape) -> int | None:
    """Some places of another axis, or a single one."""
    if settings.get("axis") is None:
        return None
    along = settings["axis"] % len(shape)
    return None if along == axis else axis + (len(result) - len(shape)) * (along < axis)


def _reshaped(settings: Settings, axis: int, shape: Shape, result: Shape) -> int | None:
    """Where there is as much before, in and behind an axis as there was.

    Before it stand the same axes if one of them is empty, so that its length says nothing.
    """
    before, length, behind = shape[:axis], shape[axis], prod(shape[axis + 1 :])
    found = [
        k
        for k, size in enumerate(result)
        if size == length
        and prod(result[k + 1 :]) == behind
        and (result[:k] == before if 0 in before else prod(result[:k]) == prod(before))
    ]
    return found[0] if len(found) == 1 else None


MOVES: Mapping[str, Move] = {
    "op_expand_dims": _expanded,
    "op_reshape": _reshaped,
    "op_squeeze": _squeezed,
    "op_swapaxes": _swapped,
    "op_take": _taken,
    "op_transpose": _transposed,
    "permute": _permuted,
    "reshape": _reshaped,
}
"""By operation."""
