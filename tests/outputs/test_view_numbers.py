"""The numbers under the browser's cursor: those of the framework, and sums that hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES
from made_models import HARD, cell, one_way, series, two_ways
from view_screens import BRACKETS, SHOWN, TENSORS, Screen, brackets, browse, golden, traced

import lstm_cli
from lstm_cli import Model
from lstm_cli.analysis.cells import cells_of
from lstm_cli.outputs.view_places import find_label, largest_changes
from lstm_cli.outputs.view_state import Viewer
from lstm_cli.outputs.view_step import read_step
from lstm_cli.traces import Trace

GOLDEN = Path(__file__).parent.parent / "golden"
ROUNDING = 1e-12
"""Sums of a few dozen float64 products in another order."""


@pytest.fixture(autouse=True)
def quick_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pilot waits 40 ms and more after each key; ``Screen.settle`` knows when all is done."""
    if wait := sys.modules.get("textual._wait"):
        monkeypatch.setattr(wait, "SLEEP_GRANULARITY", 0.001, raising=False)


def check_panel(screen: Screen, expected: Any, step: int, unit: int, before: float) -> None:
    """All that the panel says about a step, from what the framework computed there.

    Args:
        expected: of every tensor the numbers of one sequence, shape (T, U).
        before: what c was before.
    """
    values = {name: float(expected[name][step, unit]) for name in "ifgoch"}
    for gate in "ifgo":
        *parts, z, value = screen.gate(gate)[:5]
        np.testing.assert_allclose(value, values[gate], atol=SHOWN)
        np.testing.assert_allclose(sum(parts), z, atol=3 * SHOWN)
        done = np.tanh(z) if gate == "g" else 1 / (1 + np.exp(-z))
        np.testing.assert_allclose(value, done, atol=2 * SHOWN)
    found = screen.numbers(f"c[{step}] = f·c[")
    i, f, g = (values[gate] for gate in "ifg")
    np.testing.assert_allclose(found, [f, before, i, g, values["c"]], atol=SHOWN)
    found = screen.numbers(f"h[{step}] = o·tanh(c[{step}]) = ")
    np.testing.assert_allclose(found, [values["o"], np.tanh(values["c"]), values["h"]], atol=SHOWN)


# -- against the framework


def test_the_panel_has_the_framework_s_numbers_at_every_cursor() -> None:
    expected = {name: array[0] for name, array in golden().items() if array.ndim == 3}

    async def steps(screen: Screen) -> None:
        places = [((), 8, 4), (("right", "right"), 10, 4), (("down", "left"), 9, 5)]
        places += [(("home",), 0, 5), (("end", "shift+up"), 68, 0)]
        for keys, step, unit in places:
            await screen.press(*keys)
            before = expected["c"][step - 1, unit] if step else 0.0
            check_panel(screen, expected, step, unit, before)
            previous = step - 1 if step else "init"
            assert screen.line(f"c[{step}] = f·c[{previous}] + i·g = ")
            heading = f"── step {step}  {BRACKETS[step]} ── unit {unit} ── c "
            assert screen.line("── step ").startswith(heading)

    browse(brackets(step=8, unit=4), steps)


def test_numbers_where_steps_are_masked_and_read_backwards() -> None:
    expected = golden("bidirectional")
    model, trace = traced("bidirectional")
    mask = expected["mask"][2].astype(bool)
    last = int(np.flatnonzero(mask)[-1])
    assert last < len(mask) - 1

    def of(part: str) -> dict[str, Any]:
        return {name: expected[f"middle/{part}/{name}"][2] for name in "ifgoch"}

    async def steps(screen: Screen) -> None:
        backward = of("backward")
        check_panel(screen, backward, 0, 1, backward["c"][1, 1])
        assert screen.line("c[0] = f·c[1] + i·g = ")
        await screen.press(*["right"] * last)
        check_panel(screen, backward, last, 1, 0.0)
        await screen.press("end")
        assert "masked: no gate was applied, h and c are carried over" in screen.lines
        assert screen.numbers(f"c[{len(mask) - 1}] = c[init] = ") == [0.0]
        assert screen.line("h[9] of unit 1: 0.0000")
        await screen.press("left_square_bracket")
        carried = of("forward")["c"][last, 1]
        np.testing.assert_allclose(screen.numbers("c[9] = c[8] = "), [carried], atol=SHOWN)
        await screen.press(*["left"] * (len(mask) - 1 - last))
        check_panel(screen, of("forward"), last, 1, of("forward")["c"][last - 1, 1])

    browse(Viewer(cells_of(trace), None, model, cell="middle/backward", sequence=2, unit=1), steps)


def test_the_first_step_reads_the_state_that_was_given() -> None:
    """From the framework's run that began with an h and c of its own."""
    expected = golden("stateful")
    h, c = expected["own_initial_h"], expected["own_initial_c"]
    model = lstm_cli.load(SAMPLES / "stateful.keras")
    state = lstm_cli.State(h, c)
    trace = lstm_cli.trace(model, expected["x"], tensors=TENSORS, initial_state=state)
    after = expected["own_h"], expected["own_c"]

    async def steps(screen: Screen) -> None:
        for sequence in (3, 4):
            i, f, g, o = (screen.gate(gate)[4] for gate in "ifgo")
            found = screen.numbers("c[0] = f·c[init] + i·g = ")
            before, now = c[sequence, 7], after[1][sequence, 0, 7]
            np.testing.assert_allclose(found, [f, before, i, g, now], atol=SHOWN)
            assert abs(before) > 0.01  # else it would be seen in no number
            np.testing.assert_allclose(f * before + i * g, now, atol=2 * SHOWN)
            np.testing.assert_allclose(o * np.tanh(now), after[0][sequence, 0, 7], atol=2 * SHOWN)
            *parts, z, value = screen.gate("i")[:5]
            np.testing.assert_allclose(sum(parts), z, atol=3 * SHOWN)
            np.testing.assert_allclose(value, 1 / (1 + np.exp(-z)), atol=2 * SHOWN)
            await screen.press("full_stop")

    browse(Viewer(cells_of(trace), None, model, sequence=3, unit=7), steps)


@pytest.mark.parametrize(
    "name", ["peepholes", "layer_norm", "projection", "cell_clip", "coupled", "relu"]
)
def test_cells_of_tflite_show_what_its_interpreter_computed(name: str) -> None:
    pytest.importorskip("tflite", reason="the extra 'tflite' is not installed")
    model = lstm_cli.load(GOLDEN / "tflite" / f"operator_{name}.tflite")
    with np.load(GOLDEN / "tflite" / f"operator_{name}.npz") as file:
        x, h = file["x0"], file["y0"]
    trace = lstm_cli.trace(model, x, tensors=TENSORS, direct=True)

    async def steps(screen: Screen) -> None:
        for step in range(4, 6):
            (shown,) = screen.numbers(f"h[{step}] of unit 2: ")
            np.testing.assert_allclose(shown, h[1, step, 2], atol=SHOWN)
            np.testing.assert_allclose(
                screen.numbers(f"h[{step}] = ")[-1], h[1, step, 2], atol=SHOWN
            )
            update = screen.numbers(f"c[{step}] = f·c[{step - 1}] + i·g = ")
            f, before, i, g, c = update[:5]
            np.testing.assert_allclose(f * before + i * g, c, atol=4 * SHOWN * (1 + abs(before)))
            for gate in "ifgo":
                if name == "layer_norm":
                    assert "normalises its pre-activations" in screen.text
                elif (name, gate) == ("coupled", "i"):
                    assert "gate i is 1 - f" in screen.text
                else:
                    count = 4 + (name == "peepholes")
                    *parts, z = screen.gate(gate)[:count]
                    np.testing.assert_allclose(sum(parts), z, atol=4 * SHOWN)
            await screen.press("right")

    size = (140, 30)
    browse(Viewer(cells_of(trace), None, model, sequence=1, step=4, unit=2), steps, size)


# -- against sums that hold


def close(found: float | None, expected: float | None) -> None:
    assert found is not None
    assert expected is not None
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING)


def odd_cells() -> dict[str, Model]:
    chance = np.random.default_rng(5)
    return {
        "peepholes": two_ways(*(cell(k, peepholes=chance.normal(size=(3, 5))) for k in (1, 2))),
        "clips": two_ways(cell(1, clip=0.3), cell(2, clip=0.3, cell_clip=0.4)),
        "projection": two_ways(*(cell(k, projection=chance.normal(size=(5, 4))) for k in (1, 2))),
        "coupled": two_ways(cell(1, coupled="f"), cell(2, coupled="i")),
        "hard": two_ways(cell(1, recurrent_activation=HARD), cell(2, recurrent_activation=HARD)),
    }


@pytest.mark.parametrize("name", odd_cells())
@pytest.mark.parametrize("part", ["forward", "backward"])
def test_parts_sum_to_z_and_states_to_c(name: str, part: str) -> None:
    model = odd_cells()[name]
    mask = np.array([[1, 1, 0, 1, 1, 0], [1, 0, 1, 1, 1, 1]], bool)
    trace = lstm_cli.trace(model, series(2, 6), mask=mask, tensors=TENSORS)
    viewer = Viewer(cells_of(trace), None, model, cell=part, sequence=1, tensor="c")
    for step in range(6):
        for unit in range(5):
            viewer.move(step - viewer.step, unit - viewer.unit)
            numbers = viewer.numbers()
            assert numbers.masked == (not mask[1, step])
            own = trace[part]  # type: ignore[index]
            assert numbers.c == own.c[1, step, unit]
            if numbers.masked:
                assert all(gate.value is None for gate in numbers.gates)
                assert numbers.c == numbers.c_before
                continue
            for gate in numbers.gates:
                if name == "hard" and gate.gate != "g":
                    assert gate.activation == "hard_sigmoid"
                    close(gate.value, float(np.clip(0.2 * (gate.known_z or 0) + 0.5, 0, 1)))
                if gate.split is None:
                    assert "is 1 - " in gate.reason
                    continue
                assert gate.z == getattr(own, f"z_{gate.gate}")[1, step, unit]
                close(gate.split.total, gate.z)
            if not (name == "clips" and part == "backward"):
                close(numbers.update, numbers.c)
            assert (numbers.h is None) == (name == "projection" and unit == 4)
            if name != "projection":
                o = numbers.gate("o").value
                assert o is not None
                assert numbers.squashed is not None
                close(o * numbers.squashed, numbers.h)


def test_a_clipped_memory_is_told() -> None:
    model = one_way(cell(2, cell_clip=0.2))
    trace = lstm_cli.trace(model, series(1, 8))
    assert isinstance(trace, Trace)
    step, unit = np.argwhere(np.abs(trace.c[0]) == 0.2)[0]
    clipped = f"{trace.c[0, step, unit]:.4f}"

    async def steps(screen: Screen) -> None:
        line = screen.line(f"c[{step}] = f·c[")
        assert line.endswith(f" → {clipped}")
        assert not line.endswith(f"= {clipped} → {clipped}")

    browse(Viewer(cells_of(trace), None, model, step=int(step), unit=int(unit)), steps)


# -- what a trace holds


def test_a_trace_alone_says_why_z_is_not_split() -> None:
    expected = golden()
    _, trace = traced("brackets")
    assert isinstance(trace, Trace)
    arrays = {name: np.array(a) for name, a in trace.arrays.items() if name not in ("x", "z_i")}
    bare = Trace(arrays, trace.meta)

    async def steps(screen: Screen) -> None:
        at = screen.text.index("z is not split: the trace lacks kernel, ")
        assert "with --with-input --with-weights\n" in screen.text[at:].replace("\n", " ", 1) + "\n"
        assert screen.numbers("i    ") == [pytest.approx(expected["i"][0, 3, 1], abs=SHOWN)]
        z, value = screen.gate("f")
        np.testing.assert_allclose(value, expected["f"][0, 3, 1], atol=SHOWN)
        np.testing.assert_allclose(value, 1 / (1 + np.exp(-z)), atol=2 * SHOWN)

    browse(Viewer(cells_of(bare), step=3, unit=1), steps)


def test_a_trace_of_some_steps_and_units_has_their_numbers(tmp_path: Path) -> None:
    """Steps 20 to 39 and units 2, 4 and 7 of brackets; labels of the whole input."""
    expected = golden()
    _, trace = traced("brackets")
    assert isinstance(trace, Trace)
    kept = [2, 4, 7]
    arrays = {name: np.array(trace.arrays[name][:, 20:40, kept]) for name in "hcifgo"}
    arrays |= {"initial_c": np.full((1, 3), 9.0), "final_c": np.array(trace.c[:, 39, kept])}
    meta = {**trace.meta, "first_step": 20, "kept_units": kept, "ends_early": True}
    cells = cells_of(Trace(arrays, meta))

    async def steps(screen: Screen) -> None:
        units = [line.split()[0] for line in screen.lines[1:10]]
        assert [unit for unit in units if unit != "│"][:3] == ["2", "4", "7"]
        assert screen.line("── step 20  ) ── unit 4 ── ")
        assert (
            "z is not split: step 19, which the cell read before, was left out (--steps)\n"
            in screen.text
        )
        (c,) = screen.numbers("c[20] = f·c[19] + i·g = ")  # not from the state before step 0
        np.testing.assert_allclose(c, expected["c"][0, 20, 4], atol=SHOWN)
        await screen.press("right")
        found = screen.numbers("c[21] = f·c[20] + i·g = ")
        np.testing.assert_allclose(found[1], expected["c"][0, 20, 4], atol=SHOWN)
        np.testing.assert_allclose(found[-1], expected["c"][0, 21, 4], atol=SHOWN)
        await screen.press("colon")
        await screen.write("40")
        assert screen.message == "step 40: the sequence has steps 20 to 39"
        await screen.press("u")
        await screen.write("7")
        assert screen.line("c[21] of unit 7: ")
        await screen.press("u")
        await screen.write("5")
        assert screen.message == "unit 5: the trace holds units 2, 4, 7"
        await screen.press("J")
        changes = np.diff(expected["c"][0, 20:40][:, kept], axis=0)
        step, unit = np.unravel_index(np.abs(changes).argmax(), changes.shape)
        assert screen.listed[0][:2] == [str(step + 21), str(kept[unit])]
        await screen.press("slash", "right_square_bracket", "enter")
        assert [row[0] for row in screen.listed] == [
            str(k) for k in range(20, 40) if BRACKETS[k] == "]"
        ]
        await screen.press("minus", "plus", "end")
        assert screen.line("c[39] of unit ")

    viewer = Viewer(cells, lambda _: BRACKETS, tensor="c", unit=4)
    browse(viewer, steps, (80, 24))
    assert (viewer.begin, viewer.end) == (20, 40)


def test_a_backward_cell_whose_last_steps_were_left_out() -> None:
    meta = {"layer": "made", "direction": "backward", "first_step": 5, "ends_early": True}
    arrays = {name: np.full((1, 3, 1), 0.5) for name in "hcifgo"}
    ends = {f"{when}_{name}": np.zeros((1, 1)) for when in ("initial", "final") for name in "hc"}
    cells = cells_of(Trace({**arrays, **ends}, meta))
    last, first = (read_step(cells, "", 0, step) for step in (2, 0))
    assert (last.step, last.before, last.c_before) == (7, 8, None)
    assert (first.step, first.before, first.c_before) == (5, 6, 0.5)
    assert "step 8, which" in last.gates[0].reason
    assert [place.start for place in largest_changes(cells[""], "c", 0).found] == []


def test_numbers_without_a_browser() -> None:
    _, trace = traced("brackets")
    numbers = read_step(cells_of(trace), "", 4, 8, label="a").facts()
    expected = golden()
    np.testing.assert_allclose(numbers["c"], expected["c"][0, 8, 4], rtol=1e-5)
    assert (numbers["step_before"], numbers["label"]) == (7, "a")
    assert "lacks kernel" in numbers["gates"]["o"]["not_split"]


# -- what searches find


@pytest.mark.parametrize("backward", [False, True])
def test_changes_are_those_between_steps_in_reading_order(backward: bool) -> None:
    """Across blocks and masked steps, and from the initial state."""
    count, batch = 5000, 2
    mask = np.random.default_rng(3).random((batch, count)) < 0.7
    model = one_way(cell(4, recurrent_activation=HARD), backward)
    state = lstm_cli.State(np.full((batch, 5), 0.3), np.full((batch, 5), 4.0))
    trace = lstm_cli.trace(model, series(batch, count), mask=mask, initial_state=state)
    assert isinstance(trace, Trace)
    real = np.flatnonzero(mask[1])
    for tensor in ("c", "f"):
        values = getattr(trace, tensor)[1][real]
        ordered, steps = (values[::-1], real[::-1]) if backward else (values, real)
        if tensor == "c":
            ordered, steps = np.concatenate([[[4.0] * 5], ordered]), np.concatenate([[-1], steps])
        changes = np.diff(ordered, axis=0)
        largest = np.sort(np.abs(changes).ravel())[::-1]
        (whole,) = cells_of(trace).values()
        found = largest_changes(whole, tensor, 1).found
        size = [abs(float(place.text)) for place in found]
        assert len(size) == 20
        assert size == sorted(size, reverse=True)
        np.testing.assert_allclose(size, largest[: len(size)], atol=SHOWN)
        for place in found:
            (at,) = np.flatnonzero(steps[1:] == place.start)
            np.testing.assert_allclose(float(place.text), changes[at, place.unit], atol=SHOWN)
        (one,) = {place.unit for place in largest_changes(whole, tensor, 1, 2).found}
        assert one == 2


def test_words_are_searched_for_by_parts_and_by_phrases() -> None:
    words = ["the", "plot", "was", "not", "very", "good", "was", "notable"]
    found = [(p.start, p.stop) for p in find_label(words, "was not", 0).found]
    assert found == [(2, 4), (6, 8)]
    assert [p.start for p in find_label(words, "o", 0).found] == [1, 3, 5, 7]
    text = "".join(BRACKETS)
    expected = [k for k in range(len(text)) if text.startswith("a+", k)]
    assert [p.start for p in find_label(BRACKETS, "a+", 0).found] == expected
    with pytest.raises(lstm_cli.UsageError, match="start with --labels"):
        find_label([], "the", 0)
