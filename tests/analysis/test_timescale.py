"""How long a gate remembers: the formulas, their limits, and those of biases."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_cli.analysis.timescale import (
    bias_timescale,
    effective_timescale,
    half_life,
    quantiles,
    timescale,
)
from lstm_cli.model import Activation

SIGMOID = Activation("sigmoid")


def test_what_is_left_after_a_timescale_is_one_part_in_e() -> None:
    f = np.array([0.2, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(f ** timescale(f), np.exp(-1), rtol=1e-12)
    np.testing.assert_allclose(f ** half_life(timescale(f)), 0.5, rtol=1e-12)


def test_by_hand() -> None:
    np.testing.assert_allclose(timescale(np.array([0.5])), [1.4426950408889634], rtol=1e-12)
    np.testing.assert_allclose(half_life(np.array([1.4426950408889634])), [1.0], rtol=1e-12)


def test_the_ends() -> None:
    np.testing.assert_array_equal(timescale(np.array([0.0, 1.0])), [0, np.inf])
    np.testing.assert_array_equal(effective_timescale(np.array([-np.inf, 0.0])), [0, np.inf])


def test_the_effective_timescale_is_exact_for_a_window_and_never_longer() -> None:
    f = np.random.default_rng(0).uniform(0.01, 1, (50, 6))
    effective = effective_timescale(np.log(f).mean(axis=0))
    np.testing.assert_allclose(np.prod(f, axis=0), np.exp(-50 / effective), rtol=1e-10)
    assert (effective <= timescale(f.mean(axis=0))).all()


def test_quantiles_lie_between_neighbours() -> None:
    values = np.array([4.0, 1.0, 2.0, 10.0])
    np.testing.assert_array_equal(quantiles(values, (0, 0.25, 0.5, 1)), [1, 1.75, 3, 10])
    np.testing.assert_array_equal(quantiles(np.array([7.0]), (0, 0.5, 1)), [7, 7, 7])


def test_quantiles_of_what_never_ends() -> None:
    """Half way between 2 and infinity is infinity; what lies among finite values stays finite."""
    values = np.array([np.inf, 1.0, 2.0, np.inf])
    np.testing.assert_array_equal(
        quantiles(values, (0, 1 / 3, 0.5, 0.75, 1)), [1, 2, np.inf, np.inf, np.inf]
    )


def test_a_fresh_keras_layer() -> None:
    """unit_forget_bias: b = 1, so f = 0.7311 and T = 3.192, half-life 2.213."""
    found = bias_timescale(np.array([1.0]), SIGMOID)
    assert found is not None
    np.testing.assert_allclose(found, [3.192], atol=5e-4)
    np.testing.assert_allclose(half_life(found), [2.213], atol=5e-4)


@pytest.mark.parametrize("steps", [0.5, 3.0, 250.0])
def test_the_bias_that_a_timescale_asks_for(steps: float) -> None:
    """The initialisation of Mahto et al.: b = -ln(exp(1/T) - 1)."""
    bias = -np.log(np.expm1(1 / steps))
    found = bias_timescale(np.array([bias]), SIGMOID)
    assert found is not None
    np.testing.assert_allclose(found, [steps], rtol=1e-12)
    coupled = bias_timescale(np.array([-bias]), SIGMOID, input_bias=True)
    assert coupled is not None
    np.testing.assert_allclose(coupled, [steps], rtol=1e-12)


def test_a_hard_sigmoid_reaches_its_ends() -> None:
    hard = Activation("hard_sigmoid", 0.2, 0.5)
    found = bias_timescale(np.array([-3.0, 0.0, 1.0, 3.0]), hard)
    assert found is not None
    np.testing.assert_allclose(found, [0, -1 / np.log(0.5), -1 / np.log(0.7), np.inf], rtol=1e-12)


def test_extreme_biases_do_not_overflow() -> None:
    found = bias_timescale(np.array([-1000.0, 1000.0]), SIGMOID)
    assert found is not None
    np.testing.assert_allclose(found, [0.001, np.inf], rtol=1e-6)


def test_other_activations_have_none() -> None:
    assert bias_timescale(np.array([1.0]), Activation("relu")) is None
