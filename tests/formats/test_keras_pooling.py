"""Average pooling with padding 'same', which Keras 3 computes otherwise on PyTorch.

Files of both backends and of Keras before and after 3.5 are among the golden ones; here is which
rule a file gets by what it holds. Expected numbers are means written out by hand.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import (
    layer,
    lstm,
    path_weights,
    random_lstm,
    sequential,
    write_archive,
    write_hdf5,
)

import lstm_cli

ARRAYS = random_lstm(1, 1, 2)
X = np.array([3.0, 5.0, 7.0, 11.0, 13.0], np.float32).reshape(1, 5, 1)
SIZES = {"pool_size": 4, "strides": 2}
"""Windows of 4, 2 apart, need 3 steps more than 5: 1 before and 2 behind."""

LEFT_OUT = [(3 + 5 + 7) / 3, (5 + 7 + 11 + 13) / 4, (11 + 13) / 2]
EDGES = [(3 + 3 + 5 + 7) / 4, (5 + 7 + 11 + 13) / 4, (11 + 13 + 13 + 13) / 4]
ZERO = [(3 + 5 + 7) / 3, (5 + 7 + 11 + 13) / 4, (11 + 13 + 0) / 3]


def document(**settings: Any) -> Any:
    pool = layer("AveragePooling1D", "pool", padding="same", **{**SIZES, **settings})
    return sequential(pool, lstm("lstm", 2), shape=(None, None, 1))


def archive(folder: Path, integers: str = "", **settings: Any) -> lstm_cli.Model:
    """A ``.keras`` whose optimizer has counted its steps in a type, if one is given."""
    path = write_archive(folder / "m.keras", document(**settings), {"layers/lstm/cell": ARRAYS})
    if not integers:
        return lstm_cli.load(path)
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    weights = BytesIO(path_weights({"layers/lstm/cell": ARRAYS}))
    with h5py.File(weights, "r+") as file:
        file["optimizer/vars/0"] = np.dtype(integers).type(12)
    members["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return lstm_cli.load(path)


def pooled(model: lstm_cli.Model, x: Any = X) -> list[float]:
    return list(lstm_cli.run(model, x, layer="pool").reshape(-1).astype(float))


def notes(model: lstm_cli.Model) -> list[str]:
    return [note for note in model.assumptions if "PyTorch" in note]


def test_whole_numbers_of_eight_bytes_are_tensorflow(tmp_path: Path) -> None:
    model = archive(tmp_path, "int64")
    np.testing.assert_allclose(pooled(model), LEFT_OUT, rtol=1e-6)
    assert not notes(model)


def test_without_a_trace_the_assumption_is_named(tmp_path: Path) -> None:
    model = archive(tmp_path)
    np.testing.assert_allclose(pooled(model), LEFT_OUT, rtol=1e-6)
    (note,) = notes(model)
    assert note.startswith("pool: computed as")


def test_another_backend_is_refused_only_where_it_matters(tmp_path: Path) -> None:
    """Six steps, windows of 4 and 2 apart: one step more on each side, and no backend differs."""
    model = archive(tmp_path, "int32")
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match=r"'pool'.*of 5 steps.*uneven") as e:
        pooled(model)
    assert "\n" not in str(e.value)
    even = np.arange(6, dtype=np.float32).reshape(1, 6, 1)
    np.testing.assert_allclose(pooled(model, even), [1, 2.5, 4], rtol=1e-6)
    assert lstm_cli.inspect(model)["outputs"][0]["shape"][2] == 2


@pytest.mark.parametrize(
    ("settings", "integers"),
    [
        ({"pool_size": 2, "strides": 2}, "int32"),
        ({"pool_size": 3, "strides": 1}, "int32"),
        ({"pool_size": 2, "strides": 1}, ""),
        ({"pool_size": 3, "strides": 1}, ""),
    ],
)
def test_windows_that_no_backend_sees_otherwise(
    tmp_path: Path, settings: dict[str, int], integers: str
) -> None:
    """An edge twice in a window of two has its own mean; odd windows one apart pad evenly."""
    model = archive(tmp_path, integers, **settings)
    found, x = pooled(model), X.reshape(-1)
    size, stride = settings["pool_size"], settings["strides"]
    before = (size - 1) // 2 if stride == 1 else 0
    windows = [x[max(0, k - before) : k - before + size] for k in range(0, 5, stride)]
    np.testing.assert_allclose(found, [window.mean() for window in windows], rtol=1e-6)
    assert not notes(model)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("3.15.1", EDGES), ("3.5.0", EDGES), ("3.4.1", ZERO), ("3.0.0", ZERO)],
)
def test_hdf5_names_its_backend(tmp_path: Path, version: str, expected: list[float]) -> None:
    groups = {"pool": {}, "lstm": dict(zip("abc", ARRAYS, strict=True))}
    path = write_hdf5(tmp_path / "m.h5", document(), groups, version, backend="torch")
    np.testing.assert_allclose(pooled(lstm_cli.load(path)), expected, rtol=1e-6)
    write_hdf5(path, document(), groups, version, backend="jax")
    np.testing.assert_allclose(pooled(lstm_cli.load(path)), LEFT_OUT, rtol=1e-6)


def test_two_axes_on_old_pytorch_are_refused(tmp_path: Path) -> None:
    """Before Keras 3.5 they came out in another shape."""
    pool = layer("AveragePooling2D", "pool", padding="same", pool_size=[2, 2], strides=[2, 2])
    wrapped = layer("TimeDistributed", "lstms", layer=lstm("lstm", 2))
    model = sequential(pool, wrapped, shape=(None, 5, 6, 1))
    groups = {"pool": {}, "lstms": dict(zip("abc", ARRAYS, strict=True))}
    x = np.arange(30, dtype=np.float32).reshape(1, 5, 6, 1)
    path = write_hdf5(tmp_path / "m.h5", model, groups, "3.4.1", backend="torch")
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match=r"'pool'.*2D pooling"):
        lstm_cli.run(lstm_cli.load(path), x, layer="pool")
    write_hdf5(path, model, groups, "3.15.1", backend="torch")
    found = lstm_cli.run(lstm_cli.load(path), x, layer="pool")
    np.testing.assert_allclose(found[0, :, :, 0], np.array(BY_TWO), rtol=1e-6)


BY_TWO = [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5], [24.5, 26.5, 28.5]]
"""Means of two by two of the numbers 0 to 29 in rows of six; the last row stands alone."""
