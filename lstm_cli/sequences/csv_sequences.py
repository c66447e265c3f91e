"""Rows that name their sequence, put together as one padded array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .npy import Array

MOST_PADDED = 8 << 30
"""Bytes of a padded array, beyond which one long sequence makes the padding too much."""


class Padded(NamedTuple):
    """Sequences of unequal length side by side.

    Attributes:
        values: shape (N, T, C); 0 beyond a sequence's length.
        lengths: number of steps of each sequence, shape (N,).
        names: of the sequences, in the order in which they first appear.
    """

    values: Array
    lengths: Array
    names: tuple[str, ...]


def group(values: Array, labels: Sequence[str], source: str) -> Padded:
    """Rows (R, C) with one label a row -> sequences; rows keep their order within each.

    Raises:
        InputError: If the padding would take more than ``MOST_PADDED`` bytes.
    """
    numbers: dict[str, int] = {}
    sequence = np.array([numbers.setdefault(label, len(numbers)) for label in labels], np.intp)
    lengths = np.bincount(sequence, minlength=len(numbers))
    longest = int(lengths.max(initial=0))
    size = len(numbers) * longest * values.shape[1] * values.itemsize
    if size > MOST_PADDED:
        raise InputError(
            f"{source}: {len(numbers)} sequences padded to the longest one's {longest} steps take "
            f"{size / 2**30:.0f} GiB, at most {MOST_PADDED >> 30} are taken; split the file"
        )
    order = np.argsort(sequence, kind="stable")
    starts = np.cumsum(lengths) - lengths
    step = np.arange(len(sequence)) - np.repeat(starts, lengths)
    padded = np.zeros((len(numbers), longest, values.shape[1]), values.dtype)
    padded[sequence[order], step] = values[order]
    return Padded(padded, lengths, tuple(numbers))
