"""One PyTorch model saved in every format gives the same trace, to rounding.

The expected states are those of PyTorch's own nn.LSTMCell, run one step at a time; the tolerance is
1e-5 of max(1, max |reference|), for sums in another order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_files import SAME, Array, numbers

import lstm_cli

FILES = (
    *("state_dict.pt", "stream.pt", "module.pt", "weights.safetensors", "script.pt", "trace.pt"),
)
PARTS = ("l0/forward", "l0/backward", "l1/forward", "l1/backward")
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def expected() -> dict[str, Array]:
    return numbers(SAME / "expected.npz")


def close(found: Any, reference: Array) -> None:
    scale = max(1.0, float(np.max(np.abs(reference))))
    np.testing.assert_allclose(found, reference, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("name", FILES)
def test_pytorchs_formats(name: str, expected: dict[str, Array]) -> None:
    model = lstm_cli.load(SAME / name)
    trace: Any = lstm_cli.trace(model, expected["x"], layer="lstm", direct=True)
    for part in PARTS:
        close(trace[part].h, expected[f"{part}/h"])
        close(trace[part].c, expected[f"{part}/c"])
    found = lstm_cli.run(model, expected["x"], layer="lstm", direct=True, named=True)
    for key in ("output", "h_n", "c_n"):
        close(found[key], expected[key])


@pytest.mark.parametrize("name", FILES[1:])
def test_pytorchs_formats_agree_bit_for_bit(name: str, expected: dict[str, Array]) -> None:
    """The same arrays go through the same sums, gates included."""
    traces: list[Any] = [
        lstm_cli.trace(lstm_cli.load(SAME / file), expected["x"], layer="lstm", direct=True)
        for file in (FILES[0], name)
    ]
    for part in PARTS:
        for tensor in ("i", "f", "g", "o", "c", "h"):
            one, other = (getattr(trace[part], tensor) for trace in traces)
            np.testing.assert_array_equal(one, other)


def test_onnx(expected: dict[str, Array]) -> None:
    """ONNX has a node for each level; the second reads what the first gives, (B, T, D·P)."""
    model = lstm_cli.load(SAME / "model.onnx")
    nodes = [layer.address for layer in model.lstm_layers]
    assert len(nodes) == 2
    below = expected["x"]
    for level, node in enumerate(nodes):
        trace: Any = lstm_cli.trace(model, below, layer=node, direct=True)
        for way in ("forward", "backward"):
            close(trace[way].h, expected[f"l{level}/{way}/h"])
            close(trace[way].c, expected[f"l{level}/{way}/c"])
        below = np.concatenate([trace["forward"].h, trace["backward"].h], axis=-1)


def test_every_file_is_compared() -> None:
    there = {path.name for path in Path(SAME).iterdir()}
    assert there == {*FILES, "model.onnx", "expected.npz"}
