"""Which calls of which layers a name means, and what their arrays are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..errors import AmbiguousNameError, NoSuchNameError, UnsupportedFeatureError, UsageError
from ..model import Array, Call, Input, Layer, Model, Operation, Output, Reference


class Unit(NamedTuple):
    """One call of one layer, under the name that chooses it: ``lstm``, or ``shared@1``."""

    name: str
    call: int
    layer: Layer


def split_call(name: str) -> tuple[str, int | None]:
    """``shared@1`` as name and call; a name without ``@`` has no call."""
    base, at, number = name.rpartition("@")
    return (base, int(number)) if at and number.isdigit() else (name, None)


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
    addresses = [layer.address for layer in model.layers]
    base, number = (name, None) if name in addresses else split_call(name)
    units = units_of(model, model.find(base))
    if number is None:
        return units
    wanted = [unit for k, unit in enumerate(units) if k == number]
    if not wanted:
        raise NoSuchNameError("call of a layer", name, [unit.name for unit in units])
    return wanted


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
    return list({unit.call: unit for unit in units}.values())


def weight_arrays(model: Model, names: Sequence[str]) -> dict[str, Array]:
    """Kernel, recurrent kernel and bias of LSTM layers, under their names in files."""
    layers = [model.find(split_call(name)[0]) for name in names] or list(model.lstm_layers)
    if not layers:
        raise no_lstm_layer(model)
    arrays: dict[str, Array] = {}
    for layer in layers:
        recurrent = layer.recurrent
        if recurrent is None or not recurrent.is_lstm:
            _refuse_trace(model, layer)
            continue
        alone = len(layers) == 1 and (bool(names) or len(model.lstm_layers) == 1)
        for part, _, cell in recurrent.cells():
            front = "/".join(filter(None, ("" if alone else layer.address.lstrip("/"), part)))
            for name in ("kernel", "recurrent_kernel", "bias"):
                if getattr(cell, name) is not None:
                    arrays["/".join(filter(None, (front, name)))] = getattr(cell, name)
    return arrays


def no_lstm_layer(model: Model) -> UsageError:
    """The error for a model without any LSTM layer; says what it holds instead."""
    kinds = ", ".join(dict.fromkeys(layer.kind for layer in model.layers)) or "no layers"
    return UsageError(f"{model.path} has no LSTM layer; it holds: {kinds}")


def _refuse_trace(model: Model, layer: Layer) -> None:
    known = ", ".join(other.address for other in model.lstm_layers) or "none"
    raise UnsupportedFeatureError(
        f"layer '{layer.address}' ({layer.kind}) has no LSTM gates or cell state to "
        f"trace (LSTM layers: {known}); 'lstm run --layer {layer.address}' shows what it returns",
        [layer.address],
    )


def direct_model(model: Model, layer: Layer) -> Model:
    """A model of one layer alone: its input is what the layer receives."""
    calls = model.calls_of(layer)
    count = len(model.calls[calls[0]].arguments) if calls else 1
    distributed = replace(layer, distributed=0)
    recurrent = layer.recurrent
    if recurrent is not None:
        count = 1
        distributed = replace(distributed, operation=replace(recurrent, time_major=False))
    names = ["x"] if count == 1 else [f"x{k}" for k in range(count)]
    shape: tuple[int | None, ...] | None = None
    if recurrent is not None:
        shape = (None, None, recurrent.input_size)
    operation = layer.operation
    ids = isinstance(operation, Operation) and operation.name == "embedding"
    shape, dtype = ((None, None), "int32") if ids else (shape, "")
    sources = [Call(Layer(name, "Input", Operation("identity"), dtype="")) for name in names]
    call = Call(distributed, arguments=tuple(Reference(k) for k in range(count)))
    return replace(
        model,
        layers=(distributed,),
        calls=(*sources, call),
        inputs=tuple(Input(name, shape, dtype, k) for k, name in enumerate(names)),
        outputs=(Output(layer.address, Reference(count)),),
        no_graph="",
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
