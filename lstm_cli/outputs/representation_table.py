"""How alike two cells are in what their units do together: a table, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Any

from rich.text import Text

from ..analysis.representation import CellLikeness, Partner, Representation, TensorLikeness
from .grid import GAP, Column, Lines, bands, grid, wrapped
from .rows import csv_cell

MOST_ROWS = 20
"""Units of each tensor that a table shows, those with the closest partners first."""


def representation_table(found: Representation, sides: Sequence[str], width: int) -> Lines:
    """A line a tensor, then the best partner of each unit.

    Args:
        found: what was compared.
        sides: what A and B are.
        width: of the console.
    """
    lines: list[Text] = []
    for letter, side in zip("AB", sides, strict=True):
        lines += wrapped(f"{letter}  {side}", width)
    for note in found.notes:
        lines += wrapped(f"note: {note}", width, "dim", "", GAP)
    for cell in found.cells:
        lines += [Text(), *_cell_lines(cell, width)]
    text = (
        "CKA: 1 where one side is the other turned, shifted or scaled as a whole (linear, "
        "Kornblith et al. 2019); mean best |r|: of each unit with its nearest unit of "
        "the other side (Bau et al. 2019). Both are near 1 by chance where steps are not many "
        "more than units. Nothing has to hold here: the exit code is 0"
    )
    return Lines([*lines, Text(), *wrapped(text, width, "dim")])


def representation_lines(found: Representation) -> Iterator[str]:
    """A line for each unit of either side, as CSV with a header."""
    yield "cell,tensor,side,unit,partner,r,steps,cka,mean_best"
    for cell in found.cells:
        for tensor in cell.tensors:
            for side, best, partners in _sides(tensor):
                end = f"{tensor.steps},{tensor.cka:.9g},{best:.9g}"
                for unit, partner, r in partners:
                    place = "" if partner is None else partner
                    front = f"{csv_cell(cell.name)},{tensor.tensor},{side}"
                    yield f"{front},{unit},{place},{r:.9g},{end}"


def representation_facts(found: Representation, sides: Sequence[str]) -> dict[str, Any]:
    """The same for JSON: ``cells`` with their tensors, ``notes``."""
    return {
        "a": sides[0],
        "b": sides[1],
        "notes": list(found.notes),
        "cells": [
            {
                "cell": cell.name,
                "other": cell.other,
                "tensors": [_tensor_facts(tensor) for tensor in cell.tensors],
            }
            for cell in found.cells
        ],
    }


def _tensor_facts(tensor: TensorLikeness) -> dict[str, Any]:
    figures: dict[str, Any] = {"tensor": tensor.tensor, "steps": tensor.steps, "cka": tensor.cka}
    for letter, best, partners in _sides(tensor):
        side = letter.lower()
        figures |= {
            f"units_{side}": len(partners),
            f"mean_best_{side}": best,
            f"partners_{side}": [each._asdict() for each in partners],
        }
    return figures


def _sides(tensor: TensorLikeness) -> list[tuple[str, float, tuple[Partner, ...]]]:
    return [("A", tensor.best_a, tensor.partners_a), ("B", tensor.best_b, tensor.partners_b)]


def _cell_lines(cell: CellLikeness, width: int) -> list[Text]:
    lines = []
    if cell.name or cell.other:
        names = cell.name if cell.other == cell.name else f"{cell.name}  ({cell.other} in B)"
        lines.append(Text(names, "bold"))
    tensors = cell.tensors
    columns = [
        Column("units A|B", [f"{len(t.partners_a)}|{len(t.partners_b)}" for t in tensors]),
        Column("steps", [f"{t.steps:,}" for t in tensors]),
        Column("CKA", [_figure(t.cka) for t in tensors]),
        Column("A in B", [_figure(t.best_a) for t in tensors], group="mean best |r|"),
        Column("B in A", [_figure(t.best_b) for t in tensors], group="mean best |r|"),
    ]
    keys = [Column("of", [t.tensor for t in tensors], right=False)]
    lines += [line for band in bands(keys, columns, width) for line in grid(band)]
    for tensor in tensors:
        lines += [Text(), *_partner_lines(tensor, width)]
    return lines


def _partner_lines(tensor: TensorLikeness, width: int) -> list[Text]:
    """The units of A and their partners beside those of B, the closest first."""
    tables = [sorted(partners, key=_distance)[:MOST_ROWS] for _, _, partners in _sides(tensor)]
    rows = max(map(len, tables))
    columns = []
    for (side, _, _), table in zip(_sides(tensor), tables, strict=True):
        other = "B" if side == "A" else "A"
        blank = [""] * (rows - len(table))
        shown = [("-" if p.partner is None else str(p.partner)) for p in table]
        group = f"{tensor.tensor} of {side}"
        columns += [
            Column("unit", [str(p.unit) for p in table] + blank, group=group),
            Column(f"in {other}", shown + blank, group=group),
            Column("r", [_figure(p.r, "+") for p in table] + blank, group=group),
        ]
    lines = [line for band in bands([], columns, width) for line in grid(band)]
    most = max(len(tensor.partners_a), len(tensor.partners_b))
    if most > rows:
        lines += wrapped(f"… {most - rows} more units: --json", width, "dim")
    return lines


def _distance(each: Partner) -> tuple[float, int]:
    return (1.0 if isnan(each.r) else -round(abs(each.r), 4)), each.unit


def _figure(value: float, sign: str = "") -> str:
    return "-" if isnan(value) else f"{value:{sign}.4f}"
