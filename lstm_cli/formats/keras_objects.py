"""An architecture of Keras and a TensorFlow object graph: which variables are whose.

tf.keras gives its models the attributes ``layer-0``, ``layer-1`` … in the order of their config;
Keras 3 keeps lists, ``_operations`` or ``_layers``. Below a layer, attributes have the names of
Keras's own code: ``forward_layer``, ``cell``, ``kernel``.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Array
from .keras_config import CELLS, RECURRENT, LayerConfig
from .keras_layers import variables
from .object_graph import ObjectGraph, Tracked
from .reading import Problem

CELL_ARRAYS = ("kernel", "recurrent_kernel", "bias")


def assign_objects(
    config: LayerConfig, graph: ObjectGraph, root: Tracked
) -> dict[int, list[Array]]:
    """The arrays of each config of an architecture, by its ``id``.

    Args:
        config: a model's.
        graph: the checkpoint's.
        root: the object that is the model.

    Raises:
        Problem: if an object is missing.
    """
    found: dict[int, list[Array]] = {}
    _model(config, graph, root, found)
    return found


def model_object(graph: ObjectGraph) -> Tracked:
    """The object that is the model: the root, or what ``tf.train.Checkpoint(model=…)`` holds.

    Raises:
        Problem: if there is none, or more than one.
    """
    if _parts(graph, graph.root):
        return graph.root
    found = {
        name: graph.objects[number]
        for name, number in graph.root.children.items()
        if _parts(graph, graph.objects[number])
    }
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise Problem(f"the checkpoint should hold one Keras model, found {len(found)} ({names})")
    return next(iter(found.values()))


def _parts(graph: ObjectGraph, tracked: Tracked) -> list[Tracked]:
    """The layers of a model, in order; nothing for another object."""
    if layers := graph.numbered(tracked, "layer-"):
        return layers
    functional = graph.child(tracked, "_functional")
    for owner in filter(None, (tracked, functional)):
        for name in ("_operations", "_layers"):
            held = graph.child(owner, name)
            if held is not None and (layers := graph.numbered(held, "")):
                return layers
    return []


def _model(
    config: LayerConfig, graph: ObjectGraph, tracked: Tracked, found: dict[int, list[Array]]
) -> None:
    """Assign the arrays of a model's layers; a Sequential's InputLayer may have no object."""
    objects, layers = _parts(graph, tracked), config.sublayers
    if len(objects) != len(layers):
        layers = [layer for layer in layers if layer.class_name != "InputLayer"]
    if len(objects) == len(layers) + 1 and not any(each.key for each in graph.inside(objects[0])):
        objects = objects[1:]  # the InputLayer that TensorFlow 2.0 does not write into a config
    if len(objects) != len(layers):
        raise Problem(
            f"the architecture of {config.owner} has {len(layers)} layers, the checkpoint "
            f"{len(objects)} for it"
        )
    for layer, each in zip(layers, objects, strict=True):
        assign_layer(layer, graph, each, found)


def assign_layer(
    config: LayerConfig, graph: ObjectGraph, tracked: Tracked, found: dict[int, list[Array]]
) -> None:
    """Put the arrays of a layer, and of all inside it, into ``found`` by their config's ``id``."""

    def inside(inner: LayerConfig, *names: str) -> None:
        held = graph.child(tracked, *names)
        if held is None:
            raise Problem(f"the checkpoint has no '{'/'.join(names)}' for {config.owner}")
        assign_layer(inner, graph, held, found)

    name = config.class_name
    if config.is_model:
        _model(config, graph, tracked, found)
    elif name in RECURRENT or name in CELLS:
        cell = graph.child(tracked, "cell") or tracked
        found[id(config)] = _arrays(graph, cell, CELL_ARRAYS)
    elif name == "TimeDistributed":
        inside(config.sublayers[0], "layer")
    elif name == "Bidirectional":
        inside(config.sublayers[0], "forward_layer")
        inside(config.sublayers[1], "backward_layer")
    elif name == "RNN":
        inside(config.sublayers[0], "cell")
    elif name == "StackedRNNCells":
        for k, cell_config in enumerate(config.sublayers):
            inside(cell_config, "cells", str(k))
    else:
        found[id(config)] = _of_class(config, graph, tracked)


def _of_class(config: LayerConfig, graph: ObjectGraph, tracked: Tracked) -> list[Array]:
    """The arrays of a layer without recurrence: by its class's names, else all in order."""
    expected = variables(config)
    if expected is None:  # of a class that is not computed: for the count of its parameters
        return [graph.bundle.view(each.key) for each in graph.inside(tracked) if graph.holds(each)]
    arrays = _arrays(graph, tracked, [var.name for var in expected])
    if len(arrays) == len(expected):
        return arrays
    return [graph.array(variable) for variable in graph.variables(tracked)]


def _arrays(graph: ObjectGraph, tracked: Tracked, names: Sequence[str]) -> list[Array]:
    """The variables of these names, or of these with an underscore in front, as in Keras 3."""
    held = [graph.variable(tracked, name) or graph.variable(tracked, f"_{name}") for name in names]
    return [graph.array(variable) for variable in held if variable is not None]
