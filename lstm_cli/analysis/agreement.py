"""Arrays beside those that are expected, and what a run in float64 says about the difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError, ShapeError, listing
from ..model import Array
from ..traces import STEP_TENSORS
from .difference_sums import DifferenceSums, Figures, Tolerance, doubles

Verdict = Literal["equal", "rounding", "different"]

ROUNDING_FACTOR = 10.0
"""An expected array that lies at most so many times as far from the float64 run as our own does
differs by rounding; the factor is a choice of this package."""

_STATES = ("initial_h", "initial_c", "final_h", "final_c")


@dataclass(frozen=True, slots=True)
class ArrayAgreement:
    """One array beside the expected one.

    Attributes:
        name: of the array.
        figures: of |found - expected|.
        bound: the largest difference that counts as none, beside a relative part.
        worst: index of the largest difference; empty where there is none.
        beyond: how many values are beyond the tolerance.
        expected_error, found_error: the largest distance of either from the run in float64; NaN
            without one.
        verdict: ``equal`` within the tolerance; else ``rounding`` where the expected array lies
            about as near to the run in float64 as the found one does, or ``different``.
    """

    name: str
    figures: Figures
    bound: float
    worst: tuple[int, ...]
    beyond: int
    expected_error: float
    found_error: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Agreement:
    """Arrays beside those that are expected.

    Attributes:
        arrays: what was compared.
        unchecked: names that were expected and that the run does not give; LSTM layers into which
            a framework cannot look.
        by: the framework that computed what was expected, with its version; empty without one.
        notes: what may explain a difference from it, or makes it say less, a sentence each.
    """

    arrays: tuple[ArrayAgreement, ...]
    unchecked: tuple[str, ...] = ()
    by: str = ""
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether all are equal within the tolerance."""
        return all(array.verdict == "equal" for array in self.arrays)


def traced_tensors(expected: Iterable[str], of_trace: bool) -> list[str]:
    """The tensors that a trace must hold to be compared; none where outputs alone are expected.

    Args:
        expected: names of arrays: ``h``, ``forward/final_c``, ``output``.
        of_trace: whether ``output`` is what a layer hands on, not what the model returns, and
            ``x`` what the layer receives.
    """
    bases = {name.rsplit("/", 1)[-1] for name in expected}
    states = {"h", "c"} if bases & set(_STATES) else set()
    wanted = (bases & set(STEP_TENSORS)) | states
    outputs = {name for name in wanted if name.startswith("output")}
    inner = any("/" in name and name.rsplit("/", 1)[-1] in outputs for name in expected)
    wanted -= {"mask", *outputs, *([] if of_trace else ["x"])}
    if outputs and (of_trace or inner):
        wanted.add("output")
    return [name for name in STEP_TENSORS if name in wanted]


def gathered(
    expected: Mapping[str, Array],
    returned: Mapping[str, Array],
    traced: Mapping[str, Array],
    of_trace: bool,
) -> dict[str, Array]:
    """What a run returned and what its trace holds, in one mapping.

    Names that both have mean what is returned, or what is traced with ``of_trace``.
    """
    both = {**returned, **traced} if of_trace else {**traced, **returned}
    return {name: both[name] for name in expected if name in both}


def agree(
    found: Mapping[str, Array],
    expected: Mapping[str, Array],
    exact: Mapping[str, Array] | None = None,
    tolerance: Tolerance | None = None,
    *,
    leave_out_unfit: bool = False,
) -> Agreement:
    """Compare what was computed with what was expected, name by name.

    Args:
        found: arrays with an axis of sequences.
        expected: arrays of the same names and shapes, or without the axis of one sequence.
        exact: ``found`` computed in float64.
        tolerance: which differences count as none.
        leave_out_unfit: whether an output of another shape is unchecked instead of an error.

    Raises:
        InputError: if no name is on both sides; ShapeError if a shape is another.
    """
    names = [name for name in expected if name in found]
    if leave_out_unfit:
        names = [n for n in names if _fits(expected[n], found[n]) or not n.startswith("output")]
    if not names:
        raise InputError(
            f"nothing to compare: a run gives none of the expected {listing(expected)}"
        )
    rows, notes = [], []
    for name in names:
        wanted = _with_sequences(name, expected[name], found[name])
        if wanted.size and not np.isfinite(wanted).any():
            notes.append(f"{name}: no expected value is finite, so that it proves nothing")
        doubles = None if exact is None else exact.get(name)
        rows.append(_compare(name, found[name], wanted, doubles, tolerance or Tolerance()))
    unchecked = tuple(name for name in expected if name not in names)
    return Agreement(tuple(rows), unchecked, notes=tuple(notes))


def _fits(expected: Array, found: Array) -> bool:
    """Whether shapes are the same, but for the axis of one sequence."""
    return expected.shape in (found.shape, found.shape[1:] if found.shape[:1] == (1,) else None)


def _with_sequences(name: str, expected: Array, found: Array) -> Array:
    """The expected array in the shape of the found one."""
    if expected.dtype.kind not in "biuf":
        raise InputError(f"{name}: expected numbers, found {expected.dtype.name}")
    if not _fits(expected, found):
        shape = ", ".join(map(str, found.shape))
        raise ShapeError(f"expected array '{name}'", f"({shape}), as the run gives", expected.shape)
    return expected.reshape(found.shape)


def _compare(
    name: str, found: Array, expected: Array, exact: Array | None, tolerance: Tolerance
) -> ArrayAgreement:
    sums = DifferenceSums()
    gap = sums.add(expected, found, np.ones(found.shape, np.bool_))
    figures = sums.figures()
    bound = tolerance.bound(figures.scale, figures.precision)
    allowed = np.full(gap.shape, bound)
    if tolerance.relative:
        allowed += tolerance.relative * np.abs(np.nan_to_num(doubles(expected)))
    beyond = int((gap > allowed).sum())
    worst = tuple(int(k) for k in np.unravel_index(int(gap.argmax()), gap.shape)) if beyond else ()
    theirs, own = _distance(expected, exact), _distance(found, exact)
    verdict: Verdict = "equal"
    if beyond:
        rounded = not figures.nonfinite and theirs <= ROUNDING_FACTOR * own
        verdict = "rounding" if rounded else "different"
    return ArrayAgreement(name, figures, bound, worst, beyond, theirs, own, verdict)


def _distance(array: Array, exact: Array | None) -> float:
    """The largest difference; infinite where just one side is finite."""
    if exact is None:
        return float("nan")
    gap = DifferenceSums().add(exact, array, np.ones(array.shape, np.bool_))
    return float(gap.max(initial=0.0))
