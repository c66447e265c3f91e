"""What all builders of Keras operations share: config and arrays in, an ``Operation`` out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..model import Array, Operation
from .keras_activations import parse_activation
from .keras_config import LayerConfig
from .keras_era import Era
from .reading import Problem, Settings

Arrays = dict[str, Array]
"""The arrays of a layer by name."""

Build = Callable[[LayerConfig, Arrays, Era], Operation]
"""Makes an operation of a layer's config and arrays, by the rules of its Keras."""


def need_rank(layer: LayerConfig, arrays: Arrays, **ranks: int) -> None:
    for name, rank in ranks.items():
        if name in arrays and arrays[name].ndim != rank:
            raise Problem(
                f"'{name}' of {layer.owner} should have {rank} axes, found {arrays[name].shape}"
            )


def fixed(name: str, **fixed: Any) -> Build:
    """An operation whose settings do not depend on the config."""
    return lambda layer, arrays, era: Operation(name, fixed, arrays)


def activation(settings: Settings, era: Era, key: str = "activation") -> Any:
    return parse_activation(settings.get(key), era)


def data_format(settings: Settings) -> str:
    value = settings.text("data_format", "channels_last")
    if value not in ("channels_last", "channels_first"):
        raise settings.fail("data_format", "channels_last or channels_first")
    return value
