"""Makes the files in ``savedmodel``, ``tflite`` and ``npz`` that are not in the large folder.

    python make_tensorflow.py keras     TensorFlow 2.15: checkpoints, SavedModels, TF1 names, .npz
    python make_tensorflow.py convert   TensorFlow 2.15: Keras models converted to TFLite
    python make_tensorflow.py keras3    Keras 3 on TensorFlow: exported SavedModels
    python make_tensorflow.py tflite    TensorFlow with its interpreter, and the package tflite

Beside each file an ``.npz`` holds inputs ``x0 …`` and what the framework computed, ``y0 …``.
"""

import lzma
import os
import shutil
import sys
from pathlib import Path

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"
HERE = Path(__file__).parent
RANDOM = np.random.default_rng(20)


def save(path, inputs, outputs, **more):
    """Inputs and outputs of a model, beside it."""
    flat = [
        each for output in outputs for each in (output if isinstance(output, list) else [output])
    ]
    named = {f"x{k}": np.asarray(x) for k, x in enumerate(inputs)}
    named |= {f"y{k}": np.asarray(y) for k, y in enumerate(flat)}
    np.savez_compressed(path, **named, **more)


def pack(folder):
    """Pack the traced program, which is most of a SavedModel and needed by nobody here."""
    program = folder / "saved_model.pb"
    program.with_suffix(".pb.xz").write_bytes(lzma.compress(program.read_bytes(), preset=9))
    program.unlink()
    shutil.rmtree(folder / "assets", ignore_errors=True)


# -- tf.keras


def keras_models(layers, keras):
    """Models by name, and whether they are saved whole too."""

    def functional():
        ids = layers.Input((6,), dtype="int32", name="ids")
        first = layers.LSTM(3, return_sequences=True, name="first")
        x = first(layers.Embedding(9, 4, mask_zero=True)(ids))
        second = layers.LSTM(
            3,
            return_sequences=True,
            return_state=True,
            activation="relu",
            recurrent_activation="hard_sigmoid",
            name="second",
        )
        y, h, c = second(x)
        z = layers.LSTM(3, name="third")(x, initial_state=[h, c])
        joined = layers.Concatenate()([z, layers.GlobalAveragePooling1D()(y)])
        return keras.Model(ids, layers.Dense(2, activation="softmax")(joined))

    def nested():
        inside = layers.Input((5, 4))
        x = layers.BatchNormalization()(layers.LSTM(3, return_sequences=True)(inside))
        inner = keras.Model(inside, layers.LSTM(3)(x), name="inner")
        frozen = layers.LSTM(2, return_sequences=True, name="deep", trainable=False)
        sequence = keras.Sequential([layers.Dense(4, activation="tanh"), frozen], name="sequence")
        a, b = layers.Input((5, 4)), layers.Input((5, 4))
        total = layers.Add()([inner(a), inner(b)])
        return keras.Model([a, b], [layers.Dense(1)(total), layers.Flatten()(sequence(a))])

    def bidirectional():
        x = layers.Input((5, 4))
        backward = layers.LSTM(2, return_state=True, go_backwards=True, activation="relu")
        y = layers.Masking()(x)
        y = layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum")(y)
        last = layers.LSTM(2, return_state=True)
        return keras.Model(x, layers.Bidirectional(last, backward_layer=backward)(y))

    def cells():
        x = layers.Input((5, 4))
        stack = [layers.LSTMCell(3), layers.LSTMCell(2)]
        y = layers.RNN(stack, return_sequences=True)(x)
        return keras.Model(
            x, layers.Bidirectional(layers.RNN(layers.LSTMCell(2, use_bias=False)))(y)
        )

    def distributed():
        x = layers.Input((3, 5, 4))
        y = layers.TimeDistributed(layers.LSTM(3))(x)
        y = layers.LSTM(2, go_backwards=True, return_sequences=True)(y)
        return keras.Model(x, layers.TimeDistributed(layers.Dense(2))(y))

    def others():
        return keras.Sequential(
            [
                layers.Input((8, 3)),
                layers.Conv1D(4, 3, padding="causal", activation="relu"),
                layers.BatchNormalization(),
                layers.MaxPooling1D(2),
                layers.LayerNormalization(),
                layers.GRU(3, return_sequences=True),
                layers.SimpleRNN(3, return_sequences=True),
                layers.LSTM(3, return_sequences=True),
                layers.LSTM(2, unroll=True),
                layers.PReLU(),
                layers.Dense(1),
            ]
        )

    def double():
        first = layers.LSTM(3, dtype="float64", return_sequences=True)
        last = layers.LSTM(2, dtype="float64")
        return keras.Sequential([layers.Input((4, 3), dtype="float64"), first, last])

    models = (functional, nested, bidirectional, cells, distributed, others, double)
    return {model.__name__: model() for model in models}


def subclassed(layers, keras):
    class Own(keras.Model):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.zeta = layers.LSTM(3, return_sequences=True, activation="relu")
            inner = layers.LSTM(3, recurrent_activation="hard_sigmoid")
            self.alpha = layers.Bidirectional(inner, merge_mode="mul")
            self.blocks = [layers.LSTM(3, return_sequences=True) for _ in range(2)]
            self.head = layers.Dense(2)

        def call(self, x):
            x = self.zeta(x)
            for block in self.blocks:
                x = block(x)
            return self.head(self.alpha(x))

    return Own()


def values(tensors):
    found = []
    for tensor in tensors:
        shape, dtype = (2, *tensor.shape[1:]), np.dtype(tensor.dtype.as_numpy_dtype)
        whole = dtype.kind == "i"
        x = RANDOM.integers(1, 9, shape) if whole else RANDOM.normal(size=shape)
        x[1, 4:] = 0  # what Masking and Embedding leave out
        found.append(x.astype(dtype))
    return found


def randomise(model):
    model.set_weights(
        [
            (RANDOM.uniform(0.1, 1, w.shape) if w.ndim == 1 else RANDOM.normal(0, 0.5, w.shape))
            for w in model.get_weights()
        ]
    )


def make_keras():
    import tensorflow as tf

    keras, version, folder = tf.keras, tf.__version__, HERE / "savedmodel"
    layers = keras.layers
    for name, model in keras_models(layers, keras).items():
        randomise(model)
        inputs = values(model.inputs)
        stem = folder / f"tf_{version}_{name}"
        if name == "others":  # an optimizer with slots
            model.compile(keras.optimizers.legacy.Adam(), "mse")
            model.fit(inputs[0], np.zeros((2, 1)), verbose=0)
        outputs = model(inputs if len(inputs) > 1 else inputs[0])
        save(stem, inputs, list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])
        model.save_weights(f"{stem}_ckpt/w", save_format="tf")
        Path(f"{stem}.json").write_text(model.to_json())
        if name == "others":
            tracked = tf.train.Checkpoint(net=model, opt=model.optimizer, step=tf.Variable(3))
            tracked.save(f"{stem}_tracked/c")
        if name in ("nested", "cells"):
            model.save(stem, save_format="tf")
            pack(stem)
    own, x = subclassed(layers, keras), RANDOM.normal(size=(2, 5, 4)).astype("float32")
    own(x)
    randomise(own)
    stem = folder / f"tf_{version}_subclassed"
    steps = [own.zeta(x)]
    for block in own.blocks:
        steps.append(block(steps[-1]))
    save(stem, [x], [own(x)], zeta=steps[0], last=steps[-1], alpha=own.alpha(steps[-1]))
    own.save(stem, save_format="tf")
    own.save_weights(f"{stem}_ckpt/w", save_format="tf")
    pack(stem)
    make_names(tf, folder)
    make_arrays(tf)


def make_names(tf, folder):
    """Variables that TensorFlow 1's Saver keeps by name alone."""
    v1, x = tf.compat.v1, RANDOM.normal(size=(2, 5, 4)).astype("float32")
    with tf.Graph().as_default(), v1.variable_scope("") as scope:
        scope.set_initializer(v1.random_normal_initializer(0, 0.5, seed=1))
        fed = v1.placeholder(tf.float32, x.shape)
        basic, _ = v1.nn.dynamic_rnn(v1.nn.rnn_cell.BasicLSTMCell(3), fed, dtype=tf.float32)
        inner = tf.keras.layers.LSTM(2, return_sequences=True)
        both = tf.keras.layers.Bidirectional(inner, name="both")(fed)
        lstm = tf.keras.layers.LSTM(3, name="zz", return_sequences=True)(fed)
        with v1.variable_scope("cut", partitioner=v1.fixed_size_partitioner(2)):
            v1.get_variable("kernel", [8, 4])
        loss = sum(map(tf.reduce_sum, (basic, both, lstm)))
        v1.train.AdamOptimizer().minimize(loss)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, str(folder / "tf1_names" / "model.ckpt"))
            found = session.run({"both": both, "zz": lstm}, {fed: x})
    for meta in (folder / "tf1_names").glob("*.meta"):
        meta.unlink()
    (folder / "tf1_names" / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n')
    save(folder / "tf1_names", [x], [], **found)


def make_arrays(tf):
    """One LSTM's arrays and what it computes, to be saved under all sorts of names."""
    x = RANDOM.normal(size=(2, 6, 3)).astype("float32")
    layer = tf.keras.layers.LSTM(4, return_sequences=True)
    both = tf.keras.layers.Bidirectional(tf.keras.layers.LSTM(2, return_sequences=True))
    for each in (layer, both):
        each(x)
        randomise(each)
    kernel, recurrent, bias = layer.get_weights()
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}
    arrays |= {f"both{k}": w for k, w in enumerate(both.get_weights())}
    save(HERE / "npz" / "lstm", [x], [layer(x), both(x)], **arrays)


# -- TFLite's converter


def make_converted():
    import tensorflow as tf

    keras, layers = tf.keras, tf.keras.layers
    number = tf.__version__.replace(".", "")[:3]
    x = RANDOM.normal(size=(1, 5, 3)).astype("float32")
    models = {
        "back": [layers.LSTM(4, go_backwards=True, return_sequences=True)],
        "both_last": [layers.Bidirectional(layers.LSTM(4))],
        "integers": [layers.LSTM(4, return_sequences=True)],
    }
    for name, stack in models.items():
        model = keras.Sequential([layers.Input((5, 3), batch_size=1), *stack])
        randomise(model)
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if name == "integers":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            samples = [RANDOM.normal(size=x.shape).astype("float32") for _ in range(20)]
            converter.representative_dataset = lambda samples=samples: ([each] for each in samples)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        content = converter.convert()
        (HERE / "tflite" / f"tf{number}_{name}.tflite").write_bytes(content)
        interpreter = tf.lite.Interpreter(model_content=content)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        save(HERE / "tflite" / f"tf{number}_{name}", [x], [y], keras=model(x))


# -- Keras 3


def make_keras3():
    import keras
    import tensorflow as tf

    layers, folder = keras.layers, HERE / "savedmodel"
    x = RANDOM.normal(size=(2, 5, 4)).astype("float32")
    own = subclassed(layers, keras)
    own(x)
    stem = folder / f"k3_{keras.__version__}_subclassed"
    save(stem, [x], [own(x)], zeta=own.zeta(x))
    own.export(str(stem), verbose=False)
    pack(stem)
    inputs = keras.Input((5, 4))
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(inputs)
    y = keras.Sequential([layers.LSTM(3, return_sequences=True, name="zz")], name="inner")(y)
    model = keras.Model(inputs, layers.LSTM(2)(y))
    model.compile("adam", "mse")
    model.fit(x, np.zeros((2, 2)), verbose=0)
    stem = folder / f"k3_{keras.__version__}_tracked"
    tf.train.Checkpoint(model=model, opt=model.optimizer).write(f"{stem}/w")
    save(stem, [x], [model(x)], both=model.layers[1](x))
    Path(f"{stem}.json").write_text(model.to_json())


if __name__ == "__main__":
    for kind in ("savedmodel", "tflite", "npz"):
        (HERE / kind).mkdir(exist_ok=True)
    if sys.argv[1] == "tflite":
        from make_tflite import make_tflite

        make_tflite(HERE / "tflite")
    else:
        {"keras": make_keras, "convert": make_converted, "keras3": make_keras3}[sys.argv[1]]()
