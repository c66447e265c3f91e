"""Readers of every file that Keras writes: HDF5 of both layouts, ``.keras`` archives, directories.

Each reader is one function, path in, model out. Which one reads a file is decided by its content.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError
from ..model import Model
from . import hdf5
from .keras_archive import Member, archive, json_member
from .keras_config import LayerConfig
from .keras_custom import parse_with_custom
from .keras_era import era
from .keras_hdf5 import WeightGroup, assign_groups, clues, name_nested, weight_groups
from .keras_listing import layers_of_groups, layers_of_tree
from .keras_model import Source, model_with_graph, model_without_graph
from .keras_paths import Node, add_variables, assign_paths, read_tree
from .options import Options
from .reading import Problem, as_mapping, as_text, describe, parse_json

NO_ARCHITECTURE = "the file holds weights alone"
PARTS = ("metadata.json", "config.json", "model.weights.h5")


# -- HDF5


class Stored(NamedTuple):
    """What an HDF5 file of the legacy layout holds: its arrays, and texts that may be empty."""

    groups: list[WeightGroup]
    architecture: str
    version: str
    backend: str


def read_hdf5(path: Path, options: Options) -> Model:
    """Any HDF5 file of Keras: a whole model, or weights in the legacy or the path layout."""
    with hdf5.opened(path) as file:
        stored = _stored(file)
        top = read_tree(file) if stored is None else Node()
    if stored is None:
        return _path_weights(path, top, options, "Keras HDF5, weights only (paths)")
    if stored.architecture:
        return _whole_model(path, stored, options)
    return _legacy_weights(path, stored, options)


def _stored(file: Any) -> Stored | None:
    """What a file of the legacy layout holds; None for another layout."""
    names = ("layer_names", "layer_names0", "nb_layers")
    architecture, root = "", file
    if "model_config" in file.attrs:
        architecture = hdf5.attribute_text(file, "model_config") or "nothing"
        root = hdf5.child(file, "model_weights")
        if root is None:
            raise Problem("it has a 'model_config', but no group 'model_weights'")
    elif not any(name in file.attrs for name in names):
        return None
    version, backend = (
        hdf5.attribute_text(file, name) or hdf5.attribute_text(root, name)
        for name in ("keras_version", "backend")
    )
    return Stored(weight_groups(root), architecture, version, backend)


def _whole_model(path: Path, stored: Stored, options: Options) -> Model:
    _refuse_architecture(options, path)
    document = parse_json(stored.architecture, "'model_config'")
    return _from_groups(path, "Keras HDF5, whole model", document, stored, options)


def _legacy_weights(path: Path, stored: Stored, options: Options) -> Model:
    groups, _, version, backend = stored
    container = "Keras HDF5, weights only"
    if options.architecture is not None:
        document = read_architecture(options.architecture)
        stored = stored._replace(
            version=version or text_of(document, "keras_version"),
            backend=backend or text_of(document, "backend"),
        )
        return _from_groups(path, container, document, stored, options)
    rules = era(version or _version_of_names(groups), backend, clues(None, groups))
    layers, notes = layers_of_groups(groups, rules)
    if not version:
        notes.insert(0, f"no keras_version: read as {rules.writer}, by the names of its arrays")
    return model_without_graph(
        Source(str(path), container, rules), layers, notes, NO_ARCHITECTURE, True
    )


def _from_groups(
    path: Path, container: str, document: Any, stored: Stored, options: Options
) -> Model:
    """A model from an architecture and legacy weight groups."""
    groups, _, version, backend = stored
    notes = []
    if not version:
        version = version_of_config(document)
        notes.append(f"no keras_version: read as Keras {version}, by the keys of its architecture")
    config, custom = parse_with_custom(document, options, path)
    rules = era(version, backend, clues(config, groups))
    source = Source(str(path), container, rules)
    if not config.is_model:
        layers, more = layers_of_groups(groups, rules)
        return model_without_graph(source, layers, notes + more + custom, _subclassed(config))
    name_nested(config, groups)
    arrays, more = assign_groups(config, groups, rules)
    return model_with_graph(source, config, arrays, notes + more + custom)


def _version_of_names(groups: list[WeightGroup]) -> str:
    names = [name for group in groups for name in group.names]
    if not any("kernel" in name for name in names):
        return "1.2.2"
    recent = any("_cell" in name for name in names) or not any(":0" in name for name in names)
    return "2.15.0" if recent else "2.2.4"


def version_of_config(document: Any) -> str:
    """A version whose architectures have the keys that this one has."""
    text = json.dumps(document)
    if '"batch_shape"' in text:
        return "3.10.0" if '"ragged"' in text else "3.0.0"
    for sign, version in (
        ('"time_major"', "2.4.0"),
        ('"registered_name"', "2.13.0"),
        ('"recurrent_activation"', "2.2.4"),
        ('"kernel_initializer"', "2.2.4"),
    ):
        if sign in text:
            return version
    return "1.2.2"


# -- the path layout


def _path_weights(path: Path, top: Node, options: Options, container: str) -> Model:
    if not top.holds_arrays:
        raise Problem(
            "it is an HDF5 file, but holds neither a Keras model (no 'model_config') nor Keras "
            "weights (no 'layer_names', no 'layers')"
        )
    version = _version_of_tree(top)
    if options.architecture is not None:
        document = read_architecture(options.architecture)
        stated = text_of(document, "keras_version")
        notes = [] if stated else [f"no keras_version: read as {version}, by the file's layout"]
        return _from_tree(path, container, document, stated or version, top, options, notes)
    rules = era(version)
    layers, notes = layers_of_tree(top, rules)
    notes.insert(0, f"no keras_version: read as {rules.writer}, by the file's layout")
    return model_without_graph(
        Source(str(path), container, rules), layers, notes, NO_ARCHITECTURE, True
    )


def _version_of_tree(top: Node) -> str:
    """A version that writes such a layout; nothing in the file says which one did."""
    if "_layer_checkpoint_dependencies" in top.children:
        return "2.13.0"  # TensorFlow 2.12 to 2.14 call the container so
    return "3.6.0" if top.holds_names else "3.0.0"


def _from_tree(
    path: Path,
    container: str,
    document: Any,
    version: str,
    top: Node,
    options: Options,
    notes: list[str],
) -> Model:
    """A model from an architecture and arrays of the path layout."""
    config, custom = parse_with_custom(document, options, path)
    rules = era(version)._replace(integers=top.integers)
    source = Source(str(path), container, rules)
    if not config.is_model:
        layers, more = layers_of_tree(top, rules)
        return model_without_graph(source, layers, notes + more + custom, _subclassed(config))
    return model_with_graph(source, config, assign_paths(config, top), notes + custom)


def _subclassed(config: LayerConfig) -> str:
    return f"the model is a class of its own, {config.kind}, whose connections are Python code"


# -- .keras archives and directories


def read_archive(path: Path, options: Options) -> Model:
    """A ``.keras`` archive: ``metadata.json``, ``config.json`` and ``model.weights.h5``."""
    _refuse_architecture(options, path)
    with archive(path) as member:
        parts = {name: member(name) for name in PARTS}
    return _read_parts(path, "Keras archive (.keras)", parts.get, options)


def read_directory(path: Path, options: Options) -> Model:
    """The same parts, unzipped, as ``save_model(zipped=False)`` writes them."""
    _refuse_architecture(options, path)

    def member(name: str) -> bytes | Path | None:
        return path / name if (path / name).is_file() else None

    return _read_parts(path, "Keras directory (an unzipped .keras)", member, options)


def _read_parts(path: Path, container: str, member: Member, options: Options) -> Model:
    metadata = json_member(member, "metadata.json", required=False)
    document = json_member(member, "config.json")
    weights = member("model.weights.h5")
    if weights is None:
        raise Problem("it has a config.json, but no model.weights.h5")
    version = text_of(metadata, "keras_version")
    notes = []
    with hdf5.opened(weights) as file:
        top = read_tree(file)
    if not version:
        version = _version_of_tree(top)
        notes.append(f"no keras_version in metadata.json: read as Keras {version}")
    return _from_tree(path, container, document, version, top, options, notes)


# -- shards


def read_shards(path: Path, options: Options) -> Model:
    """``NAME.weights.json``: which of the numbered ``.weights.h5`` files hold which layer."""
    document = as_mapping(parse_json(path.read_bytes(), path.name), path.name)
    weight_map = as_mapping(document.get("weight_map"), "'weight_map'")
    files: dict[str, list[str]] = {}
    for key, value in weight_map.items():
        names = value if isinstance(value, list) else [value]
        for name in names:
            name = as_text(name, f"'{key}' of 'weight_map'")
            if Path(name).name != name:
                raise Problem(f"'weight_map' names a file in another folder: {describe(name)}")
            files.setdefault(name, []).append(key)
    top = Node()
    for name in sorted(files):
        shard = path.with_name(name)
        if not shard.is_file():
            raise Problem(f"its shard {name} is missing from the same folder")
        with hdf5.opened(shard) as file:
            for key in files[name]:
                group = hdf5.child(file, key.strip("/"))
                if group is not None:
                    add_variables(top, key.strip("/").split("/")[:-1], group)
    return _path_weights(path, top, options, "Keras sharded weights")


# -- architectures


def read_architecture_alone(path: Path, options: Options) -> Model:
    """An architecture has no weights: say how the two go together."""
    raise Problem(
        "it holds an architecture without weights; name the weights file and give this one as "
        f"--architecture {path.name}"
    )


def read_architecture(path: str) -> Any:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--architecture {path}: {error.strerror or error}") from error
    try:
        document = parse_json(content, f"--architecture {path}")
        as_mapping(document, f"--architecture {path}")
    except Problem as problem:
        raise UsageError(str(problem)) from problem
    if "class_name" not in document and isinstance(document.get("model_config"), dict):
        return document["model_config"]
    return document


def _refuse_architecture(options: Options, path: Path) -> None:
    if options.architecture is not None:
        raise UsageError(f"{path} holds its own architecture; leave out --architecture")


def text_of(document: Any, key: str) -> str:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""
