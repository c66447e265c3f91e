"""Units in the order in which they follow a label.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ..errors import InputError, UsageError
from ..model import Array
from ..traces import STEP_TENSORS
from .association import (
    Separation,
    autocorrelation,
    class_means,
    correlations,
    effective_count,
    mean_gap,
    pair_gaps,
    pairs_at,
    ranks,
    spearman,
)
from .cells import TracedCell
from .difference import Side, side_cells
from .labelled_steps import LabelledSteps, labelled_steps

Kind = Literal["number", "yes/no", "class"]
KINDS: tuple[Kind, ...] = ("number", "yes/no", "class")

LONGEST_LAG = 10
MOST_CLASSES = 200
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
            the standardised mean gap ``d``, ``accuracy`` of the best ``threshold`` and whether
            values ``above`` it say yes; for classes ``score``.
        means: of the unit in each class, by label; for yes/no and classes.
        class_scores: for each class the part of the score in which it takes part.
    """

    cell: str
    tensor: str
    unit: int
    strength: float
    figures: Mapping[str, float]
    means: Mapping[str, float] = field(default_factory=dict)
    class_scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Units, those that follow the label best first; for classes, tensor by tensor.

    Attributes:
        kind: what the label was taken for.
        rows: the units.
        steps: how many steps were counted, or sequences where each has one label.
        labels: the classes with their counts, for yes/no and classes; for yes/no the second one
            is yes.
        longest_lag: of the scan, for numbers.
    """

    kind: Kind
    rows: tuple[Association, ...]
    steps: int
    labels: Mapping[str, int]
    longest_lag: int


def rank(
    trace: Side | Sequence[Side],
    target: Array | Sequence[Array],
    *,
    tensors: Sequence[str] = RANKED_TENSORS,
    kind: Kind | None = None,
    longest_lag: int = LONGEST_LAG,
) -> Ranking:
    """Order units by how well they follow a label: correlation, AUC or distance of class means.

    Masked steps, steps beyond the end of a sequence and steps whose label is NaN or empty text do
    not count. p-values are not given: successive steps are not independent.

    Args:
        trace: of one run, or several runs of the same model.
        target: for each run: (T,) or (B, T), a label a step; (B,), a label a sequence, which is
            compared with the last step that each cell read. Numbers or text.
        tensors: which arrays to look at.
        kind: what the label is; None: text and numbers of two values are yes/no, other numbers are
            numbers, other text is classes.
        longest_lag: how far, in steps, a unit may be behind the label, or ahead of it.

    Raises:
        InputError: if labels do not fit the steps, or say the same everywhere.
        UsageError: if a tensor has no steps, or the kind does not go with the labels.
    """
    runs: list[Any] = list(trace) if isinstance(trace, list | tuple) else [trace]
    given = list(target) if isinstance(trace, list | tuple) else [target]
    unknown = [name for name in tensors if name not in STEP_TENSORS or name == "mask"]
    if unknown:
        raise UsageError(f"'{unknown[0]}' has no units and steps; choose h, c, i, f, g or o")
    cells = [side_cells(run) for run in runs]
    fitted = [_fitted(np.asarray(own), run) for own, run in zip(given, cells, strict=True)]
    coded = _code(fitted, kind)
    lag = longest_lag if coded.kind == "number" and all(a.ndim > 1 for a in coded.arrays) else 0
    rows: list[Association] = []
    steps = 0
    for tensor in tensors:
        found: list[Association] = []
        for name in cells[0]:
            own = [run[name].read(tensors=(tensor,)) for run in cells]
            series = _known(labelled_steps(own, coded.arrays, tensor, lag))
            steps = max(steps, int(series.real.sum()))
            found += list(_RATERS[coded.kind](series, name, tensor, coded.names, lag))
        rows += _ordered(found) if coded.kind == "class" else found
    rows = rows if coded.kind == "class" else _ordered(rows)
    cuts = {name: cell.cut for name, cell in cells[0].items()}
    rows = [replace(row, unit=cuts[row.cell].number(row.unit, row.tensor)) for row in rows]
    return Ranking(coded.kind, tuple(rows), steps, coded.counts, lag)


def _ordered(rows: Sequence[Association]) -> list[Association]:
    return sorted(rows, key=lambda row: (np.isnan(row.strength), -np.nan_to_num(row.strength)))


def _fitted(labels: Array, cells: Mapping[str, TracedCell]) -> Array:
    """The labels as (B, T) or (B,).

    Raises:
        InputError: if they are neither.
    """
    cell = next(iter(cells.values()))
    sequences, steps = cell.sequences, cell.steps
    if labels.ndim == 3 and labels.shape[2] == 1:
        labels = labels[..., 0]
    if labels.ndim == 2 and labels.shape[1] == 1 and steps > 1:
        labels = labels[:, 0]
    if labels.shape == (sequences, steps):
        return labels
    first = cell.cut.first_step
    if (first or cell.cut.ends_early) and labels.ndim in (1, 2) and labels.shape[-1] > steps:
        labels = labels[..., first : first + steps]
        if labels.shape == (sequences, steps):
            return labels
    if labels.shape == (steps,) and sequences == 1:
        return labels[np.newaxis]
    if labels.shape == (sequences,):
        return labels
    shape = f"({', '.join(map(str, labels.shape))}{',' if labels.ndim == 1 else ''})"
    expected = f"({steps},)" if sequences == 1 else f"({sequences}, {steps}) or ({sequences},)"
    raise InputError(f"target: expected a label for each step, {expected}; found {shape}")


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """Labels as numbers, NaN where there is none; of classes their numbers."""

    kind: Kind
    arrays: list[Array]
    names: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def _code(labels: Sequence[Array], kind: Kind | None) -> _Coded:
    """Labels as what they are."""
    flat = np.concatenate([array.ravel() for array in labels])
    is_text = flat.dtype.kind not in "biuf"
    known = flat != "" if is_text else np.isfinite(flat.astype(np.float64))
    values, counts = np.unique(flat[known], return_counts=True)
    if len(values) < 2:
        said = f"'{values[0]}'" if len(values) else "nothing"
        raise InputError(f"target: every step says {said}; expected at least two values")
    found: Kind = "yes/no" if len(values) == 2 else ("class" if is_text else "number")
    chosen = kind or found
    if chosen == "number":
        if is_text:
            raise UsageError(f"target: '{values[0]}' is no number; leave out the kind")
        return _Coded(chosen, [array.astype(np.float64) for array in labels])
    if chosen == "yes/no" and len(values) != 2:
        raise UsageError(f"target: yes/no has two values, this has {len(values)}")
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"target: {len(values)} classes, more than {MOST_CLASSES}; expected numbers, or fewer"
        )
    names = tuple(str(value) if is_text else f"{value:g}" for value in values)
    codes = []
    for array in labels:
        known = array != "" if is_text else np.isfinite(array.astype(np.float64))
        codes.append(np.where(known, np.searchsorted(values, array), np.nan))
    return _Coded(chosen, codes, names, dict(zip(names, map(int, counts), strict=True)))


def _known(series: LabelledSteps) -> LabelledSteps:
    """Without the steps that have no label."""
    return LabelledSteps(series.values, series.labels, series.real & ~np.isnan(series.labels))


def _rate_numbers(
    series: LabelledSteps, cell: str, tensor: str, names: Sequence[str], longest: int
) -> Iterator[Association]:
    lags = sorted(range(-longest, longest + 1), key=lambda lag: (abs(lag), lag < 0))
    r = np.array([correlations(series, lag) for lag in lags])  # (lags, U)
    sizes = np.where(np.isnan(r), -1.0, np.abs(r))
    units, label = autocorrelation(series)
    beside = {}
    for unit, best in enumerate(sizes.argmax(axis=0)):
        if best not in beside:
            there, real, own = pairs_at(series, lags[best])
            beside[best] = there, real, ranks(own)
        there, real, label_ranks = beside[best]
        x = series.values[there, unit][real]
        figures = {
            "r": float(r[best, unit]),
            "lag": float(lags[best]),
            "r_0": float(r[0, unit]),
            "rho": spearman(x, label_ranks),
            "n": float(len(x)),
            "effective_n": effective_count(len(x), float(units[unit]), label),
        }
        yield Association(cell, tensor, unit, abs(figures["r"]), figures)


def _rate_yes_no(
    series: LabelledSteps, cell: str, tensor: str, names: Sequence[str], longest: int
) -> Iterator[Association]:
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
            "accuracy": accuracy,
            "threshold": threshold,
            "above": float(above),
        }
        told = dict(zip(names, map(float, means[:, unit]), strict=True))
        strength = float("nan") if np.ptp(own) == 0 else abs(area - 0.5)
        yield Association(cell, tensor, unit, strength, figures, told)


def _rate_classes(
    series: LabelledSteps, cell: str, tensor: str, names: Sequence[str], longest: int
) -> Iterator[Association]:
    values, labels = series.counted()
    means = class_means(values, labels.astype(np.intp), len(names))
    gaps = pair_gaps(means)
    for unit in range(values.shape[1]):
        score = float(gaps[:, unit].sum() / 2)
        told = dict(zip(names, map(float, means[:, unit]), strict=True))
        parts = dict(zip(names, map(float, gaps[:, unit]), strict=True))
        yield Association(cell, tensor, unit, score, {"score": score}, told, parts)


_RATERS = {"number": _rate_numbers, "yes/no": _rate_yes_no, "class": _rate_classes}
