"""TensorFlow checkpoints: layers by their objects or names, and whole models with an architecture.

Tolerance: 1e-5 of the larger of 1 and the largest number in float32, 1e-12 in float64.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Cli
from golden_files import Array
from savedmodel_files import FOLDER, assert_equal, inputs, numbers
from tensor_bundles import Held, lstm_cell, write_bundle, write_objects

import lstm_cli
from lstm_cli.errors import ModelFileError, UsageError
from lstm_cli.model import Model, Unsupported

CASES = [
    "functional",
    "nested",
    "bidirectional",
    "cells",
    "distributed",
    "others",
    "double",
]


def reason(model: Model, address: str) -> str:
    operation = model.find(address).operation
    assert isinstance(operation, Unsupported)
    return operation.reason


# -- with an architecture


@pytest.mark.parametrize(
    ("case", "kind"), [*((case, "ckpt") for case in CASES), ("others", "tracked")]
)
def test_whole_models_with_their_architecture(case: str, kind: str) -> None:
    """``save_weights``, and ``tf.train.Checkpoint`` with the model as one of its attributes."""
    stem = FOLDER / f"tf_2.15.1_{case}"
    model = lstm_cli.load(Path(f"{stem}_{kind}"), architecture=f"{stem}.json")
    expected = numbers(stem.name)
    x = inputs(expected)
    outputs = lstm_cli.run(model, x if len(x) > 1 else x[0], named=True)
    assert len(outputs) == sum(key.startswith("y") for key in expected)
    for k, output in enumerate(outputs.values()):
        assert_equal(output, expected[f"y{k}"])


def test_keras_3_keeps_its_layers_in_lists() -> None:
    """``_operations`` in place of ``layer-0 …``, ``_kernel`` in place of ``kernel``."""
    name = "k3_3.15.1_tracked"
    model = lstm_cli.load(FOLDER / name / "w.index", architecture=FOLDER / f"{name}.json")
    expected = numbers(name)
    assert_equal(lstm_cli.run(model, expected["x0"]), expected["y0"])
    assert_equal(lstm_cli.run(model, expected["x0"], layer="both"), expected["both"])


def test_an_architecture_of_another_model_is_refused() -> None:
    with pytest.raises(ModelFileError, match="layers"):
        lstm_cli.load(
            FOLDER / "tf_2.15.1_nested_ckpt", architecture=FOLDER / "tf_2.15.1_others.json"
        )


def test_names_alone_take_no_architecture() -> None:
    with pytest.raises(UsageError, match="no graph of objects"):
        lstm_cli.load(FOLDER / "tf1_names", architecture=FOLDER / "tf_2.15.1_nested.json")


# -- without


@pytest.mark.parametrize("version", ["tf_2.0.4", "tf_2.4.4", "tf_2.13.1", "tfk_2.21.0"])
def test_weights_of_every_version(version: str) -> None:
    """The structural keys are the same in all, the names of variables are not."""
    model, expected = lstm_cli.load(FOLDER / f"{version}_ckpt"), numbers(version)
    assert [(layer.address, layer.kind) for layer in model.lstm_layers] == [
        ("bidirectional", "Bidirectional(LSTM)"),
        ("zz", "LSTM"),
    ]
    for k, array in enumerate(lstm_cli.weights(model).values(), start=1):
        np.testing.assert_array_equal(array, expected[f"w{k:02d}"])


def test_the_activation_that_tensorflow_1_would_have_used_is_named() -> None:
    """Names without a cell, ``zz/kernel``, are of TensorFlow 1 or of 2.0 and 2.1."""
    old = lstm_cli.load(FOLDER / "tf_2.0.4_ckpt").assumptions
    new = lstm_cli.load(FOLDER / "tf_2.13.1_ckpt").assumptions
    assert any("TensorFlow 1 used hard_sigmoid" in note for note in old)
    assert not any("TensorFlow 1" in note for note in new)
    chosen = lstm_cli.load(
        FOLDER / "tf_2.0.4_ckpt", recurrent_activation="hard_sigmoid", hard_sigmoid="0.2"
    )
    cell = next(chosen.layers[1].recurrent.cells())[2]  # type: ignore[union-attr]
    assert str(cell.recurrent_activation) == "hard_sigmoid (0.2x + 0.5)"  # type: ignore[union-attr]
    assert not any("TensorFlow 1 used" in note for note in chosen.assumptions)


@pytest.mark.parametrize(
    ("case", "names", "kinds"),
    [
        ("functional", ["first", "second", "third"], ["LSTM"] * 3),
        ("cells", ["rnn", "bidirectional"], ["RNN(LSTMCell)", "Bidirectional(LSTM)"]),
        ("distributed", ["lstm", "time_distributed"], ["LSTM", "LSTM"]),
        ("nested", ["lstm", "lstm", "deep"], ["LSTM"] * 3),
        ("others", ["lstm", "lstm"], ["LSTM", "LSTM"]),
    ],
)
def test_layers_are_listed_by_their_names(case: str, names: list[str], kinds: list[str]) -> None:
    """Keras's own names end in a number of the process, which is left out here."""
    model = lstm_cli.load(FOLDER / f"tf_2.15.1_{case}_ckpt")
    assert [layer.address.rstrip("_0123456789") for layer in model.lstm_layers] == names
    assert [layer.kind for layer in model.lstm_layers] == kinds
    assert len({layer.address for layer in model.layers}) == len(model.layers)
    assert model.no_graph == "the checkpoint holds weights alone"
    assert model.takes_architecture


def test_a_layer_run_direct_is_that_of_the_whole_model() -> None:
    """The one LSTM whose activations are the usual ones, fed with what it receives in the model."""
    stem = FOLDER / "tf_2.15.1_functional"
    whole = lstm_cli.load(Path(f"{stem}_ckpt"), architecture=f"{stem}.json")
    alone = lstm_cli.load(Path(f"{stem}_ckpt"))
    x = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    for name in ("kernel", "recurrent_kernel", "bias"):
        np.testing.assert_array_equal(
            lstm_cli.weights(whole, "first")[name], lstm_cli.weights(alone, "first")[name]
        )
    np.testing.assert_array_equal(
        lstm_cli.run(whole, x, layer="first", direct=True),
        lstm_cli.run(alone, x, layer="first", direct=True),
    )


@pytest.mark.parametrize("kind", ["ckpt", "tracked"])
def test_an_optimizer_is_never_listed(kind: str) -> None:
    """Its slots are arrays of the shapes of the weights, with names that end as theirs do."""
    model = lstm_cli.load(FOLDER / f"tf_2.15.1_others_{kind}")
    assert len(model.layers) == 9
    assert not any("dam" in layer.address for layer in model.layers)


def test_what_is_called_like_an_optimizers_variables(tmp_path: Path) -> None:
    """A checkpoint may keep numbers of the training beside its model, under any names."""
    number = Held(np.array(1.0, np.float32), "number")
    lstm = {"cell": lstm_cell(1, 3, 2, "lstm/lstm_cell"), "learning_rate": number}
    tree = {"lstm": lstm, "iter": number, "learning_rate": number}
    model = lstm_cli.load(write_objects(tmp_path / "w", tree))
    assert [layer.address for layer in model.lstm_layers] == ["lstm"]


def test_the_model_in_a_checkpoint_of_keras_3_is_found() -> None:
    """Its optimizer holds every variable of the model in lists of its own."""
    model = lstm_cli.load(FOLDER / "k3_3.15.1_tracked" / "w.index")
    both, last, inner = model.lstm_layers
    assert (both.address, inner.address) == ("both", "inner/zz")
    assert last.address.startswith("lstm")


# -- names alone


def test_variables_by_name() -> None:
    model, expected = lstm_cli.load(FOLDER / "tf1_names"), numbers("tf1_names")
    assert model.format == "TensorFlow checkpoint, variables by name"
    assert [layer.address for layer in model.lstm_layers] == ["both", "zz"]
    for name in ("both", "zz"):
        y = lstm_cli.run(model, expected["x0"], layer=name, direct=True)
        assert_equal(y, expected[name])


def test_cells_of_tf_nn_are_refused_because_of_their_forget_bias() -> None:
    """Trap: forget_bias is added at run time, and no checkpoint holds it."""
    model = lstm_cli.load(FOLDER / "tf1_names")
    assert "forget_bias" in reason(model, "rnn/basic_lstm_cell")
    assert model.find("rnn/basic_lstm_cell").kind == "LSTM cell of tf.nn"


def test_slots_of_an_optimizer_by_name() -> None:
    """Trap: ``zz/lstm_cell/kernel/Adam`` is no layer's."""
    model = lstm_cli.load(FOLDER / "tf1_names")
    addresses = [layer.address for layer in model.layers]
    assert not any("Adam" in address or "kernel" in address for address in addresses)


def test_partitioned_variables_are_refused_by_name(tmp_path: Path) -> None:
    """TensorFlow's slices have keys of their own, which are no text."""
    model = lstm_cli.load(FOLDER / "tf1_names")
    assert isinstance(model.find("cut").operation, Unsupported)


def test_stacked_cells_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Trap: ``lstm_cell_10`` sorts before ``lstm_cell_9``."""
    arrays: dict[str, Array | bytes] = {}
    sizes = [(3, 2), (2, 4), (4, 5)]
    for (features, units), cell in zip(
        sizes, ("lstm_cell_8", "lstm_cell_9", "lstm_cell_10"), strict=True
    ):
        for key, held in lstm_cell(units, features, units, "").items():
            arrays[f"rnn/stacked_rnn_cells/{cell}/{key}"] = held.array
    model = lstm_cli.load(write_bundle(tmp_path / "w", arrays))
    (layer,) = model.layers
    assert layer.recurrent is not None
    assert [(cell.input_size, cell.units) for _, _, cell in layer.recurrent.cells()] == sizes


# -- objects


def test_layers_whose_variables_have_one_name(tmp_path: Path) -> None:
    """Then the attributes that lead to them tell them apart."""
    tree = {
        name: {"cell": lstm_cell(seed, 3, 2, "same/lstm_cell")}
        for seed, name in enumerate(("encoder", "decoder"))
    }
    model = lstm_cli.load(write_objects(tmp_path / "w", tree))
    assert [layer.address for layer in model.layers] == ["encoder", "decoder"]


def test_an_object_held_twice_is_one_layer(tmp_path: Path) -> None:
    layer = {"cell": lstm_cell(1, 3, 2, "lstm/lstm_cell")}
    model = lstm_cli.load(write_objects(tmp_path / "w", {"a": layer}))
    assert [layer.address for layer in model.layers] == ["lstm"]


def test_one_and_two_units(tmp_path: Path) -> None:
    """Trap: kernel and recurrent kernel of one shape; the attribute decides, never the shape."""
    tree = {"cell": lstm_cell(1, 1, 1, "lstm/lstm_cell")}
    model = lstm_cli.load(write_objects(tmp_path / "w", {"lstm": tree}))
    for name, held in tree["cell"].items():
        np.testing.assert_array_equal(lstm_cli.weights(model)[name], held.array)


def test_gru_and_others_are_not_lstm(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    shapes = {"kernel": (3, 6), "recurrent_kernel": (2, 6), "bias": (2, 6)}
    gru = {
        key: Held(random.normal(size=shape).astype(np.float32), f"gru/gru_cell/{key}")
        for key, shape in shapes.items()
    }
    model = lstm_cli.load(write_objects(tmp_path / "w", {"gru": {"cell": gru}}))
    assert "(3, 6), (2, 6), (2, 6)" in reason(model, "gru")


# -- which files


def test_the_name_of_a_checkpoint_is_what_its_files_share() -> None:
    found = lstm_cli.load(FOLDER / "tf_2.13.1_ckpt" / "w")
    assert [layer.address for layer in found.lstm_layers] == ["bidirectional", "zz"]


def test_a_folder_of_several(tmp_path: Path, lstm: Cli) -> None:
    """The file ``checkpoint`` says which is the latest; without it, they are listed."""
    for name, seed in (("a", 1), ("b", 2)):
        write_objects(tmp_path / name, {"x": {"cell": lstm_cell(seed, 3, 2, f"{name}/lstm_cell")}})
    with pytest.raises(ModelFileError, match=r"2 checkpoints; name one of: a\.index, b\.index"):
        lstm_cli.load(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/a"\n')
    assert [layer.address for layer in lstm_cli.load(tmp_path).layers] == ["a"]


def test_a_path_in_the_file_checkpoint_stays_in_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        write_objects(folder / "w", {"x": {"cell": lstm_cell(1, 3, 2, f"{folder.name}/lstm_cell")}})
    (inside / "checkpoint").write_text('model_checkpoint_path: "../outside/w"\n')
    assert [layer.address for layer in lstm_cli.load(inside).layers] == ["inside"]


def test_several_data_files(tmp_path: Path) -> None:
    """Those are looked for beside the index, whatever the folder is called."""
    random = np.random.default_rng(1)
    arrays: dict[str, Array | bytes] = {
        "lstm/kernel": random.normal(size=(3, 8)).astype(np.float32),
        "lstm/recurrent_kernel": random.normal(size=(2, 8)).astype(np.float32),
        "lstm/bias": random.normal(size=8).astype(np.float32),
    }
    write_bundle(tmp_path / "w", arrays, shards=3)
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in tmp_path.glob("w.*"):
        shutil.move(path, moved)
    for name, array in lstm_cli.weights(lstm_cli.load(moved)).items():
        np.testing.assert_array_equal(array, arrays[f"lstm/{name}"])


def test_the_data_file_points_to_its_index(tmp_path: Path) -> None:
    write_bundle(tmp_path / "w", {"lstm/kernel": np.zeros((3, 8), np.float32)})
    (data,) = tmp_path.glob("w.data*")
    with pytest.raises(
        lstm_cli.ModelFileError, match=r"a part of a TensorFlow checkpoint; open w\.index"
    ):
        lstm_cli.load(data)
