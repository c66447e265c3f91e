"""Custom classes that compute as an LSTM, because the caller says so."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError, listing
from .keras_config import (
    CELLS,
    CLASS_ALIASES,
    MODELS,
    RECURRENT,
    WRAPPERS,
    LayerConfig,
    parse_architecture,
)
from .keras_layers import KINDS
from .options import Options, treated

OWN = {*MODELS, *WRAPPERS, *RECURRENT, *CELLS, *KINDS, "RNN", "StackedRNNCells", "Lambda"}
"""Classes of Keras's own, unless the file says otherwise."""


def parse_with_custom(
    document: Any, options: Options, path: object
) -> tuple[LayerConfig, list[str]]:
    """An architecture whose custom classes are read as the caller says, and notes that say so.

    Raises:
        Problem: if the document is no architecture.
        UsageError: if the caller names a class that no layer has, or one of Keras's own.
    """
    config = parse_architecture(document, options.treat_as_lstm)
    layers = [layer for layer in config.walk() if layer is not config]
    for name in options.treat_as_lstm:
        asked = [layer for layer in layers if name in layer.asked_for]
        if not asked or not all(map(_may_be_custom, asked)):
            raise UsageError(f"--treat-as-lstm {name}: {path} {_custom_classes(layers)}")
    return config, [treated(name) for name in options.treat_as_lstm]


def _may_be_custom(layer: LayerConfig) -> bool:
    return layer.custom or CLASS_ALIASES.get(layer.kind, layer.kind) not in OWN


def _custom_classes(layers: list[LayerConfig]) -> str:
    """Which custom classes there are, as the rest of a sentence."""
    named = {
        layer.kind
        for layer in layers
        if layer.custom or (layer.looks_like_lstm and _may_be_custom(layer) and not layer.module)
    }
    if not named:
        return "has no layer of a custom class"
    return f"has no custom class of that name; its custom classes are: {listing(sorted(named))}"
