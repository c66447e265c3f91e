"""Weights of recurrent layers: figures a gate, and a table of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.text import Text

from ..model import (
    GATES,
    LSTM_WEIGHTS,
    PEEPHOLES,
    Array,
    Cell,
    Choice,
    Layer,
    LstmCell,
    Model,
    choose,
    in_part,
)
from .facts import additions
from .grid import Column, Lines, bands, clipped, grid
from .rows import csv_cell

STACKED = {"LSTM": GATES, "GRU": ("z", "r", "h"), "SimpleRNN": ("h",)}
"""Order of the gates in a cell's arrays, by its kind."""

FIGURES = ("minimum", "maximum", "mean", "std", "norm")


@dataclass(frozen=True, slots=True)
class WeightRow:
    """Figures of one gate's block of one weight array; NaN and infinity are counted apart.

    Attributes:
        layer: its address.
        part: of the cell, empty where the layer has one.
        tensor: ``kernel``, ``recurrent_kernel``, ``bias``, or another of ``LSTM_WEIGHTS``.
        gate: ``i f g o`` of an LSTM, ``z r h`` of a GRU, ``h`` of a SimpleRNN; of a projection
            ``h``, which it makes.
        shape: of the gate's block.
        minimum, maximum, mean, std: of the finite numbers; None where there are none.
        norm: the root of the sum of the finite numbers' squares.
        nan, inf: how many numbers are not finite.
    """

    layer: str
    part: str
    tensor: str
    gate: str
    shape: tuple[int, ...]
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    norm: float
    nan: int
    inf: int

    def facts(self) -> dict[str, Any]:
        """The same for JSON, by the names that the CSV has: ``min max``."""
        names = {"minimum": "min", "maximum": "max"}
        return {names.get(name, name): getattr(self, name) for name in WeightRow.__slots__}


def weight_statistics(layer: Layer, cells: Collection[str] | None = None) -> list[WeightRow]:
    """A row for each gate of each weight array of each cell; none for other layers.

    ``cells``: part names of the cells to look at; None for all.
    """
    if layer.recurrent is None:
        return []
    return [
        _row(layer.address, part, tensor, gate, block)
        for part, _, cell in layer.recurrent.cells()
        if cells is None or part in cells
        for tensor, gate, block in _blocks(cell)
    ]


def weight_rows(model: Model, names: Sequence[str]) -> list[WeightRow]:
    """The rows of the layers or parts that ``names`` choose; of every LSTM layer without names."""
    chosen = [choose(model, name) for name in names] or [Choice(each) for each in model.lstm_layers]
    unique = {(id(choice.layer), choice.part): choice for choice in chosen}
    rows: list[WeightRow] = []
    for layer, _, part in unique.values():
        recurrent = layer.recurrent
        if recurrent is not None:
            cells = [name for name, _, _ in recurrent.cells()]
            inside = [name for name in cells if in_part(name, part, recurrent) is not None]
            rows += weight_statistics(layer, inside)
    return rows


def weights_meta(model: Model, names: Sequence[str]) -> dict[str, Any]:
    """What an export of weights says about itself: where they come from, and what computes.

    ``activation``, ``recurrent_activation`` and ``direction`` stand there where all cells have the
    same; ``additions`` lists what else their arrays do not show.
    """
    chosen = [choose(model, name).layer for name in names] or list(model.lstm_layers)
    recurrent = [layer.recurrent for layer in chosen if layer.recurrent is not None]
    cells = [cell for each in recurrent for _, _, cell in each.cells()]
    lstm = [cell for cell in cells if isinstance(cell, LstmCell)]
    facts = {
        "activation": {str(cell.activation) for cell in lstm},
        "recurrent_activation": {str(cell.recurrent_activation) for cell in lstm},
        "direction": {
            "backward" if way.go_backwards else "forward"
            for each in recurrent
            for ways in each.levels
            for way in ways
        },
    }
    common = {key: next(iter(values)) for key, values in facts.items() if len(values) == 1}
    arrays = ("peepholes", "projection to", "layer normalisation")
    others = {text for cell in lstm for text in additions(cell) if not text.startswith(arrays)}
    return {
        "source": model.path,
        "written_by": model.written_by,
        "gates": "i f g o",
        **common,
        "additions": sorted(others),
    }


def weights_table(rows: Sequence[WeightRow], width: int) -> Lines:
    """The rows under a heading for each array, in bands where they do not fit side by side."""
    lines: list[Text] = []
    for heading, group in _grouped(rows):
        lines += [Text()] if lines else []
        lines.append(Text(clipped(heading, width), "bold"))
        keys = [Column("gate", [row.gate for row in group], right=False)]
        for band in bands(keys, _columns(group), width):
            lines += grid(band)
    return Lines(lines)


def _blocks(cell: Cell) -> Iterator[tuple[str, str, Array]]:
    """Each array's gates side by side, cut apart."""
    gates = STACKED[cell.kind]
    for tensor in LSTM_WEIGHTS:
        array = getattr(cell, tensor, None)
        if array is None:
            continue
        if tensor in ("projection", "projection_bias"):
            yield tensor, "h", array
            continue
        of_rows = tensor in ("peepholes", "layer_norm")  # a row a gate, the others side by side
        names = PEEPHOLES if tensor == "peepholes" else gates
        blocks = list(array) if of_rows else np.split(array, len(gates), axis=-1)
        for gate, block in zip(names, blocks, strict=True):
            yield tensor, gate, block


def _row(address: str, part: str, tensor: str, gate: str, block: Array) -> WeightRow:
    finite = block[np.isfinite(block)].astype(np.float64)
    figures = [finite.min(), finite.max(), finite.mean(), finite.std()] if finite.size else []
    minimum, maximum, mean, std = map(float, figures) if figures else (None,) * 4
    return WeightRow(
        address,
        part,
        tensor,
        gate,
        block.shape,
        minimum,
        maximum,
        mean,
        std,
        norm=float(np.sqrt(np.sum(finite**2))),
        nan=int(np.isnan(block).sum()),
        inf=int(np.isinf(block).sum()),
    )


def _grouped(rows: Sequence[WeightRow]) -> list[tuple[str, list[WeightRow]]]:
    groups: dict[str, list[WeightRow]] = {}
    for row in rows:
        name = "/".join(filter(None, (row.layer, row.part, row.tensor)))
        groups.setdefault(name, []).append(row)
    return list(groups.items())


def _columns(rows: Sequence[WeightRow]) -> list[Column]:
    headers = dict(zip(FIGURES, ("min", "max", "mean", "std", "norm"), strict=True))
    shapes = [" × ".join(map(str, row.shape)) for row in rows]
    figures = [
        Column(headers[figure], [_figure(getattr(row, figure)) for row in rows])
        for figure in FIGURES
    ]
    bad = Column("NaN/Inf", [f"{row.nan}/{row.inf}" for row in rows])
    return [Column("shape", shapes), *figures, bad]


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.2e}"


def statistics_lines(rows: Sequence[WeightRow]) -> Iterator[str]:
    """The rows as CSV, with a header; what is not known is empty."""
    yield "layer,part,tensor,gate,shape,min,max,mean,std,norm,nan,inf"
    for row in rows:
        shape = "x".join(str(size) for size in row.shape)
        figures = [row.minimum, row.maximum, row.mean, row.std, row.norm]
        numbers = ["" if figure is None else f"{figure:.9g}" for figure in figures]
        names = [csv_cell(name) for name in (row.layer, row.part, row.tensor, row.gate)]
        yield ",".join([*names, shape, *numbers, str(row.nan), str(row.inf)])
