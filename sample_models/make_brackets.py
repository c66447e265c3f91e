"""Make brackets.keras, .csv, .labels.txt, .depth.csv and .golden.npz.

Made with Keras 3.15.1, TensorFlow 2.21.0.

The model reads text character by character and says after each whether every bracket is closed. It
is never told how many are open, yet needs to know: some of its cells count them. The shown text is
``brackets.labels.txt``, a character a line; its depth, how many brackets are open after each
character, is in ``brackets.depth.csv``.

Run: python make_brackets.py
"""

from pathlib import Path

import keras
import numpy as np
from step_by_hand import received_by, step, write_golden

HERE = Path(__file__).parent
CHARACTERS = "abc+([)]"
CLOSING = {"(": ")", "[": "]"}
DEEPEST = 8
SHOWN = "a+(b+[c+a])+c+[((a+b)+[c+(a+[b])])+a]+b+([(c)])+a+(((([[((b))]]))))+c"


def main() -> None:
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    tokens, depth = some_texts(rng, 1000, 80)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="characters"),
            keras.layers.Embedding(len(CHARACTERS), 4, name="character_vectors"),
            keras.layers.LSTM(8, return_sequences=True, name="lstm"),
            keras.layers.Dense(1, "sigmoid", name="all_closed"),
        ],
        name="brackets",
    )
    model.compile(keras.optimizers.Adam(), "binary_crossentropy", metrics=["accuracy"])
    for rate in (0.01, 0.003):
        model.optimizer.learning_rate = rate
        model.fit(tokens, depth[..., None] == 0, epochs=20, batch_size=32, verbose=0)
    model.save(HERE / "brackets.keras")

    tokens, depth = some_texts(rng, 100, 200)
    loss, accuracy = model.evaluate(tokens, depth[..., None] == 0, verbose=0)
    print(f"not trained on: loss {loss:.4f}, accuracy {accuracy:.4f}, chance {np.mean(depth > 0)}")
    print("c against depth:", correlations(traced(model, tokens)["c"], depth))

    x = np.array([[CHARACTERS.index(character) for character in SHOWN]], np.int32)
    shown_depth = depths(SHOWN)
    np.savetxt(HERE / "brackets.csv", x[0], "%d", header="token", comments="")
    np.savetxt(HERE / "brackets.depth.csv", shown_depth, "%d", header="depth", comments="")
    (HERE / "brackets.labels.txt").write_text("\n".join(SHOWN) + "\n")
    arrays = {"x": x, "output": model.predict(x, verbose=0)} | traced(model, x)
    write_golden(HERE / "brackets.golden.npz", arrays)
    right = (arrays["output"][0, :, 0] > 0.5) == (shown_depth == 0)
    print(f"the shown text: {right.sum()} of {right.size} right")
    print("c against depth:", correlations(arrays["c"], shown_depth[None]))


def some_texts(rng: np.random.Generator, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Texts as character numbers and how many brackets are open, both (count, length)."""
    texts = [random_text(rng, length) for _ in range(count)]
    tokens = [[CHARACTERS.index(character) for character in text] for text in texts]
    return np.array(tokens, np.int32), np.stack([depths(text) for text in texts])


def random_text(rng: np.random.Generator, length: int) -> str:
    """Text whose brackets close in the right order, as far as they close; at most DEEPEST open."""
    text, still_open = "", ""
    for _ in range(length):
        if rng.random() < 0.4:
            text += CHARACTERS[rng.integers(4)]
        elif still_open and (len(still_open) == DEEPEST or rng.random() < 0.53):
            text += CLOSING[still_open[-1]]
            still_open = still_open[:-1]
        else:
            still_open += "(["[rng.integers(2)]
            text += still_open[-1]
    return text


def depths(text: str) -> np.ndarray:
    """How many brackets are open after each character."""
    change = {"(": 1, "[": 1, ")": -1, "]": -1}
    return np.cumsum([change.get(character, 0) for character in text])


def traced(model: keras.Model, x: np.ndarray) -> dict[str, np.ndarray]:
    return step(model.get_layer("lstm"), received_by(model, "lstm", x))


def correlations(c: np.ndarray, depth: np.ndarray) -> list[float]:
    """Pearson's r of each cell with the depth; c is (B, T, U), depth (B, T)."""
    cells = c.reshape(-1, c.shape[-1]).T
    return [round(float(np.corrcoef(cell, depth.ravel())[0, 1]), 3) for cell in cells]


if __name__ == "__main__":
    main()
