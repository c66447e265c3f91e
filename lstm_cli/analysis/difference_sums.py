"""How far the values of two arrays lie apart, gathered block by block.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..model import Array
from .quantiles import MagnitudeQuantiles

TOLERANCES = {2: 5e-3, 4: 1e-5, 8: 1e-12}
"""By the bytes of the coarser side's floating point numbers; half precision: ours."""

SMALLEST_REFERENCE = 1e-12
"""Relative differences are taken against at least this."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Which differences count as none.

    Attributes:
        scaled: times max(1, largest |reference| of the tensor); None for 1e-5, 1e-12 where both
            sides are float64, 5e-3 where one is float16. It applies where neither of the others
            is given.
        absolute, relative: a difference is allowed up to absolute + relative |reference|, value
            by value, as NumPy's ``allclose`` has it.
    """

    scaled: float | None = None
    absolute: float | None = None
    relative: float | None = None

    def __post_init__(self) -> None:
        given = {"tolerance": self.scaled, "atol": self.absolute, "rtol": self.relative}
        for name, value in given.items():
            if value is not None and not value >= 0:
                raise UsageError(f"{name}: expected 0 or more, found {value:g}")
        if self.scaled is not None and self.by_value:
            raise UsageError("tolerance does not go with atol or rtol; give one or the other")

    @property
    def by_value(self) -> bool:
        """Whether each value has a bound of its own."""
        return self.absolute is not None or self.relative is not None

    def bound(self, scale: float, precision: int) -> float:
        """The largest difference that counts as none, beside ``relative`` |reference|.

        Args:
            scale: the largest |reference|.
            precision: bytes of the coarser side's numbers.
        """
        if self.by_value:
            return self.absolute or 0.0
        allowed = TOLERANCES[precision] if self.scaled is None else self.scaled
        return allowed * max(1.0, scale)


SQUARED = {4: (1e-15, 1e15), 8: (1e-150, 1e150)}
"""By the bytes of a number, between which limits squares neither vanish nor overflow."""


def plain_gap(reference: Array, other: Array) -> Array | None:
    """|Δ| in the precision of both, where they have the same and all of it is finite."""
    if reference.dtype != other.dtype or reference.dtype not in (np.float32, np.float64):
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.subtract(other, reference)
        np.abs(gap, out=gap)
    return gap if np.isfinite(gap.max(initial=0.0)) else None


def doubles(array: Array) -> NDArray[np.float64]:
    """The numbers in float64; the conversion of a signalling NaN is no reason to warn."""
    with np.errstate(invalid="ignore"):
        return array.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Figures:
    """How far apart the values of one tensor lie; |Δ| is infinite where just one is finite.

    Attributes:
        maximum, mean, median, q99: of |Δ|.
        relative: the largest |Δ| / |reference|.
        rmse: root mean square of Δ over the standard deviation of the reference; NaN where the
            reference is constant.
        sign_flips: values that are above 0 on one side and below it on the other.
        nonfinite: places where just one side is NaN or infinite, or both are, unlike.
        values: how many were compared.
        scale: the largest |reference|.
        precision: bytes of the coarser side's floating point numbers: 2, 4 or 8.
    """

    maximum: float
    mean: float
    median: float
    q99: float
    relative: float
    rmse: float
    sign_flips: int
    nonfinite: int
    values: int
    scale: float
    precision: int


class DifferenceSums:
    """Gathers ``Figures`` from pieces of two arrays.

    Attributes:
        scale: the largest |reference| so far.
        precision: bytes of the coarser side's numbers.
        step_squares: ‖Δ‖² along the last axis of the latest piece, float64, where all of that
            counts and is finite; else None.
    """

    def __init__(self) -> None:
        self.step_squares: Array | None = None
        self._quantiles = MagnitudeQuantiles()
        self._sum = self._squares = self._largest = self._relative = self.scale = 0.0
        self._reference = np.zeros(3)  # count, sum and sum of squares of the finite reference
        self._flips = self._nonfinite = 0
        self.precision = 8

    def add(self, reference: Array, other: Array, counted: NDArray[np.bool_]) -> Array:
        """Take in a piece.

        Args:
            reference, other: of the same shape.
            counted: of that shape or broadcast to it; what is false is left out.

        Returns:
            |Δ|: 0 where both are the same NaN or infinity, infinite where just one is finite or
            they are unlike, 0 where not counted. In the precision of both where they have the same
            and all of it is finite, else float64.
        """
        self.precision = min(self.precision, _precision(reference), _precision(other))
        plain = plain_gap(reference, other) if counted.all() else None
        self.step_squares = None
        if plain is not None:
            with np.errstate(over="ignore"):
                self.step_squares = self._measure_plain(reference, other, plain)
            return plain
        counted = np.broadcast_to(counted, reference.shape)
        a, b = doubles(reference), doubles(other)
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(b - a)
            flipped = a * b < 0
        unlike = ~np.isfinite(gap)
        if unlike.any():
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            gap[unlike] = np.where(same[unlike], 0.0, np.inf)
        if counted.all():
            self._measure(a.ravel(), gap.ravel(), flipped.ravel(), unlike.ravel())
        else:
            gap[~counted] = 0.0
            self._measure(a[counted], gap[counted], flipped[counted], unlike[counted])
        return gap

    def _measure_plain(self, a: Array, b: Array, gap: Array) -> Array:
        """Take in a piece of which everything counts and is finite, in its own precision.

        Sums along single steps are as exact as that, those of the steps are float64.

        Returns:
            ``step_squares``.
        """
        shape = gap.shape[:-1]
        a, b, gap = (array.reshape(-1, array.shape[-1]) for array in (a, b, gap))
        self._quantiles.add(gap)
        sizes, values = np.abs(a), a.astype(np.float64)
        flat, ones = values.ravel(), np.ones(values.shape[1])
        self.scale = max(self.scale, float(sizes.max(initial=0.0)))
        self._reference += [flat.size, (values @ ones).sum(), flat @ flat]
        top = float(gap.max(initial=0.0))
        if top == 0:
            return np.zeros(shape)
        self._largest = max(self._largest, top)
        small, large = SQUARED[gap.dtype.itemsize]
        some = gap if small < top < large else gap.astype(np.float64)
        self._sum += float((some @ ones.astype(some.dtype)).sum(dtype=np.float64))
        squares = np.einsum("nu,nu->n", some, some).astype(np.float64)
        self._squares += float(squares.sum())
        if least_is_small := float(sizes.min()) < SMALLEST_REFERENCE:
            np.maximum(sizes, SMALLEST_REFERENCE, out=sizes)
        relative = np.divide(gap, sizes, out=sizes)
        self._relative = max(self._relative, float(relative.max()))
        # Where signs differ, |Δ| is at least |a|.
        flips = slice(None) if least_is_small else np.flatnonzero(relative > 0.99)
        self._flips += int(np.count_nonzero(flat[flips] * b.ravel()[flips] < 0))
        return np.asarray(squares.reshape(shape))

    def _measure(
        self, a: Array, gap: Array, flipped: NDArray[np.bool_], unlike: NDArray[np.bool_]
    ) -> None:
        """Take in the values that count; ``unlike``: where one side is not finite."""
        self._quantiles.add(gap)
        self._largest = max(self._largest, float(gap.max(initial=0.0)))
        self._sum += float(gap.sum())
        self._flips += int(flipped.sum())
        if unlike.any():
            self._nonfinite += int(np.isinf(gap).sum())
            a, gap = a[~unlike], gap[~unlike]
        size = np.abs(a)
        with np.errstate(over="ignore"):
            relative = gap / np.maximum(size, SMALLEST_REFERENCE)
            self._squares += float(gap @ gap)
            self._reference += [size.size, a.sum(), a @ a]
        self.scale = max(self.scale, float(size.max(initial=0.0)))
        self._relative = max(self._relative, float(relative.max(initial=0.0)))

    def figures(self) -> Figures:
        count = self._quantiles.count
        return Figures(
            maximum=self._largest,
            mean=self._sum / max(count, 1),
            median=self._quantiles.quantile(0.5),
            q99=self._quantiles.quantile(0.99),
            relative=float("inf") if self._nonfinite else self._relative,
            rmse=self._rmse(),
            sign_flips=self._flips,
            nonfinite=self._nonfinite,
            values=count,
            scale=self.scale,
            precision=self.precision,
        )

    def _rmse(self) -> float:
        count, total, squares = self._reference
        if not count:
            return float("nan")
        variance = squares / count - (total / count) ** 2
        if variance <= 0:
            return float("nan")
        return float(np.sqrt(self._squares / count / variance))


def _precision(array: Array) -> int:
    """Bytes of its floating point numbers, at most 8; whole numbers count as float32."""
    return min(array.dtype.itemsize, 8) if array.dtype.kind == "f" else 4
