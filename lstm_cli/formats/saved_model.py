"""Reader of TensorFlow SavedModels: a folder with ``saved_model.pb`` and ``variables``.

The Keras config of a tf.keras model is JSON beside its objects: in ``keras_metadata.pb`` from
TensorFlow 2.5 on, in ``saved_model.pb`` before. Keras 3 exports none.

Source: ``saved_model.proto``, ``saved_object_graph.proto`` of TensorFlow,
``saved_metadata.proto`` and ``saving/saved_model`` of tf.keras 2.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError
from ..model import Array, Layer, Model, Unsupported
from .checkpoint import listed_model, plain
from .keras import text_of
from .keras_config import CELLS, MODELS, RECURRENT, WRAPPERS, LayerConfig, parse_architecture
from .keras_custom import parse_with_custom
from .keras_era import Clues, Era, era
from .keras_graph import Graph
from .keras_model import Source, model_with_graph, model_without_graph
from .keras_objects import assign_layer, assign_objects
from .object_graph import KEY, MAX_DEPTH, NOT_PARTS, ObjectGraph, Tracked
from .options import Options, treated
from .protobuf import Message
from .reading import Problem, as_mapping, parse_json
from .tensor_bundle import Bundle, mapped

CONTAINER = "TensorFlow SavedModel"
STEPPED = "RNN"
LOOSE = {*CELLS, "StackedRNNCells"}
NO_CONFIG = "the SavedModel holds no Keras config, only a traced program"


class Described(NamedTuple):
    """What Keras says about one object.

    Attributes:
        path: the attributes that lead to it from the model; none for the model itself.
        text: JSON.
    """

    path: tuple[str, ...]
    text: str


def read(path: Path, options: Options) -> Model:
    """A SavedModel's folder, or the ``saved_model.pb`` in it.

    Raises:
        Problem: if it is damaged.
    """
    folder = path if path.is_dir() else path.parent
    if options.architecture is not None:
        raise UsageError(
            f"{path} is a SavedModel, which goes by its own config; give the architecture with its "
            f"variables alone: {folder / 'variables' / 'variables.index'}"
        )
    if not (folder / "variables" / "variables.index").is_file():
        raise Problem("it has no variables/variables.index, so it holds no weights")
    described, tensorflow = _described(folder)
    bundle = Bundle(folder / "variables" / "variables.index")
    if KEY not in bundle.entries or not described:
        return listed_model(path, bundle, CONTAINER, NO_CONFIG, tensorflow)
    return _described_model(path, described, tensorflow, ObjectGraph(bundle), options)


def _described_model(
    path: Path, described: list[Described], tensorflow: str, graph: ObjectGraph, options: Options
) -> Model:
    """The model that Keras describes, whole or layer by layer."""
    root = next((each for each in described if not each.path), None)
    document = _document(root) if root is not None else {}
    version, notes = text_of(document, "keras_version"), []
    if not version:
        version = tensorflow or "2.15.0"
        notes.append(f"no keras_version: read as tf.keras {version}")
    rules = era(version, text_of(document, "backend"), _clues(tensorflow))
    source = Source(str(path), CONTAINER, rules)
    architecture = _architecture(document)
    if architecture is not None:
        config, custom = parse_with_custom(architecture, options, path)
        arrays = assign_objects(config, graph, graph.root)
        return model_with_graph(source, config, arrays, notes + custom)
    layers, more = _layers(described, graph, rules, options)
    kind = document.get("class_name")
    why = f"the model is a class of its own, {kind}, whose connections are Python code"
    return model_without_graph(source, layers, notes + more, why if kind else NO_CONFIG)


# -- what the files say


def _described(folder: Path) -> tuple[list[Described], str]:
    """What Keras says about the objects, nearest first; and the version of TensorFlow."""
    whole = Message(mapped(folder / "saved_model.pb"), "saved_model.pb")
    graphs = whole.messages(2, "a graph of saved_model.pb")
    versions = [graph.message(1, "the facts of saved_model.pb").text(5) for graph in graphs]
    beside = folder / "keras_metadata.pb"
    found: list[Described] = []
    if beside.is_file():
        found = list(_in_metadata(beside))
    elif graphs:
        found = list(_in_objects(graphs[0].message(7, "the objects of saved_model.pb")))
    return found, next(filter(None, versions), "")


def _in_metadata(path: Path) -> Iterator[Described]:
    for node in Message(mapped(path), path.name).messages(1, f"an object of {path.name}"):
        if node.text(4).startswith("_tf_keras_"):
            place = tuple(node.text(3).split(".", MAX_DEPTH)[1:])
            yield Described(place, node.text(5))


def _in_objects(message: Message) -> Iterator[Described]:
    """Keras's objects in the graph of objects that ``saved_model.pb`` itself holds."""
    nodes = message.views(1)
    seen, waiting = {0}, deque[tuple[tuple[str, ...], int]]([((), 0)] if nodes else [])
    while waiting:
        path, number = waiting.popleft()
        node = Message(nodes[number], "an object of saved_model.pb")
        user = node.message(4, "an object of saved_model.pb")
        if user.text(1).startswith("_tf_keras_") and user.text(3):
            yield Described(path, user.text(3))
        if len(path) > MAX_DEPTH:
            raise Problem(f"its objects hold each other more than {MAX_DEPTH} deep")
        for child in node.messages(1, "an object of saved_model.pb"):
            place, name = child.integer(1), child.text(2)
            if place not in seen and 0 <= place < len(nodes) and name not in NOT_PARTS:
                seen.add(place)
                waiting.append(((*path, name), place))


def _document(described: Described) -> dict[str, Any]:
    what = f"the Keras config of {'.'.join(('root', *described.path))}"
    return dict(as_mapping(plain(parse_json(described.text, what)), what))


def _clues(tensorflow: str) -> Clues:
    """What tells versions apart that call themselves alike: here TensorFlow says its own."""
    return Clues(
        implementation_1=tensorflow.startswith("1."),
        cell_names=not re.match(r"2\.[01]\.", tensorflow),
    )


def _architecture(document: dict[str, Any]) -> dict[str, Any] | None:
    """The architecture, where the model is not a class of its own."""
    found = document.get("model_config") or document
    if not isinstance(found, dict) or found.get("class_name") not in MODELS:
        return None
    return found if found.get("config") else None


# -- models whose connections are Python code


def _layers(
    described: list[Described], graph: ObjectGraph, rules: Era, options: Options
) -> tuple[list[Layer], list[str]]:
    """The layers that Keras describes one by one, each with a config of its own."""
    documents = {each.path: _document(each) for each in described}
    holders = {path[:k] for path in documents for k in range(1, len(path))}
    flat = Graph(rules, {})
    inside: set[int] = set()
    parsed: list[LayerConfig] = []
    for path, document in sorted(documents.items(), key=lambda item: len(item[0])):
        held = graph.child(graph.root, *path)
        if not path or held is None or held.number in inside:
            continue
        config = _own_config(document, options)
        if config is None or not _is_whole(config, path in holders):
            continue
        parsed.append(config)
        graph.inside(held, inside)
        _list(config, _address(path, documents), graph, held, flat)
    if unused := set(options.treat_as_lstm) - {name for each in parsed for name in each.asked_for}:
        raise UsageError(f"--treat-as-lstm {min(unused)}: no layer of the model is of that class")
    return flat.layers, [*flat.notes, *map(treated, options.treat_as_lstm)]


def _own_config(document: dict[str, Any], options: Options) -> LayerConfig | None:
    if "class_name" not in document or not isinstance(document.get("config"), dict):
        return None
    if document["class_name"] in LOOSE:  # a cell that the model's own code steps
        cell = {"class_name": document["class_name"], "config": document["config"]}
        stepped = {"name": document.get("name"), "cell": cell, "return_sequences": True}
        document = {"class_name": STEPPED, "config": stepped}
    return parse_architecture(document, options.treat_as_lstm)


def _is_whole(config: LayerConfig, holds_others: bool) -> bool:
    """Whether it is a layer to list, and not something that holds the layers to list."""
    if config.class_name in RECURRENT | WRAPPERS | {STEPPED} or config.looks_like_lstm:
        return True
    return not (config.is_model or holds_others)


def _list(
    config: LayerConfig, address: str, graph: ObjectGraph, held: Tracked, flat: Graph
) -> None:
    """Add a layer to the list, with its arrays if they are there."""
    arrays: dict[int, list[Array]] = {}
    try:
        stepped = config.class_name == STEPPED and graph.child(held, "cell") is None
        assign_layer(config.sublayers[0] if stepped else config, graph, held, arrays)
        if stepped:
            flat.note(f"{address}: a cell by itself, read as a layer that steps it")
        replace(flat, weights=arrays).layer(config, address, 0)
    except Problem as problem:
        flat.layers.append(Layer(address, config.kind, Unsupported(str(problem))))


def _address(path: tuple[str, ...], documents: dict[tuple[str, ...], dict[str, Any]]) -> str:
    """The names of the layer and of what holds it."""
    names = [documents[path[:k]].get("name") for k in range(1, len(path)) if path[:k] in documents]
    own = documents[path].get("name")
    return "/".join(str(name) for name in (*names, own) if name) or "/".join(path)
