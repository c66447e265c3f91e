"""Damaged files give a result or one sentence: no crash, no hang, no more memory than they may."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import COMMITTED, ROOT, golden_files
from keras_files import (
    configs,
    edited,
    layer,
    lstm,
    path_weights,
    random_lstm,
    sequential,
    write_archive,
    write_hdf5,
)
from mutations import MEMORY, attempt, mutate

FILES = [
    golden.path
    for golden in golden_files(COMMITTED)
    if golden.path.is_file() and golden.path.stat().st_size < 60_000 and golden.path.suffix != ".xz"
]
ARRAYS = random_lstm(1, 3, 4)
GROUP = dict(zip("abc", ARRAYS, strict=True))
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    "OPENBLAS_NUM_THREADS": "1",  # a thread's stack counts as address space
}


def in_a_process(folder: Path, first: int, count: int, files: list[Path]) -> dict[str, Any]:
    """The outcomes of many mutations, tried in a process with bounded memory."""
    script = str(ROOT / "tests" / "mutations.py")
    done = subprocess.run(
        [sys.executable, script, str(folder), str(first), str(count), *map(str, files)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    last = (folder / "last").read_text() if (folder / "last").exists() else "nothing"
    assert done.returncode == 0, f"died at {last}: {done.stderr[-2000:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("batch", range(2))
def test_mutated_golden_files(tmp_path: Path, batch: int) -> None:
    """400 files, always the same: bytes flipped, cut, members, groups, keys and values changed."""
    found = in_a_process(tmp_path, 1000 * batch, 200, FILES)
    assert not found["wrong"], "\n".join(found["wrong"])
    outcomes = found["outcomes"]
    assert outcomes["ok"] > 300  # mutations that reach the engine
    assert outcomes["ModelFileError"] > 30  # and those that the readers refuse


def test_the_mutations_do_damage() -> None:
    """Nearly every mutated file differs from its source, and repeats exactly by its seed."""
    content = (COMMITTED / "keras3" / "k3.6.0_tensorflow_seq_names.keras").read_bytes()
    flipped = [mutate(content, random.Random(seed)) for seed in (3, 4, 5)]
    assert all(other != content for other in flipped)
    document = json.dumps(sequential(lstm("lstm", 4))).encode()
    again = [mutate(document, random.Random(9)) for _ in range(2)]
    assert again[0] == again[1] != document


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
    assert set(outcomes) <= {
        "ok",
        "ModelFileError",
        "UnsupportedFeatureError",
        "InputError",
        "ShapeError",
        "UsageError",
    }


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
        "import json, resource, sys; from pathlib import Path; import mutations; "
        f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY})); "
        "print(json.dumps(mutations.attempt(Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes: list[str] = json.loads(done.stdout)
    return outcomes


# -- the command line


def damaged(folder: Path) -> list[Path]:
    """A handful of damaged files of every container."""
    found = []
    for k, name in enumerate(
        ("keras1/k1.2.2_theano_seq_stateful.h5", "keras3/k3.6.0_tensorflow_seq_names.keras")
    ):
        content = (COMMITTED / name).read_bytes()
        for seed in (0, 1):
            path = folder / f"{k}_{seed}"
            path.write_bytes(mutate(content, random.Random(seed)))
            found.append(path)

    def rename(document: Any) -> None:
        configs(document)[0]["name"] = "\x1b[31m\ud800\n"

    found.append(edited(COMMITTED / "tfkeras2/tf2.13.1_seq_names.keras", folder, rename))
    return found


def test_the_command_line_shows_no_traceback(tmp_path: Path) -> None:
    """Exit code 0 or 2, one sentence on standard error, and no control characters."""
    for path in damaged(tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "lstm_cli", "inspect", str(path)],
            env={**ENVIRONMENT, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            timeout=30,
            check=False,
        )
        shown = done.stderr.decode() + done.stdout.decode()
        assert done.returncode in (0, 2), shown
        assert "Traceback" not in shown
        assert "error in lstm itself" not in shown
        assert "\x1b" not in shown
        if done.returncode == 2:
            assert done.stderr.decode().count("\n") == 1


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
