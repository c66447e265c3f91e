"""What the calls of a model depend on, and whether all of that is computed here."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import UnsupportedFeatureError
from ..model import Call, Layer, Model, Operation, Reference, Unsupported
from .layers import RULES

EITHER = "either"
"""An operation that hands on the one of its arguments that is there: the branches of an If."""

GROUPS = {"group", "time_distributed_model", EITHER}


def needed_calls(model: Model, targets: Iterable[int]) -> list[int]:
    """The calls that ``targets`` depend on, and themselves, in computable order."""
    needed: set[int] = set()
    waiting = list(targets)
    while waiting:
        number = waiting.pop()
        if number in needed:
            continue
        needed.add(number)
        waiting.extend(ref.call for ref in references(model.calls[number]))
    return sorted(needed)


def references(call: Call) -> list[Reference]:
    """The values that a call takes in."""
    given = (*call.arguments, *call.initial_state, call.mask, call.lengths)
    values = [argument for argument in given if isinstance(argument, Reference)]
    return values if call.condition is None else [*values, call.condition[0]]


def refuse_unsupported(model: Model, needed: Iterable[int], wanted: str) -> None:
    """Raise an error that names everything among the needed calls that we do not compute."""
    layers = {id(model.calls[k].layer): model.calls[k].layer for k in needed}
    blocking = [layer for layer in layers.values() if _reason(layer)]
    if not blocking:
        return
    listed = "; ".join(f"'{layer.address}' ({layer.kind}): {_reason(layer)}" for layer in blocking)
    itself = ("the model's output", *(f"'{layer.address}'" for layer in blocking))
    direct = any(not layer.recurrent for layer in blocking) and wanted not in itself
    advice = "; --direct runs the layer alone, on what it receives" if direct else ""
    raise UnsupportedFeatureError(
        f"{model.path}: {wanted} depends on what is not computed here: {listed}{advice}",
        [layer.address for layer in blocking],
    )


def _reason(layer: Layer) -> str:
    """Why a layer cannot be computed; ``""`` where it can."""
    operation = layer.operation
    if isinstance(operation, Unsupported):
        return operation.reason
    if (
        isinstance(operation, Operation)
        and operation.name not in GROUPS
        and operation.name not in RULES
    ):
        return f"{layer.kind} layers are not computed"
    return ""


def unsupported_layers(model: Model) -> list[tuple[Layer, str]]:
    """The layers that cannot be computed, each with the reason."""
    return [(layer, reason) for layer in model.layers if (reason := _reason(layer))]


def blocked_layers(model: Model, layer: Layer) -> list[str]:
    """Addresses of the LSTM layers that depend on a layer that cannot be computed."""
    calls = set(model.calls_of(layer))
    return [
        other.address
        for other in model.lstm_layers
        if other is not layer and calls & set(needed_calls(model, model.calls_of(other)))
    ]
