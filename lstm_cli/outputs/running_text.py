"""The labels of steps as running text, each coloured by what one unit did at its step.

Source: the presentation of Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding
Recurrent Networks" (2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..analysis.cells import TracedCell
from ..errors import UsageError, numbered
from ..model import Array
from .charts import Panel, chosen_tensors
from .reduction import Flags, Reducer
from .scales import Scale, scale_of
from .spans import find_span, fitting_labels, masked_steps, span_blocks
from .view import DESCRIPTIONS


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What one unit did.

    Attributes:
        name: ``unit 3``, or ``forward, unit 3``.
        cell, unit: where it is.
        values: shape (T,); NaN at masked steps.
        scale: what its colours stand for.
    """

    name: str
    cell: str
    unit: int
    values: Array
    scale: Scale

    @property
    def fractions(self) -> NDArray[np.float64]:
        """Where the values lie on the scale, 0 to 1; NaN stays."""
        return self.scale.fractions(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class RunningText:
    """Labels, and the values of units at their steps; prints itself in plain characters.

    Attributes:
        tensor: ``h``, ``c`` or a gate.
        first_step: the input's number of the first step.
        labels: of the steps.
        masked: shape (T,), which steps are masked.
        rows: a unit each, from top to bottom.
        sequence, sequences: which of the input's sequences it is, and how many there are.
    """

    tensor: str
    first_step: int
    labels: tuple[str, ...]
    masked: Flags
    rows: tuple[Row, ...]
    sequence: int = 0
    sequences: int = 1

    @property
    def title(self) -> str:
        """``c  cell state``."""
        description = DESCRIPTIONS.get(self.tensor, "")
        return f"{self.tensor}  {description}" if description else self.tensor

    def __str__(self) -> str:
        from .text_terminal import draw_text

        return draw_text(self, 80, colours=False).plain

    def _repr_html_(self) -> str:
        from .running_text_files import html_body

        return html_body(self)

    def facts(self) -> dict[str, object]:
        """The same, ready for JSON; masked steps have no value."""
        return {
            "tensor": self.tensor,
            "sequence": self.sequence,
            "first_step": self.first_step,
            "labels": list(self.labels),
            "units": [
                {"cell": row.cell, "unit": row.unit, "values": row.values.tolist()}
                for row in self.rows
            ],
        }


def make_text(
    cells: Mapping[str, TracedCell],
    labels: Sequence[str],
    units: Sequence[int],
    tensor: str = "h",
    *,
    steps: slice = slice(None),
    sequence: int = 0,
) -> RunningText:
    """Read what units did at each step.

    Args:
        cells: by name; ``""`` for a lone one.
        labels: of the input's steps, from step 0 on.
        units: their numbers, in the order in which to show them.
        tensor: ``h``, ``c``, a gate, or ``forward/h``.
        steps, sequence: which to show.

    Raises:
        NoSuchNameError: if the tensor is not there.
        UsageError: if a unit, step or sequence is not there, or there is not one label a step.
    """
    chosen = {name: names[0] for name, names in chosen_tensors(cells, [tensor]).items()}
    span = find_span([cells[name] for name in chosen], steps, sequence)
    first = cells[next(iter(chosen))]
    labels = fitting_labels(labels, first, sequence)
    rows: list[Row] = []
    masked = np.zeros(span.stop - span.start, np.bool_)
    for name, own in chosen.items():
        width = cells[name].shape(own)[2]
        if cells[name].cut.units is None and max(units) >= width:
            path = f"{name}/{own}" if name else own
            raise UsageError(f"unit {max(units)}: '{path}' has {numbered('unit', width)}")
        places = [cells[name].cut.place(unit, own) for unit in units]
        values, hidden = _values(cells[name], own, places, span, sequence)
        masked |= hidden
        rows += [_row(name, own, unit, column) for unit, column in zip(units, values, strict=True)]
    return RunningText(
        tensor.rsplit("/", 1)[-1],
        span.start + first.cut.first_step,
        tuple(labels[span]),
        masked,
        tuple(rows),
        sequence,
        next(iter(cells.values())).sequences,
    )


def _values(
    cell: TracedCell, tensor: str, units: list[int], span: slice, sequence: int
) -> tuple[Array, Flags]:
    """Values of units, (units, T), and which steps are masked, (T,)."""
    values, masks = [], []
    for start, stop in span_blocks(cell, span):
        block = cell.read(start, stop, (tensor,))
        values.append(block.arrays[tensor][sequence][:, units])
        masks.append(masked_steps(block, sequence, stop - start))
    masked = np.concatenate(masks)
    found = np.concatenate(values)
    found[masked] = np.nan
    return found.T, masked


def _row(cell: str, tensor: str, unit: int, values: Array) -> Row:
    reducer = Reducer(1)
    reducer.add(values[:, np.newaxis], np.isnan(values))
    scale = scale_of(Panel(tensor, (unit,), reducer.columns()))
    return Row(f"{cell}, unit {unit}" if cell else f"unit {unit}", cell, unit, values, scale)
