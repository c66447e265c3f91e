"""Make bidirectional.keras, .npy, .csv, .words.txt and .golden.npz.

Made with Keras 3.15.1, TensorFlow 2.21.0.

Three Bidirectional layers, bottom, middle and top, over word vectors. The model says whether a
sentence praises: "not" turns the judgement that follows it, and what stands after "but" counts
alone. Sentences are padded with word 0 to ten words, and the padding is masked.

Run: python make_bidirectional.py
"""

from pathlib import Path

import keras
import numpy as np
from step_by_hand import received_by, step_both, write_golden

HERE = Path(__file__).parent
GOOD, BAD = ("good", "great", "lovely", "clever"), ("bad", "dull", "awful", "clumsy")
THINGS = ("film", "plot", "music", "ending", "cast")
WORDS = ("(padding)", "the", "was", "but", "not", "very", *THINGS, *GOOD, *BAD)
LENGTH = 10
SHOWN = (
    "the film was good",
    "the plot was not very good",
    "the cast was lovely but the ending was dull",
    "the music was awful but the plot was great",
    "very clever",
    "the ending was not dull but not clever",
)
PRAISE = (1, 0, 0, 1, 1, 0)


def main() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    sentences, praise = some_sentences(rng, 4000)
    model = reader()
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    model.fit(sentences, praise, epochs=6, batch_size=64, verbose=0)
    unseen, answers = some_sentences(rng, 1000)
    seen = {sentence.tobytes() for sentence in sentences}
    new = [k for k, sentence in enumerate(unseen) if sentence.tobytes() not in seen]
    loss, accuracy = model.evaluate(unseen[new], answers[new], verbose=0)
    print(f"{len(new)} sentences not trained on: loss {loss:.4f}, accuracy {accuracy:.4f}")
    without_optimizer(model).save(HERE / "bidirectional.keras")

    x = np.stack([numbers(sentence) for sentence in SHOWN])
    np.save(HERE / "bidirectional.npy", x)
    np.savetxt(HERE / "bidirectional.csv", x[1], "%d", header="word", comments="")
    (HERE / "bidirectional.words.txt").write_text("\n".join(WORDS) + "\n")
    arrays = {"x": x, "output": model.predict(x, verbose=0), "mask": x != 0}
    for name in ("bottom", "middle", "top"):
        layer, received = model.get_layer(name), received_by(model, name, x)
        parts = step_both(layer, received, mask=x != 0)
        arrays |= {f"{name}/{part}": array for part, array in parts.items()}
    for name, after in (("bottom", "middle"), ("middle", "top")):
        arrays[f"{name}/output"] = received_by(model, after, x)
    np.testing.assert_array_equal(arrays["output"][:, 0] > 0.5, PRAISE)
    write_golden(HERE / "bidirectional.golden.npz", arrays)


def reader() -> keras.Model:
    def both(name: str, sequences: bool) -> keras.layers.Layer:
        lstm = keras.layers.LSTM(6, return_sequences=sequences)
        return keras.layers.Bidirectional(lstm, name=name)

    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="words"),
            keras.layers.Embedding(len(WORDS), 5, mask_zero=True, name="word_vectors"),
            both("bottom", True),
            both("middle", True),
            both("top", False),
            keras.layers.Dense(1, "sigmoid", name="praise"),
        ],
        name="bidirectional",
    )


def without_optimizer(trained: keras.Model) -> keras.Model:
    """The same model without the optimizer's state, which is twice its size."""
    model = reader()
    model.set_weights(trained.get_weights())
    return model


def some_sentences(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sentences as word numbers, (count, LENGTH), and whether they praise, (count, 1)."""
    made = [sentence(rng) for _ in range(count)]
    return np.stack([words for words, _ in made]), np.array([[praise] for _, praise in made])


def sentence(rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    words, praise = clause(rng, short=rng.random() < 0.2)
    if rng.random() < 0.6 and len(words) < 6:
        room = LENGTH - len(words) - 1
        more, praise = clause(rng, short=room < 6 or rng.random() < 0.3)
        words = [*words, "but", *more]
    return numbers(" ".join(words)), praise


def clause(rng: np.random.Generator, short: bool) -> tuple[list[str], bool]:
    """Words such as "the plot was not good", at most six (three if short), and their judgement."""
    good, turned, very = (rng.random(3) < (0.5, 0.4, 0.3)).tolist()
    words = [] if short else ["the", str(rng.choice(THINGS)), "was"]
    words += ["not"] * turned + ["very"] * very + [str(rng.choice(GOOD if good else BAD))]
    return words, good != turned


def numbers(sentence: str) -> np.ndarray:
    """A sentence's words by their place in WORDS, padded with 0, shape (LENGTH,)."""
    found = [WORDS.index(word) for word in sentence.split()]
    return np.array(found + [0] * (LENGTH - len(found)), np.int32)


if __name__ == "__main__":
    main()
