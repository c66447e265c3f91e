"""Writes tests/engine/rnn_cells.npz: recurrent layers of Keras, and what they return.

    KERAS_BACKEND=tensorflow python tests/golden/make_rnn_cells.py

Written with Keras 3.15.1 on TensorFlow 2.21.0; all is float64. For all cases: ``x`` (B, T, F),
``h0`` and ``c0`` (B, U), ``mask`` (B, T) for those that are masked, ``settings`` by case, as JSON.
For each case: the weights; ``h`` (B, T, U), the layer's output at every step in the input's time
order, and of an LSTM ``c``, the same from the layer's cell, stepped by hand. (The state after the
last step read is the last of these, masked steps included; the script checks it.)
"""

import json
from pathlib import Path

import keras
import numpy as np

B, T, F, U = 3, 5, 2, 3
CASES = {
    "gru_reset_after": ("GRU", {"reset_after": True}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "gru_reset_after_no_bias": ("GRU", {"reset_after": True, "use_bias": False}),
    "gru_relu_hard_sigmoid": (
        "GRU",
        {"reset_after": False, "activation": "relu", "recurrent_activation": "hard_sigmoid"},
    ),
    "gru_softmax": ("GRU", {"reset_after": True, "recurrent_activation": "softmax"}),
    "gru_masked": ("GRU", {"reset_after": True, "masked": True}),
    "gru_masked_backwards": (
        "GRU",
        {"reset_after": False, "masked": True, "go_backwards": True},
    ),
    "lstm": ("LSTM", {}),
    "lstm_no_bias": ("LSTM", {"use_bias": False}),
    "lstm_relu_hard_sigmoid": (
        "LSTM",
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    ),
    "lstm_softsign_softmax": (
        "LSTM",
        {"activation": "softsign", "recurrent_activation": "softmax"},
    ),
    "lstm_masked": ("LSTM", {"masked": True}),
    "lstm_masked_backwards": ("LSTM", {"masked": True, "go_backwards": True}),
    "rnn": ("SimpleRNN", {}),
    "rnn_relu_no_bias": ("SimpleRNN", {"activation": "relu", "use_bias": False}),
    "rnn_masked_backwards": ("SimpleRNN", {"masked": True, "go_backwards": True}),
}
# The first step read is real in either direction: before it Keras returns zeros, not the state.
MASK = np.array([[1, 0, 0, 1, 1], [1, 1, 1, 1, 1], [1, 1, 0, 0, 1]], bool)


def run_case(kind: str, settings: dict, common: dict, rng: np.random.Generator) -> tuple:
    """A layer with random weights: its arrays, and its settings in full."""
    mask = MASK if settings.pop("masked", False) else np.ones((B, T), bool)
    layer = getattr(keras.layers, kind)(
        U, return_sequences=True, return_state=True, dtype="float64", **settings
    )
    layer.build((B, T, F))
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    first = [common["h0"], common["c0"]] if kind == "LSTM" else [common["h0"]]
    h, *final = layer(common["x"], initial_state=first, mask=None if mask.all() else mask)
    order = slice(None, None, -1 if layer.go_backwards else 1)
    states = step_states(layer.cell, common["x"][:, order], mask[:, order], first)
    for last, state in zip(final, states, strict=True):
        np.testing.assert_allclose(last, state[:, -1], rtol=0, atol=1e-14)
    arrays = {"h": np.asarray(h)[:, order]}
    if kind == "LSTM":
        arrays["c"] = states[1][:, order]
    arrays.update(zip(["kernel", "recurrent_kernel", "bias"], layer.get_weights(), strict=False))
    config = layer.get_config()
    wanted = ["activation", "recurrent_activation", "reset_after", "go_backwards"]
    settings = {name: config[name] for name in wanted if name in config}
    return arrays, {"kind": kind, "masked": not mask.all(), **settings}


def step_states(cell, x: np.ndarray, mask: np.ndarray, states: list) -> list:
    """The states after every step, each (B, T, U), by calling the cell for one after the other."""
    steps = []
    for t in range(T):
        _, after = cell(x[:, t], states)
        after = after if isinstance(after, list | tuple) else [after]
        real = mask[:, t, np.newaxis]
        states = [np.where(real, new, old) for new, old in zip(after, states, strict=True)]
        steps.append(states)
    return [np.stack(parts, axis=1) for parts in zip(*steps, strict=True)]


def main() -> None:
    rng = np.random.default_rng(7)
    common = {
        "x": rng.normal(size=(B, T, F)),
        "h0": rng.normal(size=(B, U)),
        "c0": rng.normal(size=(B, U)),
    }
    file, every = {**common, "mask": MASK}, {}
    for case, (kind, settings) in CASES.items():
        arrays, every[case] = run_case(kind, dict(settings), common, rng)
        file.update({f"{case}/{name}": array for name, array in arrays.items()})
    file["settings"] = np.array(json.dumps(every))
    np.savez_compressed(Path(__file__).parent.parent / "engine" / "rnn_cells.npz", **file)


if __name__ == "__main__":
    main()
