"""Changes of a state at the steps of each symbol, and average precision: by hand, and on runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cli_runs import Array
from made_models import cell, one_way, series, two_ways

import lstm_cli
from lstm_cli import Trace, UsageError
from lstm_cli.analysis import cells, responses
from lstm_cli.analysis.precision import average_precision
from lstm_cli.analysis.ranking import Association
from lstm_cli.analysis.responses import Response


def trace(h: Any, initial: Any, **more: Any) -> Trace:
    values, before = np.array(h, np.float64), np.array(initial, np.float64)
    return Trace({"h": values, "initial_h": before, "final_h": values[:, -1], **more}, {})


def told(run: Any, labels: Any, tensor: str = "h", **more: Any) -> list[Association]:
    more = {"kind": "class", **more}
    found = lstm_cli.rank(run, np.array(labels), tensors=(tensor,), response=True, **more)
    return sorted(found.rows, key=lambda row: row.unit)


def percentile(values: Any, share: float) -> float:
    """Between the two values around it, in proportion."""
    ordered = np.sort(values)
    return float(np.interp(share * (len(ordered) - 1), np.arange(len(ordered)), ordered))


def assert_response(found: Response, values: Any) -> None:
    assert found.n == len(values)
    np.testing.assert_allclose(found.mean, np.mean(values), atol=1e-14)
    bands = [percentile(values, share) for share in (0.09, 0.25, 0.75, 0.91)]
    np.testing.assert_allclose(found[2:], bands, atol=1e-14)


def test_by_hand() -> None:
    """From 0.5 on: 1 3 2 2.5, and from 0 on 0 0 0 4: what a, b, a, b change."""
    run = trace([[[1, 0], [3, 0], [2, 0], [2.5, 4]]], [[0.5, 0]])
    first, second = told(run, ["a", "b", "a", "b"])
    assert list(first.responses) == ["a", "b"]
    a = first.responses["a"]
    assert (a.n, a.mean) == (2, -0.25)
    np.testing.assert_allclose(a[2:], [-0.865, -0.625, 0.125, 0.365], rtol=1e-14)
    assert_response(first.responses["b"], [2, 0.5])
    assert_response(second.responses["a"], [0, 0])
    assert_response(second.responses["b"], [0, 4])


def test_steps_without_a_label_change_nothing_but_what_comes_before() -> None:
    run = trace([[[1], [3], [2], [2.5]]], [[0.5]])
    (row,) = told(run, ["a", "", "b", "b"])
    assert_response(row.responses["a"], [0.5])
    assert_response(row.responses["b"], [-1, 0.5])
    plain = lstm_cli.rank(run, np.array(["a", "", "b", "b"]), tensors=("h",))
    assert plain.rows[0].responses == {}


def by_definition(run: Trace, tensor: str, real: Array, symbols: Array) -> dict[str, list[Array]]:
    """Changes at the real steps, one after another as the cell reads them."""
    found: dict[str, list[Array]] = {}
    steps = range(run.c.shape[1])
    for b in range(len(run.c)):
        before = run.arrays[f"initial_{tensor}"][b]
        for t in reversed(steps) if run.meta["direction"] == "backward" else steps:
            if real[b, t]:
                found.setdefault(str(symbols[b, t]), []).append(run.arrays[tensor][b, t] - before)
                before = run.arrays[tensor][b, t]
    return found


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("ends", ["mask", "lengths", "none"])
@pytest.mark.parametrize("tensor", ["h", "c"])
def test_both_directions(
    monkeypatch: pytest.MonkeyPatch, tensor: str, ends: str, small: bool
) -> None:
    if small:  # blocks of a few steps, one unit at a time
        monkeypatch.setattr(cells.TracedCell.blocks, "__defaults__", (7,))
        monkeypatch.setattr(responses, "GROUP_BYTES", 8)
    chance = np.random.default_rng(6)
    real = np.ones((3, 30), bool)
    more: dict[str, Any] = {}
    if ends == "mask":
        real = chance.uniform(size=(3, 30)) < 0.7
        more = {"mask": real}
    if ends == "lengths":
        more = {"lengths": np.array([30, 14, 21])}
        real = np.arange(30) < more["lengths"][:, None]
    model = two_ways(cell(1), cell(2))
    state = {f"{way}/{s}": np.full((3, 5), 0.5) for way in ("forward", "backward") for s in "hc"}
    run = lstm_cli.trace(model, series(3, 30), initial_state=state, **more)
    symbols = np.array(list("abc"))[chance.integers(3, size=(3, 30))]
    found = lstm_cli.rank(run, symbols, tensors=(tensor,), response=True)
    assert {row.cell for row in found.rows} == {"forward", "backward"}
    for row in found.rows:
        expected = by_definition(run[row.cell], tensor, real, symbols)  # type: ignore[index]
        assert set(row.responses) == {"a", "b", "c"}
        for name, values in expected.items():
            assert_response(row.responses[name], np.array(values)[:, row.unit])
    # All changes together are what became of the initial state.
    for name in ("forward", "backward"):
        own = run[name]  # type: ignore[index]
        rows = sorted((r for r in found.rows if r.cell == name), key=lambda r: r.unit)
        total = [sum(r.n * r.mean for r in row.responses.values()) for row in rows]
        change = own.arrays[f"final_{tensor}"] - own.arrays[f"initial_{tensor}"]
        np.testing.assert_allclose(total, change.sum(axis=0), atol=1e-12)


def test_several_runs_and_a_symbol_in_one_of_them() -> None:
    runs = [trace([[[1], [3]]], [[0]]), trace([[[5], [4]]], [[5]])]
    found = lstm_cli.rank(
        runs, [np.array(["a", "b"]), np.array(["c", "b"])], response=True, tensors=("h",)
    )
    (row,) = found.rows
    assert_response(row.responses["a"], [1])
    assert_response(row.responses["b"], [2, -1])
    assert_response(row.responses["c"], [0])


def test_the_first_step_of_a_cut_trace_tells_nothing() -> None:
    """The state before it was cut away with the steps."""
    whole = lstm_cli.trace(one_way(cell()), series(1, 12))
    assert isinstance(whole, Trace)
    arrays = {name: array[:, 4:] for name, array in whole.arrays.items() if array.ndim == 3}
    ends = {name: array for name, array in whole.arrays.items() if array.ndim == 2}
    cut = Trace({**arrays, **ends}, {**whole.meta, "first_step": 4})
    labels = np.array([*"abab", *"xabxabab"])
    rows = told(cut, labels[4:])
    changes = np.diff(whole.h[0], axis=0)  # of steps 1 to 11
    for row in rows:
        assert_response(row.responses["x"], changes[[6], row.unit])  # not step 4, but 7
        assert_response(row.responses["a"], changes[[4, 7, 9], row.unit])


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        ([1.0, 2.0, 3.0], {"kind": None}, "the label is a number; kind: class"),
        (["a", "b", "a"], {"tensor": "f"}, "a change of h or c; found 'f'"),
        (["a", "b", "a"], {"near_zero": -1.0}, "near zero: expected 0 or more, found -1"),
    ],
)
def test_refusals(labels: list[Any], options: dict[str, Any], said: str) -> None:
    run = Trace({"h": np.zeros((1, 3, 1)), "f": np.zeros((1, 3, 1))}, {})
    with pytest.raises(UsageError, match=said):
        told(run, labels, **options)


def test_labels_of_whole_sequences_are_refused() -> None:
    run = trace([[[1], [3]], [[1], [2]]], [[0], [0]])
    with pytest.raises(UsageError, match="the labels are one a sequence"):
        told(run, ["a", "b"])


# -- average precision


@pytest.mark.parametrize(
    ("values", "hits", "near_zero", "above", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], 0, True, (1 + 2 / 3) / 2),
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], 0, False, (1 / 2 + 2 / 4) / 2),
        ([0.5, 0.5, 0.1], [1, 0, 1], 0, True, (1 / 2 + 2 / 3) / 2),
        ([0.04, -0.04, -1], [1, 0, 0], 0.05, True, 1 / 2),
        ([0.04, -0.04, -1], [1, 0, 0], 0.04, True, 1),
        ([0.04, -0.04, -1], [0, 0, 1], 0.05, False, 1),
        ([1, 2], [0, 0], 0, True, np.nan),
    ],
)
def test_average_precision_by_hand(
    values: list[float], hits: list[int], near_zero: float, above: bool, expected: float
) -> None:
    order = np.argsort(values, kind="stable")
    ordered, told_yes = np.array(values)[order], np.array(hits, bool)[order]
    found = average_precision(ordered, told_yes, near_zero, above)
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_average_precision_of_units() -> None:
    """Against its definition on values without ties; a unit and its negative say the same."""
    chance = np.random.default_rng(8)
    yes = chance.uniform(size=60) < 0.4
    x = chance.normal(size=60) + yes
    values = np.stack([x, -x], axis=1)[None]
    found = lstm_cli.rank(Trace({"h": values}, {}), yes, tensors=("h",), near_zero=0)
    order = np.argsort(-x)
    precision = np.cumsum(yes[order]) / np.arange(1, 61)
    expected = precision[yes[order]].mean()
    for row in found.rows:
        np.testing.assert_allclose(row.figures["ap"], expected, rtol=1e-12)
    zeroed = lstm_cli.rank(Trace({"h": values}, {}), yes, tensors=("h",), near_zero=0.5)
    assert {round(row.figures["ap"], 9) for row in zeroed.rows} != {round(expected, 9)}
    assert zeroed.near_zero == 0.5
