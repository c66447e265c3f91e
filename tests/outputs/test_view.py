"""The full-screen browser, driven by its pilot: what is on the screen, and what keys do."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from made_models import cell, one_way, series, two_ways
from view_screens import BRACKETS, SHOWN, Screen, brackets, browse, golden, made, traced

import lstm_cli
from lstm_cli import InputError, MissingExtraError, NoSuchNameError, UsageError
from lstm_cli.analysis.cells import cells_of
from lstm_cli.outputs.view_app import ViewApp
from lstm_cli.outputs.view_keys import GROUPS
from lstm_cli.outputs.view_map import draw_map
from lstm_cli.outputs.view_state import Viewer
from lstm_cli.traces import Trace

MAP_AT_TOP = 1
"""The map begins in the second line of the screen."""


@pytest.fixture(autouse=True)
def quick_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pilot waits 40 ms and more after each key; ``Screen.settle`` knows when all is done."""
    if wait := sys.modules.get("textual._wait"):
        monkeypatch.setattr(wait, "SLEEP_GRANULARITY", 0.001, raising=False)


# -- the map


def test_gates_are_switched_by_their_letters() -> None:
    expected = golden()

    async def steps(screen: Screen) -> None:
        names = ["cell state", "input gate", "forget gate", "candidate", "output gate"]
        for key, name in zip("cifgoh", [*names, "hidden state"], strict=True):
            await screen.press(key)
            assert f"  {name}" in screen.lines[0]
            (shown,) = screen.numbers(f"{key}[30] of unit 2: ")
            np.testing.assert_allclose(shown, expected[key][0, 30, 2], atol=SHOWN)
            if key in "ch":
                low, high = re.findall(r"-?\d[\d.]*", screen.lines[0].partition("made")[0])
                most = np.abs(expected[key][0]).max()
                np.testing.assert_allclose([float(low), float(high)], [-most, most], rtol=5e-3)

    browse(brackets(step=30, unit=2), steps)


def test_the_map_is_coloured_by_the_values() -> None:
    """Blue below 0, red above, grey at 0; the cursor and its step are marked."""
    c, f = golden()["c"][0], golden()["f"][0]
    viewer = brackets(tensor="c", step=57, unit=4)
    drawn = draw_map(viewer, 200, 19, 0, colours=True)

    def back(line: int, step: int) -> Any:
        at = drawn.margin + drawn.axis.cell(step)
        spans = drawn.lines[line].spans[::-1]
        style: Any = next(s.style for s in spans if s.start <= at < s.end)
        return style.bgcolor.get_truecolor()

    for unit in (0, 4):
        for step in (5, 57):
            red, _, blue = back(unit, step)
            assert np.sign(int(red) - int(blue)) == np.sign(c[step, unit])
    cells = drawn.axis.cells
    below = [line.plain for line in drawn.lines[8:]]
    assert below[0].index("▲") in range(drawn.margin + 57 * cells, drawn.margin + 58 * cells)
    assert below[1].split() == [str(step) for step in range(0, 69, 2)]
    assert below[2].split() == BRACKETS

    # a line for each tensor of unit 4, on scales of their own
    assert below[3].strip() == "all of unit 4"
    assert [line.split()[0] for line in below[4:]] == list("hcifgo")
    assert drawn.tensors == ("h", "c", "i", "f", "g", "o")
    assert [drawn.tensor(k) for k in (11, 12, 17, 18)] == [None, "h", "o", None]
    order = [int(f[:, 4].argmin()), int(f[:, 4].argmax())]
    dark, bright = (sum(back(-3, step)[:2]) for step in order)  # dark at 0, yellow at 1
    assert dark < bright == 253 + 231


def test_the_cursor_is_seen_across_all_units() -> None:
    drawn = draw_map(brackets(tensor="c", step=57, unit=4), 80, 19, 0, colours=True)
    at = drawn.lines[4].plain.index("◆")
    assert [line.plain[at] for line in drawn.lines[:8]] == [*"││││◆│││"]
    assert [line.plain[at] for line in drawn.lines[-6:]] == [*"│◆││││"]
    number = next(s for s in drawn.lines[4].spans if s.start == 0)
    assert "reverse" in str(number.style)
    (label,) = drawn.lines[10].spans
    assert (drawn.lines[10].plain[label.start : label.end], label.style) == ("(", "reverse bold")
    assert label.start == at


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (100, 30), (200, 50)])
def test_every_size_has_all_its_parts(size: tuple[int, int]) -> None:
    async def steps(screen: Screen) -> None:
        lines, text = screen.lines, screen.text
        assert len(lines) == size[1]
        assert max(map(len, lines)) <= size[0]
        for word in ("▲", "── step 8 ", "change", "? help", "q quit", "hidden state"):
            assert word in text, word
        assert "h[8] of unit 4: -0.8138" in text
        assert ("all of unit 4" in text) == (size[1] >= 30)
        assert ("largest products" in text) == (size[0] >= 100)
        assert text.count("◆") == 1 + (size[1] >= 30)
        for gate in "ifgo":  # whole, with the same sum at every size
            *parts, z, _ = screen.gate(gate)[:5]
            np.testing.assert_allclose(sum(parts), z, atol=3 * SHOWN)
        assert screen.line("c[8] = ").endswith(" = -1.1395")
        assert screen.line("h[8] = ").endswith(" = -0.8138")

    browse(brackets(step=8, unit=4), steps, size)


def test_the_window_follows_the_cursor_and_the_screen() -> None:
    model = one_way(cell(1, units=40))
    trace = lstm_cli.trace(model, series(1, 500), direct=True)

    async def steps(screen: Screen) -> None:
        assert re.search(r"\n.*\b39 .*◆", screen.text)
        (shown,) = screen.numbers("h[499] of unit 39: ")
        np.testing.assert_allclose(shown, trace.h[0, 499, 39], atol=SHOWN)
        await screen.press("minus", "minus", "minus")
        assert "8 steps a column" in screen.lines[0]
        await screen.press("home", "right")
        assert screen.viewer.step == 8
        first = screen.line("h[8] of unit 39: ")
        column = trace.h[0, 8:16, 39]
        most = float(column[np.abs(column).argmax()])
        assert first.endswith(f"column 8:16 shows {most:.4f}")
        await screen.press("plus", "equals_sign", "plus", "right")
        assert screen.viewer.step == 9
        await screen.press("pagedown")
        assert 50 < screen.viewer.step < 90
        await screen.press("shift+left", "shift+up")
        assert screen.viewer.unit == 29
        await screen.resize(200, 50)
        assert "all of unit 29" in screen.text
        assert sum("◆" in line for line in screen.lines) == 2

    browse(Viewer(cells_of(trace), None, model, step=499, unit=39), steps)


def test_a_jump_has_steps_on_both_sides() -> None:
    viewer = made(h=np.zeros((1, 500, 1)))
    seen = []
    for move in (99, 1, 1, 200, -60, 500):
        viewer.move(move)
        seen.append(viewer.window(100).first_step)
    assert seen == [0, 1, 2, 251, 191, 400]


def test_columns_of_several_steps_show_what_stands_out() -> None:
    values = np.zeros((1, 64, 2))
    values[0, 37, 1] = -3.0
    viewer = made(h=values)
    for _ in range(3):
        viewer.change_zoom(False, 16)
    assert viewer.zoom == 4
    drawn = draw_map(viewer, 16 + 3, 4, 0, colours=False)
    assert drawn.lines[1].plain[3:] == "." * 9 + "O" + "." * 6
    assert (drawn.step(3 + 9), drawn.unit(1)) == (36, 1)
    assert (drawn.step(2), drawn.step(19), drawn.unit(-1), drawn.unit(2)) == (None,) * 4


@pytest.mark.parametrize("tensor", ["c", "f"])
def test_wide_windows_are_those_that_reading_their_steps_would_give(tensor: str) -> None:
    """Of the columns that are kept, and of the steps once more where they are too wide."""
    values = np.random.default_rng(4).random((1, 20_000, 3)).astype(np.float32)
    values *= np.linspace(0.1, 1, 20_000, dtype=np.float32)[:, np.newaxis]  # another mean at first
    viewer = made(**{tensor: values})
    room = 50
    middle: Any = np.zeros(3) if tensor == "c" else values[0].mean(axis=0)
    for zoom in (1, 4, 8, 64, 512):
        viewer.zoom, viewer.first = zoom, 0
        viewer.go_to_step(min(19_999, 37 * zoom))
        window = viewer.window(room)
        assert window.first_step == 0
        for column in (0, 37, len(window.values) - 1):
            own = values[0, column * zoom : (column + 1) * zoom]
            far = np.abs(own - middle).argmax(axis=0)
            np.testing.assert_array_equal(window.values[column], own[far, range(3)])


def test_what_is_not_a_number_and_what_was_not_applied_are_told_apart() -> None:
    h = np.full((1, 12, 2), 0.5)
    h[0, 3, 1] = np.nan
    mask = np.ones((1, 12), bool)
    mask[0, 5:7] = False

    async def steps(screen: Screen) -> None:
        assert "░ masked" in screen.lines[0]
        assert "! NaN" in screen.lines[0]
        assert [line.count("!!!!") for line in screen.lines[MAP_AT_TOP:][:6]] == [0, 0, 0, 1, 1, 1]

    browse(made(h=h, mask=mask), steps, (100, 24))
    drawn = draw_map(made(h=h, mask=mask), 15, 4, 0, colours=False)
    assert drawn.lines[1].plain[3:] == "XXX!X  XXXXX"


# -- going somewhere


def test_steps_units_and_sequences_are_gone_to_by_number() -> None:
    model, trace = traced("bidirectional")

    async def steps(screen: Screen) -> None:
        await screen.press("4")
        assert screen.line("step, 0 to 9:").endswith(": 4")  # what is written is seen
        await screen.press("enter")
        assert screen.viewer.step == 4
        await screen.press("colon")
        await screen.write("10")
        assert screen.message == "step 10: the sequence has steps 0 to 9"
        await screen.press("u")
        await screen.write("5")
        await screen.press("s")
        await screen.write("2")
        assert (screen.viewer.unit, screen.viewer.sequence) == (5, 2)
        await screen.press("s")
        await screen.write("x")
        assert screen.message == "expected a number, found 'x'"
        await screen.press("n")
        assert screen.message.startswith("nothing to go through yet")
        await screen.press("q")
        assert screen.app._exit

    browse(Viewer(cells_of(trace), None, model), steps)


def test_the_mouse_moves_marks_and_chooses() -> None:
    async def steps(screen: Screen) -> None:
        drawn = screen.app.drawn
        assert drawn is not None
        at = drawn.margin + drawn.axis.cell(20)
        await screen.click(at, 6)
        assert (screen.viewer.step, screen.viewer.unit) == (20, 6)
        await screen.click(at, 11 + 1 + "hcifgo".index("f"))
        assert (screen.viewer.step, screen.viewer.unit, screen.viewer.tensor) == (20, 6, "f")
        await screen.click(at + 5, 9)  # the axis
        assert screen.viewer.step == 20

        await screen.pilot.mouse_down("#map", offset=(at, 2))
        await screen.pilot.hover("#map", offset=(at + 5, 4))
        await screen.pilot.mouse_up("#map", offset=(at + 5, 4))
        await screen.settle()
        assert screen.viewer.span == (20, 26)
        assert "━━━━━▲" in screen.text
        await screen.pilot.hover("#map", offset=(at + 9, 4))  # the button is up again
        assert screen.viewer.span == (20, 26)

        wheel: Any = screen.app.query_one("#map")
        wheel.on_mouse_scroll_down(_Wheel(shift=False))
        wheel.on_mouse_scroll_down(_Wheel(shift=False))
        wheel.on_mouse_scroll_up(_Wheel(shift=False))
        assert (screen.viewer.step, screen.viewer.unit) == (25, 3)
        wheel.on_mouse_scroll_down(_Wheel(shift=True))
        wheel.on_mouse_scroll_right()
        assert (screen.viewer.step, screen.viewer.unit) == (27, 3)
        wheel.on_mouse_scroll_up(_Wheel(shift=True))
        wheel.on_mouse_scroll_left()
        assert screen.viewer.step == 25

    browse(brackets(), steps, (100, 30))


class _Wheel:
    def __init__(self, shift: bool) -> None:
        self.shift = shift


def test_sequences_without_steps_are_passed_over() -> None:
    arrays = {"h": np.ones((4, 3, 1)), "lengths": np.array([3, 0, 0, 2])}
    viewer = Viewer(cells_of(Trace(arrays, {"layer": "made"})), step=2)

    async def steps(screen: Screen) -> None:
        await screen.press("full_stop")
        assert (screen.viewer.sequence, screen.viewer.step) == (3, 1)
        assert "sequence 3 of 0–3" in screen.lines[0]
        await screen.press("full_stop")
        assert screen.viewer.sequence == 0
        await screen.press("comma", "s", "1", "enter")
        assert (screen.viewer.sequence, screen.message) == (3, "sequence 1 has no steps")

    browse(viewer, steps)


def test_layers_and_directions_are_chosen() -> None:
    model, trace = traced("bidirectional")

    async def steps(screen: Screen) -> None:
        cells = ["bottom/forward", "bottom/backward", "middle/forward", "middle/backward"]
        assert [line[2:].split()[0] for line in screen.lines[1:5]] == cells
        assert screen.lines[4].startswith("▸ middle/backward")
        assert "reads backwards" in screen.lines[0]
        await screen.press("left_square_bracket")
        assert screen.lines[3].startswith("▸ middle/forward")
        assert "reads backwards" not in screen.lines[0]
        assert "middle/forward ─" in screen.line("── step ")
        await screen.click(4, 1, "#side")
        assert screen.viewer.cell == "bottom/backward"

    browse(Viewer(cells_of(trace), None, model, cell="middle/backward"), steps, (100, 24))


# -- searching


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
        assert screen.message.startswith("changes of c[4]: 20 of 20, ")
        assert f"▸ {screen.viewer.step:>5} " in screen.text  # the list has scrolled to it
        await screen.press("J")
        step, unit = np.unravel_index(np.abs(changes).argmax(), changes.shape)
        assert (screen.viewer.step, screen.viewer.unit) == (step, unit)
        assert screen.listed[0] == [str(step), str(unit), f"{changes[step, unit]:+.4f}"]
        assert "changes of c 1/20" in screen.text

    browse(brackets(unit=4), steps)


def test_a_label_is_searched_for() -> None:
    text = "".join(BRACKETS)

    async def steps(screen: Screen) -> None:
        await screen.press("slash", "left_square_bracket", "c")
        assert screen.line("label to search for:") == "label to search for: [c"
        await screen.press("enter")
        assert screen.viewer.step == text.index("[c", 3) == 5
        count = text.count("[c")
        assert screen.message == f"label '[c': 1 of {count}, step 5:7, [c"
        expected = [k for k in range(len(text)) if text.startswith("[c", k)]
        assert screen.listed == [[f"{k}:{k + 2}", "[c"] for k in expected]
        await screen.press("slash", "q", "enter")
        assert screen.message == "no step has the label 'q'"
        await screen.press("space", "right", "slash", "c", "escape")  # out of the prompt
        assert (len(screen.listed), screen.viewer.span) == (count, (5, 7))
        await screen.press("escape")
        assert (len(screen.listed), screen.viewer.span) == (count, None)
        await screen.press("escape")
        assert (screen.listed, screen.message) == ([], "")
        assert screen.line(f"h[{screen.viewer.step}] of unit 0: ")

    browse(brackets(), steps)


def test_a_marked_range_is_searched_for() -> None:
    """The hits are those of ``find``, without the range itself."""
    _, trace = traced("brackets")
    hits = [hit for hit in lstm_cli.find(trace, (5, 10), tensor="c").hits if not hit.selected]
    assert len(hits) > 2

    async def steps(screen: Screen) -> None:
        await screen.press("s")
        assert screen.message == "there is one sequence"
        await screen.press("enter")
        assert screen.message == "mark a range first: space, then the arrow keys"
        await screen.press("space", *["right"] * 4)
        assert screen.viewer.span == (5, 10)
        assert "━━━━▲" in screen.text
        assert "marked 5:10" in screen.text
        await screen.press("enter")
        assert [row[:4] for row in screen.listed[:3]] == [
            [
                f"{hit.start}:{hit.start + hit.length}",
                f"{hit.score:.2f}",
                f"{hit.shared}/{hit.union}",
                "".join(BRACKETS[hit.start : hit.start + hit.length]),
            ]
            for hit in hits[:3]
        ]
        assert screen.viewer.step == hits[0].start
        assert "╌" in screen.text
        assert screen.message.endswith("(on at |tanh c| ≥ 0.3 and off 1 step before: 7+)")
        await screen.press("n")
        assert screen.viewer.step == hits[1].start
        await screen.click(8, 2 + 2, "#side")  # the third, below the title and the headers
        assert screen.viewer.step == hits[2].start
        assert screen.message.startswith(f"like 5:10 in c: 3 of {len(hits)}, ")

    browse(brackets(tensor="c", step=5), steps, (150, 24))


def test_the_threshold_of_a_search_is_chosen() -> None:
    _, trace = traced("brackets")
    hits = lstm_cli.find(trace, (16, 20), tensor="c", threshold=0.9).hits

    async def steps(screen: Screen) -> None:
        await screen.press("t")
        assert screen.line("a unit is on where |value| is at least (now 0.3):")
        await screen.write("2")
        assert screen.message == "threshold: expected above 0 and below 1, found 2"
        await screen.press("t")
        await screen.write("x")
        assert screen.message == "expected a number, found 'x'"
        await screen.press("t")
        await screen.write("0.9")
        await screen.press("space", "right", "right", "right", "enter")
        assert {place.start for place in screen.viewer.places.found} == {
            hit.start for hit in hits if not hit.selected
        }
        assert "on at |tanh c| ≥ 0.9 and off 1 step before: 0+ 3+ 4−" in screen.message

    browse(brackets(tensor="c", step=16), steps)


def test_a_range_in_which_nothing_begins_is_searched_for_as_well() -> None:
    """Unit 0 is on from step 2 on; what is on at 4 was on before."""
    h = np.array([[[0.0], [0.0], [0.9], [0.9], [0.9], [0.0], [0.9], [0.9], [0.0]]])

    async def steps(screen: Screen) -> None:
        await screen.press("space", "right", "enter")
        assert screen.message == (
            "like 3:5 in h: 1 of 2, step 2:5, score 1.00, 1/1 units on (on at |h| ≥ 0.3: 0+)"
        )

    browse(Viewer(cells_of(Trace({"h": h}, {"layer": "made"})), step=3), steps)


def test_a_range_without_any_unit_is_answered() -> None:
    async def steps(screen: Screen) -> None:
        await screen.press("3", "enter", "space", "enter")
        assert screen.message.startswith("no unit of h is on throughout 3:4")
        assert len(screen.message) > 60
        assert screen.message in screen.text.replace("\n", " ")  # in as many lines as it takes
        assert screen.viewer.step == 3

    browse(made(h=np.full((1, 9, 2), 0.1)), steps, (60, 20))


def test_places_bring_back_the_cell_and_the_sequence_they_are_in() -> None:
    chance = np.random.default_rng(8)
    arrays = {
        f"{name}/{tensor}": chance.normal(size=(3, 6, 2)) for name in "ab" for tensor in ("h", "c")
    }
    cells = {
        name: cells_of(
            Trace({t: arrays[f"{name}/{t}"] for t in ("h", "c")}, {"layer": "made", "part": name})
        )[""]
        for name in "ab"
    }
    for name, traced_cell in cells.items():
        traced_cell.name = name

    async def steps(screen: Screen) -> None:
        await screen.press("J", "right_square_bracket", "full_stop")
        assert (screen.viewer.cell, screen.viewer.sequence) == ("b", 1)
        assert screen.listed[0][0] == "0"  # where they are of another sequence it is told
        await screen.press("n")
        assert (screen.viewer.cell, screen.viewer.sequence) == ("a", 0)
        assert len(screen.listed[0]) == 3

    browse(Viewer(cells), steps)


# -- help


def test_the_keys_are_told() -> None:
    keys = [key for _, group in GROUPS for key in group]
    assert len({name for key in keys for name in key.actions}) == sum(
        len(key.actions) for key in keys
    )

    async def steps(screen: Screen) -> None:
        for width in (60, 80, 100, 200):
            await screen.resize(width, 24)
            last = screen.lines[-1]
            assert last.startswith("←→↑↓ move")
            assert last.endswith("q quit")
            assert len(last) <= width
            assert ("sequence" in last, "layer" in last) == (False, False)
        await screen.press("right", "question_mark")
        page = screen.text
        for key in keys:
            assert not key.text or f"{key.shown} " in page, key.shown
        assert "blue below 0" in page
        assert len(screen.lines) == 24
        assert screen.lines[-1] == ""  # nothing is cut off
        await screen.press("j")
        assert screen.viewer.step == 1
        await screen.press("q")
        assert screen.line("h[1] of unit 0: ")
        await screen.press("question_mark", "escape", "right")
        assert screen.viewer.step == 2

        await screen.resize(50, 12)  # too little for the page, which is scrolled
        await screen.press("question_mark")
        assert "←→↑↓" in screen.text
        assert "esc: back" not in screen.text
        await screen.press("end")
        await screen.until("esc: back")

    browse(brackets(), steps)


# -- what a trace lacks, and what is unusual


def test_the_least_that_can_be_looked_at() -> None:
    async def steps(screen: Screen) -> None:
        assert re.match(r" 0 +◆", screen.lines[MAP_AT_TOP + 1])
        assert re.search(r"\nf +sigmoid +0\.2500 ━━──", screen.text)
        await screen.press("c")
        assert screen.message == "no tensor 'c'; there is: f"
        await screen.press("right", "j")
        assert screen.message == "changes of f[0]: nothing found"
        assert re.search(r"\nf +sigmoid +nan", screen.text)
        await screen.press("slash", "x", "enter")
        assert screen.message == "there are no labels to search: start with --labels"

    browse(made(f=np.array([[[0.25], [np.nan]]])), steps)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none(value: float) -> None:
    arrays = {tensor: np.full((1, 4, 3), value) for tensor in "hcifgo"}

    async def steps(screen: Screen) -> None:
        for key in ("c", "j", "J", "minus"):
            await screen.press(key)
        assert screen.line("c[0] of unit 0: ").endswith(str(value))
        assert screen.message == ""

    browse(made(**arrays), steps, (100, 30))


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ({"step": 69}, UsageError, "step 69: the sequence has steps 0 to 68"),
        ({"unit": 8}, UsageError, "unit 8: the trace has units 0 to 7"),
        ({"sequence": 1}, UsageError, "sequence 1: the trace has sequence 0 alone"),
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


def test_words_have_lines_enough() -> None:
    words = ["the", "plot", "was", "not", "very", "good", "at", "all"]
    cells = cells_of(Trace({"h": np.zeros((1, 8, 2))}, {"layer": "made"}))
    drawn = draw_map(Viewer(cells, lambda _: words, step=3), 35, 12, 0, colours=True)
    rows = [line.plain.split() for line in drawn.lines[-3:]]
    assert sorted(word for row in rows for word in row) == sorted(words)
    marked = [line.plain[span.start : span.end] for line in drawn.lines[-3:] for span in line.spans]
    assert marked == ["not"]


def test_names_that_would_steer_the_terminal() -> None:
    labels: Sequence[str] = ["\x1b[31m", "[bold]", "\n", *BRACKETS[3:]]
    _, trace = traced("brackets")

    async def steps(screen: Screen) -> None:
        assert screen.line("── step ").startswith("── step 0  �[31m ── unit 0")
        assert not any("\x1b" in line for line in screen.lines)
        await screen.press("right")
        assert screen.line("── step ").startswith("── step 1  [bold] ── unit 0")

    browse(Viewer(cells_of(trace), lambda _: labels), steps)


def test_names_of_cells_are_cut_at_their_beginning() -> None:
    model = two_ways(cell(1), cell(2))
    found = cells_of(lstm_cli.trace(model, series(1, 3)))
    cells = {f"a/very/long/\x1b[31m/address/{name}": c for name, c in found.items()}
    for name, traced_cell in cells.items():
        traced_cell.name = name

    async def steps(screen: Screen) -> None:
        names = [line[2:].split()[0] for line in screen.lines[1:3]]
        assert names == ["…/�[31m/address/forward", "…�[31m/address/backward"]

    browse(Viewer(cells), steps, (80, 24))


# -- terminals


def test_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    h = golden()["h"][0]

    async def steps(screen: Screen) -> None:
        shown = screen.lines[MAP_AT_TOP + 4][3:]
        assert set(shown) <= set("Oo-.+xX")
        for step, mark in enumerate(shown):
            if abs(h[step, 4]) > 0.9:
                assert mark == ("X" if h[step, 4] > 0 else "O")
        assert "◆" not in screen.text

    browse(brackets(step=8, unit=4), steps, colours=None)


@pytest.mark.parametrize(
    ("terminal", "colours"),
    [({"COLORTERM": "truecolor"}, True), ({}, True), ({"TERM": "xterm"}, False)],
)
def test_a_map_needs_many_colours(
    monkeypatch: pytest.MonkeyPatch, terminal: dict[str, str], colours: bool
) -> None:
    for name in ("COLORTERM", "NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", **terminal}.items():
        monkeypatch.setenv(name, value)
    assert ViewApp(brackets()).colours == colours


def test_the_theme_is_that_of_the_terminal_or_the_chosen_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def steps(screen: Screen) -> None:
        themes.append(screen.app.theme)

    themes: list[str] = []
    for theme in ("", "nord", "no such theme"):
        monkeypatch.setenv("TEXTUAL_THEME", theme)
        browse(brackets(), steps)
    assert themes == ["ansi-dark", "nord", "ansi-dark"]


def test_a_low_screen_keeps_the_map() -> None:
    async def steps(screen: Screen) -> None:
        assert sum("◆" in line for line in screen.lines) == 1
        assert "c[8] = " not in screen.text
        await screen.resize(80, 24)
        assert screen.line("c[8] = ")

    browse(brackets(step=8, unit=4), steps, (80, 12))


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


def test_what_nobody_expected_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is raised after the terminal is as it was; Ctrl-C, too, wherever it is pressed."""

    async def run(app: ViewApp, *keys: str) -> None:
        async with app.run_test() as pilot:
            await pilot.press(*keys)

    for keys in (("ctrl+c",), ("slash", "ctrl+c"), ("question_mark", "ctrl+c")):
        app = ViewApp(brackets())
        asyncio.run(run(app, *keys))
        assert isinstance(app.return_value, KeyboardInterrupt)
    monkeypatch.setattr(ViewApp, "run", lambda _: ZeroDivisionError("made"))
    with pytest.raises(ZeroDivisionError, match="made"):
        lstm_cli.view(traced("brackets")[1])
    monkeypatch.undo()
    app = ViewApp(brackets())
    monkeypatch.setattr(app.viewer, "move", lambda *_: 1 // 0)
    asyncio.run(run(app, "right"))
    assert isinstance(app.return_value, ZeroDivisionError)
