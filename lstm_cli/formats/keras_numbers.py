"""Keras layers that change numbers one by one, or weigh and normalise them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..model import Operation
from .keras_building import Arrays, activation, need_rank
from .keras_config import LayerConfig
from .keras_era import Era
from .reading import NotComputed, Problem, Settings


def dense(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    need_rank(layer, arrays, kernel=2, bias=1)
    units = layer.settings.get("units")
    if units is not None and layer.settings.integer("units") != arrays["kernel"].shape[1]:
        raise Problem(f"{layer.owner} says {units} units, its kernel is {arrays['kernel'].shape}")
    if layer.settings.get("lora_rank"):
        raise NotComputed("part of its weights is kept as LoRA")
    return Operation("dense", {"activation": activation(layer.settings, era)}, arrays)


def embedding(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    need_rank(layer, arrays, embeddings=2)
    return Operation("embedding", {"mask_zero": layer.settings.boolean("mask_zero")}, arrays)


def masking(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("masking", {"mask_value": layer.settings.number("mask_value", 0.0)})


def activation_layer(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("activation", {"activation": activation(layer.settings, era)})


def relu(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    settings = layer.settings
    return Operation(
        "relu",
        {
            "max_value": settings.optional_number("max_value"),
            "negative_slope": settings.number("negative_slope", 0.0),
            "threshold": settings.number("threshold", 0.0),
        },
    )


def leaky_relu(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    key = "negative_slope" if "negative_slope" in layer.settings else "alpha"
    return Operation("leaky_relu", {"negative_slope": layer.settings.number(key, 0.3)})


def elu(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("elu", {"alpha": layer.settings.number("alpha", 1.0)})


def thresholded_relu(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("thresholded_relu", {"theta": layer.settings.number("theta", 1.0)})


def softmax(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    axis = layer.settings.integers("axis", -1, None)
    if len(axis) != 1:
        raise layer.settings.fail("axis", "one axis")
    return Operation("softmax", {"axis": axis[0]})


def batch_normalization(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    if layer.settings.integer("mode", 0) == 1:
        raise NotComputed("mode 1 normalises each sample by itself")
    axis = layer.settings.integers("axis", -1)
    if len(axis) != 1:
        raise layer.settings.fail("axis", "one axis")
    default = 1e-5 if era.is_keras1 and era.numbers < (1, 2) else 1e-3
    epsilon = layer.settings.number("epsilon", default)
    return Operation("batch_normalization", {"axis": axis[0], "epsilon": epsilon}, arrays)


def layer_normalization(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    settings = layer.settings
    values = {
        "axis": settings.integers("axis", -1),
        "epsilon": settings.number("epsilon", 1e-3),
        "rms_scaling": settings.boolean("rms_scaling"),
    }
    return Operation("layer_normalization", values, arrays)


def rescaling(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    values = {
        key: _numbers(layer.settings, key, default)
        for key, default in (("scale", 1.0), ("offset", 0.0))
    }
    return Operation("rescaling", {**values, "drops_mask": not era.is_keras3})


def normalization(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    settings = layer.settings
    if not arrays:
        arrays = {
            key: np.asarray(_numbers(settings, key), np.float32) for key in ("mean", "variance")
        }
    axis = None if settings.get("axis", -1) is None else settings.integers("axis", -1)
    values = {
        "axis": axis,
        "invert": settings.boolean("invert"),
        "drops_mask": not era.is_keras3,  # tf.keras's layer does not support masks
    }
    return Operation("normalization", values, {k: arrays[k] for k in ("mean", "variance")})


def _numbers(settings: Settings, key: str, default: float | None = None) -> Any:
    """A number or nested lists of numbers."""
    value = settings.get(key, default)
    try:
        array = np.asarray(default if value is None else value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise settings.fail(key, "numbers") from error
    return float(array) if array.ndim == 0 else array
