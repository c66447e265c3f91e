"""Files that go along with a sequence: masks, lengths, labels and states."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import InputError
from .csv_rows import RowReader
from .inputs import BLOCK_ROWS, read_input
from .lines import LineReader
from .npy import Array
from .signatures import kind_of
from .sources import Readable, open_source

_TRUTH = re.compile(r"\b(?:(true)|false)\b", re.IGNORECASE)


def read_mask(source: Readable) -> NDArray[np.bool_]:
    """A mask, true for a real step: 0 and 1, or true and false in text.

    Returns:
        Shape (T,) from an array of one axis or a text file of one column; (B, T) from two axes or
        from text with one row a sequence.

    Raises:
        InputError: If the file cannot be read, or holds other values or more axes.
    """
    with open_source(source) as opened:
        if kind_of(opened) == "text":
            lines = LineReader(opened, translate=_numbers_for_truth)
            values, in_text = _single_column(_rows(RowReader(lines))), True
        else:
            values, in_text = read_input(opened, dtype=None).array, False
        name = opened.name
    _check_axes(values, (1, 2), "(T,) or (B, T)", name)
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        found, place = _first(values, wrong, in_text)
        expected = "0, 1, true or false" if in_text else "booleans, or 0 and 1"
        raise InputError(f"{name}: found {found} at {place}; expected a mask of {expected}")
    return values.astype(np.bool_)


def read_lengths(source: Readable) -> NDArray[np.int64]:
    """The number of steps of each sequence, shape (B,).

    Raises:
        InputError: If the file cannot be read, or a length is negative or not whole.
    """
    file = read_input(source, dtype=None)
    values = file.array
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    _check_axes(values, (1,), "(B,), one length a sequence", file.name)
    wrong = ~((values >= 0) & (values < 2**53) & (values == np.floor(values)))
    if wrong.any():
        found, place = _first(values, wrong, False)
        raise InputError(
            f"{file.name}: found the length {found} at {place}; expected whole numbers from 0 on"
        )
    return values.astype(np.int64)


def read_labels(source: Readable, column: str | int | None = None) -> Array:
    """A label for every step or sequence.

    Args:
        source: The file.
        column: Column of a text file, by name or index; its labels may be text. Without it all
            labels are numbers.

    Returns:
        With ``column`` shape (R,), float64 where every label is a number and text otherwise;
        without it shape (R,) for one column, else the file's own.

    Raises:
        InputError: If the file cannot be read.
        NoSuchNameError: If the column does not exist.
    """
    if column is None:
        file = read_input(source, dtype=None)
        return _single_column(file.array) if file.kind == "text" else file.array
    with open_source(source) as opened:
        if kind_of(opened) != "text":
            raise InputError(f"{opened.name}: expected a text file to take column '{column}' from")
        reader = RowReader(LineReader(opened), columns=(), sequence_column=column)
        labels = [label for block in reader.blocks(BLOCK_ROWS) for label in block.labels]
    try:
        return np.array(labels, np.float64)
    except ValueError:
        return np.array(labels)


def read_array(source: Readable, dtype: DTypeLike | None = None) -> Array:
    """The one array in an ``.npy``, ``.npz`` or text file; ``dtype`` None keeps its type.

    Raises:
        InputError: If the file cannot be read or holds several arrays.
    """
    return read_input(source, dtype=dtype).array


def read_arrays(source: Readable, dtype: DTypeLike | None = None) -> dict[str, Array]:
    """All arrays of an ``.npz`` file by name, such as states; arrays of text keep their type.

    Raises:
        InputError: If the file is no archive of arrays, or is damaged.
    """
    from .npz import read_npz  # zipfile is slow to import, and few runs need it

    with open_source(source) as opened:
        kind = kind_of(opened)
        if kind != "npz":
            raise InputError(
                f"{opened.name}: expected an .npz archive of named arrays, found {kind}"
            )
        return read_npz(opened, dtype, text=True)


def _rows(reader: RowReader) -> Array:
    return np.concatenate([block.values for block in reader.blocks(BLOCK_ROWS)])


def _single_column(values: Array) -> Array:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _numbers_for_truth(text: str) -> str:
    return _TRUTH.sub(lambda match: "1" if match[1] else "0", text)


def _check_axes(values: Array, allowed: Sequence[int], expected: str, name: str) -> None:
    if values.ndim not in allowed:
        raise InputError(f"{name}: expected shape {expected}, found {values.shape}")


def _first(values: Array, wrong: NDArray[np.bool_], in_text: bool) -> tuple[str, str]:
    """The first wrong value and where it is; rows of text count from 1, all else from 0."""
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    found = f"{values[index]:g}"
    if not in_text:
        return found, f"index {', '.join(map(str, index))}"
    column = f", column {index[1]}" if len(index) > 1 else ""
    return found, f"row {index[0] + 1}{column}"
