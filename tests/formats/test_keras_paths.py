"""The path layout: which array belongs to which layer where names in the file are no help.

Arrays are compared exactly with those that h5py reads at the path that the framework wrote.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import COMMITTED, Array
from keras_files import (
    layer,
    lstm,
    path_weights,
    random_lstm,
    sequential,
    write_archive,
)

import lstm_cli
from lstm_cli.formats.keras_paths import snake_case

FIRST, SECOND, THIRD = (random_lstm(seed, 4, 4) for seed in (1, 2, 3))
DENSE = [np.ones((4, 4), np.float32), np.zeros(4, np.float32)]


def kernels(path: Path, **options: Any) -> dict[str, Array]:
    """The kernel of each LSTM cell by its address."""
    found = lstm_cli.weights(lstm_cli.load(path, **options))
    return {
        name.removesuffix("/kernel"): array
        for name, array in found.items()
        if name == "kernel" or name.endswith("/kernel")
    }


def stored(path: Path, place: str) -> Array:
    """The kernel at a path of the file, read without this package."""
    content: Any = path
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as file:
        return np.asarray(file[f"{place}/vars/0"][()])


def model_of(*layers: dict[str, Any]) -> Any:
    return sequential(*layers, shape=(None, None, 4))


# -- counters, not names


@pytest.mark.parametrize(
    ("name", "container", "numbers"),
    [
        ("keras3/k3.6.0_tensorflow_seq_names.keras", "layers", ("", "_1", "_2")),
        ("tfkeras2/tf2.15.1_seq_names.keras", "layers", ("", "_1", "_2")),
        ("tfkeras2/tf2.14.1_seq_names.keras", "_layer_checkpoint_dependencies", ("", "_1", "_2")),
        ("tfkeras2/tf2.13.1_seq_names.keras", "_layer_checkpoint_dependencies", ("", "_2", "_4")),
    ],
)
def test_counter_paths_not_names(name: str, container: str, numbers: tuple[str, ...]) -> None:
    """Layers zeta, alpha and lstm are LSTMs, and lstm_1 is a Dense: all of one size.

    A reader that looks their names up gets other layers' arrays, without an error.
    """
    path = COMMITTED / name
    found = kernels(path)
    assert list(found) == ["zeta", "alpha", "lstm"]
    expected = [stored(path, f"{container}/lstm{number}/cell") for number in numbers]
    for array, other in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(array, other)
    assert not np.array_equal(expected[0], expected[1]), "the test could not tell them apart"


def test_double_counting_of_tf_2_12(tmp_path: Path) -> None:
    """TensorFlow 2.12 and 2.13 count layers with weights twice: lstm, lstm_2, lstm_4."""
    document = model_of(lstm("b", 4), layer("Dropout", "d", rate=0.1), lstm("a", 4), lstm("c", 4))
    container = "_layer_checkpoint_dependencies"
    tree = {
        f"{container}/lstm/cell": FIRST,
        f"{container}/lstm_2/cell": SECOND,
        f"{container}/lstm_4/cell": THIRD,
    }
    found = kernels(write_archive(tmp_path / "m.keras", document, tree, "2.13.1"))
    for name, arrays in zip("bac", (FIRST, SECOND, THIRD), strict=True):
        np.testing.assert_array_equal(found[name], arrays[0])


def test_weights_file_of_tf_2_12_is_of_the_path_layout() -> None:
    """``.weights.h5`` is of the old layout up to TensorFlow 2.11, of the new one from 2.12 on."""
    path = COMMITTED / "tfkeras2" / "tf2.12.1_seq_names.weights.h5"
    with h5py.File(path, "r") as file:
        assert "layer_names" not in file.attrs
        assert "_layer_checkpoint_dependencies" in file
    assert [array.shape for array in kernels(path).values()] == [
        stored(path, f"_layer_checkpoint_dependencies/{key}/cell").shape
        for key in ("lstm", "lstm_2", "lstm_4")
    ]


def test_ten_layers_of_a_class(tmp_path: Path) -> None:
    """lstm_10 comes after lstm_9, though HDF5 lists it after lstm_1."""
    names = [f"layer_{k}" for k in range(12)]
    tree = {
        f"layers/lstm{f'_{k}' if k else ''}/cell": random_lstm(100 + k, 4, 4) for k in range(12)
    }
    document = model_of(*(lstm(name, 4) for name in names))
    found = kernels(write_archive(tmp_path / "m.keras", document, tree))
    for k, name in enumerate(names):
        np.testing.assert_array_equal(found[name], random_lstm(100 + k, 4, 4)[0])


def test_names_that_the_file_keeps(tmp_path: Path) -> None:
    """From Keras 3.6 on a group carries its layer's name, which then decides over the order."""
    tree = {
        "layers/lstm": [],
        "layers/lstm/cell": FIRST,
        "layers/lstm_1": [],
        "layers/lstm_1/cell": SECOND,
    }
    document = model_of(lstm("a", 4), lstm("b", 4))
    names = {"layers/lstm": "b", "layers/lstm_1": "a"}
    found = kernels(write_archive(tmp_path / "m.keras", document, tree, names=names))
    np.testing.assert_array_equal(found["b"], FIRST[0])
    np.testing.assert_array_equal(found["a"], SECOND[0])


@pytest.mark.parametrize(
    ("class_name", "key"),
    [
        ("LSTM", "lstm"),
        ("Conv1D", "conv1d"),
        ("TimeDistributed", "time_distributed"),
        ("StackedRNNCells", "stacked_rnn_cells"),
        ("LSTMCell", "lstm_cell"),
        ("SpatialDropout1D", "spatial_dropout1d"),
        ("BatchNormalization", "batch_normalization"),
        ("GRU", "gru"),
    ],
)
def test_keys_of_classes(class_name: str, key: str) -> None:
    """As the framework's own files have them."""
    assert snake_case(class_name) == key


# -- places below a layer


@pytest.mark.parametrize(
    ("document", "places"),
    [
        (
            layer("Bidirectional", "b", merge_mode="concat", layer=lstm("x", 4)),
            {
                "layers/bidirectional/forward_layer/cell": "b/forward",
                "layers/bidirectional/backward_layer/cell": "b/backward",
            },
        ),
        (
            layer(
                "RNN",
                "r",
                return_sequences=True,
                cell=layer(
                    "StackedRNNCells",
                    "s",
                    cells=[layer("LSTMCell", "k", units=4), layer("LSTMCell", "l", units=4)],
                ),
            ),
            {
                "layers/rnn/cell/cells/lstm_cell": "r/0",
                "layers/rnn/cell/cells/lstm_cell_1": "r/1",
            },
        ),
        (
            layer("RNN", "r", return_sequences=True, cell=layer("LSTMCell", "k", units=4)),
            {"layers/rnn/cell": "r"},
        ),
        (
            layer(
                "Sequential",
                "inner",
                layers=[lstm("x", 4), lstm("y", 4)],
            ),
            {
                "layers/sequential/layers/lstm/cell": "inner/x",
                "layers/sequential/layers/lstm_1/cell": "inner/y",
            },
        ),
    ],
    ids=["Bidirectional", "stacked cells", "RNN of a cell", "nested: counters restart"],
)
def test_places_below_a_layer(
    tmp_path: Path, document: dict[str, Any], places: dict[str, str]
) -> None:
    tree = {place: random_lstm(10 + k, 4, 4) for k, place in enumerate(places)}
    tree["layers/lstm/cell"] = FIRST
    path = write_archive(tmp_path / "m.keras", model_of(lstm("first", 4), document), tree)
    found = kernels(path)
    np.testing.assert_array_equal(found["first"], FIRST[0])
    for place, address in places.items():
        np.testing.assert_array_equal(found[address], tree[place][0])


def test_time_distributed_lstm(tmp_path: Path) -> None:
    wrapper = layer("TimeDistributed", "td", layer=lstm("x", 4))
    document = sequential(wrapper, shape=(None, 2, 5, 4))
    path = write_archive(
        tmp_path / "m.keras", document, {"layers/time_distributed/layer/cell": FIRST}
    )
    np.testing.assert_array_equal(kernels(path)["kernel"], FIRST[0])


def test_backslash_paths(tmp_path: Path) -> None:
    """tf.keras 2.14 on Windows wrote group names with backslashes in them."""
    document = model_of(lstm("a", 4), layer("Dense", "d", units=4, activation="linear"))
    container = "_layer_checkpoint_dependencies"
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for place, arrays in ((f"{container}\\lstm\\cell", FIRST), (f"{container}\\dense", DENSE)):
            group = file.create_group(f"{place}/vars")
            for k, array in enumerate(arrays):
                group[str(k)] = array
    path = tmp_path / "windows.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.14.0"}))
        archive.writestr("config.json", json.dumps(document))
        archive.writestr("model.weights.h5", content.getvalue())
    np.testing.assert_array_equal(kernels(path)["kernel"], FIRST[0])


def test_optimizer_and_metrics_are_not_layers(tmp_path: Path) -> None:
    """An optimizer's variables have the shapes of the weights."""
    path = tmp_path / "m.weights.h5"
    tree = {"layers/lstm/cell": FIRST, "optimizer": SECOND, "metrics/mean": [np.zeros(1)]}
    path.write_bytes(path_weights(tree))
    assert [found.address for found in lstm_cli.load(path).layers] == ["lstm"]


@pytest.mark.parametrize(
    "tree",
    [
        {"layers/lstm/cell": FIRST},
        {"layers/lstm/cell": FIRST, "layers/lstm_1/cell": SECOND, "layers/lstm_2/cell": THIRD},
    ],
    ids=["one too few", "one too many"],
)
def test_another_number_of_layers_is_refused(tmp_path: Path, tree: dict[str, list[Array]]) -> None:
    path = write_archive(tmp_path / "m.keras", model_of(lstm("a", 4), lstm("b", 4)), tree)
    with pytest.raises(lstm_cli.ModelFileError, match=r"2 layers of class LSTM .* \(a, b\)"):
        lstm_cli.load(path)


# -- containers


def test_directory_is_an_unzipped_archive(tmp_path: Path) -> None:
    archive = write_archive(
        tmp_path / "m.keras", model_of(lstm("a", 4)), {"layers/lstm/cell": FIRST}
    )
    with zipfile.ZipFile(archive) as members:
        members.extractall(tmp_path / "folder")
    np.testing.assert_array_equal(kernels(tmp_path / "folder")["kernel"], FIRST[0])


def test_missing_keras_version(tmp_path: Path) -> None:
    path = write_archive(
        tmp_path / "m.keras", model_of(lstm("a", 4)), {"layers/lstm/cell": FIRST}, version=""
    )
    model = lstm_cli.load(path)
    assert any("no keras_version" in note for note in model.assumptions)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("config.json", "no reader knows"),
        ("model.weights.h5", "no model.weights.h5"),
    ],
)
def test_members_that_are_missing(tmp_path: Path, member: str, message: str) -> None:
    source = write_archive(
        tmp_path / "m.keras", model_of(lstm("a", 4)), {"layers/lstm/cell": FIRST}
    )
    target = tmp_path / "less.keras"
    with zipfile.ZipFile(source) as members, zipfile.ZipFile(target, "w") as archive:
        for name in members.namelist():
            if name != member:
                archive.writestr(name, members.read(name))
    with pytest.raises(lstm_cli.ModelFileError, match=message):
        lstm_cli.load(target)


# -- shards

SHARD_MAP = {
    "/layers/lstm/cell/vars": ["m_0.weights.h5", "m_1.weights.h5"],
    "/layers/lstm_1/cell/vars": "m_1.weights.h5",
}


def write_shards(folder: Path, shards: dict[str, Any]) -> Path:
    """The kernel of the first layer lies in one shard, its other arrays in another."""
    with h5py.File(folder / "m_0.weights.h5", "w") as file:
        file["layers/lstm/cell/vars/0"] = FIRST[0]
    with h5py.File(folder / "m_1.weights.h5", "w") as file:
        file["layers/lstm/cell/vars/1"], file["layers/lstm/cell/vars/2"] = FIRST[1:]
        for k, array in enumerate(SECOND):
            file[f"layers/lstm_1/cell/vars/{k}"] = array
    path = folder / "m.weights.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": shards}))
    return path


def test_arrays_of_one_layer_in_several_shards(tmp_path: Path) -> None:
    found = kernels(write_shards(tmp_path, SHARD_MAP))
    np.testing.assert_array_equal(found["lstm"], FIRST[0])
    np.testing.assert_array_equal(found["lstm_1"], SECOND[0])


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("../m_0.weights.h5", "names a file in another folder"),
        ("/etc/passwd", "names a file in another folder"),
        ("m_7.weights.h5", "shard m_7.weights.h5 is missing"),
        (3, "should be a text"),
    ],
)
def test_shards_stay_in_their_folder(tmp_path: Path, place: Any, message: str) -> None:
    path = write_shards(tmp_path, {**SHARD_MAP, "/layers/lstm/cell/vars": [place]})
    with pytest.raises(lstm_cli.ModelFileError, match=message):
        lstm_cli.load(path)
