"""Settings of operations from a file, checked before the engine sees them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .keras_ops import Op
from .reading import LARGEST, NotComputed, describe

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "op_cast": ("dtype",),
    "op_einsum": ("subscripts",),
    "op_expand_dims": ("axis",),
    "op_pad": ("pad_width",),
    "op_repeat": ("repeats",),
    "op_reshape": ("newshape",),
    "op_split": ("indices_or_sections",),
    "op_swapaxes": ("axis1", "axis2"),
    "op_take": ("indices",),
    "op_tile": ("repeats",),
}
_ONE_AXIS = {"op_concatenate", "op_repeat", "op_split", "op_stack", "op_take", "op_unstack"}


def check_settings(op: Op, settings: Mapping[str, Any]) -> None:
    """Whether the engine can go by ``settings``.

    Raises:
        NotComputed: if one is missing, or is of another type than it should be.
    """
    name = op.activation or op.name[3:]
    for key in _NEEDED.get(op.name, ()):
        if key not in settings:
            raise NotComputed(f"operation '{name}' without '{key}'")
    for key, value in settings.items():
        fits = _is_whole if key == "axis" and op.name in _ONE_AXIS else _FITS.get(key)
        if fits is not None and not fits(value):
            raise NotComputed(f"argument {key}={describe(value)} of '{name}'")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_whole_or_list(value: Any) -> bool:
    return _is_whole(value) or _is_list(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_whole, value))


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(n is None or _is_whole(n) for n in value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, int))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _are_whole(value: Any) -> bool:
    """Whole numbers in lists of any depth."""
    if isinstance(value, (list, tuple)):
        return all(map(_are_whole, value))
    return _is_whole(value)


def _are_sections(value: Any) -> bool:
    """How many parts, or where to cut."""
    return _is_list(value) or (_is_whole(value) and value > 0)


def _are_margins(value: Any) -> bool:
    """One margin for all sides, one before and one after, or these two for each axis."""
    if isinstance(value, (list, tuple)) and all(isinstance(side, (list, tuple)) for side in value):
        return bool(value) and all(len(side) == 2 and _is_list(side) for side in value)
    return _is_whole(value) or (_is_list(value) and len(value) == 2)


def _is_dtype(value: Any) -> bool:
    try:
        return isinstance(value, str) and (value == "bfloat16" or np.dtype(value).kind in "biuf")
    except TypeError:
        return False


def _is_equation(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z.,\s]+(->[A-Za-z.\s]*)?", value))


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "approximate": _is_flag,
    "axes": _is_whole_or_list,
    "axis": _is_whole_or_list,
    "axis1": _is_whole,
    "axis2": _is_whole,
    "constant_values": _is_number,
    "dtype": _is_dtype,
    "epsilon": _is_number,
    "indices": _are_whole,
    "indices_or_sections": _are_sections,
    "keepdims": _is_flag,
    "newshape": _is_shape,
    "pad_width": _are_margins,
    "repeats": _is_whole_or_list,
    "subscripts": _is_equation,
    "transpose_a": _is_flag,
    "transpose_b": _is_flag,
}
