"""What makes arrays a trace: names, types and shapes that go together, checked before any is used.

Letters: B sequences, T time steps, U units, P units of h (U without a projection).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .trace_arrays import StepArray

Array = NDArray[Any]

CELL_TENSORS = ("h", "c", "i", "f", "g", "o", "z_i", "z_f", "z_g", "z_o")
OF_LAYERS = ("output", "output_0", "output_1", "x", "mask")
PER_STEP = (*CELL_TENSORS, *OF_LAYERS)
"""Names of arrays with a time axis: what stands behind the last ``/``."""

STATES = {"initial_h": "h", "final_h": "h", "initial_c": "c", "final_c": "c"}
LENGTHS = "lengths"

WEIGHTS = (
    *("kernel", "recurrent_kernel", "bias", "peepholes"),
    *("projection", "projection_bias", "layer_norm"),
)
"""Names of arrays that have neither sequences nor steps."""

KNOWN = (*PER_STEP, *STATES, LENGTHS, *WEIGHTS)
"""All names that a trace has; an array of another name is left alone."""

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of letters that would move a terminal's cursor, or the direction of its text."""


def base(name: str) -> str:
    """``bidirectional_1/backward/c`` -> ``c``."""
    return name.rsplit("/", 1)[-1]


def is_plain(text: str) -> bool:
    """Whether a text can be shown: no control characters, and nothing that turns its direction."""
    return not any(unicodedata.category(letter) in _UNSEEN for letter in text)


class Fit(NamedTuple):
    """How the arrays of a trace go together.

    Attributes:
        batched: whether they have an axis of sequences: (B, T, U) rather than (T, U).
        steps: the number of steps, T, of every array that belongs to a cell, by name.
    """

    batched: bool
    steps: dict[str, int]


def check_arrays(arrays: Mapping[str, StepArray]) -> Fit:
    """See that arrays fit together, by their names, types and shapes in the file.

    Raises:
        InputError: if they do not; without the name of the file.
    """
    for name in arrays:
        if not is_plain(name):
            raise InputError(f"the name {ascii(name)[:60]} of an array holds control characters")
        if "" in name.split("/"):
            raise InputError(f"the name '{name[:60]}' of an array lacks a part beside a '/'")
    axes = {len(array.shape) for name, array in arrays.items() if base(name) in CELL_TENSORS}
    if axes not in ({2}, {3}):
        raise InputError("expected h, c and gates of shape (T, U), or all (B, T, U)")
    for name, array in arrays.items():
        if base(name) in KNOWN:
            _check_type(name, array)
    fit = Fit(axes == {3}, {})
    cells = (name.rpartition("/")[0] for name in arrays if base(name) in CELL_TENSORS)
    for cell in dict.fromkeys(cells):
        fit.steps.update(_fitting(arrays, cell))
    return fit


def check_lengths(name: str, values: Array, steps: int, may_exceed: bool) -> Array:
    """The lengths of sequences, (B,), as they are counted with.

    Args:
        name: of the array.
        values: from the file.
        steps: that the longest can have.
        may_exceed: whether steps at the end were left out.

    Raises:
        InputError: if a length is none.
    """
    # Compared as they come: a conversion would wrap large numbers around.
    wrong = (values < 0) | (values > (np.iinfo(np.int64).max if may_exceed else steps))
    if wrong.any():
        found = values.reshape(-1)[int(np.argmax(wrong))]
        raise InputError(f"array '{name}': expected lengths from 0 to {steps}, found {found}")
    return values.astype(np.int64)


def _check_type(name: str, array: StepArray) -> None:
    tensor, kind = base(name), array.dtype.kind
    wanted = {"mask": ("b", "true and false"), LENGTHS: ("iu", "whole numbers")}
    kinds, what = wanted.get(tensor, ("fiub" if tensor == "x" else "f", "floating-point numbers"))
    if kind not in kinds or array.dtype.itemsize > 8:
        raise InputError(f"array '{name}': expected {what}, found {array.dtype}; export it again")
    if 0 in array.shape:
        raise InputError(f"array '{name}' of shape {array.shape} holds no values")


def _fitting(arrays: Mapping[str, StepArray], cell: str) -> Iterator[tuple[str, int]]:
    """The names of a cell's arrays and of those that it shares with others, each with its steps."""
    front = f"{cell}/" if cell else ""
    own = {name: arrays[front + name] for name in CELL_TENSORS if front + name in arrays}
    first = next(iter(own))
    leading = own[first].shape[:-1]
    wide = next((own[name] for name in own if name != "h"), None)
    shapes: dict[str, tuple[int, ...]] = {}
    for tensor, array in own.items():
        units = array if tensor == "h" or wide is None else wide
        shapes[front + tensor] = (*leading, units.shape[-1])
    for state, tensor in STATES.items():
        some = own.get(tensor, arrays.get(front + state))
        if some is not None:
            shapes[front + state] = (*leading[:-1], *some.shape[-1:])
    for place in _upwards(cell):
        shapes |= {f"{place}mask": leading, f"{place}{LENGTHS}": leading[:-1]}
        for tensor in OF_LAYERS[:-1]:
            if place + tensor in arrays:
                shapes[place + tensor] = (*leading, *arrays[place + tensor].shape[-1:])
    for name, shape in shapes.items():
        if name in arrays:
            _expect(arrays[name], name, shape, front + first)
            yield name, leading[-1]


def _expect(array: StepArray, name: str, shape: tuple[int, ...], beside: str) -> None:
    if array.shape != shape:
        raise InputError(
            f"array '{name}': expected shape {shape} beside '{beside}', found {array.shape}; "
            "the trace is damaged, or not what lstm export writes"
        )


def _upwards(cell: str) -> Iterator[str]:
    """``a/b`` -> ``a/b/``, ``a/``, and nothing: what stands in front of arrays that it may have."""
    while cell:
        yield f"{cell}/"
        cell = cell.rpartition("/")[0]
    yield ""
