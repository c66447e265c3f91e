"""Makes ``layers/*.npz``: what Keras computes for the layers of ``lstm_cli.engine.layers``.

    python make_layers.py                        with TensorFlow, Keras 3 and tf_keras
    KERAS_BACKEND=torch python make_layers.py    for channels first, which TensorFlow's CPU lacks

(TF_CPP_MIN_LOG_LEVEL=3 keeps TensorFlow quiet.)

Each file holds one case: the operation's name, its settings and the framework as JSON, and the
arrays ``weight_NAME``, ``input_K``, ``mask_K``, ``output_K`` and ``output_mask_K``, all float32,
bool or whole numbers. A mask that is not there is None in the framework.
"""

import json
import warnings
import zlib
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers as L
from keras import ops
from keras.src import backend

FOLDER = Path(__file__).parent / "layers"
TORCH = keras.backend.backend() == "torch"

CONVOLUTION = "strides padding dilation_rate groups data_format activation"
POOLING = "pool_size strides padding data_format"
KEYS = {
    # operation: the keys of its layer's config that are its settings
    "embedding": "mask_zero",
    "masking": "mask_value",
    "dense": "activation",
    "activation": "activation",
    "relu": "max_value negative_slope threshold",
    "leaky_relu": "negative_slope",
    "elu": "alpha",
    "thresholded_relu": "theta",
    "softmax": "axis",
    "batch_normalization": "axis epsilon",
    "layer_normalization": "axis epsilon",
    "normalization": "axis invert",
    "rescaling": "scale offset",
    "conv1d": CONVOLUTION,
    "conv2d": CONVOLUTION,
    "depthwise_conv1d": f"{CONVOLUTION} depth_multiplier",
    "depthwise_conv2d": f"{CONVOLUTION} depth_multiplier",
    "separable_conv1d": f"{CONVOLUTION} depth_multiplier",
    "separable_conv2d": f"{CONVOLUTION} depth_multiplier",
    "max_pooling1d": POOLING,
    "max_pooling2d": POOLING,
    "average_pooling1d": POOLING,
    "average_pooling2d": POOLING,
    "global_max_pooling1d": "data_format keepdims",
    "global_max_pooling2d": "data_format keepdims",
    "global_average_pooling1d": "data_format keepdims",
    "global_average_pooling2d": "data_format keepdims",
    "zero_padding1d": "padding data_format",
    "zero_padding2d": "padding data_format",
    "cropping1d": "cropping data_format",
    "cropping2d": "cropping data_format",
    "up_sampling1d": "size",
    "up_sampling2d": "size data_format interpolation",
    "flatten": "data_format",
    "reshape": "target_shape",
    "permute": "dims",
    "repeat_vector": "n",
    "concatenate": "axis",
    "dot": "axes normalize",
    "attention": "score_mode causal",
    "additive_attention": "causal",
}


def random(name, *shape):
    return generator(name).standard_normal(shape).astype(np.float32)


def generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def mask_of(name, *shape):
    """True more often than not; the first step of the last sequence is masked."""
    mask = generator(name).random(shape) < 0.6
    mask[-1, 0], mask[:, 1] = False, True
    return mask


def layer(case, operation, made, inputs, masks=None, extra=None, call=None, **framework):
    """One layer of Keras 3, or of tf_keras where ``framework`` says ``old=True``."""
    inputs = inputs if isinstance(inputs, list) else [inputs]
    masks = masks or [None] * len(inputs)
    old = framework.get("old", False)
    tensors = [
        (tf_tensor if old else keras_tensor)(x, m) for x, m in zip(inputs, masks, strict=True)
    ]
    argument = tensors[0] if len(tensors) == 1 and operation not in MERGES else tensors
    made(argument)
    made.set_weights([_weights(f"{case} {w.name}", w.shape) for w in made.weights])
    if hasattr(made, "finalize_state"):
        made.finalize_state()  # Normalization computes with copies of its weights
    outputs = made(argument, **(call or {}))
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    output_masks = [
        getattr(y, "_keras_mask", None) if old else backend.get_keras_mask(y) for y in outputs
    ]
    if operation in MERGES and not old and any(m is not None for m in masks):
        check_in_a_model(made, inputs, masks, outputs[0])
    weights = {
        _name(operation, w): a for w, a in zip(made.weights, made.get_weights(), strict=True)
    }
    weights.pop("count", None)
    config = made.get_config()
    settings = {key: config[key] for key in KEYS.get(operation, "").split() if key in config}
    settings |= {**(extra or {}), **(call or {})}
    store(case, operation, settings, weights, inputs, masks, outputs, output_masks, version(old))


MERGES = {"add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot"}


def check_in_a_model(made, inputs, masks, expected):
    """A functional model whose masks come from Masking predicts the same."""
    places = [keras.Input(x.shape[1:]) for x in inputs]
    far = np.float32(77)
    masked = [p if m is None else L.Masking(far)(p) for p, m in zip(places, masks, strict=True)]
    model = keras.Model(places, made.__class__.from_config(made.get_config())(masked))
    zeroed = [
        x if m is None else np.where(m[..., None], x, 0) for x, m in zip(inputs, masks, strict=True)
    ]
    marked = [
        x if m is None else np.where(m[..., None], x, far)
        for x, m in zip(inputs, masks, strict=True)
    ]
    tensors = [keras_tensor(x, m) for x, m in zip(zeroed, masks, strict=True)]
    found = model.predict(marked, verbose=0)
    np.testing.assert_allclose(found, np.asarray(made(tensors)), atol=1e-6, err_msg=made.name)


def keras_tensor(x, mask):
    tensor = ops.convert_to_tensor(x)
    if mask is not None:
        backend.set_keras_mask(tensor, ops.convert_to_tensor(mask))
    return tensor


def tf_tensor(x, mask):
    import tensorflow as tf

    tensor = tf.constant(x)
    if mask is not None:
        tensor._keras_mask = tf.constant(mask)
    return tensor


def _weights(seed, shape):
    values = random(seed, *shape) * np.float32(0.5)
    return np.abs(values) + 0.1 if "variance" in seed else values


def _name(operation, variable):
    name = variable.name.rsplit("/", 1)[-1].split(":")[0]
    if operation.startswith("depthwise") and name == "kernel":
        return "depthwise_kernel"
    return name


def version(old):
    if old:
        import tf_keras

        return f"tf_keras {tf_keras.__version__}"
    return f"keras {keras.__version__}, {keras.backend.backend()}"


def operation_case(case, operation, function, inputs, settings=None):
    """One function of ``keras.ops``."""
    inputs = inputs if isinstance(inputs, list) else [inputs]
    outputs = function(*[ops.convert_to_tensor(x) for x in inputs])
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    nothing = [None] * max(len(inputs), len(outputs))
    store(case, operation, settings or {}, {}, inputs, nothing, outputs, nothing, version(False))


def store(case, operation, settings, weights, inputs, masks, outputs, output_masks, framework):
    settings = {key: encoded(key, value) for key, value in settings.items()}
    head = {"operation": operation, "settings": settings, "framework": framework}
    arrays = {"case": np.array(json.dumps(head).encode())}
    arrays |= {f"weight_{name}": array for name, array in weights.items()}
    for name, values in (
        ("input", inputs),
        ("mask", masks),
        ("output", outputs),
        ("output_mask", output_masks),
    ):
        arrays |= {
            f"{name}_{k}": ops.convert_to_numpy(v) for k, v in enumerate(values) if v is not None
        }
    np.savez_compressed(FOLDER / f"{case}.npz", **arrays)


def encoded(key, value):
    """As JSON: activations as objects, parts of a slice as lists."""
    if key == "activation":
        return {"name": value}
    if key == "key":
        return [
            {"slice": [k.start, k.stop, k.step]}
            if isinstance(k, slice)
            else {"ellipsis": True}
            if k is Ellipsis
            else k
            for k in value
        ]
    return value


X = random("x", 2, 6, 3)
MASK = mask_of("mask", 2, 6)
IMAGE = random("image", 1, 5, 4, 3)
VECTOR = random("vector", 2, 5)
IDS = generator("ids").integers(0, 6, (2, 6)).astype(np.int32)
IDS[0, 2] = IDS[1, 5] = 0
OTHER = random("other", 2, 6, 3)
OTHER_MASK = mask_of("other mask", 2, 6)


def entrance_cases():
    layer("dropout_masked", "identity", L.Dropout(0.5), X, [MASK])
    layer("noise", "identity", L.GaussianNoise(0.5), X)
    layer("embedding", "embedding", L.Embedding(6, 3), IDS)
    layer("embedding_mask_zero", "embedding", L.Embedding(6, 3, mask_zero=True), IDS)
    layer("embedding_float_ids", "embedding", L.Embedding(6, 3), IDS.astype(np.float32))
    layer("embedding_rank3", "embedding", L.Embedding(6, 3), IDS[:, :, None])
    gaps = np.where(MASK[..., None], X, -1).astype(np.float32)
    gaps[0, 0, :2] = -1
    layer("masking", "masking", L.Masking(-1.0), gaps)
    layer("masking_again", "masking", L.Masking(-1.0), gaps, [OTHER_MASK])


def dense_cases():
    layer("dense", "dense", L.Dense(3, activation="tanh"), VECTOR)
    layer("dense_sequence_masked", "dense", L.Dense(3, activation="softmax"), X, [MASK])
    layer("dense_no_bias", "dense", L.Dense(3, use_bias=False), X)
    layer("dense_rank4", "dense", L.Dense(3), IMAGE)


def activation_cases():
    import tf_keras

    layer("activation_sigmoid_masked", "activation", L.Activation("sigmoid"), X, [MASK])
    layer("activation_softmax", "activation", L.Activation("softmax"), X)
    layer("relu", "relu", L.ReLU(), X, [MASK])
    layer("relu_bounds", "relu", L.ReLU(1.0, 0.25, 0.5), X)
    layer("relu_slope", "relu", L.ReLU(negative_slope=0.1), X)
    layer("leaky_relu", "leaky_relu", L.LeakyReLU(0.3), X, [MASK])
    layer("prelu", "prelu", L.PReLU(), X, [MASK])
    layer("prelu_shared", "prelu", L.PReLU(shared_axes=[1]), X)
    layer("elu", "elu", L.ELU(0.7), X, [MASK])
    old = tf_keras.layers.ThresholdedReLU(0.5)
    layer("thresholded_relu", "thresholded_relu", old, X, [MASK], old=True)
    layer("softmax", "softmax", L.Softmax(), X)
    layer("softmax_axis", "softmax", L.Softmax(axis=1), X)


def normalisation_cases():
    import tf_keras

    T = tf_keras.layers
    for name, axis in (("last", -1), ("first", 1)):
        made = L.BatchNormalization(axis=axis, epsilon=0.01)
        layer(f"batch_normalization_{name}", "batch_normalization", made, X, [MASK])
    made = L.BatchNormalization(center=False, scale=False)
    layer("batch_normalization_plain", "batch_normalization", made, IMAGE)
    layer("batch_normalization_old", "batch_normalization", T.BatchNormalization(), X, old=True)
    layer("layer_normalization", "layer_normalization", L.LayerNormalization(), X, [MASK])
    made = L.LayerNormalization(axis=[-2, -1], epsilon=0.1)
    layer("layer_normalization_axes", "layer_normalization", made, IMAGE)
    made = L.LayerNormalization(axis=1, scale=False)
    layer("layer_normalization_axis1", "layer_normalization", made, X)
    layer("layer_normalization_old", "layer_normalization", T.LayerNormalization(), X, old=True)
    extra = {"rms_scaling": True}
    made = L.LayerNormalization(rms_scaling=True)
    layer("layer_normalization_rms", "layer_normalization", made, X, extra=extra)
    layer("normalization", "normalization", L.Normalization(), X, [MASK])
    layer("normalization_axis1", "normalization", L.Normalization(axis=1), X)
    layer("normalization_axes", "normalization", L.Normalization(axis=(1, 2)), X)
    layer("normalization_one", "normalization", L.Normalization(axis=None), X)
    layer("normalization_invert", "normalization", L.Normalization(invert=True), X)
    layer("normalization_old", "normalization", T.Normalization(), X, old=True)
    layer("rescaling", "rescaling", L.Rescaling(0.25, offset=-1.0), X, [MASK])
    made = L.Rescaling([1.0, 2.0, 3.0], offset=[0.0, 1.0, 2.0])
    layer("rescaling_features", "rescaling", made, X)
    layer("rescaling_whole_numbers", "rescaling", L.Rescaling(0.5), IDS)


def convolution_cases():
    import tf_keras

    variants = {
        "valid": {},
        "same": {"padding": "same", "activation": "relu"},
        "causal": {"padding": "causal"},
        "valid_strides": {"strides": 2},
        "same_strides": {"padding": "same", "strides": 3},
        "causal_strides": {"padding": "causal", "strides": 2},
        "same_dilation": {"padding": "same", "dilation_rate": 2},
        "causal_dilation": {"padding": "causal", "dilation_rate": 2, "use_bias": False},
    }
    for name, options in variants.items():
        for k in (2, 3):
            made = L.Conv1D(3, k, **options)
            layer(f"conv1d_{name}_{k}", "conv1d", made, X, [MASK] if k == 2 else None)
    layer("conv1d_groups", "conv1d", L.Conv1D(6, 3, groups=3, padding="same"), X)
    layer("conv1d_groups_strides", "conv1d", L.Conv1D(3, 2, groups=3, strides=2), X)
    layer("conv1d_softmax", "conv1d", L.Conv1D(3, 1, activation="softmax"), X)
    for name in ("valid", "same", "same_strides", "same_dilation"):
        layer(f"conv2d_{name}", "conv2d", L.Conv2D(3, (3, 2), **variants[name]), IMAGE)
    layer("conv2d_strides_pair", "conv2d", L.Conv2D(3, 2, strides=(2, 1), padding="same"), IMAGE)
    layer("conv2d_groups", "conv2d", L.Conv2D(6, 2, groups=3), IMAGE)
    for name in ("valid", "same", "same_strides", "same_dilation"):
        options = variants[name] | {"depth_multiplier": 2}
        made = L.SeparableConv1D(3, 3, **options)
        layer(f"separable_conv1d_{name}", "separable_conv1d", made, X)
        made = L.DepthwiseConv1D(2, **options)
        layer(f"depthwise_conv1d_{name}", "depthwise_conv1d", made, X)
    old = tf_keras.layers.SeparableConv1D(3, 3, padding="causal", dilation_rate=2)
    layer("separable_conv1d_causal", "separable_conv1d", old, X, old=True)
    for name in ("valid", "same_strides"):
        options = variants[name] | {"depth_multiplier": 2}
        made = L.SeparableConv2D(3, (3, 2), **options)
        layer(f"separable_conv2d_{name}", "separable_conv2d", made, IMAGE)
        made = L.DepthwiseConv2D((2, 3), **options)
        layer(f"depthwise_conv2d_{name}", "depthwise_conv2d", made, IMAGE)


def channels_first_cases():
    first = {"data_format": "channels_first"}
    softmax = {**first, "activation": "softmax", "padding": "same"}
    layer("conv1d_channels_first", "conv1d", L.Conv1D(3, 2, **softmax), X)
    layer("conv1d_groups_channels_first", "conv1d", L.Conv1D(12, 2, groups=6, **first), X)
    layer("conv2d_channels_first", "conv2d", L.Conv2D(3, 2, strides=2, **first), IMAGE)
    made = L.SeparableConv1D(3, 2, **first)
    layer("separable_conv1d_channels_first", "separable_conv1d", made, X)
    made = L.DepthwiseConv2D(2, **first)
    layer("depthwise_conv2d_channels_first", "depthwise_conv2d", made, IMAGE)
    layer("max_pooling1d_channels_first", "max_pooling1d", L.MaxPooling1D(2, **first), X)
    made = L.AveragePooling2D(2, padding="same", **first)
    layer("average_pooling2d_channels_first", "average_pooling2d", made, IMAGE)
    made = L.GlobalMaxPooling1D(**first)
    layer("global_max_pooling1d_channels_first", "global_max_pooling1d", made, X)
    made = L.GlobalAveragePooling1D(**first)
    mask = mask_of("first", 2, 3)
    layer("global_average_pooling1d_channels_first", "global_average_pooling1d", made, X, [mask])
    made = L.GlobalAveragePooling2D(**first)
    layer("global_average_pooling2d_channels_first", "global_average_pooling2d", made, IMAGE)
    made = L.ZeroPadding1D((1, 2), **first)
    layer("zero_padding1d_channels_first", "zero_padding1d", made, X)
    made = L.ZeroPadding2D(((1, 2), (0, 1)), **first)
    layer("zero_padding2d_channels_first", "zero_padding2d", made, IMAGE)
    made = L.Cropping2D(((1, 2), (0, 1)), **first)
    layer("cropping2d_channels_first", "cropping2d", made, IMAGE)
    layer("up_sampling2d_channels_first", "up_sampling2d", L.UpSampling2D((2, 1), **first), IMAGE)
    layer("flatten_channels_first", "flatten", L.Flatten(**first), IMAGE)


def pooling_cases():
    variants = {
        "valid": {},
        "same": {"padding": "same"},
        "same_strides": {"padding": "same", "strides": 1},
        "valid_strides": {"strides": 3},
    }
    for name, options in variants.items():
        for size in (2, 3):
            masks = [MASK] if size == 2 else None
            made = L.MaxPooling1D(size, **options)
            layer(f"max_pooling1d_{name}_{size}", "max_pooling1d", made, X, masks)
            made = L.AveragePooling1D(size, **options)
            layer(f"average_pooling1d_{name}_{size}", "average_pooling1d", made, X, masks)
        made = L.MaxPooling2D((2, 3), **options)
        layer(f"max_pooling2d_{name}", "max_pooling2d", made, IMAGE)
        made = L.AveragePooling2D((2, 3), **options)
        layer(f"average_pooling2d_{name}", "average_pooling2d", made, IMAGE)
    for keepdims in (False, True):
        end = "_keepdims" if keepdims else ""
        kept = {"keepdims": keepdims}
        made = L.GlobalMaxPooling1D(**kept)
        layer(f"global_max_pooling1d{end}", "global_max_pooling1d", made, X, [MASK])
        made = L.GlobalAveragePooling1D(**kept)
        layer(f"global_average_pooling1d{end}", "global_average_pooling1d", made, X)
        layer(f"global_average_pooling1d_masked{end}", "global_average_pooling1d", made, X, [MASK])
        made = L.GlobalMaxPooling2D(**kept)
        layer(f"global_max_pooling2d{end}", "global_max_pooling2d", made, IMAGE)
        made = L.GlobalAveragePooling2D(**kept)
        layer(f"global_average_pooling2d{end}", "global_average_pooling2d", made, IMAGE)
    nothing = MASK & np.array([[True], [False]])
    made = L.GlobalAveragePooling1D()
    layer("global_average_pooling1d_all_masked", "global_average_pooling1d", made, X, [nothing])


def shaping_cases():
    layer("zero_padding1d", "zero_padding1d", L.ZeroPadding1D((1, 2)), X, [MASK])
    layer("zero_padding2d", "zero_padding2d", L.ZeroPadding2D(((1, 0), (2, 3))), IMAGE)
    layer("cropping1d", "cropping1d", L.Cropping1D((1, 2)), X, [MASK])
    layer("cropping2d", "cropping2d", L.Cropping2D(((1, 0), (2, 1))), IMAGE)
    layer("up_sampling1d", "up_sampling1d", L.UpSampling1D(3), X, [MASK])
    layer("up_sampling2d", "up_sampling2d", L.UpSampling2D((2, 3)), IMAGE)
    layer("flatten", "flatten", L.Flatten(), X, [MASK])
    layer("reshape", "reshape", L.Reshape((2, -1)), X, [MASK])
    layer("reshape_whole", "reshape", L.Reshape((3, 6)), X)
    layer("permute", "permute", L.Permute((2, 1)), X, [MASK])
    layer("permute_rank4", "permute", L.Permute((3, 1, 2)), IMAGE)
    layer("repeat_vector", "repeat_vector", L.RepeatVector(3), VECTOR)


def merging_cases():
    import tf_keras

    third, both = random("third", 2, 6, 3), [MASK, OTHER_MASK]
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
        case, pair = name.lower(), [X, OTHER]
        new, old = getattr(L, name)(), getattr(tf_keras.layers, name)()
        merged_by_or, merged_by_and = {"mask_merge": "or"}, {"mask_merge": "and"}
        layer(case, case, new, pair, extra=merged_by_or)
        layer(f"{case}_masked_or", case, new, pair, both, merged_by_or)
        layer(f"{case}_masked_and", case, old, pair, both, merged_by_and, old=True)
        if name in ("Add", "Multiply", "Maximum", "Concatenate"):
            layer(f"{case}_first_or", case, new, pair, [MASK, None], merged_by_or)
            layer(f"{case}_second_or", case, new, pair, [None, MASK], merged_by_or)
            layer(f"{case}_first_and", case, old, pair, [MASK, None], merged_by_and, old=True)
    masks = [MASK, OTHER_MASK, mask_of("third mask", 2, 6)]
    for name in ("Multiply", "Maximum", "Minimum", "Average"):
        made, extra = getattr(L, name)(), {"mask_merge": "or"}
        layer(f"{name.lower()}_three", name.lower(), made, [X, OTHER, third], masks, extra)
    extra = {"mask_merge": "or"}
    layer("add_ranks", "add", L.Add(), [X, random("row", 2, 3)], extra=extra)
    layer("multiply_one", "multiply", L.Multiply(), [X, random("one", 2, 6, 1)], extra=extra)
    short = [X, OTHER[:, :3]]
    masks = [MASK, OTHER_MASK[:, :3]]
    made = L.Concatenate(axis=1)
    layer("concatenate_time_or", "concatenate", made, short, masks, extra)
    layer("concatenate_time_first_or", "concatenate", made, short, [MASK, None], extra)
    made, extra = tf_keras.layers.Concatenate(axis=1), {"mask_merge": "and"}
    layer("concatenate_time_and", "concatenate", made, short, masks, extra, old=True)
    vectors = [VECTOR, random("vector 2", 2, 5)]
    layer("dot_vectors", "dot", L.Dot(axes=1), vectors)
    layer("dot_normalized", "dot", L.Dot(axes=-1, normalize=True), vectors)
    layer("dot_sequences_masked", "dot", L.Dot(axes=2), [X, OTHER[:, :3]], masks)
    layer("dot_pair", "dot", L.Dot(axes=(2, 1)), [X, random("pair", 2, 3, 4)])
    layer("dot_vector_sequence", "dot", L.Dot(axes=(1, 2)), [random("row", 2, 3), X])
    layer("dot_rank4", "dot", L.Dot(axes=(3, 2)), [IMAGE, X[:1]])
    old = tf_keras.layers.Dot(axes=(1, 1), normalize=True)
    layer("dot_old", "dot", old, [X, OTHER], old=True)


def attention_cases():
    import tf_keras

    value, key = OTHER[:, :5], random("key", 2, 5, 3)
    masks = [MASK, OTHER_MASK[:, :5]]
    layer("attention", "attention", L.Attention(), [X, value])
    layer("attention_masked", "attention", L.Attention(use_scale=True), [X, value], masks)
    layer("attention_value_mask", "attention", L.Attention(), [X, value], [None, masks[1]])
    made = L.Attention(score_mode="concat")
    layer("attention_concat", "attention", made, [X, value, key], [*masks, None])
    made = L.Attention(score_mode="concat", use_scale=True)
    layer("attention_concat_scale", "attention", made, [X, value])
    causal = {"use_causal_mask": True}
    layer("attention_causal", "attention", L.Attention(), [X, X], [MASK, MASK], call=causal)
    scores = {"return_attention_scores": True}
    layer("attention_scores", "attention", L.Attention(), [X, value], masks, call=scores)
    nothing = [None, masks[1] & np.array([[True], [False]])]
    layer("attention_all_masked", "attention", L.Attention(), [X, value], nothing)
    layer("additive_attention", "additive_attention", L.AdditiveAttention(), [X, value], masks)
    made = L.AdditiveAttention(use_scale=False)
    layer("additive_attention_plain", "additive_attention", made, [X, value, key])
    layer("additive_attention_causal", "additive_attention", made, [X, X], call=causal)
    T = tf_keras.layers
    made = T.Attention(use_scale=True)
    layer("attention_old", "attention", made, [X, value], masks, old=True)
    made, extra = T.Attention(causal=True), {"causal": True}
    layer("attention_causal_old", "attention", made, [X, X], extra=extra, old=True)
    made = T.AdditiveAttention()
    layer("additive_attention_old", "additive_attention", made, [X, value], masks, old=True)


def operation_cases():
    unary_operation_cases()
    binary_operation_cases()
    reduction_cases()
    array_operation_cases()


SMALL = X[:1, :3, :2]
FLAGS = SMALL > 0
POSITIVE = np.abs(SMALL) + np.float32(0.1)
WHOLE = IDS[:, :4]
SECOND = np.round(OTHER[:1, :3, :2]) + np.float32(0.5)
SECOND[0, 0] = SMALL[0, 0]


def unary_operation_cases():
    names = (
        "negative absolute square sign sin cos floor ceil round exp expm1 tanh sigmoid relu relu6 "
        "gelu erf reciprocal zeros_like ones_like isnan"
    )
    for name in names.split():
        operation_case(f"op_{name}", f"op_{name}", getattr(ops, name), 3 * SMALL)
    for name in ("elu", "selu", "silu", "softplus", "softsign"):
        settings = {"activation": name}
        operation_case(f"op_{name}", "op_activation", getattr(ops, name), 3 * SMALL, settings)
    for name in ("sqrt", "rsqrt", "log", "log1p"):
        operation_case(f"op_{name}", f"op_{name}", getattr(ops, name), POSITIVE)
    operation_case("op_logical_not", "op_logical_not", ops.logical_not, FLAGS)
    operation_case("op_sqrt_whole", "op_sqrt", ops.sqrt, WHOLE)
    for dtype, x in (("float32", WHOLE), ("int32", 3 * SMALL), ("bool", WHOLE)):
        settings = {"dtype": dtype}
        operation_case(f"op_cast_{dtype}", "op_cast", partial(ops.cast, **settings), x, settings)
    bounds = {"x_min": -0.5, "x_max": 0.75}
    operation_case("op_clip", "op_clip", partial(ops.clip, **bounds), SMALL, bounds)


def binary_operation_cases():
    names = (
        "add subtract multiply divide floor_divide mod maximum minimum equal not_equal greater "
        "greater_equal less less_equal"
    )
    for name in names.split():
        operation_case(f"op_{name}", f"op_{name}", getattr(ops, name), [SMALL, SECOND])
    for name in ("logical_and", "logical_or"):
        operation_case(f"op_{name}", f"op_{name}", getattr(ops, name), [FLAGS, SMALL > 0.5])
    operation_case("op_power", "op_power", ops.power, [POSITIVE, SECOND])
    operation_case("op_add_row", "op_add", ops.add, [SMALL, SECOND[0, 0]])
    operation_case("op_divide_whole", "op_divide", ops.divide, [WHOLE, WHOLE + 1])
    operation_case("op_multiply_mixed", "op_multiply", ops.multiply, [WHOLE, OTHER[:2, :4, 0]])
    operation_case("op_where", "op_where", ops.where, [FLAGS, SMALL, SECOND])
    operation_case("op_matmul", "op_matmul", ops.matmul, [X, random("matrix", 3, 4)])
    operation_case("op_matmul_batch", "op_matmul", ops.matmul, [X, random("matrices", 2, 3, 4)])


def reduction_cases():
    for name in ("sum", "mean", "max", "min", "prod", "any", "all"):
        function, x = getattr(ops, name), FLAGS if name in ("any", "all") else SMALL
        kept, over = {"axis": -1, "keepdims": True}, {"axis": (0, 2)}
        operation_case(f"op_{name}", f"op_{name}", partial(function, **kept), x, kept)
        operation_case(f"op_{name}_axes", f"op_{name}", partial(function, **over), x, over)
    operation_case("op_max_whole", "op_max", ops.max, SMALL)
    for name in ("std", "var", "logsumexp"):
        kept, over = {"axis": -1, "keepdims": True}, {"axis": (0, 2)}
        operation_case(f"op_{name}", f"op_{name}", partial(getattr(ops, name), **kept), SMALL, kept)
        function = partial(getattr(ops, name), **over)
        operation_case(f"op_{name}_axes", f"op_{name}", function, SMALL, over)
    settings = {"axis": -1, "epsilon": 1e-12}
    operation_case("op_l2_normalize", "op_l2_normalize", ops.normalize, SMALL, settings)
    for name in ("argmax", "cumsum", "softmax", "flip"):
        settings = {"axis": 1}
        function = partial(getattr(ops, name), **settings)
        operation_case(f"op_{name}", f"op_{name}", function, SMALL, settings)


def array_operation_cases():
    every, margins = slice(None), {"pad_width": ((0, 0), (1, 2), (0, 1))}
    cases = (
        ("expand_dims", "", {"axis": 2}),
        ("squeeze", "", {"axis": 0}),
        ("reshape", "", {"newshape": (2, -1)}),
        ("transpose", "", {"axes": (2, 0, 1)}),
        ("repeat", "", {"repeats": 3, "axis": 2}),
        ("tile", "", {"repeats": (2, 1, 3)}),
        ("split", "", {"indices_or_sections": 2, "axis": -1}),
        ("split", "_at", {"indices_or_sections": [1], "axis": 1}),
        ("take", "", {"indices": [1, 0], "axis": 1}),
        ("swapaxes", "", {"axis1": 1, "axis2": 2}),
        ("unstack", "", {"axis": 1}),
        ("pad", "", margins),
        ("pad", "_reflect", {**margins, "mode": "reflect"}),
    )
    for name, end, settings in cases:
        function = partial(getattr(ops, name), **settings)
        operation_case(f"op_{name}{end}", f"op_{name}", function, SMALL, settings)
    settings = {"subscripts": "btf,fu->btu"}
    function = partial(ops.einsum, settings["subscripts"])
    operation_case("op_einsum", "op_einsum", function, [X, random("matrix", 3, 4)], settings)
    difference = lambda x, y: ops.square(x - y)  # noqa: E731 - as tf.math.squared_difference
    operation_case("op_squared_difference", "op_squared_difference", difference, [SMALL, SECOND])
    keys = ((every, every, 0), (every, -1), (..., None, slice(None, None, 2)))
    for k, key in enumerate(keys):
        function = partial(lambda x, key: x[key], key=key)
        operation_case(f"op_getitem_{k}", "op_getitem", function, SMALL, {"key": key})
    both, turned = {"axis": (1, 2)}, partial(ops.flip, axis=(1, 2))
    operation_case("op_reverse", "op_reverse", turned, SMALL, both)
    for name in ("concatenate", "stack"):
        settings, function = {"axis": 2}, getattr(ops, name)
        joined = partial(lambda *xs, f, **s: f(xs, **s), f=function, **settings)
        operation_case(f"op_{name}", f"op_{name}", joined, [SMALL, SECOND], settings)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(exist_ok=True)
    if TORCH:
        channels_first_cases()
    else:
        entrance_cases()
        dense_cases()
        activation_cases()
        normalisation_cases()
        convolution_cases()
        pooling_cases()
        shaping_cases()
        merging_cases()
        attention_cases()
        operation_cases()
