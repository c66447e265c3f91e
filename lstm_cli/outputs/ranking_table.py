"""Units in the order in which they follow a label, for a terminal, as CSV and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Any

from rich.text import Text

from ..analysis.ranking import Association, Ranking
from ..errors import listing
from .display_numbers import short_number
from .grid import GAP, Column, Lines, bands, clipped, grid, grid_width, wrapped
from .rows import csv_cell

FIGURES: Mapping[str, tuple[str, ...]] = {
    "number": ("r", "lag", "r_0", "rho", "n", "effective_n"),
    "yes/no": ("auc", "d", "ap", "accuracy", "threshold", "above"),
    "class": ("score",),
}
HEADERS = {
    "r_0": "r, lag 0",
    "rho": "Spearman",
    "effective_n": "effective n",
    "auc": "AUC",
    "ap": "AP",
}


def ranking_table(found: Ranking, top: int, width: int) -> Lines:
    """What the label is taken for, then the best units; for classes a table for each tensor."""
    lines = wrapped(_heading(found), width)
    groups = _groups(found)
    shown = len(found.labels)
    for rows in groups:
        keys, columns = _table(found, rows[:top])
        means = _means(found, rows[:top])
        if found.kind == "class":  # of which there may be hundreds
            while means and grid_width([*keys, *columns, *means]) > width:
                means.pop()
        shown = min(shown, len(means))
        for k, band in enumerate(bands(keys, [*columns, *means], width)):
            lines += [Text(), *grid(band)] if not k else grid(band)
    most = max(map(len, groups), default=0)
    if most > top:
        units = f"{most - top} more unit{'s' if most - top > 1 else ''}"
        each = " of each array" if len(groups) > 1 else ""
        lines += wrapped(f"… {units}{each}: use --top, or --json", width, "dim")
    if found.kind == "class" and (missing := len(found.labels) - shown):
        classes = f"{missing} more class{'es' if missing > 1 else ''}"
        lines += wrapped(f"… {classes}: in a wider terminal, or with --json", width, "dim")
    constant = sum(isnan(row.strength) for row in found.rows)
    if constant:
        are = "unit is" if constant == 1 else "units are"
        lines += wrapped(f"{constant} {are} constant and follow nothing", width, "dim")
    for text in _legend(found):
        lines += wrapped(text, width, "dim", "", GAP)
    return Lines(lines)


def ranking_lines(found: Ranking) -> Iterator[str]:
    """A line a unit, as CSV with a header; of classes the means too."""
    figures = FIGURES[found.kind]
    labels = list(found.labels)
    yield ",".join(["cell", "tensor", "unit", *figures, *(csv_cell(f"mean {n}") for n in labels)])
    for row in found.rows:
        numbers = [*(row.figures[name] for name in figures), *(row.means[name] for name in labels)]
        texts = [f"{number:.9g}" for number in numbers]
        yield ",".join([csv_cell(row.cell), row.tensor, str(row.unit), *texts])


def ranking_facts(found: Ranking) -> dict[str, Any]:
    """The same for JSON: ``kind``, ``labels``, ``steps``, ``rows``."""
    return {
        "kind": found.kind,
        "labels": dict(found.labels),
        "steps": found.steps,
        "longest_lag": found.longest_lag,
        "near_zero": found.near_zero,
        "rows": [_row_facts(row) for row in found.rows],
    }


def _row_facts(row: Association) -> dict[str, Any]:
    facts: dict[str, Any] = {"cell": row.cell, "tensor": row.tensor, "unit": row.unit}
    facts |= row.figures
    for name in ("lag", "n"):
        if name in facts:
            facts[name] = int(facts[name])
    if "above" in facts:
        facts["above"] = bool(facts["above"])
    if row.means:
        facts["means"] = dict(row.means)
    if row.class_scores:
        facts["class_scores"] = dict(row.class_scores)
    if row.responses:
        facts["responses"] = {name: each._asdict() for name, each in row.responses.items()}
    return facts


def _heading(found: Ranking) -> str:
    counts = listing(f"{name} ({count})" for name, count in found.labels.items())
    steps = f"{found.steps:,} step{'' if found.steps == 1 else 's'}"
    if found.kind == "number":
        return f"the label is a number, {steps}"
    if found.kind == "yes/no":
        return f"the label is yes or no, {steps}: {counts}; the second one is yes"
    return f"the label has {len(found.labels)} classes, {steps}: {counts}"


def _groups(found: Ranking) -> list[list[Association]]:
    """Rows that stand in one table: for classes those of one tensor, whose scores compare."""
    if found.kind != "class":
        return [list(found.rows)]
    tensors = dict.fromkeys(row.tensor for row in found.rows)
    return [[row for row in found.rows if row.tensor == name] for name in tensors]


def _table(found: Ranking, rows: Sequence[Association]) -> tuple[list[Column], list[Column]]:
    """Which units they are, and what is known of each."""
    keys = [
        Column("unit", [str(row.unit) for row in rows]),
        Column("of", [row.tensor for row in rows], right=False),
    ]
    if any(row.cell for row in rows):
        keys.insert(0, Column("cell", [row.cell for row in rows], right=False))
    columns = []
    for name in FIGURES[found.kind]:
        if name == "above":
            continue
        cells = [_figure(name, row) for row in rows]
        if name == "n" and len(set(cells)) == 1:
            continue
        columns.append(Column(HEADERS.get(name, name), cells))
    return keys, columns


def _figure(name: str, row: Association) -> str:
    value = row.figures[name]
    if isnan(value):
        return "-"
    if name == "lag":
        return f"{value:+.0f}" if value else "0"
    if name == "n":
        return f"{value:.0f}"
    if name == "effective_n":
        return f"{value:.1f}"
    if name == "threshold":
        return f"{'≥' if row.figures['above'] else '<'} {value:.4f}"
    return f"{value:.4f}" if abs(value) < 1e4 else short_number(value)


def _means(found: Ranking, rows: Sequence[Association]) -> list[Column]:
    """Mean of each class."""
    columns: list[Column] = []
    for name in found.labels:
        shown = clipped(repr(name) if name.isspace() else name, 12)
        cells = [f"{row.means[name]:.3f}" for row in rows]
        columns.append(Column(shown, cells, group="mean of"))
    return columns


def _legend(found: Ranking) -> list[str]:
    if found.kind == "number":
        return [
            f"lag: how many steps the unit is behind the label, up to ±{found.longest_lag} (ours); "
            "effective n: pairs, less what successive steps have in common (with few, a unit may "
            "follow by chance); no p-values, which would not hold"
        ]
    if found.kind == "yes/no":
        return [
            "AUC: chance that a yes has the larger value; d: gap of the means in standard "
            "deviations; AP: average precision of large values, of small ones where the AUC is "
            f"below 0.5, those nearer to 0 than {found.near_zero:g} taken as 0 (--near-zero); "
            "threshold: best rule for yes"
        ]
    return ["score: sum over pairs of classes of the distance between their means"]
