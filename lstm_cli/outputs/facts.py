"""What ``inspect`` knows about a model, as plain values: one structure for JSON and for tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..model import Activation, GruCell, Layer, LstmCell, Model, Operation, Recurrent, SimpleRnnCell
from .masking import is_masked


@dataclass(frozen=True, slots=True)
class Blocked:
    """A layer that cannot be computed.

    Attributes:
        address: of the layer.
        reason: why, as a clause.
        blocks: addresses of the layers that cannot be run for want of it.
    """

    address: str
    reason: str
    blocks: tuple[str, ...] = ()


def model_facts(model: Model, unsupported: Sequence[Blocked] = ()) -> dict[str, Any]:
    """The facts of a model, ready for JSON.

    Args:
        model: the model.
        unsupported: its layers that cannot be computed, and what they block.

    Returns:
        ``path format written_by inputs outputs layers assumptions unsupported``; shapes as lists
        with None for an open axis; one entry a layer, in the file's order.
    """
    return {
        "path": model.path,
        "format": model.format,
        "written_by": model.written_by,
        "inputs": [
            {"name": entry.name, "shape": _shape(entry.shape), "dtype": entry.dtype}
            for entry in model.inputs
        ],
        "outputs": [{"name": entry.name, "shape": _shape(entry.shape)} for entry in model.outputs],
        "layers": [layer_facts(model, layer) for layer in model.layers],
        "assumptions": list(model.assumptions),
        "unsupported": [
            {"address": entry.address, "reason": entry.reason, "blocks": list(entry.blocks)}
            for entry in unsupported
        ],
    }


def layer_facts(model: Model, layer: Layer) -> dict[str, Any]:
    """The facts of one layer; what its kind does not have is None."""
    operation = layer.operation
    facts = {
        "address": layer.address,
        "kind": layer.kind,
        "lstm": layer.is_lstm,
        "recurrent": isinstance(operation, Recurrent),
        **(_recurrent_facts(operation) if isinstance(operation, Recurrent) else _other(operation)),
        "masking": is_masked(model, layer) if isinstance(operation, Recurrent) else None,
    }
    return facts | {
        "dtype": layer.dtype or None,
        "parameters": layer.parameters,
        "trainable": layer.trainable,
    }


def _recurrent_facts(operation: Recurrent) -> dict[str, Any]:
    cells = [cell for _, _, cell in operation.cells()]
    direction = "backward" if operation.directions[0].go_backwards else "forward"
    lstm = [cell for cell in cells if isinstance(cell, LstmCell)]
    return {
        "input_size": operation.input_size,
        "units": _same([cell.units for cell in cells]),
        "parts": list(operation.parts),
        "direction": "bidirectional" if len(operation.directions) > 1 else direction,
        "activation": _same([str(cell.activation) for cell in cells]),
        "recurrent_activation": _same([_recurrent_activation(cell) for cell in cells]),
        "use_bias": _same([cell.bias is not None for cell in cells]),
        "return_sequences": operation.return_sequences,
        "return_state": operation.return_state,
        "stateful": operation.stateful,
        "go_backwards": operation.directions[0].go_backwards,
        "additions": _same([additions(cell) for cell in lstm]) if lstm else [],
    }


def additions(cell: LstmCell) -> list[str]:
    """What the cell has beyond the textbook's, such as ``peepholes`` or ``clip 3``."""
    found: list[str] = []
    if cell.output_activation is not None:
        found.append(f"output activation {cell.output_activation}")
    found += ["peepholes"] if cell.peepholes is not None else []
    found += [f"projection to {cell.hidden_size}"] if cell.projection is not None else []
    limits = {"clip": cell.clip, "cell clip": cell.cell_clip}
    limits["projection clip"] = cell.projection_clip
    found += [f"{name} {limit:g}" for name, limit in limits.items() if limit is not None]
    found += [{"f": "f = 1 - i", "i": "i = 1 - f"}[cell.coupled]] if cell.coupled else []
    return found + (["layer normalisation"] if cell.layer_norm is not None else [])


def _recurrent_activation(cell: LstmCell | GruCell | SimpleRnnCell) -> str | None:
    return None if isinstance(cell, SimpleRnnCell) else str(cell.recurrent_activation)


def _other(operation: object) -> dict[str, Any]:
    """The same keys for a layer without recurrence."""
    keys = "input_size units parts direction activation recurrent_activation use_bias"
    flags = "return_sequences return_state stateful go_backwards additions"
    facts: dict[str, Any] = dict.fromkeys(f"{keys} {flags}".split())
    facts["parts"] = []
    if isinstance(operation, Operation):
        activation = operation.settings.get("activation")
        facts["activation"] = str(activation) if isinstance(activation, Activation) else None
        kernel = operation.weights.get("kernel")
        if operation.name == "dense" and kernel is not None:
            facts["input_size"], facts["units"] = map(int, kernel.shape)
            facts["use_bias"] = operation.weights.get("bias") is not None
    return facts


def _same(values: list[Any]) -> Any:
    """The one value that all cells have, or the list of their values."""
    return values[0] if all(value == values[0] for value in values) else values


def _shape(shape: tuple[int | None, ...] | None) -> list[int | None] | None:
    return None if shape is None else list(shape)
