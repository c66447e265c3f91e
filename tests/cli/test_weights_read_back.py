"""What ``lstm weights -o`` writes is a model file too: read back, it gives the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli

import lstm_cli

ROOT = Path(__file__).parent.parent


ERAS = ROOT / "golden" / "keras"
MODELS = (
    SAMPLES / "three_steps.keras",
    SAMPLES / "brackets.keras",
    ERAS / "keras3/k3.15.1_tensorflow_seq_mask_gb_nobias_hardsig.keras",
    ERAS / "tfkeras2/tf2.13.1_seq_mask_gb_nobias_hardsig.h5",
)


@pytest.mark.parametrize("model", MODELS, ids=[path.stem for path in MODELS])
def test_settings_and_numbers(lstm: Cli, model: Path) -> None:
    original = lstm_cli.load(model)
    address = original.lstm_layers[0].address
    lstm("weights", model, "-l", address, "-o", "weights.npz").succeeded()
    again = lstm_cli.load("weights.npz")

    recurrent = original.lstm_layers[0].recurrent
    x = np.random.default_rng(0).normal(size=(2, 5, recurrent.input_size if recurrent else 0))
    first = lstm_cli.trace(original, x, layer=address, direct=True)
    second = lstm_cli.trace(again, x)
    assert first.meta["activation"] == second.meta["activation"]
    assert first.meta["recurrent_activation"] == second.meta["recurrent_activation"]
    for name in "hcifgo":
        np.testing.assert_array_equal(first.arrays[name], second.arrays[name])


def test_what_does_not_come_back_is_refused(lstm: Cli) -> None:
    """A converted TFLite model holds c within ±10, which no array of its weights shows."""
    clipped = ROOT / "golden/tflite/tf213_lstm.tflite"
    lstm("weights", clipped, "-o", "weights.npz").succeeded()
    message = lstm("states", "weights.npz", "weights.npz").refusal()
    assert "its cells have cell clip 10, which an export of weights does not bring back" in message
