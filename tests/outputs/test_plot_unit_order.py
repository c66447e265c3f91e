"""The order of units in pictures: activity, timescale, similarity."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_cli.outputs.unit_order import Sort, UnitOrder


def order(sort: Sort, values: object, block: int = 5) -> list[int]:
    array = np.asarray(values)
    found = UnitOrder(sort, array.shape[1])
    for start in range(0, len(array), block):
        found.add(array[start : start + block])
    return found.order()


def test_activity_is_mean_magnitude_and_ties_keep_their_order() -> None:
    h = [[0.1, -0.9, 0.5, 0.1], [0.1, 0.7, -0.5, -0.1]]  # means of |h|: 0.1, 0.8, 0.5, 0.1
    assert order("activity", h) == [1, 2, 0, 3]


def test_timescale_is_the_mean_forget_gate() -> None:
    f = [[0.5, 0.9, 0.99], [0.7, 0.8, 0.1]]  # means 0.6, 0.85, 0.545
    assert order("timescale", f) == [1, 0, 2]


@pytest.mark.parametrize("block", [7, 1000])
def test_similarity_finds_the_order_of_shifted_waves(block: int) -> None:
    """The correlation of two cosines is the cosine of their shift: it falls with the distance.

    Far from 0, where sums of squares would leave nothing of it.
    """
    step = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    shifts = np.array([1.2, 0.0, 2.8, 0.6, 2.0])  # less than half a period
    waves = 1e8 + 3 * np.cos(step[:, np.newaxis] - shifts)
    found = order("similarity", waves, block)
    assert found in ([1, 3, 0, 4, 2], [2, 4, 0, 3, 1])


def test_opposite_units_stand_at_opposite_ends_and_constant_ones_last() -> None:
    up = np.linspace(-1, 1, 50)
    wave = np.sin(7 * up)
    units = np.stack([np.full(50, 0.3), up, -wave, up + 0.1 * wave, wave, -up], axis=1)
    found = order("similarity", units)
    assert found[-1] == 0
    places = [found.index(unit) for unit in range(6)]
    assert abs(places[1] - places[3]) == 1
    assert {found[0], found[4]} == {2, 5} or abs(places[1] - places[5]) >= 3


def test_steps_that_are_not_finite_are_ignored() -> None:
    assert order("activity", [[np.nan, 9.0], [0.2, 0.1]]) == [0, 1]
    assert order("similarity", np.zeros((0, 3))) == [0, 1, 2]
