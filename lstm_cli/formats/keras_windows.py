"""Keras layers that look at windows of steps: convolution, pooling, padding, cropping."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..model import Array, Operation
from .keras_building import Arrays, Build, activation, data_format
from .keras_config import LayerConfig
from .keras_era import Era
from .reading import LARGEST, NotComputed, Problem, Settings


def _window(settings: Settings, rank: int, size: str) -> dict[str, Any]:
    """Settings that convolutions and poolings share."""
    padding = settings.text("padding", "valid")
    if padding not in ("valid", "same", "causal", "full"):
        raise settings.fail("padding", "valid, same or causal")
    default = settings.integers(size, None if size == "kernel_size" else 2, rank)
    strides = 1 if size == "kernel_size" else default
    return {
        size: default,
        "strides": settings.integers("strides", strides, rank),
        "padding": padding,
        "data_format": data_format(settings),
    }


def convolution(name: str, rank: int) -> Build:
    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        settings = layer.settings
        values = _window(settings, rank, "kernel_size")
        if era.backend == "theano" and values["padding"] == "same":
            values["padding"] = "half"  # even windows begin one step earlier than elsewhere
        values["dilation_rate"] = settings.integers("dilation_rate", 1, rank)
        values["groups"] = settings.integer("groups", 1)
        values["depth_multiplier"] = settings.integer("depth_multiplier", 1)
        values["activation"] = activation(settings, era)
        arrays = {name: _oriented(name, array, layer, rank, era) for name, array in arrays.items()}
        for kernel in set(arrays) & {"kernel", "depthwise_kernel"}:
            if list(arrays[kernel].shape[:rank]) != values["kernel_size"]:
                raise Problem(
                    f"{layer.owner} says kernel_size {values['kernel_size']}, "
                    f"its kernel is {arrays[kernel].shape}"
                )
        return Operation(name, values, arrays)

    return build


def _oriented(name: str, array: Array, layer: LayerConfig, rank: int, era: Era) -> Array:
    """A kernel as (window…, in, out), for correlation: Theano's is turned round."""
    if "kernel" not in name:
        return array
    if era.is_keras1 and rank == 1 and array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]  # Keras 1 computes Conv1D as a Conv2D of width 1
    if era.is_keras1 and rank == 2 and data_format(layer.settings) == "channels_first":
        array = array.transpose(2, 3, 1, 0)
    if array.ndim != rank + 2:
        raise Problem(f"'{name}' of {layer.owner} should have {rank + 2} axes, found {array.shape}")
    if era.backend == "theano" and name != "pointwise_kernel":
        array = np.flip(array, axis=tuple(range(rank)))
    return array


def pooling(name: str, rank: int) -> Build:
    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        values = _window(layer.settings, rank, "pool_size")
        if era.backend == "theano" and values["padding"] == "same":
            raise NotComputed("pooling with padding 'same' differs on the Theano backend")
        if name.startswith("average") and _may_pad_unevenly(values):
            values["uneven"] = _uneven_rule(values["pool_size"], era)
        return Operation(name, values)

    return build


def differs_by_backend(layer: LayerConfig, era: Era) -> bool:
    """Whether a layer of Keras 3 may compute another thing on another backend."""
    if not layer.class_name.startswith("AveragePooling"):
        return False
    values = _window(layer.settings, 1 if layer.class_name.endswith("1D") else 2, "pool_size")
    other = era._replace(backend="", integers="int32")
    return _may_pad_unevenly(values) and bool(_uneven_rule(values["pool_size"], other))


def _may_pad_unevenly(values: dict[str, Any]) -> bool:
    """Whether there are lengths that need more padding behind the input than before it.

    Windows one step apart need one step less than they have, whatever comes in; others as many as
    the length leaves over.
    """
    pairs = zip(values["pool_size"], values["strides"], strict=True)
    return values["padding"] == "same" and any(
        size > 1 and (stride > 1 or size % 2 == 0) for size, stride in pairs
    )


def _uneven_rule(sizes: list[int], era: Era) -> str:
    """What average pooling counts where it pads more steps behind its input than before it.

    TensorFlow and JAX leave the padding out; that is ``""``. Keras's PyTorch backend repeats the
    values at the edges and counts them, from 3.5 on; windows of two see no difference. Before, it
    adds a zero behind and counts it. Source: ``average_pool`` in ``keras/src/backend/torch/nn.py``.
    """
    if era.backend != "torch" and not era.is_other_backend:
        return ""
    if era.numbers >= (3, 5) and max(sizes) <= 2:
        return ""
    if era.is_other_backend:
        return "unknown"
    if era.numbers < (3, 5):
        if len(sizes) > 1:
            raise NotComputed("2D pooling with padding 'same' differs on this PyTorch backend")
        return "zero"
    if len(set(sizes)) > 1 and era.numbers < (3, 10):
        raise NotComputed("2D pooling with padding 'same' differs on this PyTorch backend")
    return "edge"


def global_pooling(name: str) -> Build:
    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        settings = layer.settings
        values = {
            "keepdims": settings.boolean("keepdims"),
            "data_format": data_format(settings),
        }
        return Operation(name, values)

    return build


def pairs(key: str, name: str, rank: int, default: Any) -> Build:
    """Padding and cropping: one number, a number an axis, or a pair an axis."""

    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        raw = layer.settings.get(key, default)
        value = [raw] * rank if isinstance(raw, int) else raw
        if isinstance(value, list) and rank == 1 and len(value) == 2:
            value = [value]
        if not isinstance(value, list) or len(value) != rank:
            raise layer.settings.fail(key, "one or two whole numbers an axis")
        pairs = [[side, side] if isinstance(side, int) else side for side in value]
        if not all(
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(n, int) and 0 <= n <= LARGEST for n in pair)
            for pair in pairs
        ):
            raise layer.settings.fail(key, f"whole numbers from 0 to {LARGEST:,}")
        shape: Any = pairs[0] if rank == 1 else pairs
        return Operation(name, {key: shape, "data_format": data_format(layer.settings)})

    return build


def up_sampling(name: str, rank: int) -> Build:
    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        settings = layer.settings
        if settings.text("interpolation", "nearest") != "nearest":
            raise NotComputed("only nearest interpolation is computed")
        size = settings.integers("size", 2, rank)
        values = {"size": size[0] if rank == 1 else size, "data_format": data_format(settings)}
        return Operation(name, values)

    return build
