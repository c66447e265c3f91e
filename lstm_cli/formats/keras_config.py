"""Keras architectures of every version as one tree, with the keys of Keras 2.

Source: the ``get_config`` of Keras 0.3 to 3.15; the renamings are those of Keras 2.0's own
``keras.legacy.interfaces``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .reading import Problem, Settings, as_list, as_mapping, as_text

MODELS = {"Sequential", "Model", "Functional"}
WRAPPERS = {"TimeDistributed", "Bidirectional"}
LSTM_CLASSES = {"LSTM", "CuDNNLSTM"}
RECURRENT = {*LSTM_CLASSES, "GRU", "CuDNNGRU", "SimpleRNN"}
CELLS = {"LSTMCell", "GRUCell", "SimpleRNNCell"}
PACKAGES = {"keras", "tf_keras", "tensorflow", "keras_core"}
"""Where Keras's own classes are defined."""
MAX_DEPTH = 50
BIDIRECTIONAL_DEPTH = 10  # what it wraps is read twice, so 50 in each other would have no end

CLASS_ALIASES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "TimeDistributedDense": "Dense",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
}

_KEYS_OF_KERAS_1 = {
    "inner_activation": "recurrent_activation",
    "bias": "use_bias",
    "p": "rate",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "border_mode": "padding",
    "subsample_length": "strides",
    "subsample": "strides",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "stride": "strides",
    "length": "size",
}


@dataclass(slots=True, eq=False)
class LayerConfig:
    """One layer of an architecture, and the layers inside it.

    Attributes:
        class_name: the class, under its newest name; ``kind`` is what the file says.
        settings: its config with the keys of Keras 2.
        nodes: the raw ``inbound_nodes``.
        module: where Keras 3 says the class lives; ``""`` where it does not.
        sublayers: a model's layers; a wrapper's layer(s); an RNN's cell; stacked cells; the branch
            models of a Keras 1 Merge that stands first in a Sequential.
        shared: the number that Keras 3 gives an object which stands in the file several times.
        custom: whether the file says that the class is not Keras's own, whatever its name is.
        asked_for: the names by which the caller wants it read as an LSTM.
    """

    class_name: str
    kind: str
    name: str
    settings: Settings
    nodes: list[Any] = field(default_factory=list)
    module: str = ""
    sublayers: list[LayerConfig] = field(default_factory=list)
    named: bool = True
    shared: int | None = None
    custom: bool = False
    asked_for: frozenset[str] = frozenset()

    @property
    def is_model(self) -> bool:
        return self.class_name in MODELS

    @property
    def owner(self) -> str:
        """How messages call this layer."""
        return f"layer '{self.name}' ({self.kind})"

    @property
    def looks_like_lstm(self) -> bool:
        """Whether a custom class has the settings of an LSTM."""
        return "units" in self.settings and "recurrent_activation" in self.settings

    def walk(self) -> Iterator[LayerConfig]:
        """This layer and all inside it, outer first."""
        yield self
        for layer in self.sublayers:
            yield from layer.walk()


def parse_architecture(document: Any, treat_as_lstm: tuple[str, ...] = ()) -> LayerConfig:
    """The tree of a parsed ``model_config`` or ``config.json``.

    Args:
        document: ``{"class_name": …, "config": …}``.
        treat_as_lstm: class names of custom layers to read as LSTM.

    Raises:
        Problem: if it is not an architecture.
    """
    return _layer(document, "the model", treat_as_lstm, 0)


def _layer(document: Any, where: str, as_lstm: tuple[str, ...], depth: int) -> LayerConfig:
    if depth > MAX_DEPTH:
        raise Problem(f"layers are nested more than {MAX_DEPTH} deep")
    entry = as_mapping(document, where)
    kind = as_text(entry.get("class_name"), f"'class_name' of {where}")
    class_name = CLASS_ALIASES.get(kind, kind)
    custom, asked_for = _is_custom(entry, kind), _names(entry, kind) & set(as_lstm)
    if custom:
        class_name = f"custom>{kind}"  # "LSTM" too
    if asked_for:
        class_name = "LSTM"
    raw: Any = entry.get("config", {})
    layers: list[Any] = []
    if class_name == "Sequential" and isinstance(raw, list):  # Keras up to 2.2.2
        raw, layers = {}, raw
    config = dict(as_mapping(raw, f"'config' of {where}"))
    name = entry.get("name") or config.get("name") or _inner_name(config) or ""
    name = as_text(name, f"'name' of {where}")
    kind = kind.rsplit(">", 1)[-1]
    owner = f"layer '{name}' ({kind})"
    if class_name in MODELS and not layers:
        layers = as_list(config.get("layers", []), f"'layers' of {owner}")
    if class_name not in MODELS:
        layers = _inside(class_name, config, owner)
    found = LayerConfig(
        class_name=class_name,
        kind=kind,
        name=name or class_name.lower(),
        settings=Settings(_renamed(class_name, config), owner),
        nodes=as_list(entry.get("inbound_nodes") or [], f"'inbound_nodes' of {owner}"),
        module=entry["module"] if isinstance(entry.get("module"), str) else "",
        named=bool(name),
        shared=_whole(entry.get("shared_object_id")),
        custom=custom,
        asked_for=frozenset(asked_for),
    )
    deeper = depth + (BIDIRECTIONAL_DEPTH if class_name == "Bidirectional" else 1)
    found.sublayers = [
        _layer(layer, f"a layer inside {owner}", as_lstm, deeper) for layer in layers
    ]
    if class_name in MODELS:
        _make_names_unique(found.sublayers)
    return found


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _names(entry: Mapping[str, Any], kind: str) -> set[str]:
    """The names of a class: as in the file, as registered, and both without their package."""
    registered = entry.get("registered_name")
    names = [kind, registered] if isinstance(registered, str) else [kind]
    return {part for name in names for part in (name, name.rsplit(">", 1)[-1])}


def _is_custom(entry: Mapping[str, Any], kind: str) -> bool:
    """Whether a class is not Keras's own: its package or its module says so.

    Source: ``serialize_keras_object`` of Keras 3 and of tf.keras from 2.12 on, which give Keras's
    own classes a module of Keras, and ``get_registered_name``: ``package>Class``.
    """
    registered = entry.get("registered_name")
    packaged = registered if isinstance(registered, str) else kind
    if ">" in packaged:
        return packaged.split(">")[0].lower() not in PACKAGES
    if not isinstance(registered, str):
        return False
    module = entry.get("module")
    return not isinstance(module, str) or module.split(".")[0] not in PACKAGES


def _inner_name(config: Mapping[str, Any]) -> str:
    """Keras 1 wrappers may have no name but that of the layer they wrap."""
    inner = config.get("layer")
    inner_config = inner.get("config") if isinstance(inner, dict) else None
    name = inner_config.get("name") if isinstance(inner_config, dict) else None
    return name if isinstance(name, str) else ""


def _inside(class_name: str, config: dict[str, Any], owner: str) -> list[Any]:
    """The raw configs of the layers that a wrapper, an RNN or stacked cells hold."""
    if class_name == "TimeDistributed":
        return [_required(config, "layer", owner)]
    if class_name == "Bidirectional":
        forward = _required(config, "layer", owner)
        return [forward, config.get("backward_layer") or reversed_copy(forward)]
    if class_name == "RNN":
        cell = _required(config, "cell", owner)
        if isinstance(cell, list):
            return [{"class_name": "StackedRNNCells", "config": {"cells": cell}}]
        return [cell]
    if class_name == "StackedRNNCells":
        return as_list(_required(config, "cells", owner), f"'cells' of {owner}")
    if class_name == "Merge" and config.get("layers"):
        return as_list(config["layers"], f"'layers' of {owner}")
    return []


def _required(config: Mapping[str, Any], key: str, owner: str) -> Any:
    if config.get(key) is None:
        raise Problem(f"{owner} has no '{key}'; it has: {', '.join(sorted(config)) or 'nothing'}")
    return config[key]


def reversed_copy(forward: Any) -> dict[str, Any]:
    """The backward layer that Keras derives from the forward one."""
    entry = as_mapping(forward, "the layer of a Bidirectional")
    config = as_mapping(entry.get("config", {}), "the config of a Bidirectional's layer")
    turned = {**config, "go_backwards": not config.get("go_backwards", False)}
    return {**entry, "config": turned}


def _renamed(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The config with Keras 1 keys under their Keras 2 names."""
    renamed = {}
    for key, value in config.items():
        new = _KEYS_OF_KERAS_1.get(key, key)
        if key == "output_dim" and class_name != "Embedding":
            new = "units"
        if new not in config or new == key:
            renamed[new] = value
    if "nb_row" in config and "nb_col" in config:
        renamed["kernel_size"] = [config["nb_row"], config["nb_col"]]
    order = config.get("dim_ordering")
    if order in ("tf", "th"):
        renamed["data_format"] = "channels_last" if order == "tf" else "channels_first"
    return renamed


def _make_names_unique(layers: list[LayerConfig]) -> None:
    """Nested Sequentials of Keras 1 have no name; their class stands in for it."""
    taken = {layer.name for layer in layers if layer.named}
    for layer in layers:
        if layer.named:
            continue
        base, k = layer.name, 0
        while layer.name in taken:
            k += 1
            layer.name = f"{base}_{k}"
        taken.add(layer.name)
