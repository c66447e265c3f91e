"""c as a sum of what each step wrote and how much of it was kept: by hand, and on runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cli_runs import Array
from made_models import HARD, cell, one_way, series, two_ways

import lstm_cli
from lstm_cli import Trace
from lstm_cli.analysis import retained
from lstm_cli.analysis.cells import cells_of
from lstm_cli.analysis.decomposition import MemorySplit, MemorySummary
from lstm_cli.errors import InputError, NoSuchNameError, UsageError

MASK = np.random.default_rng(1).uniform(size=(3, 30)) < 0.7
LENGTHS = np.array([30, 12, 21])
FIGURES = ("value", "initial", "clipped", "magnitude", "span", "effective_writers", "age")


def split(trace: Any, unit: int, **more: Any) -> MemorySplit:
    found = lstm_cli.why(trace, unit=unit, **more)
    assert isinstance(found, MemorySplit)
    return found


def summary(trace: Any, **more: Any) -> MemorySummary:
    found = lstm_cli.why(trace, **more)
    assert isinstance(found, MemorySummary)
    return found


def by_hand() -> Trace:
    """One unit, three steps: c0 = 2; written 1, -0.5, 0.25; f 0.5, 0.8, 0.5."""
    f, written = np.array([0.5, 0.8, 0.5]), np.array([1.0, -0.5, 0.25])
    c = np.empty(3)
    before = 2.0
    for t in range(3):
        before = c[t] = f[t] * before + written[t]
    arrays = {"f": f, "i": np.ones(3), "g": written, "c": c, "h": c, "o": np.ones(3)}
    arrays = {name: array.reshape(1, 3, 1) for name, array in arrays.items()}
    arrays |= {name: np.full((1, 1), 2.0) for name in ("initial_c", "initial_h")}
    return Trace({**arrays, "final_c": c[-1:, None], "final_h": c[-1:, None]}, {"layer": "lstm"})


def test_by_hand() -> None:
    """c = 0.25 - 0.5·0.5 + 1·0.8·0.5 + 2·0.5·0.8·0.5 = 0.8"""
    found = split(by_hand(), 0)

    np.testing.assert_allclose(found.value, 0.8, rtol=1e-15)
    np.testing.assert_array_equal(found.steps, [2, 1, 0])
    np.testing.assert_allclose(found.kept, [1, 0.5, 0.4], rtol=1e-15)
    np.testing.assert_allclose(found.contributions, [0.25, -0.25, 0.4], rtol=1e-15)
    np.testing.assert_allclose(found.initial, 0.4, rtol=1e-15)
    np.testing.assert_allclose(found.residual, 0, atol=1e-15)
    np.testing.assert_array_equal(found.largest(), [2, 0, 1])
    # Σ|K| = 1.3, ΣK² = 0.445; the latest three hold 0.9 of 1.3, which is 1.17, only with c0
    np.testing.assert_allclose(found.magnitude, 1.3)
    np.testing.assert_allclose(found.effective_writers, 1.69 / 0.445)
    np.testing.assert_allclose(found.age, (0 * 0.25 + 1 * 0.25 + 2 * 0.4 + 3 * 0.4) / 1.3)
    np.testing.assert_allclose(found.cancellation, 0.8 / 1.3)
    assert found.span == 4
    assert split(by_hand(), 0, span_share=0.35).span == 2
    assert split(by_hand(), 0, span_share=0.1).span == 1


def test_the_summary_by_hand() -> None:
    found = summary(by_hand(), step=2)
    np.testing.assert_allclose(found.value, [0.8])
    np.testing.assert_array_equal(found.writer, [0])
    np.testing.assert_allclose(found.largest, [0.4])
    np.testing.assert_array_equal(found.span, [4])
    first = summary(by_hand(), step=0)
    np.testing.assert_allclose([first.initial, first.largest], [[1], [1]])
    assert (first.steps, list(first.writer)) == (1, [0])


def term_by_term(trace: Trace, real: Array, unit: int, step: int, b: int) -> Array:
    """What every step wrote of c at ``step``, and the initial state last; 0 for the others."""
    backward = trace.meta["direction"] == "backward"
    read = range(trace.c.shape[1])
    order = [t for t in (reversed(read) if backward else read) if real[b, t]]
    order = [t for t in order if (t >= step if backward else t <= step)]
    found = np.zeros(trace.c.shape[1] + 1)
    for number, s in enumerate([None, *order]):
        kept = np.prod([trace.f[b, k, unit] for k in order[number:]])
        if s is None:
            found[-1] = kept * trace.initial_c[b, unit]
        else:
            found[s] = trace.i[b, s, unit] * trace.g[b, s, unit] * kept
    return found


@pytest.mark.parametrize("block", [4, 4096])
@pytest.mark.parametrize("gate", [{}, {"recurrent_activation": HARD}], ids=["sigmoid", "hard"])
@pytest.mark.parametrize(
    "given", [{}, {"mask": MASK}, {"lengths": LENGTHS}], ids=["plain", "masked", "ended"]
)
def test_runs_are_split_exactly(
    given: dict[str, Any], gate: dict[str, Any], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terms are the products of the definition, and their sum is c to float64 rounding."""
    monkeypatch.setattr(retained, "BLOCK_STEPS", block)
    model = two_ways(cell(1, **gate), cell(2, **gate))
    trace = lstm_cli.trace(model, series(3, 30), **given, initial_state=0.8)
    real = given.get("mask", np.arange(30) < given.get("lengths", np.full(3, 30))[:, None])
    for name in ("forward", "backward"):
        one = trace[name]  # type: ignore[index]
        for b, step in ((0, 29), (1, 11), (1, 0), (2, 20), (2, 7)):
            whole = summary(trace, cell=name, step=step, sequence=b)
            np.testing.assert_allclose(whole.value, one.c[b, step])
            assert np.abs(whole.residual).max() < 2e-15
            for unit in (0, 3):
                found = split(trace, unit, cell=name, step=step, sequence=b)
                expected = term_by_term(one, real, unit, step, b)
                terms = np.zeros(31)
                terms[found.steps], terms[-1] = found.contributions, found.initial
                np.testing.assert_allclose(terms, expected, rtol=1e-12, atol=1e-18)
                np.testing.assert_allclose(expected.sum(), one.c[b, step, unit], atol=2e-15)
                assert abs(found.residual) < 2e-15
                writer = int(np.abs(expected).argmax())
                assert whole.writer[unit] == (-1 if writer == 30 else writer)
                np.testing.assert_allclose(whole.largest[unit], expected[writer], rtol=1e-12)
                for figure in FIGURES:
                    np.testing.assert_allclose(
                        getattr(whole, figure)[unit], getattr(found, figure), rtol=1e-12, atol=1e-15
                    )


def test_float32_runs_are_split_to_rounding() -> None:
    trace = lstm_cli.trace(one_way(cell()), series(1, 200), dtype="float32")
    found = summary(trace)
    # 200 sums, each rounded to 6e-8 of |c| up to 3
    assert 0 < np.abs(found.residual).max() < 2e-6


def test_a_clip_of_c_is_a_part_of_its_own() -> None:
    which = cell(4, cell_clip=0.7)
    trace = lstm_cli.trace(one_way(which), series(2, 25) * 3, initial_state=0.5)
    assert isinstance(trace, Trace)
    assert (np.abs(trace.c) == 0.7).sum() > 20
    for b, step in ((0, 24), (1, 9)):
        whole = summary(trace, step=step, sequence=b)
        assert np.abs(whole.clipped).max() > 0.01
        assert np.abs(whole.residual).max() < 1e-15
        before = np.concatenate([trace.initial_c[b][None], trace.c[b, :-1]])
        cut = trace.c[b] - (trace.f[b] * before + trace.i[b] * trace.g[b])
        kept = [np.prod(trace.f[b, s + 1 : step + 1], axis=0) for s in range(step + 1)]
        expected = (cut[: step + 1] * kept).sum(axis=0)
        np.testing.assert_allclose(whole.clipped, expected, atol=1e-14)
        np.testing.assert_allclose(
            split(trace, 2, step=step, sequence=b).clipped, expected[2], atol=1e-14
        )


def test_memory_that_nothing_is_left_of_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "BLOCK_STEPS", 16)
    biased = cell(0, bias=np.repeat([0.0, -8.0, 0.0, 0.0], 5))
    trace = lstm_cli.trace(one_way(biased), series(1, 400))
    found = split(trace, 1)
    assert len(found.steps) < 100
    assert abs(found.residual) < 1e-15


def test_nothing_was_written() -> None:
    """A unit that never had anything: figures that are quotients are unknown."""
    trace = by_hand()
    zeros = {n: np.zeros_like(a) if n != "f" else a for n, a in trace.arrays.items()}
    found = split(Trace(zeros, {}), 0)
    assert found.magnitude == 0
    assert len(found.largest()) == 0
    assert np.isnan([found.age, found.cancellation, found.effective_writers]).all()
    assert np.isnan(summary(Trace(zeros, {})).age).all()


def test_the_default_step_is_the_last_that_was_read() -> None:
    trace = lstm_cli.trace(two_ways(cell(1), cell(2)), series(2, 6), lengths=np.array([6, 4]))
    assert split(trace, 0, cell="forward", sequence=1).step == 3
    assert split(trace, 0, cell="backward", sequence=1).step == 0
    assert split(trace, 0, cell="lstm/backward", sequence=1).step == 0  # the whole address


# -- what cannot be explained


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"step": 6}, "step 6: sequence 0 has steps 0 to 5"),
        ({"step": 4, "sequence": 1}, "step 4: sequence 1 has steps 0 to 3"),
        ({"sequence": 2}, "sequence 2: the trace has sequences 0 to 1"),
        ({"unit": 5}, "unit 5: the cell has units 0 to 4"),
    ],
)
def test_places_that_are_not_there(asked: dict[str, int], message: str) -> None:
    trace = lstm_cli.trace(one_way(cell()), series(2, 6), lengths=np.array([6, 4]))
    with pytest.raises(InputError) as error:
        lstm_cli.why(trace, **{"unit": 0, **asked})  # type: ignore[arg-type]
    assert str(error.value) == message


def test_several_cells_ask_for_one() -> None:
    trace = lstm_cli.trace(two_ways(cell(1), cell(2)), series(1, 6))
    message = r"^there are several cells; choose one \(--cell\): forward, backward$"
    with pytest.raises(UsageError, match=message):
        lstm_cli.why(trace)
    with pytest.raises(NoSuchNameError, match=r"^no cell 'sideward'; there is: "):
        lstm_cli.why(trace, cell="sideward")


def test_a_trace_that_was_cut_is_refused() -> None:
    """Its first state is not the one before its first step."""
    trace = lstm_cli.trace(one_way(cell()), series(1, 30))
    assert isinstance(trace, Trace)
    arrays = {n: a[:, 10:] if a.ndim == 3 else a for n, a in trace.arrays.items()}
    with pytest.raises(InputError) as error:
        lstm_cli.why(Trace(arrays, trace.meta), unit=0)
    assert str(error.value) == (
        "at step 0 c is not f times the c before plus i g; the trace is damaged, or was cut with "
        "--steps: export all of it"
    )


def test_a_trace_with_nan_is_refused() -> None:
    trace = lstm_cli.trace(one_way(cell()), series(1, 30))
    assert isinstance(trace, Trace)
    arrays = {name: array.copy() for name, array in trace.arrays.items()}
    arrays["g"][0, 12, 3] = np.inf
    with pytest.raises(InputError, match=r"^step 12 holds NaN or infinity, so that c is no sum;"):
        lstm_cli.why(Trace(arrays, trace.meta), unit=3)


def test_facts_are_plain() -> None:
    facts = split(by_hand(), 0).facts(2)
    assert [writer["step"] for writer in facts["writers"]] == [0, 2]
    assert facts["span"] == 4
    units = summary(by_hand()).facts()["units"]
    assert [unit["unit"] for unit in units] == [0]
    assert cells_of(by_hand())[""].units == 1
