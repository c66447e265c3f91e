"""Make encoder_decoder.keras, .npz and .golden.npz; made with Keras 3.15.1, TensorFlow 2.21.0.

An encoder LSTM reads five digits; its last h and c are the first of a decoder LSTM, which says the
digits backwards. The decoder is given what it should have said up to each step, beginning with
START, as it was in training.

Run: python make_encoder_decoder.py
"""

from pathlib import Path

import keras
import numpy as np
from step_by_hand import step, write_golden

HERE = Path(__file__).parent
DIGITS, START = 5, 10
SHOWN = ((3, 1, 4, 1, 5), (2, 7, 1, 8, 2), (0, 0, 0, 0, 7), (9, 8, 7, 6, 5))


def main() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    codes = rng.permutation(10**DIGITS)  # each number of five digits once
    digits = (codes[:, None] // 10 ** np.arange(DIGITS) % 10).astype(np.int32)
    unseen, trained = digits[:2000], digits[2000:32000]
    model = encoder_decoder()
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    for rate in (0.01, 0.003, 0.001):
        model.optimizer.learning_rate = rate
        model.fit(both_inputs(trained), trained[:, ::-1], epochs=6, batch_size=128, verbose=0)
    said = model.predict(both_inputs(unseen), verbose=0).argmax(-1)
    right = said == unseen[:, ::-1]
    print(f"not trained on: {right.mean():.4f} of digits, {right.all(1).mean():.4f} of numbers")
    small = encoder_decoder()  # without the optimizer's state, which is twice its size
    small.set_weights(model.get_weights())
    small.save(HERE / "encoder_decoder.keras")

    inputs = both_inputs(np.array(SHOWN, np.int32))
    np.savez(HERE / "encoder_decoder.npz", **inputs)
    arrays = inputs | {"output": model.predict(inputs, verbose=0)}
    encoder = step(model.get_layer("encoder"), received(model, "encoder", inputs))
    state = encoder["final_h"], encoder["final_c"]
    decoder = step(model.get_layer("decoder"), received(model, "decoder", inputs), state)
    arrays |= {f"encoder/{name}": array for name, array in encoder.items()}
    arrays |= {f"decoder/{name}": array for name, array in decoder.items()}
    write_golden(HERE / "encoder_decoder.golden.npz", arrays, inputs)
    print(arrays["output"].argmax(-1).tolist())


def encoder_decoder() -> keras.Model:
    heard = keras.Input((None,), dtype="int32", name="heard")
    said = keras.Input((None,), dtype="int32", name="said")
    x = keras.layers.Embedding(10, 8, name="heard_vectors")(heard)
    _, h, c = keras.layers.LSTM(32, return_state=True, name="encoder")(x)
    y = keras.layers.Embedding(11, 8, name="said_vectors")(said)
    y = keras.layers.LSTM(32, return_sequences=True, name="decoder")(y, initial_state=[h, c])
    digit = keras.layers.Dense(10, "softmax", name="digit")(y)
    return keras.Model([heard, said], digit, name="encoder_decoder")


def both_inputs(digits: np.ndarray) -> dict[str, np.ndarray]:
    """The digits, and what the decoder has said before each step; both (B, DIGITS)."""
    start = np.full_like(digits[:, :1], START)
    return {"heard": digits, "said": np.hstack([start, digits[:, :0:-1]])}


def received(model: keras.Model, name: str, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The sequence that a layer receives; the decoder's states are left out."""
    vectors = {"encoder": "heard", "decoder": "said"}[name]
    return np.asarray(model.get_layer(f"{vectors}_vectors")(inputs[vectors]))


if __name__ == "__main__":
    main()
