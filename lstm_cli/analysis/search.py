"""Where else the units do what they do in a chosen range of steps.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError, numbered
from ..model import Array
from ..traces import Trace
from .cells import TracedCell, real_steps
from .cut import Cut
from .difference import Side, side_cells
from .lengths import check_sequence, length_of
from .matching import PackedFeatures, Rules, lengths_of, match, select
from .search_report import Found, Hit

Sides = Literal["both", "above", "below"]

THRESHOLD = 0.3
SAMPLED_STEPS = 50_000
"""Quantiles are those of so many steps, evenly spaced, where there are more."""

FAST_STEPS = 500_000
FAST_CANDIDATES = 1_000


@dataclass(frozen=True, slots=True)
class Features:
    """When a unit counts as on: its value is at least the threshold away from zero.

    Attributes:
        tensor: whose values: ``c`` through tanh, all others as they are.
        threshold: for every unit.
        quantile: instead of it, for each unit the quantile of its own |values| where the
            selection is.
        sides: whether ``above`` zero, ``below`` it, or ``both``, told apart.
        blips: a unit that is on for so many steps in a row, or fewer, counts as off there.
    """

    tensor: str = "c"
    threshold: float = THRESHOLD
    quantile: float | None = None
    sides: Sides = "both"
    blips: int = 0

    def __post_init__(self) -> None:
        if self.blips < 0:
            raise UsageError(f"blips: expected 0 or more, found {self.blips}")
        if not 0 < self.threshold < (1 if self.tensor == "c" else np.inf):
            raise UsageError(
                f"threshold: expected above 0{' and below 1' if self.tensor == 'c' else ''}, "
                f"found {self.threshold:g}"
            )
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise UsageError(f"quantile: expected between 0 and 1, found {self.quantile:g}")


class Finder:
    """Takes one trace after another, the one with the selection first.

    Args:
        span: first step of the selection and the one after its last.
        sequence: which sequence of the first trace it is in.
        features: when a unit counts as on.
        rules: how runs are looked for.
        most_steps: steps beyond so many are not looked at.
    """

    def __init__(
        self,
        span: tuple[int, int],
        sequence: int,
        features: Features,
        rules: Rules,
        most_steps: int | None = None,
    ) -> None:
        self._span, self._sequence = span, sequence
        self._features, self._rules, self._most_steps = features, rules, most_steps
        self._bounds: NDArray[np.float64] | None = None  # (U,), of the values as they are
        self._sequences: list[PackedFeatures] = []
        self._places: list[tuple[int, int]] = []
        self._sources = 0
        self._steps = 0
        self._cut = Cut()
        self._firsts: list[int] = []

    def add(self, cell: TracedCell) -> None:
        """Take in a cell's trace, block by block.

        Raises:
            InputError: if the range is not in it, or it has another number of units.
        """
        name = self._features.tensor
        cell.require((name,))
        if self._bounds is None:
            self._cut = cell.cut
            self._check_span(cell)
            self._bounds = self._thresholds(cell)
        units = cell.shape(name)[2]
        if units != len(self._bounds):
            raise InputError(f"{units} units here and {len(self._bounds)} where the range is")
        own = [PackedFeatures(self._width) for _ in range(cell.sequences)]
        for start, stop in cell.blocks():
            if self._most_steps is not None and self._steps >= self._most_steps and start:
                break
            packed = self._packed(cell.read(start, stop, (name,)))
            for sequence, rows in zip(own, packed, strict=True):
                sequence.add(rows)
            self._steps += cell.sequences * (stop - start)
        self._sequences += own
        self._places += [(self._sources, k) for k in range(cell.sequences)]
        self._firsts.append(cell.cut.first_step)
        self._sources += 1

    def found(self) -> Found:
        """The matches in all that was taken in.

        Raises:
            InputError: if no unit is on throughout the range.
        """
        start, stop = (step - self._cut.first_step for step in self._span)
        for sequence in self._sequences if self._features.blips else ():
            sequence.drop_short_runs(self._features.blips)
        chosen = select(self._sequences[self._sequence], start, stop, self._rules)
        if not chosen.any():
            on = self._sequences[self._sequence].throughout(start, stop)
            raise InputError(self._nothing_selected(int(on.sum())))
        best, candidates = match(self._sequences, chosen, self._rules)
        size = int(chosen.sum())
        hits = []
        for run, shared, union in best:
            place = self._places[run.sequence]
            very = (place, run.start, run.length) == ((0, self._sequence), start, stop - start)
            score = shared / union if union else 0.0
            first = run.start + self._firsts[place[0]]
            hits.append(Hit(*place, first, run.length, score, shared, union, very))
        units = self._units(chosen)
        return Found(
            tuple(hits),
            tuple((self._cut.number(unit, self._features.tensor), sign) for unit, sign in units),
            self._features.tensor,
            tuple(self._shown_threshold(unit) for unit, _ in units),
            self._steps,
            lengths_of(candidates),
            lengths_of([m for m in candidates if m.shared == size]),
            self._features.blips,
        )

    @property
    def _signs(self) -> tuple[int, ...]:
        return {"both": (1, -1), "above": (1,), "below": (-1,)}[self._features.sides]

    @property
    def _width(self) -> int:
        return 0 if self._bounds is None else len(self._bounds) * len(self._signs)

    def _check_span(self, cell: TracedCell) -> None:
        start, stop = self._span
        check_sequence(cell, self._sequence)
        steps = length_of(cell, self._sequence)
        if self._most_steps is not None and stop > self._most_steps:
            raise UsageError(
                f"the range {start}:{stop} is beyond the first {self._most_steps:,} steps, and "
                "the fast search looks at no others"
            )
        first = cell.cut.first_step
        if not first <= start < stop <= first + steps:
            raise InputError(
                f"the sequence has {numbered('step', steps, first)}, the range is {start}:{stop}"
            )

    def _thresholds(self, cell: TracedCell) -> NDArray[np.float64]:
        """How far from zero each unit must be, (U,)."""
        name, level = self._features.tensor, self._features.threshold
        if self._features.quantile is None:
            bound = np.arctanh(level) if name == "c" else level
            return np.full(cell.shape(name)[2], bound)
        stride = -(-cell.sequences * cell.steps // SAMPLED_STEPS)
        sampled = []
        for start, stop in cell.blocks():
            trace = cell.read(start, stop, (name,))
            steps = slice(-start % stride, None, stride)
            sampled.append(trace.arrays[name][:, steps][real_steps(trace)[:, steps]])
        values = np.abs(np.concatenate(sampled))
        bounds = np.quantile(values.astype(np.float64), self._features.quantile, axis=0)
        return np.where(bounds > 0, bounds, np.inf)

    def _shown_threshold(self, unit: int) -> float:
        if self._features.quantile is None:
            return self._features.threshold
        bounds = np.zeros(0) if self._bounds is None else self._bounds
        bound = float(bounds[unit])
        return float(np.tanh(bound)) if self._features.tensor == "c" else bound

    def _packed(self, trace: Trace) -> NDArray[np.uint8]:
        """Which features are on, (B, n, K) in bits; none at steps that are not real."""
        values: Array = trace.arrays[self._features.tensor]
        bounds = np.asarray(self._bounds, values.dtype)
        with np.errstate(invalid="ignore"):
            on = {1: lambda: values >= bounds, -1: lambda: values <= -bounds}
            together = np.concatenate([on[sign]() for sign in self._signs], axis=-1)
        real = real_steps(trace)
        if not real.all():
            together &= real[..., np.newaxis]
        return np.packbits(together, axis=-1)

    def _units(self, chosen: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
        width = len(chosen) // len(self._signs)
        pairs = [(int(k) % width, self._signs[int(k) // width]) for k in np.flatnonzero(chosen)]
        return tuple(sorted(pairs))

    def _nothing_selected(self, throughout: int) -> str:
        (start, stop), name = self._span, self._features.tensor
        if not throughout:
            return (
                f"no unit of {name} is on throughout {start}:{stop}; a lower threshold or a "
                "shorter range may help"
            )
        outside = " and the ".join(
            f"{count} step{'s' if count > 1 else ''} {where}"
            for count, where in ((self._rules.left, "before"), (self._rules.right, "after"))
            if count
        )
        units = f"units of {name}" if throughout > 1 else f"unit of {name}"
        return (
            f"of {throughout} {units} on throughout {start}:{stop} none is off in the {outside}; a "
            "higher threshold or fewer steps outside may help"
        )


def find(
    trace: Side | Iterable[Side],
    span: tuple[int, int],
    *,
    sequence: int = 0,
    tensor: str = "c",
    threshold: float = THRESHOLD,
    quantile: float | None = None,
    sides: Sides = "both",
    blips: int = 0,
    left: int = 1,
    right: int = 0,
    shortest: int = 2,
    exactly: int | None = None,
    matches: int = 50,
    fast: bool = False,
) -> Found:
    """Steps at which the same units are on as in a range of steps, the most alike first.

    A unit is on where its value is at least a threshold away from zero; on above zero and on below
    are different. Selected are the units that are on throughout the range and off just outside it.
    The default threshold and all lengths are choices of this package.

    Args:
        trace: of one cell; or several such, the range being in the first; an iterator is taken one
            by one.
        span: first step of the range and the one after its last.
        sequence: which sequence of the first trace the range is in.
        tensor: whose values: ``c`` through tanh, all others as they are.
        threshold: of the values, the same for every unit.
        quantile: instead of it, for each unit the quantile of its own |values| in the first trace;
            of 50,000 steps evenly spaced where that has more.
        sides: whether units count that are on ``above`` zero, ``below`` it, or ``both``.
        blips: a unit that is on for so many steps in a row, or fewer, counts as off there.
        left, right: how many steps before and after the range a selected unit must be off.
        shortest: the least number of steps of a match.
        exactly: the one number of steps of a match.
        matches: how many to return.
        fast: look at the first 500,000 steps alone, and compare 1,000 runs instead of 10,000.

    Returns:
        The hits, best first, the selected units, and how long the candidates were.

    Raises:
        InputError: if the range is not in the sequence, or no unit is on throughout it.
        UsageError: if a number is out of its range, or a trace has several cells.
    """
    rules = Rules(left, right, shortest, exactly, FAST_CANDIDATES if fast else 10_000, matches)
    features = Features(tensor, threshold, quantile, sides, blips)
    finder = Finder(span, sequence, features, rules, FAST_STEPS if fast else None)
    several = isinstance(trace, list | tuple | Iterator)
    runs: Iterable[Any] = trace if several else [trace]  # type: ignore[assignment]
    for run in runs:
        cells = side_cells(run)
        if len(cells) != 1:
            raise UsageError(
                f"find looks at one cell, and there are {', '.join(cells)}; choose one (--layer)"
            )
        finder.add(next(iter(cells.values())))
    return finder.found()
