"""How units answer a feature that is switched on, and one that is on for a single step.

A cell is left alone until it rests, then driven; what counts is how far it is from where it would
be had it been left alone. ``settling`` is that of control engineering: from which step on the
answer stays near its last value.

Source: Hasani, Amini, Lechner, Naser, Grosu and Rus, "Response Characterization for Auditing Cell
Dynamics in Long Short-term Memory Networks" (2019), for steps and settling times; the impulse and
its decay are this package's own.

Letters: n steps in the order in which the cell reads them, U units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, UsageError
from ..model import Array
from ..traces import STATE_TENSORS, Trace
from .timescale import timescale
from .unit_sums import Floats

BAND = 0.02
"""Near the last value is within this share of the largest distance from it."""

NEGLIGIBLE = 1e-6
"""Of its peak: below it an impulse's answer is not looked at for its decay; ours."""

FEWEST_FOR_DECAY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one state of a cell answers, (U,) each.

    Attributes:
        rest: its value before it is driven.
        drift: the most that it still moves when it is left alone.
        gain: how far the step has moved it in the end, for each unit of the step.
        settling: steps read from which on it stays near that; 0 where it never moves, NaN where
            it has not settled in the first half.
        peak, peak_step: the largest answer to the impulse, with its sign, and when, from 0.
        area: sum of the answer to the impulse over all steps.
        decay: T of exp(-t / T) fitted to the answer to the impulse behind its peak, in steps;
            infinity where it does not fade, NaN where it fades at once or there is none.
    """

    rest: Floats
    drift: Floats
    gain: Floats
    settling: Floats
    peak: Floats
    peak_step: Floats
    area: Floats
    decay: Floats


FIGURES = ("rest", "drift", "gain", "settling", "peak", "peak_step", "area", "decay")


@dataclass(frozen=True, slots=True, eq=False)
class CellProbe:
    """One cell's answers: ``h`` and ``c``, and T = -1 / ln f at rest, (U,)."""

    name: str
    answers: Mapping[str, Answer]
    timescale: Floats

    def strongest(self, tensor: str) -> list[int]:
        """Units by the size of their gain, the largest first."""
        return [int(k) for k in np.argsort(-np.abs(self.answers[tensor].gain), kind="stable")]


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """The answers of all cells that read the layer's input.

    Attributes:
        cells: by part name, ``""`` for a lone one.
        layer: its address.
        feature, size: what was driven, and by how much.
        baseline: of every feature, (F,).
        steps: how long each run was.
        band: what is near.
    """

    cells: tuple[CellProbe, ...]
    layer: str
    feature: int
    size: float
    baseline: Floats
    steps: int
    band: float

    def facts(self) -> dict[str, Any]:
        """Everything, by name."""
        names = ("layer", "feature", "size", "baseline", "steps", "band")
        cells = [
            {
                "cell": cell.name,
                "units": [
                    {
                        "tensor": tensor,
                        "unit": unit,
                        **{name: float(getattr(answer, name)[unit]) for name in FIGURES},
                        **({"timescale": float(cell.timescale[unit])} if tensor == "c" else {}),
                    }
                    for tensor, answer in cell.answers.items()
                    for unit in cell.strongest(tensor)
                ],
            }
            for cell in self.cells
        ]
        return {**{name: getattr(self, name) for name in names}, "cells": cells}


def probe_cell(
    name: str, alone: Trace, step: Trace, impulse: Trace, size: float, band: float = BAND
) -> CellProbe:
    """What a cell answers, from three runs that begin where it rests.

    Args:
        name: of the cell.
        alone: left at rest.
        step: with a feature at ``size`` more at all steps.
        impulse: with it at the first step that the cell reads.
        size: not 0.
        band: see ``Answer.settling``.

    Raises:
        InputError: if a run is not finite.
    """
    answers = {}
    for tensor in STATE_TENSORS:
        runs = [_read(run, tensor) for run in (alone, step, impulse)]
        if not all(np.isfinite(run).all() for run in runs):
            raise InputError(f"{tensor} grows without end at this drive; a smaller one may do")
        rest = alone.arrays[f"initial_{tensor}"][0].astype(np.float64)
        answers[tensor] = _answer(rest, runs[0], runs[1] - runs[0], runs[2] - runs[0], size, band)
    f = _read(alone, "f")
    return CellProbe(name, answers, timescale(f.mean(axis=0)))


def checked_band(band: float) -> float:
    """The band, if it is one.

    Raises:
        UsageError: if it is not between 0 and 1.
    """
    if not 0 < band < 1:
        raise UsageError(f"band: expected between 0 and 1, found {band:g}")
    return band


def _read(run: Trace, tensor: str) -> Floats:
    """The one sequence in the order of reading, (n, U)."""
    values = run.arrays[tensor][0].astype(np.float64)
    return np.asarray(values[::-1] if run.meta.get("direction") == "backward" else values)


def _answer(
    rest: Floats, alone: Floats, step: Floats, impulse: Floats, size: float, band: float
) -> Answer:
    peaks = np.abs(impulse).argmax(axis=0)
    units = np.arange(len(rest))
    return Answer(
        rest,
        np.abs(alone - rest).max(axis=0),
        step[-1] / size,
        settling(step, band),
        impulse[peaks, units],
        peaks.astype(np.float64),
        impulse.sum(axis=0),
        np.array([decay(impulse[peak:, unit]) for unit, peak in enumerate(peaks)]),
    )


def settling(answer: Array, band: float) -> Floats:
    """Steps from which on an answer stays near its last value, (n, U) -> (U,).

    Before the first step it is 0. NaN where that is in the second half, as the last value is then
    none that it settles at.
    """
    gap = np.abs(np.concatenate((np.zeros_like(answer[:1]), answer)) - answer[-1])
    outside = gap > band * gap.max(axis=0)
    found = np.where(outside.any(axis=0), len(gap) - outside[::-1].argmax(axis=0), 0)
    return np.asarray(np.where(found <= len(answer) // 2, found.astype(np.float64), np.nan))


def decay(answer: Sequence[float] | Array) -> float:
    """T of exp(-t / T), by least squares on the logarithms of an answer from its peak on, (n,)."""
    sizes = np.abs(np.asarray(answer, np.float64))
    if not sizes[0]:
        return float("nan")
    small = np.flatnonzero(sizes < NEGLIGIBLE * sizes[0])
    told = sizes[: small[0]] if len(small) else sizes
    if len(told) < FEWEST_FOR_DECAY:
        return float("nan")
    slope = float(np.polyfit(np.arange(len(told)), np.log(told), 1)[0])
    return -1.0 / slope if slope < 0 else float("inf")
