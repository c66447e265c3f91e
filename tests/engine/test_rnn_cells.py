"""Cells of every kind against Keras; one step of a GRU and of a SimpleRNN worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lstm_cli.engine.recurrence import CellRunner
from lstm_cli.model import Activation, Array, Cell, GruCell, LstmCell, SimpleRnnCell

GOLDEN = Path(__file__).parent / "rnn_cells.npz"  # made by tests/golden/make_rnn_cells.py
CASES = (
    "gru_masked",
    "gru_masked_backwards",
    "gru_relu_hard_sigmoid",
    "gru_reset_after",
    "gru_reset_after_no_bias",
    "gru_reset_before",
    "gru_softmax",
    "lstm",
    "lstm_masked",
    "lstm_masked_backwards",
    "lstm_no_bias",
    "lstm_relu_hard_sigmoid",
    "lstm_softsign_softmax",
    "rnn",
    "rnn_masked_backwards",
    "rnn_relu_no_bias",
)
# Of the largest state, at least 1: a few units in the last place at each of five steps.
TOLERANCE = {"float64": 1e-13, "float32": 5e-6}


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def golden(case: str) -> tuple[dict[str, Array], dict[str, object]]:
    """The arrays of one case with those of all cases, and its settings."""
    with np.load(GOLDEN) as file:
        names = [name for name in file if name.startswith(case + "/") or "/" not in name]
        arrays = {name.rpartition("/")[2]: file[name] for name in names}
    return arrays, json.loads(str(arrays.pop("settings")))[case]


def activation(name: object) -> Activation:
    if name == "hard_sigmoid":
        return Activation("hard_sigmoid", 1 / 6, 0.5)
    return Activation(str(name))


def cell_of(arrays: dict[str, Array], settings: dict[str, object]) -> Cell:
    weights = arrays["kernel"], arrays["recurrent_kernel"], arrays.get("bias")
    act = activation(settings["activation"])
    if settings["kind"] == "SimpleRNN":
        return SimpleRnnCell(*weights, act)
    gate = activation(settings["recurrent_activation"])
    if settings["kind"] == "LSTM":
        return LstmCell(*weights, act, gate)
    return GruCell(*weights, act, gate, bool(settings["reset_after"]))


def test_the_golden_file_holds_every_case() -> None:
    with np.load(GOLDEN) as file:
        assert {name.split("/")[0] for name in file if "/" in name} == set(CASES)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_every_step_equals_keras(case: str, dtype: str) -> None:
    arrays, settings = golden(case)
    x, mask = arrays["x"], arrays["mask"] if settings["masked"] else None
    if mask is not None:
        x[~mask] = np.nan  # what a masked step holds must not matter
    cell = cell_of(arrays, settings)
    backwards = bool(settings["go_backwards"])

    steps = CellRunner(cell, np.dtype(dtype)).run(
        x,
        [arrays[f"{name}0"] for name in cell.state_names],
        mask=mask,
        reverse=backwards,
        keep=cell.state_names,
    )

    for name, final in zip(cell.state_names, steps.final, strict=True):
        expected = arrays[name]
        atol = TOLERANCE[dtype] * max(1, np.abs(expected).max())
        np.testing.assert_allclose(steps.arrays[name], expected, rtol=0, atol=atol)
        last = expected[:, 0 if backwards else -1]
        np.testing.assert_allclose(final, last, rtol=0, atol=atol)
        assert steps.arrays[name].dtype == final.dtype == dtype


# One unit, one feature: columns z r h, and three different weights for each role.
KERNEL, RECURRENT, BIAS = [0.5, -0.3, 0.8], [0.2, 0.7, -0.6], [0.1, -0.2, 0.3]
X, H = 1.5, 0.4


def one_step(cell: Cell) -> float:
    steps = CellRunner(cell, np.dtype("float64")).run(np.array([[[X]]]), (np.array([[H]]),))
    return float(steps.arrays["h"][0, 0, 0])


def test_a_gru_step_with_the_reset_gate_before_the_product() -> None:
    cell = GruCell(np.array([KERNEL]), np.array([RECURRENT]), np.array(BIAS))

    z = sigmoid(0.5 * X + 0.2 * H + 0.1)
    r = sigmoid(-0.3 * X + 0.7 * H - 0.2)
    g = math.tanh(0.8 * X - 0.6 * (r * H) + 0.3)

    # Two roundings or so: the same double arithmetic in another order.
    np.testing.assert_allclose(one_step(cell), z * H + (1 - z) * g, rtol=0, atol=1e-15)


def test_a_gru_step_with_the_reset_gate_after_the_product() -> None:
    biases = np.array([BIAS, [0.05, 0.15, -0.25]])
    cell = GruCell(np.array([KERNEL]), np.array([RECURRENT]), biases, reset_after=True)

    z = sigmoid(0.5 * X + 0.1 + 0.2 * H + 0.05)
    r = sigmoid(-0.3 * X - 0.2 + 0.7 * H + 0.15)
    g = math.tanh(0.8 * X + 0.3 + r * (-0.6 * H - 0.25))

    np.testing.assert_allclose(one_step(cell), z * H + (1 - z) * g, rtol=0, atol=1e-15)


def test_a_simple_rnn_step() -> None:
    cell = SimpleRnnCell(np.array([[0.5]]), np.array([[-0.7]]), np.array([0.1]))

    np.testing.assert_allclose(one_step(cell), math.tanh(0.5 * X - 0.7 * H + 0.1), atol=1e-15)


def test_the_state_is_not_changed_in_place() -> None:
    cell = SimpleRnnCell(np.array([[0.5]]), np.array([[-0.7]]), None)
    state = np.array([[H]])

    CellRunner(cell, np.dtype("float64")).run(np.ones((1, 3, 1)), (state,))

    np.testing.assert_array_equal(state, [[H]])


def test_cells_without_gates_keep_h_alone() -> None:
    cell = GruCell(np.array([KERNEL]), np.array([RECURRENT]), None)

    with pytest.raises(ValueError, match="the GRU cell keeps no c, i"):
        CellRunner(cell, np.dtype("float64")).run(
            np.ones((1, 3, 1)), (np.zeros((1, 1)),), keep=("h", "c", "i")
        )
