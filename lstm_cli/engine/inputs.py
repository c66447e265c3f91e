"""What a caller passes as the model's input, as arrays with a batch axis, checked against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError, UsageError, listing
from ..model import Array, Input
from .sizes import Given


def given_arrays(
    x: Any, inputs: Sequence[Input], declared: Sequence[Input], *, dtype: str | None, swapped: bool
) -> tuple[Given, bool]:
    """The inputs of a run, each with its batch axis and in its dtype; whether they had one.

    Args:
        x: what the caller passed.
        inputs: the inputs that the run needs.
        declared: all inputs of the model; a list may hold one array for each.
        dtype: ``float32`` or ``float64`` for everything; None for what the inputs say.
        swapped: whether sequences of vectors are (T, B, F).

    Raises:
        UsageError: if names or numbers do not agree.
        InputError: if an array does not fit, or they hold different numbers of sequences.
    """
    given = match_inputs(x, inputs, declared)
    arrays, batched = [], True
    for entry in inputs:
        array = given[entry.name]
        if swapped and array.ndim == 3:
            array = array.swapaxes(0, 1)
        array, had = with_batch_axis(array, entry)
        batched = batched if had is None else had
        arrays.append((entry, typed(array, entry, dtype)))
    sizes = {
        entry.name: array.shape[entry.batch_axis]
        for entry, array in arrays
        if entry.batch_axis is not None
    }
    if len(set(sizes.values())) > 1:
        raise InputError(
            "the inputs hold different numbers of sequences: "
            + ", ".join(f"{name} {size}" for name, size in sizes.items())
        )
    return arrays, batched


def match_inputs(
    given: Any, inputs: Sequence[Input], declared: Sequence[Input]
) -> dict[str, Array]:
    """Arrays by input name, from one array, several in order, or a mapping by name.

    Args:
        given: what the caller passed.
        inputs: the inputs that the run needs.
        declared: all inputs of the model; a list may hold one array for each.

    Raises:
        UsageError: if names or numbers do not agree.
    """
    names = [entry.name for entry in inputs]
    if isinstance(given, Mapping):
        missing = [name for name in names if name not in given]
        if missing:
            raise UsageError(
                f"the input lacks {listing(missing)}; the model needs {listing(names)}, "
                f"found {listing(map(str, given))}"
            )
        return {name: np.asarray(given[name]) for name in names}
    if isinstance(given, (list, tuple)) and len(given) > 1:
        for listed in (declared, inputs):
            if len(given) == len(listed) > 1:
                by_name = {entry.name: array for entry, array in zip(listed, given, strict=True)}
                return {name: np.asarray(by_name[name]) for name in names}
    if len(names) != 1:
        raise UsageError(
            f"the model needs {len(names)} inputs, by name: {listing(names)} (an .npz file, or a "
            "mapping in Python)"
        )
    if isinstance(given, (list, tuple)) and len(given) == 1 and isinstance(given[0], np.ndarray):
        given = given[0]
    return {names[0]: np.asarray(given)}


def with_batch_axis(array: Array, entry: Input) -> tuple[Array, bool | None]:
    """The array with its batch axis, and whether it had one; None for an input that has none.

    The rank of the declared input decides. Where none is declared, (T, F) has none, (B, T, F) has.

    Raises:
        ShapeError: if the rank or a feature axis is not the declared one.
        InputError: if it does not hold numbers or is empty.
    """
    name = f"input '{entry.name}'"
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name}: expected numbers, found {array.dtype}")
    rank = 3 if entry.shape is None else len(entry.shape)
    had: bool | None
    if entry.batch_axis is None:
        if entry.shape is not None and array.size == 1:
            array = array.reshape((1,) * rank)
        if array.ndim != rank:
            raise ShapeError(name, f"{rank} axes", array.shape)
        return array, None
    if array.ndim == rank - 1:
        array, had = np.expand_dims(array, entry.batch_axis), False
    elif array.ndim == rank:
        had = True
    else:
        raise ShapeError(name, _expected(entry, rank), array.shape)
    if array.size == 0:
        raise InputError(f"{name} is empty: its shape is {array.shape}")
    _check_axes(array, entry, entry.batch_axis, name, had)
    return array, had


def _expected(entry: Input, rank: int) -> str:
    if entry.shape is None:
        return "(T, F) or (B, T, F)"
    letters = ["B", "T", "F"] if rank == 3 else ["B"] + [f"axis {k}" for k in range(1, rank)]
    if rank == 2:
        letters = ["B", "T"]
    if entry.batch_axis == 1:
        letters[:2] = "T", "B"
    shape = [
        letters[k] if n is None or k == entry.batch_axis else str(n)
        for k, n in enumerate(entry.shape)
    ]
    without = [n for k, n in enumerate(shape) if k != entry.batch_axis]
    return f"({', '.join(without)}{',' if len(without) == 1 else ''}) or ({', '.join(shape)})"


def _check_axes(array: Array, entry: Input, batch_axis: int, name: str, had: bool) -> None:
    """Every axis but those of sequences and steps has the declared size."""
    if entry.shape is None:
        return
    rank = len(entry.shape)
    steps = 1 - batch_axis
    for axis, declared in enumerate(entry.shape):
        if axis in (batch_axis, steps) or declared is None or rank < 3:
            continue
        if array.shape[axis] != declared:
            found = array.shape if had else tuple(np.delete(array.shape, batch_axis))
            advice = "choose the columns that the model takes (--columns)"
            if rank == 3 and array.shape[steps] == declared:
                advice = "its axes look swapped"
            raise ShapeError(name, _expected(entry, rank), tuple(int(n) for n in found), advice)


def typed(array: Array, entry: Input, dtype: str | None) -> Array:
    """The array in the dtype that the model declares for its input.

    What should be whole numbers and is not stays as it is: the layer that needs them says so.
    """
    if "int" in entry.dtype:
        return _whole(array, np.dtype(entry.dtype))
    wanted = dtype or ("float64" if entry.dtype == "float64" else "float32")
    if not entry.dtype and array.dtype.kind == "f":  # a layer run directly casts by itself
        return array
    return array.astype(wanted, copy=False)


def _whole(array: Array, dtype: np.dtype[Any]) -> Array:
    """Floating numbers that are whole ones in ``dtype``, such as ids from a text file."""
    if array.dtype.kind != "f":
        return array
    limits = np.iinfo(dtype)
    with np.errstate(invalid="ignore"):
        fits = (array == np.trunc(array)) & (array >= limits.min) & (array <= limits.max)
    return array.astype(dtype) if fits.all() else array
