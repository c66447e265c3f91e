"""Runs of one layer on an input made for it: left alone, driven at all steps, driven at one.

Letters: T time steps, F input features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InputError, UnsupportedFeatureError, UsageError, listing, numbered
from ..model import Array, Layer, Model, Recurrent, choose
from ..traces import State, Trace, Traces
from .session import Session
from .states import StateLike

TENSORS = ("h", "c", "f")


class Drive(NamedTuple):
    """What is done to a layer's input.

    Attributes:
        feature, size: which feature is driven, and by how much.
        baseline: of every feature, (F,).
        steps: T.
    """

    feature: int
    size: float
    baseline: Array
    steps: int


class DrivenRuns(NamedTuple):
    """One cell's runs from where it rests, each of T steps."""

    alone: Trace
    step: Trace
    impulse: Trace


def drive_layer(
    model: Model,
    layer: str | None,
    feature: int,
    size: float,
    baseline: float | Sequence[float],
    steps: int,
) -> tuple[str, Drive, dict[str, DrivenRuns]]:
    """Let a layer rest at a baseline, then drive one feature of what it receives, in float64.

    Args:
        layer: its address, or one part of it; None for the only LSTM layer.
        feature, size, steps: see ``Drive``.
        baseline: of every feature, or of all of them.

    Returns:
        The layer's address, what was done, and the runs of each cell that reads the layer's input.

    Raises:
        UsageError: if a layer has to be chosen, or a number is out of its range.
        InputError: if there is no such feature, or the baseline does not fit.
        UnsupportedFeatureError: if the layer is no LSTM, or is applied along further axes.
    """
    chosen, part = _layer(model, layer)
    recurrent = _checked(chosen)
    drive = _drive(recurrent, feature, size, baseline, steps)
    still = np.tile(drive.baseline, (1, steps + 1, 1))
    stepped, struck = still.copy(), still.copy()
    stepped[..., feature] += size
    struck[:, [0, -1], feature] += size  # what each direction reads first; its last is cut off
    session = Session(model, chosen.address, direct=True, dtype="float64")
    rest = _rest(session.trace(still, tensors=TENSORS))
    runs = [
        _cells(session.trace(x, initial_state=rest, tensors=TENSORS))
        for x in (still, stepped, struck)
    ]
    names = [name for name in _readers(recurrent) if not part or f"{name}/".startswith(f"{part}/")]
    if not names:
        raise InputError(f"'{layer}' reads other cells, not the layer's input; choose the layer")
    driven = {name: DrivenRuns(*(_cut(run[name]) for run in runs)) for name in names}
    return chosen.address, drive, driven


def _layer(model: Model, name: str | None) -> tuple[Layer, str]:
    if name is not None:
        choice = choose(model, name)
        return choice.layer, choice.part
    if len(model.lstm_layers) != 1:
        known = listing(layer.address for layer in model.lstm_layers)
        raise UsageError(f"there are several LSTM layers; choose one (--layer): {known}")
    return model.lstm_layers[0], ""


def _checked(layer: Layer) -> Recurrent:
    if layer.recurrent is None or not layer.is_lstm or layer.distributed:
        what = f"'{layer.address}' ({layer.kind}) is no LSTM layer over one sequence"
        raise UnsupportedFeatureError(f"{what}, which a probe drives", [what])
    return layer.recurrent


def _drive(
    recurrent: Recurrent,
    feature: int,
    size: float,
    baseline: float | Sequence[float],
    steps: int,
) -> Drive:
    features = recurrent.input_size
    if not 0 <= feature < features:
        raise InputError(f"feature {feature}: the layer takes {numbered('feature', features)}")
    if not (np.isfinite(size) and size):
        raise UsageError(f"size: expected a number other than 0, found {size:g}")
    if steps < 2:
        raise UsageError(f"steps: expected at least 2, found {steps}")
    given = np.asarray(baseline, np.float64)
    if given.shape not in ((), (features,)):
        raise InputError(f"baseline: expected one number, or {features}; found {given.size}")
    if not np.isfinite(given).all():
        raise InputError("baseline: expected finite numbers, found NaN or infinity")
    return Drive(feature, float(size), np.array(np.broadcast_to(given, features)), steps)


def _readers(recurrent: Recurrent) -> list[str]:
    """The parts that read the layer's input: the lowest level, the first cell of a stack."""
    names = [name for name, _, _ in recurrent.cells()]
    found, place = [], 0
    for way in recurrent.levels[0]:
        found.append(names[place])
        place += len(way.cells)
    return found


def _rest(trace: Trace | Traces) -> StateLike:
    """The states at the end of a run."""
    if isinstance(trace, Trace):
        return trace.final_state
    return {f"{name}/{k}": v for name, cell in trace.items() for k, v in _state(cell).items()}


def _state(cell: Trace) -> dict[str, Array]:
    return dict(zip(State._fields, cell.final_state, strict=True))


def _cells(trace: Trace | Traces) -> dict[str, Trace]:
    return {"": trace} if isinstance(trace, Trace) else dict(trace)


def _cut(run: Trace) -> Trace:
    """Without the last step that the cell read."""
    kept = slice(1, None) if run.meta.get("direction") == "backward" else slice(None, -1)
    arrays = {name: run.arrays[name][:, kept] for name in TENSORS}
    before = {name: run.arrays[name] for name in ("initial_h", "initial_c")}
    return Trace({**arrays, **before}, run.meta)
