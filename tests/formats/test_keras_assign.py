"""Arrays of nested models in legacy HDF5: all trainable ones come first, then the others.

Expected weights are those that the file was written with, compared exactly; real files are checked
against the arrays that h5py reads under the layer's own name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import COMMITTED, Array
from keras_files import layer, lstm, random_lstm, sequential, write_hdf5

import lstm_cli

FIRST, SECOND = random_lstm(1, 4, 4), random_lstm(2, 4, 4)
NUMBERS = np.random.default_rng(5)
GAMMA, BETA, MEAN, VARIANCE = (NUMBERS.uniform(0.5, 2, 4).astype(np.float32) for _ in range(4))
X = NUMBERS.normal(size=(2, 3, 4)).astype(np.float32)


def nested(*layers: dict[str, Any]) -> Any:
    inner = layer("Sequential", "inner", layers=list(layers))
    inner["config"]["layers"][0]["config"]["batch_input_shape"] = [None, None, 4]
    return sequential(inner, shape=(None, None, 4))


def named(arrays: list[tuple[str, Array]]) -> dict[str, dict[str, Array]]:
    return {"inner": dict(arrays)}


def lstm_arrays(name: str, arrays: list[Array]) -> list[tuple[str, Array]]:
    parts = ("kernel:0", "recurrent_kernel:0", "bias:0")
    return [(f"{name}/lstm_cell/{part}", array) for part, array in zip(parts, arrays, strict=True)]


def check(model: lstm_cli.Model, expected: dict[str, list[Array]]) -> None:
    for address, arrays in expected.items():
        found = lstm_cli.weights(model, address)
        for name, array in zip(("kernel", "recurrent_kernel", "bias"), arrays, strict=True):
            np.testing.assert_array_equal(found[name], array, err_msg=f"{address} {name}")


@pytest.mark.parametrize("renamed", [False, True], ids=["names", "names of another run"])
def test_nested_model_lists_trainable_arrays_first(tmp_path: Path, renamed: bool) -> None:
    """A frozen LSTM stands before the other in the model, and after it in the file.

    Where the names are of no use (weights of another run of the script), the order must do.
    """
    document = nested(lstm("frozen", 4, trainable=False), lstm("free", 4))
    first, second = ("lstm_8", "lstm_7") if renamed else ("free", "frozen")
    arrays = lstm_arrays(first, FIRST) + lstm_arrays(second, SECOND)
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, named(arrays)))
    check(model, {"inner/free": FIRST, "inner/frozen": SECOND})


@pytest.mark.parametrize("renamed", [False, True], ids=["names", "names of another run"])
def test_batch_normalization_splits(tmp_path: Path, renamed: bool) -> None:
    """Gamma and beta stand with the trainable arrays, the moving statistics at the end."""
    document = nested(layer("BatchNormalization", "norm", epsilon=1e-3, axis=[2]), lstm("lstm", 4))
    norm, cell = ("bn_5", "lstm_6") if renamed else ("norm", "lstm")
    arrays = [
        (f"{norm}/gamma:0", GAMMA),
        (f"{norm}/beta:0", BETA),
        *lstm_arrays(cell, FIRST),
        (f"{norm}/moving_mean:0", MEAN),
        (f"{norm}/moving_variance:0", VARIANCE),
    ]
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, named(arrays)))
    check(model, {"inner/lstm": FIRST})
    output = lstm_cli.run(model, X, layer="inner/norm")
    expected = GAMMA * (X - MEAN) / np.sqrt(VARIANCE + 1e-3) + BETA
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)  # float32, another order


def test_frozen_wrapper_freezes_what_is_inside(tmp_path: Path) -> None:
    """``trainable`` of a Bidirectional, or of a whole nested model, covers its cells."""
    frozen = layer("Bidirectional", "both", trainable=False, merge_mode="sum", layer=lstm("x", 4))
    document = nested(frozen, lstm("free", 4))
    third = random_lstm(3, 4, 4)
    arrays = (
        lstm_arrays("free", FIRST)
        + lstm_arrays("both/forward_x", SECOND)
        + lstm_arrays("both/backward_x", third)
    )
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, named(arrays)))
    check(model, {"inner/free": FIRST})
    both = lstm_cli.weights(model, "inner/both")
    np.testing.assert_array_equal(both["forward/kernel"], SECOND[0])
    np.testing.assert_array_equal(both["backward/kernel"], third[0])


def test_names_decide_over_an_order_that_contradicts_them(tmp_path: Path) -> None:
    """Thawed after it was saved: ``trainable`` says one order, complete names another."""
    document = nested(lstm("one", 4), lstm("two", 4))
    arrays = lstm_arrays("two", SECOND) + lstm_arrays("one", FIRST)
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, named(arrays)))
    check(model, {"inner/one": FIRST, "inner/two": SECOND})


@pytest.mark.parametrize(
    "name",
    [
        "keras2/k2.3.1_tensorflow_nested_frozen.h5",
        "keras3/k3.15.1_tensorflow_nested_frozen.h5",
    ],
)
def test_nested_frozen_layers_of_real_files(name: str) -> None:
    path = COMMITTED / name
    model = lstm_cli.load(path)
    compared = 0
    with h5py.File(path, "r") as file:
        for layer_ in model.lstm_layers:
            found = lstm_cli.weights(model, layer_.address)
            outer, _, own = layer_.address.rpartition("/")
            names = [
                entry.decode() if isinstance(entry, bytes) else entry
                for entry in file["model_weights"][outer or own].attrs["weight_names"]
            ]
            mine = [entry for entry in names if own in entry.split("/")]
            assert len(mine) == 3
            for entry, array in zip(mine, found.values(), strict=True):
                stored = file["model_weights"][outer or own][entry][()]
                np.testing.assert_array_equal(array, stored)
                compared += 1
    assert compared >= 6


def test_keras_1_names_are_prefixes(tmp_path: Path) -> None:
    """``lstm_6_W_i`` is an array of lstm_6, in a nested Sequential that has no name itself."""
    parts = [np.split(array, 4, axis=-1) for array in FIRST]
    entries = [
        (f"lstm_6_{kind}_{gate}", parts[k][column])
        for gate, column in (("i", 0), ("c", 2), ("f", 1), ("o", 3))
        for k, kind in enumerate("WUb")
    ]
    inner = {
        "class_name": "Sequential",
        "config": [
            layer(
                "LSTM",
                "lstm_6",
                output_dim=4,
                inner_activation="hard_sigmoid",
                return_sequences=True,
                batch_input_shape=[None, None, 4],
            )
        ],
    }
    document = {"class_name": "Sequential", "config": [inner]}
    groups = {"sequential_3": dict(entries)}
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, groups, version=""))
    assert [found.address for found in model.lstm_layers] == ["sequential_3/lstm_6"]
    check(model, {"sequential_3/lstm_6": FIRST})


def test_two_cells_with_equal_names_refused(tmp_path: Path) -> None:
    """Keras 3.0 to 3.2 called every array ``kernel``, so HDF5 kept one direction alone."""
    document = sequential(
        layer("Bidirectional", "both", merge_mode="concat", layer=lstm("x", 4)),
        shape=(None, None, 4),
    )
    path = write_hdf5(tmp_path / "m.h5", document, {"both": {}}, version="3.0.5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights/both"]
        group.attrs["weight_names"] = [b"kernel", b"recurrent_kernel", b"bias"] * 2
        for name, array in zip(("kernel", "recurrent_kernel", "bias"), FIRST, strict=True):
            group[name] = array
    with pytest.raises(lstm_cli.ModelFileError, match=r"Keras 3\.0 to 3\.2"):
        lstm_cli.load(path)


def test_one_direction_of_two_is_refused(tmp_path: Path) -> None:
    """The same files, where the list was cut short as well."""
    document = sequential(
        layer("Bidirectional", "both", merge_mode="concat", layer=lstm("x", 4)),
        shape=(None, None, 4),
    )
    group = dict(zip(("kernel", "recurrent_kernel", "bias"), FIRST, strict=True))
    path = write_hdf5(tmp_path / "m.h5", document, {"both": group}, version="3.0.5")
    with pytest.raises(lstm_cli.ModelFileError, match="should hold 6 arrays, found 3"):
        lstm_cli.load(path)


def test_weights_of_another_run_are_paired_in_order(tmp_path: Path) -> None:
    """Layers are called by counters, which differ in another process: then order decides."""
    document = sequential(lstm("lstm", 4), lstm("lstm_1", 4), shape=(None, None, 4))
    names = ("kernel:0", "recurrent_kernel:0", "bias:0")
    groups = {
        name: dict(zip(names, arrays, strict=True))
        for name, arrays in (("lstm_7", FIRST), ("lstm_8", SECOND))
    }
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, groups))
    check(model, {"lstm": FIRST, "lstm_1": SECOND})
    assert any("lstm_7 → lstm" in note for note in model.assumptions)


def test_another_number_of_layers_is_refused(tmp_path: Path) -> None:
    document = sequential(lstm("lstm", 4), lstm("lstm_1", 4), shape=(None, None, 4))
    group = dict(zip(("a", "b", "c"), FIRST, strict=True))
    path = write_hdf5(tmp_path / "m.h5", document, {"lstm_7": group})
    with pytest.raises(lstm_cli.ModelFileError, match="2 layers with weights"):
        lstm_cli.load(path)


def test_unrelated_names_inside_a_group(tmp_path: Path) -> None:
    """Cells carry counters of their own, and arrays can carry another layer's name."""
    document = sequential(
        lstm("lstm_2", 4), layer("Dense", "dense_6", units=2), shape=(None, None, 4)
    )
    kernel, bias = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
    groups = {
        "lstm_2": dict(
            zip(
                (f"lstm_2/lstm_cell_54/{n}:0" for n in ("kernel", "recurrent_kernel", "bias")),
                FIRST,
                strict=True,
            )
        ),
        "dense_6": {"lstm_10/dense_6/kernel:0": kernel, "lstm_10/dense_6/bias:0": bias},
    }
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, groups))
    check(model, {"lstm_2": FIRST})
    hidden = lstm_cli.run(model, X, layer="lstm_2")
    expected = hidden @ kernel + bias
    np.testing.assert_allclose(lstm_cli.run(model, X), expected, rtol=0, atol=1e-5)
