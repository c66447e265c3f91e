"""TFLite files of one LSTM operator with any of its inputs, and what TFLite's interpreter makes of
them. Called by ``make_tensorflow.py tflite``; needs ``flatbuffers``, ``tflite`` and TensorFlow.
"""

import numpy as np

TYPES = {"float32": 0, "int32": 2, "int16": 7, "int8": 9, "float16": 1}
TANH, RELU, RELU6, NONE = 4, 1, 3, 0


class Writer:
    """One subgraph: tensors, operators, and the file they make."""

    def __init__(self):
        self.tensors, self.buffers, self.operators = [], [b""], []

    def tensor(self, name, shape=(), data=None, kind="float32", variable=False, scale=None):
        place = 0
        if data is not None:
            self.buffers.append(np.ascontiguousarray(data).tobytes())
            place, shape, kind = len(self.buffers) - 1, data.shape, data.dtype.name
        self.tensors.append((name, shape, TYPES[kind], place, variable, scale))
        return len(self.tensors) - 1

    def operator(self, code, inputs, outputs, options=None):
        self.operators.append((code, inputs, outputs, options))

    def file(self, inputs, outputs):
        import flatbuffers
        import tflite

        b = flatbuffers.Builder(1024)

        def vector(values, put, size=4):
            b.StartVector(size, len(values), size)
            for value in reversed(values):
                put(value)
            return b.EndVector()

        def table(name, **values):
            getattr(tflite, f"{name}Start")(b)
            for key, value in values.items():
                getattr(tflite, f"{name}Add{key}")(b, value)
            return getattr(tflite, f"{name}End")(b)

        def numbers(values):
            return vector([int(value) for value in values], b.PrependInt32)

        def tables(values):
            return vector(values, b.PrependUOffsetTRelative)

        buffers = []
        for content in self.buffers:
            data = b.CreateByteVector(content) if content else None
            buffers.append(table("Buffer", Data=data) if content else table("Buffer"))
        tensors = []
        for name, shape, kind, place, variable, scale in self.tensors:
            values = {"Name": b.CreateString(name), "Shape": numbers(shape), "Type": kind}
            if scale is not None:
                scales = vector([scale], b.PrependFloat32)
                zeros = vector([0], b.PrependInt64, 8)
                values["Quantization"] = table(
                    "QuantizationParameters", Scale=scales, ZeroPoint=zeros
                )
            tensors.append(table("Tensor", **values, Buffer=place, IsVariable=variable))
        codes = sorted({code for code, *_ in self.operators})
        kinds = [
            table("OperatorCode", DeprecatedBuiltinCode=code, BuiltinCode=code, Version=1)
            for code in codes
        ]
        operators = []
        for code, taken, given, options in self.operators:
            values = {"Inputs": numbers(taken), "Outputs": numbers(given)}
            if options is not None:
                name, settings = options
                values["BuiltinOptions"] = table(name, **settings)
                values["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
            operators.append(table("Operator", OpcodeIndex=codes.index(code), **values))
        graph = table(
            "SubGraph",
            Tensors=tables(tensors),
            Inputs=numbers(inputs),
            Outputs=numbers(outputs),
            Operators=tables(operators),
            Name=b.CreateString("main"),
        )
        model = table(
            "Model",
            Version=3,
            OperatorCodes=tables(kinds),
            Subgraphs=tables([graph]),
            Description=b.CreateString("written by hand"),
            Buffers=tables(buffers),
        )
        b.Finish(model, b"TFL3")
        return bytes(b.Output())


def cell(
    writer,
    random,
    features,
    units,
    size,
    peepholes=False,
    coupled=False,
    projection=False,
    bias=False,
    norm=False,
    int8=False,
    half=False,
    front="",
):
    """The inputs of one cell, in the operator's groups; -1 for what is absent."""

    def array(name, *shape):
        values = random.normal(0, 0.6, shape).astype(np.float32)
        if half:
            stored = writer.tensor(f"{front}{name}_half", data=values.astype(np.float16))
            wide = writer.tensor(front + name, shape)
            writer.operator(6, [stored], [wide])  # DEQUANTIZE
            return wide
        if not int8 or len(shape) == 1:
            return writer.tensor(front + name, data=values)
        scale = float(np.abs(values).max()) / 127
        whole = np.round(values / scale).astype(np.int8)
        return writer.tensor(front + name, data=whole, scale=scale)

    def gates(name, wanted, letters, *shape):
        return [
            array(name + gate, *shape) if wanted and not (coupled and gate == "i") else -1
            for gate in letters
        ]

    return [
        gates("w_", True, "ifgo", units, features),
        gates("r_", True, "ifgo", units, size),
        gates("p_", peepholes, "ifo", units),
        gates("b_", True, "ifgo", units),
        [array("projection", size, units) if projection else -1],
        [array("projection_bias", size) if projection and bias else -1],
        gates("n_", norm, "ifgo", units),
    ]


def one_way(
    seed,
    features=3,
    units=4,
    size=0,
    batch=2,
    steps=6,
    peepholes=False,
    coupled=False,
    bias=False,
    norm=False,
    int8=False,
    half=False,
    time_major=False,
    activation=TANH,
    cell_clip=0.0,
    projection_clip=0.0,
):
    """A file with UNIDIRECTIONAL_SEQUENCE_LSTM, and an input for it."""
    random, writer = np.random.default_rng(seed), Writer()
    front = (steps, batch) if time_major else (batch, steps)
    hidden = size or units
    x = writer.tensor("x", (*front, features))
    parts = {"peepholes": peepholes, "coupled": coupled, "projection": bool(size), "bias": bias}
    kinds = {"norm": norm, "int8": int8, "half": half}
    groups = cell(writer, random, features, units, hidden, **parts, **kinds)
    h = writer.tensor("h", (batch, hidden), variable=True)
    c = writer.tensor("c", (batch, units), variable=True)
    y = writer.tensor("encoder/lstm", (*front, hidden))
    settings = {
        "FusedActivationFunction": activation,
        "CellClip": cell_clip,
        "ProjClip": projection_clip,
        "TimeMajor": time_major,
    }
    inputs = [number for group in groups[:-1] for number in group]
    taken = [x, *inputs, h, c, *groups[-1]]
    writer.operator(44, taken, [y], ("UnidirectionalSequenceLSTMOptions", settings))
    return writer.file([x], [y]), random.normal(0, 1.5, (*front, features)).astype(np.float32)


def two_ways(
    seed,
    features=3,
    units=4,
    size=0,
    batch=1,
    steps=6,
    peepholes=False,
    coupled=False,
    time_major=False,
    merged=True,
    cell_clip=0.0,
    projection_clip=0.0,
):
    """A file with BIDIRECTIONAL_SEQUENCE_LSTM, and an input for it.

    With batch first, TFLite hands numbers on from one sequence of a batch to the next; so one.
    """
    random, writer = np.random.default_rng(seed), Writer()
    front = (steps, batch) if time_major else (batch, steps)
    hidden = size or units
    x = writer.tensor("x", (*front, features))
    taken = [x]
    for name in ("forward_", "backward_"):
        parts = {"peepholes": peepholes, "coupled": coupled, "projection": bool(size)}
        groups = cell(writer, random, features, units, hidden, **parts, front=name)
        taken += [number for group in groups[:-1] for number in group]
    for k, width in enumerate((hidden, units) * 2):
        taken.append(writer.tensor(f"state_{k}", (batch, width), variable=True))
    names = {"both": 2 * hidden} if merged else {"forward": hidden, "backward": hidden}
    outputs = [writer.tensor(name, (*front, width)) for name, width in names.items()]
    settings = {
        "FusedActivationFunction": TANH,
        "CellClip": cell_clip,
        "ProjClip": projection_clip,
        "TimeMajor": time_major,
        "MergeOutputs": merged,
    }
    options = ("BidirectionalSequenceLSTMOptions", settings)
    writer.operator(52, [*taken, *[-1] * 9], outputs, options)
    return writer.file([x], outputs), random.normal(0, 1.5, (*front, features)).astype(np.float32)


ONE_WAY = {
    "plain": {},
    "one_unit": {"features": 1, "units": 1},
    "peepholes": {"peepholes": True},
    "coupled": {"coupled": True},
    "coupled_peepholes": {"coupled": True, "peepholes": True},
    "projection": {"size": 3},
    "projection_bias_clip": {"size": 3, "bias": True, "projection_clip": 0.3},
    "clip_without_projection": {"projection_clip": 0.1},
    "cell_clip": {"cell_clip": 0.5},
    "layer_norm": {"norm": True},
    "layer_norm_peepholes": {"norm": True, "peepholes": True},
    "everything": {
        "peepholes": True,
        "size": 2,
        "bias": True,
        "norm": True,
        "cell_clip": 0.8,
        "projection_clip": 0.5,
    },
    "everything_coupled": {
        "peepholes": True,
        "coupled": True,
        "size": 2,
        "norm": True,
        "cell_clip": 0.8,
        "projection_clip": 0.5,
    },
    "time_major": {"time_major": True},
    "relu": {"activation": RELU},
    "relu6": {"activation": RELU6},
    "no_activation": {"activation": NONE},
    "int8": {"int8": True, "features": 8, "units": 8},
    "half": {"half": True, "peepholes": True},
}
TWO_WAYS = {
    "both": {},
    "both_peepholes": {"peepholes": True},
    "both_coupled": {"coupled": True},
    "both_apart": {"merged": False, "cell_clip": 0.5},
    "both_time_major": {"time_major": True, "batch": 2},
    "both_projection": {"size": 3, "projection_clip": 0.4},
}


def make_tflite(folder):
    import tensorflow as tf

    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for seed, (name, settings) in enumerate([*ONE_WAY.items(), *TWO_WAYS.items()]):
        content, x = (one_way if name in ONE_WAY else two_ways)(seed, **settings)
        (folder / f"operator_{name}.tflite").write_bytes(content)
        interpreter = tf.lite.Interpreter(
            model_content=content, experimental_op_resolver_type=plain
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        outputs = [
            interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()
        ]
        named = {f"y{k}": output for k, output in enumerate(outputs)}
        np.savez_compressed(folder / f"operator_{name}.npz", x0=x, **named)
