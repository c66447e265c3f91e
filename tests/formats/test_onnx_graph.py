"""How the nodes of an ONNX file become calls: order, branches, parts that a library runs, names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_files import (
    X,
    external,
    graph,
    graph_field,
    lstm_model,
    model,
    node,
    port,
    saved,
    tensor,
    tensor_field,
    weights,
)

import lstm_cli
from lstm_cli.errors import InputError, ModelFileError, UnsupportedFeatureError
from lstm_cli.formats.onnx_proto import File
from lstm_cli.formats.protobuf import encoded
from lstm_cli.model import Call, Constant, Foreign, Layer, Operation, Reference, Unsupported

FLAG = port("flag", 9, [])


def loaded(folder: Path, content: bytes) -> lstm_cli.Model:
    return lstm_cli.load(saved(folder, content))


def lstm(x: str, outputs: list[str], name: str = "", **attributes: Any) -> bytes:
    return node("LSTM", [x, "W", "R", "B"], outputs, name, hidden_size=2, **attributes)


def foreign(found: lstm_cli.Model) -> dict[str, Foreign]:
    return {
        layer.address: layer.operation
        for layer in found.layers
        if isinstance(layer.operation, Foreign)
    }


def layer_of(found: lstm_cli.Model, address: str) -> Layer:
    return next(layer for layer in found.layers if layer.address == address)


def call_of(found: lstm_cli.Model, address: str) -> Call:
    return next(call for call in found.calls if call.layer.address == address)


def needed(found: lstm_cli.Model, address: str) -> set[str]:
    """Addresses of all layers that one depends on."""
    waiting = [found.calls.index(call_of(found, address))]
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        seen.add(number)
        call = found.calls[number]
        given = [*call.arguments, *call.initial_state, call.lengths]
        given += [call.condition[0]] if call.condition else []
        waiting += [
            ref.call for ref in given if isinstance(ref, Reference) and ref.call not in seen
        ]
    return {found.calls[number].layer.address for number in seen} - {address}


def parsed(operation: Foreign) -> File:
    return File(memoryview(operation.program()))


# -- order


def test_nodes_in_any_order(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["y"], ["out"], "last"),
        lstm("moved", ["y"], "lstm"),
        node("Transpose", ["x"], ["moved"], "first", perm=[1, 0, 2]),
    ]
    content = model(graph(nodes, [port("x", 1, [None, None, 3])], ["out"], weights()))

    found = loaded(tmp_path, content)

    assert [layer.address for layer in found.layers] == ["x", "first", "lstm", "last"]
    assert lstm_cli.run(found, np.zeros((2, 4, 3), np.float32)).shape == (4, 1, 2, 2)


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([node("Relu", ["b"], ["X"]), node("Relu", ["X"], ["b"])], "need each other in a circle"),
        ([node("Relu", ["X"], ["X"])], "reads what it makes itself"),
        ([node("Relu", ["nowhere"], ["X"])], "reads 'nowhere', which nothing in the file makes"),
        ([node("Relu", ["W"], ["X"]), node("Relu", ["R"], ["X"])], "'X' is made twice"),
    ],
)
def test_graphs_that_cannot_be(nodes: list[bytes], told: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=told):
        loaded(tmp_path, lstm_model(*nodes, inputs=[]))


def test_an_output_that_nothing_makes(tmp_path: Path) -> None:
    content = model(graph([lstm("X", ["Y"])], [X], ["Z"], weights()))

    with pytest.raises(ModelFileError, match="its output 'Z' is made by nothing"):
        loaded(tmp_path, content)


def test_outputs_that_are_inputs_or_constants(tmp_path: Path) -> None:
    content = model(graph([lstm("X", ["Y"])], [X], ["X", "R"], weights()))
    x = np.ones((2, 1, 3), np.float32)

    found = loaded(tmp_path, content)

    same, constant = lstm_cli.run(found, x)
    np.testing.assert_array_equal(same, x)
    assert constant.shape == (1, 8, 2)


# -- parts that a library runs


def test_only_what_a_layer_depends_on_is_in_its_part(tmp_path: Path) -> None:
    """Two LSTMs in a row, each with operators of its own and some that both share."""
    nodes = [
        node("Erf", ["x"], ["shared"]),
        node("Erf", ["shared"], ["one_in"]),
        lstm("one_in", ["y1"], "one"),
        node("Erf", ["shared"], ["two_more"]),
        node("Squeeze", ["y1"], ["two_flat"], axes=[1]),
        node("Concat", ["two_flat", "two_more"], ["two_in"], axis=2),
        node("LSTM", ["two_in", "W2", "R"], ["y2"], "two", hidden_size=2),
        node("Erf", ["y1"], ["out"]),
        node("Erf", ["y2"], ["unused"]),
    ]
    wide = tensor("W2", np.ones((1, 8, 5), np.float32))
    content = model(graph(nodes, [port("x", 1, [None, None, 3])], ["out"], [*weights(), wide]))

    found = loaded(tmp_path, content)

    parts = foreign(found)
    assert {name: part.operators for name, part in parts.items()} == {
        "one:before": ("Erf", "Erf"),
        "two:before": ("Erf", "Squeeze", "Concat"),
        "one:after": ("Erf",),
    }
    assert needed(found, "one") == {"x", "one:before"}
    assert {"one", "one:before", "two:before"} < needed(found, "two")
    assert "one:after" not in needed(found, "two")
    assert found.outputs[0].reference.call == found.calls.index(call_of(found, "one:after"))


def test_a_part_holds_its_nodes_and_tensors_alone(tmp_path: Path) -> None:
    """Trap: before version 4 of the format, initialisers had to be inputs too."""
    factor = tensor("factor", np.float32(2))
    nodes = [
        node("Constant", [], ["shift"], value_float=1.5),
        node("Mul", ["x", "factor"], ["doubled"]),
        node("Erf", ["doubled"], ["bent"]),
        node("Add", ["bent", "shift"], ["X"]),
    ]
    inputs = [port("x", 1, [None, None, 3]), port("factor"), port("W"), port("R"), port("B")]
    content = lstm_model(*nodes, inputs=inputs, tensors=[*weights(), factor])
    old = content.replace(encoded(1, 8), encoded(1, 3), 1)

    (operation,) = foreign(loaded(tmp_path, old)).values()

    file = parsed(operation)
    assert file.message.integer(1) == 4
    assert file.opset == 14
    assert [each.op for each in file.graph.nodes] == ["Cast", "Constant", "Mul", "Erf", "Add"]
    assert set(file.graph.tensors) == {"factor"}
    assert operation.inputs == ("x (as given)",)
    assert operation.outputs == ("X",)
    assert not file.graph.inputs  # they are added where it is run, with their types


def test_constants_are_copied_not_handed_over(tmp_path: Path) -> None:
    """A chain of constants that two parts read stands in both."""
    nodes = [
        node("Exp", ["raw"], ["factor"]),
        node("Mul", ["x", "factor"], ["in"]),
        node("Erf", ["in"], ["X"]),
        node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm", hidden_size=2),
        node("Mul", ["Y", "factor"], ["late"]),
        node("Erf", ["late"], ["out"]),
    ]
    raw = tensor("raw", np.float32(1))
    inputs = [port("x", 1, [None, None, 3])]
    found = loaded(tmp_path, model(graph(nodes, inputs, ["out"], [*weights(), raw])))

    assert {name: part.operators for name, part in foreign(found).items()} == {
        "lstm:before": ("Exp", "Mul", "Erf"),
        "lstm:after": ("Exp", "Mul", "Erf"),
    }
    assert [len(call_of(found, name).arguments) for name in foreign(found)] == [1, 1]


def test_random_numbers_are_drawn_once(tmp_path: Path) -> None:
    nodes = [
        node("RandomNormal", [], ["noise"], shape=[4, 2, 3]),
        node("Erf", ["noise"], ["X"]),
        lstm("X", ["Y"], "lstm"),
        node("Add", ["Y", "noise"], ["out"]),
    ]
    found = loaded(tmp_path, model(graph(nodes, [], ["out"], weights())))

    assert [part.operators.count("RandomNormal") for part in foreign(found).values()] == [1]


def test_tensors_beside_the_file_are_put_into_the_part(tmp_path: Path) -> None:
    numbers = np.arange(3, dtype=np.float32)
    (tmp_path / "w.bin").write_bytes(bytes(8) + numbers.tobytes())
    beside = external("shift", numbers, location="w.bin", offset="8")
    nodes = [node("Add", ["x", "shift"], ["moved"]), node("Erf", ["moved"], ["X"])]
    inputs = [port("x", 1, [None, None, 3])]
    content = lstm_model(*nodes, inputs=inputs, tensors=[*weights(), beside])

    (operation,) = foreign(loaded(tmp_path, content)).values()

    stored = parsed(operation).graph.tensors["shift"]
    assert stored.integer(14) == 0
    np.testing.assert_array_equal(np.frombuffer(stored.bytes(9), np.float32), numbers)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelFileError, match=r"w\.bin, which cannot be read"):
        operation.program()


@pytest.mark.parametrize("depth", [0, 1])
def test_no_library_is_told_to_open_files(depth: int, tmp_path: Path) -> None:
    """A tensor inside a node may name any file; a library would look for it by itself."""
    secret = external("", np.zeros(3, np.float32), location="../secret")
    held = node("Constant", [], ["X"], value=tensor_field(secret))
    if depth:
        inside = graph([node("Identity", ["k"], ["a"])], outputs=["a"])
        inside += encoded(5, external("k", np.zeros(3, np.float32), location="../secret"))
        held = chosen("flag", inside, inside, "X", "holder")
    nodes = [held, node("Erf", ["X"], ["out"]), lstm("x", ["Y"], "lstm")]
    inputs = [port("x", 1, [None, None, 3]), FLAG]
    (operation,) = foreign(
        loaded(tmp_path, model(graph(nodes, inputs, ["out"], weights())))
    ).values()

    with pytest.raises(ModelFileError, match="holds a tensor that stands in another file"):
        operation.program()


def test_what_graphs_inside_a_node_read_is_an_input_of_the_part(tmp_path: Path) -> None:
    """An If without an LSTM stays a node; its branches see the names around them."""
    then = graph([node("Mul", ["x", "factor"], ["a"])], outputs=["a"])
    other = graph([node("Erf", ["y1"], ["b"])], outputs=["b"])
    nodes = [
        lstm("x", ["y1"], "one"),
        node("Cast", ["flag"], ["yes"], to=9),
        node(
            "If",
            ["yes"],
            ["out"],
            "choice",
            then_branch=graph_field(then),
            else_branch=graph_field(other),
        ),
    ]
    inputs = [port("x", 1, [None, None, 3]), port("flag", 7, [])]
    factor = tensor("factor", np.float32(2))
    found = loaded(tmp_path, model(graph(nodes, inputs, ["out"], [*weights(), factor])))

    (operation,) = foreign(found).values()
    assert operation.operators == ("Cast", "If")
    assert sorted(operation.inputs) == ["flag", "x (as given)", "y1 (as given)"]
    assert set(parsed(operation).graph.tensors) == {"factor"}


def test_half_precision_is_given_back_to_operators(tmp_path: Path) -> None:
    """The LSTM is computed in single precision; what reads it expects half."""
    halves = [
        tensor(name, np.ones(shape, np.float16))
        for name, shape in {"W": (1, 8, 3), "R": (1, 8, 2), "B": (1, 16)}.items()
    ]
    nodes = [lstm("x", ["Y"], "lstm"), node("Erf", ["Y"], ["out"])]
    content = model(graph(nodes, [port("x", 10, [None, None, 3])], ["out"], halves))

    (operation,) = foreign(loaded(tmp_path, content)).values()

    cast = parsed(operation).graph.nodes[0]
    assert (cast.op, cast.inputs, cast.outputs) == ("Cast", ("Y (as given)",), ("Y",))
    assert cast.integer("to", 0) == 10


# -- branches


def branch(name: str, reads: str, output: str) -> bytes:
    return graph([lstm(reads, ["Y"], name), node("Relu", ["Y"], [output])], outputs=[output])


def chosen(condition: str, then: bytes, other: bytes, output: str, name: str = "choice") -> bytes:
    fields = {"then_branch": graph_field(then), "else_branch": graph_field(other)}
    return node("If", [condition], [output], name, "", **fields)


def test_both_branches_stand_under_the_condition(tmp_path: Path) -> None:
    nodes = [chosen("flag", branch("lstm", "x", "a"), branch("lstm", "x", "b"), "out")]
    found = loaded(
        tmp_path, model(graph(nodes, [port("x", 1, [None, None, 3]), FLAG], ["out"], weights()))
    )

    names = ["choice/then/lstm", "choice/else/lstm"]
    assert [layer.address for layer in found.lstm_layers] == names
    flag = Reference(next(entry.call for entry in found.inputs if entry.name == "flag"))
    assert [call_of(found, name).condition for name in names] == [(flag, True), (flag, False)]
    join = layer_of(found, "choice").operation
    assert isinstance(join, Operation)
    assert join.name == "either"
    x = np.random.default_rng(0).normal(size=(3, 1, 3)).astype(np.float32)
    for flag_value in (True, False):
        y = lstm_cli.run(found, {"x": x, "flag": np.array(flag_value)})
        assert y.shape == (3, 1, 1, 2)


def test_a_branch_may_hand_on_what_stands_outside_it(tmp_path: Path) -> None:
    """Trap: a value from outside is always there, also when the other branch is taken."""
    outside = graph([], outputs=["big"])
    nodes = [chosen("flag", branch("lstm", "x", "a"), outside, "out")]
    big = tensor("big", np.full((2, 1, 1, 2), 9, np.float32))
    content = model(graph(nodes, [port("x", 1, [None, None, 3]), FLAG], ["out"], [*weights(), big]))
    x = np.zeros((2, 1, 3), np.float32)

    found = loaded(tmp_path, content)

    inside = lstm_cli.run(found, {"x": x, "flag": np.array(True)})
    assert (np.asarray(inside) < 1).all()
    np.testing.assert_array_equal(lstm_cli.run(found, {"x": x, "flag": np.array(False)}), 9)


def test_a_condition_inside_a_branch_that_comes_from_outside(tmp_path: Path) -> None:
    """Trap: the inner If must not be computed where the outer one takes its other branch."""
    inner = chosen("deep", branch("lstm", "x", "a"), branch("lstm", "x", "b"), "c", "inner")
    plain = graph([node("Neg", ["x"], ["n"])], outputs=["n"])
    nodes = [chosen("flag", graph([inner], outputs=["c"]), plain, "out", "outer")]
    inputs = [port("x", 1, [None, None, 3]), FLAG, port("deep", 9, [])]
    found = loaded(tmp_path, model(graph(nodes, inputs, ["out"], weights())))
    x = np.ones((2, 1, 3), np.float32)

    given = {"x": x, "flag": np.array(False), "deep": np.array(True)}

    np.testing.assert_array_equal(lstm_cli.run(found, given), -x)
    first = found.lstm_layers[0].address
    with pytest.raises(InputError, match="another branch"):
        lstm_cli.trace(found, given, layer=first)
    given["flag"] = np.array(True)
    assert lstm_cli.run(found, given).shape == (2, 1, 1, 2)
    lstm_cli.trace(found, given, layer=first)


def test_operators_before_and_behind_an_if_that_the_same_outputs_need(tmp_path: Path) -> None:
    """Trap: both are needed by the outputs alone, but one is made of what becomes of the other."""
    kept = graph([node("Identity", ["early"], ["a"])], outputs=["a"])
    nodes = [
        node("Erf", ["x"], ["early"]),
        chosen("flag", kept, branch("lstm", "x", "b"), "either"),
        node("Erf", ["either"], ["out"]),
    ]
    content = graph(nodes, [port("x", 1, [None, None, 3]), FLAG], ["out"], weights())
    found = loaded(tmp_path, model(content))

    assert {name: part.operators for name, part in foreign(found).items()} == {
        "operators": ("Erf",),
        "lstm:after": ("Erf",),
    }
    assert needed(found, "lstm:after") >= {"operators", "lstm", "choice"}


def test_weights_that_stand_inside_a_branch(tmp_path: Path) -> None:
    """Constants and initialisers of a branch, behind an operator there."""
    w, r = (np.full((8, n), n / 10, np.float32) for n in (3, 2))
    inside = [
        node("Constant", [], ["w"], value=tensor_field(tensor("", w))),
        node("Unsqueeze", ["w"], ["W1"], axes=[0]),
        node("LSTM", ["x", "W1", "R1"], ["Y"], "lstm", hidden_size=2),
    ]
    then = graph(inside, outputs=["Y"], tensors=[tensor("R1", r[None])])
    nodes = [chosen("flag", then, branch("other", "x", "b"), "out")]
    content = graph(nodes, [port("x", 1, [None, None, 3]), FLAG], ["out"], weights())

    (first, _) = loaded(tmp_path, model(content)).lstm_layers

    assert first.recurrent is not None
    (cell,) = first.recurrent.directions[0].cells
    np.testing.assert_array_equal(cell.kernel, w.T)
    np.testing.assert_array_equal(cell.recurrent_kernel, r.T)


def test_branches_that_do_not_return_as_much(tmp_path: Path) -> None:
    short = graph([lstm("x", ["Y"])])
    nodes = [chosen("flag", branch("lstm", "x", "a"), short, "out")]
    content = model(graph(nodes, [port("x", 1, [None, None, 3]), FLAG], ["out"], weights()))

    with pytest.raises(ModelFileError, match="returns 1 values, its branch 'else' 0"):
        loaded(tmp_path, content)


# -- loops and functions


@pytest.mark.parametrize("op", ["Loop", "Scan"])
def test_loops_are_refused_by_name(op: str, tmp_path: Path) -> None:
    around = graph([lstm("x", ["Y"], "inside")], outputs=["Y"])
    hidden = graph(
        [
            node("MatMul", ["x", "W"], ["a"]),
            node("Sigmoid", ["a"], ["b"]),
            node("Tanh", ["b"], ["c"]),
        ],
        outputs=["c"],
    )
    harmless = graph([node("Relu", ["x"], ["d"])], outputs=["d"])
    reasons = {}
    for name, body in {"around": around, "hidden": hidden, "harmless": harmless}.items():
        nodes = [node(op, ["x"], ["out"], name, body=graph_field(body)), lstm("x", ["y"], "beside")]
        content = model(graph(nodes, [port("x", 1, [None, None, 3])], ["out"], weights()))
        found = loaded(tmp_path, content)
        assert [layer.address for layer in found.lstm_layers] == ["beside"]
        operation = next(
            call.layer.operation
            for call in found.calls
            if call.layer.kind in (op, "ONNX operators")
        )
        reasons[name] = operation.reason if isinstance(operation, Unsupported) else ""

    assert reasons["around"] == f"a {op} around an LSTM, whose rounds are not unfolded"
    assert reasons["hidden"].startswith(f"a {op} that may hide an LSTM: tf2onnx")
    assert reasons["harmless"] == ""


def function(nodes: list[bytes], opset: int = 14) -> bytes:
    """A function ``own.Encode`` of x, w and r, which returns y."""
    names = [encoded(4, name) for name in ("x", "w", "r")] + [encoded(5, "y")]
    body = [encoded(7, each) for each in nodes]
    parts = [encoded(1, "Encode"), *names, *body, encoded(9, encoded(2, opset)), encoded(10, "own")]
    return encoded(25, b"".join(parts))


def test_functions_are_unfolded_each_time(tmp_path: Path) -> None:
    body = [node("LSTM", ["x", "w", "r"], ["steps"], "inner"), node("Neg", ["steps"], ["y"])]
    nodes = [
        node("Encode", ["X", "W", "R"], ["first"], "once", "own"),
        node("Squeeze", ["first"], ["flat"], axes=[1]),
        node("Encode", ["flat", "W2", "R"], ["second"], "twice", "own"),
    ]
    wide = tensor("W2", np.ones((1, 8, 2), np.float32))
    content = graph(nodes, [X], ["second"], [*weights(), wide])
    found = loaded(tmp_path, model(content, more=function(body)))

    assert [layer.address for layer in found.lstm_layers] == ["once/inner", "twice/inner"]
    assert lstm_cli.run(found, np.ones((3, 2, 3), np.float32)).shape == (3, 1, 2, 2)


@pytest.mark.parametrize(
    ("body", "opset", "told"),
    [
        ([node("LSTM", ["x", "w", "r"], ["y"])], 9, "operators of another version"),
        (
            [node("LSTM", ["x", "w", "r"], ["y"], hidden_size=encoded(21, "size"))],
            14,
            "attributes of its own",
        ),
    ],
)
def test_functions_that_are_refused(
    body: list[bytes], opset: int, told: str, tmp_path: Path
) -> None:
    nodes = [node("Encode", ["X", "W", "R"], ["out"], "call", "own")]
    content = graph(nodes, [X], ["out"], weights())
    found = loaded(tmp_path, model(content, more=function(body, opset)))

    with pytest.raises(UnsupportedFeatureError, match=told):
        lstm_cli.run(found, np.ones((3, 2, 3), np.float32))


# -- names


def test_names_where_nodes_have_none_or_the_same(tmp_path: Path) -> None:
    """Trap: names may be left out, repeat, or be those of inputs."""
    nodes = [
        lstm("X", ["", "", "only_c"]),
        lstm("X", ["y1"], "same"),
        lstm("X", ["y2"], "same"),
        lstm("X", ["y3"], "X"),
        lstm("X", [""]),
    ]
    found = loaded(tmp_path, model(graph(nodes, [X], ["only_c"], weights())))

    assert [layer.address for layer in found.lstm_layers] == ["only_c", "y1", "y2", "y3", "LSTM"]
    assert len({layer.address for layer in found.layers}) == len(found.layers)


def test_the_name_of_a_part_never_hides_that_of_its_layer(tmp_path: Path) -> None:
    content = lstm_model(node("Erf", ["x"], ["X"]), inputs=[port("x", 1, [None, None, 3])])
    found = loaded(tmp_path, content.replace(b"lstm", b"a/ls"))

    assert found.find("ls").address == "a/ls"
    assert list(foreign(found)) == ["a/ls:before"]


# -- which axis holds the sequences


@pytest.mark.parametrize(
    ("nodes", "axes", "axis"),
    [
        ([node("Identity", ["x"], ["X"])], [None, None, 3], 1),
        ([node("Transpose", ["x"], ["X"], perm=[1, 0, 2])], [None, None, 3], 0),
        ([node("Transpose", ["x"], ["X"])], [3, None, None], 1),
        (
            [node("Erf", ["x"], ["a"]), node("Transpose", ["a"], ["X"], perm=[2, 0, 1])],
            [2, 3, 9],
            0,
        ),
        ([node("Unsqueeze", ["x"], ["X"], axes=[0])], [None, 3], 0),
        ([node("Squeeze", ["x"], ["X"], axes=[0])], [1, None, None, 3], 2),
        ([node("Reshape", ["x", "shape"], ["X"])], [None, None, 1, 3], 1),
        ([node("Add", ["x", "shift"], ["X"])], [None, None, 3], 1),
        ([node("MatMul", ["x", "matrix"], ["X"])], [None, None, 3], 1),
        (
            [node("Conv", ["x", "kernel"], ["a"]), node("Transpose", ["a"], ["X"], perm=[2, 0, 1])],
            [None, 3, 9],
            0,
        ),
    ],
)
def test_the_axis_is_followed_to_the_input(
    nodes: list[bytes], axes: list[int | str | None], axis: int, tmp_path: Path
) -> None:
    tensors = [
        tensor("shape", np.array([0, 0, 3])),
        tensor("shift", np.ones(3, np.float32)),
        tensor("matrix", np.ones((3, 3), np.float32)),
        tensor("kernel", np.ones((3, 3, 1), np.float32)),
    ]
    inputs = [port("x", 1, axes)]
    found = loaded(tmp_path, lstm_model(*nodes, inputs=inputs, tensors=[*weights(), *tensors]))

    (entry,) = found.inputs
    assert entry.batch_axis == axis
    (note,) = found.assumptions
    assert note.startswith(f"x: its batch axis is taken to be {axis}, because")


def test_one_sequence_that_gets_its_axis_in_the_model(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["a"]), node("Unsqueeze", ["a"], ["X"], axes=[1])]
    found = loaded(tmp_path, lstm_model(*nodes, inputs=[port("x", 1, [None, 3])]))

    assert found.inputs[0].batch_axis is None
    assert found.assumptions == ("input 'x' holds one sequence: 'lstm' gets it with an axis more",)
    y, _, _ = lstm_cli.run(found, np.ones((4, 3), np.float32))
    assert y.shape == (4, 1, 1, 2)


def test_axes_of_inputs_beside_the_sequence(tmp_path: Path) -> None:
    inputs = [
        port("X", 1, [None, None, 3]),
        port("lens", 6, [None]),
        port("h0", 1, [1, None, 2]),
        port("rate", 7, []),
        port("one", 7, [1]),
        port("side", 1, [4, "batch_size"]),
        port("other", 1, [None, 5]),
    ]
    operator = node("LSTM", ["X", "W", "R", "B", "lens", "h0"], ["Y"], "lstm", hidden_size=2)
    found = loaded(tmp_path, model(graph([operator], inputs, ["Y"], weights())))

    axes = {entry.name: entry.batch_axis for entry in found.inputs}
    assert axes == {"X": 1, "lens": 0, "h0": 1, "rate": None, "one": None, "side": 1, "other": 0}
    assert (
        "side: its batch axis is taken to be 1, because the file calls it 'batch_size'"
        in found.assumptions
    )


def test_axes_of_a_batchwise_operator(tmp_path: Path) -> None:
    content = lstm_model(layout=1)

    (entry,) = loaded(tmp_path, content).inputs

    assert entry.batch_axis == 0


@pytest.mark.parametrize(
    ("nodes", "axes"),
    [
        ([], [2, 1, 1]),
        ([node("Squeeze", ["Y"], ["a"], axes=[1])], [1, 1, 1]),
        (
            [
                node("Squeeze", ["Y"], ["b"], axes=[1]),
                node("Transpose", ["b"], ["a"], perm=[1, 0, 2]),
            ],
            [0, 1, 1],
        ),
        ([node("Erf", ["Y"], ["b"]), node("Flatten", ["b"], ["a"])], [None, 1, 1]),
    ],
)
def test_the_axis_of_the_sequences_in_outputs(
    nodes: list[bytes], axes: list[int | None], tmp_path: Path
) -> None:
    first = "a" if nodes else "Y"
    every = [lstm("X", ["Y", "Y_h", "Y_c"], "lstm"), *nodes]
    rank = {2: 4, 1: 3, 0: 3, None: 2}[axes[0]]
    outputs = encoded(12, port(first, 1, [None] * rank)) + b"".join(
        encoded(12, port(name)) for name in ("Y_h", "Y_c")
    )
    found = loaded(tmp_path, model(graph(every, [X], [], weights()) + outputs))

    assert [output.batch_axis for output in found.outputs] == axes


# -- operators that the engine has itself


def test_integer_division_is_left_to_a_library(tmp_path: Path) -> None:
    """Trap: whole numbers are divided towards zero in ONNX; the types are not known here."""
    nodes = [lstm("X", ["Y"], "lstm"), node("Div", ["k", "m"], ["out"])]
    inputs = [X, port("k", 7, [None]), port("m", 7, [None])]
    found = loaded(tmp_path, model(graph(nodes, inputs, ["out"], weights())))

    assert [part.operators for part in foreign(found).values()] == [("Div",)]


def test_a_constant_that_cannot_be_read_is_left_to_a_library(tmp_path: Path) -> None:
    strange = encoded(1, 3) + encoded(2, 14) + encoded(8, "c") + encoded(9, bytes(24))
    nodes = [lstm("X", ["Y"], "lstm"), node("Add", ["Y", "c"], ["out"])]
    found = loaded(tmp_path, model(graph(nodes, [X], ["out"], [*weights(), strange])))

    assert [part.operators for part in foreign(found).values()] == [("Add",)]


@pytest.mark.parametrize(
    ("dropout", "by_the_engine"),
    [
        (node("Dropout", ["Y"], ["d"], ratio=0.5), True),
        (node("Dropout", ["Y"], ["d", "mask"]), False),
        (node("Dropout", ["Y"], ["d"], is_test=0), False),
        (node("Dropout", ["Y", "ratio", "yes"], ["d"]), False),
    ],
)
def test_dropout_is_nothing_unless_it_is_trained(
    dropout: bytes, by_the_engine: bool, tmp_path: Path
) -> None:
    nodes = [lstm("X", ["Y"], "lstm"), dropout, node("Relu", ["d"], ["out"])]
    tensors = [*weights(), tensor("ratio", np.float32(0.5)), tensor("yes", np.array(True))]
    found = loaded(tmp_path, model(graph(nodes, [X], ["out"], tensors)))

    assert (not foreign(found)) == by_the_engine


def test_arguments_that_are_constants_stay_so(tmp_path: Path) -> None:
    nodes = [lstm("X", ["Y"], "lstm"), node("Add", ["shift", "Y"], ["out"])]
    shift = tensor("shift", np.float32(1))
    found = loaded(tmp_path, model(graph(nodes, [X], ["out"], [*weights(), shift])))

    first, second = call_of(found, "out").arguments
    assert isinstance(first, Constant)
    assert isinstance(second, Reference)


# -- depth and number


def test_a_deep_chain_of_branches(tmp_path: Path) -> None:
    inner = branch("lstm", "X", "v0")
    for k in range(200):
        other = graph([], outputs=["X"])
        nested = chosen("flag", inner, other, f"v{k + 1}", f"if{k}")
        inner = graph([nested], outputs=[f"v{k + 1}"])
    content = model(graph([chosen("flag", inner, inner, "out")], [X, FLAG], ["out"], weights()))

    with pytest.raises(ModelFileError, match="more than 64 deep"):
        loaded(tmp_path, content)


@pytest.mark.parametrize("times", [1, 2])
def test_functions_that_call_themselves(times: int, tmp_path: Path) -> None:
    again = [node("Encode", ["x", "w", "r"], [f"y{k}"], f"n{k}", "own") for k in range(times)]
    body = [*again, node("LSTM", ["x", "w", "r"], ["y"])]
    nodes = [node("Encode", ["X", "W", "R"], ["out"], "call", "own")]
    content = graph(nodes, [X], ["out"], weights())

    with pytest.raises(ModelFileError, match="more than 64 deep"):
        loaded(tmp_path, model(content, more=function(body)))


def test_functions_that_unfold_without_end(tmp_path: Path) -> None:
    """Twenty functions, each of which calls the next one three times."""
    more = b""
    for k in range(20):
        names = [encoded(4, name) for name in ("x", "w", "r")] + [encoded(5, "y")]
        calls = [
            node(
                f"F{k + 1}" if k < 19 else "LSTM",
                ["x", "w", "r"],
                [f"y{j}" if j else "y"],
                f"n{j}",
                "own" if k < 19 else "",
            )
            for j in range(3)
        ]
        parts = [
            encoded(1, f"F{k}"),
            *names,
            *(encoded(7, each) for each in calls),
            encoded(10, "own"),
        ]
        more += encoded(25, b"".join(parts))
    nodes = [node("F0", ["X", "W", "R"], ["out"], "call", "own")]

    with pytest.raises(ModelFileError, match="nodes"):
        loaded(tmp_path, model(graph(nodes, [X], ["out"], weights()), more=more))


def test_a_long_chain_is_no_deep_one(tmp_path: Path) -> None:
    nodes = [node("Identity", [f"v{k}"], [f"v{k + 1}"]) for k in range(3000)]
    content = lstm_model(
        *nodes,
        node("Identity", ["v3000"], ["W"]),
        tensors=[weights()[0].replace(encoded(8, "W"), encoded(8, "v0")), *weights()[1:]],
    )

    assert loaded(tmp_path, content).lstm_layers
