"""Windows over a series, and where its first NaN is."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_cli.errors import InputError, UsageError
from lstm_cli.sequences import first_nonfinite, windows


def test_windows_by_hand() -> None:
    series = np.array([[0, 10], [1, 11], [2, 12], [3, 13], [4, 14]])

    np.testing.assert_array_equal(
        windows(series, 3),
        [
            [[0, 10], [1, 11], [2, 12]],
            [[1, 11], [2, 12], [3, 13]],
            [[2, 12], [3, 13], [4, 14]],
        ],
    )
    np.testing.assert_array_equal(
        windows(series, 2, stride=2), [[[0, 10], [1, 11]], [[2, 12], [3, 13]]]
    )
    np.testing.assert_array_equal(windows(series, 5), series[None])
    np.testing.assert_array_equal(windows(series[:, 0], 4), [[0, 1, 2, 3], [1, 2, 3, 4]])
    np.testing.assert_array_equal(windows(series[:, 0], 1, 3), [[0], [3]])


def test_windows_take_no_memory_and_cannot_be_written() -> None:
    series = np.zeros((1000, 2))
    view = windows(series, 500)
    assert view.shape == (501, 500, 2)
    assert np.shares_memory(view, series)
    assert not view.flags.writeable


def test_windows_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r"^the sequence has 10 steps, --window asks for 12$"):
        windows(np.zeros((10, 2)), 12)
    with pytest.raises(InputError, match=r"^the sequence has 1 step, --window asks for 2$"):
        windows(np.zeros((1, 2)), 2)
    with pytest.raises(UsageError, match=r"^--window 0: expected at least 1$"):
        windows(np.zeros((10, 2)), 0)
    with pytest.raises(UsageError, match=r"^--stride -1: expected at least 1$"):
        windows(np.zeros((10, 2)), 2, -1)


def test_first_nonfinite() -> None:
    array = np.zeros((2, 3, 4), np.float32)
    assert first_nonfinite(array) is None
    array[1, 2, 3] = np.inf
    assert first_nonfinite(array) == (1, 2, 3)
    array[1, 0, 1] = np.nan
    assert first_nonfinite(array) == (1, 0, 1)
    array[0, 2, 2] = -np.inf
    assert first_nonfinite(array) == (0, 2, 2)
    assert first_nonfinite(np.array([1, 2])) is None
    assert first_nonfinite(np.array([True])) is None
