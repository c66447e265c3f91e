"""Steps of many sequences with their labels, one after another.

Letters: B sequences, T time steps, N steps of all sequences with the gaps between them, U units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from ..traces import Trace
from .cells import real_steps


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSteps:
    """One tensor of a cell, (N, U), beside the labels of its steps.

    Attributes:
        values: (N, U).
        labels: (N,).
        real: (N,), false where a step is masked, beyond an end, or a gap between sequences.
    """

    values: Array
    labels: Array
    real: NDArray[np.bool_]

    def counted(self) -> tuple[Array, Array]:
        """Values and labels of the real steps alone."""
        return self.values[self.real], self.labels[self.real]


def labelled_steps(
    traces: Sequence[Trace], labels: Sequence[Array], tensor: str, gap: int
) -> LabelledSteps:
    """The steps of several traces of one cell as one series.

    Args:
        traces: each with ``tensor`` of shape (B, T, U).
        labels: for each trace (B, T); or (B,), one a sequence: then the series has one step a
            sequence, the last that the cell read.
        tensor: which array.
        gap: steps that are not real between sequences, so that no pair of steps that far apart
            spans two.
    """
    pieces: list[tuple[Array, Array, NDArray[np.bool_]]] = []
    for trace, own in zip(traces, labels, strict=True):
        array, real = trace.arrays[tensor], real_steps(trace)
        if own.ndim == 1:
            array, real = _last_read(array, real, trace)
            own = own[:, np.newaxis]
        pieces += list(zip(array, own, real, strict=True))
    if len(pieces) == 1:
        return LabelledSteps(*pieces[0])
    return LabelledSteps(*(_with_gaps([p[k] for p in pieces], gap) for k in range(3)))


def _last_read(
    array: Array, real: NDArray[np.bool_], trace: Trace
) -> tuple[Array, NDArray[np.bool_]]:
    """The last real step that the cell read of each sequence, (B, 1, U), and whether it has one."""
    backward = trace.meta.get("direction") == "backward"
    steps = real.argmax(axis=1) if backward else real.shape[1] - 1 - real[:, ::-1].argmax(axis=1)
    rows = np.arange(len(array))
    return array[rows, steps][:, np.newaxis], real[rows, steps][:, np.newaxis]


def _with_gaps(pieces: Sequence[Array], gap: int) -> Array:
    """Pieces along their first axis with ``gap`` zeros, or empty texts, between them."""
    shape = (gap, *pieces[0].shape[1:])
    joined = [part for piece in pieces for part in (piece, np.zeros(shape, piece.dtype))]
    return np.concatenate(joined[: -1 if gap else None])
