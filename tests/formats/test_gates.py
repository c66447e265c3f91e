"""Gate orders and bias layouts: arrays put into another writer's order give the same numbers.

Expected values are the LSTM equations written out in float64 (``keras_files.lstm_by_hand``) on the
arrays before they were permuted; 1e-5 is float32's rounding over a few steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import COMMITTED, FLOAT32, Array
from keras_files import (
    configs,
    edited,
    hard_sigmoid,
    layer,
    lstm,
    lstm_by_hand,
    random_lstm,
    sequential,
    write_hdf5,
)

import lstm_cli

X = np.random.default_rng(3).normal(size=(2, 5, 3)).astype(np.float32)


def blocks(array: Array) -> list[Array]:
    """The column blocks i f c o of a stacked array."""
    return np.split(array, 4, axis=-1)


def check(model: lstm_cli.Model, expected: dict[str, Array], **options: Any) -> None:
    trace = lstm_cli.trace(model, X, **options)
    for name, array in expected.items():
        np.testing.assert_allclose(trace.arrays[name], array, rtol=0, atol=FLOAT32, err_msg=name)


def write_lstm(path: Path, arrays: list[Array], version: str = "2.4.0") -> Path:
    names = ("kernel:0", "recurrent_kernel:0", "bias:0")
    group = {f"lstm/{name}": array for name, array in zip(names, arrays, strict=False)}
    settings = {"use_bias": len(arrays) == 3}
    return write_hdf5(path, sequential(lstm("lstm", 4, **settings)), {"lstm": group}, version)


def test_three_arrays_order(tmp_path: Path) -> None:
    """Keras's columns are i f c o, ours i f g o: the same order."""
    kernel, recurrent, bias = random_lstm(1, 3, 4)
    model = lstm_cli.load(write_lstm(tmp_path / "a.h5", [kernel, recurrent, bias]))
    check(model, lstm_by_hand(X, kernel, recurrent, bias))
    np.testing.assert_array_equal(lstm_cli.weights(model)["kernel"], kernel)


@pytest.mark.parametrize("gate", range(4))
def test_each_gate_has_its_own_columns(tmp_path: Path, gate: int) -> None:
    """A bias of 3 on one gate alone moves that gate's pre-activation, and no other, at step 0."""
    kernel, recurrent, bias = random_lstm(1, 3, 4)
    pushed = bias.copy()
    pushed[4 * gate : 4 * gate + 4] += 3
    traces = [
        lstm_cli.trace(
            lstm_cli.load(write_lstm(tmp_path / f"{k}.h5", [kernel, recurrent, b])),
            X[:, :1],
            tensors=("h", "z_i", "z_f", "z_g", "z_o"),
        ).arrays
        for k, b in enumerate((bias, pushed))
    ]
    for k, name in enumerate(("z_i", "z_f", "z_g", "z_o")):
        moved = np.full((2, 1, 4), 3.0 if k == gate else 0.0)
        np.testing.assert_allclose(traces[1][name] - traces[0][name], moved, rtol=0, atol=FLOAT32)


def write_keras1(path: Path, arrays: list[Array], architecture: bool = True) -> Path:
    """Keras 1's twelve arrays, W U b of each gate, in its order i, c, f, o."""
    i, f, c, o = zip(*(blocks(array) for array in arrays), strict=True)
    names = [f"lstm_1_{kind}_{gate}:0" for gate in "icfo" for kind in "WUb"]
    twelve = [array for gate in (i, c, f, o) for array in gate]
    config = {
        "output_dim": 4,
        "activation": "tanh",
        "inner_activation": "hard_sigmoid",
        "return_sequences": True,
        "consume_less": "cpu",
        "batch_input_shape": [None, None, 3],
    }
    document = {"class_name": "Sequential", "config": [layer("LSTM", "lstm_1", **config)]}
    group = {"lstm_1": dict(zip(names, twelve, strict=True))}
    return write_hdf5(path, document if architecture else None, group, version="")


@pytest.mark.parametrize("architecture", [True, False], ids=["whole", "weights"])
def test_twelve_arrays_order(tmp_path: Path, architecture: bool) -> None:
    """Keras 1 lists i, **c, f**, o; its hard sigmoid is 0.2 x + 0.5."""
    kernel, recurrent, bias = random_lstm(2, 3, 4)
    path = write_keras1(tmp_path / "k1.h5", [kernel, recurrent, bias], architecture)
    expected = lstm_by_hand(X, kernel, recurrent, bias, gate=hard_sigmoid(0.2))
    check(lstm_cli.load(path), expected, layer="lstm_1")


def test_twelve_arrays_of_square_kernels(tmp_path: Path) -> None:
    """With as many features as units every W has the shape of a U: order decides."""
    kernel, recurrent, bias = random_lstm(4, 4, 4)
    model = lstm_cli.load(write_keras1(tmp_path / "k1.h5", [kernel, recurrent, bias], False))
    weights = lstm_cli.weights(model, "lstm_1")
    np.testing.assert_array_equal(weights["kernel"], kernel)
    np.testing.assert_array_equal(weights["recurrent_kernel"], recurrent)
    np.testing.assert_array_equal(weights["bias"], bias)


def cudnn(arrays: list[Array]) -> list[Array]:
    """Arrays as CuDNNLSTM keeps them: blocks transposed, and a second bias.

    Keras converts with ``K_g' = K_g.ravel().reshape(u, in).T``; this is its inverse.
    """
    kernel, recurrent, bias = arrays
    kernels = [np.ascontiguousarray(block.T).reshape(block.shape) for block in blocks(kernel)]
    recurrents = [block.T for block in blocks(recurrent)]
    part = np.linspace(-1, 1, bias.size, dtype=np.float32)
    return [np.hstack(kernels), np.hstack(recurrents), np.concatenate([part, bias - part])]


@pytest.mark.parametrize("class_name", ["CuDNNLSTM", "LSTM"])
def test_cudnn_transposes(tmp_path: Path, class_name: str) -> None:
    """A bias of 8U means CuDNN's blocks, whatever the class is called."""
    kernel, recurrent, bias = random_lstm(5, 3, 4)
    arrays = dict(zip(("a", "b", "c"), cudnn([kernel, recurrent, bias]), strict=True))
    document = sequential(layer(class_name, "lstm", units=4, return_sequences=True))
    path = write_hdf5(tmp_path / "cudnn.h5", document, {"lstm": arrays}, version="2.3.1")
    check(lstm_cli.load(path), lstm_by_hand(X, kernel, recurrent, bias))


def test_cudnn_without_architecture_is_sigmoid(tmp_path: Path) -> None:
    """The bias of 8U is the only sign; Keras 2.2's hard_sigmoid would be wrong."""
    kernel, recurrent, bias = random_lstm(5, 3, 4)
    arrays = dict(zip(("a", "b", "c"), cudnn([kernel, recurrent, bias]), strict=True))
    model = lstm_cli.load(write_hdf5(tmp_path / "c.h5", None, {"lstm": arrays}, version="2.2.4"))
    check(model, lstm_by_hand(X, kernel, recurrent, bias), layer="lstm")
    assert any("CuDNN" in note for note in model.assumptions)


def test_cudnn_file_and_its_conversion_agree() -> None:
    """One CuDNNLSTM, as saved and as Keras converted it, in real files of the same framework.

    The file's own order is changed here: without the transposes the arrays would differ.
    """
    path = COMMITTED / "keras2" / "k2.3.1_tensorflow_cudnn.h5"
    found = lstm_cli.weights(lstm_cli.load(path))
    name = next(name for name in found if name.endswith("/recurrent_kernel"))
    address = name.rsplit("/", 1)[0]
    with h5py.File(path, "r") as file:
        group = file["model_weights"][address]
        kernel, recurrent, bias = (group[n][()] for n in group.attrs["weight_names"])
    np.testing.assert_array_equal(
        found[name], np.hstack([block.T for block in np.split(recurrent, 4, axis=1)])
    )
    assert bias.shape == (8 * len(recurrent),)
    np.testing.assert_allclose(
        found[f"{address}/bias"], bias[: bias.size // 2] + bias[bias.size // 2 :], rtol=1e-7
    )
    np.testing.assert_array_equal(
        found[f"{address}/kernel"][:, : len(recurrent)],
        kernel[:, : len(recurrent)].ravel().reshape(len(recurrent), -1).T,
    )


@pytest.mark.parametrize("units", [1, 2, 4])
def test_h_equal_2_order_decides(tmp_path: Path, units: int) -> None:
    """As many features as units: kernel and recurrent kernel have one shape, order tells them."""
    kernel, recurrent, bias = random_lstm(6, units, units)
    x = X[:, :, :units] if units <= 3 else np.concatenate([X, X[:, :, :1]], axis=2)
    group = {"lstm": {"lstm/kernel:0": kernel, "lstm/rec:0": recurrent, "lstm/bias:0": bias}}
    document = sequential(lstm("lstm", units), shape=(None, None, units))
    for name, architecture in (("whole.h5", document), ("weights.h5", None)):
        model = lstm_cli.load(write_hdf5(tmp_path / name, architecture, group, version="2.4.0"))
        trace = lstm_cli.trace(model, x, layer="lstm", direct=True)
        expected = lstm_by_hand(x, kernel, recurrent, bias)
        np.testing.assert_allclose(trace.arrays["c"], expected["c"], rtol=0, atol=FLOAT32)
        # The test would notice: exchanged kernels give other numbers.
        exchanged = lstm_by_hand(x, recurrent, kernel, bias)
        assert np.abs(exchanged["c"] - expected["c"]).max() > 0.01


def test_no_bias_is_a_bias_of_zero(tmp_path: Path) -> None:
    kernel, recurrent, _ = random_lstm(7, 3, 4)
    model = lstm_cli.load(write_lstm(tmp_path / "a.h5", [kernel, recurrent]))
    check(model, lstm_by_hand(X, kernel, recurrent))
    assert "bias" not in lstm_cli.weights(model)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 16), (4, 16), (4,)), r"shapes \(F, 4U\), \(U, 4U\), \(4U,\)"),
        (((3, 16), (16, 4), (16,)), r"shapes \(F, 4U\)"),
        (((3, 12), (4, 16), (16,)), r"shapes \(F, 4U\)"),
        (((3, 16), (4, 16), (16,), (16,)), "2, 3 or 12 arrays, found 4"),
        (((3, 16),), "2, 3 or 12 arrays, found 1"),
        (((3, 4), (4, 4), (4,)) * 3 + ((3, 4), (4, 4), (5,)), r"4 times \(F, U\)"),
        (((3, 12), (4, 16), (32,)), "CuDNN"),
    ],
)
def test_arrays_of_other_shapes_are_refused(
    tmp_path: Path, shapes: tuple[tuple[int, ...], ...], message: str
) -> None:
    group = {f"w{k}": np.zeros(shape, np.float32) for k, shape in enumerate(shapes)}
    path = write_hdf5(tmp_path / "a.h5", sequential(lstm("lstm", 4)), {"lstm": group})
    with pytest.raises(lstm_cli.ModelFileError, match=message) as raised:
        lstm_cli.load(path)
    assert "'lstm'" in str(raised.value)


def test_units_that_contradict_the_arrays_are_refused(tmp_path: Path) -> None:
    path = COMMITTED / "keras2" / "k2.2.4_tensorflow_rnn_cells.h5"

    def enlarge(document: Any) -> None:
        configs(document, "LSTMCell")[0]["units"] += 1

    with pytest.raises(lstm_cli.ModelFileError, match="units, its arrays have"):
        lstm_cli.load(edited(path, tmp_path, enlarge))
