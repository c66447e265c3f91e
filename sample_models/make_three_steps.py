"""Make three_steps.keras, .h5, .csv and .golden.npz; made with Keras 3.15.1, TensorFlow 2.21.0.

The textbook's smallest LSTM: one unit reads 0.1, 0.2, 0.3. It is trained to say how a straight line
of three points goes on. The golden file holds what four models with these weights return, one for
each choice of return_sequences and return_state.

Run: python make_three_steps.py
"""

from pathlib import Path

import keras
import numpy as np
import tf_keras
from step_by_hand import step, write_golden

HERE = Path(__file__).parent
LINE = np.array([[[0.1], [0.2], [0.3]]], np.float32)  # (B, T, F) = (1, 3, 1)


def main() -> None:
    keras.utils.set_random_seed(1)
    lines, after = straight_lines(512)
    model = keras.Sequential(
        [keras.Input((3, 1), name="x"), keras.layers.LSTM(1, name="lstm")], name="three_steps"
    )
    model.compile(keras.optimizers.Adam(0.02), "mse")
    history = model.fit(lines, after, epochs=120, batch_size=64, verbose=0)
    print(f"mean squared error {history.history['loss'][-1]:.5f}")
    model.save(HERE / "three_steps.keras")
    save_legacy(model.get_weights(), HERE / "three_steps.h5")
    np.savetxt(HERE / "three_steps.csv", LINE[0], "%.1f", header="x", comments="")

    lstm = model.get_layer("lstm")
    answers = {"x": LINE, "output": model.predict(LINE, verbose=0)}
    answers |= four_answers(lstm) | step(lstm, LINE)
    write_golden(HERE / "three_steps.golden.npz", answers)
    print({name: array.ravel().round(6).tolist() for name, array in answers.items()})


def straight_lines(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Three points of ``count`` lines that stay in (-1, 1), (count, 3, 1), and the fourth."""
    rng = np.random.default_rng(1)
    start, slope = rng.uniform(-0.4, 0.4, (2, count, 1)) * [[[1.0]], [[0.3]]]
    points = start + slope * np.arange(4)
    return points[:, :3, None].astype(np.float32), points[:, 3:].astype(np.float32)


def four_answers(lstm: keras.layers.LSTM) -> dict[str, np.ndarray]:
    """What the four models return: two kinds of output, and the same two states twice."""
    answers: dict[str, np.ndarray] = {}
    for sequences in (False, True):
        for state in (False, True):
            layer = keras.layers.LSTM(1, return_sequences=sequences, return_state=state)
            inputs = keras.Input((3, 1))
            model = keras.Model(inputs, layer(inputs))
            layer.set_weights(lstm.get_weights())
            returned = model.predict(LINE, verbose=0)
            names = ["sequence" if sequences else "last", "state_h", "state_c"]
            for name, value in zip(names, returned if state else [returned], strict=False):
                np.testing.assert_array_equal(value, answers.setdefault(name, value), name)
    return answers


def save_legacy(weights: list[np.ndarray], path: Path) -> None:
    """The same weights as tf.keras 2 saves them, whole model in HDF5."""
    model = tf_keras.Sequential(
        [tf_keras.layers.LSTM(1, name="lstm", input_shape=(3, 1))], name="three_steps"
    )
    model.set_weights(weights)
    model.save(path, save_format="h5")
    np.testing.assert_allclose(
        model.predict(LINE, verbose=0)[0, 0], tf_keras.models.load_model(path)(LINE)[0, 0]
    )


if __name__ == "__main__":
    main()
