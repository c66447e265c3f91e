"""Weights without an architecture: which LSTM layers they hold, and what is assumed about them.

Expected numbers are the LSTM equations written out; 1e-5 is float32's rounding over a few steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import FLOAT32, Array
from keras_files import (
    hard_sigmoid,
    lstm_by_hand,
    path_weights,
    random_lstm,
    write_hdf5,
)

import lstm_cli

X = np.random.default_rng(8).normal(size=(2, 4, 3)).astype(np.float32)
PARTS = ("kernel:0", "recurrent_kernel:0", "bias:0")
DENSE = {"kernel:0": np.ones((4, 2), np.float32), "bias:0": np.zeros(2, np.float32)}


def group(arrays: list[Array], front: str = "") -> dict[str, Array]:
    return {front + part: array for part, array in zip(PARTS, arrays, strict=False)}


def check(model: lstm_cli.Model, arrays: list[Array], layer: str, **options: Any) -> None:
    trace = lstm_cli.trace(model, X, layer=layer)
    expected = lstm_by_hand(X, *arrays, **options)
    for name, array in expected.items():
        np.testing.assert_allclose(trace.arrays[name], array, rtol=0, atol=FLOAT32, err_msg=name)


def test_layers_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Groups list alphabetically; ``layer_names`` has the order. Dense layers are listed too."""
    zeta, alpha = random_lstm(1, 3, 4), random_lstm(2, 3, 4)
    groups = {"zeta": group(zeta), "dropout": {}, "dense": DENSE, "alpha": group(alpha)}
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, groups))
    assert [layer.address for layer in model.layers] == ["zeta", "dense", "alpha"]
    assert [layer.address for layer in model.lstm_layers] == ["zeta", "alpha"]
    check(model, zeta, "zeta")
    check(model, alpha, "alpha")


def test_a_dense_layer_is_not_an_lstm(tmp_path: Path) -> None:
    """One unit: a Dense of shape (1, 4) and a bias of 4 are not kernel and recurrent kernel."""
    groups = {"dense": {"kernel:0": np.ones((1, 4), np.float32), "bias:0": np.ones(4, np.float32)}}
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, groups))
    assert not model.lstm_layers
    with pytest.raises(lstm_cli.UsageError, match="no LSTM layer"):
        lstm_cli.weights(model)


@pytest.mark.parametrize("shape", [(3, 12), (3, 4)])
def test_gru_and_simple_rnn_are_not_lstms(tmp_path: Path, shape: tuple[int, int]) -> None:
    """Three arrays as well: a recurrent kernel as wide as 3 or 1 times its rows."""
    arrays = [np.zeros(s, np.float32) for s in (shape, (4, shape[1]), shape[1:])]
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"rnn": group(arrays)}))
    assert not model.lstm_layers
    assert [layer.address for layer in model.layers] == ["rnn"]


@pytest.mark.parametrize(
    ("version", "slope"), [("2.2.4", 0.2), ("2.3.1", None), ("2.4.0", None), ("2.1.6-tf", 0.2)]
)
def test_recurrent_activation_by_version(tmp_path: Path, version: str, slope: float | None) -> None:
    """Keras below 2.3 and tf.keras 1 had hard_sigmoid as their default."""
    arrays = random_lstm(3, 3, 4)
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"lstm": group(arrays)}, version))
    check(model, arrays, "lstm", **({"gate": hard_sigmoid(slope)} if slope else {}))
    assert any(f"because keras_version is {version}" in note for note in model.assumptions)


def test_missing_keras_version(tmp_path: Path) -> None:
    """Names tell the era: ``lstm_cell`` and no ``:0`` are recent, ``lstm_1_W_i`` is Keras 1."""
    arrays = random_lstm(3, 3, 4)
    recent = {f"lstm/lstm_cell/{part}": array for part, array in group(arrays).items()}
    model = lstm_cli.load(write_hdf5(tmp_path / "a.h5", None, {"lstm": recent}, ""))
    check(model, arrays, "lstm")
    assert any(note.startswith("no keras_version") for note in model.assumptions)
    older = lstm_cli.load(write_hdf5(tmp_path / "b.h5", None, {"lstm": group(arrays)}, ""))
    check(older, arrays, "lstm", gate=hard_sigmoid(0.2))


@pytest.mark.parametrize("attribute", ["keras_version", "backend"])
def test_version_of_another_kind_is_refused(tmp_path: Path, attribute: str) -> None:
    path = write_hdf5(tmp_path / "w.h5", None, {"lstm": group(random_lstm(3, 3, 4))}, "2.4.0")
    with h5py.File(path, "r+") as file:
        file.attrs[attribute] = 3.5
    with pytest.raises(lstm_cli.ModelFileError, match="text"):
        lstm_cli.load(path)


def test_whole_numbers_are_not_weights(tmp_path: Path) -> None:
    """Quantised arrays, or counters of the right shape, are listed as unknown."""
    arrays = [array.astype(np.int8) for array in random_lstm(3, 3, 4)]
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"lstm": group(arrays)}))
    assert [layer.kind for layer in model.layers] == ["unknown"]


def test_two_alike_are_a_bidirectional(tmp_path: Path) -> None:
    forward, backward = random_lstm(4, 3, 4), random_lstm(5, 3, 4)
    arrays = {
        **group(forward, "bidirectional/forward_lstm/"),
        **group(backward, "bidirectional/backward_lstm/"),
    }
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"bidirectional": arrays}))
    (layer,) = model.layers
    assert layer.kind == "Bidirectional(LSTM)"
    trace = lstm_cli.trace(model, X, layer="bidirectional")
    assert isinstance(trace, lstm_cli.Traces)
    expected = lstm_by_hand(X, *forward)["h"]
    turned = lstm_by_hand(X[:, ::-1], *backward)["h"][:, ::-1]
    np.testing.assert_allclose(trace["forward"].h, expected, rtol=0, atol=FLOAT32)
    np.testing.assert_allclose(trace["backward"].h, turned, rtol=0, atol=FLOAT32)
    assert any("taken for a Bidirectional" in note for note in model.assumptions)


def test_stacked_cells(tmp_path: Path) -> None:
    """Cells that feed each other: (3, 4) then (4, 2)."""
    first, second = random_lstm(4, 3, 4), random_lstm(5, 4, 2)
    front = "rnn/stacked_rnn_cells/lstm_cell"
    arrays = {**group(first, f"{front}/"), **group(second, f"{front}_1/")}
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"rnn": arrays}))
    (layer,) = model.layers
    trace = lstm_cli.trace(model, X, layer=layer.address)
    assert isinstance(trace, lstm_cli.Traces)
    below = lstm_by_hand(X, *first)["h"]
    np.testing.assert_allclose(trace["0"].h, below, rtol=0, atol=FLOAT32)
    np.testing.assert_allclose(
        trace["1"].h, lstm_by_hand(below, *second)["h"], rtol=0, atol=FLOAT32
    )


def test_without_bias(tmp_path: Path) -> None:
    kernel, recurrent, _ = random_lstm(6, 3, 4)
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"lstm": group([kernel, recurrent])}))
    check(model, [kernel, recurrent], "lstm")


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("biased", [True, False])
def test_as_many_features_as_units(tmp_path: Path, units: int, biased: bool) -> None:
    """Order decides: the first array is the kernel, the second the recurrent kernel."""
    arrays = random_lstm(7, units, units)[: 3 if biased else 2]
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"lstm": group(arrays)}))
    found = lstm_cli.weights(model, "lstm")
    np.testing.assert_array_equal(found["kernel"], arrays[0])
    np.testing.assert_array_equal(found["recurrent_kernel"], arrays[1])
    assert ("bias" in found) == biased


def test_nested_model_in_one_group(tmp_path: Path) -> None:
    """A group whose arrays are called by two layers' names is a nested model."""
    one, two = random_lstm(1, 3, 4), random_lstm(2, 4, 4)
    arrays = {**group(one, "one/lstm_cell/"), **group(two, "two/lstm_cell/")}
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"inner": arrays}))
    assert [layer.address for layer in model.lstm_layers] == ["inner/one", "inner/two"]
    check(model, one, "inner/one")


def test_path_layout_without_architecture(tmp_path: Path) -> None:
    """Groups of any class are read by what they hold; nothing says the Keras 3 version."""
    arrays, other = random_lstm(1, 3, 4), random_lstm(2, 3, 2)
    tree = {
        "layers/lstm/cell": arrays,
        "layers/dense": list(DENSE.values()),
        "layers/bidirectional/forward_layer/cell": other,
        "layers/bidirectional/backward_layer/cell": random_lstm(3, 3, 2),
        "layers/functional/layers/lstm/cell": random_lstm(4, 3, 5),
    }
    path = tmp_path / "w.weights.h5"
    path.write_bytes(path_weights(tree))
    model = lstm_cli.load(path)
    addresses = {layer.address for layer in model.lstm_layers}
    assert addresses == {"lstm", "bidirectional", "functional/lstm"}
    check(model, arrays, "lstm")
    assert any("no keras_version" in note for note in model.assumptions)


def test_weights_alone_have_no_output(tmp_path: Path) -> None:
    """Layers are never chained by shape: a run needs a layer, or an architecture."""
    groups = {"a": group(random_lstm(1, 3, 4)), "b": group(random_lstm(2, 4, 4))}
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, groups))
    with pytest.raises(lstm_cli.UsageError, match=r"--architecture FILE\.json.*a, b"):
        lstm_cli.run(model, X)


def test_nothing_that_is_an_lstm(tmp_path: Path) -> None:
    model = lstm_cli.load(write_hdf5(tmp_path / "w.h5", None, {"dense": DENSE}))
    with pytest.raises(lstm_cli.LstmCliError):
        lstm_cli.trace(model, X, layer="dense")
