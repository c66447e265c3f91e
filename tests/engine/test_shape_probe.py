"""Inputs of open and of fixed length in one model: what needs to know shapes before a run.

Sequences of unequal length, and sequences in several chunks, ask which axes of every call are
steps. That is found by a run without sequences, where an open axis gets a length of its own: it has
to fit the fixed length of another input that it is merged with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import Array
from keras_files import layer, lstm, random_lstm, sequential, write_hdf5

import lstm_cli
from lstm_cli.engine.shapes import empty_input
from lstm_cli.model import Input

STEPS = 6
TOLERANCE = 2e-6
"""float32 sums over batches of another size: a few roundings of numbers of order 1."""


def node(entry: dict[str, Any], *sources: str) -> dict[str, Any]:
    """A layer of a functional model, called once on the outputs of others."""
    inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {**entry, "name": entry["config"]["name"], "inbound_nodes": inbound}


def model(folder: Path, merge: str, **settings: Any) -> lstm_cli.Model:
    """Inputs (T, 3) and (6, 3), merged, then an LSTM of 4 units and a TimeDistributed Dense."""
    width = 6 if settings.get("axis") == -1 else 3
    dense = layer("Dense", "dense", units=2, activation="linear", use_bias=False)
    layers = [
        node(layer("InputLayer", "open", batch_input_shape=[None, None, 3])),
        node(layer("InputLayer", "fixed", batch_input_shape=[None, STEPS, 3])),
        node(layer(merge, "merged", **settings), "open", "fixed"),
        node(lstm("lstm", 4), "merged"),
        node(layer("TimeDistributed", "out", layer=dense), "lstm"),
    ]
    config = {
        "name": "m",
        "layers": layers,
        "input_layers": [["open", 0, 0], ["fixed", 0, 0]],
        "output_layers": [["out", 0, 0]],
    }
    groups = {
        "lstm": dict(zip("abc", random_lstm(1, width, 4), strict=True)),
        "out": {"k": np.random.default_rng(2).normal(size=(4, 2)).astype(np.float32)},
    }
    document = {"class_name": "Functional", "config": config}
    return lstm_cli.load(write_hdf5(folder / "m.h5", document, groups))


def inputs(sequences: int = 3) -> dict[str, Array]:
    numbers = np.random.default_rng(7)
    shape = (sequences, STEPS, 3)
    return {name: numbers.normal(size=shape).astype(np.float32) for name in ("open", "fixed")}


MERGES = [("Concatenate", {"axis": -1}), ("Add", {}), ("Multiply", {})]


@pytest.mark.parametrize(("merge", "settings"), MERGES)
def test_unequal_lengths(tmp_path: Path, merge: str, settings: dict[str, Any]) -> None:
    """Each sequence's result is that of the sequence alone, cut to its length."""
    found, x = model(tmp_path, merge, **settings), inputs()
    lengths = np.array([6, 2, 4])
    together = lstm_cli.run(found, x, lengths=lengths)
    assert together.shape == (3, STEPS, 2)
    for row, length in enumerate(lengths):
        alone = lstm_cli.run(found, {k: v[row : row + 1, :length] for k, v in x.items()})
        np.testing.assert_allclose(together[row, :length], alone[0], rtol=0, atol=TOLERANCE)
        np.testing.assert_array_equal(together[row, length:], 0)


@pytest.mark.parametrize(("merge", "settings"), MERGES)
def test_consecutive_chunks(tmp_path: Path, merge: str, settings: dict[str, Any]) -> None:
    """Two halves, the second from the state of the first, give the whole."""
    found, x = model(tmp_path, merge, **settings), inputs()
    whole = lstm_cli.run(found, x)
    session = lstm_cli.Session(found, stateful=True)
    halves = [
        session.run({k: v[:, cut] for k, v in x.items()})["output"]
        for cut in (slice(0, 3), slice(3, STEPS))
    ]
    np.testing.assert_allclose(np.concatenate(halves, axis=1), whole, rtol=0, atol=TOLERANCE)


def test_blocks(tmp_path: Path) -> None:
    """A run in blocks gives what a whole run gives."""
    found, x = model(tmp_path, "Concatenate", axis=-1), inputs()
    blocks = [{k: v[:, start : start + 2] for k, v in x.items()} for start in (0, 2, 4)]
    pieces = [piece.h for piece in lstm_cli.trace_blocks(found, blocks)]
    whole = lstm_cli.trace(found, x).h
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=0, atol=TOLERANCE)


def test_what_mixes_steps_is_still_refused(tmp_path: Path) -> None:
    """Concatenated along the steps, what fills up one input would come before the other's steps."""
    found, x = model(tmp_path, "Concatenate", axis=1), inputs()
    assert lstm_cli.run(found, x).shape == (3, 2 * STEPS, 2)
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match=r"'merged'.*mixes steps"):
        lstm_cli.run(found, x, lengths=np.array([6, 2, 4]))


def test_fixed_lengths_that_never_fit_are_an_input_error(tmp_path: Path) -> None:
    """Where no length of the open input fits, the sentence names layer and shapes."""
    found, x = model(tmp_path, "Add"), inputs()
    x["open"] = x["open"][:, :4]
    with pytest.raises(lstm_cli.ShapeError, match=r"'merged' \(Add\)"):
        lstm_cli.run(found, x)


# -- what ``inspect`` says


def output_shape(model: lstm_cli.Model) -> list[int | None]:
    shape: list[int | None] = lstm_cli.inspect(model)["outputs"][0]["shape"]
    return shape


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pool_size": 2, "strides": 2}, [None, None, 3]),
        ({"pool_size": 1, "strides": 100}, [None, None, 3]),
    ],
)
def test_an_open_axis_stays_open_behind_windows(
    tmp_path: Path, config: dict[str, int], expected: list[int | None]
) -> None:
    """Half of any length is any length."""
    pool = layer("MaxPooling1D", "pool", **config)
    document = sequential(pool, lstm("lstm", 3))
    groups = {"pool": {}, "lstm": dict(zip("abc", random_lstm(1, 3, 3), strict=True))}
    found = lstm_cli.load(write_hdf5(tmp_path / "m.h5", document, groups))
    assert output_shape(found) == expected


def test_an_input_of_fixed_length_decides_for_an_open_one(tmp_path: Path) -> None:
    assert output_shape(model(tmp_path, "Add")) == [None, STEPS, 2]
    assert output_shape(model(tmp_path, "Concatenate", axis=1)) == [None, None, 2]


def test_an_input_of_open_axes_alone_is_not_made_to_find_shapes() -> None:
    """Without an axis of sequences, three open axes of a thousand are gigabytes."""
    entry = Input("x", (None, None, None), "float32", 0, None)
    with pytest.raises(lstm_cli.InputError, match="'x': its shape"):
        empty_input(entry)
    assert empty_input(Input("x", (None, None, None), "float32", 0)).shape == (0, 977, 977)
    with pytest.raises(lstm_cli.InputError, match="'x': its shape"):
        empty_input(Input("x", (None, 10**18, 10**18), "float32", 0))
