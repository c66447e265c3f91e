"""Answers to a step and to an impulse: of linear cells by formula, of others by definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_models import U, cell, model_of, one_way, stacked, two_levels, two_ways

import lstm_cli
from lstm_cli import InputError, Trace, UnsupportedFeatureError, UsageError
from lstm_cli.analysis.probe import Answer, Probe, decay, probe_cell, settling
from lstm_cli.model import Activation, Direction, GruCell, LstmCell, Recurrent

ALWAYS = 40.0
"""A bias at which a sigmoid is 1 to the last digit but one."""


def leaky(*keeps: float) -> LstmCell:
    """Units c' = keep c + 0.5 x0 + 2 x1, h = c; a third feature has no weight."""
    units = len(keeps)
    keep = np.array(keeps)
    with np.errstate(divide="ignore"):
        f = np.clip(np.log(keep) - np.log1p(-keep), -ALWAYS, ALWAYS)
    bias = np.concatenate([np.full(units, ALWAYS), f, np.zeros(units), np.full(units, ALWAYS)])
    kernel = np.zeros((3, 4 * units))
    kernel[0, 2 * units : 3 * units], kernel[1, 2 * units : 3 * units] = 0.5, 2.0
    linear = Activation("linear")
    return LstmCell(kernel, np.zeros((units, 4 * units)), bias, activation=linear)


@pytest.mark.parametrize("backward", [False, True])
def test_a_leaky_unit_by_formula(backward: bool) -> None:
    """At rest 0.3 / 0.1; a step of -0.5 in x1 moves it by -1 / 0.1; 0.9^38 < 0.02 < 0.9^37."""
    model = one_way(leaky(0.9, 0.5), backward)
    found = lstm_cli.probe(model, 1, size=-0.5, baseline=[0.2, 0.1, 5.0])
    assert (found.layer, found.feature, found.size, found.steps) == ("lstm", 1, -0.5, 1000)
    np.testing.assert_array_equal(found.baseline, [0.2, 0.1, 5.0])
    (own,) = found.cells
    np.testing.assert_allclose(own.timescale, -1 / np.log([0.9, 0.5]), rtol=1e-12)
    for answer in own.answers.values():
        np.testing.assert_allclose(answer.rest, [3, 0.6], rtol=1e-12)
        np.testing.assert_allclose(answer.drift, 0, atol=1e-12)
        np.testing.assert_allclose(answer.gain, [20, 4], rtol=1e-12)
        np.testing.assert_array_equal(answer.settling, [38, 6])  # 0.5^6 = 1/64 < 0.02
        np.testing.assert_allclose(answer.peak, [-1, -1], rtol=1e-12)
        np.testing.assert_array_equal(answer.peak_step, 0)
        np.testing.assert_allclose(answer.area, [-10, -2], rtol=1e-12)
        # differences of numbers of about 3, of which the smallest are 1e-6
        np.testing.assert_allclose(answer.decay, -1 / np.log([0.9, 0.5]), rtol=1e-6)
    # What lasts is what a step sums up: the area of an impulse is its gain times its size.
    np.testing.assert_allclose(own.answers["c"].area, -0.5 * own.answers["c"].gain, rtol=1e-12)


def test_units_that_keep_everything_or_nothing() -> None:
    """c of the first grows by 2 each step, and by 0.1 alone; the second forgets at once."""
    found = lstm_cli.probe(one_way(leaky(1.0, 0.0)), 1, baseline=[0.2, 0, 0], steps=100)
    c = found.cells[0].answers["c"]
    np.testing.assert_allclose(c.rest, [10.1, 0.1], rtol=1e-12)  # 101 steps until then
    np.testing.assert_allclose(c.drift, [10, 0], atol=1e-12)
    np.testing.assert_allclose(c.gain, [200, 2], rtol=1e-12)
    np.testing.assert_array_equal(c.settling, [np.nan, 1])
    np.testing.assert_allclose(c.area, [200, 2], rtol=1e-12)
    assert c.decay[0] > 1e12
    assert np.isnan(c.decay[1])
    assert found.cells[0].timescale[0] > 1e12


def test_a_feature_without_weight_moves_nothing() -> None:
    for answer in lstm_cli.probe(one_way(leaky(0.9)), 2).cells[0].answers.values():
        for name in ("gain", "settling", "peak", "area"):
            np.testing.assert_array_equal(getattr(answer, name), 0)
        np.testing.assert_array_equal(answer.decay, np.nan)


def by_definition(answer: Answer, unit: int, alone: Any, step: Any, impulse: Any) -> None:
    """One unit's runs, each a list of numbers in the order of reading."""
    moved = [driven - left for driven, left in zip(step, alone, strict=True)]
    np.testing.assert_allclose(answer.gain[unit], moved[-1] / 0.7, atol=1e-12)
    far = max(abs(value - moved[-1]) for value in [0.0, *moved])
    first = next(
        n
        for n in range(len(moved) + 1)
        if all(abs(value - moved[-1]) <= 0.05 * far for value in [0.0, *moved][n:])
    )
    assert answer.settling[unit] == first
    struck = [driven - left for driven, left in zip(impulse, alone, strict=True)]
    peak = max(range(len(struck)), key=lambda t: abs(struck[t]))
    assert answer.peak_step[unit] == peak
    np.testing.assert_allclose(answer.peak[unit], struck[peak], atol=1e-12)
    np.testing.assert_allclose(answer.area[unit], sum(struck), atol=1e-12)


def test_both_directions_by_definition() -> None:
    """Run by hand: the states are carried over, and each direction is struck as it begins."""
    steps, size = 300, 0.7
    model = two_ways(cell(1), cell(2))
    found = lstm_cli.probe(model, 1, size=size, baseline=0.3, steps=steps, band=0.05)
    assert [own.name for own in found.cells] == ["forward", "backward"]
    for own, weights in zip(found.cells, (cell(1), cell(2)), strict=True):
        alone_model = one_way(weights)  # reads the same numbers in the same order
        x = np.full((1, steps, 3), 0.3)
        settled = lstm_cli.trace(alone_model, np.full((1, steps + 1, 3), 0.3))
        assert isinstance(settled, Trace)
        driven, struck = x.copy(), x.copy()
        driven[..., 1] += size
        struck[:, 0, 1] += size
        state = settled.final_state
        runs = [
            lstm_cli.trace(alone_model, each, initial_state=state) for each in (x, driven, struck)
        ]
        for tensor in "hc":
            values = [run.arrays[tensor][0] for run in runs]
            for unit in range(U):
                columns = [value[:, unit].tolist() for value in values]
                by_definition(own.answers[tensor], unit, *columns)


def test_settling_and_decay_by_hand() -> None:
    answers = np.array([[0.0, 1, 5], [3, 1, 0], [1, 1, 5], [2, 1, 0], [2, 1, 5], [2, 1, 0]])
    # The first swings past 2; the second is there at once; the third swings to the end.
    np.testing.assert_array_equal(settling(answers, 0.02), [np.nan, 1, np.nan])
    longer = np.concatenate((answers, np.tile(answers[-1:], (4, 1))))
    np.testing.assert_array_equal(settling(longer, 0.02)[:2], [4, 1])
    assert settling(longer, 0.6)[0] == 2  # 2, 2, 1 and 1 away from the last value
    np.testing.assert_allclose(decay([-8, 4, -2, 1, 0.5]), 1 / np.log(2), rtol=1e-12)
    np.testing.assert_allclose(decay([8, 4, 2, 0, 7]), 1 / np.log(2), rtol=1e-12)
    assert decay([1, 1, 1]) == np.inf
    assert decay([1, 2, 4]) == np.inf
    assert np.isnan(decay([1, 0.5]))
    assert np.isnan(decay([0, 0, 0]))


def test_an_answer_that_rises_first() -> None:
    """1, then -4, which is halved at every step; alone the unit goes on falling from 2."""
    alone = np.array([1.9, 1.8, 1.7, 1.6, 1.5])
    moved = np.array([1, -4, 2, -1, 0.5])

    def run(values: Any) -> Trace:
        column = np.reshape(values, (1, 5, 1))
        rest = {name: np.full((1, 1), 2.0) for name in ("initial_h", "initial_c")}
        return Trace({"h": column, "c": column, "f": np.full((1, 5, 1), 0.5), **rest}, {})

    answer = probe_cell("", run(alone), run(alone + 3), run(alone + moved), 1.5).answers["h"]
    found = [answer.peak[0], answer.peak_step[0], answer.area[0], answer.decay[0]]
    np.testing.assert_allclose(found, [-4, 1, -1.5, 1 / np.log(2)], rtol=1e-12)
    found = [answer.rest[0], answer.drift[0], answer.gain[0], answer.settling[0]]
    np.testing.assert_allclose(found, [2, 0.5, 2, 1], rtol=1e-12)


def test_which_cells_read_the_input() -> None:
    levels = two_levels()
    names = [own.name for own in lstm_cli.probe(levels, 0, steps=20).cells]
    assert names == ["l0/forward", "l0/backward"]
    (one,) = lstm_cli.probe(levels, 0, layer="lstm/l0/backward", steps=20).cells
    assert one.name == "l0/backward"
    with pytest.raises(InputError, match="'lstm/l1' reads other cells"):
        lstm_cli.probe(levels, 0, layer="lstm/l1")
    assert [own.name for own in lstm_cli.probe(stacked(), 0, steps=20).cells] == ["0"]


def test_the_strongest_first_and_the_facts() -> None:
    found = lstm_cli.probe(one_way(leaky(0.5, 0.9, 0.0)), 1)
    (own,) = found.cells
    assert own.strongest("h") == [1, 0, 2]
    facts = found.facts()
    assert isinstance(found, Probe)
    assert [(each["tensor"], each["unit"]) for each in facts["cells"][0]["units"]] == [
        *(("h", unit) for unit in (1, 0, 2)),
        *(("c", unit) for unit in (1, 0, 2)),
    ]
    assert "timescale" not in facts["cells"][0]["units"][0]
    assert facts["cells"][0]["units"][3]["timescale"] == own.timescale[1]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"feature": 3}, InputError, "feature 3: the layer takes features 0 to 2"),
        ({"feature": -1}, InputError, "feature -1: the layer takes features 0 to 2"),
        ({"size": 0.0}, UsageError, "size: expected a number other than 0, found 0"),
        ({"size": np.inf}, UsageError, "size: expected a number other than 0, found inf"),
        ({"steps": 1}, UsageError, "steps: expected at least 2, found 1"),
        ({"baseline": [1.0, 2.0]}, InputError, "baseline: expected one number, or 3; found 2"),
        ({"baseline": np.nan}, InputError, "baseline: expected finite numbers, found NaN"),
        ({"band": 1.0}, UsageError, "band: expected between 0 and 1, found 1"),
        ({"size": 1e308}, InputError, "grows without end at this drive"),
    ],
)
def test_refusals(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        lstm_cli.probe(one_way(leaky(1.0)), **{"feature": 0, "steps": 100, **options})


def test_other_layers_are_refused() -> None:
    gru = GruCell(np.ones((3, 6)), np.ones((2, 6)), None)
    with pytest.raises(UnsupportedFeatureError, match=r"'lstm' \(LSTM\) is no LSTM layer"):
        lstm_cli.probe(model_of(Recurrent((Direction("", (gru,)),))), 0, layer="lstm")
