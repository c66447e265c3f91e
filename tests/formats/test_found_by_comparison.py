"""Files of PyTorch and ONNX beside the frameworks' own numbers, where ours once differed.

Tolerances: 1e-5 * max(1, max |reference|) in float32, as every step rounds; 1e-12 in float64.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import Cli
from numpy.typing import NDArray

import lstm_cli

FOLDER = Path(__file__).parents[1] / "golden" / "comparison"
STATES = ("output", "h_n", "c_n")


def numbers(name: str) -> dict[str, NDArray[Any]]:
    with np.load(FOLDER / name) as arrays:
        return dict(arrays)


def close(found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> None:
    """The same names, shapes and, to float32's tolerance, values."""
    assert set(found) - {"meta"} == set(expected)
    for name, array in expected.items():
        scale = max(1.0, float(np.abs(array).max()))
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-5 * scale)


def test_two_biases_are_added_in_double_precision() -> None:
    """A float32 file run in float64 is what torch's ``.double()`` makes of it.

    Their sum rounded to float32 moves the results by 4e-9.
    """
    reference = numbers("projected.npz")
    found = lstm_cli.run(
        lstm_cli.load(FOLDER / "projected.pt"), reference["x"], dtype="float64", named=True
    )
    for name in STATES:
        expected = reference[f"float64.{name}"]
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-12)


def test_weights_are_exported_in_the_dtype_of_the_file() -> None:
    arrays = lstm_cli.weights(lstm_cli.load(FOLDER / "projected.pt"))
    assert len(arrays) == 16
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pytorch_in_pieces_of_the_batch(lstm: Cli, tmp_path: Path, size: int) -> None:
    """h_n and c_n have their sequences on axis 1: that is where pieces are joined."""
    reference = numbers("projected.npz")
    np.save(tmp_path / "x.npy", reference["x"])
    arguments = ("run", FOLDER / "projected.pt", "x.npy", "--batch-size", size, "-o", "y.npz")
    assert lstm(*arguments).code == 0
    with np.load(tmp_path / "y.npz") as found:
        close(found, {name: reference[f"float32.{name}"] for name in STATES})


@pytest.mark.parametrize("size", [1, 2])
def test_a_level_of_a_stack_in_pieces_of_the_batch(lstm: Cli, tmp_path: Path, size: int) -> None:
    np.save(tmp_path / "x.npy", numbers("projected.npz")["x"])
    arguments = ("run", FOLDER / "projected.pt", "x.npy", "--layer", "lstm/l0")
    assert lstm(*arguments, "-o", "whole.npz").code == 0
    assert lstm(*arguments, "--batch-size", size, "-o", "pieces.npz").code == 0
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "pieces.npz") as pieces:
        assert whole["h_n"].shape == (2, 3, 3)
        close(pieces, {name: whole[name] for name in STATES})


@pytest.mark.parametrize("size", [1, 2])
def test_onnx_in_pieces_of_the_batch(lstm: Cli, tmp_path: Path, size: int) -> None:
    """The graph's input has its sequences on axis 0, its second output on axis 1."""
    reference = numbers("batch_first.npz")
    np.save(tmp_path / "x.npy", reference["x"])
    model = FOLDER / "batch_first.onnx"
    whole = ("run", model, "x.npy", "--batch-size", size)
    assert lstm(*whole, "-o", "y.npz").code == 0
    with np.load(tmp_path / "y.npz") as found:
        close(found, {"output_0": reference["y"], "output_1": reference["h"]})
    for direct in ((), ("--direct",)):
        assert lstm(*whole, "--layer", "LSTM", *direct, "-o", "node.npz").code == 0
        with np.load(tmp_path / "node.npz") as found:
            assert found["Y"].shape == (7, 2, 3, 4)
            np.testing.assert_allclose(found["Y_h"], reference["h"], rtol=0, atol=1e-5)
            both = found["Y"].transpose(2, 0, 1, 3).reshape(3, 7, 8)
            np.testing.assert_allclose(both, reference["y"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_lengths_of_a_graph_are_exported(lstm: Cli, tmp_path: Path, size: int) -> None:
    reference = numbers("lengths.npz")
    np.savez(tmp_path / "x.npz", X=reference["X"], lens=reference["lens"])
    arguments = ("export", FOLDER / "lengths.onnx", "x.npz", "--batch-size", size)
    assert lstm(*arguments, "-o", "trace.npz").code == 0
    with np.load(tmp_path / "trace.npz") as found:
        np.testing.assert_array_equal(found["lengths"], [6, 2, 0])
        for k, way in enumerate(("forward", "backward")):
            expected = reference["Y"][:, k].transpose(1, 0, 2)
            np.testing.assert_allclose(found[f"{way}/h"], expected, rtol=0, atol=1e-5)
            assert np.isnan(found[f"{way}/i"][1, 2:]).all()


def test_the_expected_shape_has_its_axes_in_the_graphs_order() -> None:
    model = lstm_cli.load(FOLDER / "lengths.onnx")
    x = {"X": np.zeros((6, 3, 5), np.float32), "lens": np.full(3, 6, np.int32)}
    with pytest.raises(lstm_cli.LstmCliError, match=r"\(T, 3\) or \(T, B, 3\)"):
        lstm_cli.run(model, x)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_with_weights_says_which_file_to_open(
    lstm: Cli, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "crnn"}')
    (folder / name).write_bytes((FOLDER / "projected.pt").read_bytes())
    assert f"open {name} in it" in lstm("inspect", folder).refusal()


def test_an_index_of_pickles_is_not_taken_for_one_of_keras(lstm: Cli, tmp_path: Path) -> None:
    places = {"lstm.weight_ih_l0": "pytorch_model-00001-of-00002.bin"}
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert "open the .bin files that it names" in lstm("inspect", index).refusal()
