"""States in the shape in which PyTorch and ONNX pass and return them, all cells in one array."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstm_cli
from lstm_cli.model import Recurrent

Array = NDArray[Any]

GOLDEN = Path(__file__).parent.parent / "golden"
STACK = GOLDEN / "torch/sd_bi2.pt"
B = 2


def stack() -> lstm_cli.Model:
    """Two levels in two directions: in PyTorch's order l0 forward, l0 backward, l1 forward, …"""
    return lstm_cli.load(STACK)


def states(cells: int, units: int) -> tuple[Array, Array]:
    chance = np.random.default_rng(2)
    h, c = (chance.normal(size=(cells, B, units)).astype(np.float32) for _ in range(2))
    return h, c


def initial(model: lstm_cli.Model, x: Array, given: Any) -> dict[str, Array]:
    trace = lstm_cli.trace(model, x, layer="lstm", initial_state=given)
    return {k: a for k, a in trace.arrays.items() if "initial" in k}


@pytest.mark.parametrize("names", [("h_n", "c_n"), ("h", "c"), ("lstm/h_n", "lstm/c_n")])
def test_states_of_a_stack_go_to_their_cells(names: tuple[str, str]) -> None:
    x = np.random.default_rng(1).normal(size=(B, 5, 4)).astype(np.float32)
    h, c = states(4, 3)
    found = initial(stack(), x, dict(zip(names, (h, c), strict=True)))
    for k, part in enumerate(("l0/forward", "l0/backward", "l1/forward", "l1/backward")):
        np.testing.assert_array_equal(found[f"{part}/initial_h"], h[k])
        np.testing.assert_array_equal(found[f"{part}/initial_c"], c[k])


def test_one_sequence_without_its_axis() -> None:
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    h, c = states(4, 3)
    found = initial(stack(), x, lstm_cli.State(h[:, 0], c[:, 0]))
    np.testing.assert_array_equal(found["l1/forward/initial_h"], h[2, :1])


def test_what_run_returned_is_taken_back() -> None:
    model = lstm_cli.load(STACK)
    x = np.random.default_rng(1).normal(size=(B, 5, 4)).astype(np.float32)
    returned = lstm_cli.run(model, x, layer="lstm", named=True)
    found = initial(model, x, {name: returned[name] for name in ("h_n", "c_n")})
    np.testing.assert_array_equal(found["l1/backward/initial_c"], returned["c_n"][3])


@pytest.mark.parametrize(("convention", "axis"), [("onnx", 0), ("onnx batchwise", 1)])
def test_states_of_an_onnx_node(convention: Any, axis: int) -> None:
    model = lstm_cli.load(GOLDEN / "onnx/exported/torch_ts_bf_bi2.onnx")
    layer = next(layer for layer in model.layers if layer.address == "/lstm/LSTM")
    operation = layer.operation
    assert isinstance(operation, Recurrent)
    layer = replace(layer, operation=replace(operation, convention=convention))
    calls = tuple(
        replace(call, layer=layer) if call.layer.address == layer.address else call
        for call in model.calls
    )
    layers = tuple(layer if old.address == layer.address else old for old in model.layers)
    model = replace(model, layers=layers, calls=calls)
    x = np.random.default_rng(1).normal(size=(B, 5, 4)).astype(np.float32)
    h, c = states(2, 3)
    given = {"Y_h": np.moveaxis(h, 0, axis), "Y_c": np.moveaxis(c, 0, axis)}
    trace = lstm_cli.trace(model, x, layer="/lstm/LSTM", direct=True, initial_state=given)
    np.testing.assert_array_equal(trace.arrays["backward/initial_h"], h[1])
    np.testing.assert_array_equal(trace.arrays["forward/initial_c"], c[0])


def test_a_wrong_number_of_cells_is_refused() -> None:
    x = np.zeros((B, 5, 4), np.float32)
    h, c = states(3, 3)
    with pytest.raises(lstm_cli.InputError, match="unknown: h_n, c_n; missing: l0/forward/h"):
        lstm_cli.trace(stack(), x, layer="lstm", initial_state={"h_n": h, "c_n": c})
