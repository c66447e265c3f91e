"""What a picture of a trace shows: panels of units by time, all on one time axis.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..analysis.cells import TracedCell
from ..errors import NoSuchNameError, UsageError, numbered
from ..traces import GATE_TENSORS, STATE_TENSORS
from .reduction import MOST_COLUMNS, Columns, Reducer
from .spans import find_span, fitting_labels, masked_steps, span_blocks
from .unit_order import ORDERING_TENSOR, Sort, UnitOrder

DEFAULT_TENSORS = (*STATE_TENSORS, *GATE_TENSORS)
GATES_TO_ONE = ("i", "f", "o")

LARGEST_PANEL = 2**21
"""Numbers kept of a tensor while its steps are read."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One tensor of one cell.

    Attributes:
        name: ``h``, ``forward/h``.
        units: the units' own numbers, in the order in which they are drawn.
        columns: their values.
        backward: whether the cell read the last step first.
    """

    name: str
    units: tuple[int, ...]
    columns: Columns
    backward: bool = False

    @property
    def tensor(self) -> str:
        return self.name.rsplit("/", 1)[-1]

    @property
    def cell(self) -> str:
        """``forward`` of ``forward/h``; empty where there is one cell."""
        return self.name.rpartition("/")[0]

    @property
    def to_one(self) -> bool:
        """Whether it is a gate, which goes from 0 to 1."""
        return self.tensor in GATES_TO_ONE

    def of_units(self, units: Sequence[int]) -> Panel:
        """These units alone, by their own numbers."""
        columns = self.columns.of_units([self.units.index(unit) for unit in units])
        return replace(self, units=tuple(units), columns=columns)


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """Panels with the same steps.

    Attributes:
        panels: from top to bottom.
        first_step: the input's number of the first step.
        labels: of the steps; empty where there are none.
        sequence, sequences: which of the input's sequences it is, and how many there are.
        sort: how the units are sorted, or None.
    """

    panels: tuple[Panel, ...]
    first_step: int = 0
    labels: tuple[str, ...] = ()
    sequence: int = 0
    sequences: int = 1
    sort: Sort | None = None

    @property
    def steps(self) -> int:
        return self.panels[0].columns.steps if self.panels else 0

    def facts(self) -> dict[str, Any]:
        """The same, ready for JSON: of each unit the smallest and largest number of each column.

        Where a column is one step, the two are the same. Masked steps have no numbers.
        """
        return {
            "sequence": self.sequence,
            "first_step": self.first_step,
            "steps": self.steps,
            "sort": self.sort,
            "labels": list(self.labels),
            "panels": [
                {
                    "name": panel.name,
                    "steps_per_column": panel.columns.width,
                    "units": list(panel.units),
                    "low": panel.columns.low.T.tolist(),
                    "high": panel.columns.high.T.tolist(),
                }
                for panel in self.panels
            ],
        }


def make_chart(
    cells: Mapping[str, TracedCell],
    tensors: Sequence[str] | None = None,
    *,
    units: Sequence[int] | None = None,
    steps: slice = slice(None),
    sequence: int = 0,
    sort: Sort | None = None,
    labels: Sequence[str] = (),
) -> Chart:
    """Read the steps of some cells, block by block, in bounded memory.

    Args:
        cells: by name; ``""`` for a lone one.
        tensors: names such as ``h`` or ``forward/h``; None for states and gates, as far as they
            are there.
        units: their numbers, in the order in which to draw them if not sorted; None for all.
        steps: which of the input's steps to draw.
        sequence: number of the sequence to draw.
        sort: order of the units; None for their own.
        labels: of the input's steps from step 0 on.

    Raises:
        NoSuchNameError: if a tensor is not there.
        UsageError: if a unit, a step or the sequence is not there, cells differ in their steps,
            or there is not one label a step.
        InputError: if the trace lacks what ``sort`` needs.
    """
    wanted = chosen_tensors(cells, tensors)
    chosen = [cells[name] for name in wanted]
    span = find_span(chosen, steps, sequence)
    if labels:
        labels = fitting_labels(labels, chosen[0], sequence)
    panels = [
        panel
        for name, names in wanted.items()
        for panel in _panels(cells[name], names, units, span, sequence, sort)
    ]
    return Chart(
        tuple(panels),
        span.start + chosen[0].cut.first_step,
        tuple(labels[span.start : span.stop]),
        sequence,
        chosen[0].sequences,
        sort,
    )


def needed_tensors(tensors: Collection[str] | None, sort: str | None = None) -> list[str]:
    """The tensors that have to be computed for a chart."""
    asked = DEFAULT_TENSORS if tensors is None else [name.rsplit("/", 1)[-1] for name in tensors]
    ordering = () if sort is None else (ORDERING_TENSOR[sort], "c")
    return list(dict.fromkeys((*asked, *ordering)))


def chosen_tensors(
    cells: Mapping[str, TracedCell], tensors: Sequence[str] | None
) -> dict[str, list[str]]:
    """The tensors of each cell, in the order in which they are asked for.

    Args:
        cells: by name.
        tensors: names such as ``h``, of every cell, or the ends of whole ones, as ``forward/h``;
            None for states and gates, as far as they are there.

    Raises:
        NoSuchNameError: if one is not there.
    """
    own = {name: _drawable(cell) for name, cell in cells.items()}
    paths = [_path(name, tensor) for name, found in own.items() for tensor in found]
    if tensors is None:
        tensors = [name for name in DEFAULT_TENSORS if any(_ends(path, name) for path in paths)]
    for wanted in tensors:
        if not any(_ends(path, wanted) for path in paths):
            raise NoSuchNameError("tensor", wanted, paths)
    chosen = {
        name: [t for wanted in tensors for t in found if _ends(_path(name, t), wanted)]
        for name, found in own.items()
    }
    return {name: list(dict.fromkeys(names)) for name, names in chosen.items() if names}


def _drawable(cell: TracedCell) -> list[str]:
    return [tensor for tensor in cell.tensors if len(cell.shape(tensor)) == 3]


def _ends(path: str, wanted: str) -> bool:
    return path == wanted or path.endswith(f"/{wanted}")


def _panels(
    cell: TracedCell,
    names: Sequence[str],
    units: Sequence[int] | None,
    span: slice,
    sequence: int,
    sort: Sort | None,
) -> list[Panel]:
    widths = {name: cell.shape(name)[2] for name in names}
    if units is not None and cell.cut.units is not None:
        units = [cell.cut.place(unit) for unit in units]
    for name, width in widths.items():
        if units and max(units) >= width:
            path = _path(cell.name, name)
            raise UsageError(f"unit {max(units)}: '{path}' has {numbered('unit', width)}")
    most = {n: min(MOST_COLUMNS, max(512, LARGEST_PANEL // max(1, w))) for n, w in widths.items()}
    kept = {
        name: list(range(width)) if units is None else [*units] for name, width in widths.items()
    }
    reducers = {name: Reducer(len(kept[name]), most[name]) for name in names}
    order_by = ordering_tensor(cell, sort)
    order = UnitOrder(sort, cell.shape(order_by)[2]) if sort and order_by else None
    reading = dict.fromkeys((*names, *filter(None, [order_by])))
    for start, stop in span_blocks(cell, span):
        block = cell.read(start, stop, tuple(reading))
        masked = masked_steps(block, sequence, stop - start)
        for name, reducer in reducers.items():
            values = block.arrays[name][sequence]
            reducer.add(values if units is None else values[:, kept[name]], masked)
        if order and order_by:
            order.add(block.arrays[order_by][sequence][~masked])
    numbers = order.order() if order else []
    return [
        _panel(cell, name, kept[name], reducer.columns(), numbers)
        for name, reducer in reducers.items()
    ]


def _panel(
    cell: TracedCell, name: str, units: Sequence[int], columns: Columns, order: Sequence[int]
) -> Panel:
    panel = Panel(_path(cell.name, name), tuple(units), columns, cell.is_backward)
    if len(order) == cell.shape(name)[2]:  # else what it is found from has other units
        places = {unit: place for place, unit in enumerate(order)}
        panel = panel.of_units(sorted(units, key=places.__getitem__))
    return replace(panel, units=tuple(cell.cut.number(unit, name) for unit in panel.units))


def ordering_tensor(cell: TracedCell, sort: Sort | None) -> str | None:
    """What units are sorted by; of a layer with a projection c takes the place of h.

    Raises:
        InputError: if the trace does not hold it.
    """
    if sort is None:
        return None
    tensor = ORDERING_TENSOR[sort]
    if tensor == "h" and "c" in cell.tensors:
        tensor = "h" if "h" in cell.tensors and cell.shape("h") == cell.shape("c") else "c"
    cell.require((tensor,))
    return tensor


def _path(cell: str, tensor: str) -> str:
    return f"{cell}/{tensor}" if cell else tensor
