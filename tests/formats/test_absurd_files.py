"""Files that are wrong on purpose: absurd settings and shapes give a result or one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cli_runs import environment
from golden_files import ROOT
from keras_files import (
    layer,
    lstm,
    path_weights,
    random_lstm,
    sequential,
    write_archive,
    write_hdf5,
)
from mutations import attempt

ARRAYS = random_lstm(1, 3, 4)
GROUP = dict(zip("abc", ARRAYS, strict=True))


# -- one setting at a time

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {"units": -1}),
    ("LSTM", {"units": 0}),
    ("LSTM", {"units": "4"}),
    ("LSTM", {"units": 10**9}),
    ("LSTM", {"units": 1e9}),
    ("LSTM", {"return_sequences": 3.5}),
    ("LSTM", {"time_major": True}),
    ("LSTM", {"activation": "softmax"}),
    ("LSTM", {"dtype": "float8"}),
    ("Dense", {"units": 10**30}),
    ("Dense", {"activation": ["relu"]}),
    ("Conv1D", {"kernel_size": [0]}),
    ("Conv1D", {"kernel_size": [3], "strides": [0]}),
    ("Conv1D", {"kernel_size": [3], "strides": [-1]}),
    ("Conv1D", {"kernel_size": [3], "dilation_rate": [0]}),
    ("Conv1D", {"kernel_size": [3], "dilation_rate": [10**9], "padding": "causal"}),
    ("Conv1D", {"kernel_size": [3], "groups": 0}),
    ("Conv1D", {"kernel_size": [3], "groups": -3}),
    ("Conv1D", {"kernel_size": [3], "strides": [10**30]}),
    ("MaxPooling1D", {"pool_size": 0}),
    ("MaxPooling1D", {"pool_size": 10**9}),
    ("MaxPooling1D", {"pool_size": 10**9, "padding": "same"}),
    ("MaxPooling1D", {"pool_size": 2, "strides": 0}),
    ("AveragePooling1D", {"pool_size": -2}),
    ("MaxPooling2D", {"pool_size": 2}),
    ("Concatenate", {"axis": -9}),
    ("BatchNormalization", {"axis": -9}),
    ("BatchNormalization", {"axis": 0}),
    ("LayerNormalization", {"axis": [-9]}),
    ("LayerNormalization", {"axis": []}),
    ("Softmax", {"axis": 9}),
    ("Softmax", {"axis": [10**30]}),
    ("Permute", {"dims": [0]}),
    ("Permute", {"dims": []}),
    ("Permute", {"dims": [1, 2, 3, 4]}),
    ("Reshape", {"target_shape": [-1, -1]}),
    ("Reshape", {"target_shape": [0]}),
    ("Reshape", {"target_shape": [10**30]}),
    ("Reshape", {"target_shape": 3}),
    ("Reshape", {"target_shape": []}),
    ("RepeatVector", {"n": 10**12}),
    ("RepeatVector", {"n": -1}),
    ("UpSampling1D", {"size": 0}),
    ("UpSampling1D", {"size": 10**12}),
    ("ZeroPadding1D", {"padding": 10**12}),
    ("ZeroPadding1D", {"padding": 10**30}),
    ("Cropping1D", {"cropping": [10**9, 10**9]}),
    ("Masking", {"mask_value": float("nan")}),
    ("Masking", {"mask_value": 10**400}),
    ("LeakyReLU", {"alpha": float("inf")}),
    ("ReLU", {"max_value": "6"}),
    ("Activation", {"activation": {"class_name": "LeakyReLU", "config": {"alpha": "x"}}}),
    ("Activation", {"activation": {"class_name": "LeakyReLU", "config": {"alpha": [1]}}}),
    ("Rescaling", {"scale": "x"}),
    ("Rescaling", {"scale": [1, 2, 3, 4, 5]}),
    ("Normalization", {"mean": [1, 2], "variance": [1, 2]}),
    ("Normalization", {"mean": 0, "variance": -1, "axis": -9}),
    ("Dot", {"axes": [1, 1]}),
    ("Add", {}),
    ("Attention", {}),
    ("GlobalAveragePooling1D", {"data_format": "channels_first"}),
    ("GlobalAveragePooling2D", {}),
    ("Flatten", {"data_format": None}),
    ("SpatialDropout2D", {}),
    ("TimeDistributed", {"layer": {"class_name": "Flatten", "config": {"name": "f"}}}),
    ("TimeDistributed", {"layer": {"class_name": "Reshape", "config": {"target_shape": [0]}}}),
    ("Merge", {"mode": "concat", "concat_axis": 10**30}),
    ("TFOpLambda", {"function": "math.multiply"}),
    ("TensorFlowOpLayer", {"node_def": {"op": "Mul"}, "constants": {"1": "x"}}),
    ("TensorFlowOpLayer", {"node_def": {"op": "ConcatV2"}, "constants": {"1": 10**9}}),
    ("TensorFlowOpLayer", {"node_def": {"op": "Tile"}, "constants": {"1": [10**12, 1, 1]}}),
]


KNOWN_OUTCOMES = {
    "ok",
    "InputError",
    "ModelFileError",
    "ShapeError",
    "UnsupportedFeatureError",
    "UsageError",
}


def held(class_name: str) -> list[Any]:
    """Arrays of the right number for a class, after an LSTM of 4 units."""
    ones = np.ones(4, np.float32)
    arrays: dict[str, list[Any]] = {
        "Dense": [np.ones((4, 4), "f4"), ones],
        "Conv1D": [np.ones((3, 4, 4), "f4"), ones],
        "BatchNormalization": [ones] * 4,
        "LayerNormalization": [ones] * 2,
        "LSTM": random_lstm(2, 4, 4),
    }
    return arrays.get(class_name, [])


@pytest.mark.parametrize(
    ("class_name", "config"),
    SETTINGS,
    ids=[f"{name}-{json.dumps(config)[:50]}" for name, config in SETTINGS],
)
@pytest.mark.parametrize("version", ["2.7.0", "3.15.1"])
def test_absurd_settings(
    tmp_path: Path, class_name: str, config: dict[str, Any], version: str
) -> None:
    """A layer with a setting that cannot be, after an LSTM: a result, or one sentence.

    Nothing is run whose output could not be held: those are refused for their size.
    """
    settings = {"name": "odd", **config}
    document = sequential(lstm("lstm", 4), layer(class_name, **settings), layer("Dropout", "d"))
    groups = {"lstm": GROUP, "odd": {str(k): a for k, a in enumerate(held(class_name))}}
    path = write_hdf5(tmp_path / "m.h5", document, groups, version)
    outcomes = attempt(path)
    assert set(outcomes) <= KNOWN_OUTCOMES


OPERATIONS = {
    "reshape": "shape",
    "transpose": "perm",
    "expand_dims": "axis",
    "concat": "axis",
    "split": "num_or_size_splits",
    "tile": "multiples",
    "repeat": "repeats",
    "pad": "paddings",
    "gather": "indices",
    "cast": "dtype",
    "reduce_mean": "axis",
    "math.argmax": "axis",
    "clip_by_value": "clip_value_min",
    "__operators__.getitem": "slice_spec",
    "linalg.einsum": "equation",
    "nn.leaky_relu": "alpha",
    "linalg.matmul": "transpose_b",
    "math.multiply": "y",
}
ARGUMENTS: list[Any] = [
    *(None, True, "x", "ab->ba", "float32", 2.5, -1, 0, 1, 3, 10**12, 10**30, float("nan")),
    *([], [1], [0, 1], [-9], ["a"], [None, -1], [10**12] * 3, [[0, 0], [1, 1], [0, 0]], [[[1]]]),
    *({"a": 1}, {"start": "x", "stop": None, "step": 0}, [{"start": 10**30}], ["lstm", 0, 0]),
]


@pytest.mark.parametrize("function", OPERATIONS)
def test_operations_with_odd_arguments(tmp_path: Path, function: str) -> None:
    """Each operation without its argument, and with it as anything at all."""
    first = {**layer("InputLayer", "i", batch_input_shape=[None, 5, 3]), "name": "i"}
    second = {**lstm("lstm", 4), "name": "lstm", "inbound_nodes": [[["i", 0, 0, {}]]]}
    for given in [{}, *({OPERATIONS[function]: value} for value in ARGUMENTS)]:
        operation = {
            **layer("TFOpLambda", "op", function=function),
            "name": "op",
            "inbound_nodes": [["lstm", 0, 0, given]],
        }
        config = {"layers": [first, second, operation], "input_layers": [["i", 0, 0]]}
        document = {
            "class_name": "Functional",
            "config": {"name": "m", **config, "output_layers": [["op", 0, 0]]},
        }
        groups = {"lstm": GROUP, "op": {}}
        outcomes = attempt(write_hdf5(tmp_path / "m.h5", document, groups, "2.7.0"))
        assert set(outcomes) <= KNOWN_OUTCOMES, given


# -- shapes of the whole file


def absurd_files() -> dict[str, Callable[[Path], object]]:
    """Files that are wrong as a whole, each made by a function."""
    model = sequential(lstm("lstm", 4))

    def million_names(path: Path) -> None:
        with h5py.File(path, "w", libver="latest") as file:
            file.attrs.create("layer_names", np.arange(10**6).astype("S6"))

    def million_chunks(path: Path) -> None:
        with h5py.File(path, "w", libver="latest") as file:
            for k in range(1000):
                file.attrs[f"layer_names{k}"] = [f"layer_{k}".encode()]

    def deep_groups(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_group("layers/" + "a/" * 2000 + "vars")

    def many_groups(path: Path) -> None:
        path.write_bytes(path_weights({f"layers/lstm_{k}/cell": ARRAYS[2:] for k in range(500)}))

    def huge_declared(path: Path) -> None:
        write_hdf5(path, model, {"lstm": {}})
        with h5py.File(path, "r+") as file:
            group = file["model_weights/lstm"]
            group.attrs["weight_names"] = [b"a", b"b", b"c"]
            for name in "abc":
                group.create_dataset(name, (2**40, 2**20), "f4", chunks=(1024, 1024))

    def exponential_models(path: Path) -> None:
        """Each of 30 nested models is called twice by the one around it: 2^30 calls."""
        inner = layer("Activation", "a", activation="tanh")
        for k in range(30):
            inner = layer(
                "Functional",
                f"m{k}",
                layers=[
                    {**layer("InputLayer", "i", batch_input_shape=[None, None, 3]), "name": "i"},
                    {
                        **inner,
                        "name": inner["config"]["name"],
                        "inbound_nodes": [
                            [["i", 0, 0, {}]],
                            [[inner["config"]["name"], 0, 0, {}]],
                        ],
                    },
                ],
                input_layers=[["i", 0, 0]],
                output_layers=[[inner["config"]["name"], 1, 0]],
            )
        write_hdf5(path, inner, {})

    def bidirectional_without_end(path: Path) -> None:
        """What a Bidirectional wraps is read twice: 2^45 times in the end."""
        inner = lstm("lstm", 4)
        for k in range(45):
            inner = layer("Bidirectional", f"b{k}", layer=inner)
        write_hdf5(path, sequential(inner), {"lstm": GROUP})

    def wide_shape(path: Path) -> None:
        write_hdf5(path, sequential(lstm("lstm", 4), shape=(10**9, 10**9, 3)), {"lstm": GROUP})

    def no_layers_in_archive(path: Path) -> None:
        write_archive(path, model, {})

    def directory_as_weights(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(model))
            archive.writestr("model.weights.h5/", "")
            archive.writestr("model.weights.h5", "not HDF5")

    made: list[Callable[[Path], object]] = [
        million_names,
        million_chunks,
        deep_groups,
        many_groups,
        huge_declared,
        exponential_models,
        bidirectional_without_end,
        wide_shape,
        no_layers_in_archive,
        directory_as_weights,
    ]
    return {make.__name__: make for make in made}


ABSURD = absurd_files()


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    ABSURD[name](path)
    outcomes = run_bounded(path)
    assert outcomes[0] == "ok" or outcomes == ["ModelFileError"]


def run_bounded(path: Path, seconds: float = 20) -> list[str]:
    """What comes of loading and running in a process with bounded memory and time."""
    code = (
        "import json, sys; from pathlib import Path; import mutations; mutations.bound_memory(); "
        "print(json.dumps(mutations.attempt(Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env=environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}"),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes: list[str] = json.loads(done.stdout)
    return outcomes


def test_a_damaged_heap_is_not_given_to_libhdf5(tmp_path: Path) -> None:
    """An object of size 0 in the heap of texts makes libhdf5 go round for ever."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.4.0"  # of variable length: it lies in the heap
        file.attrs["model_config"] = json.dumps(sequential(lstm("lstm", 4)))
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL\x01")
    first = int.from_bytes(content[heap + 24 : heap + 32], "little")  # size of the first object
    free = heap + 16 + 16 + (first + 7) // 8 * 8
    content[free : free + 16] = bytes(16)
    path.write_bytes(content)
    assert run_bounded(path, seconds=10) == ["ModelFileError"]
    content[heap + 8 : heap + 16] = (2**60).to_bytes(8, "little")  # the size of the whole heap
    path.write_bytes(content)
    assert run_bounded(path, seconds=10) == ["ModelFileError"]
