"""How far the direction of a step's values has turned: the cosine between two sides, by step.

Letters: B sequences, t steps of a block, U units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model import Array


class LeastCosine(NamedTuple):
    """The step at which two sides point least in the same direction.

    Attributes:
        cosine: there, -1 to 1; 1 where the sides never differ; NaN where no step tells.
        sequence, step: where; -1 where the sides never differ, or no step tells.
        mean: over all steps that tell.
    """

    cosine: float = float("nan")
    sequence: int = -1
    step: int = -1
    mean: float = float("nan")


NO_STEP_TELLS = LeastCosine()


class StepCosines:
    """Gathers the cosines of two sides block by block.

    A step tells where it counts and all its values are finite on both sides. Where both are 0 the
    cosine is 1, where one is 0 it is 0.
    """

    def __init__(self) -> None:
        self._least, self._place, self._sum, self._count = 1.0, (-1, -1), 0.0, 0

    def add(
        self,
        a: Array,
        b: Array,
        counted: NDArray[np.bool_],
        first_step: int,
        same: bool,
        squares: Array | None = None,
    ) -> None:
        """Take in a block.

        Args:
            a, b: both sides, (B, t, U).
            counted: (B, t).
            first_step: number of its first step.
            same: whether both sides are known to be equal.
            squares: ‖b - a‖² of each step, (B, t), where it is known and all is finite.
        """
        if same:
            told = int(counted.sum())
            self._sum, self._count = self._sum + told, self._count + told
            return
        cosines = step_cosines(a, b, squares)
        told_at = counted & np.isfinite(cosines)
        self._sum += float(cosines[told_at].sum())
        self._count += int(told_at.sum())
        least = np.where(told_at, cosines, np.inf)
        if least.size and least.min() < self._least:
            sequence, step = np.unravel_index(int(least.argmin()), least.shape)
            self._least = float(least[sequence, step])
            self._place = int(sequence), int(step) + first_step

    def least(self) -> LeastCosine:
        """What was found."""
        if not self._count:
            return NO_STEP_TELLS
        return LeastCosine(self._least, *self._place, self._sum / self._count)


def step_cosines(a: Array, b: Array, squares: Array | None = None) -> NDArray[np.float64]:
    """a·b / (‖a‖ ‖b‖) along the last axis; NaN where a value is not finite.

    Args:
        a, b: of the same shape.
        squares: ‖b - a‖² of each step, where it is known and all is finite.
    """
    plain = None if squares is None else _plain_cosines(a, b, squares)
    if plain is not None:
        return plain
    with np.errstate(invalid="ignore", over="ignore"):
        left, right = a.astype(np.float64), b.astype(np.float64)
        scales = [np.abs(side).max(axis=-1, initial=0.0, keepdims=True) for side in (left, right)]
        # Brought to size 1 first, so that no square is too large or too small.
        left, right = (
            side / np.where(scale > 0, scale, 1.0)
            for side, scale in zip((left, right), scales, strict=True)
        )
        products = np.einsum("...u,...u->...", left, right)
        norms = np.sqrt((left**2).sum(axis=-1) * (right**2).sum(axis=-1))
        found = products / np.where(norms > 0, norms, 1.0)
    nothing = (scales[0] == 0) & (scales[1] == 0)
    return np.where(nothing[..., 0], 1.0, np.clip(found, -1.0, 1.0))


def _plain_cosines(a: Array, b: Array, squares: Array) -> NDArray[np.float64] | None:
    """The same from the squares of values as they are; None where one is too large or too small.

    2 a·b = ‖a‖² + ‖b‖² - ‖b - a‖², so that what is nearly 1 loses no digits.
    """
    limits = np.finfo(a.dtype)
    with np.errstate(over="ignore", under="ignore"):
        own = [np.einsum("...u,...u->...", each, each) for each in (a, b)]
    ends = [(float(each.min()), float(each.max())) for each in own]
    if not all(limits.tiny / limits.eps < least < most < limits.max / 8 for least, most in ends):
        return None
    left, right = (np.sqrt(each.astype(np.float64)) for each in own)
    turned = squares - (right - left) ** 2
    return np.asarray(np.clip(1 - turned / (2 * left * right), -1.0, 1.0))
