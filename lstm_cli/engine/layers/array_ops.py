"""Operations of functional models that join, cut and move arrays. They drop masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...model import Array, Operation
from ..tensor import Tensor
from .arithmetic import with_common_dtype
from .dense import blocked_product
from .rule import Rule, Stepwise, as_tuple, beside_steps, never, one, quiet

Settings = Mapping[str, Any]


def _shaped(
    function: Callable[[Settings, list[Array]], Array | list[Array]], stepwise: Stepwise = never
) -> Rule:
    """A rule that reports arrays which NumPy cannot join, cut or move so."""

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor | list[Tensor]:
        arrays = [x.array for x in inputs]
        try:
            found = function(operation.settings, arrays)
        except (ValueError, IndexError) as error:
            shapes = " and ".join(str(array.shape) for array in arrays[1:])
            advice = f"{error}" + (f"; beside it: {shapes}" if shapes else "")
            wanted = f"that fits {operation.name.removeprefix('op_')}"
            raise ShapeError("input", wanted, arrays[0].shape, advice) from error
        return [Tensor(array) for array in found] if isinstance(found, list) else Tensor(found)

    return Rule(compute, stepwise)


def _single(function: Callable[[Array, Settings], Array], stepwise: Stepwise = never) -> Rule:
    return _shaped(lambda settings, arrays: function(_only(arrays), settings), stepwise)


def _only(arrays: list[Array]) -> Array:
    return one([Tensor(array) for array in arrays]).array


def _concatenate(settings: Settings, arrays: list[Array]) -> Array:
    return np.concatenate(with_common_dtype(arrays), axis=settings.get("axis", 0))


def _stack(settings: Settings, arrays: list[Array]) -> Array:
    return np.stack(with_common_dtype(arrays), axis=settings.get("axis", 0))


def _matmul(settings: Settings, arrays: list[Array]) -> Array:
    x, y = with_common_dtype(arrays)
    x = x.swapaxes(-1, -2) if settings.get("transpose_a") else x
    y = y.swapaxes(-1, -2) if settings.get("transpose_b") else y
    if x.ndim == 3 and y.ndim == 2 and x.shape[-1] == y.shape[0]:
        return blocked_product(x, y)
    product: Array = np.matmul(x, y)
    return product


def _split(settings: Settings, arrays: list[Array]) -> list[Array]:
    """In so many equal parts, or before each of the listed places."""
    return np.split(_only(arrays), settings["indices_or_sections"], axis=settings.get("axis", 0))


def _unstack(settings: Settings, arrays: list[Array]) -> list[Array]:
    """One array for each place of an axis."""
    return list(np.moveaxis(_only(arrays), settings.get("axis", 0), 0))


def _einsum(settings: Settings, arrays: list[Array]) -> Array:
    return np.asarray(np.einsum(settings["subscripts"], *with_common_dtype(arrays)))


def _take(x: Array, settings: Settings) -> Array:
    return np.asarray(np.take(x, settings["indices"], axis=settings.get("axis")))


def _swapaxes(x: Array, settings: Settings) -> Array:
    return np.ascontiguousarray(x.swapaxes(settings["axis1"], settings["axis2"]))


def _expand_dims(x: Array, settings: Settings) -> Array:
    return np.expand_dims(x, as_tuple(settings["axis"]))


def _squeeze(x: Array, settings: Settings) -> Array:
    axis = settings.get("axis")
    return np.squeeze(x, axis=None if axis is None else as_tuple(axis))


def _reshape(x: Array, settings: Settings) -> Array:
    shape = settings["shape"] if "shape" in settings else settings["newshape"]
    return x.reshape([-1 if n is None else int(n) for n in shape])


def _transpose(x: Array, settings: Settings) -> Array:
    axes = settings.get("axes")
    return np.ascontiguousarray(x.transpose(None if axes is None else as_tuple(axes)))


def _getitem(x: Array, settings: Settings) -> Array:
    return np.asarray(x[settings["key"]])


def _flip(x: Array, settings: Settings) -> Array:
    axis = settings.get("axis")
    return np.ascontiguousarray(np.flip(x, axis=None if axis is None else as_tuple(axis)))


def _repeat(x: Array, settings: Settings) -> Array:
    return np.repeat(x, settings["repeats"], axis=settings.get("axis"))


def _tile(x: Array, settings: Settings) -> Array:
    return np.tile(x, as_tuple(settings["repeats"]))


def _pad(x: Array, settings: Settings) -> Array:
    mode = settings.get("mode", "constant")
    if mode == "constant":
        return np.pad(
            x, settings["pad_width"], constant_values=settings.get("constant_values") or 0
        )
    return np.pad(x, settings["pad_width"], mode=mode)


def _behind_steps(change: int) -> Stepwise:
    """Stepwise where an axis that comes or goes stands behind axis 1, before and after."""

    def stepwise(operation: Operation, ranks: Sequence[int]) -> bool:
        axis = operation.settings.get("axis", 0)
        if not isinstance(axis, int) or min(ranks) < 2:
            return False
        return axis % (max(ranks) + change) >= 2

    return stepwise


def _whole_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    """Stepwise where sequences and steps are taken whole: ``x[:, :, 0]`` or ``x[..., 0]``."""
    key, rank = operation.settings["key"], ranks[0]
    key = key if isinstance(key, tuple) else (key,)
    if not all(each is Ellipsis or isinstance(each, (int, slice)) for each in key):
        return False
    if Ellipsis in key:
        where = key.index(Ellipsis)
        key = (*key[:where], *[slice(None)] * (rank - len(key) + 1), *key[where + 1 :])
    whole = [isinstance(each, slice) and each == slice(None) for each in key[:2]]
    return rank >= 2 and all(whole)


def _left_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    """Stepwise where a sequence (B, T, F) is multiplied by a matrix."""
    return ranks[0] == 3 and ranks[1] <= 2 and not operation.settings.get("transpose_a")


RULES: Mapping[str, Rule] = {
    "op_concatenate": _shaped(_concatenate, beside_steps(0)),
    "op_stack": _shaped(_stack, _behind_steps(1)),
    "op_matmul": _shaped(_matmul, _left_steps),
    "op_split": _shaped(_split, beside_steps(0)),
    "op_unstack": _shaped(_unstack),
    "op_einsum": _shaped(_einsum),
    "op_take": _single(_take),
    "op_swapaxes": _single(_swapaxes),
    "op_expand_dims": _single(_expand_dims, _behind_steps(1)),
    "op_squeeze": _single(_squeeze, _behind_steps(0)),
    "op_reshape": _single(_reshape),
    "op_transpose": _single(_transpose),
    "op_getitem": _single(_getitem, _whole_steps),
    "op_flip": _single(_flip, beside_steps(None)),
    "op_reverse": _single(_flip, beside_steps(None)),
    "op_repeat": _single(_repeat, beside_steps(None)),
    "op_tile": _single(_tile),
    "op_pad": _single(_pad),
}
