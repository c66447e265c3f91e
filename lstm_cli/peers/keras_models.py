"""A Keras model run by Keras: its outputs, and those of every layer, LSTM states included."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import InputError
from ..model import Array, Layer, Model
from .frameworks import Results, installed, labelled, library, refusal, told

Tensors = dict[tuple[str, str], Any]
"""By address of the layer, ``""`` for the model, and name."""


def results(model: Model, inputs: Mapping[str, Array], layers: Sequence[str]) -> Results:
    """What Keras returns for the model and for those of ``layers`` that it can look into.

    Those inside a nested model are looked into where that is called once; a layer that is called
    several times goes by ``NAME@0``, ``NAME@1``. Lambda layers are not executed: Keras's safe mode
    stays on. Files of Keras below 3 go to ``tf_keras`` first, others to Keras 3.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras talks about shapes and names that are no concern
        return _results(model, inputs, layers)


def _results(model: Model, inputs: Mapping[str, Array], layers: Sequence[str]) -> Results:
    keras, loaded = _loaded(model)
    given = [inputs[entry.name] for entry in model.inputs]
    wanted: Tensors = {
        ("", _name("output", k, len(loaded.outputs))): tensor
        for k, tensor in enumerate(loaded.outputs)
    }
    try:
        wanted |= _looked_into(keras, model, loaded, layers)
        probe = keras.Model(loaded.inputs, list(wanted.values()))
        arrays = probe(given if len(given) > 1 else given[0], training=False)
    except Exception as error:  # Keras raises what it likes
        raise refusal(labelled(keras), f"run {model.path}", error) from error
    found: dict[str, dict[str, Array]] = {}
    for (address, name), array in zip(wanted, _listed(arrays), strict=True):
        found.setdefault(address, {})[name] = _numbers(array)
    return Results(labelled(keras), found)


def _loaded(model: Model) -> tuple[Any, Any]:
    """The library that loads a file, and the model.

    Raises:
        InputError: if none does; with the words of the one that is nearest to the file's writer.
    """
    names = ["keras", "tf_keras"]
    if not model.written_by.startswith("Keras 3"):
        names.reverse()
    failures = {}
    for name in installed(*names):
        keras = library(name)
        try:
            with _safely(name):
                return keras, keras.models.load_model(model.path, compile=False)
        except Exception as error:
            failures[labelled(keras)] = told(error)
    by, reason = next(iter(failures.items()))
    others = " and ".join([*failures][1:])
    more = f"; neither can {others}" if others else ""
    writer = model.written_by.split(",")[0]
    raise InputError(f"{by} cannot load {model.path}, which {writer} wrote: {reason}{more}")


def _safely(name: str) -> AbstractContextManager[Any]:
    """Where no code in a file is run: Keras 3 sees to it, tf_keras does for ``.keras`` alone."""
    if name == "keras":
        return nullcontext()
    safe: AbstractContextManager[Any] = import_module(
        "tf_keras.src.saving.serialization_lib"
    ).SafeModeScope(True)
    return safe


def _looked_into(
    keras: Any, model: Model, loaded: Any, layers: Sequence[str], inside: str = ""
) -> Tensors:
    """What the layers of a model's graph return, and those of the models nested in it.

    Args:
        inside: the address of the nested model with a ``/``.
    """
    found: Tensors = {}
    for name, nodes in _nodes(loaded).items():
        address = inside + name
        if _is_model(_layer(nodes[0])):
            if len(nodes) == 1:
                found |= _nested(keras, model, nodes[0], layers, f"{address}/")
        elif address in layers:
            for k, node in enumerate(nodes):
                own = address if len(nodes) == 1 else f"{address}@{k}"
                tensors = _of_layer(model.find(address), node, k)
                found |= {(own, output): tensor for output, tensor in tensors.items()}
    return found


def _nested(keras: Any, model: Model, node: Any, layers: Sequence[str], inside: str) -> Tensors:
    """What the layers of a nested model return where the model around it calls it."""
    nested = _layer(node)
    wanted = _looked_into(keras, model, nested, layers, inside)
    if not wanted:
        return {}
    given, named = _arguments(node)
    probe = keras.Model(nested.inputs, list(wanted.values()))
    return dict(zip(wanted, _listed(probe(*given, **named)), strict=True))


def _nodes(loaded: Any) -> dict[str, list[Any]]:
    """The calls of each layer in a model's own graph, by name, in the order of calling."""
    graph = getattr(loaded, "_functional", None) or loaded  # of a Sequential model
    found: dict[str, list[Any]] = {}
    for depth in graph._nodes_by_depth.values():
        for node in depth:
            found.setdefault(_layer(node).name, []).append(node)
    for nodes in found.values():
        order = [id(node) for node in _layer(nodes[0])._inbound_nodes]
        nodes.sort(key=lambda node, order=order: order.index(id(node)))  # type: ignore[misc]
    return found


def _layer(node: Any) -> Any:
    return node.operation if hasattr(node, "operation") else node.layer


def _is_model(layer: Any) -> bool:
    return hasattr(layer, "_nodes_by_depth") or getattr(layer, "_functional", None) is not None


def _arguments(node: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """What a layer is called with: its input, and by name states and mask."""
    own = node.arguments if hasattr(node, "arguments") else node
    named = own.kwargs if hasattr(own, "kwargs") else own.call_kwargs
    given = own.args if hasattr(own, "args") else own.call_args
    return given, {k: v for k, v in named.items() if k != "training" and v is not None}


def _listed(tensors: Any) -> list[Any]:
    return list(_flat(tensors))


def _flat(tensors: Any) -> Iterator[Any]:
    """The tensors of nested lists, such as the states of stacked cells."""
    if isinstance(tensors, list | tuple):
        for inner in tensors:
            yield from _flat(inner)
    else:
        yield tensors


def _numbers(array: Any) -> Array:
    """A tensor as an array; of a type that NumPy does not have, such as bfloat16, as float32."""
    values = np.asarray(array)
    return values if values.dtype.kind in "biuf" else values.astype(np.float32)


def _of_layer(ours: Layer, node: Any, number: int) -> dict[str, Any]:
    """Symbolic outputs of a layer's call, of an LSTM those of every step and its final state."""
    layer = _layer(node)
    if not _is_lstm(layer) or ours.recurrent is None:
        outputs = _listed(node.outputs)
        names = [_name("output", k, len(outputs)) for k in range(len(outputs))]
        if ours.recurrent is not None and len(ours.recurrent.output_names) == len(outputs):
            names = list(ours.recurrent.output_names)
        return dict(zip(names, outputs, strict=True))
    probe = type(layer).from_config(_probing(layer.get_config(), number))
    given, named = _arguments(node)
    tensors = probe(*given, **named)
    probe.set_weights(layer.get_weights())
    return dict(zip(ours.recurrent.returned(True), _listed(tensors), strict=True))


def _is_lstm(layer: Any) -> bool:
    """An LSTM, or LSTMCells in a loop, one or stacked; in one direction or both."""
    inner = getattr(layer, "forward_layer", layer)
    if type(inner).__name__ != "RNN":
        return type(inner).__name__ == "LSTM"
    cells = getattr(inner.cell, "cells", [inner.cell])
    return all(type(cell).__name__ == "LSTMCell" for cell in cells)


def _probing(config: dict[str, Any], number: int) -> dict[str, Any]:
    """A layer's configuration, returning every step and the state, under a name of its own."""
    config = {**config, "name": f"{config['name']}_probe_{number}"}
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
