"""A comparison of two traces for a terminal, as CSV and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Any

from rich.text import Text

from ..analysis.difference_report import CellDifference, Difference, Place, TensorDifference
from ..analysis.step_cosines import LeastCosine
from .display_numbers import short_number
from .grid import GAP, Column, Lines, bands, grid, wrapped
from .rows import csv_cell

GROWING = 0.01
"""Slopes of ln ‖Δh‖ smaller than this, per step, are called steady."""

LONG = 30
"""Lines from which the verdict is repeated below, as the first one may be out of sight."""

HEADER = (
    "cell,tensor,max,mean,median,q99,relative,rmse,sign_flips,nonfinite,values,tolerance,"
    "steps_beyond,first_sequence,first_step,first_unit,worst_sequence,worst_step,worst_unit,"
    "cosine,cosine_sequence,cosine_step,cosine_mean,growth"
)


def difference_report(found: Difference, sides: Sequence[str], width: int, batched: bool) -> Lines:
    """The verdict first, then a table for each cell that differs, and a line for each other.

    Args:
        found: what was compared.
        sides: what A and B are.
        width: of the console.
        batched: whether there are sequences to count.
    """
    lines: list[Text] = []
    for letter, side in zip("AB", sides, strict=True):
        lines += wrapped(f"{letter}  {side}", width)
    verdict = _verdict(found, width, batched)
    lines += [Text(), *verdict]
    for note in found.notes:
        lines += wrapped(f"note: {note}", width, "dim", "", GAP)
    tabled = [cell for cell in found.cells if cell.first or len(found.cells) == 1]
    for cell in tabled:
        lines += [Text(), *_cell_lines(cell, width, batched)]
    if quiet := [cell for cell in found.cells if cell not in tabled]:
        lines += [Text(), *_quiet_table(quiet, width)]
    if any(cell.first for cell in tabled):
        lines += wrapped(_legend(batched), width, "dim", "", GAP)
    return Lines([*lines, Text(), *verdict] if len(lines) > LONG else lines)


def place_text(place: Place, batched: bool, tensor: str = "") -> str:
    """``step 12, unit 3``, with the sequence where there are several; x has features."""
    front = f"sequence {place.sequence}, " if batched else ""
    return f"{front}step {place.step}, {'feature' if tensor == 'x' else 'unit'} {place.unit}"


def difference_lines(found: Difference) -> Iterator[str]:
    """A line for each tensor of each cell, as CSV with a header."""
    yield HEADER
    for cell in found.cells:
        for tensor in cell.tensors:
            figures = tensor.figures
            numbers = [figures.maximum, figures.mean, figures.median, figures.q99]
            numbers += [figures.relative, figures.rmse]
            counts = [figures.sign_flips, figures.nonfinite, figures.values]
            cells = [
                csv_cell(cell.name),
                tensor.tensor,
                *(f"{number:.9g}" for number in numbers),
                *map(str, counts),
                f"{tensor.bound:.9g}",
                str(tensor.steps),
                *_place_cells(tensor.first),
                *_place_cells(tensor.worst),
                *_cosine_cells(tensor.cosine),
                f"{cell.growth:.9g}",
            ]
            yield ",".join(cells)


def difference_facts(found: Difference, sides: Sequence[str]) -> dict[str, Any]:
    """The same for JSON: ``same``, ``first``, ``cells`` with their tensors, ``notes``."""
    first = found.first
    return {
        "a": sides[0],
        "b": sides[1],
        "same": found.same,
        "first": None if first is None else _first_facts(first),
        "notes": list(found.notes),
        "cells": [
            {
                "cell": cell.name,
                "other": cell.other,
                "same": cell.first is None,
                "first": None if cell.first is None else _first_facts(cell),
                "growth": cell.growth,
                "steps": cell.steps,
                "worst_units": [
                    {"unit": u.unit, "tensor": u.tensor, "max": u.maximum, "tolerances": u.excess}
                    for u in cell.worst_units
                ],
                "tensors": [_tensor_facts(tensor) for tensor in cell.tensors],
            }
            for cell in found.cells
        ],
    }


def _first_facts(cell: CellDifference) -> dict[str, Any] | None:
    if cell.first is None or cell.first.first is None:
        return None
    return {"cell": cell.name, "tensor": cell.first.tensor, **cell.first.first._asdict()}


def _tensor_facts(tensor: TensorDifference) -> dict[str, Any]:
    figures = tensor.figures
    return {
        "tensor": tensor.tensor,
        "same": tensor.same,
        "max": figures.maximum,
        "mean": figures.mean,
        "median": figures.median,
        "q99": figures.q99,
        "relative": figures.relative,
        "rmse": figures.rmse,
        "sign_flips": figures.sign_flips,
        "nonfinite": figures.nonfinite,
        "values": figures.values,
        "tolerance": tensor.bound,
        "steps_beyond": tensor.steps,
        "first": None if tensor.first is None else tensor.first._asdict(),
        "worst": None if tensor.worst is None else tensor.worst._asdict(),
        "cosine": tensor.cosine._asdict(),
    }


def _verdict(found: Difference, width: int, batched: bool) -> list[Text]:
    cell = found.first
    if cell is None or cell.first is None or cell.first.first is None:
        if found.uneven:
            return wrapped("differ: one has more steps, the others are the same", width, "bold")
        exactly = all(t.figures.maximum == 0 for c in found.cells for t in c.tensors)
        text = "the same, bit for bit" if exactly else "the same, within the tolerance"
        text += ", as far as both go" if found.notes else ""
        return wrapped(text, width, "bold")
    tensor, where = cell.first, f" of {cell.name}" if cell.name else ""
    place = place_text(cell.first.first, batched, tensor.tensor)
    text = f"differ: first in {tensor.tensor}{where}, {place}"
    return wrapped(text, width, "bold", "", GAP)


def _cell_lines(cell: CellDifference, width: int, batched: bool) -> list[Text]:
    lines = []
    if cell.name or cell.other:
        names = cell.name if cell.other == cell.name else f"{cell.name}  ({cell.other} in B)"
        lines.append(Text(names, "bold"))
    keys = [Column("|Δ| in", [tensor.tensor for tensor in cell.tensors], right=False)]
    styles = ["bold" if tensor is cell.first else "" for tensor in cell.tensors]
    for k, band in enumerate(bands(keys, _columns(cell, batched), width)):
        lines += [Text()] if k else []
        lines += grid(band, styles)
    if cell.first is None:
        return lines
    worst = ", ".join(f"{u.unit} ({u.tensor} {short_number(u.maximum)})" for u in cell.worst_units)
    if worst:
        lines += wrapped(f"worst units: {worst}", width, "", "", GAP)
    lines += wrapped(_direction_text(cell, batched), width, "", "", GAP)
    if not isnan(cell.growth):
        lines += wrapped(f"from there on {_growth_text(cell.growth)}", width, "", "", GAP)
    return lines


def _legend(batched: bool) -> str:
    place = "sequence:step[unit]" if batched else "step[unit]"
    return (
        f"first, worst: {place}, of x the feature; first in the order in which the cell reads; "
        "worst units: by the largest |Δ| measured in what is allowed"
    )


def _direction_text(cell: CellDifference, batched: bool) -> str:
    """How far h, or the last tensor without it, has turned, and how much of it differs."""
    tensor = next((each for each in cell.tensors if each.tensor == "h"), cell.tensors[-1])
    figures, cosine = tensor.figures, tensor.cosine
    parts = []
    if cosine.step >= 0:
        front = f"sequence {cosine.sequence}, " if batched else ""
        parts.append(
            f"cosine of A and B at least {cosine.cosine:.3f}, at {front}step {cosine.step}"
        )
    if not isnan(figures.rmse):
        parts.append(f"RMSE {short_number(figures.rmse)} of A's standard deviation")
    parts.append(f"{figures.sign_flips} of {figures.values:,} signs flip")
    return f"{tensor.tensor}: {'; '.join(parts)}"


def _growth_text(growth: float) -> str:
    slope = f"(slope of ln ‖Δh‖ {growth:+.3f} a step)"
    if growth > GROWING:
        return f"differences grow {slope}"
    return f"differences fade {slope}" if growth < -GROWING else f"differences stay {slope}"


def _columns(cell: CellDifference, batched: bool) -> list[Column]:
    tensors = cell.tensors
    figures = [tensor.figures for tensor in tensors]
    columns = [
        Column("max", [short_number(f.maximum) for f in figures]),
        Column("mean", [short_number(f.mean) for f in figures]),
        Column("median", [short_number(f.median) for f in figures]),
        Column("q99", [short_number(f.q99) for f in figures]),
        Column("allowed", [short_number(tensor.bound) for tensor in tensors]),
    ]
    if cell.first is not None:
        columns += [
            Column("beyond", [_beyond(tensor) for tensor in tensors]),
            Column("first", [_short_place(t.first, batched) for t in tensors]),
            Column("worst", [_short_place(t.worst, batched) for t in tensors]),
        ]
    if any(f.nonfinite for f in figures):
        columns.insert(4, Column("NaN/Inf", [str(f.nonfinite) for f in figures]))
    return columns


def _beyond(tensor: TensorDifference) -> str:
    return f"{tensor.steps} step{'' if tensor.steps == 1 else 's'}" if tensor.steps else "-"


def _short_place(place: Place | None, batched: bool) -> str:
    """``12[3]``: step 12, unit 3; ``1:12[3]`` in sequence 1; nothing for none."""
    if place is None:
        return ""
    front = f"{place.sequence}:" if batched else ""
    return f"{front}{place.step}[{place.unit}]"


def _quiet_table(cells: Sequence[CellDifference], width: int) -> list[Text]:
    """A row for each cell that does not differ: its largest difference."""
    largest = [max(c.tensors, key=lambda t: t.figures.maximum / (t.bound or 1)) for c in cells]
    columns = [
        Column("largest in", [tensor.tensor for tensor in largest], right=False),
        Column("|Δ|", [short_number(tensor.figures.maximum) for tensor in largest]),
        Column("allowed", [short_number(tensor.bound) for tensor in largest]),
    ]
    keys = [Column("the same in", [cell.name for cell in cells], right=False)]
    return [line for band in bands(keys, columns, width) for line in grid(band)]


def _cosine_cells(cosine: LeastCosine) -> list[str]:
    place = [str(k) if k >= 0 else "" for k in (cosine.sequence, cosine.step)]
    return [f"{cosine.cosine:.9g}", *place, f"{cosine.mean:.9g}"]


def _place_cells(place: Place | None) -> list[str]:
    return ["", "", ""] if place is None else [str(number) for number in place]
