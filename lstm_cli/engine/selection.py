"""Which calls of which layers a name means, and what their arrays are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import AmbiguousNameError, NoSuchNameError, UnsupportedFeatureError, UsageError
from ..model import (
    LSTM_WEIGHTS,
    Array,
    Choice,
    Layer,
    Model,
    Unsupported,
    choose,
    in_part,
)

MOST_REASONS = 3
"""How many layers that are not computed one message explains."""


class Unit(NamedTuple):
    """One call of one layer, or of a part of it, under the name that chooses it.

    Attributes:
        name: ``lstm``, ``shared@1``, ``encoder.lstm/l1``.
        call: its number in the model.
        layer: the layer.
        part: of the layer, as ``Recurrent.placed`` names it; ``""`` for the whole.
    """

    name: str
    call: int
    layer: Layer
    part: str = ""


def units_of(model: Model, layer: Layer) -> list[Unit]:
    """Every call of a layer; they are numbered where there are several."""
    calls = model.calls_of(layer)
    names = (
        [layer.address] if len(calls) == 1 else [f"{layer.address}@{k}" for k in range(len(calls))]
    )
    return [Unit(name, call, layer) for name, call in zip(names, calls, strict=True)]


def find_units(model: Model, name: str) -> list[Unit]:
    """The calls that a name means.

    Raises:
        NoSuchNameError, AmbiguousNameError: see ``Model.find``; and for a call that is not there.
    """
    choice = choose(model, name)
    units = units_of(model, choice.layer)
    if choice.call is not None:
        if choice.call >= len(units):
            raise NoSuchNameError("call of a layer", name, [unit.name for unit in units])
        units = [units[choice.call]]
    if not choice.part:
        return units
    return [unit._replace(name=f"{unit.name}/{choice.part}", part=choice.part) for unit in units]


def find_unit(model: Model, name: str) -> Unit:
    """The one call that a name means; ambiguous where the layer is called several times."""
    units = find_units(model, name)
    if len(units) > 1:
        raise AmbiguousNameError("call", name, [unit.name for unit in units])
    return units[0]


def lstm_units(model: Model, names: Sequence[str]) -> list[Unit]:
    """The calls to trace: those named, or of every LSTM layer.

    Raises:
        UnsupportedFeatureError: if a layer has no LSTM cells, by kind.
        UsageError: if the model has no LSTM layer at all.
    """
    if not names:
        units = [unit for layer in model.lstm_layers for unit in units_of(model, layer)]
        if not units:
            raise no_lstm_layer(model)
        return units
    units = [unit for name in names for unit in find_units(model, name)]
    for unit in units:
        if not unit.layer.is_lstm:
            _refuse_trace(model, unit.layer)
    return list({(unit.call, unit.part): unit for unit in units}.values())


def weight_arrays(model: Model, names: Sequence[str]) -> dict[str, Array]:
    """The arrays of LSTM layers, or of parts of them, under their names in files."""
    chosen = weight_choices(model, names)
    arrays: dict[str, Array] = {}
    alone = len(chosen) == 1 and (bool(names) or len(model.lstm_layers) == 1)
    for choice in chosen:
        recurrent = choice.layer.recurrent
        if recurrent is None or not recurrent.is_lstm:
            _refuse_trace(model, choice.layer)
            continue
        address = "/".join(filter(None, (choice.layer.address.lstrip("/"), choice.part)))
        for cell_name, _, cell in recurrent.cells():
            part = in_part(cell_name, choice.part, recurrent)
            if part is None:
                continue
            for name in LSTM_WEIGHTS:
                array = getattr(cell, name)
                if array is not None:
                    path = filter(None, ("" if alone else address, part, name))
                    arrays["/".join(path)] = array.astype(cell.kernel.dtype, copy=False)
    return arrays


def weight_choices(model: Model, names: Sequence[str]) -> list[Choice]:
    """The layers or parts that names choose, each once; every LSTM layer without names."""
    found = [choose(model, name)._replace(call=None) for name in names]
    unique = {(id(choice.layer), choice.part): choice for choice in found}
    if not unique and not model.lstm_layers:
        raise no_lstm_layer(model)
    return list(unique.values()) or [Choice(layer) for layer in model.lstm_layers]


def no_lstm_layer(model: Model) -> UsageError:
    """The error for a model without any LSTM layer; says what it holds instead."""
    kinds = ", ".join(dict.fromkeys(layer.kind for layer in model.layers)) or "no layers"
    reasons = [
        f"'{layer.address}' ({layer.kind}): {layer.operation.reason}"
        for layer in model.layers
        if isinstance(layer.operation, Unsupported)
    ]
    why = f"; {'; '.join(reasons[:MOST_REASONS])}" if reasons else ""
    return UsageError(f"{model.path} has no LSTM layer; it holds: {kinds}{why}")


def _refuse_trace(model: Model, layer: Layer) -> None:
    if isinstance(layer.operation, Unsupported):
        raise UnsupportedFeatureError(
            f"{model.path}: layer '{layer.address}' ({layer.kind}) is not computed here: "
            f"{layer.operation.reason}",
            [layer.address],
        )
    known = ", ".join(other.address for other in model.lstm_layers) or "none"
    raise UnsupportedFeatureError(
        f"layer '{layer.address}' ({layer.kind}) has no LSTM gates or cell state to "
        f"trace (LSTM layers: {known}); 'lstm run --layer {layer.address}' shows what it returns",
        [layer.address],
    )


def prefixes(units: Sequence[Unit], chosen: bool, lstm_layers: int) -> list[str]:
    """What stands before each unit's arrays in files: nothing for a single choice.

    Args:
        units: the traced calls.
        chosen: whether the caller named one layer.
        lstm_layers: how many LSTM layers the model has.
    """
    if len(units) == 1 and (chosen or lstm_layers == 1):
        return [""]
    return [unit.name.lstrip("/") + "/" for unit in units]
