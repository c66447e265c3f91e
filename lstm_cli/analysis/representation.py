"""How alike two cells are in what their units do together, whatever the units' number and order.

Source: linear CKA after Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network
Representations Revisited" (2019); the best correlation of each unit after Bau, Belinkov, Sajjad,
Durrani, Dalvi and Glass, "Identifying and Controlling Important Neurons in Neural Machine
Translation" (2019).

Letters: N steps of all sequences, U units of one side, V of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..model import Array
from .cells import TracedCell, real_steps
from .unit_sums import Floats

TENSORS = ("h", "c")
ROUNDING = 1e-13
"""Of a unit's sum of squares: up to so much about its mean is rounding, and the unit constant."""


class Partner(NamedTuple):
    """A unit, the unit of the other side that it correlates with most, and how; None without."""

    unit: int
    partner: int | None
    r: float


@dataclass(frozen=True, slots=True)
class TensorLikeness:
    """How alike one tensor of two cells is.

    Attributes:
        tensor: its name.
        steps: N, that count on both sides and are finite.
        cka: linear CKA, 0 to 1; 1 where one side is the other turned, shifted and scaled.
        best_a: mean over the units of A of their largest |r| with a unit of B, 0 to 1; NaN where
            all are constant. ``best_b``: the other way round.
        partners_a, partners_b: of every unit; r is NaN for a constant one, which ``best`` leaves
            out.
    """

    tensor: str
    steps: int
    cka: float
    best_a: float
    best_b: float
    partners_a: tuple[Partner, ...]
    partners_b: tuple[Partner, ...]


@dataclass(frozen=True, slots=True)
class CellLikeness:
    """How alike two cells are: their names, empty where there is one, and each tensor."""

    name: str
    other: str
    tensors: tuple[TensorLikeness, ...]


@dataclass(frozen=True, slots=True)
class Representation:
    """How alike two sides are, cell by cell; ``notes``: what was not compared."""

    cells: tuple[CellLikeness, ...]
    notes: tuple[str, ...] = ()


def compare_representations(a: TracedCell, b: TracedCell) -> CellLikeness:
    """Compare the states of two cells over the steps that both have.

    Raises:
        InputError: if they did not read the same sequences, or hold no state that both have.
    """
    label = f"{a.name}: " if a.name else ""
    if a.sequences != b.sequences or a.cut.first_step != b.cut.first_step:
        raise InputError(
            f"{label}A has {a.sequences} sequences from step {a.cut.first_step} on and B "
            f"{b.sequences} from step {b.cut.first_step} on; run both on the same input"
        )
    shared = [name for name in TENSORS if name in a.tensors and name in b.tensors]
    if not shared:
        raise InputError(f"{label}the two sides have neither h nor c in common")
    return CellLikeness(a.name, b.name, tuple(_likeness(a, b, name) for name in shared))


def _likeness(a: TracedCell, b: TracedCell, tensor: str) -> TensorLikeness:
    units = a.shape(tensor)[2]
    moments = Moments(units + b.shape(tensor)[2])
    steps = min(a.steps, b.steps)
    for start, stop in a.blocks():
        if start < steps:
            left, right = (side.read(start, min(stop, steps), (tensor,)) for side in (a, b))
            both = real_steps(left) & real_steps(right)
            sides = [side.arrays[tensor][both] for side in (left, right)]
            rows = np.concatenate(sides, axis=1, dtype=np.float64)
            moments.add(rows[np.isfinite(rows).all(axis=1)])
    own, other, cross = moments.parts(units)
    r = _correlations(own, other, cross)
    partners_a, partners_b = _partners(r, a, b), _partners(r.T, b, a)
    return TensorLikeness(
        tensor,
        moments.count,
        linear_cka(own, other, cross),
        _mean_best(partners_a),
        _mean_best(partners_b),
        partners_a,
        partners_b,
    )


class Moments:
    """Means and products of columns, a block of rows at a time, each centred by its own means.

    Source: Chan, Golub and LeVeque (1979).
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self._mean, self._squares = np.zeros(width), np.zeros(width)
        self._products = np.zeros((width, width))

    def add(self, rows: Floats) -> None:
        """Take more rows, (n, width)."""
        if not len(rows):
            return
        mean = rows.mean(axis=0)
        centred, shift = rows - mean, mean - self._mean
        total = self.count + len(rows)
        self._products += centred.T @ centred
        self._products += np.outer(shift, shift) * (self.count * len(rows) / total)
        self._squares += np.einsum("nw,nw->w", rows, rows)
        self._mean += shift * (len(rows) / total)
        self.count = total

    def parts(self, units: int) -> tuple[Floats, Floats, Floats]:
        """Sums of products about the means: of the first columns, of the others, across.

        Those of a column that is constant are 0, whatever rounding has made of them.
        """
        varying = np.diag(self._products) > ROUNDING * self._squares
        whole = self._products * np.outer(varying, varying)
        own, rest = slice(None, units), slice(units, None)
        return whole[own, own], whole[rest, rest], whole[own, rest]


def linear_cka(own: Floats, other: Floats, cross: Floats) -> float:
    """‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖) of centred X and Y; NaN where one side is constant.

    Args:
        own, other, cross: XᵀX (U, U), YᵀY (V, V), XᵀY (U, V).
    """
    scale = float(np.linalg.norm(own)) * float(np.linalg.norm(other))
    return float(np.linalg.norm(cross)) ** 2 / scale if scale else float("nan")


def _correlations(own: Floats, other: Floats, cross: Floats) -> Floats:
    """Pearson's r of every unit with every unit of the other side, (U, V); NaN if constant."""
    spread = np.concatenate((np.diag(own), np.diag(other)))
    scale = np.sqrt(np.where(spread > 0, spread, np.nan))
    r = cross / scale[: len(own), np.newaxis] / scale[len(own) :]
    return np.asarray(np.clip(r, -1.0, 1.0))


def _partners(r: Array, a: TracedCell, b: TracedCell) -> tuple[Partner, ...]:
    sizes = np.where(np.isnan(r), -1.0, np.abs(r))
    best = sizes.argmax(axis=1)
    return tuple(
        Partner(
            a.cut.number(unit),
            b.cut.number(int(k)) if sizes[unit, k] >= 0 else None,
            float(r[unit, k]) if sizes[unit, k] >= 0 else float("nan"),
        )
        for unit, k in enumerate(best)
    )


def _mean_best(partners: tuple[Partner, ...]) -> float:
    sizes = [abs(each.r) for each in partners if each.partner is not None]
    return float(np.mean(sizes)) if sizes else float("nan")
