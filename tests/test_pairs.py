"""Pairs of models that differ in one setting differ in their output, and in the way they should.

One of each pair is a golden file, whose own output is the framework's (``test_golden``); the other
is the same file with one setting changed. An implementation that ignores the setting would give
equal outputs; one that misunderstands it would break the identity that ties the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import COMMITTED, FLOAT32, Array, scaled_error
from keras_files import configs, edited, lstm, random_lstm, sequential, write_hdf5

import lstm_cli

FAR = 1e-3
"""A hundred times the tolerance: settings matter by more than rounding."""

HARD = COMMITTED / "tfkeras2" / "tf2.13.1_seq_mask_gb_nobias_hardsig.h5"
BOTH = COMMITTED / "keras3" / "k3.15.1_tensorflow_bidir_mask_sum.keras"
MASKED = COMMITTED / "keras2" / "k2.2.4_tensorflow_masked_outputs.h5"
DOUBLE = COMMITTED / "keras3" / "k3.15.1_tensorflow_float64.keras"


def inputs(path: Path) -> list[Array]:
    name = path.name.removesuffix(".h5").removesuffix(".keras")
    with np.load(path.with_name(f"{name}.npz")) as numbers:
        return [numbers[key] for key in sorted(numbers) if key.startswith("x")]


def outputs(path: Path, **options: Any) -> Array:
    found = lstm_cli.run(lstm_cli.load(path, **options), inputs(path))
    return np.asarray(found[0] if isinstance(found, tuple) else found)


def different(one: Array, other: Array, least: float = FAR) -> None:
    assert one.shape == other.shape
    assert scaled_error(one, other) > least


def test_hard_sigmoid(tmp_path: Path) -> None:
    """0.2 x + 0.5 as in Keras 2, and x / 6 + 0.5 as in Keras 3, on the same weights."""
    found = {slope: outputs(HARD, hard_sigmoid=slope, override=True) for slope in ("0.2", "1/6")}
    different(found["0.2"], found["1/6"])
    np.testing.assert_array_equal(found["0.2"], outputs(HARD))  # what the framework gave


def test_hard_sigmoid_and_sigmoid() -> None:
    different(outputs(HARD), outputs(HARD, recurrent_activation="sigmoid", override=True))


def test_activation() -> None:
    """The file's own is relu."""
    different(outputs(HARD), outputs(HARD, activation="tanh", override=True))
    np.testing.assert_array_equal(outputs(HARD), outputs(HARD, activation="relu", override=True))


def small(path: Path, version: str = "2.4.0", bias: bool = True, **config: Any) -> lstm_cli.Model:
    """One LSTM layer on arrays that are always the same."""
    arrays = random_lstm(1, 3, 4)[: 3 if bias else 2]
    group = dict(zip("abc", arrays, strict=False))
    document = sequential(lstm("lstm", 4, **{"use_bias": bias, **config}))
    return lstm_cli.load(write_hdf5(path, document, {"lstm": group}, version))


X = np.random.default_rng(2).normal(size=(2, 6, 3)).astype(np.float32)


def test_use_bias(tmp_path: Path) -> None:
    """Without its bias a layer gives something else; with a bias of zeros, the same."""
    with_bias = lstm_cli.run(small(tmp_path / "a.h5"), X)
    without = lstm_cli.run(small(tmp_path / "b.h5", bias=False), X)
    different(with_bias, without)
    kernel, recurrent, bias = random_lstm(1, 3, 4)
    group = dict(zip("abc", (kernel, recurrent, np.zeros_like(bias)), strict=True))
    path = write_hdf5(tmp_path / "c.h5", sequential(lstm("lstm", 4)), {"lstm": group})
    zeros = lstm_cli.run(lstm_cli.load(path), X)
    np.testing.assert_allclose(zeros, without, rtol=0, atol=FLOAT32)


def test_go_backwards(tmp_path: Path) -> None:
    """Backwards is forwards on the reversed input, in the order in which it was processed."""
    forward = small(tmp_path / "a.h5")
    backward = small(tmp_path / "b.h5", go_backwards=True)
    different(lstm_cli.run(forward, X), lstm_cli.run(backward, X))
    np.testing.assert_array_equal(lstm_cli.run(backward, X), lstm_cli.run(forward, X[:, ::-1]))


def test_go_backwards_in_a_golden_file(tmp_path: Path) -> None:
    def turn(document: Any) -> None:
        for config in configs(document):
            config["go_backwards"] = not config["go_backwards"]

    different(outputs(HARD), outputs_of(edited(HARD, tmp_path, turn), HARD))


def outputs_of(changed: Path, original: Path) -> Array:
    """The outputs of a changed copy on the inputs of its original."""
    found = lstm_cli.run(lstm_cli.load(changed), inputs(original))
    return np.asarray(found[0] if isinstance(found, tuple) else found)


def merged(folder: Path, mode: str | None) -> Array:
    """The first Bidirectional layer of a golden file, with another merge mode."""

    def change(document: Any) -> None:
        for config in configs(document, "Bidirectional"):
            config["merge_mode"] = mode

    model = lstm_cli.load(edited(BOTH, folder, change))
    found = lstm_cli.run(model, inputs(BOTH), layer=model.lstm_layers[0].address)
    return np.concatenate(found, axis=-1) if isinstance(found, tuple) else np.asarray(found)


def test_merge_modes(tmp_path: Path) -> None:
    """Each mode gives something else, and what it should from the two outputs side by side."""
    found = {mode: merged(tmp_path, mode) for mode in ("sum", "mul", "ave", None)}
    forward, backward = np.split(found[None], 2, axis=-1)
    different(forward, backward)
    rules: dict[str, Callable[[Array, Array], Array]] = {
        "sum": lambda a, b: a + b,
        "mul": lambda a, b: a * b,
        "ave": lambda a, b: (a + b) / 2,
    }
    for mode, rule in rules.items():
        np.testing.assert_allclose(found[mode], rule(forward, backward), rtol=0, atol=FLOAT32)
    different(found["sum"], found["mul"])
    different(found["sum"], found["ave"])


def test_concat_is_the_two_side_by_side(tmp_path: Path) -> None:
    """The second layer would not take twice the features, so the first is run alone."""

    def change(document: Any) -> None:
        configs(document, "Bidirectional")[0]["merge_mode"] = "concat"

    model = lstm_cli.load(edited(BOTH, tmp_path, change))
    address = model.lstm_layers[0].address
    found = lstm_cli.run(model, inputs(BOTH), layer=address)
    np.testing.assert_allclose(found, merged(tmp_path, None), rtol=0, atol=FLOAT32)


def test_mask_and_no_mask(tmp_path: Path) -> None:
    """With a value that never comes, Masking masks nothing: other numbers on padded input."""

    def unmask(document: Any) -> None:
        masking = configs(document, "Masking")
        assert masking
        for config in masking:
            config["mask_value"] = 1234.5

    different(outputs(MASKED), outputs_of(edited(MASKED, tmp_path, unmask), MASKED))


def test_mask_given_by_the_caller(tmp_path: Path) -> None:
    """A mask of all true changes nothing; one masked step changes the numbers after it alone."""
    model = small(tmp_path / "a.h5")
    plain = lstm_cli.run(model, X)
    mask = np.ones((2, 6), bool)
    np.testing.assert_array_equal(lstm_cli.run(model, X, mask=mask), plain)
    mask[:, 2] = False
    masked = lstm_cli.run(model, X, mask=mask)
    np.testing.assert_array_equal(masked[:, :2], plain[:, :2])
    different(masked[:, 2:], plain[:, 2:])
    np.testing.assert_array_equal(masked[:, 2], masked[:, 1])  # the previous output again
    shorter = lstm_cli.run(model, np.delete(X, 2, axis=1))
    np.testing.assert_allclose(masked[:, 3:], shorter[:, 2:], rtol=0, atol=FLOAT32)


def test_zero_output_for_mask(tmp_path: Path) -> None:
    """Masked steps output zeros instead of the previous output; the states are the same."""
    mask = np.array([[True, True, False, True, False, False]] * 2)
    repeated = lstm_cli.run(small(tmp_path / "a.h5", "3.15.1"), X, mask=mask)
    zeroed = lstm_cli.run(
        small(tmp_path / "b.h5", "3.15.1", zero_output_for_mask=True), X, mask=mask
    )
    np.testing.assert_array_equal(zeroed, np.where(mask[..., None], repeated, 0))
    different(repeated, zeroed)


def test_return_sequences(tmp_path: Path) -> None:
    """One output a step, or the last alone."""
    every = lstm_cli.run(small(tmp_path / "a.h5"), X)
    last = lstm_cli.run(small(tmp_path / "b.h5", return_sequences=False), X)
    assert every.shape == (2, 6, 4)
    np.testing.assert_array_equal(last, every[:, -1])


def test_return_state(tmp_path: Path) -> None:
    """The output, then h and c; h of the last step is the last output."""
    output, h, c = lstm_cli.run(small(tmp_path / "a.h5", return_state=True), X)
    np.testing.assert_array_equal(output, lstm_cli.run(small(tmp_path / "b.h5"), X))
    np.testing.assert_array_equal(h, output[:, -1])
    different(h, c)


def test_stateful(tmp_path: Path) -> None:
    """A second call goes on where the first ended, where the file says so."""
    shape: dict[str, Any] = {"batch_input_shape": [2, None, 3]}
    stateful = lstm_cli.Session(small(tmp_path / "a.h5", stateful=True, **shape), stateful=True)
    first, second = (stateful.run(X)["output"] for _ in range(2))
    different(first, second)
    twice = lstm_cli.run(small(tmp_path / "b.h5"), np.concatenate([X, X], axis=1))
    np.testing.assert_allclose(second, twice[:, 6:], rtol=0, atol=FLOAT32)


def test_dtype() -> None:
    """float64 differs from float32 by float32's rounding: more than 1e-9, less than 1e-5."""
    double = outputs(DOUBLE)
    assert double.dtype == np.float64
    single = np.asarray(
        lstm_cli.run(lstm_cli.load(DOUBLE), inputs(DOUBLE), dtype="float32"), np.float64
    )
    error = scaled_error(single, double)
    assert 1e-9 < error < FLOAT32


@pytest.mark.parametrize("value", ["1", "2"])
def test_unroll_and_implementation_change_nothing(tmp_path: Path, value: str) -> None:
    """How the framework computes is no setting of what it computes."""
    plain = lstm_cli.run(small(tmp_path / "a.h5"), X)
    other = small(tmp_path / "b.h5", unroll=True, implementation=int(value), dropout=0.5)
    np.testing.assert_array_equal(lstm_cli.run(other, X), plain)
