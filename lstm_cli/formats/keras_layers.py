"""Keras layers without recurrence: which arrays each holds, and what it computes.

The table ``KINDS`` names for each class its arrays, in Keras's order, and the function that turns
its config into an ``Operation``. Operation names and settings are those of ``engine.layers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..model import Array, Operation
from . import keras_merging as merging
from . import keras_numbers as numbers
from . import keras_windows as windows
from .keras_building import Build, fixed
from .keras_config import LayerConfig
from .keras_era import Era
from .keras_int8 import dequantised, is_quantised
from .reading import NotComputed, Problem, Settings


class Var(NamedTuple):
    """An array that a layer holds: its name, the config key that decides whether it is there."""

    name: str
    key: str = ""
    default: bool = True
    trainable: bool = True


class Kind(NamedTuple):
    """A class: its arrays in order, and how its operation is made of config and arrays."""

    build: Build
    variables: tuple[Var, ...] = ()


def variables(layer: LayerConfig) -> list[Var] | None:
    """The arrays that a layer of this class and config holds; None for a class we don't know."""
    kind = KINDS.get(layer.class_name)
    if kind is None:
        return None
    if layer.class_name == "Normalization" and layer.settings.get("mean") is not None:
        return []
    return [var for var in kind.variables if _is_held(var, layer.settings)]


def _is_held(var: Var, settings: Settings) -> bool:
    if var.name == "concat_score_weight":
        return settings.get("score_mode") == "concat"
    if var.name == "beta" and settings.boolean("rms_scaling"):
        return False
    return not var.key or settings.boolean(var.key, var.default)


def build_operation(layer: LayerConfig, arrays: list[Array], era: Era) -> Operation:
    """What a layer computes.

    Raises:
        Problem: if its config or arrays are not those of its class.
        NotComputed: if its activation is not one of Keras's.
    """
    expected = variables(layer)
    if expected is None:
        raise Problem(f"{layer.owner} is of an unknown class")
    if layer.class_name == "Normalization" and len(arrays) == 2:
        expected = expected[:2]
    if is_quantised(layer):
        arrays = dequantised(layer, arrays)
    if len(arrays) > len(expected) and isinstance(layer.settings.get("activation"), Mapping):
        raise NotComputed("its activation is a layer with weights of its own")
    if len(arrays) != len(expected):
        names = ", ".join(var.name for var in expected) or "none"
        raise Problem(
            f"{layer.owner} should hold {len(expected)} arrays ({names}), found {len(arrays)}"
        )
    named = {var.name: array for var, array in zip(expected, arrays, strict=True)}
    for name, array in named.items():
        if array.dtype.kind != "f" and name != "count":
            raise NotComputed(f"its {name} holds {array.dtype}, not floating-point numbers")
    return KINDS[layer.class_name].build(layer, named, era)


_KERNEL = Var("kernel")
_BIAS = Var("bias", "use_bias")
_GAMMA_BETA = (Var("gamma", "scale"), Var("beta", "center"))
_IDENTITY = Kind(fixed("identity"))
_SEPARABLE = (Var("depthwise_kernel"), Var("pointwise_kernel"), _BIAS)

KINDS: Mapping[str, Kind] = {
    "InputLayer": _IDENTITY,
    "Dropout": _IDENTITY,
    "SpatialDropout1D": _IDENTITY,
    "SpatialDropout2D": _IDENTITY,
    "GaussianNoise": _IDENTITY,
    "GaussianDropout": _IDENTITY,
    "AlphaDropout": _IDENTITY,
    "ActivityRegularization": _IDENTITY,
    "Identity": _IDENTITY,
    "Dense": Kind(numbers.dense, (_KERNEL, _BIAS)),
    "Embedding": Kind(numbers.embedding, (Var("embeddings"),)),
    "Masking": Kind(numbers.masking),
    "Activation": Kind(numbers.activation_layer),
    "ReLU": Kind(numbers.relu),
    "LeakyReLU": Kind(numbers.leaky_relu),
    "PReLU": Kind(fixed("prelu"), (Var("alpha"),)),
    "ELU": Kind(numbers.elu),
    "ThresholdedReLU": Kind(numbers.thresholded_relu),
    "Softmax": Kind(numbers.softmax),
    "BatchNormalization": Kind(
        numbers.batch_normalization,
        (
            *_GAMMA_BETA,
            Var("moving_mean", trainable=False),
            Var("moving_variance", trainable=False),
        ),
    ),
    "LayerNormalization": Kind(numbers.layer_normalization, _GAMMA_BETA),
    "Conv1D": Kind(windows.convolution("conv1d", 1), (_KERNEL, _BIAS)),
    "Conv2D": Kind(windows.convolution("conv2d", 2), (_KERNEL, _BIAS)),
    "SeparableConv1D": Kind(windows.convolution("separable_conv1d", 1), _SEPARABLE),
    "SeparableConv2D": Kind(windows.convolution("separable_conv2d", 2), _SEPARABLE),
    "DepthwiseConv1D": Kind(
        windows.convolution("depthwise_conv1d", 1), (Var("depthwise_kernel"), _BIAS)
    ),
    "DepthwiseConv2D": Kind(
        windows.convolution("depthwise_conv2d", 2), (Var("depthwise_kernel"), _BIAS)
    ),
    "MaxPooling1D": Kind(windows.pooling("max_pooling1d", 1)),
    "MaxPooling2D": Kind(windows.pooling("max_pooling2d", 2)),
    "AveragePooling1D": Kind(windows.pooling("average_pooling1d", 1)),
    "AveragePooling2D": Kind(windows.pooling("average_pooling2d", 2)),
    "GlobalMaxPooling1D": Kind(windows.global_pooling("global_max_pooling1d")),
    "GlobalMaxPooling2D": Kind(windows.global_pooling("global_max_pooling2d")),
    "GlobalAveragePooling1D": Kind(windows.global_pooling("global_average_pooling1d")),
    "GlobalAveragePooling2D": Kind(windows.global_pooling("global_average_pooling2d")),
    "ZeroPadding1D": Kind(windows.pairs("padding", "zero_padding1d", 1, 1)),
    "ZeroPadding2D": Kind(windows.pairs("padding", "zero_padding2d", 2, 1)),
    "Cropping1D": Kind(windows.pairs("cropping", "cropping1d", 1, 1)),
    "Cropping2D": Kind(windows.pairs("cropping", "cropping2d", 2, 0)),
    "UpSampling1D": Kind(windows.up_sampling("up_sampling1d", 1)),
    "UpSampling2D": Kind(windows.up_sampling("up_sampling2d", 2)),
    "Flatten": Kind(merging.flatten),
    "Reshape": Kind(merging.reshape),
    "Permute": Kind(merging.permute),
    "RepeatVector": Kind(merging.repeat_vector),
    "Concatenate": Kind(merging.concatenate),
    "Add": Kind(merging.merge("add")),
    "Subtract": Kind(merging.merge("subtract")),
    "Multiply": Kind(merging.merge("multiply")),
    "Average": Kind(merging.merge("average")),
    "Maximum": Kind(merging.merge("maximum")),
    "Minimum": Kind(merging.merge("minimum")),
    "Dot": Kind(merging.dot),
    "Merge": Kind(merging.keras1_merge),
    "Attention": Kind(
        merging.attention, (Var("scale", "use_scale", False), Var("concat_score_weight"))
    ),
    "AdditiveAttention": Kind(merging.attention, (Var("scale", "use_scale"),)),
    "Rescaling": Kind(numbers.rescaling),
    "Normalization": Kind(
        numbers.normalization,
        tuple(Var(name, trainable=False) for name in ("mean", "variance", "count")),
    ),
}
