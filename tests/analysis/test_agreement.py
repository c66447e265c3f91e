"""Our numbers beside expected ones, and rounding told from a real difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Array, load_npz

import lstm_cli
from lstm_cli import InputError, ShapeError
from lstm_cli.analysis.agreement import Agreement, ArrayAgreement, agree
from lstm_cli.analysis.difference_sums import Tolerance


def row(found: Agreement, name: str) -> ArrayAgreement:
    return next(array for array in found.arrays if array.name == name)


def test_figures_worked_out_by_hand() -> None:
    found = agree({"h": np.array([[1.0, 2.5, 4.0]])}, {"h": np.array([[1.0, 2.0, 5.0]])})

    h = row(found, "h")
    assert (h.figures.maximum, h.figures.mean, h.figures.median) == (1.0, 0.5, 0.5)
    assert (h.worst, h.beyond, h.figures.values) == ((0, 2), 2, 3)
    assert np.isnan([h.expected_error, h.found_error]).all()
    assert not found.same


@pytest.mark.parametrize(
    ("expected_error", "found_error", "verdict"),
    [(0.0, 1e-4, "rounding"), (9e-4, 1e-4, "rounding"), (1.2e-3, 1e-4, "different")],
)
def test_rounding_is_as_near_to_the_exact_numbers_as_ours(
    expected_error: float, found_error: float, verdict: str
) -> None:
    """Ours is 1e-4 off the exact 0.5; what is expected lies on the other side of it."""
    exact = np.full((1, 4), 0.5)
    found = agree({"h": exact + found_error}, {"h": exact - expected_error}, {"h": exact})

    h = row(found, "h")
    assert h.verdict == verdict
    np.testing.assert_allclose(h.expected_error, expected_error, atol=1e-15)
    np.testing.assert_allclose(h.found_error, found_error, rtol=1e-10)


def test_what_is_within_the_tolerance_is_equal() -> None:
    found = {"h": np.ones((1, 4), np.float32)}
    assert agree(found, {"h": np.ones((1, 4)) + 9e-6}).same
    assert not agree(found, {"h": np.ones((1, 4)) + 2e-5}).same
    assert agree(found, {"h": np.ones((1, 4)) + 2e-5}, tolerance=Tolerance(3e-5)).same


def test_a_relative_tolerance_holds_value_by_value() -> None:
    found, expected = {"c": np.array([1.1, 100.0])}, {"c": np.array([1.0, 101.0])}
    assert agree(found, expected, tolerance=Tolerance(relative=0.11)).same
    h = row(agree(found, expected, tolerance=Tolerance(relative=0.05)), "c")
    assert h.beyond == 1


def test_nan_where_a_number_is_expected_is_different() -> None:
    found = agree({"h": np.array([[np.nan]])}, {"h": np.array([[1.0]])}, {"h": np.array([[1.0]])})
    assert row(found, "h").verdict == "different"


def test_the_axis_of_one_sequence_may_be_missing() -> None:
    found = agree({"h": np.ones((1, 3, 2))}, {"h": np.ones((3, 2))})
    assert found.same
    with pytest.raises(ShapeError) as error:
        agree({"h": np.ones((2, 3, 2))}, {"h": np.ones((3, 2))})
    assert str(error.value) == (
        "expected array 'h': expected shape (2, 3, 2), as the run gives, found (3, 2)"
    )


def test_names_that_a_run_does_not_give_are_listed() -> None:
    assert agree({"h": np.ones(2)}, {"h": np.ones(2), "other": np.ones(2)}).unchecked == ("other",)
    with pytest.raises(InputError, match="none of the expected other"):
        agree({"h": np.ones(2)}, {"other": np.ones(2)})
    with pytest.raises(InputError, match="h: expected numbers"):
        agree({"h": np.ones(2)}, {"h": np.array(["a", "b"])})


# -- runs of models


def golden(name: str, *inputs: str) -> tuple[Any, dict[str, Array]]:
    arrays = load_npz(SAMPLES / f"{name}.golden.npz")
    given = {key: arrays.pop(key) for key in inputs}
    return (given if len(inputs) > 1 else next(iter(given.values()))), arrays


@pytest.mark.parametrize(
    ("name", "inputs", "count", "unchecked"),
    [
        ("forecaster.keras", ("x",), 9, 0),
        ("brackets.keras", ("x",), 9, 0),
        ("three_steps.h5", ("x",), 11, 2),
        ("bidirectional.keras", ("x",), 51, 1),
        ("encoder_decoder.keras", ("heard", "said"), 17, 0),
        ("stateful.keras", ("x",), 9, 12),
    ],
)
def test_the_samples_give_what_their_framework_gave(
    name: str, inputs: tuple[str, ...], count: int, unchecked: int
) -> None:
    x, expected = golden(name.split(".")[0], *inputs)
    found = lstm_cli.verify(lstm_cli.load(SAMPLES / name), x, expected)
    assert found.same
    assert (len(found.arrays), len(found.unchecked)) == (count, unchecked)


def test_a_wrong_number_is_a_difference_and_too_small_a_tolerance_is_rounding() -> None:
    x, expected = golden("brackets", "x")
    expected["h"] = expected["h"].copy()
    expected["h"][0, 20, 3] += 1e-3
    model = lstm_cli.load(SAMPLES / "brackets.keras")

    assert [(r.name, r.worst) for r in lstm_cli.verify(model, x, expected).arrays if r.worst] == [
        ("h", (0, 20, 3))
    ]
    strict = lstm_cli.verify(model, x, expected, tolerance=1e-9)
    assert row(strict, "h").verdict == "different"
    assert row(strict, "c").verdict == row(strict, "f").verdict == "rounding"


def test_another_precision_and_another_state_are_verified() -> None:
    x, expected = golden("stateful", "x")
    model = lstm_cli.load(SAMPLES / "stateful.keras")
    own = {name: expected[f"own_{name}"] for name in ("output", "h", "c", "final_h", "final_c")}
    start = {name: expected[f"own_initial_{name}"] for name in ("h", "c")}

    assert lstm_cli.verify(model, x, own, initial_state=start).same
    assert not lstm_cli.verify(model, x, own).same
    doubled = lstm_cli.verify(model, x, own, initial_state=start, dtype="float64")
    assert doubled.same
    assert all(r.found_error == 0 for r in doubled.arrays)


def test_what_a_layer_returns_is_verified() -> None:
    x, expected = golden("three_steps", "x")
    model = lstm_cli.load(SAMPLES / "three_steps.keras")
    found = lstm_cli.verify(model, x, {"output": expected["last"]}, layer="lstm")
    assert found.same
    found = lstm_cli.verify(model, x, {"output": expected["sequence"]}, of_trace=True)
    assert found.same


def test_what_is_nan_throughout_is_said_to_prove_nothing() -> None:
    arrays = {"h": np.full((1, 3), np.nan), "c": np.array([[np.nan, 1.0]])}
    found = agree(arrays, arrays)
    assert found.same
    assert found.notes == ("h: no expected value is finite, so that it proves nothing",)
