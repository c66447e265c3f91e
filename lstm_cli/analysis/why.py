"""Why a cell is as it is at a step: what ``lstm why`` answers, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import InputError, NoSuchNameError, UsageError, listing, numbered
from ..model import LstmCell, Model, choose
from .cell_names import full_name
from .cells import AnyTrace, TracedCell, cells_of
from .decomposition import (
    SPAN_SHARE,
    MemorySplit,
    MemorySummary,
    split_memory,
    summarise_memory,
)
from .lengths import check_sequence, length_of
from .preactivation import GateSplit, split_gate
from .readout_split import Activate, ReadoutSplit, split_readout
from .readouts import find_readout, parse_readout
from .retained import last_step

Answer = MemorySplit | MemorySummary | GateSplit | ReadoutSplit


def why(
    trace: AnyTrace,
    *,
    unit: int | None = None,
    step: int | None = None,
    sequence: int = 0,
    gate: str | None = None,
    cell: str | None = None,
    model: Model | None = None,
    span_share: float = SPAN_SHARE,
    readout: int | str | None = None,
    activate: Activate | None = None,
) -> Answer:
    """Which steps wrote a memory, what opened a gate, or what made an output; see ``lstm_cli.why``.

    ``activate`` applies an activation; a readout needs it.
    """
    cells = cells_of(trace)
    name = find_cell(cells, cell)
    check_sequence(cells[name], sequence)
    held, cut, asked = cells[name], cells[name].cut, step
    place = _place(held, step, sequence)
    step = place + cut.first_step
    _check_steps_before(held, place, sequence, gate)
    if readout is not None:
        if unit is not None or gate is not None:
            raise UsageError("an output is a sum over all units; leave out the unit and the gate")
        if model is None or activate is None:
            raise UsageError(
                "a trace does not hold the Dense layer behind the LSTM; give the model and its "
                "input"
            )
        layer, row = parse_readout(readout)
        found_layer = find_readout(model, str(held.meta.get("layer", "")), layer)
        at = None if asked is None else place
        weights_held = weights_of(model, held)
        return split_readout(cells, name, weights_held, found_layer, row, at, sequence, activate)
    if gate is not None:
        if unit is None:
            raise UsageError(f"gate {gate} is asked for without a unit; say which (--unit)")
        weights = None if model is None else weights_of(model, held)
        found = split_gate(cells, name, gate, cut.place(unit), place, sequence, weights)
        return replace(found, unit=unit, step=step)
    if unit is not None:
        split = split_memory(held, cut.place(unit), place, sequence, span_share)
        return replace(split, unit=unit, step=step)
    summary = summarise_memory(held, place, sequence, span_share)
    return replace(summary, step=step, units=cut.units)


def _place(cell: TracedCell, step: int | None, sequence: int) -> int:
    """Where a step of the input stands in a trace; the last that the cell read without one.

    Raises:
        InputError: if it is not there.
    """
    count = length_of(cell, sequence)
    if count <= 0:
        raise InputError(f"sequence {sequence} has no steps")
    if step is None:
        return last_step(cell, sequence)
    first = cell.cut.first_step
    if not first <= step < first + count:
        raise InputError(f"step {step}: sequence {sequence} has {numbered('step', count, first)}")
    return step - first


def _check_steps_before(cell: TracedCell, place: int, sequence: int, gate: str | None) -> None:
    """Refuse to explain from steps that were cut away.

    Raises:
        InputError: says so.
    """
    last = length_of(cell, sequence)
    if not cell.cut.begins_late(cell.is_backward) or last < cell.steps:
        return
    edge = cell.steps - 1 if cell.is_backward else 0
    if gate is None or place == edge:
        where = "ends" if cell.is_backward else "begins"
        raise InputError(
            f"the trace {where} at step {edge + cell.cut.first_step} (--steps), and what the cell "
            "read before is needed; export it without --steps"
        )


def find_cell(cells: Mapping[str, TracedCell], name: str | None) -> str:
    """The key of the one cell that a name, or its end, means; of the only one without a name.

    Raises:
        UsageError: if there are several to choose from.
        NoSuchNameError: if there is none of that name.
    """
    if name is None:
        if len(cells) > 1:
            raise UsageError(f"there are several cells; choose one (--cell): {listing(cells)}")
        return next(iter(cells))
    known = {key: full_name(held.meta) or key or "lstm" for key, held in cells.items()}
    found = [key for key in cells if key == name]
    found = found or [key for key, full in known.items() if ends_with(full, name)]
    if len(found) > 1:
        raise UsageError(f"'{name}' means several cells; choose one (--cell): {listing(found)}")
    if not found:
        raise NoSuchNameError("cell", name, [key or full for key, full in known.items()])
    return found[0]


def ends_with(full: str, name: str) -> bool:
    """Whether a name is an address or what follows one of its ``/``."""
    return full == name or full.endswith(f"/{name}")


def weights_of(model: Model, cell: TracedCell) -> LstmCell:
    """The weights and settings of the cell that a trace is of.

    Raises:
        NoSuchNameError: if the model has no such cell.
    """
    name, part = str(cell.meta.get("layer", "")), str(cell.meta.get("part", ""))
    recurrent = choose(model, name).layer.recurrent
    found = {n: c for n, _, c in recurrent.cells()} if recurrent else {}
    held = found.get(part)
    if not isinstance(held, LstmCell):
        raise NoSuchNameError("cell", f"{name}/{part}".strip("/"), found)
    return held
