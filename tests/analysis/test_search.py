"""Steps that resemble a range of steps: against small cases worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, load_npz

import lstm_cli
from lstm_cli import InputError, Trace, Traces, UsageError
from lstm_cli.analysis import search
from lstm_cli.analysis.matching import PackedFeatures, Rules, match
from lstm_cli.analysis.search_report import Found

WAVES = [
    # 0  1  2  3  4  5  6  7  8  9 10 11
    [0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1],
    [0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0],
    [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
]
"""Four units over twelve steps: 1 is on, 0 off."""


def trace(values: Any, tensor: str = "h", **more: Any) -> Trace:
    """A trace of one sequence, units by steps."""
    array = np.asarray(values, np.float32).T[None]
    return Trace({tensor: array, **more}, {})


def find(values: Any, span: tuple[int, int], **options: Any) -> Found:
    return lstm_cli.find(trace(values), span, tensor="h", **options)


def places(found: Found) -> list[tuple[int, int]]:
    return [(hit.start, hit.length) for hit in found.hits]


def test_selected_are_units_on_throughout_and_off_before() -> None:
    """Unit 2 is on in the step before the range, unit 3 is off in it."""
    found = find(WAVES, (1, 4))
    assert found.units == ((0, 1), (1, 1))
    assert found.thresholds == (0.3, 0.3)
    assert found.steps == 12


@pytest.mark.parametrize(
    ("pads", "units"),
    [
        ({"left": 0, "right": 0}, (0, 1, 2)),
        ({"left": 0, "right": 1}, (0, 1)),
        ({"left": 1, "right": 1}, (0, 1)),
        ({"left": 0, "right": 2}, (0,)),
        ({"left": 9, "right": 0}, (0, 1)),
    ],
)
def test_pads_widen_what_must_be_off(pads: dict[str, int], units: tuple[int, ...]) -> None:
    found = find(WAVES, (1, 4), **pads)
    assert tuple(unit for unit, _ in found.units) == units


def test_matches_worked_out_by_hand() -> None:
    """S = {0, 1} in 1:4. How many of S are on: 0 2 2 2 0 1 2 2 0 1 1 1.

    With both: 1:4 and 6:8. With one at least: 1:4 again, 5:8 and 9:12. On throughout and off
    the step before: 1:4 {0, 1}; 6:8 {0}, unit 1 being on at step 5; 5:8 {1}; 9:12 {0, 3}.
    """
    found = find(WAVES, (1, 4))

    hits = [(h.start, h.length, h.shared, h.union, h.selected) for h in found.hits]
    assert hits == [
        (1, 3, 2, 2, True),
        (5, 3, 1, 2, False),
        (6, 2, 1, 2, False),
        (9, 3, 1, 3, False),
    ]
    np.testing.assert_allclose([h.score for h in found.hits], [1, 1 / 2, 1 / 2, 1 / 3])
    assert found.lengths == {2: 1, 3: 3}
    assert found.strict_lengths == {3: 1}


def test_without_pads_all_units_that_are_on_count() -> None:
    """S = {0, 1, 2} in 1:4. How many of S are on: 1 3 3 3 1 1 2 2 0 1 1 1.

    All in 1:4, two in 6:8, one at least in 0:8 and 9:12; throughout 0:8 no unit is on.
    """
    found = find(WAVES, (1, 4), left=0)
    hits = [(h.start, h.length, h.shared, h.union) for h in found.hits]
    assert hits == [
        (1, 3, 3, 3),
        (6, 2, 2, 3),
        (9, 3, 1, 4),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"shortest": 3}, [(1, 3), (5, 3), (9, 3)]),
        ({"exactly": 2}, [(6, 2)]),
        ({"matches": 2}, [(1, 3), (5, 3)]),
    ],
)
def test_lengths_and_numbers_of_matches(
    options: dict[str, int], expected: list[tuple[int, int]]
) -> None:
    assert places(find(WAVES, (1, 4), **options)) == expected


def test_units_below_zero_are_on_too_and_told_apart() -> None:
    values = np.array([[0, 1, 1, 0, -1, -1, 0, 1, 1], [0, -1, -1, 0, -1, -1, 0, -1, -1]])

    both = find(values, (1, 3))
    assert both.units == ((0, 1), (1, -1))
    assert [(h.start, h.length, h.shared, h.union) for h in both.hits] == [
        (1, 2, 2, 2),
        (7, 2, 2, 2),
        (4, 2, 1, 3),
    ]
    assert find(values, (1, 3), sides="above").units == ((0, 1),)
    assert places(find(values, (1, 3), sides="below")) == [(1, 2), (7, 2), (4, 2)]


def test_c_is_looked_at_through_tanh() -> None:
    """tanh 0.31 is 0.3004 and tanh 0.309 is 0.2995, where the threshold is 0.3."""
    values = np.array([[0, 0.31, 0.31, 0], [0, 0.309, 0.309, 0]])
    found = lstm_cli.find(trace(values, "c"), (1, 3))
    assert (found.units, found.thresholds) == (((0, 1),), (0.3,))
    assert lstm_cli.find(trace(values, "g"), (1, 3), tensor="g").units == ((0, 1), (1, 1))


def test_quantiles_give_every_unit_a_threshold_of_its_own() -> None:
    values = np.array([[0, 9, 9, 1, 1, 9, 9, 1], [0, 0.09, 0.09, 0.01, 0.01, 0.09, 0.09, 0.01]])
    found = find(values, (1, 3), quantile=0.5)
    expected = np.quantile(values.astype(np.float32).astype(float), 0.5, axis=1)
    np.testing.assert_allclose(found.thresholds, expected)
    assert places(found) == [(1, 2), (5, 2)]


def test_quantiles_of_many_steps_are_those_of_evenly_spaced_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "SAMPLED_STEPS", 3000)
    values = np.random.default_rng(0).normal(size=(2, 9000)).astype(np.float32)
    values[:, 10:12] = 9.0
    values[:, 9] = 0.0
    found = find(values, (10, 12), quantile=0.7)
    expected = np.quantile(np.abs(values[:, ::3].astype(float)), 0.7, axis=1)
    np.testing.assert_allclose(found.thresholds, expected)


def candidate_runs(counts: list[int], **rules: int) -> list[tuple[int, int, int, int]]:
    """Start, length, level and boundary of the runs that are compared in full.

    ``counts``: how many of the two selected features are on at each step.
    """
    on = np.array([[count > 0, count > 1] for count in counts])
    packed = PackedFeatures(2)
    packed.add(np.packbits(on, axis=1))
    _, found = match([packed], np.array([True, True]), Rules(**rules))
    runs = sorted((m.run for m in found), key=lambda r: (-r.boundary, -r.level, r.start))
    return [(r.start, r.length, r.level, r.boundary) for r in runs]


@pytest.mark.parametrize(
    ("pads", "expected"),
    [
        # At level 2: 1:3 after a step with 0 and before one with 1; 5:7 after 1 and before 0.
        # At level 1: 1:7, which is bounded by steps with 0.
        ({"left": 0, "right": 0}, [(1, 2, 2, 0), (5, 2, 2, 0), (1, 6, 1, 0)]),
        ({"left": 1, "right": 0}, [(1, 2, 2, 2), (1, 6, 1, 1), (5, 2, 2, 1)]),
        ({"left": 0, "right": 1}, [(5, 2, 2, 2), (1, 6, 1, 1), (1, 2, 2, 1)]),
        ({"left": 1, "right": 1}, [(1, 2, 2, 1), (5, 2, 2, 1), (1, 6, 1, 1)]),
    ],
)
def test_candidates_are_preferred_by_how_sharply_they_begin_and_end(
    pads: dict[str, int], expected: list[tuple[int, int, int, int]]
) -> None:
    counts = [0, 2, 2, 1, 1, 2, 2, 0]
    found = candidate_runs(counts, **pads)
    assert sorted(found) == sorted(expected)
    best = candidate_runs(counts, **pads, candidates=1)
    assert best[0][3] == max(run[3] for run in expected if run[2] == 2)
    assert len(best) == 1


def test_a_unit_that_is_always_zero_is_never_on() -> None:
    values = np.array([[0.0] * 6, [0, 1, 1, 0, 1, 1]])
    assert find(values, (1, 3), quantile=0.4).units == ((1, 1),)


def test_runs_end_where_sequences_end() -> None:
    """Two sequences, the first ending as the second begins: one run each, not one over both."""
    values = np.array([[0, 0, 1, 1], [1, 1, 0, 0]], np.float32)[:, :, None]
    found = lstm_cli.find(Trace({"h": values}, {}), (2, 4), tensor="h")
    assert [(h.sequence, h.start, h.length) for h in found.hits] == [(0, 2, 2), (1, 0, 2)]


@pytest.mark.parametrize("kind", ["mask", "lengths"])
def test_steps_that_are_not_real_are_off(kind: str) -> None:
    values = np.array([[0, 1, 1, 0, 1, 1, 1, 1]])
    real = np.array([[True] * 6 + [False] * 2])
    more: dict[str, Any] = {"mask": real} if kind == "mask" else {"lengths": np.array([6])}
    found = lstm_cli.find(trace(values, **more), (1, 3), tensor="h")
    assert places(found) == [(1, 2), (4, 2)]


BLIPS = [0, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("blips", "kept"),
    [
        (0, BLIPS),
        (1, [0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0]),
        (2, [0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0]),
        (3, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0]),
        (4, [0] * 17),
        (40, [0] * 17),
    ],
)
def test_short_runs_count_as_off(blips: int, kept: list[int]) -> None:
    """By hand; a second feature that is always on stays, the third never was."""
    features = PackedFeatures(3)
    rows = np.array([[on, 1, 0] for on in BLIPS], np.uint8)
    for piece in (rows[:6], rows[6:]):  # a run of one and what follows it
        features.add(np.packbits(piece, axis=1))
    features.drop_short_runs(blips)
    always = int(blips < len(BLIPS))
    expected = [[bool(on), bool(always), False] for on in kept]
    np.testing.assert_array_equal(features.rows(0, 17), expected)
    features.drop_short_runs(blips)
    np.testing.assert_array_equal(features.rows(0, 17), expected)


def test_blips_split_no_match_and_select_no_unit() -> None:
    """Of unit 1 nothing but its last two steps stays; of equal matches the longer comes first."""
    values = [[0, 1, 1, 0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 0, 1, 0, 1, 1]]
    assert find(values, (1, 2), left=1).units == ((0, 1), (1, 1))
    found = find(values, (1, 2), left=1, blips=1)
    assert found.units == ((0, 1),)
    assert found.blips == 1
    assert places(found) == [(4, 4), (1, 2)]
    with pytest.raises(InputError, match="no unit of h is on throughout 1:2"):
        find(values, (1, 2), blips=4)


def test_several_traces_are_searched_and_named_by_number() -> None:
    traces = (trace(v) for v in ([[0, 1, 1, 0]], [[0, 0, 0, 0, 1, 1, 1, 0]], [[0, 0]]))
    found = lstm_cli.find(traces, (1, 3), tensor="h")
    assert [(h.source, h.start, h.length) for h in found.hits] == [(1, 4, 3), (0, 1, 2)]
    assert found.steps == 4 + 8 + 2


def test_the_range_may_be_in_any_sequence_of_the_first_trace() -> None:
    values = np.array([[0, 0, 0, 0], [0, 1, 1, 0]], np.float32)[:, :, None]
    found = lstm_cli.find(Trace({"h": values}, {}), (1, 3), sequence=1, tensor="h")
    assert found.hits[0].sequence == 1
    assert found.hits[0].selected


def test_a_motif_far_behind_the_first_block_is_found() -> None:
    motif = np.array([[0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 1, 1]])
    values = np.zeros((3, 10_000), np.float32)
    for start in (100, 4094, 9500):
        values[:, start : start + 5] = motif
    found = find(values, (101, 104))
    assert places(found)[:3] == [(101, 3), (4095, 3), (9501, 3)]
    assert [hit.score for hit in found.hits[:3]] == [1.0, 1.0, 1.0]


def test_the_fast_search_stops_early() -> None:
    values = np.zeros((1, 600_000), np.float32)
    for start in (10, 400_000, 599_000):
        values[0, start : start + 3] = 1
    assert places(find(values, (10, 13), fast=True)) == [(10, 3), (400_000, 3)]
    assert len(places(find(values, (10, 13)))) == 3
    with pytest.raises(UsageError, match="beyond the first 500,000 steps"):
        find(values, (599_000, 599_003), fast=True)


def test_selected_units_of_the_brackets_are_those_that_the_framework_has_on() -> None:
    golden = load_npz(SAMPLES / "brackets.golden.npz")
    on = np.tanh(golden["c"][0]) >= 0.3
    off = np.tanh(golden["c"][0]) <= -0.3
    expected = [(int(u), 1) for u in np.flatnonzero(on[5:10].all(axis=0) & ~on[4])]
    expected += [(int(u), -1) for u in np.flatnonzero(off[5:10].all(axis=0) & ~off[4])]

    found = lstm_cli.find(Trace({"c": golden["c"]}, {}), (5, 10))

    assert found.units == tuple(sorted(expected))
    assert expected


@pytest.mark.parametrize(
    ("span", "options", "message"),
    [
        ((1, 40), {}, "the sequence has steps 0 to 11, the range is 1:40"),
        ((1, 4), {"sequence": 3}, "sequence 3: the trace has sequence 0 alone"),
        ((4, 5), {}, "of 1 unit of h on throughout 4:5 none is off in the 1 step before"),
        ((1, 3), {"right": 3, "threshold": 2.0}, "no unit of h is on throughout 1:3;"),
    ],
)
def test_ranges_that_select_nothing(
    span: tuple[int, int], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        find(WAVES, span, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold: expected above 0, found 0"),
        ({"quantile": 1.0}, "quantile: expected between 0 and 1, found 1"),
        ({"left": -1}, "left: expected at least 0, found -1"),
        ({"blips": -1}, "blips: expected 0 or more, found -1"),
        ({"shortest": 0}, "shortest: expected at least 1, found 0"),
    ],
)
def test_numbers_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        find(WAVES, (1, 4), **options)
    assert message in str(error.value)


def test_one_cell_is_needed() -> None:
    two = Traces({"forward": trace(WAVES), "backward": trace(WAVES)}, {}, {})
    with pytest.raises(UsageError, match="there are forward, backward; choose one"):
        lstm_cli.find(two, (1, 4), tensor="h")


def test_all_traces_have_the_same_units() -> None:
    other = trace(WAVES[:3])
    with pytest.raises(InputError, match="3 units here and 4 where the range is"):
        lstm_cli.find([trace(WAVES), other], (1, 4), tensor="h")


def test_a_trace_without_the_tensor_says_so() -> None:
    with pytest.raises(InputError, match="lacks c"):
        lstm_cli.find(trace(WAVES), (1, 4))
