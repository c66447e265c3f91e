"""Units in the order in which they follow a label.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import UsageError
from ..model import Array
from ..traces import STEP_TENSORS
from .association import Separation, class_means, mean_gap, pair_gaps
from .cells import TracedCell
from .difference import Side, side_cells
from .label_codes import Coded, Kind, code_labels, fitted_labels
from .labelled_steps import LabelledSteps, labelled_groups
from .lagged import autocorrelation, correlations, effective_count, pairs_at
from .precision import NEAR_ZERO
from .rank_order import LabelRanks, spearman
from .responses import Response, check_responses, responses

LONGEST_LAG = 10
RANKED_TENSORS = ("h", "c")


@dataclass(frozen=True, slots=True)
class Association:
    """How one unit follows the label.

    Attributes:
        cell: the cell's name; empty where there is one.
        tensor, unit: whose values they are.
        strength: what the order is by, larger is better; NaN for a unit that never changes.
        figures: by name. For numbers ``r`` at the best ``lag``, ``r_0`` without lag, Spearman's
            ``rho`` at the best lag, the pairs ``n`` and ``effective_n``; for yes/no ``auc``,
            the standardised mean gap ``d``, the average precision ``ap`` of large values, or of
            small ones where the AUC is below 0.5, ``accuracy`` of the best ``threshold`` and
            whether values ``above`` it say yes; for classes ``score``.
        means: of the unit in each class, by label; for yes/no and classes.
        class_scores: for each class the part of the score in which it takes part.
        responses: how the unit changes at the steps of each class, where that was asked for.
    """

    cell: str
    tensor: str
    unit: int
    strength: float
    figures: Mapping[str, float]
    means: Mapping[str, float] = field(default_factory=dict)
    class_scores: Mapping[str, float] = field(default_factory=dict)
    responses: Mapping[str, Response] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Units, those that follow the label best first; for classes, tensor by tensor.

    Attributes:
        kind: what the label was taken for.
        rows: the units.
        steps: how many steps were counted, or sequences where each has one label.
        labels: the classes and how many steps counted of each, for yes/no and classes; for yes/no
            the second one is yes.
        longest_lag: of the scan, for numbers.
        near_zero: for yes/no, below which magnitude values count as 0 in ``ap``.
    """

    kind: Kind
    rows: tuple[Association, ...]
    steps: int
    labels: Mapping[str, int]
    longest_lag: int
    near_zero: float = NEAR_ZERO


def rank(
    trace: Side | Sequence[Side],
    target: Array | Sequence[Array],
    *,
    tensors: Sequence[str] = RANKED_TENSORS,
    kind: Kind | None = None,
    longest_lag: int = LONGEST_LAG,
    near_zero: float = NEAR_ZERO,
    response: bool = False,
) -> Ranking:
    """Order units by how well they follow a label: correlation, AUC or distance of class means.

    Masked steps, steps beyond the end of a sequence and steps whose label is NaN or empty text do
    not count, nor those at which a unit of the tensor is NaN or infinite. p-values are not given:
    successive steps are not independent.

    Ranks need all steps of a unit at once. Of a trace in a file as many units are held as
    ``labelled_steps.GROUP_BYTES`` has room for, and the tensor is read once for each such group;
    beside them stand some numbers a step. A trace in memory stays there.

    Args:
        trace: of one run, or several runs of the same model.
        target: for each run: (T,) or (B, T), a label a step; (B,), a label a sequence, which is
            compared with the last step that each cell read. Numbers or text.
        tensors: which arrays to look at.
        kind: what the label is; None: text and numbers of two values are yes/no, other numbers are
            numbers, other text is classes.
        longest_lag: how far, in steps, a unit may be behind the label, or ahead of it.
        near_zero: for yes/no, below which magnitude values count as 0 in the average precision.
        response: of each unit also how h or c changes at the steps of each class.

    Returns:
        The units in order with their figures, and what the labels were taken for.

    Raises:
        InputError: if labels do not fit the steps, or say the same everywhere.
        UsageError: if a tensor has no steps, or the kind does not go with the labels; if there
            are no responses to numbers, of gates, or to the labels of whole sequences.
    """
    if not near_zero >= 0:
        raise UsageError(f"near zero: expected 0 or more, found {near_zero:g}")
    runs: list[Any] = list(trace) if isinstance(trace, list | tuple) else [trace]
    given = list(target) if isinstance(trace, list | tuple) else [target]
    unknown = [name for name in tensors if name not in STEP_TENSORS or name == "mask"]
    if unknown:
        raise UsageError(f"'{unknown[0]}' has no units and steps; choose h, c, i, f, g or o")
    cells = [side_cells(run) for run in runs]
    fitted = [fitted_labels(np.asarray(own), run) for own, run in zip(given, cells, strict=True)]
    coded = code_labels(fitted, kind)
    if response:
        check_responses(coded.kind, tensors, coded.arrays)
    lag = longest_lag if coded.kind == "number" and all(a.ndim > 1 for a in coded.arrays) else 0
    rows: list[Association] = []
    steps, counts = 0, np.zeros(len(coded.names), np.intp)
    for tensor in tensors:
        found: list[Association] = []
        for name in cells[0]:
            own = [run[name] for run in cells]
            for first, series in labelled_groups(own, coded.arrays, tensor, lag):
                chosen = series.labelled
                steps = max(steps, int(chosen.sum()))
                if coded.names:
                    own_counts = np.bincount(series.labels[chosen].astype(np.intp))
                    counts[: len(own_counts)] = own_counts
                asked = _Asked(name, tensor, coded.names, lag, near_zero)
                rated = _RATERS[coded.kind](series, asked)
                found += [replace(row, unit=first + row.unit) for row in rated]
        rows += _ordered(found) if coded.kind == "class" else found
    rows = rows if coded.kind == "class" else _ordered(rows)
    if response:
        rows = _with_responses(rows, cells, coded)
    cuts = {name: cell.cut for name, cell in cells[0].items()}
    rows = [replace(row, unit=cuts[row.cell].number(row.unit, row.tensor)) for row in rows]
    labels = dict(zip(coded.names, counts.tolist(), strict=True))
    return Ranking(coded.kind, tuple(rows), steps, labels, lag, near_zero)


def _with_responses(
    rows: Sequence[Association], cells: Sequence[Mapping[str, TracedCell]], coded: Coded
) -> list[Association]:
    told = {
        (name, tensor): responses([run[name] for run in cells], coded.arrays, tensor, coded.names)
        for name, tensor in dict.fromkeys((row.cell, row.tensor) for row in rows)
    }
    return [replace(row, responses=told[row.cell, row.tensor][row.unit]) for row in rows]


def _ordered(rows: Sequence[Association]) -> list[Association]:
    return sorted(rows, key=lambda row: (np.isnan(row.strength), -np.nan_to_num(row.strength)))


class _Asked(NamedTuple):
    """Whose units are rated, and how: the classes, the longest lag, what is near zero."""

    cell: str
    tensor: str
    names: Sequence[str]
    longest_lag: int
    near_zero: float


def _rate_numbers(series: LabelledSteps, asked: _Asked) -> Iterator[Association]:
    longest = asked.longest_lag
    lags = sorted(range(-longest, longest + 1), key=lambda lag: (abs(lag), lag < 0))
    r = correlations(series, longest)[[longest + lag for lag in lags]]  # (lags, U)
    sizes = np.where(np.isnan(r), -1.0, np.abs(r))
    best_lags = sizes.argmax(axis=0)
    units, label = autocorrelation(series)
    ordered, counts = _spearman_at(series, [lags[best] for best in best_lags])
    for unit, best in enumerate(best_lags):
        figures = {
            "r": float(r[best, unit]),
            "lag": float(lags[best]),
            "r_0": float(r[0, unit]),
            "rho": ordered[unit],
            "n": float(counts[unit]),
            "effective_n": effective_count(counts[unit], float(units[unit]), label),
        }
        yield Association(asked.cell, asked.tensor, unit, abs(figures["r"]), figures)


def _spearman_at(series: LabelledSteps, lags: Sequence[int]) -> tuple[list[float], list[int]]:
    """Spearman's ρ of each unit at its lag, and the number of pairs."""
    labels = LabelRanks(series.labels)
    rho, counts = [float("nan")] * len(lags), [0] * len(lags)
    for lag in set(lags):
        here, there, real = pairs_at(series, lag)
        beside = labels.among(here, real)
        for unit in (unit for unit, own in enumerate(lags) if own == lag):
            rho[unit] = spearman(series.values[there, unit][real], beside)
            counts[unit] = len(beside)
    return rho, counts


def _rate_yes_no(series: LabelledSteps, asked: _Asked) -> Iterator[Association]:
    values, labels = series.counted()
    positive = labels > 0
    means = class_means(values, positive.astype(np.intp), 2)
    for unit in range(values.shape[1]):
        own = np.ascontiguousarray(values[:, unit])
        separation = Separation(own, positive)
        area = separation.area_under_curve()
        accuracy, threshold, above = separation.best_threshold()
        figures = {
            "auc": area,
            "d": mean_gap(own, positive),
            "ap": separation.average_precision(asked.near_zero, above=not area < 0.5),
            "accuracy": accuracy,
            "threshold": threshold,
            "above": float(above),
        }
        told = dict(zip(asked.names, map(float, means[:, unit]), strict=True))
        strength = float("nan") if np.ptp(own) == 0 else abs(area - 0.5)
        yield Association(asked.cell, asked.tensor, unit, strength, figures, told)


def _rate_classes(series: LabelledSteps, asked: _Asked) -> Iterator[Association]:
    values, labels = series.counted()
    means = class_means(values, labels.astype(np.intp), len(asked.names))
    gaps = pair_gaps(means)
    for unit in range(values.shape[1]):
        score = float(gaps[:, unit].sum() / 2)
        told = dict(zip(asked.names, map(float, means[:, unit]), strict=True))
        parts = dict(zip(asked.names, map(float, gaps[:, unit]), strict=True))
        yield Association(asked.cell, asked.tensor, unit, score, {"score": score}, told, parts)


_RATERS = {"number": _rate_numbers, "yes/no": _rate_yes_no, "class": _rate_classes}
