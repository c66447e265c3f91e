"""Make stateful.keras, .npy, .state.npz and .golden.npz; Keras 3.15.1, TensorFlow 2.21.0.

A stateful LSTM of 24 units with a fixed batch of 5. Three noisy channels now and then carry a
pulse; at every step the model says which channel had the last one. A pulse can be further back than
the beginning of a chunk, so chunks of one sequence need the state of the chunk before.

Run: python make_stateful.py
"""

from pathlib import Path

import keras
import numpy as np
from step_by_hand import step, write_golden

HERE = Path(__file__).parent
BATCH, STEPS, CHANNELS, UNITS = 5, 40, 3, 24


def main() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(BATCH, None, CHANNELS), name="channels"),
            keras.layers.LSTM(UNITS, stateful=True, return_sequences=True, name="lstm"),
            keras.layers.Dense(CHANNELS, "softmax", name="last_pulse"),
        ],
        name="stateful",
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    for _ in range(300):
        x, last = pulses(rng, 8 * STEPS)
        model.get_layer("lstm").reset_state()
        for start in range(0, 8 * STEPS, STEPS):
            chunk = slice(start, start + STEPS)
            model.train_on_batch(x[:, chunk], last[:, chunk])
    x, last = pulses(rng, 50 * STEPS)
    model.get_layer("lstm").reset_state()
    found = model.predict(x, batch_size=BATCH, verbose=0).argmax(-1)
    print(f"{x.shape[1]} steps not trained on: accuracy {np.mean(found == last):.4f}")
    model.get_layer("lstm").reset_state()
    model.save(HERE / "stateful.keras")
    write_inputs_and_golden(model, x[:, :STEPS])


def pulses(rng: np.random.Generator, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Channels (BATCH, steps, CHANNELS) and which had the last pulse, (BATCH, steps)."""
    x = rng.normal(0, 0.1, (BATCH, steps, CHANNELS))
    here = rng.random((BATCH, steps)) < 0.08
    here[:, 0] = True
    channel = rng.integers(0, CHANNELS, (BATCH, steps))
    x += here[..., None] * np.eye(CHANNELS)[channel]
    latest = np.maximum.accumulate(np.where(here, np.arange(steps), 0), axis=1)
    return x.astype(np.float32), np.take_along_axis(channel, latest, axis=1)


def write_inputs_and_golden(model: keras.Model, x: np.ndarray) -> None:
    """Two calls in a row from zero, ``second_`` for the later one; one from a state, ``own_``."""
    rng = np.random.default_rng(2)
    own = {name: rng.uniform(-1, 1, (BATCH, UNITS)).astype(np.float32) for name in "hc"}
    np.save(HERE / "stateful.npy", x)
    np.savez(HERE / "stateful.state.npz", **own)
    lstm = model.get_layer("lstm")
    lstm.reset_state()
    arrays = {"x": x, "output": model.predict(x, batch_size=BATCH, verbose=0)} | step(lstm, x)
    arrays["second_output"] = model.predict(x, batch_size=BATCH, verbose=0)
    second = step(lstm, x, (arrays["final_h"], arrays["final_c"]))
    for mine, theirs in zip((second["final_h"], second["final_c"]), lstm.states, strict=True):
        np.testing.assert_allclose(mine, np.asarray(theirs), rtol=2e-6, atol=2e-6)
    for state, value in zip(lstm.states, own.values(), strict=True):
        state.assign(value)
    arrays["own_output"] = model.predict(x, batch_size=BATCH, verbose=0)
    arrays |= {f"own_initial_{name}": value for name, value in own.items()}
    for prefix, later in (("second", second), ("own", step(lstm, x, (own["h"], own["c"])))):
        arrays |= {f"{prefix}_{name}": later[name] for name in ("h", "c", "final_h", "final_c")}
    write_golden(HERE / "stateful.golden.npz", arrays)


if __name__ == "__main__":
    main()
