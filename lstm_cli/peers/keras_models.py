"""A Keras model run by Keras: its outputs, and those of every layer, LSTM states included."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..model import Array, Layer, Model
from .frameworks import Returned, library, refusal


def results(model: Model, inputs: Mapping[str, Array], layers: Sequence[str]) -> Returned:
    """What Keras returns for the model and for those of ``layers`` that its top level calls once.

    Lambda layers are not executed: Keras's safe mode stays on. A file that Keras 3 cannot load
    goes to ``tf_keras`` where that is installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras talks about shapes and names that are no concern
        return _results(model, inputs, layers)


def _results(model: Model, inputs: Mapping[str, Array], layers: Sequence[str]) -> Returned:
    keras, loaded = _loaded(model.path)
    given = [inputs[entry.name] for entry in model.inputs]
    wanted: dict[tuple[str, str], Any] = {
        ("", _name("output", k, len(loaded.outputs))): tensor
        for k, tensor in enumerate(loaded.outputs)
    }
    try:
        for name, nodes in _nodes(loaded).items():
            if name in layers and len(nodes) == 1:
                wanted |= _of_layer(model.find(name), nodes[0])
        probe = keras.Model(loaded.inputs, list(wanted.values()))
        arrays = probe(given if len(given) > 1 else given[0], training=False)
    except Exception as error:  # Keras raises what it likes
        raise refusal("keras", f"run {model.path}", error) from error
    found: Returned = {}
    for (address, name), array in zip(wanted, _listed(arrays), strict=True):
        found.setdefault(address, {})[name] = _numbers(array)
    return found


def _loaded(path: str) -> tuple[Any, Any]:
    """The library that loads a file, and the model."""
    failures = []
    for name in filter(find_spec, ("keras", "tf_keras")):
        keras = library(name)
        try:
            return keras, keras.models.load_model(path, compile=False)
        except Exception as error:
            failures.append(error)
    raise refusal("keras", f"load {path}", failures[0])


def _nodes(loaded: Any) -> dict[str, list[Any]]:
    """The calls of each layer in a model's own graph, by name."""
    graph = getattr(loaded, "_functional", None) or loaded  # of a Sequential model
    found: dict[str, list[Any]] = {}
    for depth in graph._nodes_by_depth.values():
        for node in depth:
            found.setdefault(_layer(node).name, []).append(node)
    return found


def _layer(node: Any) -> Any:
    return node.operation if hasattr(node, "operation") else node.layer


def _arguments(node: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """What a layer is called with: its input, and by name states and mask."""
    own = node.arguments if hasattr(node, "arguments") else node
    named = own.kwargs if hasattr(own, "kwargs") else own.call_kwargs
    given = own.args if hasattr(own, "args") else own.call_args
    return given, {k: v for k, v in named.items() if k != "training" and v is not None}


def _listed(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def _numbers(array: Any) -> Array:
    """A tensor as an array; of a type that NumPy does not have, such as bfloat16, as float32."""
    values = np.asarray(array)
    return values if values.dtype.kind in "biuf" else values.astype(np.float32)


def _of_layer(ours: Layer, node: Any) -> dict[tuple[str, str], Any]:
    """Symbolic outputs of a layer, of an LSTM those of every step and its final state."""
    layer, name = _layer(node), ours.address
    if not _is_lstm(layer):
        outputs = _listed(node.outputs)
        names = [_name("output", k, len(outputs)) for k in range(len(outputs))]
        if ours.recurrent is not None and len(ours.recurrent.output_names) == len(outputs):
            names = list(ours.recurrent.output_names)
        return {(name, own): tensor for own, tensor in zip(names, outputs, strict=True)}
    probe = type(layer).from_config(_probing(layer.get_config()))
    given, named = _arguments(node)
    tensors = probe(*given, **named)
    probe.set_weights(layer.get_weights())
    names = ["output", "state_h", "state_c"]
    if type(layer).__name__ == "Bidirectional":
        names = ["output", "forward_h", "forward_c", "backward_h", "backward_c"]
        if layer.merge_mode is None:
            names[:1] = ["output_0", "output_1"]
    return {(name, own): tensor for own, tensor in zip(names, tensors, strict=True)}


def _is_lstm(layer: Any) -> bool:
    inner = getattr(layer, "forward_layer", layer)
    return type(inner).__name__ == "LSTM"


def _probing(config: dict[str, Any]) -> dict[str, Any]:
    """A layer's configuration, returning every step and the state, under a name of its own."""
    config = {**config, "name": f"{config['name']}_probe"}
    inner = config
    if "layer" in config:
        config["layer"] = {**config["layer"], "config": dict(config["layer"]["config"])}
        inner = config["layer"]["config"]
        backward = config.get("backward_layer")
        if backward is not None:
            more = {"return_sequences": True, "return_state": True, "stateful": False}
            config["backward_layer"] = {**backward, "config": {**backward["config"], **more}}
    inner["return_sequences"] = inner["return_state"] = True
    inner["stateful"] = False
    return config


def _name(name: str, number: int, count: int) -> str:
    return name if count == 1 else f"{name}_{number}"
