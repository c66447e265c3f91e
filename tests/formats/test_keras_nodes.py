"""How layers are connected: the encodings of ``inbound_nodes``, and damaged ones.

One model in each encoding: what a layer receives is decided by the node alone, so a wrong edge
gives other numbers. Expected numbers are the LSTM equations written out; 1e-5 is float32's
rounding over a few steps.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import FLOAT32, Array
from keras_files import layer, lstm, lstm_by_hand, random_lstm, write_hdf5

import lstm_cli

ONE, TWO = random_lstm(1, 3, 4), random_lstm(2, 4, 4)
KERNEL = np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)
X = np.random.default_rng(4).normal(size=(2, 5, 3)).astype(np.float32)


def group(arrays: list[Array]) -> dict[str, Array]:
    return {f"w{k}": array for k, array in enumerate(arrays)}


def node(entry: dict[str, Any], *inbound: Any) -> dict[str, Any]:
    return {**entry, "name": entry["config"]["name"], "inbound_nodes": list(inbound)}


def functional(
    *layers: dict[str, Any], outputs: Any, inputs: Any = None, kind: str = "Functional"
) -> Any:
    first = node(layer("InputLayer", "input_1", batch_input_shape=[None, None, 3]))
    return {
        "class_name": kind,
        "config": {
            "name": "model",
            "layers": [first, *layers],
            "input_layers": inputs or [["input_1", 0, 0]],
            "output_layers": outputs,
        },
    }


def model_of(path: Path, document: Any, version: str, **groups: dict[str, Array]) -> lstm_cli.Model:
    return lstm_cli.load(write_hdf5(path, document, groups, version))


def tensor(name: str, index: int = 0, number: int = 0) -> dict[str, Any]:
    """A tensor as Keras 3 serialises it."""
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, index, number]}
    return {"class_name": "__keras_tensor__", "config": config}


def close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32)


# -- one LSTM called twice, the second time on what became of the first call: four encodings

CHAIN: dict[str, tuple[str, list[Any], list[Any], list[Any]]] = {
    "keras1": ("1.2.2", [[["input_1", 0, 0]]], [[["lstm", 0, 0]]], [[["dense", 0, 0]]]),
    "keras2": ("2.2.4", [[["input_1", 0, 0, {}]]], [[["lstm", 0, 0, {}]]], [[["dense", 0, 0, {}]]]),
    "flat": ("2.7.0", [["input_1", 0, 0, {}]], [["lstm", 0, 0, {}]], [["dense", 0, 0, {}]]),
    "keras3": (
        "3.15.1",
        [{"args": [tensor("input_1")], "kwargs": {}}],
        [{"args": [tensor("lstm")], "kwargs": {"training": False}}],
        [{"args": [tensor("dense")], "kwargs": {"mask": None}}],
    ),
}


@pytest.mark.parametrize("encoding", CHAIN)
def test_every_encoding(tmp_path: Path, encoding: str) -> None:
    """lstm(dense(lstm(x))): a shared layer's k-th node is its call k."""
    version, first, middle, second = CHAIN[encoding]
    dense = layer("Dense", "dense", units=3, use_bias=False, activation="linear")
    document = functional(
        node(lstm("lstm", 4), *first, *second),
        node(dense, *middle),
        outputs=[["lstm", 1, 0]],
    )
    if encoding == "keras1":
        document["config"]["layers"][1]["config"]["consume_less"] = "gpu"
    model = model_of(tmp_path / "m.h5", document, version, lstm=group(ONE), dense={"k": KERNEL})
    inner = lstm_by_hand(X, *ONE)["h"] @ KERNEL
    close(lstm_cli.run(model, X), lstm_by_hand(inner, *ONE)["h"])
    traces = lstm_cli.trace(model, X, layer="lstm")
    assert isinstance(traces, lstm_cli.Traces)
    assert list(traces) == ["lstm@0", "lstm@1"]
    close(traces["lstm@0"].h, lstm_by_hand(X, *ONE)["h"])


@pytest.mark.parametrize(
    "outputs",
    [
        [["lstm", 0, 0]],
        ["lstm", 0, 0],
        {"result": ["lstm", 0, 0]},
        [[["lstm", 0, 0]]],
    ],
    ids=["list", "bare, as Keras 3", "dict", "nested"],
)
def test_output_layers_of_every_form(tmp_path: Path, outputs: Any) -> None:
    document = functional(
        node(lstm("lstm", 4), [["input_1", 0, 0, {}]]), outputs=outputs, inputs=["input_1", 0, 0]
    )
    model = model_of(tmp_path / "m.h5", document, "2.7.0", lstm=group(ONE))
    close(lstm_cli.run(model, X), lstm_by_hand(X, *ONE)["h"])


def test_layers_in_another_order_than_computed(tmp_path: Path) -> None:
    document = functional(
        node(lstm("b", 4), [["a", 0, 0, {}]]),
        node(lstm("a", 4), [["input_1", 0, 0, {}]]),
        outputs=[["b", 0, 0]],
    )
    model = model_of(tmp_path / "m.h5", document, "2.7.0", a=group(ONE), b=group(TWO))
    close(lstm_cli.run(model, X), lstm_by_hand(lstm_by_hand(X, *ONE)["h"], *TWO)["h"])


# -- nested models


@pytest.mark.parametrize(
    ("version", "start"), [("1.2.2", 1), ("2.2.4", 1), ("2.7.0", 1), ("3.15.1", 0), ("2.7.0", 0)]
)
def test_node_index_of_nested_models(tmp_path: Path, version: str, start: int) -> None:
    """Before Keras 3 references to a nested model start at 1: index 0 is its own creation."""
    inner = functional(
        node(lstm("lstm", 4), [["input_1", 0, 0, {}]]), outputs=[["lstm", 0, 0]], kind="Model"
    )
    inner["config"]["name"] = "inner"
    inner["config"]["layers"][1]["config"]["consume_less"] = "gpu"
    dense = layer("Dense", "dense", units=3, use_bias=False, activation="linear")
    document = functional(
        node(inner, [["input_1", 0, 0, {}]], [["dense", 0, 0, {}]]),
        node(dense, [["inner", start, 0, {}]]),
        outputs=[["inner", start + 1, 0]],
        kind="Model",
    )
    arrays = {f"lstm/w{k}:0": array for k, array in enumerate(ONE)}
    model = model_of(tmp_path / "m.h5", document, version, inner=arrays, dense={"k": KERNEL})
    between = lstm_by_hand(X, *ONE)["h"] @ KERNEL
    close(lstm_cli.run(model, X), lstm_by_hand(between, *ONE)["h"])
    assert [found.address for found in model.lstm_layers] == ["inner/lstm"]


# -- states


def states_by_hand(h: Array, c: Array) -> Array:
    """The outputs of lstm from a given state, by a step before the first that sets it.

    With i = 0 and f = 1 the cell keeps c; the equations then go on from h and c.
    """
    kernel, recurrent, bias = (np.asarray(a, np.float64) for a in ONE)
    outputs = []
    for t in range(X.shape[1]):
        z = X[:, t] @ kernel + h @ recurrent + bias
        i, f, g, o = (z[:, 4 * k : 4 * k + 4] for k in range(4))
        sigmoid = [1 / (1 + np.exp(-gate)) for gate in (i, f, o)]
        c = sigmoid[1] * c + sigmoid[0] * np.tanh(g)
        h = sigmoid[2] * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def test_constant_initial_state(tmp_path: Path) -> None:
    """Literal numbers in the kwargs, of shape (1, units), stand for every sequence."""
    h, c = [[0.5, -0.5, 0.25, 1.0]], [[1.0, 2.0, -1.0, 0.5]]
    document = functional(
        node(lstm("lstm", 4), [["input_1", 0, 0, {"initial_state": [h, c]}]]),
        outputs=[["lstm", 0, 0]],
    )
    model = model_of(tmp_path / "m.h5", document, "2.7.0", lstm=group(ONE))
    close(lstm_cli.run(model, X), states_by_hand(np.array(h * 2), np.array(c * 2)))


@pytest.mark.parametrize("encoding", ["keras2", "keras3"])
def test_states_of_another_layer(tmp_path: Path, encoding: str) -> None:
    """Keras 2: further entries of the node; Keras 3: the keyword initial_state."""
    if encoding == "keras2":
        inbound: Any = [["input_1", 0, 0, {}], ["first", 0, 1, {}], ["first", 0, 2, {}]]
        start: Any = [["input_1", 0, 0, {}]]
    else:
        states = [tensor("first", 0, 1), tensor("first", 0, 2)]
        inbound = {"args": [tensor("input_1")], "kwargs": {"initial_state": states}}
        start = {"args": [tensor("input_1")], "kwargs": {}}
    document = functional(
        node(lstm("first", 4, return_state=True), start),
        node(lstm("second", 4), inbound),
        outputs=[["second", 0, 0]],
    )
    version = "2.7.0" if encoding == "keras2" else "3.15.1"
    model = model_of(tmp_path / "m.h5", document, version, first=group(ONE), second=group(ONE))
    before = lstm_by_hand(X, *ONE)
    close(lstm_cli.run(model, X), states_by_hand(before["h"][:, -1], before["c"][:, -1]))


# -- operations


def test_flat_node_of_an_operation(tmp_path: Path) -> None:
    """TFOpLambda: one flat entry, with numbers and tensors in its kwargs."""
    times = {
        "class_name": "TFOpLambda",
        "config": {"name": "times", "trainable": True, "function": "math.multiply"},
    }
    plus = {
        "class_name": "TFOpLambda",
        "config": {"name": "plus", "trainable": True, "function": "__operators__.add"},
    }
    document = functional(
        node(lstm("lstm", 4), [["input_1", 0, 0, {}]]),
        node(times, ["lstm", 0, 0, {"y": 2.0}]),
        node(plus, ["times", 0, 0, {"y": ["lstm", 0, 0]}]),
        outputs=[["plus", 0, 0]],
    )
    model = model_of(tmp_path / "m.h5", document, "2.7.0", lstm=group(ONE), times={}, plus={})
    close(lstm_cli.run(model, X), 3 * lstm_by_hand(X, *ONE)["h"])


# -- damage

GOOD = [["input_1", 0, 0, {}]]


@pytest.mark.parametrize(
    ("inbound", "outputs", "message"),
    [
        ([["nowhere", 0, 0, {}]], [["lstm", 0, 0]], "refers to a layer 'nowhere'"),
        ([["lstm", 0, 0, {}]], [["lstm", 0, 0]], "form a circle around 'lstm'"),
        ([["other", 0, 0, {}]], [["lstm", 0, 0]], "form a circle"),
        ([["input_1", 0, 1, {}]], [["lstm", 0, 0]], "never computed"),
        ([["input_1", 0, -1, {}]], [["lstm", 0, 0]], "never computed"),
        ([["other", 10**9, 0, {}]], [["lstm", 0, 0]], "call 1000000000 of 'other'"),
        ([["other", -1, 0, {}]], [["lstm", 0, 0]], "call -1 of 'other'"),
        (GOOD, [["lstm", 10**9, 0]], "never computed"),
        (GOOD, [["lstm", 0, 10**9]], "never computed"),
        (GOOD, [["lstm", 0, 10**30]], "never computed"),
        (GOOD, [], "no 'output_layers'"),
        (GOOD, [["lstm", 0]], "unknown entry"),
        (GOOD, None, "unknown entry"),
        ([["input_1", 0]], [["lstm", 0, 0]], "unknown entry"),
        ([["input_1", "0", 0, {}]], [["lstm", 0, 0]], "unknown entry"),
        ([["input_1", 0, 0, 3]], [["lstm", 0, 0]], "should be a JSON object"),
        (3, [["lstm", 0, 0]], "unknown form"),
        ({"args": 3}, [["lstm", 0, 0]], "unknown form"),
        ({"args": [tensor("lstm")]}, [["lstm", 0, 0]], "circle"),
        (
            {"args": [{"class_name": "__keras_tensor__", "config": {}}]},
            [["lstm", 0, 0]],
            "no usable keras_history",
        ),
        ({"args": [{"class_name": "Thing", "config": {}}]}, [["lstm", 0, 0]], "is a Thing"),
        ({"args": []}, [["lstm", 0, 0]], "called on no tensor"),
        ([["_CONSTANT_VALUE", -1, 3.0, {}]], [["lstm", 0, 0]], "called on no tensor"),
    ],
)
def test_damaged_nodes(tmp_path: Path, inbound: Any, outputs: Any, message: str) -> None:
    """Two layers, of which ``other`` reads ``lstm``; one sentence says what is wrong."""
    document = functional(
        node(lstm("lstm", 4), inbound),
        node(lstm("other", 4), [["lstm", 0, 0, {}]]),
        outputs=outputs,
    )
    path = write_hdf5(
        tmp_path / "m.h5", document, {"lstm": group(ONE), "other": group(TWO)}, "2.7.0"
    )
    with pytest.raises(lstm_cli.ModelFileError, match=message) as raised:
        lstm_cli.load(path)
    assert "\n" not in str(raised.value)


def test_two_layers_of_one_name(tmp_path: Path) -> None:
    entry = node(lstm("lstm", 4), GOOD)
    document = functional(entry, entry, outputs=[["lstm", 0, 0]])
    path = write_hdf5(tmp_path / "m.h5", document, {"lstm": group(ONE)}, "2.7.0")
    with pytest.raises(lstm_cli.ModelFileError, match="two layers of the same name"):
        lstm_cli.load(path)


def test_a_long_chain_needs_no_deep_stack(tmp_path: Path) -> None:
    """2000 layers, listed from the last to the first."""
    count = 2000
    chain = [
        node(
            layer("Activation", f"a{k}", activation="linear"),
            [[f"a{k - 1}" if k else "input_1", 0, 0, {}]],
        )
        for k in range(count)
    ]
    document = functional(*reversed(chain), outputs=[[f"a{count - 1}", 0, 0]])
    path = tmp_path / "m.h5"
    model = lstm_cli.load(write_large(path, document))
    np.testing.assert_array_equal(lstm_cli.run(model, X), X)


def write_large(path: Path, document: Any) -> Path:
    """A file whose architecture needs more than 64 kB: text of variable length holds it."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.7.0"
        file.attrs.create("model_config", json.dumps(document), dtype=h5py.string_dtype())
        file.create_group("model_weights").attrs["layer_names"] = np.zeros(0)
    return path
