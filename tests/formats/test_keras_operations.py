"""Operations of functional models: their settings are used, or refused by name, never dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import COMMITTED, FLOAT32, Array, in_order, scaled_error
from keras_files import edited

import lstm_cli

ARGUMENTS = COMMITTED / "keras3" / "k3.15.1_tensorflow_op_arguments.keras"


def numbers(path: Path) -> tuple[list[Array], list[Array]]:
    with np.load(path.with_suffix(".npz")) as arrays:
        found = dict(arrays)
    return in_order(found, "x"), in_order(found, "y")


def ops(document: Any, class_name: str) -> list[dict[str, Any]]:
    layers = document["config"]["layers"]
    return [layer for layer in layers if layer["class_name"] == class_name]


@pytest.mark.parametrize(
    "path",
    [
        ARGUMENTS,
        ARGUMENTS.with_suffix(".h5"),
        COMMITTED / "tfkeras2" / "tf2.15.1_op_arguments.h5",
    ],
    ids=["keras3-archive", "keras3-hdf5", "tf.keras"],
)
@pytest.mark.parametrize("k", range(10))
def test_arguments_that_are_not_the_usual_ones(path: Path, k: int) -> None:
    inputs, expected = numbers(path)
    found = lstm_cli.run(lstm_cli.load(path), inputs[0])
    assert scaled_error(found[k], expected[k]) <= FLOAT32


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_operation_is_told_from_the_layer_of_the_same_name(suffix: str) -> None:
    path = COMMITTED / "keras3" / f"k3.15.1_tensorflow_op_and_layer{suffix}"
    inputs, expected = numbers(path)
    found = lstm_cli.run(lstm_cli.load(path), inputs[0])
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert scaled_error(a, b) <= FLOAT32, f"output {k}"


@pytest.mark.parametrize(
    ("class_name", "change", "reason"),
    [
        ("Elu", {"beta": 2.0}, "argument beta=2.0 of elu"),
        ("HardSigmoid", {"slope": 0.2}, "argument slope=0.2 of hard_sigmoid"),
        ("Std", {"ddof": 1}, "argument ddof=1 of std"),
    ],
)
def test_an_unknown_argument_is_refused_by_name(
    tmp_path: Path, class_name: str, change: dict[str, float], reason: str
) -> None:
    def alter(document: Any) -> None:
        ops(document, class_name)[0]["config"].update(change)

    model = lstm_cli.load(edited(ARGUMENTS, tmp_path, alter))
    inputs, expected = numbers(ARGUMENTS)
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match=reason):
        lstm_cli.run(model, inputs[0])
    trace = lstm_cli.trace(model, inputs[0])  # the operation stands behind the LSTM
    assert isinstance(trace, lstm_cli.Trace)
    found = 1 - trace.h  # the last output of the model
    assert scaled_error(found, expected[-1]) <= FLOAT32


@pytest.mark.parametrize(
    ("class_name", "stands_for"), [("Elu", "Roll"), ("Gelu", "Average"), ("Std", "Dot")]
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_operation_we_do_not_know_is_not_taken_for_a_layer(
    tmp_path: Path, suffix: str, class_name: str, stands_for: str
) -> None:
    def alter(document: Any) -> None:
        ops(document, class_name)[0]["class_name"] = stands_for

    model = lstm_cli.load(edited(ARGUMENTS.with_suffix(suffix), tmp_path, alter))
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match=f"operation '{stands_for}'"):
        lstm_cli.run(model, numbers(ARGUMENTS)[0][0])


def test_operations_under_time_distributed_use_the_axes_of_the_model_inside() -> None:
    path = COMMITTED / "keras3" / "k3.15.1_tensorflow_td_operations.keras"
    inputs, expected = numbers(path)
    found = lstm_cli.run(lstm_cli.load(path), inputs[0])
    assert scaled_error(found, expected[0]) <= FLOAT32


def test_a_layer_that_returns_several_values_shows_them_all() -> None:
    path = COMMITTED / "tfkeras2" / "tf2.15.1_op_arguments.h5"
    inputs, expected = numbers(path)
    found = lstm_cli.run(lstm_cli.load(path), inputs[0], layer="tf.split", named=True)
    assert [array.shape[-1] for array in found.values()] == [1, 2]
    assert scaled_error(found["output_1"], expected[2]) <= FLOAT32
