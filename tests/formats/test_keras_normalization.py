"""Normalization in files of TensorFlow before 2.13, which do not say whether it is inverted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import FLOAT32
from keras_files import Groups, layer, lstm, random_lstm, sequential, write_hdf5

import lstm_cli

NOTE = "read as not inverted; TensorFlow before 2.13 does not save `invert`"
X = np.random.default_rng(3).normal(size=(2, 4, 3)).astype(np.float32)
MEAN, VARIANCE = np.array([1, 2, 3], np.float32), np.array([4, 0.25, 1], np.float32)
GROUPS: Groups = {
    "norm": {"mean": MEAN, "variance": VARIANCE, "count": np.array(7)},
    "lstm": dict(zip("abc", random_lstm(1, 3, 4), strict=True)),
}


def load(folder: Path, version: str, **config: Any) -> lstm_cli.Model:
    norm = layer("Normalization", "norm", axis=[-1], **config)
    document = sequential(norm, lstm("lstm", 4))
    return lstm_cli.load(write_hdf5(folder / "m.h5", document, GROUPS, version))


def notes(model: lstm_cli.Model) -> list[str]:
    return [note for note in model.assumptions if "invert" in note]


@pytest.mark.parametrize("version", ["2.4.0", "2.11.0", "2.12.0"])
def test_what_is_not_saved_is_named(tmp_path: Path, version: str) -> None:
    model = load(tmp_path, version)
    assert notes(model) == [f"norm: {NOTE}"]
    expected = (X - MEAN) / np.sqrt(VARIANCE)
    found = lstm_cli.run(model, X, layer="norm")
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32 * np.abs(expected).max())


@pytest.mark.parametrize("version", ["2.13.0", "2.15.1", "3.15.1"])
@pytest.mark.parametrize("invert", [False, True])
def test_what_is_saved_is_used(tmp_path: Path, version: str, invert: bool) -> None:
    model = load(tmp_path, version, invert=invert)
    assert not notes(model)
    scale = np.sqrt(VARIANCE)
    expected = X * scale + MEAN if invert else (X - MEAN) / scale
    found = lstm_cli.run(model, X, layer="norm")
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32 * np.abs(expected).max())


def test_files_without_such_a_layer_have_no_note(tmp_path: Path) -> None:
    groups = {"lstm": GROUPS["lstm"]}
    path = write_hdf5(tmp_path / "m.h5", sequential(lstm("lstm", 4)), groups, "2.12.0")
    assert not notes(lstm_cli.load(path))
