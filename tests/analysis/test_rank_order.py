"""Values in rising order, their ranks and Spearman's ρ: against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from cli_runs import Array

from lstm_cli.analysis.rank_order import LabelRanks, in_order, ranks_of_ordered, spearman

DTYPES = ("float16", "float32", "float64")


def ranks(values: Array) -> Array:
    """Mean of the places that a value and its equals take, by counting."""
    below = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    return np.asarray(below + (equal + 1) / 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_of_any_sign_and_size_are_put_in_order(dtype: str) -> None:
    limits = np.finfo(dtype)
    values = np.array(
        [3, -0.5, limits.max, 0, -limits.max, limits.tiny, np.inf, -2, -limits.tiny, -np.inf, 1],
        dtype,
    )
    ordered, beside = in_order(values, np.arange(11))

    np.testing.assert_array_equal(beside, [9, 4, 7, 1, 8, 3, 5, 10, 0, 2, 6])
    np.testing.assert_array_equal(ordered, values[[9, 4, 7, 1, 8, 3, 5, 10, 0, 2, 6]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_has_no_sign(dtype: str) -> None:
    ordered, _ = in_order(np.array([0.0, -0.0, 1.0, -0.0], dtype), np.arange(4))
    np.testing.assert_array_equal(ranks_of_ordered(ordered), [4, 4, 4, 8])


def test_what_stands_beside_keeps_its_32_bits() -> None:
    largest = 2**32 - 1
    _, beside = in_order(np.array([2.0, -1.0], np.float32), np.array([largest, 0]))
    np.testing.assert_array_equal(beside, [0, largest])


def test_equal_values_share_their_ranks() -> None:
    """1 | 2 2 | 5 5 5: ranks 1, 2.5 and 5, all of them doubled."""
    np.testing.assert_array_equal(
        ranks_of_ordered(np.array([1, 2, 2, 5, 5, 5])), [2, 5, 5, *[10] * 3]
    )
    np.testing.assert_array_equal(ranks_of_ordered(np.array([7.0])), [2])


def test_labels_are_ranked_among_those_that_count() -> None:
    labels = LabelRanks(np.array([9.0, 4.0, np.nan, 4.0, -1.0, 7.0]))
    real = np.array([True, False, True, True, True])
    # 4, 4, -1 and 7 of the steps from 1 on without the one that has none: 2.5 2.5 1 4.
    np.testing.assert_array_equal(labels.among(slice(1, 6), real), [5, 5, 2, 8])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("digits", [0, 1, 3])
def test_spearman_s_rho_is_pearson_s_r_of_the_ranks(dtype: str, digits: int) -> None:
    chance = np.random.default_rng(digits)
    x = chance.normal(size=500).round(digits).astype(dtype)
    y = (x + chance.normal(size=500)).round(digits)

    found = spearman(x, LabelRanks(y).among(slice(0, 500), np.ones(500, np.bool_)))

    np.testing.assert_allclose(found, np.corrcoef(ranks(x), ranks(y))[0, 1], rtol=1e-12)


def test_what_is_constant_has_no_rho() -> None:
    twice = np.array([2, 4, 6])
    assert np.isnan(spearman(np.ones(3, np.float32), twice))
    assert np.isnan(spearman(np.arange(3.0), np.array([4, 4, 4])))
    assert np.isnan(spearman(np.ones(1), np.array([2])))
