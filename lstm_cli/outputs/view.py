"""What of a trace goes on a screen: the tensors with steps, and which steps count."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from .results import Results, base_name, table_shape

DESCRIPTIONS = {
    "i": "input gate",
    "f": "forget gate",
    "o": "output gate",
    "g": "candidate",
    "h": "hidden state",
    "c": "cell state",
    "z_i": "input gate before its activation",
    "z_f": "forget gate before its activation",
    "z_g": "candidate before its activation",
    "z_o": "output gate before its activation",
    "output": "what the layer hands on",
    "x": "input",
}


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The steps of a trace.

    Attributes:
        tensors: shape (B, T, U) by name, without the mask.
        units: the units' own numbers, by the same names.
        masked: shape (B, T), true where no gate was applied.
        lengths: shape (B,), how many steps each sequence has.
        first_step: the input's number of the first step.
        batched: whether the input had an axis of sequences.
    """

    tensors: dict[str, Array]
    units: dict[str, list[int]]
    masked: NDArray[np.bool_]
    lengths: NDArray[np.intp]
    first_step: int
    batched: bool

    @property
    def sequences(self) -> int:
        return len(self.lengths)

    def rows(self, sequence: int) -> dict[str, Array]:
        """Real steps of one sequence, shape (T, U) by name."""
        length = self.lengths[sequence]
        return {name: a[sequence, :length] for name, a in self.tensors.items()}


def view(results: Results) -> View:
    """The arrays of steps in ``results``; ``mask`` and ``lengths`` say which steps count.

    Raises:
        UsageError: if the arrays differ in their number of sequences or steps.
    """
    steps = results.steps()
    sequences, length = table_shape(steps, 2)
    tensors = {
        name: a.reshape(sequences, length, prod(a.shape[2:]))
        for name, a in steps.items()
        if base_name(name) != "mask"
    }
    units = {
        name: list(results.layout.units.get(name, range(a.shape[2]))) for name, a in tensors.items()
    }
    return View(
        tensors,
        units,
        _masked(steps, (sequences, length)),
        _lengths(results, sequences, length),
        results.layout.first_step,
        results.layout.batched,
    )


def _masked(steps: dict[str, Array], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    masked = np.zeros(shape, np.bool_)
    for name, array in steps.items():
        if base_name(name) == "mask":
            masked |= ~array.astype(np.bool_)
    return masked


def _lengths(results: Results, sequences: int, length: int) -> NDArray[np.intp]:
    """Real steps of each sequence, among the ``length`` that are here."""
    lengths = results.layout.lengths
    if lengths is None:
        return np.full(sequences, length, np.intp)
    return np.clip(np.asarray(lengths, np.intp), 0, length)
