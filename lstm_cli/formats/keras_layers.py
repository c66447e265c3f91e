"""Keras layers without recurrence: which arrays each holds, and what it computes.

The table ``KINDS`` names for each class its arrays, in Keras's order, and the function that turns
its config into an ``Operation``. Operation names and settings are those of ``engine.layers``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..model import Array, Operation
from .keras_activations import parse_activation
from .keras_config import LayerConfig
from .keras_era import Era
from .reading import LARGEST, NotComputed, Problem, Settings

Arrays = dict[str, Array]


class Var(NamedTuple):
    """An array that a layer holds: its name, the config key that decides whether it is there."""

    name: str
    key: str = ""
    default: bool = True
    trainable: bool = True


class Kind(NamedTuple):
    """A class: its arrays in order, and how its operation is made of config and arrays."""

    build: Callable[[LayerConfig, Arrays, Era], Operation]
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
        arrays = _dequantised(layer, arrays)
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


def _need_rank(layer: LayerConfig, arrays: Arrays, **ranks: int) -> None:
    for name, rank in ranks.items():
        if name in arrays and arrays[name].ndim != rank:
            raise Problem(
                f"'{name}' of {layer.owner} should have {rank} axes, found {arrays[name].shape}"
            )


def _fixed(name: str, **fixed: Any) -> Callable[[LayerConfig, Arrays, Era], Operation]:
    """An operation whose settings do not depend on the config."""
    return lambda layer, arrays, era: Operation(name, fixed, arrays)


def _activation(settings: Settings, era: Era, key: str = "activation") -> Any:
    return parse_activation(settings.get(key), era)


def _dense(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    _need_rank(layer, arrays, kernel=2, bias=1)
    units = layer.settings.get("units")
    if units is not None and layer.settings.integer("units") != arrays["kernel"].shape[1]:
        raise Problem(f"{layer.owner} says {units} units, its kernel is {arrays['kernel'].shape}")
    if layer.settings.get("lora_rank"):
        raise NotComputed("part of its weights is kept as LoRA")
    return Operation("dense", {"activation": _activation(layer.settings, era)}, arrays)


def is_quantised(layer: LayerConfig) -> bool:
    """Whether the layer's dtype is a policy of Keras 3 that has a mode such as ``int8``."""
    dtype = layer.settings.get("dtype")
    config = dtype.get("config") if isinstance(dtype, Mapping) else None
    return isinstance(config, Mapping) and "mode" in config


def _dequantised(layer: LayerConfig, arrays: list[Array]) -> list[Array]:
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


def _embedding(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    _need_rank(layer, arrays, embeddings=2)
    return Operation("embedding", {"mask_zero": layer.settings.boolean("mask_zero")}, arrays)


def _masking(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("masking", {"mask_value": layer.settings.number("mask_value", 0.0)})


def _activation_layer(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("activation", {"activation": _activation(layer.settings, era)})


def _relu(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    settings = layer.settings
    return Operation(
        "relu",
        {
            "max_value": settings.optional_number("max_value"),
            "negative_slope": settings.number("negative_slope", 0.0),
            "threshold": settings.number("threshold", 0.0),
        },
    )


def _leaky_relu(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    key = "negative_slope" if "negative_slope" in layer.settings else "alpha"
    return Operation("leaky_relu", {"negative_slope": layer.settings.number(key, 0.3)})


def _elu(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("elu", {"alpha": layer.settings.number("alpha", 1.0)})


def _thresholded_relu(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("thresholded_relu", {"theta": layer.settings.number("theta", 1.0)})


def _softmax(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    axis = layer.settings.integers("axis", -1, None)
    if len(axis) != 1:
        raise layer.settings.fail("axis", "one axis")
    return Operation("softmax", {"axis": axis[0]})


def _batch_normalization(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    if layer.settings.integer("mode", 0) == 1:
        raise NotComputed("mode 1 normalises each sample by itself")
    axis = layer.settings.integers("axis", -1)
    if len(axis) != 1:
        raise layer.settings.fail("axis", "one axis")
    default = 1e-5 if era.is_keras1 and era.numbers < (1, 2) else 1e-3
    epsilon = layer.settings.number("epsilon", default)
    return Operation("batch_normalization", {"axis": axis[0], "epsilon": epsilon}, arrays)


def _layer_normalization(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    settings = layer.settings
    values = {
        "axis": settings.integers("axis", -1),
        "epsilon": settings.number("epsilon", 1e-3),
        "rms_scaling": settings.boolean("rms_scaling"),
    }
    return Operation("layer_normalization", values, arrays)


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
        "data_format": _data_format(settings),
    }


def _data_format(settings: Settings) -> str:
    value = settings.text("data_format", "channels_last")
    if value not in ("channels_last", "channels_first"):
        raise settings.fail("data_format", "channels_last or channels_first")
    return value


def _convolution(name: str, rank: int) -> Callable[[LayerConfig, Arrays, Era], Operation]:
    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        settings = layer.settings
        values = _window(settings, rank, "kernel_size")
        if era.backend == "theano" and values["padding"] == "same":
            values["padding"] = "half"  # even windows begin one step earlier than elsewhere
        values["dilation_rate"] = settings.integers("dilation_rate", 1, rank)
        values["groups"] = settings.integer("groups", 1)
        values["depth_multiplier"] = settings.integer("depth_multiplier", 1)
        values["activation"] = _activation(settings, era)
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
    if era.is_keras1 and rank == 2 and _data_format(layer.settings) == "channels_first":
        array = array.transpose(2, 3, 1, 0)
    if array.ndim != rank + 2:
        raise Problem(f"'{name}' of {layer.owner} should have {rank + 2} axes, found {array.shape}")
    if era.backend == "theano" and name != "pointwise_kernel":
        array = np.flip(array, axis=tuple(range(rank)))
    return array


def _pooling(name: str, rank: int) -> Callable[[LayerConfig, Arrays, Era], Operation]:
    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        values = _window(layer.settings, rank, "pool_size")
        if era.backend == "theano" and values["padding"] == "same":
            raise NotComputed("pooling with padding 'same' differs on the Theano backend")
        if era.backend == "torch" and values["padding"] == "same" and name.startswith("average"):
            raise NotComputed("average pooling with padding 'same' differs on the PyTorch backend")
        return Operation(name, values)

    return build


def _global_pooling(name: str) -> Callable[[LayerConfig, Arrays, Era], Operation]:
    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        settings = layer.settings
        values = {
            "keepdims": settings.boolean("keepdims"),
            "data_format": _data_format(settings),
        }
        return Operation(name, values)

    return build


def _pairs(key: str, name: str, rank: int, default: Any) -> Callable[..., Operation]:
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
        return Operation(name, {key: shape, "data_format": _data_format(layer.settings)})

    return build


def _up_sampling(name: str, rank: int) -> Callable[[LayerConfig, Arrays, Era], Operation]:
    def build(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
        settings = layer.settings
        if settings.text("interpolation", "nearest") != "nearest":
            raise NotComputed("only nearest interpolation is computed")
        size = settings.integers("size", 2, rank)
        values = {"size": size[0] if rank == 1 else size, "data_format": _data_format(settings)}
        return Operation(name, values)

    return build


def _flatten(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("flatten", {"data_format": _data_format(layer.settings)})


def _reshape(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    given = layer.settings.get("target_shape") or []
    if not isinstance(given, list) or not all(n is None or isinstance(n, int) for n in given):
        raise layer.settings.fail("target_shape", "a list of whole numbers")
    target = [-1 if n is None else n for n in given]
    return Operation("reshape", {"target_shape": target})


def _permute(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    dims = layer.settings.integers("dims")
    if sorted(dims) != list(range(1, len(dims) + 1)):
        raise layer.settings.fail("dims", "the axes 1, 2, … in some order")
    return Operation("permute", {"dims": dims})


def _repeat_vector(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("repeat_vector", {"n": layer.settings.integers("n", length=1)[0]})


def _merge(name: str) -> Callable[[LayerConfig, Arrays, Era], Operation]:
    return lambda layer, arrays, era: Operation(name, _masks(era))


def _masks(era: Era) -> dict[str, Any]:
    """How a layer that takes a list merges the masks."""
    return {"mask_merge": era.mask_merge, "drops_mask": era.lists_lose_masks}


def _concatenate(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("concatenate", {"axis": layer.settings.integer("axis", -1), **_masks(era)})


def _dot(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    axes = layer.settings.integers("axes", -1, None)
    pair = axes * 2 if len(axes) == 1 else axes
    return Operation("dot", {"axes": pair, "normalize": layer.settings.boolean("normalize")})


_MERGES_OF_KERAS_1 = {"sum": "add", "mul": "multiply", "ave": "average", "max": "maximum"}


def _keras1_merge(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    mode, settings = layer.settings.get("mode", "sum"), layer.settings
    if mode == "concat":
        axis = settings.integer("concat_axis", -1)
        return Operation("concatenate", {"axis": axis, "mask_merge": "and"})
    if mode in ("dot", "cos"):
        axes = settings.integers("dot_axes", -1, None)
        pair = axes * 2 if len(axes) == 1 else axes
        cosine = mode == "cos"
        return Operation("dot", {"axes": pair, "normalize": cosine, "extra_axis": cosine})
    if not isinstance(mode, str) or mode not in _MERGES_OF_KERAS_1:
        raise NotComputed("it merges by Python code of its own, which is never executed")
    return Operation(_MERGES_OF_KERAS_1[mode], {"mask_merge": "and"})


def _attention(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    settings = layer.settings
    mode = settings.text("score_mode", "dot")
    if mode not in ("dot", "concat"):
        raise settings.fail("score_mode", "dot or concat")
    return Operation(
        "attention" if layer.class_name == "Attention" else "additive_attention",
        {
            "score_mode": mode,
            "causal": settings.boolean("causal"),
            "drops_mask": era.lists_lose_masks,
        },
        arrays,
    )


def _rescaling(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    values = {
        key: _numbers(layer.settings, key, default)
        for key, default in (("scale", 1.0), ("offset", 0.0))
    }
    return Operation("rescaling", {**values, "drops_mask": not era.is_keras3})


def _numbers(settings: Settings, key: str, default: float | None = None) -> Any:
    """A number or nested lists of numbers."""
    value = settings.get(key, default)
    try:
        array = np.asarray(default if value is None else value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise settings.fail(key, "numbers") from error
    return float(array) if array.ndim == 0 else array


def _normalization(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
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


_KERNEL = Var("kernel")
_BIAS = Var("bias", "use_bias")
_GAMMA_BETA = (Var("gamma", "scale"), Var("beta", "center"))
_IDENTITY = Kind(_fixed("identity"))
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
    "Dense": Kind(_dense, (_KERNEL, _BIAS)),
    "Embedding": Kind(_embedding, (Var("embeddings"),)),
    "Masking": Kind(_masking),
    "Activation": Kind(_activation_layer),
    "ReLU": Kind(_relu),
    "LeakyReLU": Kind(_leaky_relu),
    "PReLU": Kind(_fixed("prelu"), (Var("alpha"),)),
    "ELU": Kind(_elu),
    "ThresholdedReLU": Kind(_thresholded_relu),
    "Softmax": Kind(_softmax),
    "BatchNormalization": Kind(
        _batch_normalization,
        (
            *_GAMMA_BETA,
            Var("moving_mean", trainable=False),
            Var("moving_variance", trainable=False),
        ),
    ),
    "LayerNormalization": Kind(_layer_normalization, _GAMMA_BETA),
    "Conv1D": Kind(_convolution("conv1d", 1), (_KERNEL, _BIAS)),
    "Conv2D": Kind(_convolution("conv2d", 2), (_KERNEL, _BIAS)),
    "SeparableConv1D": Kind(_convolution("separable_conv1d", 1), _SEPARABLE),
    "SeparableConv2D": Kind(_convolution("separable_conv2d", 2), _SEPARABLE),
    "DepthwiseConv1D": Kind(_convolution("depthwise_conv1d", 1), (Var("depthwise_kernel"), _BIAS)),
    "DepthwiseConv2D": Kind(_convolution("depthwise_conv2d", 2), (Var("depthwise_kernel"), _BIAS)),
    "MaxPooling1D": Kind(_pooling("max_pooling1d", 1)),
    "MaxPooling2D": Kind(_pooling("max_pooling2d", 2)),
    "AveragePooling1D": Kind(_pooling("average_pooling1d", 1)),
    "AveragePooling2D": Kind(_pooling("average_pooling2d", 2)),
    "GlobalMaxPooling1D": Kind(_global_pooling("global_max_pooling1d")),
    "GlobalMaxPooling2D": Kind(_global_pooling("global_max_pooling2d")),
    "GlobalAveragePooling1D": Kind(_global_pooling("global_average_pooling1d")),
    "GlobalAveragePooling2D": Kind(_global_pooling("global_average_pooling2d")),
    "ZeroPadding1D": Kind(_pairs("padding", "zero_padding1d", 1, 1)),
    "ZeroPadding2D": Kind(_pairs("padding", "zero_padding2d", 2, 1)),
    "Cropping1D": Kind(_pairs("cropping", "cropping1d", 1, 1)),
    "Cropping2D": Kind(_pairs("cropping", "cropping2d", 2, 0)),
    "UpSampling1D": Kind(_up_sampling("up_sampling1d", 1)),
    "UpSampling2D": Kind(_up_sampling("up_sampling2d", 2)),
    "Flatten": Kind(_flatten),
    "Reshape": Kind(_reshape),
    "Permute": Kind(_permute),
    "RepeatVector": Kind(_repeat_vector),
    "Concatenate": Kind(_concatenate),
    "Add": Kind(_merge("add")),
    "Subtract": Kind(_merge("subtract")),
    "Multiply": Kind(_merge("multiply")),
    "Average": Kind(_merge("average")),
    "Maximum": Kind(_merge("maximum")),
    "Minimum": Kind(_merge("minimum")),
    "Dot": Kind(_dot),
    "Merge": Kind(_keras1_merge),
    "Attention": Kind(_attention, (Var("scale", "use_scale", False), Var("concat_score_weight"))),
    "AdditiveAttention": Kind(_attention, (Var("scale", "use_scale"),)),
    "Rescaling": Kind(_rescaling),
    "Normalization": Kind(
        _normalization,
        tuple(Var(name, trainable=False) for name in ("mean", "variance", "count")),
    ),
}
