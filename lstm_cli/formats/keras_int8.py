"""Layers of Keras 3 whose weights are kept as whole numbers of 8 bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..model import Array
from .keras_config import LayerConfig
from .reading import NotComputed, Problem


def is_quantised(layer: LayerConfig) -> bool:
    """Whether the layer's dtype is a policy of Keras 3 that has a mode such as ``int8``."""
    dtype = layer.settings.get("dtype")
    config = dtype.get("config") if isinstance(dtype, Mapping) else None
    return isinstance(config, Mapping) and "mode" in config


def dequantised(layer: LayerConfig, arrays: list[Array]) -> list[Array]:
    """Arrays of an int8 layer as it holds them otherwise: the last one is a scale to divide by.

    A Dense has one scale for each unit, an Embedding one for each entry.
    """
    settings = layer.settings
    dtype = settings["dtype"].get("config", {})
    mode = dtype.get("mode") if isinstance(dtype, Mapping) else None
    plain = 1 + (layer.class_name == "Dense" and settings.boolean("use_bias", True))
    if mode != "int8" or layer.class_name not in ("Dense", "Embedding"):
        raise NotComputed(f"its weights are quantised as '{mode}'; only int8 is computed")
    if len(arrays) != plain + 1 or arrays[0].dtype != np.int8:
        raise NotComputed(f"it holds {len(arrays)} arrays, which is not Keras's form of int8")
    values, scale = arrays[0], arrays[-1].astype(np.float32)
    if layer.class_name == "Embedding":
        scale = scale.reshape(-1, 1)
    if values.ndim != 2 or scale.shape not in (values.shape[1:], (values.shape[0], 1)):
        raise Problem(f"{layer.owner}: int8 weights {values.shape} with scale {scale.shape}")
    return [values.astype(np.float32) / scale, *arrays[1:-1]]
