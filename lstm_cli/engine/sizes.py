"""How many sequences and steps the inputs of a run have, and masks and lengths that must fit them.

Letters: B sequences, T time steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError, ShapeError
from ..model import Array, Input

Given = Sequence[tuple[Input, Array]]
"""The inputs of a run, each with its batch axis."""


def batch_of(arrays: Given) -> int:
    """How many sequences the inputs hold, B; 1 where none of them has an axis of sequences."""
    for entry, array in arrays:
        if entry.batch_axis is not None:
            return int(array.shape[entry.batch_axis])
    return 1


def steps_of(arrays: Given) -> dict[int, int]:
    """Numbers of steps by the inputs' calls, without inputs that have no steps.

    Beside inputs of three axes, one of two is taken for a state, without steps, if their numbers
    differ.
    """
    steps = {
        entry.call: int(array.shape[1 - entry.batch_axis])
        for entry, array in arrays
        if array.ndim > 1 and entry.batch_axis is not None
    }
    sure = {steps[entry.call] for entry, array in arrays if array.ndim > 2 and entry.call in steps}
    return {call: count for call, count in steps.items() if not sure or count in sure}


def size_notes(arrays: Given, steps: int | None = None) -> list[str]:
    """Sentences where an input is not as long, or has not as many sequences, as the model says.

    Args:
        arrays: the inputs.
        steps: of the whole sequence, where the inputs are its last block.
    """
    found = steps_of(arrays)
    notes = []
    for entry, array in arrays:
        if entry.call in found:
            notes.append(_length_note(found[entry.call] if steps is None else steps, entry))
        notes.append(_batch_note(array, entry))
    return [note for note in notes if note]


def with_lengths(error: InputError, arrays: Given) -> InputError:
    """The error of a layer that does not accept any length, with both lengths named."""
    found = steps_of(arrays)
    notes = [_length_note(found[entry.call], entry) for entry, _ in arrays if entry.call in found]
    said = [note for note in notes if note]
    return InputError(f"{error}; {'; '.join(said)}") if said else error


def _length_note(found: int, entry: Input) -> str:
    """A sentence where a sequence is longer or shorter than the model declares; else ``""``."""
    if entry.shape is None or len(entry.shape) < 2 or entry.batch_axis is None:
        return ""
    declared = entry.shape[1 - entry.batch_axis]
    if declared is None or declared == found:
        return ""
    return f"the model declares {declared} steps for '{entry.name}', the input has {found}"


def _batch_note(array: Array, entry: Input) -> str:
    """A sentence where the number of sequences is not the fixed one that the model declares."""
    if entry.shape is None or entry.batch_axis is None:
        return ""
    declared, found = entry.shape[entry.batch_axis], array.shape[entry.batch_axis]
    if declared is None or declared == found:
        return ""
    return f"the model declares {declared} sequences for '{entry.name}', the input has {found}"


def checked_mask(mask: Array | None, arrays: Given) -> Array | None:
    """A mask as (B, T) of booleans.

    Raises:
        InputError: if it holds something else.
        ShapeError: if it is not of so many sequences.
    """
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.dtype.kind not in "biu" or (mask.dtype.kind != "b" and not np.isin(mask, (0, 1)).all()):
        raise InputError(f"mask: expected true and false (or 1 and 0), found {mask.dtype}")
    mask = mask.astype(bool)
    if mask.ndim == 1:
        mask = np.broadcast_to(mask, (batch_of(arrays), len(mask)))
    if mask.ndim != 2 or len(mask) != batch_of(arrays):
        raise ShapeError("mask", f"(T,) or ({batch_of(arrays)}, T)", mask.shape)
    return mask


def checked_lengths(lengths: Array | None, arrays: Given) -> Array | None:
    """Lengths as (B,) of whole numbers, none longer than the sequences.

    Raises:
        ShapeError: if there is not one a sequence.
        InputError: if they are not such numbers.
    """
    if lengths is None:
        return None
    lengths = np.asarray(lengths)
    if lengths.shape != (batch_of(arrays),):
        raise ShapeError("lengths", f"({batch_of(arrays)},)", lengths.shape)
    longest = max(steps_of(arrays).values(), default=0)
    expected = f"lengths: expected whole numbers from 0 to {longest}"
    if lengths.dtype.kind not in "iu":
        raise InputError(f"{expected}, found {lengths.dtype}")
    wrong = (lengths < 0) | (lengths > longest)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{expected}, found {lengths[row]} for sequence {row}")
    return lengths
