"""Architectures of every version: keys, nesting, names, wrappers.

Expected numbers are the LSTM equations written out (1e-5: float32's rounding over a few steps) or
identities between two spellings of one model, which must agree exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import FLOAT32, Array
from keras_files import (
    hard_sigmoid,
    layer,
    lstm,
    lstm_by_hand,
    random_lstm,
    sequential,
    write_archive,
    write_hdf5,
)

import lstm_cli

X = np.random.default_rng(9).normal(size=(2, 5, 3)).astype(np.float32)
ARRAYS = random_lstm(1, 3, 4)
GROUP = {f"w{k}": array for k, array in enumerate(ARRAYS)}
DENSE = {
    "a": np.random.default_rng(2).normal(size=(4, 2)).astype(np.float32),
    "b": np.ones(2, "f4"),
}


def run(path: Path, document: Any, version: str = "2.4.0", **groups: dict[str, Array]) -> Array:
    groups = groups or {"lstm": GROUP}
    return np.asarray(lstm_cli.run(lstm_cli.load(write_hdf5(path, document, groups, version)), X))


def close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32)


# -- shapes of model_config


def test_sequential_as_a_list(tmp_path: Path) -> None:
    """Keras up to 2.2.2 wrote the layers of a Sequential as a bare list."""
    document = sequential(lstm("lstm", 4))
    listed = {"class_name": "Sequential", "config": document["config"]["layers"]}
    np.testing.assert_array_equal(
        run(tmp_path / "a.h5", listed, "2.2.2"), run(tmp_path / "b.h5", document, "2.2.3")
    )


def test_nested_sequential_without_a_name(tmp_path: Path) -> None:
    """With the list form a nested Sequential has no name but its group's, at the same position."""
    inner = {"class_name": "Sequential", "config": sequential(lstm("lstm", 4))["config"]["layers"]}
    dense = layer("Dense", "dense", output_dim=2, activation="linear")
    document = {"class_name": "Sequential", "config": [inner, dense]}
    groups = {"sequential_5": GROUP, "dense": DENSE}
    path = write_hdf5(tmp_path / "m.h5", document, groups, "2.2.2")
    model = lstm_cli.load(path)
    assert [found.address for found in model.lstm_layers] == ["sequential_5/lstm"]
    hidden = lstm_by_hand(X, *ARRAYS)["h"]
    close(lstm_cli.run(model, X), hidden @ DENSE["a"] + DENSE["b"])


def test_input_layer_or_input_shape(tmp_path: Path) -> None:
    """The input is declared by an InputLayer, or by the first layer; as batch_shape or older."""
    expected = lstm_by_hand(X, *ARRAYS)["h"]
    for k, (owner, key) in enumerate(
        (o, key) for o in ("InputLayer", "LSTM") for key in ("batch_shape", "batch_input_shape")
    ):
        first = lstm("lstm", 4)
        layers = [first]
        if owner == "InputLayer":
            layers.insert(0, layer("InputLayer", "input_1"))
        layers[0]["config"][key] = [None, 5, 3]
        document = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
        model = lstm_cli.load(write_hdf5(tmp_path / f"{k}.h5", document, {"lstm": GROUP}))
        assert model.inputs[0].shape == (None, 5, 3)
        close(lstm_cli.run(model, X), expected)


def test_open_input_without_a_declared_shape(tmp_path: Path) -> None:
    document = {"class_name": "Sequential", "config": {"name": "s", "layers": [lstm("lstm", 4)]}}
    close(run(tmp_path / "m.h5", document), lstm_by_hand(X, *ARRAYS)["h"])


@pytest.mark.parametrize(
    "dtype",
    [
        "float64",
        {"class_name": "Policy", "config": {"name": "float64"}},
        {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float64"}},
    ],
    ids=["name", "tf.keras policy", "Keras 3 policy"],
)
def test_dtype_of_every_form(tmp_path: Path, dtype: Any) -> None:
    """A float64 layer computes in float64: 1e-12, where float32 arrays would be 1e-7 off."""
    arrays = {name: array.astype(np.float64) / 3 for name, array in GROUP.items()}
    document = sequential(lstm("lstm", 4, dtype=dtype))
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, {"lstm": arrays}))
    x = X.astype(np.float64) / 7
    trace = lstm_cli.trace(model, x, layer="lstm", direct=True)
    expected = lstm_by_hand(x, *arrays.values())
    np.testing.assert_allclose(trace.arrays["h"], expected["h"], rtol=0, atol=1e-12)


def test_dtype_that_is_not_given(tmp_path: Path) -> None:
    """``null`` (TensorFlow 1.x, inner layers): the arrays' own."""
    document = sequential(lstm("lstm", 4, dtype=None))
    assert run(tmp_path / "m.h5", document).dtype == np.float32


# -- keys


def test_renamed_keys_of_keras_1(tmp_path: Path) -> None:
    """output_dim, inner_activation, consume_less gpu, and Dense's bias."""
    config = {
        "output_dim": 4,
        "activation": "tanh",
        "inner_activation": "sigmoid",
        "consume_less": "gpu",
        "return_sequences": True,
        "batch_input_shape": [None, None, 3],
    }
    dense = layer("Dense", "dense", output_dim=2, bias=False, activation="linear")
    document = {"class_name": "Sequential", "config": [layer("LSTM", "lstm", **config), dense]}
    groups = {"lstm": GROUP, "dense": {"a": DENSE["a"]}}
    path = write_hdf5(tmp_path / "m.h5", document, groups, "")
    hidden = lstm_by_hand(X, *ARRAYS)["h"]
    close(lstm_cli.run(lstm_cli.load(path), X), hidden @ DENSE["a"])


@pytest.mark.parametrize(
    ("version", "gate"),
    [
        ("2.2.5", hard_sigmoid(0.2)),
        ("2.1.6-tf", hard_sigmoid(0.2)),
        ("2.3.1", None),
        ("2.4.0", None),
        ("3.15.1", None),
    ],
)
def test_defaults_of_absent_keys(tmp_path: Path, version: str, gate: Any) -> None:
    """recurrent_activation: hard_sigmoid below 2.3 and in tf.keras 1, sigmoid from there on."""
    document = sequential(layer("LSTM", "lstm", units=4, return_sequences=True))
    options = {} if gate is None else {"gate": gate}
    close(
        run(tmp_path / "m.h5", document, version),
        lstm_by_hand(X, *ARRAYS, **options)["h"],
    )


@pytest.mark.parametrize(("version", "slope"), [("2.15.0", 0.2), ("3.0.0", 1 / 6)])
def test_hard_sigmoid_of_two_definitions(tmp_path: Path, version: str, slope: float) -> None:
    """0.2 x + 0.5 before Keras 3, x / 6 + 0.5 from it on; the file's version decides."""
    document = sequential(lstm("lstm", 4, recurrent_activation="hard_sigmoid"))
    path = write_hdf5(tmp_path / "m.h5", document, {"lstm": GROUP}, version)
    model = lstm_cli.load(path)
    close(lstm_cli.run(model, X), lstm_by_hand(X, *ARRAYS, gate=hard_sigmoid(slope))["h"])
    shown = "x/6" if slope < 0.2 else "0.2x"
    assert any(shown in note and version in note for note in model.assumptions)


def test_relu_states_are_unbounded(tmp_path: Path) -> None:
    """relu as the activation is common in forecasting models; the error is scaled."""
    document = sequential(lstm("lstm", 4, activation="relu"))
    expected = lstm_by_hand(X, *ARRAYS, act=lambda z: np.maximum(z, 0))["h"]
    found = run(tmp_path / "m.h5", document)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "activation",
    [
        "my_activation",
        {"class_name": "function", "config": "my_activation"},
        {"class_name": "Custom>my_activation", "config": {}},
    ],
)
def test_activation_of_ones_own_is_refused_by_name(tmp_path: Path, activation: Any) -> None:
    document = sequential(lstm("lstm", 4, activation=activation))
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, {"lstm": GROUP}))
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match="my_activation"):
        lstm_cli.run(model, X)


def test_cells_with_nothing_but_a_name(tmp_path: Path) -> None:
    """Keras 2.0.9 to 2.1.2: units come from the arrays, the rest from the version's defaults."""
    cell = {"class_name": "LSTMCell", "config": {"name": "cell", "trainable": True}}
    document = sequential(layer("RNN", "rnn", cell=cell, return_sequences=True))
    found = run(tmp_path / "m.h5", document, "2.1.1", rnn=GROUP)
    close(found, lstm_by_hand(X, *ARRAYS, gate=hard_sigmoid(0.2))["h"])


# -- Bidirectional


def backward(merge: Any = "concat", **own: Any) -> Any:
    return sequential(layer("Bidirectional", "both", merge_mode=merge, layer=lstm("x", 4), **own))


def test_backward_layer_is_derived(tmp_path: Path) -> None:
    """Where the file has none it is the forward one, turned; it equals the one Keras 3 writes."""
    second = random_lstm(2, 3, 4)
    group = {**GROUP, **{f"v{k}": array for k, array in enumerate(second)}}
    own = {"backward_layer": lstm("y", 4, go_backwards=True)}
    found = run(tmp_path / "a.h5", backward(), both=group)
    np.testing.assert_array_equal(found, run(tmp_path / "b.h5", backward(**own), both=group))
    turned = lstm_by_hand(X[:, ::-1], *second)["h"][:, ::-1]
    close(found, np.concatenate([lstm_by_hand(X, *ARRAYS)["h"], turned], axis=2))


@pytest.mark.parametrize(
    ("mode", "merged"),
    [
        ("sum", lambda a, b: a + b),
        ("mul", lambda a, b: a * b),
        ("ave", lambda a, b: (a + b) / 2),
    ],
)
def test_merge_modes(tmp_path: Path, mode: str, merged: Any) -> None:
    second = random_lstm(2, 3, 4)
    group = {**GROUP, **{f"v{k}": array for k, array in enumerate(second)}}
    turned = lstm_by_hand(X[:, ::-1], *second)["h"][:, ::-1]
    expected = merged(lstm_by_hand(X, *ARRAYS)["h"], turned)
    close(run(tmp_path / "m.h5", backward(mode), both=group), expected)


@pytest.mark.parametrize("mode", ["add", 3, {"a": 1}, ["concat"]])
def test_unknown_merge_mode(tmp_path: Path, mode: Any) -> None:
    group = {**GROUP, **{f"v{k}": array for k, array in enumerate(ARRAYS)}}
    path = write_hdf5(tmp_path / "m.h5", backward(mode), {"both": group})
    with pytest.raises(lstm_cli.ModelFileError, match="merge_mode"):
        lstm_cli.load(path)


# -- custom classes


def custom() -> Any:
    entry = lstm("lstm", 4)
    entry.update(class_name="MyLSTM", registered_name="pkg>MyLSTM", module=None)
    return sequential(entry)


@pytest.mark.parametrize("name", ["MyLSTM", "pkg>MyLSTM"])
def test_custom_class_as_lstm_on_request(tmp_path: Path, name: str) -> None:
    path = write_archive(tmp_path / "m.keras", custom(), {"layers/my_lstm/cell": ARRAYS})
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match="--treat-as-lstm MyLSTM"):
        lstm_cli.run(lstm_cli.load(path), X)
    model = lstm_cli.load(path, treat_as_lstm=name)
    close(lstm_cli.run(model, X), lstm_by_hand(X, *ARRAYS)["h"])


def test_subclassed_model_whose_class_is_called_lstm(tmp_path: Path) -> None:
    """The top-level class_name "LSTM" is no layer: its arrays are listed, and it has no graph."""
    document = {"class_name": "LSTM", "config": {"hidden_size": 4}}
    path = write_archive(tmp_path / "m.keras", document, {"layers/lstm/cell": ARRAYS})
    model = lstm_cli.load(path)
    assert not model.has_graph
    trace = lstm_cli.trace(model, X, layer="lstm")
    close(trace.arrays["h"], lstm_by_hand(X, *ARRAYS)["h"])


# -- damage


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the model should be a JSON object"),
        ({"config": {}}, "'class_name' of the model should be a text"),
        ({"class_name": "Sequential", "config": 3}, "should be a JSON object, found 3"),
        ({"class_name": "Sequential", "config": []}, "has no layers"),
        ({"class_name": "Sequential", "config": {"layers": {}}}, "should be a list"),
        (sequential(layer("Bidirectional", "b")), "has no 'layer'"),
        (sequential(layer("RNN", "r", cell=3)), "should be a JSON object, found 3"),
        (sequential(lstm("lstm", -1)), "says -1 units"),
        (sequential(layer("LSTM", "lstm", units="4")), "'units' of layer 'lstm'.*whole number"),
        (sequential(lstm("lstm", 4, go_backwards="no")), "true or false, found 'no'"),
    ],
)
def test_damaged_architectures(tmp_path: Path, document: Any, message: str) -> None:
    path = write_hdf5(tmp_path / "m.h5", document, {"lstm": GROUP})
    with pytest.raises(lstm_cli.ModelFileError, match=message):
        lstm_cli.load(path)


def test_layers_nested_without_end(tmp_path: Path) -> None:
    document = lstm("lstm", 4)
    for _ in range(60):
        document = layer("TimeDistributed", "td", layer=document)
    path = write_hdf5(tmp_path / "m.h5", sequential(document), {"td": GROUP})
    with pytest.raises(lstm_cli.ModelFileError, match="nested more than 50 deep"):
        lstm_cli.load(path)
