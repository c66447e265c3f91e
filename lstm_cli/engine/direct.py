"""One layer run alone, on what it receives: which one is meant, and the model that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..errors import UsageError, listing
from ..model import Call, Foreign, Input, Layer, Model, Operation, Output, Reference, choose
from .selection import no_lstm_layer


class Direct(NamedTuple):
    """A layer run alone.

    Attributes:
        model: of it alone; its input is what the layer receives.
        names: those given, without the call of the layer that they may name.
        note: what a user should know where no states are given; ``""`` where there is nothing.
    """

    model: Model
    names: list[str]
    note: str


def direct_choice(model: Model, names: Sequence[str]) -> Direct:
    """The one layer that names mean, or the only LSTM layer, by itself.

    Raises:
        UsageError: if it has to be chosen.
    """
    chosen = [
        choose(model, name) for name in names or [layer.address for layer in model.lstm_layers]
    ]
    if not chosen or any(choice.layer is not chosen[0].layer for choice in chosen):
        raise needs_layer(model, names)
    layer = chosen[0].layer
    parts = ["/".join(filter(None, (layer.address, choice.part))) for choice in chosen]
    passed = any(call.initial_state for call in model.calls if call.layer is layer)
    note = (
        f"'{layer.address}' is run directly: the states that the model would pass to it are zero "
        "unless given"
    )
    return Direct(_alone(model, layer), parts if names else [], note if passed else "")


def needs_layer(model: Model, names: Sequence[str] = ()) -> UsageError:
    """The error where one layer has to be chosen, and none or several are."""
    lstm = [layer.address for layer in model.lstm_layers]
    if not lstm and not names:
        return no_lstm_layer(model)
    advice = "; choose one layer with --layer … --direct"
    if model.takes_architecture:
        advice += ", or give its graph with --architecture FILE.json"
    why = model.no_graph or "--direct runs one layer alone"
    return UsageError(f"{model.path}: {why}{advice} (LSTM layers: {listing(lstm)})")


def _alone(model: Model, layer: Layer) -> Model:
    """A model of one layer alone: its input is what the layer receives."""
    calls = model.calls_of(layer)
    count = len(model.calls[calls[0]].arguments) if calls else 1
    distributed = replace(layer, distributed=0)
    recurrent = layer.recurrent
    if isinstance(layer.operation, Foreign):
        raise UsageError(
            f"'{layer.address}' holds operators of the file's own format; --direct is for layers"
        )
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
