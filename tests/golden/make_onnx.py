"""Makes ``onnx/*.onnx`` and, beside each, the inputs and what onnxruntime returns for them.

    python make_onnx.py

``exported`` holds files that tf2onnx 1.16.1 and PyTorch 2.13.0 wrote of small models, with inputs
``x0`` and outputs ``y0 y1 …``, ``torch_ts_tm_q`` quantised by onnxruntime.

Written with onnx 1.23.2 and onnxruntime 1.31.1. ``CASE.npz`` holds the inputs by name, as
``in NAME``, and the outputs in order, ``y0 y1 …``. Where onnxruntime does not load a file, the
numbers are those of a twin that computes the same: of opset 7 for older ones, of layout 0 for
layout 1.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FOLDER = Path(__file__).parent / "onnx"
OUTPUTS = ("Y", "Y_h", "Y_c")


class Maker:
    """Numbers of one case, always the same."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.tensors, self.nodes, self.feeds, self.inputs = [], [], {}, []

    def array(self, *shape, dtype=np.float32):
        return (self.random.normal(size=shape) * 0.5).astype(dtype)

    def tensor(self, name, array):
        self.tensors.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def weights(self, name, units, features, directions=1, dtype=np.float32):
        """W, R and B as initialisers; their names."""
        d, u = directions, units
        shapes = {"W": (d, 4 * u, features), "R": (d, 4 * u, u), "B": (d, 8 * u)}
        made = {k: self.array(*shape, dtype=dtype) for k, shape in shapes.items()}
        return [self.tensor(f"{name}_{k}", array) for k, array in made.items()]

    def input(self, name, array, shape):
        """An input of the model; names and None stand for open axes."""
        array = np.asarray(array)
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        self.feeds[name] = array
        return name

    def node(self, op, inputs, outputs, name="", **attributes):
        node = helper.make_node(op, list(inputs), list(outputs), name=name, **attributes)
        self.nodes.append(node)
        return outputs[0]

    def model(self, outputs, opset=14, ir=7, kinds=None, functions=(), domains=()):
        kinds = kinds or [T.FLOAT] * len(outputs)
        ports = [
            helper.make_tensor_value_info(n, k, None) for n, k in zip(outputs, kinds, strict=True)
        ]
        graph = helper.make_graph(self.nodes, "graph", self.inputs, ports, self.tensors)
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
        model = helper.make_model(graph, opset_imports=imports, functions=list(functions))
        model.ir_version = ir
        model.producer_name, model.producer_version = "make_onnx", "1"
        return model

    def graph(self, name, outputs):
        """The nodes so far as a graph of a branch; they are taken out of the model's own."""
        ports = [helper.make_tensor_value_info(n, T.FLOAT, None) for n in outputs]
        nodes, self.nodes = self.nodes, []
        return helper.make_graph(nodes, name, [], ports)


def computed(model, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def save(name, model, feeds, outputs=None, twin=None):
    outputs = computed(twin or model, feeds) if outputs is None else outputs
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())
    arrays = {f"in {key}": array for key, array in feeds.items()}
    arrays |= {f"y{k}": array for k, array in enumerate(outputs)}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


# -- the operator


def everything():
    """Bidirectional with peepholes, clip, numbers for activations, lengths and states."""
    make = Maker(1)
    make.input("X", make.array(5, 3, 2), [None, None, 2])
    make.input("lens", np.array([5, 2, 0], np.int32), [None])
    make.input("h0", make.array(2, 3, 4), [2, None, 4])
    make.input("c0", make.array(2, 3, 4), [2, None, 4])
    peepholes = make.tensor("P", make.array(2, 12))
    inputs = ["X", *make.weights("lstm", 4, 2, 2), "lens", "h0", "c0", peepholes]
    activations = ["HardSigmoid", "LeakyRelu", "ScaledTanh", "Affine", "Softsign", "elu"]
    make.node(
        *("LSTM", inputs, OUTPUTS, "everything"),
        activations=activations,
        activation_alpha=[0.3, 0.2, 1.2, 0.25, 0.7],
        activation_beta=[0.4, 0.8, 0.5],
        clip=0.7,
        direction="bidirectional",
        hidden_size=4,
    )
    save("everything", make.model(OUTPUTS), make.feeds)


def coupled_reverse():
    """Only one initial state, a coupled forget gate, reverse; some outputs left out; opset 22."""
    make = Maker(2)
    make.input("X", make.array(4, 2, 3), [None, None, 3])
    make.input("c0", make.array(1, 2, 2), [1, None, 2])
    w, r, _ = make.weights("lstm", 2, 3)
    make.node(
        *("LSTM", ["X", w, r, "", "", "", "c0"], ["Y", "", "Y_c"]),
        direction="reverse",
        hidden_size=2,
        input_forget=1,
    )
    save("coupled_reverse", make.model(["Y", "Y_c"], opset=22, ir=10), make.feeds)


def opset6():
    """The first version of the operator: initialisers are inputs too, names are numbers."""
    make = Maker(3)
    make.input("0", make.array(4, 2, 3), [4, 2, 3])
    w, r, b = make.weights("1", 3, 3)
    make.node("LSTM", ["0", w, r, b], ["5", "6", "7"], hidden_size=3, output_sequence=1)
    del make.nodes[-1].attribute[-1]
    make.node("Squeeze", ["5"], ["8"], axes=[1])
    make.node("Relu", ["8"], ["9"])
    twin = make.model(["9", "6"], opset=7, ir=3)
    for tensor in make.tensors:
        port = helper.make_tensor_value_info(tensor.name, T.FLOAT, tensor.dims)
        twin.graph.input.append(port)
    model = onnx.ModelProto.FromString(twin.SerializeToString())
    model.opset_import[0].version = 6
    save("opset6", model, make.feeds, twin=twin)


def layout1():
    """Batch first, which onnxruntime refuses: the numbers are those of layout 0, turned."""
    models = {}
    for layout in (0, 1):
        make = Maker(4)
        x, lens, h0 = make.array(2, 5, 3), np.array([3, 5], np.int32), make.array(2, 2, 4)
        turn = (lambda a: a) if layout else (lambda a: a.swapaxes(0, 1).copy())
        make.input("X", turn(x), [None, None, 3])
        make.input("lens", lens, [None])
        make.input("h0", turn(h0), [None, None, 4])
        zeros = make.tensor("c0", np.zeros(h0.shape, np.float32))
        inputs = ["X", *make.weights("lstm", 4, 3, 2), "lens", "h0", zeros]
        attributes = {"layout": 1} if layout else {}
        make.node("LSTM", inputs, OUTPUTS, direction="bidirectional", hidden_size=4, **attributes)
        models[layout] = make.model(OUTPUTS), make.feeds
    y, y_h, y_c = computed(*models[0])
    outputs = [y.transpose(2, 0, 1, 3), y_h.swapaxes(0, 1), y_c.swapaxes(0, 1)]
    save("layout1", *models[1], outputs)


def doubles():
    """Double precision, which onnxruntime's operator lacks: computed by onnx's own evaluator."""
    make = Maker(5)
    make.input("X", make.array(5, 2, 3, dtype=np.float64), [None, None, 3])
    inputs = ["X", *make.weights("lstm", 3, 3, dtype=np.float64)]
    make.node("LSTM", inputs, OUTPUTS, "doubles", hidden_size=3)
    model = make.model(OUTPUTS, kinds=[T.DOUBLE] * 3)
    save("doubles", model, make.feeds, ReferenceEvaluator(model).run(None, make.feeds))


# -- weights behind operators


def folded():
    """Weights through chains of operators, as exporters of all times write them."""
    make = Maker(6)
    make.input("X", make.array(5, 2, 3), [None, None, 3])
    gates = [make.tensor(f"gate{k}", make.array(3, 4).astype(np.float16)) for k in range(4)]
    for k, name in enumerate(gates):  # F, U in half precision
        make.node("Cast", [name], [f"gate{k}_float"], to=T.FLOAT)
        make.node("Transpose", [f"gate{k}_float"], [f"gate{k}_rows"], perm=[1, 0])
    make.node("Concat", [f"gate{k}_rows" for k in range(4)], ["W_flat"], axis=0)
    make.node("Unsqueeze", ["W_flat", make.tensor("axis0", np.array([0]))], ["W"])
    whole = numpy_helper.from_array(make.array(20, 4), "value")
    make.node("Constant", [], ["R_long"], value=whole)
    for name, numbers in {"from": [0], "to": [16], "on": [0]}.items():
        make.tensor(name, np.array(numbers))
    make.node("Slice", ["R_long", "from", "to", "on"], ["R_part"])
    make.node("Unsqueeze", ["R_part", "axis0"], ["R_one"])
    make.node("Identity", ["R_one"], ["R"])
    make.tensor("B_stored", make.array(32))
    make.tensor("shape", np.array([1, -1]))
    make.node("Reshape", ["B_stored", "shape"], ["B"])
    make.node("LSTM", ["X", "W", "R", "B"], OUTPUTS, "folded", hidden_size=4)
    save("folded", make.model(OUTPUTS), make.feeds)


def dequantised():
    """Weights as int8, with one scale a row, before the operator."""
    make = Maker(7)
    make.input("X", make.array(5, 2, 3), [None, None, 3])
    for name, columns in (("W", 3), ("R", 4)):
        whole = make.random.integers(-100, 100, size=(1, 16, columns)).astype(np.int8)
        make.tensor(f"{name}_stored", whole)
        make.tensor(f"{name}_scale", (make.random.uniform(0.002, 0.01, 16)).astype(np.float32))
        make.tensor(f"{name}_zero", make.random.integers(-5, 5, 16).astype(np.int8))
        inputs = [f"{name}_stored", f"{name}_scale", f"{name}_zero"]
        make.node("DequantizeLinear", inputs, [name], axis=1)
    make.node("LSTM", ["X", "W", "R"], OUTPUTS, "dequantised", hidden_size=4)
    save("dequantised", make.model(OUTPUTS), make.feeds)


def external():
    """Weights in a file beside the model; two of them stand behind each other in it."""
    make = Maker(8)
    make.input("X", make.array(5, 2, 3), [None, None, 3])
    inputs = ["X", *make.weights("lstm", 4, 3)]
    make.node("LSTM", inputs, OUTPUTS, "external", hidden_size=4)
    model = make.model(OUTPUTS)
    outputs = computed(model, make.feeds)
    path = FOLDER / "external.onnx.data"
    path.unlink(missing_ok=True)
    onnx.save_model(
        *(model, FOLDER / "external.onnx"),
        save_as_external_data=True,
        location=path.name,
        size_threshold=0,
    )
    model = onnx.load(FOLDER / "external.onnx", load_external_data=False)
    save("external", model, make.feeds, outputs)


# -- branches, functions, loops


def branches():
    """An LSTM in each branch of an If, one of them in an If of its own; names repeat."""
    make = Maker(9)
    make.input("x", make.array(5, 2, 3), [None, "batch", 3])
    make.input("h", make.array(2, 2, 4), [2, "batch", 4])
    make.input("rate", np.array(16000, np.int64), [])
    make.input("fine", np.array(True), [])
    make.tensor("high", np.array(16000, np.int64))
    make.tensor("zero", np.array(0, np.int64))
    make.tensor("one", np.array(1, np.int64))
    make.tensor("axis0", np.array([0]))
    for k in range(3):
        make.weights(f"lstm{k}", 4, 3)

    def lstm(k):
        make.node("Gather", ["h", "zero"], ["h0_flat"], axis=0)
        make.node("Unsqueeze", ["h0_flat", "axis0"], ["h0"])
        make.node("Gather", ["h", "one"], ["c0_flat"], axis=0)
        make.node("Unsqueeze", ["c0_flat", "axis0"], ["c0"])
        inputs = [f"x{k}", f"lstm{k}_W", f"lstm{k}_R", f"lstm{k}_B", "", "h0", "c0"]
        make.node("LSTM", inputs, ["Y", "Y_h", "Y_c"], "lstm", hidden_size=4)
        make.node("Concat", ["Y_h", "Y_c"], [f"states{k}"], "states", axis=0)
        make.node("Relu", ["Y"], [f"positive{k}"], "positive")

    make.node("Tanh", ["x"], ["x0"])
    lstm(0)
    fine = make.graph("fine", ["positive0", "states0"])
    make.node("Neg", ["x"], ["x1"])
    lstm(1)
    coarse = make.graph("coarse", ["positive1", "states1"])
    make.node(
        *("If", ["fine"], ["high_out", "high_states"], "inner"),
        then_branch=fine,
        else_branch=coarse,
    )
    then = make.graph("then", ["high_out", "high_states"])
    make.node("Sigmoid", ["x"], ["x2"])
    lstm(2)
    other = make.graph("else", ["positive2", "states2"])
    make.node("Equal", ["rate", "high"], ["is_high"])
    make.node("If", ["is_high"], ["out", "states"], "outer", then_branch=then, else_branch=other)
    model = make.model(["out", "states"])
    for name, rate, is_fine in (
        ("high_fine", 16000, True),
        ("high", 16000, False),
        ("low", 8000, True),
    ):
        feeds = {**make.feeds, "rate": np.array(rate, np.int64), "fine": np.array(is_fine)}
        outputs = computed(model, feeds)
        save("branches", model, feeds, outputs)
        (FOLDER / "branches.npz").rename(FOLDER / f"branches_{name}.npz")


def settled():
    """An If whose condition is a constant, and a function of the file that holds an LSTM."""
    make = Maker(10)
    make.input("x", make.array(2, 5, 3), ["batch", None, 3])
    make.tensor("yes", np.array(True))
    make.weights("first", 4, 3)
    make.weights("second", 2, 4)
    make.tensor("axis1", np.array([1]))
    make.node("Transpose", ["x"], ["steps_first"], perm=[1, 0, 2])
    make.node(
        "LSTM", ["steps_first", "first_W", "first_R", "first_B"], ["y"], "first", hidden_size=4
    )
    make.node("Squeeze", ["y", "axis1"], ["a"])
    then = make.graph("then", ["a"])
    make.node("Identity", ["x"], ["b"])
    other = make.graph("else", ["b"])
    make.node("If", ["yes"], ["chosen"], "settled", then_branch=then, else_branch=other)
    make.node(
        "Encode", ["chosen", "second_W", "second_R", "second_B"], ["code"], "call", domain="own"
    )
    nodes = [
        helper.make_node(
            "LSTM", ["data", "w", "r", "b"], ["", "last"], name="inner", hidden_size=2
        ),
        helper.make_node("Tanh", ["last"], ["result"]),
    ]
    imports = [helper.make_opsetid("", 14)]
    function = helper.make_function(
        "own", "Encode", ["data", "w", "r", "b"], ["result"], nodes, imports
    )
    model = make.model(["code"], ir=8, functions=[function], domains=["own"])
    save("settled", model, make.feeds)


def loop():
    """A Loop around an LSTM, which is refused, beside an LSTM that is not."""
    make = Maker(11)
    make.input("x", make.array(4, 2, 3), [None, None, 3])
    make.tensor("rounds", np.array(2, np.int64))
    make.tensor("yes", np.array(True))
    make.weights("again", 3, 3)
    make.weights("once", 3, 3)
    make.tensor("axis1", np.array([1]))
    make.node("Identity", ["go"], ["go_on"])
    make.node("LSTM", ["now", "again_W", "again_R", "again_B"], ["y"], "again", hidden_size=3)
    make.node("Squeeze", ["y", "axis1"], ["next"])
    body = make.graph("body", ["go_on", "next"])
    ports = {"k": (T.INT64, []), "go": (T.BOOL, []), "now": (T.FLOAT, None)}
    body.input.extend(helper.make_tensor_value_info(n, *each) for n, each in ports.items())
    body.output[0].type.tensor_type.elem_type = T.BOOL
    make.node("Loop", ["rounds", "yes", "x"], ["end"], "rounds_of_it", body=body)
    make.node("LSTM", ["x", "once_W", "once_R", "once_B"], ["Y", "Y_h"], "once", hidden_size=3)
    save("loop", make.model(["end", "Y_h"]), make.feeds)


# -- what stands around


def around():
    """Convolution before, attention-like pooling between, GRU and softmax after two LSTMs."""
    make = Maker(12)
    make.input("x", make.array(2, 3, 8), ["batch", 3, None])
    make.tensor("kernel", make.array(4, 3, 3))
    make.node("Conv", ["x", "kernel"], ["features"], "conv", pads=[1, 1])
    make.node("Transpose", ["features"], ["steps_first"], perm=[2, 0, 1])
    inputs = ["steps_first", *make.weights("one", 3, 4, 2)]
    make.node("LSTM", inputs, ["y1"], "one", direction="bidirectional", hidden_size=3)
    make.node("Transpose", ["y1"], ["together"], perm=[0, 2, 1, 3])
    make.tensor("merged", np.array([0, 0, -1]))
    make.node("Reshape", ["together", "merged"], ["joined"])
    make.node("LayerNormalization", ["joined", make.tensor("scale", make.array(6))], ["normal"])
    inputs = ["normal", *make.weights("two", 3, 6)]
    make.node("LSTM", inputs, ["y2", "h2"], "two", hidden_size=3)
    make.tensor("gru_W", make.array(1, 6, 6))
    make.tensor("gru_R", make.array(1, 6, 2))
    make.node("GRU", ["joined", "gru_W", "gru_R"], ["", "gru_h"], "gru", hidden_size=2)
    make.node("Concat", ["h2", "gru_h"], ["both"], axis=-1)
    make.node("Softmax", ["both"], ["out"], axis=-1)
    make.node("ReduceMean", ["y2"], ["mean"], axes=[0], keepdims=0)
    save("around", make.model(["out", "mean"], opset=17, ir=8), make.feeds)


def halves():
    """A model in half precision throughout: what is handed on is cast for the operators."""
    make = Maker(13)
    make.input("x", make.array(4, 2, 3, dtype=np.float16), [None, None, 3])
    make.tensor("shift", make.array(3, dtype=np.float16))
    make.node("Add", ["x", "shift"], ["moved"])
    make.node("Erf", ["moved"], ["bent"])
    inputs = ["bent", *make.weights("lstm", 4, 3, dtype=np.float16)]
    make.node("LSTM", inputs, ["Y", "Y_h"], "lstm", hidden_size=4)
    make.node("Erf", ["Y"], ["out"])
    model = make.model(["out", "Y_h"], kinds=[T.FLOAT16] * 2)
    twin = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in twin.graph.initializer:  # onnxruntime has no LSTM in half precision
        array = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for port in (*twin.graph.input, *twin.graph.output):
        port.type.tensor_type.elem_type = T.FLOAT
    feeds = {"x": make.feeds["x"].astype(np.float32)}
    save("halves", model, feeds, computed(twin, feeds))


def embedded():
    """Token ids, an embedding, an LSTM, a dense layer: nothing that needs a library."""
    make = Maker(14)
    make.input("ids", make.random.integers(0, 7, (2, 5)), ["batch", "steps"])
    make.tensor("table", make.array(7, 3))
    make.node("Gather", ["table", "ids"], ["vectors"], "embedding")
    make.node("Transpose", ["vectors"], ["steps_first"], perm=[1, 0, 2])
    inputs = ["steps_first", *make.weights("lstm", 4, 3)]
    make.node("LSTM", inputs, ["", "Y_h"], "lstm", hidden_size=4)
    make.node("Squeeze", ["Y_h", make.tensor("axis0", np.array([0]))], ["last"])
    make.tensor("dense", make.array(2, 4))
    make.tensor("dense_bias", make.array(2))
    make.node("Gemm", ["last", "dense", "dense_bias"], ["out"], "dense", transB=1)
    save("embedded", make.model(["out"]), make.feeds)


def exported():
    """The numbers of the files in ``exported`` that came without."""
    for path in sorted((FOLDER / "exported").glob("torch_dynamo_*.onnx")):
        x = Maker(15).array(5, 2, 3)
        outputs = computed(onnx.load(path), {"x": x})
        arrays = {f"y{k}": array for k, array in enumerate(outputs)}
        np.savez_compressed(path.with_suffix(".npz"), x0=x, **arrays)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for case in (
        *(everything, coupled_reverse, opset6, layout1, doubles, folded, dequantised, external),
        *(branches, settled, loop, around, halves, embedded, exported),
    ):
        case()
