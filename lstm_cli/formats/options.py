"""What the caller says about a file, beyond what the file says itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..errors import UsageError
from ..model import (
    Activation,
    Cell,
    GruCell,
    Layer,
    Model,
    Operation,
    Recurrent,
    SimpleRnnCell,
)
from .keras_activations import named
from .keras_era import era
from .reading import NotComputed

HARD_SIGMOIDS = {"0.2": 0.2, "1/6": 1 / 6}


class Options(NamedTuple):
    """What the caller says about a file.

    Attributes:
        architecture: path of a JSON architecture for a weights file.
        recurrent_activation, activation: names of activations.
        hard_sigmoid: ``0.2`` or ``1/6``: which definition to use.
        override: let these win over what the file does say.
        treat_as_lstm: class names of custom layers to read as LSTM.
        gate_order: in which order the gates of an ``.npz`` stand: ``ifco``, ``iofc`` …
    """

    architecture: str | None = None
    recurrent_activation: str | None = None
    activation: str | None = None
    hard_sigmoid: str | None = None
    override: bool = False
    treat_as_lstm: tuple[str, ...] = ()
    gate_order: str | None = None


def with_options(model: Model, options: Options) -> Model:
    """The model with the activations that the caller asks for.

    Raises:
        UsageError: if the file says what the caller says, and there is no ``override``; if it does
            not say what classes its layers are of, and the caller names one.
    """
    for name in options.treat_as_lstm:
        if treated(name) not in model.assumptions:
            raise UsageError(
                f"--treat-as-lstm {name}: {model.path} ({model.format}) does not name the classes "
                "of its layers"
            )
    if options.gate_order is not None and ordered(options.gate_order) not in model.assumptions:
        raise UsageError(
            f"--gate-order: {model.path} ({model.format}) says itself in which order its gates are"
        )
    given = {
        "--recurrent-activation": options.recurrent_activation,
        "--activation": options.activation,
        "--hard-sigmoid": options.hard_sigmoid,
    }
    used = [name for name, value in given.items() if value is not None]
    if not used:
        return model
    if model.has_graph and not options.override:
        raise UsageError(
            f"{model.path} says itself what {' and '.join(used)} would say; add --override to "
            "use yours instead"
        )
    if options.hard_sigmoid is not None and options.hard_sigmoid not in HARD_SIGMOIDS:
        raise UsageError(f"--hard-sigmoid: expected 0.2 or 1/6, found '{options.hard_sigmoid}'")
    changed = {id(layer): _changed(layer, options) for layer in model.layers}
    calls = tuple(
        replace(call, layer=changed.get(id(call.layer), call.layer)) for call in model.calls
    )
    told = " and ".join(f"{name} {given[name]}" for name in used)
    notes = [note for note in model.assumptions if not _is_settled(note, options)]
    return replace(
        model,
        layers=tuple(changed[id(layer)] for layer in model.layers),
        calls=calls,
        assumptions=(*notes, f"{told}, because you said so"),
    )


def treated(name: str) -> str:
    """The note by which a reader says that it has read a class as an LSTM."""
    return f"{name} is read as an LSTM, because you said so"


def ordered(order: str) -> str:
    """The note by which a reader says that it has taken gates in the order that was asked for."""
    return f"gates in the order {order}, because you said so"


def _is_settled(note: str, options: Options) -> bool:
    """Whether an assumption is one that the caller has replaced."""
    return (
        (options.recurrent_activation is not None and ": recurrent activation" in note)
        or (options.activation is not None and ": activation" in note)
        or (options.hard_sigmoid is not None and note.startswith("hard_sigmoid"))
    )


def _changed(layer: Layer, options: Options) -> Layer:
    operation = layer.operation
    if isinstance(operation, Recurrent):
        first, *above = (
            tuple(
                replace(way, cells=tuple(_changed_cell(cell, options) for cell in way.cells))
                for way in directions
            )
            for directions in operation.levels
        )
        return replace(layer, operation=replace(operation, directions=first, above=tuple(above)))
    if isinstance(operation, Operation) and options.hard_sigmoid is not None:
        settings = {key: _hard(value, options) for key, value in operation.settings.items()}
        return replace(layer, operation=replace(operation, settings=settings))
    return layer


def _changed_cell(cell: Cell, options: Options) -> Cell:
    activation: Activation = _hard(cell.activation, options)
    if isinstance(cell, SimpleRnnCell):
        return replace(cell, activation=activation)
    recurrent: Activation = _hard(cell.recurrent_activation, options)
    if isinstance(cell, GruCell):
        return replace(cell, activation=activation, recurrent_activation=recurrent)
    if options.activation is not None:
        activation = _named(options.activation, "--activation", options)
    if options.recurrent_activation is not None:
        recurrent = _named(options.recurrent_activation, "--recurrent-activation", options)
    return replace(cell, activation=activation, recurrent_activation=recurrent)


def _hard(value: Any, options: Options) -> Any:
    """A hard sigmoid with the slope that the caller asks for; anything else as it is."""
    if not isinstance(value, Activation) or value.name != "hard_sigmoid":
        return value
    if options.hard_sigmoid is None:
        return value
    return replace(value, alpha=HARD_SIGMOIDS[options.hard_sigmoid])


def _named(name: str, option: str, options: Options) -> Activation:
    slope: Mapping[str | None, str] = {"1/6": "3.0.0"}
    try:
        return named(name, era(slope.get(options.hard_sigmoid, "2.2.4")))
    except NotComputed as reason:
        raise UsageError(f"{option}: {reason}") from reason
