"""The full-screen browser, driven by its pilot: what it shows is what the framework computed."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, load_npz
from made_models import HARD, cell, one_way, series, two_ways
from numpy.typing import NDArray

import lstm_cli
from lstm_cli import InputError, MissingExtraError, Model, NoSuchNameError, UsageError
from lstm_cli.analysis.cells import cells_of
from lstm_cli.outputs.view_app import ViewApp
from lstm_cli.outputs.view_map import draw_map
from lstm_cli.outputs.view_places import find_label, largest_changes
from lstm_cli.outputs.view_state import Viewer
from lstm_cli.outputs.view_step import read_step
from lstm_cli.traces import Trace, Traces

Array = NDArray[Any]
TENSORS = (*"hcifgo", "z_i", "z_f", "z_g", "z_o", "x")
SHOWN = 6e-5
"""Four decimals, and the rounding of float32."""

ROUNDING = 1e-12
"""Sums of a few dozen float64 products in another order."""

BRACKETS = (SAMPLES / "brackets.labels.txt").read_text().splitlines()


@pytest.fixture(autouse=True)
def quick_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pilot waits 40 ms and more after each key; ``Screen.settle`` knows when all is done."""
    if wait := sys.modules.get("textual._wait"):
        monkeypatch.setattr(wait, "SLEEP_GRANULARITY", 0.001, raising=False)


@cache
def traced(name: str) -> tuple[Model, Trace | Traces]:
    """A sample model and its trace."""
    model = lstm_cli.load(SAMPLES / f"{name}.keras")
    path = SAMPLES / f"{name}.npy"
    if path.exists():
        x = np.load(path)
    else:
        x = np.loadtxt(SAMPLES / f"{name}.csv", skiprows=1, delimiter=",")
    return model, lstm_cli.trace(model, x, tensors=TENSORS)


def brackets(labels: bool = True, **start: Any) -> Viewer:
    model, trace = traced("brackets")
    return Viewer(cells_of(trace), (lambda _: BRACKETS) if labels else None, model, **start)


@cache
def golden(name: str = "brackets") -> dict[str, Array]:
    return load_npz(SAMPLES / f"{name}.golden.npz")


class Screen:
    """An open browser and its pilot."""

    def __init__(self, app: ViewApp, pilot: Any) -> None:
        self.app, self._pilot, self.viewer = app, pilot, app.viewer

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self._pilot.press(key)
            await self.settle()

    async def settle(self) -> None:
        """Until what was asked for is done, and what that asked for is on the screen."""
        for _ in range(3):
            if self.app.is_running and not self.app._exit:
                done = asyncio.Event()
                self.app.call_after_refresh(done.set)
                await asyncio.wait_for(done.wait(), 5)

    async def click(self, column: int, line: int) -> None:
        await self._pilot.click("#map", offset=(column, line))
        await self.settle()

    async def resize(self, width: int, height: int) -> None:
        await self._pilot.resize_terminal(width, height)
        await self.settle()

    @property
    def lines(self) -> list[str]:
        """The whole screen as text."""
        width = self.app.size.width
        rows = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in row)[:width].rstrip() for row in rows]

    def line(self, start: str) -> str:
        """The one line that begins so."""
        (found,) = (line for line in self.lines if line.startswith(start))
        return found

    def numbers(self, start: str) -> list[float]:
        """The decimal numbers of the one line that begins so."""
        return [float(n) for n in re.findall(r"[+-]?\d+\.\d+", self.line(start))]

    @property
    def message(self) -> str:
        return self.app.message

    @property
    def listed(self) -> list[str]:
        options = self.app.query_one("#places").options  # type: ignore[attr-defined]
        return [str(option.prompt).strip() for option in options]


def browse(
    viewer: Viewer, steps: Callable[[Screen], Awaitable[None]], size: tuple[int, int] = (80, 24)
) -> ViewApp:
    """Open the browser, do something in it, and close it."""
    app = ViewApp(viewer, "made.csv")

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.settle()
            await steps(screen)

    asyncio.run(run())
    assert app.return_value is None
    return app


# -- what it shows


def test_the_panel_has_the_framework_s_numbers_at_every_cursor() -> None:
    expected = golden()

    async def steps(screen: Screen) -> None:
        places = [((), 8, 4), (("right", "right"), 10, 4), (("down", "left"), 9, 5)]
        places += [(("home",), 0, 5)]
        for keys, step, unit in places:
            await screen.press(*keys)
            for gate in "ifgo":
                *parts, z, value = screen.numbers(f"{gate} ")
                np.testing.assert_allclose(value, expected[gate][0, step, unit], atol=SHOWN)
                np.testing.assert_allclose(sum(parts), z, atol=3 * SHOWN)
                done = np.tanh(z) if gate == "g" else 1 / (1 + np.exp(-z))
                np.testing.assert_allclose(value, done, atol=2 * SHOWN)
            before = expected["c"][0, step - 1, unit] if step else 0.0
            i, f, g = (expected[gate][0, step, unit] for gate in "ifg")
            c, h = (expected[name][0, step, unit] for name in "ch")
            found = screen.numbers(f"c[{step}] = f·c[{step - 1 if step else 'init'}] + i·g = ")
            np.testing.assert_allclose(found, [f, before, i, g, c], atol=SHOWN)
            found = screen.numbers(f"h[{step}] = o·tanh(c[{step}]) = ")
            np.testing.assert_allclose(
                found, [expected["o"][0, step, unit], np.tanh(c), h], atol=SHOWN
            )
            label = BRACKETS[step]
            assert screen.line("step ").startswith(f"step {step}  {label}  unit {unit}   c ")

    browse(brackets(step=8, unit=4), steps)


def test_gates_are_switched_by_their_letters() -> None:
    expected = golden()

    async def steps(screen: Screen) -> None:
        names = ["cell state", "input gate", "forget gate", "candidate", "output gate"]
        for key, name in zip("cifgoh", [*names, "hidden state"], strict=True):
            await screen.press(key)
            assert screen.lines[0].startswith(f"{key}  {name}   ")
            (shown,) = screen.numbers(f"{key}[30] of unit 2: ")
            np.testing.assert_allclose(shown, expected[key][0, 30, 2], atol=SHOWN)
            if key in "ch":
                low, high = re.findall(r"-?[\d.]+", screen.lines[0].partition("made")[0])
                most = np.abs(expected[key][0]).max()
                np.testing.assert_allclose([float(low), float(high)], [-most, most], rtol=5e-3)

    browse(brackets(step=30, unit=2), steps)


def test_the_map_is_coloured_by_the_values() -> None:
    """Blue below 0, red above, grey at 0; the cursor and its step are marked."""
    c = golden()["c"][0]
    viewer = brackets(tensor="c", step=57, unit=4)
    drawn = draw_map(viewer, 200, 12, 0, colours=True)
    for unit in (0, 4):
        line = drawn.lines[unit]
        for step in (5, 57):
            at = drawn.margin + drawn.axis.cell(step)
            style = next(s.style for s in line.spans[::-1] if s.start <= at < s.end)
            red, _, blue = style.bgcolor.get_truecolor()  # type: ignore[union-attr]
            assert np.sign(int(red) - int(blue)) == np.sign(c[step, unit])
    assert [unit for unit, line in enumerate(drawn.lines) if "◆" in line.plain] == [4]
    cells = drawn.axis.cells
    below = [line.plain for line in drawn.lines[8:]]
    assert below[0].index("▲") in range(drawn.margin + 57 * cells, drawn.margin + 58 * cells)
    assert below[1].split() == [str(step) for step in range(0, 69, 2)]
    assert below[2].split() == BRACKETS


def test_numbers_where_steps_are_masked_and_read_backwards() -> None:
    expected = golden("bidirectional")
    model, trace = traced("bidirectional")
    mask = expected["mask"][2].astype(bool)
    last = int(np.flatnonzero(mask)[-1])
    assert last < len(mask) - 1

    async def steps(screen: Screen) -> None:
        cells = ["bottom/forward", "bottom/backward", "middle/forward", "middle/backward"]
        assert [line.split()[0] for line in screen.lines[1:5]] == cells
        assert "reads backwards" in screen.lines[0]
        assert "░" in screen.lines[1]
        assert screen.lines[1].count("░") % int((~mask).sum()) == 0
        await screen.press("i")
        (shown,) = screen.numbers("i[0] of unit 1: ")
        prefix = "middle/backward"
        np.testing.assert_allclose(shown, expected[f"{prefix}/i"][2, 0, 1], atol=SHOWN)
        c = expected[f"{prefix}/c"][2, :, 1]
        found = screen.numbers("c[0] = f·c[1] + i·g = ")
        np.testing.assert_allclose([found[1], found[-1]], [c[1], c[0]], atol=SHOWN)
        await screen.press("end")
        assert "masked: no gate was applied, h and c are carried over" in screen.lines
        await screen.press("left_square_bracket", *["left"] * (len(mask) - 1 - last))
        assert screen.line("step ").endswith("middle/forward")
        c = expected["middle/forward/c"][2, :, 1]
        np.testing.assert_allclose(screen.numbers(f"c[{last}] = ")[-1], c[last], atol=SHOWN)
        await screen.press("full_stop")
        assert screen.viewer.sequence == 3
        assert "sequence 3 (0 to 5)" in screen.lines[0]

    browse(Viewer(cells_of(trace), None, model, cell="middle/backward", sequence=2, unit=1), steps)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_every_size_has_all_its_parts(size: tuple[int, int]) -> None:
    async def steps(screen: Screen) -> None:
        lines = screen.lines
        assert len(lines) == size[1]
        assert max(map(len, lines)) <= size[0]
        assert lines[0].startswith("h  hidden state")
        text = "\n".join(lines)
        for word in ("◆", "▲", "step 8", "largest", "q quit", "find alike", "c[8] = f·c[7]"):
            assert word in text, word
        assert ("largest products" in text) == (size[0] == 200)
        if size[0] >= 80:
            assert "h[8] of unit 4: -0.8138" in text
        assert text.count("◆") == 1

    browse(brackets(step=8, unit=4), steps, size)


def test_the_window_follows_the_cursor_and_the_screen() -> None:
    model = one_way(cell(1, units=40))
    trace = lstm_cli.trace(model, series(1, 500), direct=True)

    async def steps(screen: Screen) -> None:
        assert re.search(r"\n.*\b39 .*◆", "\n".join(screen.lines))
        (shown,) = screen.numbers("h[499] of unit 39: ")
        np.testing.assert_allclose(shown, trace.h[0, 499, 39], atol=SHOWN)
        await screen.press("minus", "minus", "minus")
        assert "8 steps a column" in screen.lines[0]
        await screen.press("home", "right")
        assert screen.viewer.step == 8
        await screen.press("plus", "equals_sign", "plus", "right")
        assert screen.viewer.step == 9
        await screen.press("pagedown")
        assert 50 < screen.viewer.step < 80
        await screen.resize(200, 50)
        assert sum("◆" in line for line in screen.lines) == 1

    browse(Viewer(cells_of(trace), None, model, step=499, unit=39), steps)


def test_columns_of_several_steps_show_what_stands_out() -> None:
    values = np.zeros((1, 64, 2))
    values[0, 37, 1] = -3.0
    viewer = Viewer(cells_of(Trace({"h": values}, {"layer": "made"})))
    viewer.change_zoom(False, 16)
    viewer.change_zoom(False, 16)
    viewer.change_zoom(False, 16)
    assert viewer.zoom == 4
    drawn = draw_map(viewer, 16 + 3, 6, 0, colours=False)
    assert drawn.lines[1].plain[3:] == "." * 9 + "O" + "." * 6
    assert drawn.place(3 + 9, 1) == (36, 1)


# -- jumping


def test_the_largest_change_of_a_unit_and_of_all() -> None:
    c = golden()["c"][0]
    changes = np.diff(c, axis=0, prepend=0)
    order = np.argsort(-np.abs(changes[:, 4]))

    async def steps(screen: Screen) -> None:
        await screen.press("c", "j")
        for step in order[:2]:
            assert (screen.viewer.step, screen.viewer.unit) == (step, 4)
            assert screen.message.endswith(f", step {step}, unit 4, {changes[step, 4]:+.4f}")
            await screen.press("n")
        await screen.press("N", "N", "N")
        assert screen.message.startswith("20 of 20, ")
        await screen.press("J")
        step, unit = np.unravel_index(np.abs(changes).argmax(), changes.shape)
        assert (screen.viewer.step, screen.viewer.unit) == (step, unit)
        assert screen.listed[0] == f"{step} [{unit}] {changes[step, unit]:+.4f}"

    browse(brackets(unit=4), steps)


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
        found = largest_changes(whole, tensor, 1)
        size = [abs(float(place.text)) for place in found]
        assert size == sorted(size, reverse=True)
        np.testing.assert_allclose(size, largest[: len(size)], atol=SHOWN)
        for place in found:
            (at,) = np.flatnonzero(steps[1:] == place.start)
            np.testing.assert_allclose(float(place.text), changes[at, place.unit], atol=SHOWN)
        (one,) = {place.unit for place in largest_changes(whole, tensor, 1, 2)}
        assert one == 2


def test_a_label_is_searched_for() -> None:
    text = "".join(BRACKETS)

    async def steps(screen: Screen) -> None:
        await screen.press("slash")
        assert "label to search for:" in "\n".join(screen.lines)
        await screen.press("left_square_bracket", "c", "enter")
        assert screen.viewer.step == text.index("[c", 3) == 5
        count = text.count("[c")
        assert screen.message == f"'[c': 1 of {count}, step 5:7, [c"
        expected = [k for k in range(len(text)) if text.startswith("[c", k)]
        assert [int(entry.split()[0]) for entry in screen.listed] == expected
        await screen.press("slash", "q", "enter")
        assert screen.message == "no step has the label 'q'"
        await screen.press("slash", "c", "escape")
        assert (screen.listed, screen.message) == ([], "")
        assert f"h[{screen.viewer.step}] of unit 0: " in "\n".join(screen.lines)

    browse(brackets(), steps)


def test_words_are_searched_for_by_parts_and_by_phrases() -> None:
    words = ["the", "plot", "was", "not", "very", "good", "was", "notable"]
    found = [(p.start, p.stop) for p in find_label(words, "was not", 0)]
    assert found == [(2, 4), (6, 8)]
    assert [p.start for p in find_label(words, "o", 0)] == [1, 3, 5, 7]
    text = "".join(BRACKETS)
    expected = [k for k in range(len(text)) if text.startswith("a+", k)]
    assert [p.start for p in find_label(BRACKETS, "a+", 0)] == expected
    with pytest.raises(UsageError, match="start with --labels"):
        find_label([], "the", 0)


def test_a_marked_range_is_searched_for() -> None:
    """The hits are those of ``find``, without the range itself."""
    _, trace = traced("brackets")
    hits = [hit for hit in lstm_cli.find(trace, (5, 10), tensor="c").hits if not hit.selected]
    assert len(hits) > 1

    async def steps(screen: Screen) -> None:
        await screen.press("enter")
        assert screen.message == "mark a range first: space, then the arrow keys"
        await screen.press("space", *["right"] * 4)
        assert screen.viewer.span == (5, 10)
        assert any("━━━━▲" in line for line in screen.lines)
        assert "marked 5:10" in "\n".join(screen.lines)
        await screen.press("enter")
        assert [int(entry.split()[0]) for entry in screen.listed] == [
            hit.start for hit in hits[: len(screen.listed)]
        ]
        assert screen.viewer.step == hits[0].start
        first = hits[0]
        span = f"{first.start}:{first.start + first.length}"
        assert f"step {span}, score {first.score:.2f}, {first.shared} of " in screen.message
        await screen.press("tab", "tab", "down", "enter")
        assert screen.viewer.step == hits[1].start

    browse(brackets(tensor="c", step=5), steps)


def test_a_range_without_any_unit_is_answered() -> None:
    cells = cells_of(Trace({"h": np.full((1, 9, 2), 0.1)}, {"layer": "made"}))

    async def steps(screen: Screen) -> None:
        await screen.press("space", "enter")
        assert screen.message.startswith("no unit of h is on throughout 3:4")
        assert screen.viewer.step == 3

    browse(Viewer(cells, step=3), steps)


def test_steps_are_gone_to_by_number_and_by_a_click() -> None:
    async def steps(screen: Screen) -> None:
        await screen.press("colon", "9", "enter")
        assert screen.viewer.step == 9
        await screen.press("colon", "6", "9", "enter")
        assert screen.message == "there are steps 0 to 68, none '69'"
        await screen.press("n")
        assert screen.message.startswith("nothing to go through yet")
        drawn = screen.app.drawn
        assert drawn is not None
        at = drawn.margin + drawn.axis.cell(20)
        await screen.click(at, 6)
        assert (screen.viewer.step, screen.viewer.unit) == (20, 6)
        await screen.press("q")
        assert screen.app._exit

    browse(brackets(), steps)


# -- what a trace lacks, and what is unusual


def test_a_trace_alone_says_why_z_is_not_split() -> None:
    expected = golden()
    _, trace = traced("brackets")
    assert isinstance(trace, Trace)
    arrays = {name: np.array(a) for name, a in trace.arrays.items() if name not in ("x", "z_i")}
    bare = Trace(arrays, trace.meta)

    async def steps(screen: Screen) -> None:
        reason = screen.line("z is not split: the trace lacks kernel, ")
        assert "export it with --with-input --with-weights" in reason
        assert screen.numbers("i ") == [pytest.approx(expected["i"][0, 3, 1], abs=SHOWN)]
        z, value = screen.numbers("f ")
        np.testing.assert_allclose(value, 1 / (1 + np.exp(-z)), atol=2 * SHOWN)

    browse(Viewer(cells_of(bare), step=3, unit=1), steps, (160, 30))


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

    async def steps(screen: Screen) -> None:
        assert re.search(r"= -?\d\.\d{4} → -?0\.2000$", screen.line(f"c[{step}] = f·c["))

    browse(Viewer(cells_of(trace), None, model, step=int(step), unit=int(unit)), steps)


def test_the_least_that_can_be_looked_at() -> None:
    cells = cells_of(Trace({"f": np.array([[[0.25], [np.nan]]])}, {"layer": "made"}))

    async def steps(screen: Screen) -> None:
        assert screen.lines[1].startswith("made")
        assert [line for line in screen.lines if line.startswith("f ")][1].endswith(" 0.2500")
        await screen.press("c")
        assert screen.message == "no tensor 'c'; there is: f"
        await screen.press("right", "j")
        assert [line for line in screen.lines if line.startswith("f ")][1].endswith(" nan")
        await screen.press("slash", "x", "enter")
        assert screen.message == "there are no labels to search: start with --labels"

    browse(Viewer(cells), steps)


def test_numbers_without_a_browser() -> None:
    _, trace = traced("brackets")
    numbers = read_step(cells_of(trace), "", 4, 8, label="a").facts()
    expected = golden()
    np.testing.assert_allclose(numbers["c"], expected["c"][0, 8, 4], rtol=1e-5)
    assert (numbers["step_before"], numbers["label"]) == (7, "a")
    assert "lacks kernel" in numbers["gates"]["o"]["not_split"]


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ({"step": 69}, UsageError, "step 69: there are steps 0 to 68"),
        ({"unit": 8}, UsageError, "unit 8: there are units 0 to 7"),
        ({"sequence": 1}, UsageError, "sequence 1: there are sequences 0 to 0"),
        ({"tensor": "q"}, NoSuchNameError, "no tensor 'q'; there is: h, c, i, f, g, o"),
        ({"cell": "q"}, NoSuchNameError, "no cell 'q'"),
    ],
)
def test_where_nobody_can_begin(
    start: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        brackets(**start)


def test_labels_that_do_not_fit() -> None:
    _, trace = traced("brackets")
    with pytest.raises(UsageError, match="expected 69 labels, one a step, found 3"):
        Viewer(cells_of(trace), lambda _: ["a", "b", "c"])
    with pytest.raises(InputError, match="holds no h, c or gates"):
        Viewer(cells_of(Trace({"z_i": np.zeros((1, 2, 1))}, {})))


# -- terminals


def test_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    h = golden()["h"][0]

    async def steps(screen: Screen) -> None:
        shown = screen.lines[5][20 + 3 :]
        assert set(shown) <= set("Oo-.+xX")
        for step, mark in enumerate(shown):
            if abs(h[step, 4]) > 0.9:
                assert mark == ("X" if h[step, 4] > 0 else "O")
        assert not any("◆" in line for line in screen.lines)

    browse(brackets(step=8, unit=4), steps)


def test_the_setting_of_colours_outlives_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    seen: list[Viewer] = []

    def run(app: ViewApp) -> None:
        seen.append(app.viewer)

    monkeypatch.setattr(ViewApp, "run", run)
    _, trace = traced("brackets")
    lstm_cli.view(trace, BRACKETS, tensor="f", unit=2, step=5)
    assert os.environ["NO_COLOR"] == "1"
    assert [(v.tensor, v.unit, v.step, v.label(5)) for v in seen] == [("f", 2, 5, "[")]


def test_without_textual(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> Any:
        return None if name == "textual" else found(name, package)

    monkeypatch.setattr("lstm_cli.outputs.view_start.find_spec", missing)
    _, trace = traced("brackets")
    message = re.escape("the full-screen browser needs textual: pip install 'lstm-cli[view]'")
    with pytest.raises(MissingExtraError, match=message):
        lstm_cli.view(trace)


def test_names_that_would_steer_the_terminal() -> None:
    labels: Sequence[str] = ["\x1b[31m", "[bold]", "\n", *BRACKETS[3:]]
    _, trace = traced("brackets")

    async def steps(screen: Screen) -> None:
        assert screen.line("step ").startswith("step 0  �[31m  unit 0")
        assert not any("\x1b" in line for line in screen.lines)
        await screen.press("right")
        assert screen.line("step ").startswith("step 1  [bold]  unit 0")

    browse(Viewer(cells_of(trace), lambda _: labels), steps)


def test_names_of_cells_are_cut_at_their_beginning() -> None:
    model = two_ways(cell(1), cell(2))
    found = cells_of(lstm_cli.trace(model, series(1, 3)))
    cells = {f"a/very/long/\x1b[31m/address/{name}": c for name, c in found.items()}
    for name, traced_cell in cells.items():
        traced_cell.name = name

    async def steps(screen: Screen) -> None:
        names = [line.split()[0] for line in screen.lines[1:3]]
        assert names == ["…m/address/forward", "…/address/backward"]

    browse(Viewer(cells), steps)


def test_a_low_screen_keeps_the_map() -> None:
    async def steps(screen: Screen) -> None:
        assert sum("◆" in line for line in screen.lines) == 1
        assert not any(line.startswith("c[8] = ") for line in screen.lines)
        await screen.resize(80, 24)
        assert screen.line("c[8] = ")

    browse(brackets(step=8, unit=4), steps, (80, 12))


def test_what_nobody_expected_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is raised after the terminal is as it was; Ctrl-C, too."""
    app = ViewApp(brackets())

    async def run(*keys: str) -> None:
        async with app.run_test() as pilot:
            await pilot.press(*keys)

    asyncio.run(run("ctrl+c"))
    assert isinstance(app.return_value, KeyboardInterrupt)
    monkeypatch.setattr(ViewApp, "run", lambda _: ZeroDivisionError("made"))
    with pytest.raises(ZeroDivisionError, match="made"):
        lstm_cli.view(traced("brackets")[1])
    monkeypatch.undo()
    app = ViewApp(brackets())
    monkeypatch.setattr(app.viewer, "move", lambda *_: 1 // 0)
    asyncio.run(run("right"))
    assert isinstance(app.return_value, ZeroDivisionError)
