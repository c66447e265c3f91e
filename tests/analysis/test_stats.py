"""The health of units: each rule on numbers made for it, and all of it on runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Array
from made_models import HARD, cell, one_way, series, two_ways

import lstm_cli
from lstm_cli import Trace, Traces
from lstm_cli.analysis.cell_figures import LABELS, CellStats
from lstm_cli.analysis.stats import Stats
from lstm_cli.errors import InputError, NoSuchNameError, UsageError

T = 40
WAVE = np.sin(np.arange(T) * 1.9)
"""A unit that does something, and is no twin of a healthy one."""


def made(meta: Mapping[str, Any] | None = None, **units: Mapping[str, Any]) -> Trace:
    """A trace of one sequence whose units differ from a healthy one as said, T steps."""
    arrays: dict[str, list[Array]] = {name: [] for name in "hcifgo"}
    for number, change in enumerate(units.values()):
        healthy = np.sin(np.arange(T) * 0.7 + number) * 0.4
        unit = {"h": healthy, "c": healthy * 2, "g": healthy}
        unit |= dict.fromkeys("ifo", 0.5 + healthy / 2)
        for name, column in arrays.items():
            column.append(np.broadcast_to(change.get(name, unit[name]), T))
    stacked = {name: np.stack(columns, axis=-1)[np.newaxis] for name, columns in arrays.items()}
    return Trace(stacked, {"layer": "lstm", **(meta or {})})


def judged(trace: Any, **cutoffs: Any) -> CellStats:
    (found,) = lstm_cli.stats(trace, **cutoffs).cells.values()
    return found


def labels(trace: Trace, **cutoffs: Any) -> list[tuple[str, ...]]:
    return list(judged(trace, **cutoffs).labels)


# -- labels


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ()),
        ({"h": 0.0}, ("dead",)),
        ({"h": WAVE * 1e-6}, ("dead",)),
        ({"h": WAVE * 2e-6}, ()),
        ({"h": 0.25}, ("constant",)),
        ({"h": 0.25 + WAVE * 2e-6}, ()),
        ({"o": 0.0999}, ("closed", "saturated")),
        ({"o": 0.05 + WAVE * 0.049}, ("closed", "saturated")),
        ({"i": 0.0}, ("no-write", "saturated")),
        ({"i": 0.5, "g": 0.002}, ("no-write",)),
        ({"i": 0.5, "g": 0.0021}, ()),
        ({"f": 0.95, "g": 0.0}, ("frozen", "no-write", "saturated")),
        ({"f": 0.95}, ("saturated",)),
        ({"f": 0.05}, ("memoryless", "saturated")),
        ({"f": np.arange(T) * 0.003}, ()),
        ({"c": 3.01}, ("railed",)),
        ({"c": np.where(np.arange(T) < 2, 0, -4.0)}, ("railed",)),
        ({"c": np.where(np.arange(T) < 3, 0, -4.0)}, ()),
        ({"f": np.where(np.arange(T) < 2, 0.5, 0.91)}, ("saturated",)),
        ({"f": np.where(np.arange(T) < 3, 0.5, 0.91)}, ()),
    ],
)
def test_each_rule(change: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert labels(made(a={}, b=change)) == [(), expected]


def test_every_label_has_a_rule_here() -> None:
    seen = {
        label
        for mark in getattr(test_each_rule, "pytestmark")  # noqa: B009
        for _, found in mark.args[1]
        for label in found
    }
    assert seen | {"twin"} == set(LABELS)


def test_twins() -> None:
    twin = {"h": np.sin(np.arange(T) * 0.7) * -0.2}
    other = {"h": np.sin(np.arange(T) * 0.7) * 0.4 + np.cos(np.arange(T) * 3) * 0.05}
    found = judged(made(a={}, b=twin, c=other))
    assert found.labels == (("twin",), ("twin",), ())
    ((j, k, r),) = found.twins
    assert (j, k) == (0, 1)
    np.testing.assert_allclose(r, -1, atol=1e-12)
    assert judged(made(a={}, b=twin, c=other), twin=0.98).labels == (("twin",),) * 3


def test_few_steps_make_no_twins_and_no_constants() -> None:
    short = Trace({n: a[:, :2] for n, a in made(a={}, b={}).arrays.items()}, {})
    assert judged(short).twins == []
    single = Trace({n: a[:, 3:4] for n, a in made(a={}, b={}).arrays.items()}, {})
    assert judged(single).labels == ((), ())


def test_cut_offs_move_the_rules() -> None:
    trace = made(a={"f": 0.85}, b={"c": 2.5}, c={"g": 0.01, "i": 0.5}, d={"h": WAVE * 1e-3})
    assert labels(trace) == [()] * 4
    assert labels(trace, hi=0.8)[0] == ("saturated",)
    assert labels(trace, rail=2)[1] == ("railed",)
    assert labels(trace, write=0.01)[2] == ("no-write",)
    assert labels(trace, eps=1e-3)[3] == ("dead",)
    assert labels(made(a={"f": np.where(np.arange(T) < 10, 0.5, 0.95)}), share=0.7) == [
        ("saturated",)
    ]


def test_eps_grows_with_the_largest_h_of_the_layer() -> None:
    large = {"h": WAVE * 1000}
    assert labels(made(a=large, b={"h": WAVE[::-1] * 9e-4})) == [(), ("dead",)]


# -- figures


def test_saturation_by_hand() -> None:
    f = np.array([0.05, 0.1, 0.5, 0.9, 0.95, 0.0, 1.0, 0.99, 0.2, 0.3] * 4)
    c = np.array([0.0, 1.4, 1.5, -1.5, -1.4, 2.0, 0.1, 0.2, 0.3, -9.0] * 4)
    found = judged(made(a={"f": f, "c": c, "g": np.tanh(c)}))
    forget = found.saturation["f"]
    np.testing.assert_allclose([forget.left, forget.right, forget.rail], [[0.2], [0.3], [0.2]])
    # tanh(1.472) = 0.9
    for name in "gc":
        sides = found.saturation[name]
        np.testing.assert_allclose([sides.left, sides.right], [[0.2], [0.2]])
    np.testing.assert_allclose(found.railed, [0.1])
    np.testing.assert_allclose(found.mean_f, [f.mean()])
    np.testing.assert_allclose(found.timescale, [-1 / np.log(f.mean())])
    np.testing.assert_array_equal(found.effective, [0.0])


def test_inactivity_is_counted() -> None:
    found = judged(made(a={"h": np.where(np.arange(T) < 30, 0.0, 0.5)}))
    np.testing.assert_allclose(found.inactive, [0.75])
    assert found.labels == ((),)


def by_numpy(trace: Trace, real: Array) -> dict[str, Array]:
    """The figures from their definitions, on the real steps of all sequences at once."""
    arrays = {name: array[real] for name, array in trace.arrays.items() if name in "hcifgo"}
    f = arrays["f"]
    with np.errstate(divide="ignore"):
        return {
            "mean_f": f.mean(axis=0),
            "timescale": -1 / np.log(f.mean(axis=0)),
            "effective": -1 / np.log(f).mean(axis=0),
            "half_life": -np.log(2) / np.log(f.mean(axis=0)),
            "effective_half_life": -np.log(2) / np.log(f).mean(axis=0),
            "largest_h": np.abs(arrays["h"]).max(axis=0),
            "span_h": np.ptp(arrays["h"], axis=0),
            "largest_o": arrays["o"].max(axis=0),
            "largest_write": np.abs(arrays["i"] * arrays["g"]).max(axis=0),
            "least_f": f.min(axis=0),
            "largest_f": f.max(axis=0),
            "railed": (np.abs(arrays["c"]) > 3).mean(axis=0),
            **{f"{g}_left": (arrays[g] < 0.1).mean(axis=0) for g in "ifo"},
            **{f"{g}_right": (arrays[g] > 0.9).mean(axis=0) for g in "ifo"},
            **{f"{g}_rail": np.isin(arrays[g], (0, 1)).mean(axis=0) for g in "ifo"},
        }


MASK = np.random.default_rng(1).uniform(size=(3, 60)) < 0.7
LENGTHS = np.array([60, 12, 31])


@pytest.mark.parametrize("gate", [{}, {"recurrent_activation": HARD}], ids=["sigmoid", "hard"])
@pytest.mark.parametrize(
    "given", [{}, {"mask": MASK}, {"lengths": LENGTHS}], ids=["plain", "masked", "ended"]
)
def test_runs_in_both_directions(gate: dict[str, Any], given: dict[str, Any]) -> None:
    model = two_ways(cell(1, **gate), cell(2, **gate))
    trace = lstm_cli.trace(model, series(3, 60) * 3, **given, initial_state=0.3)
    assert isinstance(trace, Traces)
    real = given.get("mask", np.arange(60) < given.get("lengths", np.full(3, 60))[:, None])

    found = lstm_cli.stats(trace)

    assert list(found.cells) == ["forward", "backward"]
    for name, figures in found.cells.items():
        assert (figures.counted, figures.sequences, figures.steps) == (real.sum(), 3, 60)
        for figure, expected in by_numpy(trace[name], real).items():
            tensor, _, side = figure.partition("_")
            value = (
                getattr(figures.saturation[tensor], side)
                if tensor in "ifo"
                else getattr(figures, figure)
            )
            np.testing.assert_allclose(value, expected, rtol=1e-9, err_msg=figure)
        assert (figures.effective <= figures.timescale).all()
        assert figures.never_forgetting == (figures.timescale > 60).sum()
        np.testing.assert_array_equal(
            figures.quantiles[[0, -1]], np.sort(figures.timescale)[[0, -1]]
        )


def same(found: Stats, expected: Stats) -> None:
    """float64 sums in another order."""
    for name, figures in expected.cells.items():
        other = found.cells[name]
        assert other.labels == figures.labels
        np.testing.assert_allclose(other.timescale, figures.timescale, rtol=1e-12)
        np.testing.assert_array_equal(other.largest_h, figures.largest_h)


def test_blocks_and_traces_and_files_say_the_same(tmp_path: Any, lstm: Any) -> None:
    sample = SAMPLES / "forecaster"
    model = lstm_cli.load(f"{sample}.keras")
    x = np.loadtxt(f"{sample}.csv", delimiter=",", skiprows=1)
    expected = lstm_cli.stats(lstm_cli.trace(model, x))
    lstm("export", f"{sample}.keras", f"{sample}.csv", "-o", tmp_path / "t.h5").succeeded()

    same(lstm_cli.stats(lstm_cli.trace_blocks(model, [x[:256], x[256:]])), expected)
    with lstm_cli.open_trace(tmp_path / "t.h5") as file:
        same(lstm_cli.stats(file), expected)
        assert lstm_cli.stats([file, file]).cells[""].counted == 2 * 732


def test_gates_that_never_open_remember_for_ever() -> None:
    found = judged(made(a={"f": 1.0}, b={"f": 0.0}, c={}))
    np.testing.assert_array_equal(found.timescale[:2], [np.inf, 0])
    np.testing.assert_array_equal(found.effective[:2], [np.inf, 0])
    assert found.never_forgetting == 1
    np.testing.assert_array_equal(found.quantiles[[0, 4]], [0, np.inf])


def test_a_projected_h_is_not_that_of_units() -> None:
    chance = np.random.default_rng(0)
    which = cell(projection=chance.normal(size=(5, 4)))
    trace = lstm_cli.trace(one_way(which), series(2, 30))
    found = judged(trace)
    assert found.is_projected
    assert isinstance(trace, Trace)
    np.testing.assert_array_equal(found.largest_h, np.abs(trace.c).max(axis=(0, 1)))


# -- order, verdict, conditions


def test_the_worst_come_first_and_the_verdict_counts() -> None:
    trace = made(a={}, b={"f": 0.95}, c={"h": 0.0}, d={"o": 0.01})
    found = lstm_cli.stats(trace)
    assert found.cells[""].worst_first() == [2, 3, 1, 0]
    assert found.cells[""].shown_labels(3) == ["closed"]
    assert found.verdict == "3 of 4 units flagged: 1 dead, 1 closed, 2 saturated"
    assert lstm_cli.stats(made(a={})).verdict == (
        "healthy: none of 1 unit is dead, constant, closed, frozen, no-write, railed, memoryless, "
        "saturated or a twin"
    )


@pytest.mark.parametrize(
    ("text", "failing"),
    [
        ("dead>0", {"dead>0": {"": 0.25}}),
        ("dead>0.25", {}),
        ("dead>=0.25, saturated>0.3", {"dead>=0.25": {"": 0.25}, "saturated>0.3": {"": 0.5}}),
        ("saturated_f>0.2", {"saturated_f>0.2": {"": 0.25}}),
        ("flagged>0.7", {"flagged>0.7": {"": 0.75}}),
        ("timescale<1", {}),
        ("no-write>0,nonfinite>0", {}),
    ],
)
def test_conditions(text: str, failing: dict[str, dict[str, float]]) -> None:
    trace = made(a={}, b={"f": 0.95}, c={"h": 0.0}, d={"o": 0.01})
    assert lstm_cli.stats(trace, fail_on=text).failing == failing


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("ded>0", NoSuchNameError, "no figure 'ded'; there is: dead, "),
        ("dead", UsageError, "expected conditions such as 'saturated>0.3,dead>0', found 'dead'"),
        ("dead>x", UsageError, "expected conditions such as 'saturated>0.3,dead>0', found 'dead>x"),
        ("dead>0,", UsageError, "expected conditions such as 'saturated>0.3,dead>0', found ''"),
    ],
)
def test_conditions_that_cannot_be_understood(
    text: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        lstm_cli.stats(made(a={}), fail_on=text)
    assert message in str(error.value)


# -- what is not finite


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_first_nan_is_found_in_the_order_of_reading(direction: str) -> None:
    trace = made({"direction": direction}, a={}, b={})
    arrays = {name: array.copy() for name, array in trace.arrays.items()}
    for step in (7, 8, 20):
        for name in "gcoh":
            arrays[name][0, step, 1] = np.nan
    broken = Trace(arrays, trace.meta)

    found = lstm_cli.stats(broken)

    assert found.nonfinite is not None
    first = found.nonfinite
    assert (first.step, first.tensor, first.units) == (
        7 if direction == "forward" else 20,
        "g",
        (1,),
    )
    assert first.value == "NaN"
    figures = found.cells[""]
    assert (figures.counted, figures.nonfinite_steps) == (37, 3)
    assert np.isfinite(figures.timescale).all()
    assert found.verdict.startswith("broken: the first NaN is in g at step ")
    assert lstm_cli.stats(broken, fail_on="nonfinite>0").failing == {"nonfinite>0": {"": 3 / 40}}


def test_the_first_of_several_blocks() -> None:
    for direction, step in (("forward", 7), ("backward", 25)):
        trace = made({"direction": direction}, a={})
        arrays = {name: array.copy() for name, array in trace.arrays.items()}
        arrays["f"][0, [7, 12, 22, 25], 0] = np.nan
        halves = [
            Trace({n: a[:, k : k + 20] for n, a in arrays.items()}, trace.meta) for k in (0, 20)
        ]
        found = lstm_cli.stats(halves)
        assert found.nonfinite is not None
        assert (found.nonfinite.step, found.cells[""].nonfinite_steps) == (step, 4)


def test_an_overflow_is_traced_to_its_step() -> None:
    """A linear c that doubles every step, until float32 ends."""
    from lstm_cli.model import Activation

    weights = cell(0, 1, 1)
    linear = {"activation": Activation("linear"), "recurrent_activation": Activation("linear")}
    arrays = {"kernel": np.zeros((1, 4)), "recurrent_kernel": np.zeros((1, 4))}
    arrays["bias"] = np.array([1e20, 1e20, 1.0, 1e-30])
    grown = type(weights)(**arrays, **linear)  # type: ignore[arg-type]
    trace = lstm_cli.trace(one_way(grown), np.zeros((1, 5, 1)), dtype="float32")

    found = lstm_cli.stats(trace).nonfinite

    assert found is not None
    # c = 1e20, then 1e40, which is beyond 3.4e38
    assert (found.step, found.tensor, found.value, found.units) == (1, "c", "infinity", (0,))
    np.testing.assert_allclose(found.largest_before, 1e20, rtol=1e-6)
    assert found.hint == "the activation linear has no bound, and c grew to 1e+20 before"


def test_an_input_that_held_nan_is_named() -> None:
    x = series(2, 6)
    x[1, 3, 2] = np.nan
    trace = lstm_cli.trace(one_way(cell()), x, tensors=(*"hcifgo", "x"))
    found = lstm_cli.stats(trace).nonfinite
    assert found is not None
    assert (found.sequence, found.step, found.tensor, found.units) == (1, 3, "x", (2,))
    assert found.hint == "the layer's input held it already"


@pytest.mark.parametrize("state", ["h", "c"])
def test_an_initial_state_that_held_nan_is_named(state: str) -> None:
    given = {"h": np.zeros((1, 3)), "c": np.zeros((1, 3))}
    given[state][0, 1] = np.nan
    trace = lstm_cli.trace(one_way(cell(units=3)), series(1, 6), initial_state=given)

    found = lstm_cli.stats(trace).nonfinite

    assert found is not None
    assert (found.step, found.hint) == (0, "the initial state held it already")


def test_a_run_that_is_all_nan_is_broken_and_not_refused() -> None:
    trace = made(a={}, b={})
    arrays = {name: np.full_like(array, np.nan) for name, array in trace.arrays.items()}
    found = lstm_cli.stats(Trace(arrays, {}), fail_on="nonfinite>0,dead>0")
    assert found.verdict.startswith("broken: the first NaN is in i at step 0, unit 0 and 1 more")
    assert found.failing == {"nonfinite>0": {"": 1.0}}
    figures = found.cells[""]
    assert (figures.counted, figures.nonfinite_steps, figures.labels) == (0, T, ((), ()))
    assert np.isnan([figures.timescale, figures.effective, figures.largest_h]).all()


def test_masked_steps_may_hold_anything() -> None:
    """Gates are NaN where none was applied; that is no fault."""
    trace = lstm_cli.trace(one_way(cell()), series(3, 60), mask=MASK)
    assert lstm_cli.stats(trace).nonfinite is None


# -- what cannot be judged


def test_nothing_to_judge() -> None:
    trace = lstm_cli.trace(one_way(cell()), series(1, 5), mask=np.zeros(5, bool))
    with pytest.raises(InputError, match=r"^there is no step to judge: every step is masked$"):
        lstm_cli.stats(trace)
    with pytest.raises(InputError, match=r"^there are no steps to judge$"):
        lstm_cli.stats([])
    some = lstm_cli.trace(one_way(cell()), series(1, 5), tensors=("h", "f"))
    with pytest.raises(InputError, match=r"^the trace lacks c, i, g, o; keep h, c, i, f, g, o$"):
        lstm_cli.stats(some)
