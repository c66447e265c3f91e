"""The health of LSTM cells: what ``lstm stats`` says, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..traces import Trace, Traces
from .cell_figures import GATES, LABELS, CellStats
from .cell_stats import NEEDED, CellSums
from .cells import AnyTrace, cells_of
from .conditions import Condition, parse_conditions
from .cutoffs import Cutoffs
from .nonfinite import NonFinite
from .timescale import quantiles

FIGURES = (
    *LABELS,
    *("flagged", "saturated_i", "saturated_f", "saturated_o", "saturated_g", "saturated_c"),
    *("nonfinite", "timescale", "effective"),
)
"""What conditions may be about."""


@dataclass(frozen=True, slots=True, eq=False)
class Stats:
    """The health of all cells.

    Attributes:
        cells: by name, in the order of the file.
        cutoffs: what counted as what.
        conditions: that were asked for.
    """

    cells: dict[str, CellStats]
    cutoffs: Cutoffs
    conditions: tuple[Condition, ...] = ()

    @property
    def nonfinite(self) -> NonFinite | None:
        """The first NaN or infinity: of the first cell that has any, as later ones inherit."""
        return next((c.nonfinite for c in self.cells.values() if c.nonfinite is not None), None)

    @property
    def verdict(self) -> str:
        """One line: whether anything is wrong, and with what."""
        units = sum(cell.units for cell in self.cells.values())
        flagged = sum(sum(map(bool, cell.labels)) for cell in self.cells.values())
        found = [
            f"{count} {label}"
            for label in LABELS
            if (count := sum(label in labels for c in self.cells.values() for labels in c.labels))
        ]
        if self.nonfinite is not None:
            return f"broken: {nonfinite_text(self.nonfinite)}"
        of = f"{units} unit{'s' if units != 1 else ''}"
        if not flagged:
            return f"healthy: none of {of} is {', '.join(LABELS[:-1])} or a {LABELS[-1]}"
        return f"{flagged} of {of} flagged: {', '.join(found)}"

    def figures(self) -> dict[str, dict[str, float]]:
        """What a condition may ask for: per figure, its value in each cell."""
        found: dict[str, dict[str, float]] = {}
        for name, cell in self.cells.items():
            values = cell.shares()
            for tensor, side in cell.saturation.items():
                ends = np.maximum(side.left, side.right) >= self.cutoffs.share
                values[f"saturated_{tensor}"] = float(ends.mean())
            bad = cell.nonfinite_steps
            values["nonfinite"] = bad / (bad + cell.counted)
            values["timescale"] = float(cell.quantiles[2])
            values["effective"] = float(quantiles(cell.effective, (0.5,))[0])
            for figure, value in values.items():
                found.setdefault(figure, {})[name] = value
        return found

    @property
    def failing(self) -> dict[str, dict[str, float]]:
        """The conditions that hold, each with the cells in which it does and their values."""
        figures = self.figures()
        held = {str(each): each.failing(figures[each.figure]) for each in self.conditions}
        return {text: values for text, values in held.items() if values}

    def facts(self) -> dict[str, Any]:
        """Everything, by name, ready for JSON but for infinities."""
        return {
            "verdict": self.verdict,
            "cutoffs": self.cutoffs.facts(),
            "nonfinite": None if self.nonfinite is None else self.nonfinite.facts(),
            "figures": self.figures(),
            "failing": self.failing,
            "cells": [cell_facts(cell) for cell in self.cells.values()],
        }


def stats(
    trace: AnyTrace | Iterable[AnyTrace],
    cutoffs: Cutoffs | None = None,
    fail_on: str | None = None,
) -> Stats:
    """Judge the units of LSTM cells by what they did.

    Args:
        trace: a trace, an open trace file, or several that are judged together; traces in memory
            that follow each other are blocks of one long run.
        cutoffs: what counts as what.
        fail_on: conditions, as ``parse_conditions`` takes them.

    Raises:
        InputError: if a trace lacks h, c or a gate, or has no real step.
        NoSuchNameError, UsageError: if a condition cannot be understood.
    """
    conditions = parse_conditions(fail_on, FIGURES) if fail_on is not None else ()
    gathering = _Gathering(cutoffs or Cutoffs())
    if isinstance(trace, Iterable) and not isinstance(trace, Traces):
        for piece in trace:
            gathering.take(piece)
    else:
        gathering.take(trace)
    return Stats(gathering.result(), cutoffs or Cutoffs(), tuple(conditions))


class _Gathering:
    """Gathers the blocks of several cells, and of several inputs."""

    def __init__(self, cutoffs: Cutoffs) -> None:
        self._cutoffs, self._inputs = cutoffs, 0
        self._cells: dict[str, CellSums] = {}

    def take(self, trace: AnyTrace) -> None:
        """Take a block of a run, or all of a file."""
        if isinstance(trace, Trace | Traces):
            for name, block in ({"": trace} if isinstance(trace, Trace) else trace).items():
                missing = [tensor for tensor in NEEDED if tensor not in block.arrays]
                if missing:
                    needed = ", ".join(NEEDED)
                    raise InputError(f"the trace lacks {', '.join(missing)}; keep {needed}")
                sums = self._sums(name)
                first_step = sums.steps("")
                if not sums.add(block):
                    sums.trace_back(block, first_step)
            return
        self._inputs += 1
        source = str(getattr(trace, "name", self._inputs))
        for name, cell in cells_of(trace).items():
            cell.require(NEEDED)
            tensors = (*NEEDED, "x") if "x" in cell.tensors else NEEDED
            for start, stop in cell.blocks():
                block = cell.read(start, stop, tensors, states=False)
                if not self._sums(name).add(block, source):
                    self._sums(name).trace_back(
                        cell.read(start, stop, tensors), start + cell.cut.first_step, source
                    )

    def result(self) -> dict[str, CellStats]:
        """The figures of everything that was taken.

        Raises:
            InputError: if there was nothing.
        """
        if not self._cells:
            raise InputError("there are no steps to judge")
        return {name: sums.result() for name, sums in self._cells.items()}

    def _sums(self, name: str) -> CellSums:
        return self._cells.setdefault(name, CellSums(name, self._cutoffs))


def nonfinite_text(found: NonFinite) -> str:
    """Where the first NaN or infinity is, as a clause."""
    what = "feature" if found.tensor == "x" else "unit"
    more = f" and {len(found.units) - 1} more" if len(found.units) > 1 else ""
    cell = f" of {found.cell}" if found.cell else ""
    where = f"{found.tensor}{cell} at step {found.step}, {what} {found.units[0]}{more}"
    sequence = f", sequence {found.sequence}" if found.sequence else ""
    hint = f" ({found.hint})" if found.hint else ""
    return f"the first {found.value} is in {where}{sequence}{hint}"


def cell_facts(cell: CellStats) -> dict[str, Any]:
    """One cell, by name."""
    return {
        "cell": cell.name,
        "layer": cell.meta.get("layer"),
        "part": cell.meta.get("part"),
        "units": cell.units,
        "sequences": cell.sequences,
        "steps": cell.steps,
        "counted": cell.counted,
        "nonfinite_steps": cell.nonfinite_steps,
        "shares": cell.shares(),
        "saturation": {
            tensor: {
                side: float(getattr(sides, side).mean()) for side in saturation_figures(tensor)
            }
            for tensor, sides in cell.saturation.items()
        },
        "timescale_quantiles": [float(value) for value in cell.quantiles],
        "never_forgetting": cell.never_forgetting,
        "twins": [
            {"units": [cell.number(j), cell.number(k)], "correlation": r} for j, k, r in cell.twins
        ],
        "per_unit": [unit_facts(cell, unit) for unit in cell.worst_first()],
    }


def saturation_figures(tensor: str) -> tuple[str, ...]:
    """What there is of ``Saturation`` for a tensor."""
    of_gates = ("rail", "distance") if tensor in GATES else ()
    return ("left", "right", *of_gates, *(("distance",) if tensor == "g" else ()))


def unit_facts(cell: CellStats, unit: int) -> dict[str, Any]:
    """One unit, by name."""
    saturation = {
        f"{tensor}_{side}": float(getattr(values, side)[unit])
        for tensor, values in cell.saturation.items()
        for side in saturation_figures(tensor)
    }
    figures = (
        *("mean_f", "timescale", "effective", "half_life", "effective_half_life"),
        *("largest_h", "span_h", "inactive", "largest_o", "largest_write"),
        *("least_f", "largest_f", "railed"),
    )
    return {
        "unit": cell.number(unit),
        "labels": list(cell.labels[unit]),
        **{name: float(getattr(cell, name)[unit]) for name in figures},
        **saturation,
    }
