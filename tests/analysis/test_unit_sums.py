"""Running figures in blocks against NumPy on the whole."""

from __future__ import annotations

import numpy as np
import pytest
from cli_runs import Array

from lstm_cli.analysis.unit_sums import Beyond, Correlation, Extremes, Mean, counted, folded

CUTS: tuple[list[int], ...] = ([], [500], [1, 2, 40, 73, 700], [*range(100, 1000, 100)])


@pytest.fixture(params=["float32", "float64"])
def values(request: pytest.FixtureRequest) -> Array:
    chance = np.random.default_rng(3)
    return (chance.normal(size=(1000, 7)) + np.arange(7) * 100).astype(request.param)


@pytest.mark.parametrize("rows", [1, 2, 31, 32, 33, 65, 127, 1000])
def test_folding(values: Array, rows: int) -> None:
    some = values[:rows].copy()
    np.testing.assert_array_equal(folded(np.minimum, some), some.min(axis=0))
    np.testing.assert_array_equal(folded(np.maximum, some), some.max(axis=0))
    np.testing.assert_array_equal(some, values[:rows])
    np.testing.assert_array_equal(counted(some > 300), (some > 300).sum(axis=0))


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_blocks_give_what_the_whole_gives(values: Array, cuts: list[int]) -> None:
    extremes, mean, beyond = Extremes(7), Mean(7), Beyond(7, 99.5, 300.25)
    logs, alike = Mean(7, np.abs), Correlation(7)
    for block in np.split(values, cuts):
        extremes.add(block)
        beyond.add(block, extremes)
        mean.add(block)
        logs.add(block)
        alike.add(block)

    whole = values.astype(np.float64)
    np.testing.assert_array_equal(extremes.least, whole.min(axis=0))
    np.testing.assert_array_equal(extremes.largest, whole.max(axis=0))
    np.testing.assert_array_equal(extremes.magnitude, np.abs(whole).max(axis=0))
    np.testing.assert_array_equal(extremes.span, np.ptp(whole, axis=0))
    np.testing.assert_array_equal(beyond.low, (whole < 99.5).mean(axis=0))
    np.testing.assert_array_equal(beyond.high, (whole > 300.25).mean(axis=0))
    np.testing.assert_allclose(beyond.outside, beyond.low + beyond.high, rtol=1e-12)
    np.testing.assert_allclose(mean.value, whole.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(logs.value, np.abs(whole).mean(axis=0), rtol=1e-12)
    expected = np.asarray(np.corrcoef(whole.T))
    found = {(j, k): r for j, k, r in alike.pairs(0.0)}
    assert len(found) == 21
    # float32: what a mean of 600 costs of numbers that spread by 1
    tolerance = 2e-4 if values.dtype == np.float32 else 1e-12
    for (j, k), r in found.items():
        np.testing.assert_allclose(r, expected[j, k], rtol=0, atol=tolerance)


def test_pairs_are_sorted_and_constants_have_none() -> None:
    base = np.random.default_rng(0).normal(size=100)
    noisy = base + np.random.default_rng(1).normal(size=100) * 0.1
    alike = Correlation(4)
    alike.add(np.stack([base, np.full(100, 3.0), -base, noisy], axis=1))
    pairs = alike.pairs(0.9)
    assert [pair[:2] for pair in pairs] == [(0, 2), (0, 3), (2, 3)]
    np.testing.assert_allclose(pairs[0][2], -1, atol=1e-12)


def test_units_that_hardly_move_keep_their_digits() -> None:
    """float32 sums know a mean of 1 to 1e-6, which is as much as these units move."""
    chance = np.random.default_rng(5)
    values = (0.999 + 1e-6 * chance.normal(size=(4000, 3))).astype(np.float32)
    alike = Correlation(3)
    for block in np.split(values, [1500]):
        alike.add(block)
    expected = np.asarray(np.corrcoef(values.astype(np.float64).T))
    for j, k, r in alike.pairs(0.0):
        np.testing.assert_allclose(r, expected[j, k], rtol=0, atol=1e-3)


def test_a_wide_cell_is_sampled() -> None:
    values = np.random.default_rng(0).normal(size=(64, 6))
    alike = Correlation(6, most=64 * 36 / 4)
    alike.add(values)
    assert alike.stride == 5
    expected = np.asarray(np.corrcoef(values[::5].T))
    for j, k, r in alike.pairs(0.0):
        np.testing.assert_allclose(r, expected[j, k], atol=1e-12)


def test_equal_is_within() -> None:
    beyond, extremes = Beyond(1, 0.1, 0.9), Extremes(1)
    block = np.array([[0.1], [0.9], [0.05], [0.95]])
    extremes.add(block)
    beyond.add(block, extremes)
    np.testing.assert_array_equal(beyond.low, [0.25])
    np.testing.assert_array_equal(beyond.high, [0.25])
