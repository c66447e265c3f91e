"""Running figures in blocks against NumPy on the whole."""

from __future__ import annotations

import numpy as np
import pytest
from cli_runs import Array

from lstm_cli.analysis.unit_sums import (
    Beyond,
    Correlation,
    Extremes,
    MeanAndLog,
    counted,
    ends_of_all,
    ends_of_units,
    folded,
    minus,
    summed,
)

CUTS: tuple[list[int], ...] = ([], [500], [1, 2, 40, 73, 700], [*range(100, 1000, 100)])


@pytest.fixture(params=["float32", "float64"])
def values(request: pytest.FixtureRequest) -> Array:
    chance = np.random.default_rng(3)
    return (chance.normal(size=(1000, 7)) + np.arange(7) * 100).astype(request.param)


# Of 7 units, 146 rows are folded as one, and 1168 are counted as one.
@pytest.mark.parametrize("rows", [1, 2, 145, 146, 147, 292, 293, 1000])
def test_folding(values: Array, rows: int) -> None:
    some = values[:rows].copy()
    np.testing.assert_array_equal(folded(np.minimum, some), some.min(axis=0))
    np.testing.assert_array_equal(folded(np.maximum, some), some.max(axis=0))
    np.testing.assert_array_equal(minus(some, some[0]), some - some[0])
    np.testing.assert_array_equal(some, values[:rows])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 4096])
def test_sums_of_equal_values_keep_their_digits(rows: int, dtype: str) -> None:
    values = np.tile(np.array([0.1, 0.3, 0.999, 7.0], dtype), (rows, 1))
    # 63 additions, each rounded at 6e-8 of at most the sum.
    tolerance = 4e-6 if dtype != "float64" else 1e-13
    np.testing.assert_allclose(summed(values), rows * values[0].astype(float), rtol=tolerance)


@pytest.mark.parametrize("units", [1, 7, 64, 2000])
@pytest.mark.parametrize("rows", [1, 8, 1167, 1168, 5000])
def test_counting(rows: int, units: int) -> None:
    held = np.random.default_rng(rows).random((rows, units)) < 0.7
    np.testing.assert_array_equal(counted(held), held.sum(axis=0))


def test_counts_of_more_than_a_byte_holds() -> None:
    """3000 rows of 1024 units are counted as 375 rows of eight."""
    np.testing.assert_array_equal(counted(np.ones((3000, 1024), np.bool_)), np.full(1024, 3000))


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_blocks_give_what_the_whole_gives(values: Array, cuts: list[int]) -> None:
    extremes, beyond, alike = Extremes(7), Beyond(7, 99.5, 300.25), Correlation(7)
    for block in np.split(values, cuts):
        own = ends_of_units(block)
        extremes.add(own)
        beyond.add(block, own)
        alike.add(block)

    whole = values.astype(np.float64)
    np.testing.assert_array_equal(extremes.least, whole.min(axis=0))
    np.testing.assert_array_equal(extremes.largest, whole.max(axis=0))
    np.testing.assert_array_equal(extremes.magnitude, np.abs(whole).max(axis=0))
    np.testing.assert_array_equal(extremes.span, np.ptp(whole, axis=0))
    np.testing.assert_array_equal(beyond.low, (whole < 99.5).mean(axis=0))
    np.testing.assert_array_equal(beyond.high, (whole > 300.25).mean(axis=0))
    np.testing.assert_allclose(beyond.outside, beyond.low + beyond.high, rtol=1e-12)
    expected = np.asarray(np.corrcoef(whole.T))
    found = {(j, k): r for j, k, r in alike.pairs(0.0)}
    assert len(found) == 21
    # float32: what a mean of 600 costs of numbers that spread by 1
    tolerance = 2e-4 if values.dtype == np.float32 else 1e-12
    for (j, k), r in found.items():
        np.testing.assert_allclose(r, expected[j, k], rtol=0, atol=tolerance)


GATES = {
    "of all sizes": np.random.default_rng(1).random((5000, 7)),
    "near 1": 1 - 1e-5 * np.random.default_rng(1).random((5000, 7)),
    "too small for a product": 1e-12 * np.random.default_rng(1).random((5000, 7)),
    "1": np.ones((100, 7)),
    "few": np.random.default_rng(1).random((3, 7)),
}


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", GATES)
def test_means_of_gates_and_of_their_logarithms(kind: str, dtype: str, cuts: list[int]) -> None:
    gates = np.maximum(GATES[kind].astype(dtype), np.finfo(dtype).smallest_subnormal)
    mean = MeanAndLog(7)
    for block in np.split(gates, [cut for cut in cuts if cut < len(gates)]):
        mean.add(block, ends_of_units(block))

    doubles = gates.astype(np.float64)
    np.testing.assert_allclose(mean.mean, doubles.mean(axis=0), rtol=1e-12)
    # ln f is off by as much as f is, a rounding of 1; the mean of ln f near 1 is 5e-6.
    np.testing.assert_allclose(mean.mean_log, np.log(doubles).mean(axis=0), rtol=1e-12, atol=1e-15)


def test_logarithms_of_0_and_of_what_is_below() -> None:
    gates = np.full((1000, 3), 0.5)
    gates[400, 1], gates[200:202, 2] = 0.0, -0.5
    mean = MeanAndLog(3)
    mean.add(gates, ends_of_all(gates))
    np.testing.assert_allclose(mean.mean_log[0], np.log(0.5), rtol=1e-12)
    assert mean.mean_log[1] == -np.inf
    assert np.isnan(mean.mean_log[2])


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
    beyond = Beyond(1, 0.1, 0.9)
    block = np.array([[0.1], [0.9], [0.05], [0.95]])
    beyond.add(block, ends_of_units(block))
    np.testing.assert_array_equal(beyond.low, [0.25])
    np.testing.assert_array_equal(beyond.high, [0.25])
