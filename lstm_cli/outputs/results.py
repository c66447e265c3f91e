"""What a command hands over to be written or shown: named arrays, and what their axes mean.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import UsageError
from ..model import LSTM_WEIGHTS, Array
from ..traces import STEP_TENSORS

WEIGHT_TENSORS = LSTM_WEIGHTS


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What the axes of the arrays are.

    Attributes:
        batched: whether the arrays have a leading axis of sequences.
        first_step: the input's step number of the first step held here.
        units: for arrays that hold chosen units only, the units' own numbers, by array name.
        lengths: shape (B,), real steps of each sequence counted from ``first_step``; where given,
            tables of steps have no rows beyond them. None keeps a row for every step.
    """

    batched: bool = True
    first_step: int = 0
    units: Mapping[str, Sequence[int]] = field(default_factory=dict)
    lengths: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Arrays under their final names, ready to be written.

    Attributes:
        arrays: by name in files: ``h``, ``forward/h``, ``final_h``, ``kernel``. Arrays of steps
            have shape ([B,] T, ...), the others ([B,] ...) or a weight's own shape.
        meta: where they come from; files hold it as one JSON string.
        per_step: names of the arrays that have a time axis.
        layout: what the axes are.
    """

    arrays: Mapping[str, Array]
    meta: Mapping[str, Any]
    per_step: frozenset[str]
    layout: Layout = Layout()

    def steps(self) -> dict[str, Array]:
        """The arrays with a time axis, each with a leading axis of sequences: (B, T, ...)."""
        found = {name: a for name, a in self.arrays.items() if name in self.per_step}
        return found if self.layout.batched else {name: a[np.newaxis] for name, a in found.items()}

    def per_sequence(self) -> dict[str, Array]:
        """The arrays without a time axis that are no weights, with a leading axis: (B, ...)."""
        found = {
            name: np.asarray(a)
            for name, a in self.arrays.items()
            if name not in self.per_step and base_name(name) not in WEIGHT_TENSORS
        }
        return found if self.layout.batched else {name: a[np.newaxis] for name, a in found.items()}

    def weights(self) -> dict[str, Array]:
        """The weights."""
        return {n: a for n, a in self.arrays.items() if base_name(n) in WEIGHT_TENSORS}


def base_name(name: str) -> str:
    """``bidirectional_1/backward/c`` -> ``c``."""
    return name.rsplit("/", 1)[-1]


def step_names(names: Iterable[str]) -> frozenset[str]:
    """Those of ``names`` that a trace gives a time axis."""
    return frozenset(name for name in names if base_name(name) in STEP_TENSORS)


def meta_text(meta: Mapping[str, Any]) -> str:
    """The JSON string that files hold under ``meta``."""
    return json.dumps(dict(meta), ensure_ascii=False, default=_plain)


def table_shape(arrays: Mapping[str, Array], axes: int) -> tuple[int, ...]:
    """The leading ``axes`` lengths that all arrays share.

    Raises:
        UsageError: if they differ, so that no one table can hold the arrays.
    """
    shapes = {name: array.shape[:axes] for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UsageError(
            f"one table cannot hold arrays of different lengths ({found}); choose fewer with"
            " --layer or --tensors, or write .npz or .h5"
        )
    return next(iter(shapes.values()), (0,) * axes)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)
