"""What a layer says about an input that it cannot take: its name, what it wants, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import lstm_model, node, port, saved, tensor, weights

import lstm_cli
from lstm_cli.errors import InputError, ShapeError


def refusal(folder: Path, *nodes: bytes, x: tuple[int, ...]) -> InputError:
    """Why nodes in front of an LSTM, which reads (T, B, 3), do not take ones of a shape."""
    tensors = [*weights(), tensor("axis", np.array([2])), tensor("one", np.array([1]))]
    inputs = [port("x", 1, [None] * len(x))]
    found = lstm_cli.load(saved(folder, lstm_model(*nodes, inputs=inputs, tensors=tensors)))
    with pytest.raises(InputError) as error:
        lstm_cli.run(found, np.ones(x, np.float32))
    return error.value


def test_the_reason_stands_behind_the_shape(tmp_path: Path) -> None:
    error = refusal(tmp_path, node("Squeeze", ["x", "axis"], ["X"], "squeeze"), x=(5, 2, 4, 3))
    assert isinstance(error, ShapeError)
    assert str(error).startswith(
        "layer 'squeeze' (Squeeze): input: expected shape that fits squeeze, found (5, 2, 4, 3); "
    )
    assert "size not equal to one" in error.advice


def test_the_shape_that_an_lstm_reads(tmp_path: Path) -> None:
    error = refusal(tmp_path, node("Identity", ["x"], ["X"], "same"), x=(5, 2, 4))
    assert str(error) == ("layer 'lstm' (LSTM): input: expected shape (B, T, 3), found (5, 2, 4)")
