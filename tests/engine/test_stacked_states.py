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


KERAS = "keras/keras2"
RETURNED: list[tuple[str, str, dict[str, tuple[str, int | None]]]] = [
    # A file, what a run of its layer returns, and where that belongs.
    (
        "torch/sd_bi2.pt",
        "output h_n c_n",
        {"l0/backward/initial_h": ("h_n", 1), "l1/backward/initial_c": ("c_n", 3)},
    ),
    ("torch/sd_plain.pt", "output h_n c_n", {"initial_h": ("h_n", 0), "initial_c": ("c_n", 0)}),
    (
        "torch/sd_lstmcell.pt",
        "output h_n c_n",
        {"initial_h": ("h_n", None), "initial_c": ("c_n", None)},
    ),
    (
        "onnx/exported/torch_ts_bf_bi2.onnx",
        "Y Y_h Y_c",
        {"forward/initial_h": ("Y_h", 0), "backward/initial_c": ("Y_c", 1)},
    ),
    (
        f"{KERAS}/k2.3.1_tensorflow_bidir_none.h5",
        "output_0 output_1 forward_h forward_c backward_h backward_c",
        {"forward/initial_c": ("forward_c", None), "backward/initial_h": ("backward_h", None)},
    ),
    (
        f"{KERAS}/k2.2.4_tensorflow_stacked_return_state.h5",
        "output 0/h 0/c 1/h 1/c",
        {"0/initial_h": ("0/h", None), "1/initial_c": ("1/c", None)},
    ),
    (
        f"{KERAS}/k2.2.4_tensorflow_bidir_rnn_stacked.h5",
        "",
        {
            "forward/0/initial_h": ("forward/0/h", None),
            "backward/1/initial_c": ("backward/1/c", None),
        },
    ),
]


@pytest.mark.parametrize(("name", "names", "places"), RETURNED)
@pytest.mark.parametrize("batch", [B, None])
def test_what_run_returned_is_taken_back(
    name: str, names: str, places: dict[str, tuple[str, int | None]], batch: int | None
) -> None:
    """All of it, outputs and the text about its origin too; also as files have a lone sequence."""
    model = lstm_cli.load(GOLDEN / name)
    layer = model.lstm_layers[0]
    assert layer.recurrent is not None
    size = layer.recurrent.input_size
    x = np.random.default_rng(1).normal(size=(batch or 1, 5, size)).astype(np.float32)
    session = lstm_cli.Session(model, layer.address, direct=True)
    returned = session.run(x, return_state=True)
    assert names in ("", " ".join(returned))
    given = {
        key: array if batch else np.squeeze(array, session.axes[key].batch)
        for key, array in returned.items()
    }
    trace = lstm_cli.Session(model, layer.address, direct=True).trace(
        x, initial_state={**given, "meta": np.array("{}")}
    )
    for place, (key, row) in places.items():
        expected = returned[key] if row is None else returned[key][row]
        np.testing.assert_array_equal(trace.arrays[place], expected)


def test_a_state_twice_is_refused() -> None:
    model = lstm_cli.load(GOLDEN / KERAS / "k2.3.1_tensorflow_bidir_none.h5")
    layer = model.lstm_layers[0]
    session = lstm_cli.Session(model, layer.address, direct=True)
    assert layer.recurrent is not None
    x = np.zeros((1, 2, layer.recurrent.input_size), np.float32)
    returned = session.run(x, return_state=True)
    with pytest.raises(lstm_cli.InputError, match=r"^initial state: unknown: forward_h \(expected"):
        session.run(x, initial_state={**returned, "forward/h": returned["forward_h"]})


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
