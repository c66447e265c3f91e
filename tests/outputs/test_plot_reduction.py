"""Long sequences in few columns: nothing that stands out is lost, and memory stays bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm_cli.outputs.reduction import Columns, Reducer, by_column

Array = NDArray[Any]


def reduced(
    values: Array, masked: Array | None = None, most: int = 4096, block: int = 7
) -> Columns:
    reducer = Reducer(values.shape[1], most)
    hidden = np.zeros(len(values), np.bool_) if masked is None else masked
    for start in range(0, len(values), block):
        part = slice(start, start + block)
        reducer.add(values[part], hidden[part])
    return reducer.columns()


def test_columns_by_hand() -> None:
    """Ten steps in at most four columns: of one step, then two, then four."""
    values = np.array([[3, 1, 4, 1, 5, -9, 2, 6, 5, 3]], np.float32).T
    columns = reduced(values, most=4, block=3)

    assert (columns.steps, columns.width, len(columns)) == (10, 4, 3)
    np.testing.assert_array_equal(columns.low[:, 0], [1, -9, 3])
    np.testing.assert_array_equal(columns.high[:, 0], [4, 6, 5])
    np.testing.assert_allclose(columns.means, [2.1], rtol=1e-7)  # one division
    np.testing.assert_array_equal([columns.finite_low[0], columns.finite_high[0]], [-9, 6])
    np.testing.assert_array_equal(columns.farthest_from(0.0)[:, 0], [4, -9, 5])
    np.testing.assert_array_equal(columns.farthest_from(np.array([4.9]))[:, 0], [1, -9, 3])


def test_masked_steps_do_not_count_and_nan_does_not_hide_numbers() -> None:
    values = np.array([[1.0], [50.0], [np.nan], [-2.0], [np.inf], [0.5]])
    masked = np.array([False, True, False, False, False, False])
    columns = reduced(values, masked).within(3)

    np.testing.assert_array_equal(columns.low[:, 0], [1, -2, 0.5])
    np.testing.assert_array_equal(columns.high[:, 0], [1, -2, np.inf])
    np.testing.assert_array_equal(columns.nan[:, 0], [False, True, False])
    np.testing.assert_array_equal(columns.farthest_from(0.0)[:, 0], [1, np.nan, np.inf])
    np.testing.assert_array_equal(columns.masked, [False, False, False])
    np.testing.assert_allclose(columns.means, [-0.5 / 3], rtol=1e-15)  # 1, -2 and 0.5
    np.testing.assert_array_equal([columns.finite_low[0], columns.finite_high[0]], [-2, 1])


def test_a_column_is_masked_only_where_all_its_steps_are() -> None:
    values = np.ones((6, 1), np.float32)
    masked = np.array([True, True, True, False, False, True])
    columns = reduced(values, masked).within(3)
    np.testing.assert_array_equal(columns.masked, [True, False, False])
    np.testing.assert_array_equal(columns.low[:, 0], [np.nan, 1, 1])


@pytest.mark.parametrize("steps", [1, 15, 16, 17, 100, 5000])
@pytest.mark.parametrize("block", [1, 5, 64])
def test_blocks_do_not_matter_and_columns_are_bounded(steps: int, block: int) -> None:
    rng = np.random.default_rng(steps)
    values = rng.normal(size=(steps, 3)).astype(np.float32)
    masked = rng.random(steps) < 0.3
    values[masked] = np.nan
    columns = reduced(values, masked, most=16, block=block)

    assert len(columns) == -(-steps // columns.width) <= 16
    assert columns.width == 1 or len(columns) > 8
    shown = np.where(masked[:, np.newaxis], np.nan, values)
    for number in range(len(columns)):
        part = shown[number * columns.width : (number + 1) * columns.width]
        real = part[~np.isnan(part[:, 0])]
        assert columns.masked[number] == (not len(real))
        if len(real):
            np.testing.assert_array_equal(columns.low[number], real.min(axis=0))
            np.testing.assert_array_equal(columns.high[number], real.max(axis=0))


@pytest.mark.parametrize("begun", [0, 1, 5])
@pytest.mark.parametrize("width", [1, 2, 6, 64, 400])
def test_columns_of_one_width_are_as_numpy_reduces_them(begun: int, width: int) -> None:
    values = np.random.default_rng(width).normal(size=(1003, 7)).astype(np.float32)
    starts = np.arange(begun, 1003, width)
    starts = np.concatenate([[0], starts]) if begun else starts
    for operation in (np.minimum, np.maximum):
        found = by_column(operation, values, starts)
        np.testing.assert_array_equal(found, operation.reduceat(values, starts))


def test_units_are_chosen_in_the_order_asked_for() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    columns = reduced(values).of_units([3, 0])
    np.testing.assert_array_equal(columns.high, values[:, [3, 0]])
    np.testing.assert_array_equal(columns.means, [7, 4])
    np.testing.assert_array_equal(columns.finite_high, [11, 8])
