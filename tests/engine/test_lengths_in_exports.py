"""Sequences of unequal length through what PyTorch's exporters put around an LSTM.

The files are of both exporters; the numbers are of PyTorch itself on packed sequences, and the same
as onnxruntime's where its LSTM nodes get ``sequence_lens`` (``tests/golden/make_lengths.py``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx_files import X, graph, lstm_model, model, node, port, saved, tensor, weights

import lstm_cli
from lstm_cli import Model, Session, UnsupportedFeatureError
from lstm_cli.model import Foreign

GOLDEN = Path(__file__).parents[1] / "golden" / "lengths"
CASES = ("one_way", "stacked", "residual", "fixed")
EXPORTERS = ("script", "dynamo")
TOLERANCE = 1e-6
"""Sums of a dozen float32 products of order 1, in another order."""

Numbers = dict[str, NDArray[Any]]


def opened(case: str, exporter: str) -> tuple[Model, Numbers]:
    with np.load(GOLDEN / f"{case}.npz") as file:
        return lstm_cli.load(GOLDEN / f"{case}_{exporter}.onnx"), dict(file)


def assert_close(found: NDArray[Any], expected: NDArray[Any]) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("case", CASES)
def test_results_are_those_of_packed_sequences(case: str, exporter: str) -> None:
    found, numbers = opened(case, exporter)
    session = Session(found)
    outputs = session.run(numbers["x"], lengths=numbers["lengths"])
    expected = [array for name, array in numbers.items() if name.startswith("y")]
    assert len(expected) == len(outputs)
    for array, (name, ours) in zip(expected, outputs.items(), strict=True):
        assert ours.shape == array.shape, name
        assert_close(ours, array)
    per_step = {"output_0", "output_1"} if case == "residual" else {"output_0"}
    assert session.ended == per_step


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_where_results_have_their_sequences_and_steps(exporter: str) -> None:
    found, numbers = opened("residual", exporter)
    session = Session(found)
    session.run(numbers["x"], lengths=numbers["lengths"])
    assert session.axes == {"output_0": (1, 0), "output_1": (0, 1)}


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_trace_ends_where_each_sequence_does(exporter: str) -> None:
    """h of the last level is what the model returns; gates stand for real steps alone."""
    found, numbers = opened("stacked", exporter)
    last = found.lstm_layers[-1].address
    trace = lstm_cli.trace(found, numbers["x"], layer=last, lengths=numbers["lengths"])
    assert isinstance(trace, lstm_cli.Traces)
    h = np.concatenate([trace["forward"].h, trace["backward"].h], axis=-1)
    assert_close(h, numbers["y0"])
    beyond = np.arange(h.shape[1]) >= numbers["lengths"][:, None]
    np.testing.assert_array_equal(np.isnan(trace["backward"].f[..., 0]), beyond)
    for way, row in (("forward", 2), ("backward", 3)):
        assert_close(trace[way].final_h, numbers["y1"][row])
        assert_close(trace[way].final_c, numbers["y2"][row])


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("case", CASES)
def test_no_library_is_needed(case: str, exporter: str) -> None:
    found, _ = opened(case, exporter)
    assert not [layer for layer in found.layers if isinstance(layer.operation, Foreign)]


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_blocks_of_steps_go_through_the_transpositions(exporter: str) -> None:
    found, numbers = opened("one_way", exporter)
    x = numbers["x"][:1]  # the one that is as long as the array
    blocks = [x[:, :1], x[:, 1:4], x[:, 4:]]
    traces = list(lstm_cli.trace_blocks(found, blocks))
    assert_close(np.concatenate([trace.arrays["h"] for trace in traces], axis=1), numbers["y0"][:1])


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_two_chunks_are_one_sequence(exporter: str) -> None:
    found, numbers = opened("one_way", exporter)
    session = Session(found, stateful=True)
    x = numbers["x"][:1]
    parts = [session.run(part)["output_0"] for part in (x[:, :2], x[:, 2:])]
    assert_close(np.concatenate(parts, axis=1), numbers["y0"][:1])


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_backward_cells_need_the_whole_sequence(exporter: str) -> None:
    found, numbers = opened("stacked", exporter)
    with pytest.raises(UnsupportedFeatureError, match=r"\(LSTM\) reads backwards"):
        list(lstm_cli.trace_blocks(found, [numbers["x"]]))


# -- what cannot be right stays refused


def refused(content: bytes, folder: Path, x: NDArray[Any], message: str) -> None:
    found = lstm_cli.load(saved(folder, content))
    lengths = np.array([x.shape[1 - (found.inputs[0].batch_axis or 0)], 2, 1])
    with pytest.raises(UnsupportedFeatureError, match=message):
        Session(found).run(x, lengths=lengths)


CUBE = np.random.default_rng(5).normal(size=(3, 3, 3)).astype(np.float32)
"""All axes of one length: shapes alone tell nothing."""


def test_features_that_are_read_as_steps(tmp_path: Path) -> None:
    content = lstm_model(
        node("Transpose", ["x"], ["X"], perm=[2, 0, 1]),
        inputs=[port("x", 1, ["B", "T", 3])],
    )
    refused(content, tmp_path, CUBE, r"'lstm' \(LSTM\) reads other steps than those of the seq")


def test_a_sum_of_sequences_and_steps(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], ["turned"], "turn", perm=[1, 0, 2]),
        node("Add", ["x", "turned"], ["X"], "sum"),
    ]
    content = lstm_model(*nodes, inputs=[port("x", 1, ["T", "B", 3])])
    refused(content, tmp_path, CUBE, r"'sum' \(Add\) mixes steps")


def test_a_reshape_that_puts_numbers_of_several_steps_into_one(tmp_path: Path) -> None:
    nodes = [
        node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm", hidden_size=2),
        node("Reshape", ["Y", "sizes"], ["y"], "cut"),
    ]
    tensors = [*weights(), tensor("sizes", np.array([3, 2, 3]))]
    content = model(graph(nodes, [X], ["y"], tensors))
    refused(content, tmp_path, CUBE, r"'cut' \(Reshape\) mixes steps")


def test_a_reshape_that_drops_the_axis_of_the_directions(tmp_path: Path) -> None:
    """(T, 1, B, U) to (T, B, U), by numbers that fit this input alone, then to (B, T, U)."""
    nodes = [
        node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm", hidden_size=2),
        node("Reshape", ["Y", "sizes"], ["cut"]),
        node("Transpose", ["cut"], ["y"], perm=[1, 0, 2]),
    ]
    tensors = [*weights(), tensor("sizes", np.array([3, -1, 2]))]
    found = lstm_cli.load(saved(tmp_path, model(graph(nodes, [X], ["y"], tensors))))
    session = Session(found)
    lengths = np.array([3, 2, 1])
    y = session.run(CUBE, lengths=lengths)["output"]
    layer = lstm_cli.run(found, CUBE, layer="lstm", lengths=lengths, named=True)
    np.testing.assert_array_equal(y, layer["Y"][:, 0].swapaxes(0, 1))
    assert session.axes == {"output": (0, 1)}


def test_the_last_step_of_all(tmp_path: Path) -> None:
    nodes = [
        node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm", hidden_size=2),
        node("Gather", ["Y", "last"], ["y"], "last step", axis=0),
    ]
    content = model(graph(nodes, [X], ["y"], [*weights(), tensor("last", np.array(-1))]))
    refused(content, tmp_path, CUBE, r"'last step' \(Gather\) mixes steps")
