"""Reader of TensorFlow checkpoints: ``NAME.index`` with its data files, or their folder.

Checkpoints of TensorFlow 2 keep a graph of their objects; with ``--architecture`` that gives every
layer its arrays. Older ones have nothing but names.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import UsageError, listing
from ..model import Model
from .keras import read_architecture, text_of, version_of_config
from .keras_custom import parse_with_custom
from .keras_era import Clues, era
from .keras_model import Source, model_with_graph, model_without_graph
from .keras_objects import assign_objects, model_object
from .listing import layers_of
from .object_graph import KEY, ObjectGraph
from .options import Options
from .reading import Problem
from .tensor_bundle import Bundle
from .tf_listing import listed_names, listed_objects

OBJECTS, NAMES = "TensorFlow checkpoint", "TensorFlow checkpoint, variables by name"
NO_CONFIG = "the checkpoint holds weights alone"


def read(path: Path, options: Options) -> Model:
    """A checkpoint, or a folder with one; with an architecture the whole model.

    Raises:
        Problem: if it is damaged, or the folder holds several.
        UsageError: if it cannot go with an architecture.
    """
    bundle = Bundle(index_of(path))
    if options.architecture is not None:
        if KEY not in bundle.entries:
            raise UsageError(
                f"{path} has no graph of objects, as TensorFlow 1 wrote it, and cannot go with "
                "--architecture; leave that out and run its layers with --direct"
            )
        return _with_architecture(path, bundle, read_architecture(options.architecture), options)
    found = listed_model(path, bundle, OBJECTS, NO_CONFIG)
    return replace(found, takes_architecture=KEY in bundle.entries)


def listed_model(
    path: Path, bundle: Bundle, container: str, why: str, tensorflow: str = ""
) -> Model:
    """The layers of a bundle without a config.

    Args:
        path: what was opened.
        bundle: its variables.
        container: what it is, in words.
        why: why there is no graph, as a clause.
        tensorflow: the version that wrote it, where the file says that.
    """
    if KEY in bundle.entries:
        found = listed_objects(ObjectGraph(bundle))
    else:
        found = listed_names(bundle, {name: name for name in bundle.entries})
        container = NAMES if container == OBJECTS else container
    layers, notes = layers_of(found, tensorflow)
    source = Source(str(path), container, era(""))
    writer = f"TensorFlow {tensorflow}" if tensorflow else "TensorFlow, version unknown"
    return replace(model_without_graph(source, layers, notes, why), written_by=writer)


def _with_architecture(path: Path, bundle: Bundle, document: Any, options: Options) -> Model:
    document = plain(document)
    version, notes = text_of(document, "keras_version"), []
    if not version:
        version = version_of_config(document)
        notes.append(f"no keras_version: read as Keras {version}, by the keys of its architecture")
    config, custom = parse_with_custom(document, options, path)
    if not config.is_model:
        raise UsageError(
            f"--architecture is that of {config.owner}, a class of its own, whose connections are "
            "Python code"
        )
    graph = ObjectGraph(bundle)
    names = [each.full_name for each in graph.objects if each.full_name]
    clues = Clues(cell_names=any("_cell" in name for name in names))
    rules = era(version, text_of(document, "backend"), clues)
    arrays = assign_objects(config, graph, model_object(graph))
    source = Source(str(path), OBJECTS, rules)
    return model_with_graph(source, config, arrays, notes + custom)


def plain(document: Any) -> Any:
    """A document with lists in place of what TensorFlow writes for tuples and shapes."""
    if isinstance(document, list):
        return [plain(each) for each in document]
    if not isinstance(document, dict):
        return document
    if document.get("class_name") in ("__tuple__", "TensorShape", "__list__"):
        items = document.get("items")
        if isinstance(items, list):
            return plain(items)
    return {key: plain(value) for key, value in document.items()}


# -- which files


def index_of(path: Path) -> Path:
    """The index of the checkpoint that a path means.

    Raises:
        Problem: if a folder holds several, and does not say which is the latest.
    """
    if path.is_file():
        return path
    folder = path if any(path.glob("*.index")) else path / "variables"
    found = sorted(each for each in folder.glob("*.index") if each.is_file())
    latest = _latest(folder)
    if latest is not None and folder / f"{latest}.index" in found:
        return folder / f"{latest}.index"
    if len(found) != 1:
        names = listing(each.name for each in found)
        raise Problem(f"the folder holds {len(found)} checkpoints; name one of: {names}")
    return found[0]


def _latest(folder: Path) -> str | None:
    """The name that the file ``checkpoint`` gives as the latest, without its folder."""
    file = folder / "checkpoint"
    if not file.is_file() or file.stat().st_size > 2**20:
        return None
    match = re.search(
        r'^model_checkpoint_path: "([^"\n]+)"', file.read_text(errors="replace"), re.M
    )
    return match[1].replace("\\", "/").rpartition("/")[2] if match else None
