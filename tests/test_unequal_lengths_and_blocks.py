"""Sequences of unequal length, and runs in blocks, over every committed golden model.

Each must give what a plain run of one sequence gives, or be refused: there is no third way.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden_files import COMMITTED, Array, Golden, golden_files, scaled_error

import lstm_cli
from lstm_cli import Model, Session, UnsupportedFeatureError

TOLERANCE = 2e-6
"""float32 sums over batches of another size: a few roundings of numbers of order 1."""


def whole_models() -> list[Golden]:
    """The models with inputs that have steps."""
    return [
        golden
        for golden in golden_files(COMMITTED)
        if not golden.holds_weights_alone
        and golden.inputs
        and all(x.ndim > 1 for x in golden.inputs)
        and golden.inputs[0].shape[1] > 1
    ]


MODELS = whole_models()
IDS = [golden.id for golden in MODELS]


def test_there_are_models() -> None:
    assert len(MODELS) > 40


def opened(golden: Golden, folder: Path) -> tuple[Model, list[Array]]:
    try:
        model = lstm_cli.load(golden.opened(folder))
    except lstm_cli.ModelFileError as error:
        pytest.skip(f"refused by its reader: {error}")
    if not model.has_graph or not model.lstm_layers:
        pytest.skip("nothing to run")
    return model, golden.inputs


def cut(x: Array, axis: int, start: int, stop: int) -> Array:
    """Steps ``start`` to ``stop`` along an axis; all there are where there are fewer."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


@pytest.mark.parametrize("golden", MODELS, ids=IDS)
def test_each_of_unequal_sequences_is_as_if_alone(golden: Golden, tmp_path: Path) -> None:
    model, inputs = opened(golden, tmp_path)
    batch_axis = model.inputs[0].batch_axis or 0
    sequences, steps = inputs[0].shape[batch_axis], inputs[0].shape[1 - batch_axis]
    lengths = np.array([steps, *(max(1, steps - 1 - k) for k in range(sequences - 1))])
    for traced in (False, True):
        session = Session(model)
        compute = (lambda s, x, **o: s.trace(x, **o).arrays) if traced else Session.run
        try:
            together = compute(session, inputs, lengths=lengths)
        except UnsupportedFeatureError:
            continue
        axis = 0 if traced else session.output_batch_axis
        for row, length in enumerate(lengths):
            short = [
                cut(cut(x, batch_axis, row, row + 1), 1 - batch_axis, 0, length) for x in inputs
            ]
            for name, expected in compute(Session(model), short).items():
                along = axis if expected.ndim > 2 else 0
                found = cut(together[name], along, row, row + 1)
                if found.shape != expected.shape:
                    beyond = cut(found, 1 - along, int(length), steps)
                    found = cut(found, 1 - along, 0, int(length))
                    _assert_nothing_beyond(name, beyond)
                if expected.dtype.kind == "f":
                    assert scaled_error(found, expected) < TOLERANCE, name
                else:
                    np.testing.assert_array_equal(found, expected)


def _assert_nothing_beyond(name: str, beyond: Array) -> None:
    """Beyond an end there are zeros, and no gates."""
    tensor = name.rpartition("/")[2]
    if tensor in ("i", "f", "g", "o"):
        assert np.isnan(beyond).all(), name
    elif tensor not in ("x", "mask"):
        assert (beyond == 0).all(), name


@pytest.mark.parametrize("golden", MODELS, ids=IDS)
def test_blocks_put_together_are_the_whole(golden: Golden, tmp_path: Path) -> None:
    model, inputs = opened(golden, tmp_path)
    axis = 1 - (model.inputs[0].batch_axis or 0)
    if any(x.ndim < 3 for x in inputs) and len(inputs) > 1:
        pytest.skip("an input without steps cannot be cut")
    steps = inputs[0].shape[axis]
    cuts = [(0, 1), (1, steps - 1), (steps - 1, steps)]
    blocks = [[cut(x, axis, *span) for x in inputs] for span in cuts if span[0] < span[1]]
    try:
        pieces = [trace.arrays for trace in lstm_cli.trace_blocks(model, blocks)]
    except UnsupportedFeatureError:
        return
    whole = lstm_cli.trace(model, inputs).arrays
    for name, expected in whole.items():
        tensor = name.rpartition("/")[2]
        if tensor.startswith(("initial_", "final_")):
            found = pieces[0 if tensor.startswith("initial_") else -1][name]
        else:
            found = np.concatenate([piece[name] for piece in pieces], axis=1)
        if expected.dtype.kind == "f":
            assert scaled_error(found, expected) < TOLERANCE, name
        else:
            np.testing.assert_array_equal(found, expected)
