"""Writes golden files of models that are easy to read wrongly, to tests/golden/keras/ERA/.

    KERAS_BACKEND=tensorflow python tests/golden/make_keras.py [CASE …]     Keras 3, as installed
    python tests/golden/make_keras.py --tf [CASE …]                         tf.keras, as installed

The files in the repository were written so with Keras 3.15.1 and 3.3.3 on TensorFlow 2.21.0, and
with TensorFlow 2.15.1 and 2.12.1; KERAS_BACKEND=torch wrote those with torch in their name.
``.npz``: ``x0 x1 …`` the inputs, ``y0 y1 …`` what the model in memory returns for them, before it
is saved.
"""

import os
import sys
import zlib
from pathlib import Path

import numpy as np

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
TF = "--tf" in sys.argv
if TF:
    import tensorflow as tf

    keras, ops = tf.keras, tf
    ERA, VERSION = "tfkeras2", f"tf{tf.__version__}"
else:
    import keras
    from keras import ops

    ERA, VERSION = "keras3", f"k{keras.__version__}_{keras.backend.backend()}"

L, Model, Sequential, Input = keras.layers, keras.Model, keras.Sequential, keras.Input
FOLDER = Path(__file__).parent / "keras" / ERA

# Which files of which case each version writes.
FILES = {
    "k3.15.1_tensorflow": {
        "nested_outputs": (".keras", ".h5"),
        "shared_in_nested": (".keras",),
        "td_shared": (".keras",),
        "td_masked_model": (".keras",),
        "td_operations": (".keras",),
        "td_embedding_mask": (".keras",),
        "unrolled_masked": (".keras",),
        "explicit_mask": (".keras",),
        "op_arguments": (".keras", ".h5"),
        "op_and_layer": (".keras", ".h5"),
        "merged_masks": (".keras", ".weights.h5", ".json"),
        "frozen_forward": (".h5",),
        "frozen_in_nested": (".h5",),
        "stacked_states": (".keras",),
        "rescaled_mask": (".keras",),
        "uneven_pooling": (".keras",),
    },
    "k3.15.1_torch": {"uneven_pooling": (".h5",)},
    "k3.3.3_torch": {"uneven_pooling": (".h5",)},
    "k3.3.3_tensorflow": {"merged_masks": (".keras",)},
    "tf2.15.1": {
        "shared_in_nested": (".keras",),
        "td_shared": (".keras",),
        "td_masked_model": (".h5",),
        "td_attention": (".h5",),
        "td_embedding_mask": (".h5",),
        "unrolled_masked": (".h5",),
        "op_arguments": (".h5",),
        "merged_masks": (".h5",),
        "frozen_forward": (".h5",),
        "frozen_in_nested": (".h5",),
        "rescaled_mask": (".h5",),
    },
    "tf2.12.1": {"nested_outputs": (".keras",), "explicit_mask": (".h5",)},
}

rng = np.random.default_rng(0)


def series(b=4, t=6, f=3):
    return rng.normal(size=(b, t, f)).astype("float32")


def masked_series(*spans):
    """A series whose rows are zero outside (first, end)."""
    x = series()
    for k, (first, end) in enumerate(spans or ((0, 4), (2, 6), (1, 3), (3, 5))):
        x[k, :first] = x[k, end:] = 0
    return x


def words(*shape):
    x = rng.integers(1, 9, size=shape).astype("float32")
    x[..., 4:] = 0
    x[0, -1] = 0
    return x


def nested_outputs():
    """Outputs of the outer model that a nested one, called twice, returns itself."""
    j = Input((6, 3))
    h = L.LSTM(3, return_sequences=True)(j)
    inner = Model(j, [h, L.LSTM(2)(h)], name="inner")
    i = Input((6, 3))
    p, q = inner(i)
    r, s = inner(p)
    return Model(i, [p, L.Dense(2)(q), s, L.LSTM(2)(r)]), [series()]


def shared_in_nested():
    """One LSTM in the model and in a model inside it: its arrays are stored once."""
    shared = L.LSTM(3, return_sequences=True, name="shared")
    j = Input((6, 3))
    inner = Model(j, L.Dense(3)(shared(j)), name="inner")
    i = Input((6, 3))
    return Model(i, L.Concatenate()([shared(i), inner(i)])), [series()]


def td_shared():
    """One Dense in a TimeDistributed and by itself: stored once, under the wrapper."""
    dense = L.Dense(3)
    i = Input((6, 3))
    return Model(i, [L.TimeDistributed(dense)(i), dense(L.LSTM(3)(i))]), [series()]


def td_masked_model():
    """A model under TimeDistributed whose Embedding makes a mask."""
    j = Input((6,))
    inner = Model(j, L.LSTM(3)(L.Embedding(9, 4, mask_zero=True)(j)), name="sentence")
    i = Input((4, 6))
    return Model(i, L.LSTM(2)(L.TimeDistributed(inner)(i))), [words(2, 4, 6)]


def td_attention():
    """The same with a TimeDistributed and an Attention inside."""
    j = Input((6,))
    x = L.Bidirectional(L.GRU(3, return_sequences=True))(L.Embedding(9, 4, mask_zero=True)(j))
    x = L.TimeDistributed(L.Dense(3))(x)
    inner = Model(j, L.GlobalMaxPooling1D()(L.Attention()([x, x])), name="sentence")
    i = Input((4, 6))
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(L.TimeDistributed(inner)(i))
    return Model(i, L.GlobalAveragePooling1D()(y)), [words(2, 4, 6)]


def td_operations():
    """Operations of a model under TimeDistributed: their axes are those of the model inside."""
    j = Input((6, 3))
    inner = Model(j, L.LSTM(3)(j * 2.0 + ops.mean(j, axis=1, keepdims=True)), name="inner")
    i = Input((4, 6, 3))
    x = rng.normal(size=(2, 4, 6, 3)).astype("float32")
    return Model(i, L.LSTM(2)(L.TimeDistributed(inner)(i))), [x]


def td_embedding_mask():
    """Whether an Embedding's mask leaves its TimeDistributed: not in Keras 3."""
    i = Input((4, 6))
    x = L.TimeDistributed(L.Embedding(9, 4, mask_zero=True))(i)
    return Model(i, L.LSTM(2)(L.TimeDistributed(L.LSTM(3))(x))), [words(2, 4, 6)]


def unrolled_masked():
    """Unrolled, the backward layer's mask is not turned round with its input."""
    i = Input((6, 3))
    x = L.Bidirectional(L.LSTM(3, unroll=True, return_sequences=True))(L.Masking()(i))
    return Model(i, [x, L.LSTM(2, unroll=True)(x)]), [masked_series()]


def explicit_mask():
    """A mask given by hand, to an LSTM and to a pooling layer."""
    i, m = Input((6, 3)), Input((6,), dtype="bool")
    h = L.LSTM(3, return_sequences=True)(i, mask=m)
    outputs = [
        L.LSTM(2, return_sequences=True)(L.Dense(3)(h)),
        L.GlobalAveragePooling1D()(i, mask=m),
    ]
    return Model([i, m], outputs), [series(), rng.random((4, 6)) > 0.4]


def op_arguments():
    """Operations whose settings are not the usual ones, or mean something else elsewhere."""
    i = Input((6, 3))
    h = L.LSTM(3, return_sequences=True)(i)
    if TF:
        outputs = [
            tf.nn.gelu(h),
            tf.nn.leaky_relu(h, alpha=0.05),
            tf.split(h, [1, 2], axis=-1)[1],
            tf.where(h > 0.0, h, 0.1 * h),
            tf.matmul(h, h, transpose_b=True),
            tf.math.l2_normalize(h, -1),
            tf.math.reduce_std(h, 1),
            tf.gather(h, [0, 2], axis=1),
            h[..., tf.newaxis, 0],
            1.0 - h,
        ]
    else:
        outputs = [
            ops.elu(h, alpha=0.3),
            ops.gelu(h, approximate=False),
            ops.leaky_relu(h, negative_slope=0.05),
            ops.hard_sigmoid(h),
            ops.clip(h, -0.1, 0.2),
            ops.split(h, [1, 3], axis=1)[1],
            ops.std(h, axis=1),
            h[:, ::-2],
            h[..., None, 0],
            1.0 - h,
        ]
    return Model(i, outputs), [series()]


def op_and_layer():
    """Operations beside layers of the same names."""
    i = Input((6, 3))
    h = L.LSTM(3, return_sequences=True)(i)
    outputs = [
        L.Add()([i, h]),
        ops.add(i, h),
        L.Concatenate()([i, h]),
        ops.concatenate([i, h], axis=1),
        L.Maximum()([i, h]),
        ops.maximum(i, h),
        L.Softmax(axis=1)(h),
        ops.softmax(h, axis=1),
        L.Reshape((3, 6))(h),
        ops.reshape(h, (-1, 9, 2)),
        L.SpatialDropout1D(0.5)(h),
    ]
    return Model(i, outputs), [series()]


def merged_masks():
    """Masks of several inputs, of which one may have none: each era merges them otherwise."""
    a, b, c = Input((6, 3)), Input((6, 3)), Input((6, 3))
    p = L.LSTM(3, return_sequences=True)(L.Masking()(a))
    q = L.LSTM(3, return_sequences=True)(L.Masking()(b))
    layers = (L.Add, L.Multiply, L.Maximum, L.Concatenate)
    merged = [layer()(pair) for layer in layers for pair in ([p, q], [c, p])]
    outputs = [L.LSTM(2, return_sequences=True)(x) for x in merged]
    other = masked_series((1, 5), (0, 6), (0, 2), (0, 6))
    return Model([a, b, c], outputs), [masked_series(), other, series()]


def frozen_forward():
    """A Bidirectional whose forward layer is frozen: its arrays come last."""
    i = Input((6, 3))
    layer = L.Bidirectional(L.LSTM(3, return_sequences=True))
    model = Model(i, L.LSTM(2)(layer(i)))
    layer.forward_layer.trainable = False
    return model, [series()]


def frozen_in_nested():
    """The same in a nested model, with a BatchNormalization and a frozen TimeDistributed."""
    j = Input((6, 3))
    bi = L.Bidirectional(L.LSTM(2, return_sequences=True), name="bi")
    dense = L.Dense(3)
    x = L.BatchNormalization()(L.LSTM(3, return_sequences=True)(j))
    inner = Model(j, L.LSTM(3, return_sequences=True)(L.TimeDistributed(dense)(bi(x))))
    bi.forward_layer.trainable = dense.trainable = False
    i = Input((6, 3))
    return Model(i, L.LSTM(2)(inner(i))), [series()]


def stacked_states():
    """States of stacked cells, which Keras 3 nests a list a cell."""
    i = Input((6, 3))
    o, *states = L.RNN([L.LSTMCell(3), L.LSTMCell(2)], return_state=True, return_sequences=True)(i)
    decoder = L.RNN([L.LSTMCell(3), L.LSTMCell(2)], return_sequences=True)
    return Model(i, decoder(o, initial_state=list(states))), [series()]


def rescaled_mask():
    """Rescaling and Normalization drop masks in tf.keras, and keep them in Keras 3."""
    i = Input((6, 3))
    h = L.LSTM(3, return_sequences=True)(L.Masking()(i))
    given = L.Normalization(axis=None, mean=1.0, variance=2.0)
    outputs = [L.LSTM(2, return_sequences=True)(layer(h)) for layer in (L.Rescaling(2.0), given)]
    return Model(i, outputs), [masked_series()]


def uneven_pooling():
    """Averages of windows that reach further behind the input than before it."""
    i = Input((7, 3))
    pools = [(4, 3), (4, 2), (2, 1), (5, 4)]
    pooled = [L.AveragePooling1D(size, strides=n, padding="same")(i) for size, n in pools]
    model = Model(i, [*pooled, L.LSTM(2, return_sequences=True)(pooled[0])])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)  # it goes into the file, as after training
    return model, [series(2, 7)]


def randomised(model):
    """Weights of every kind away from what they start as."""
    weights = []
    for variable, value in zip(model.weights, model.get_weights(), strict=True):
        scale = min(0.6, 1.2 / np.sqrt(value.shape[0])) if value.ndim > 1 else 0.4
        drawn = rng.normal(size=value.shape) * scale
        weights.append(np.abs(drawn) + 0.5 if "variance" in variable.name else drawn)
    model.set_weights(weights)


def numbers(tensor):
    return np.asarray(tensor) if TF else ops.convert_to_numpy(tensor)


def write(case, extensions):
    global rng
    keras.backend.clear_session()
    rng = np.random.default_rng(zlib.crc32(case.encode()))
    model, inputs = globals()[case]()
    randomised(model)
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    stem = str(FOLDER / f"{VERSION}_{case}")
    np.savez_compressed(
        f"{stem}.npz",
        **{f"x{k}": x for k, x in enumerate(inputs)},
        **{f"y{k}": numbers(y) for k, y in enumerate(outputs)},
    )
    for extension in extensions:
        path = stem + extension
        if extension == ".json":
            Path(path).write_text(model.to_json())
        elif extension == ".weights.h5":
            model.save_weights(path)
        elif extension == ".keras" and TF:
            model.save(path, save_format="keras")
        else:
            model.save(path)


if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:] if name != "--tf"]
    for case, extensions in FILES[VERSION].items():
        if not chosen or case in chosen:
            write(case, extensions)
