"""SavedModels: what TensorFlow computed with them is what comes out, with its config or without.

Tolerance: 1e-5 of the larger of 1 and the largest number, in float32, as everywhere.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import Array
from savedmodel_files import FOLDER, assert_equal, inputs, numbers, unpacked
from tensor_bundles import Held, field, write_bundle, write_objects

import lstm_cli
from lstm_cli.errors import LstmCliError, ModelFileError, UnsupportedFeatureError, UsageError
from lstm_cli.model import Unsupported

WHOLE = [
    "tf_2.0.4",
    "tf_2.4.4",
    "tf_2.13.1",
    "tfk_2.21.0",
    "tf_2.15.1_nested",
    "tf_2.15.1_cells",
]


@pytest.mark.parametrize("name", WHOLE)
def test_whole_models(name: str, tmp_path: Path) -> None:
    """The config is in ``keras_metadata.pb`` from 2.5 on, in ``saved_model.pb`` before."""
    model = lstm_cli.load(unpacked(name, tmp_path))
    expected = numbers(name)
    x = inputs(expected)
    outputs = lstm_cli.run(model, x if len(x) > 1 else x[0], named=True)
    assert len(outputs) == sum(key.startswith("y") for key in expected)
    for k, output in enumerate(outputs.values()):
        assert_equal(output, expected[f"y{k}"])


@pytest.mark.parametrize("name", WHOLE[:4])
def test_weights_are_those_of_the_model(name: str, tmp_path: Path) -> None:
    model, expected = lstm_cli.load(unpacked(name, tmp_path)), numbers(name)
    arrays = lstm_cli.weights(model)
    order = [
        f"{cell}/{array}"
        for cell in ("bidirectional/forward", "bidirectional/backward", "zz")
        for array in ("kernel", "recurrent_kernel", "bias")
    ]
    assert list(arrays) == order
    for k, key in enumerate(order, start=1):  # w00 is the Embedding's
        np.testing.assert_array_equal(arrays[key], expected[f"w{k:02d}"])


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("tf_2.0.4", "tf.keras 2.2.4-tf (TensorFlow 2.0)"),
        ("tf_2.4.4", "tf.keras 2.4.0 (TensorFlow 2.4)"),
        ("tf_2.13.1", "tf.keras 2.13.1 (TensorFlow 2.13)"),
        ("tfk_2.21.0", "tf.keras 2.21.0 (the tf_keras package)"),
        ("k3_keras3.15.1", "TensorFlow 2.21.0"),
    ],
)
def test_who_wrote_it(name: str, writer: str, tmp_path: Path) -> None:
    """Keras 3 exports no version of its own, only TensorFlow's."""
    facts = lstm_cli.inspect(lstm_cli.load(unpacked(name, tmp_path)))
    assert facts["written_by"] == writer
    assert facts["format"] == "TensorFlow SavedModel"
    assert bool(facts["outputs"]) == (name != "k3_keras3.15.1")


def test_the_program_stands_for_its_folder(tmp_path: Path) -> None:
    folder = unpacked("tf_2.13.1", tmp_path)
    expected = numbers("tf_2.13.1")
    model = lstm_cli.load(folder / "saved_model.pb")
    assert_equal(lstm_cli.run(model, expected["x0"]), expected["y0"])


# -- models of a class of their own


def test_layers_of_a_subclassed_model_have_their_configs(tmp_path: Path) -> None:
    """Its connections are Python code, but Keras describes each layer: nothing is assumed."""
    name = "tf_2.15.1_subclassed"
    model, expected = lstm_cli.load(unpacked(name, tmp_path)), numbers(name)
    kinds = [layer.kind for layer in model.lstm_layers]
    assert kinds == ["LSTM", "Bidirectional(LSTM)", "LSTM", "LSTM"]
    assert not model.has_graph
    assert "Own" in model.no_graph
    assert not any("as the file does not say" in note for note in model.assumptions)
    zeta, alpha, *blocks = (layer.address for layer in model.lstm_layers)
    facts = {layer["address"]: layer for layer in lstm_cli.inspect(model)["layers"]}
    assert facts[zeta]["activation"] == "relu"
    assert facts[alpha]["recurrent_activation"] == "hard_sigmoid (0.2x + 0.5)"
    x = lstm_cli.run(model, expected["x0"], layer=zeta, direct=True)
    assert_equal(x, expected["zeta"])
    for block in blocks:
        x = lstm_cli.run(model, x, layer=block, direct=True)
    assert_equal(x, expected["last"])
    assert_equal(lstm_cli.run(model, x, layer=alpha, direct=True), expected["alpha"])


def test_a_subclassed_model_cannot_be_run_whole(tmp_path: Path) -> None:
    model = lstm_cli.load(unpacked("tf_2.15.1_subclassed", tmp_path))
    with pytest.raises((UnsupportedFeatureError, UsageError), match="class of its own"):
        lstm_cli.run(model, numbers("tf_2.15.1_subclassed")["x0"])


def described(folder: Path, tree: dict[str, Any], configs: dict[str, dict[str, Any]]) -> Path:
    """A SavedModel of objects, with what Keras says about some of them, by path."""
    (folder / "variables").mkdir()
    write_objects(folder / "variables" / "variables", tree)
    (folder / "saved_model.pb").write_bytes(field(1, 1) + field(2, field(1, field(5, "2.15.0"))))
    root = {"class_name": "Own", "keras_version": "2.15.0", "config": {}}
    entries = b""
    for path, config in {"root": root, **configs}.items():
        told = field(3, path) + field(4, "_tf_keras_layer") + field(5, json.dumps(config))
        entries += field(1, told)
    (folder / "keras_metadata.pb").write_bytes(entries)
    return folder


def config_of(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "name": name, "config": {"name": name, **settings}}


with np.load(FOLDER.parent / "npz" / "lstm.npz") as file:
    LSTM = dict(file)
CELL = {name: Held(LSTM[name], f"x/{name}") for name in ("kernel", "recurrent_kernel", "bias")}
SETTINGS = {"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}


def test_a_cell_that_the_model_steps_itself(tmp_path: Path) -> None:
    """It is listed as a layer that steps it, and the card says so."""
    configs = {"root.step": config_of("LSTMCell", "step", **SETTINGS)}
    model = lstm_cli.load(described(tmp_path, {"step": CELL}, configs))
    (layer,) = model.layers
    assert (layer.address, layer.kind) == ("step", "RNN(LSTMCell)")
    assert "step: a cell by itself, read as a layer that steps it" in model.assumptions
    y = lstm_cli.run(model, LSTM["x0"], layer="step", direct=True)
    assert_equal(y, LSTM["y0"])


def test_a_custom_class_in_a_model_of_its_own_class(tmp_path: Path) -> None:
    """Nothing but its name says what it computes; the caller may."""
    settings = {**SETTINGS, "return_sequences": True}
    configs = {
        "root.block": config_of("Block", "block"),
        "root.block.inner": config_of("Mine", "inner", **settings),
        "root.block.inner.cell": config_of("LSTMCell", "lstm_cell", **SETTINGS),
    }
    folder = described(tmp_path, {"block": {"inner": {"cell": CELL}}}, configs)
    (layer,) = lstm_cli.load(folder).layers
    assert (layer.address, layer.kind) == ("block/inner", "Mine")
    assert layer.parameters == sum(held.array.size for held in CELL.values())
    assert isinstance(layer.operation, Unsupported)
    assert "--treat-as-lstm Mine" in layer.operation.reason
    model = lstm_cli.load(folder, treat_as_lstm="Mine")
    y = lstm_cli.run(model, LSTM["x0"], layer="block/inner", direct=True)
    assert_equal(y, LSTM["y0"])


def test_tuples_in_configs(tmp_path: Path) -> None:
    """Trap: TensorFlow writes them as ``{"class_name": "__tuple__", "items": [...]}``."""
    shape = {"class_name": "__tuple__", "items": [None, 6, 3]}
    settings = {**SETTINGS, "return_sequences": True, "batch_input_shape": shape}
    config = config_of("Sequential", "model", layers=[config_of("LSTM", "lstm", **settings)])
    root = {"class_name": "Sequential", "keras_version": "2.15.0", "model_config": config}
    tree = {"layer-0": {"cell": CELL}}
    folder = described(tmp_path, tree, {"root": root})
    model = lstm_cli.load(folder)
    assert lstm_cli.inspect(model)["inputs"][0]["shape"] == [None, 6, 3]
    assert_equal(lstm_cli.run(model, LSTM["x0"]), LSTM["y0"])


def test_paths_and_objects_that_go_nowhere(tmp_path: Path) -> None:
    """Descriptions of objects that are not there are no layers."""
    configs = {
        "root.gone": config_of("LSTM", "gone", **SETTINGS),
        "root" + ".a" * 5000: config_of("LSTM", "deep", **SETTINGS),
        "root.step": config_of("LSTM", "step", **{**SETTINGS, "units": 5}),
    }
    model = lstm_cli.load(described(tmp_path, {"step": {"cell": CELL}}, configs))
    (layer,) = model.layers
    assert isinstance(layer.operation, Unsupported)
    assert "says 5 units" in layer.operation.reason


def test_a_custom_class_that_no_layer_has(tmp_path: Path) -> None:
    folder = unpacked("tf_2.15.1_subclassed", tmp_path)
    with pytest.raises(UsageError, match="NoSuch"):
        lstm_cli.load(folder, treat_as_lstm="NoSuch")


# -- without a config


def test_keras_3_exports_no_config(tmp_path: Path) -> None:
    """Layers are told by the names of their variables, and what is assumed stands in the card."""
    name = "k3_keras3.15.1"
    model, expected = lstm_cli.load(unpacked(name, tmp_path)), numbers(name)
    assert [(layer.address, layer.kind) for layer in model.lstm_layers] == [
        ("bidirectional", "Bidirectional(LSTM)"),
        ("zz", "LSTM"),
    ]
    assert "no Keras config" in model.no_graph
    for note in (
        "bidirectional: recurrent activation sigmoid, Keras's default, as the file does not say",
        "zz: activation tanh, Keras's default, as the file does not say",
        "zz: read forward, as nothing says otherwise",
    ):
        assert note in model.assumptions
    # The model is Embedding (masking zeros), Bidirectional, LSTM, Dense: the last two by hand.
    ids = expected["x0"]
    vectors = expected["w00"][ids]
    x = lstm_cli.run(model, vectors, layer="bidirectional", direct=True, mask=ids != 0)
    x = x * (ids != 0)[..., None]  # a Bidirectional returns zeros at masked steps
    y = lstm_cli.run(model, x, layer="zz", direct=True, mask=ids != 0, return_sequences=False)
    assert_equal(y @ expected["w10"] + expected["w11"], expected["y0"])


def test_lists_that_hold_every_variable_twice(tmp_path: Path) -> None:
    """Keras 3 keeps its variables under ``variables`` and again under ``_all_variables``."""
    model = lstm_cli.load(unpacked("k3_keras3.15.1", tmp_path))
    assert len(model.layers) == 4
    assert sum(layer.parameters for layer in model.layers) == 28 + 192 + 72 + 6


def test_variables_of_one_name_are_numbered(tmp_path: Path) -> None:
    """A class of one's own under Keras 3: every LSTM's kernel is called ``own/kernel``."""
    name = "k3_3.15.1_subclassed"
    model, expected = lstm_cli.load(unpacked(name, tmp_path)), numbers(name)
    addresses = [layer.address for layer in model.layers]
    assert len(set(addresses)) == len(addresses)
    relu = lstm_cli.load(tmp_path / name, activation="relu")
    x = lstm_cli.run(relu, expected["x0"], layer=relu.lstm_layers[0].address, direct=True)
    assert_equal(x, expected["zeta"])


def test_other_layers_of_a_model_without_config_are_listed(tmp_path: Path) -> None:
    model = lstm_cli.load(unpacked("k3_keras3.15.1", tmp_path))
    dense = model.find("dense")
    assert isinstance(dense.operation, Unsupported)
    assert "(2, 2), (2,)" in dense.operation.reason


def test_a_model_without_objects(tmp_path: Path) -> None:
    """TensorFlow 1: no graph of objects at all, variables by name."""
    folder = tmp_path / "tf1"
    variables = folder / "variables"
    variables.mkdir(parents=True)
    random = np.random.default_rng(3)
    arrays: dict[str, Array | bytes] = {
        "lstm/kernel": random.normal(size=(3, 8)).astype(np.float32),
        "lstm/recurrent_kernel": random.normal(size=(2, 8)).astype(np.float32),
        "lstm/bias": np.zeros(8, np.float32),
    }
    write_bundle(variables / "variables", arrays)
    (folder / "saved_model.pb").write_bytes(field(1, 1) + field(2, field(1, field(5, "1.15.5"))))
    model = lstm_cli.load(folder)
    assert model.written_by == "TensorFlow 1.15.5"
    assert [layer.address for layer in model.lstm_layers] == ["lstm"]
    assert (
        "lstm: recurrent activation hard_sigmoid (0.2x + 0.5), the default of tf.keras in "
        "TensorFlow 1.15.5, as the file does not say"
    ) in model.assumptions
    assert lstm_cli.inspect(model)["layers"][0]["recurrent_activation"].startswith("hard_sigmoid")


# -- what is refused


def test_without_variables(tmp_path: Path) -> None:
    folder = unpacked("tf_2.13.1", tmp_path)
    shutil.rmtree(folder / "variables")
    with pytest.raises(ModelFileError, match="holds no weights"):
        lstm_cli.load(folder)


def test_an_architecture_beside_a_config_is_refused(tmp_path: Path) -> None:
    folder = unpacked("tf_2.15.1_nested", tmp_path)
    with pytest.raises(UsageError, match=r"variables\.index"):
        lstm_cli.load(folder, architecture=FOLDER / "tf_2.15.1_nested.json")


def test_its_variables_alone_take_an_architecture(tmp_path: Path) -> None:
    name = "tf_2.15.1_nested"
    folder, expected = unpacked(name, tmp_path), numbers(name)
    index = folder / "variables" / "variables.index"
    model = lstm_cli.load(index, architecture=FOLDER / f"{name}.json")
    outputs = lstm_cli.run(model, inputs(expected))
    for k, output in enumerate(outputs):
        assert_equal(output, expected[f"y{k}"])


@pytest.mark.parametrize("file", ["saved_model.pb", "keras_metadata.pb", "variables.index"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_files_that_are_cut_short(file: str, share: float, tmp_path: Path) -> None:
    folder = unpacked("tf_2.13.1", tmp_path)
    path = next(folder.rglob(file))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    try:
        model = lstm_cli.load(folder)
    except ModelFileError:
        return
    assert model.layers  # what is cut off was not needed


@pytest.mark.parametrize("seed", range(40))
def test_changed_bytes(seed: int, tmp_path: Path) -> None:
    """A model or a sentence, whatever is changed in the config, the index or the data."""
    folder = unpacked("tf_2.13.1", tmp_path)
    random = np.random.default_rng(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for _ in range(3):
        path = files[random.integers(len(files))]
        content = bytearray(path.read_bytes())
        content[random.integers(len(content))] = random.integers(256)
        path.write_bytes(content)
    try:
        lstm_cli.load(folder)
    except LstmCliError:
        pass
