"""Cases from the LSTM tests of Keras, keras-js and candle, with gates and states of every step.

They come from other projects and stay in the large golden folder. ``expected.npz`` holds the
framework's cell stepped one step at a time; a case names its tolerance.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import NO_FOLDER, Array, large_folder, scaled_error

import lstm_cli
from lstm_cli.traces import Trace

FOLDER = large_folder()
ENDINGS = (".keras", ".h5", ".safetensors")
PER_STEP = {"h_seq": "h", "c_seq": "c", "i": "i", "f": "f", "g": "g", "o": "o"}
FINAL = {"h_last": "final_h", "c_last": "final_c"}


def model_files() -> list[tuple[Path, str]]:
    """Each case but those of ONNX with each of its model files."""
    found = []
    for case in sorted(FOLDER.glob("peers/*/case.json")) if FOLDER else []:
        facts = json.loads(case.read_text())
        names = [facts["model_file"], *facts.get("other_files", [])]
        found += [(case.parent, name) for name in names if name.endswith(ENDINGS)]
    return found


FILES = model_files()
pytestmark = pytest.mark.skipif(FOLDER is None, reason=NO_FOLDER)


def test_there_are_cases_of_each_kind() -> None:
    # Keras's own tests, those of keras-js, and candle's
    assert len({case for case, _ in FILES}) == 15 + 9 + 1
    names = {name for _, name in FILES}
    assert names >= {"model.keras", "model_legacy.h5", "model.weights.h5", "model.safetensors"}


class Case:
    """One case with one of its files: the layer, what goes in, what must come out."""

    def __init__(self, folder: Path, name: str) -> None:
        facts: dict[str, Any] = json.loads((folder / "case.json").read_text())
        (self.layer,) = facts["layers"]
        self.tolerance = float(facts["suggested_tol_scaled"])
        with np.load(folder / "expected.npz") as arrays:
            self.expected = dict(arrays)
        self.prefix = str(self.layer["prefix"])
        self.directions = {"fwd": "forward", "bwd": "backward"}
        self.two = len(self.layer["directions"]) == 2
        self.model = lstm_cli.load(folder / name)
        (found,) = self.model.lstm_layers
        self.address = found.address

    @property
    def x(self) -> Array:
        return np.asarray(self.expected[f"{self.prefix}.x"])

    @property
    def mask(self) -> Array | None:
        return self.expected.get(f"{self.prefix}.mask")

    @property
    def states(self) -> dict[str, Array] | None:
        """The initial states, by the names that our state files have."""
        found = {}
        for short in self.layer["directions"]:
            front = f"{self.directions[short]}/" if self.two else ""
            for name in ("h", "c"):
                array = self.expected.get(f"{self.prefix}.{short}.{name}0")
                if array is not None:
                    found[front + name] = array
        return found or None

    def check(self, trace: Any) -> None:
        """Every gate and state, of every step and at the end."""
        for short in self.layer["directions"]:
            cell: Trace = trace[self.directions[short]] if self.two else trace
            for name, ours in {**PER_STEP, **FINAL}.items():
                reference = self.reference(short, name)
                error = scaled_error(cell.arrays[ours], reference)
                assert error <= self.tolerance, f"{short}.{name} off by {error:.2g}"

    def reference(self, short: str, name: str) -> Array:
        """One expected array.

        With ``zero_output_for_mask`` the reference's ``h_seq`` is what the layer returns, zeros at
        masked steps. Our ``h`` is the state, which a masked step carries over: that one is
        ``h_state_seq`` there. The zeros are compared with our ``output``.
        """
        front = f"{self.prefix}.{short}"
        if name == "h_seq" and f"{front}.h_state_seq" in self.expected:
            name = "h_state_seq"
        return np.asarray(self.expected[f"{front}.{name}"])


@pytest.mark.parametrize(
    ("folder", "name"), FILES, ids=[f"{folder.name}-{name}" for folder, name in FILES]
)
def test_every_gate_and_state(folder: Path, name: str) -> None:
    case = Case(folder, name)
    x, backwards = case.x, bool(case.layer.get("go_backwards"))
    if not case.model.has_graph and backwards:
        # Weights alone do not say the direction: the layer is read forward, on the input reversed.
        trace = lstm_cli.trace(
            case.model,
            x[:, ::-1],
            layer=case.address,
            mask=None if case.mask is None else case.mask[:, ::-1],
            initial_state=case.states,
        )
        assert isinstance(trace, Trace)
        turned = {k: a[:, ::-1] if a.ndim == 3 else a for k, a in trace.arrays.items()}
        case.check(Trace({k: np.array(a) for k, a in turned.items()}, trace.meta))
        return
    trace = lstm_cli.trace(
        case.model, x, layer=case.address, direct=True, mask=case.mask, initial_state=case.states
    )
    case.check(trace)


@pytest.mark.parametrize(
    ("folder", "name"),
    [(folder, name) for folder, name in FILES if "weights" not in name],
    ids=[f"{folder.name}-{name}" for folder, name in FILES if "weights" not in name],
)
def test_what_the_layer_returns(folder: Path, name: str) -> None:
    case = Case(folder, name)
    output = lstm_cli.run(
        case.model,
        case.x,
        layer=case.address,
        direct=True,
        mask=case.mask,
        initial_state=case.states,
        return_state=False,
    )
    assert scaled_error(output, case.expected[f"{case.prefix}.out"]) <= case.tolerance
