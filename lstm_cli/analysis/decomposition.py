"""Which steps wrote a memory: c[t] as an exact sum of what each earlier step left of it.

c[t] = c[initial] Π f + Σ i[s] g[s] Π f, where each product runs over the steps read after. It
says what was written and kept, not which input made the gates so: those saw h as well.

Source: Levy, Lee, FitzGerald and Zettlemoyer, "Long Short-Term Memory as a Dynamically Computed
Element-wise Weighted Sum" (2018). Span, effective writers, age and cancellation are this
package's own figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, numbered
from ..model import Array
from .cells import TracedCell
from .memory_sums import MemorySums, quotients, spans
from .retained import Piece, Retained
from .unit_sums import Floats

SPAN_SHARE = 0.9
"""The share of all contributions that lies within the memory span; ours."""


@dataclass(frozen=True, slots=True, eq=False)
class MemorySplit:
    """The parts of one unit's c at one step.

    Attributes:
        cell, unit, sequence, step: which.
        value: c there.
        steps: numbers of the steps up to it, latest first, (n,).
        written: i g of each, 0 where masked, (n,).
        kept: how much of it survived, 0 to 1, (n,).
        contributions: ``written`` times ``kept``, (n,).
        initial: what is left of the initial state.
        clipped: what a clip of c changed, as far as it survived; 0 without one.
        span_share: of all contributions, that ``span`` has to hold.
    """

    cell: str
    unit: int
    sequence: int
    step: int
    value: float
    steps: Array
    written: Floats
    kept: Floats
    contributions: Floats
    initial: float
    clipped: float
    span_share: float = SPAN_SHARE

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return float(self.contributions.sum()) + self.initial + self.clipped

    @property
    def residual(self) -> float:
        """``value`` less ``total``: rounding."""
        return self.value - self.total

    @property
    def magnitude(self) -> float:
        """The sum of the parts' absolute values, without what was clipped."""
        return float(np.abs(self.contributions).sum()) + abs(self.initial)

    @property
    def span(self) -> int:
        """How many of the latest steps hold 90%; one more than there are if the initial does."""
        sums = np.cumsum(np.abs(self.contributions))
        reached = sums >= self.span_share * self.magnitude
        return int(np.argmax(reached)) + 1 if reached.any() else len(sums) + 1

    @property
    def effective_writers(self) -> float:
        """(Σ|K|)² / ΣK²: how many equal writers would be as spread out; NaN where all are 0."""
        squares = float(np.square(self.contributions).sum()) + self.initial**2
        return _quotient(self.magnitude**2, squares)

    @property
    def age(self) -> float:
        """Mean age of the contributions in steps, the initial state one step before the first."""
        ages = np.arange(len(self.contributions))
        weighted = float(np.abs(self.contributions) @ ages) + abs(self.initial) * len(ages)
        return _quotient(weighted, self.magnitude)

    @property
    def cancellation(self) -> float:
        """|c| / Σ|K|: 1 where all parts have one sign, near 0 where they cancel."""
        return _quotient(abs(self.value), self.magnitude)

    def largest(self, count: int | None = None) -> Array:
        """Positions in ``steps`` of the largest contributions, by size; all that are not 0."""
        order = np.argsort(-np.abs(self.contributions), kind="stable")
        order = order[self.contributions[order] != 0]
        return np.asarray(order[:count])

    def facts(self, count: int | None = None) -> dict[str, Any]:
        """Everything, by name, the ``count`` largest contributions first."""
        return {
            **{name: getattr(self, name) for name in ("cell", "unit", "sequence", "step", "value")},
            "initial": self.initial,
            "clipped": self.clipped,
            "sum": self.total,
            "residual": self.residual,
            "magnitude": self.magnitude,
            "span": self.span,
            "span_share": self.span_share,
            "effective_writers": self.effective_writers,
            "age": self.age,
            "cancellation": self.cancellation,
            "writers": [
                {
                    "step": int(self.steps[k]),
                    "written": float(self.written[k]),
                    "kept": float(self.kept[k]),
                    "contribution": float(self.contributions[k]),
                }
                for k in self.largest(count)
            ],
        }


@dataclass(frozen=True, slots=True, eq=False)
class MemorySummary:
    """The parts of all units' c at one step, summed up; arrays (U,).

    Attributes:
        cell, sequence, step: which.
        steps: how many steps the cell had read.
        value, initial, clipped, residual, magnitude: as of ``MemorySplit``.
        span, effective_writers, age, cancellation: likewise.
        writer: the step with the largest contribution; -1 for the initial state.
        largest: that contribution.
        span_share: of all contributions, that ``span`` has to hold.
        units: their numbers, where not all units are there.
    """

    cell: str
    sequence: int
    step: int
    steps: int
    value: Floats
    initial: Floats
    clipped: Floats
    residual: Floats
    magnitude: Floats
    span: Array
    effective_writers: Floats
    age: Floats
    cancellation: Floats
    writer: Array
    largest: Floats
    span_share: float = SPAN_SHARE
    units: tuple[int, ...] | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the units."""
        return tuple(range(len(self.value))) if self.units is None else self.units

    def facts(self, count: int | None = None) -> dict[str, Any]:
        """Everything, by name, an entry a unit for the first ``count`` units."""
        names = (
            *("value", "initial", "clipped", "residual", "magnitude", "span"),
            *("effective_writers", "age", "cancellation", "writer", "largest"),
        )
        columns = {name: getattr(self, name).tolist() for name in names}
        units = [
            {"unit": number, **{name: column[unit] for name, column in columns.items()}}
            for unit, number in enumerate(self.numbers[:count])
        ]
        head = ("cell", "sequence", "step", "steps", "span_share")
        return {**{name: getattr(self, name) for name in head}, "units": units}


def split_memory(
    cell: TracedCell, unit: int, step: int, sequence: int = 0, span_share: float = SPAN_SHARE
) -> MemorySplit:
    """The parts of one unit's c at a step of the input.

    Raises:
        InputError: if the trace lacks c, f, i, g or the initial state; if there is no such unit,
            step or sequence; if c does not follow from the gates.
    """
    if not 0 <= unit < cell.units:
        raise InputError(f"unit {unit}: the cell has {numbered('unit', cell.units)}")
    retained = Retained(cell, step, sequence)
    column = slice(unit, unit + 1)
    pieces = list(retained.pieces(column))
    steps = np.concatenate([piece.steps for piece in pieces])
    written, kept = (_joined(pieces, name) for name in ("written", "kept"))
    return MemorySplit(
        cell.name,
        unit,
        sequence,
        step,
        float(retained.value[unit]),
        steps,
        written,
        kept,
        written * kept,
        float(retained.initial[unit] * retained.survival[unit]),
        float(sum(piece.clipped.sum() for piece in pieces)),
        span_share,
    )


def summarise_memory(
    cell: TracedCell, step: int, sequence: int = 0, span_share: float = SPAN_SHARE
) -> MemorySummary:
    """The parts of every unit's c at a step, summed up in bounded memory.

    Raises:
        InputError: as ``split_memory``.
    """
    retained = Retained(cell, step, sequence)
    sums = MemorySums(cell.units)
    for piece in retained.pieces():
        sums.add(piece)
    initial = retained.initial * retained.survival
    magnitude = sums.absolute + np.abs(initial)
    largest = np.where(np.abs(initial) > np.abs(sums.largest), initial, sums.largest)
    age = sums.age + np.abs(initial) * retained.count
    return MemorySummary(
        cell.name,
        sequence,
        step,
        retained.count,
        retained.value,
        initial,
        sums.clipped,
        retained.value - (sums.total + initial + sums.clipped),
        magnitude,
        spans(retained, sums, span_share * magnitude),
        quotients(magnitude**2, sums.squares + initial**2),
        quotients(age, magnitude),
        quotients(np.abs(retained.value), magnitude),
        np.where(np.abs(initial) > np.abs(sums.largest), -1, sums.writer),
        largest,
        span_share,
    )


def _joined(pieces: list[Piece], name: str) -> Floats:
    return np.concatenate([getattr(piece, name)[:, 0] for piece in pieces])


def _quotient(a: float, b: float) -> float:
    return a / b if b else float("nan")
