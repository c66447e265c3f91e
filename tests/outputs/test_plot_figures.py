"""Figures: what stands in them, and the files that they become."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

import lstm_cli
from lstm_cli.errors import MissingExtraError, OutputError, UsageError
from lstm_cli.traces import Trace, Traces

Array = NDArray[Any]


def trace(steps: int = 5, units: int = 3, **more: Any) -> Trace:
    rng = np.random.default_rng(1)
    arrays = {name: rng.random((1, steps, units), np.float32) for name in "ifo"}
    arrays |= {name: 4 * rng.random((1, steps, units), np.float32) - 2 for name in "hcg"}
    return Trace({**arrays, **more}, {"direction": "forward"})


def image(figure: Figure, number: int) -> Array:
    return np.asarray(figure.axes[number].get_images()[0].get_array())


def titles(figure: Figure) -> list[str]:
    return [title for title in (axes.get_title("left") for axes in figure.axes) if title]


def minor_labels(figure: Figure) -> list[list[str]]:
    shown = ([t.get_text() for t in axes.get_xticklabels(minor=True)] for axes in figure.axes)
    return [labels for labels in shown if labels]


def test_a_map_holds_every_number_and_a_scale_with_0_in_its_middle() -> None:
    shown = trace()
    figure = lstm_cli.plot(shown, tensors=["c", "f"])

    assert titles(figure) == ["c  cell state", "f  forget gate"]
    cell, bar, forget, _ = figure.axes
    np.testing.assert_array_equal(image(figure, 0), shown.c[0].T)
    np.testing.assert_array_equal(image(figure, 2), shown.f[0].T)
    most = float(np.abs(shown.c).max())
    np.testing.assert_allclose(cell.get_images()[0].get_clim(), [-most, most], rtol=1e-7)
    assert forget.get_images()[0].get_clim() == (0, 1)
    np.testing.assert_allclose(bar.get_ylim(), [-most, most], rtol=1e-7)
    assert (cell.get_ylabel(), figure.axes[-2].get_xlabel()) == ("unit", "step")
    for axes in (cell, forget):
        assert axes.get_xlim() == (-0.5, 4.5)  # all panels have one time axis


def test_colours_are_those_of_the_terminal() -> None:
    """Grey in the middle of one scale; the darkest and the lightest at the ends of the other."""
    figure = lstm_cli.plot(trace(), tensors=["c", "f"])
    diverging, sequential = (figure.axes[k].get_images()[0].get_cmap() for k in (0, 2))
    np.testing.assert_allclose(diverging(0.5)[:3], [221 / 255] * 3, atol=0.01)  # 256 shades
    np.testing.assert_allclose(diverging(0.0)[:3], np.array([59, 76, 192]) / 255, atol=1e-6)
    luminance = sequential(np.linspace(0, 1, 50))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()


def test_labels_and_steps_stand_below_the_last_panel_alone() -> None:
    figure = lstm_cli.plot(trace(), tensors=["c", "f"], steps=slice(1, 4), labels=list("ab$d\n"))
    assert minor_labels(figure) == [["b", "$", "d"]]
    last = figure.axes[2]
    assert list(last.get_xticks(minor=True)) == [1, 2, 3]
    assert last.get_xlim() == (0.5, 3.5)
    assert not any(t.get_parse_math() for t in last.get_xticklabels(minor=True))


def test_labels_that_do_not_fit_are_turned_or_thinned_out() -> None:
    turned = lstm_cli.plot(trace(60), tensors=["h"], labels=["pneumonia"] * 60)
    assert len(minor_labels(turned)[0]) == 60
    assert turned.axes[0].get_xticklabels(minor=True)[0].get_rotation() == 90
    thinned = lstm_cli.plot(trace(1000), tensors=["h"], labels=["x"] * 1000)
    assert 20 < len(minor_labels(thinned)[0]) < 250
    level = lstm_cli.plot(trace(4), tensors=["h"], labels=["word"] * 4)
    assert level.axes[0].get_xticklabels(minor=True)[0].get_rotation() == 0


def test_masked_steps_are_grey() -> None:
    mask = np.array([[True, False, False, True, False]])
    for units in (None, [0]):
        figure = lstm_cli.plot(trace(mask=mask), tensors=["h"], units=units)
        spans = [patch.get_extents() for patch in figure.axes[0].patches]
        ends = figure.axes[0].transData.inverted()
        edges = [ends.transform(box)[:, 0].tolist() for box in spans]
        np.testing.assert_allclose(edges, [[0.5, 2.5], [3.5, 4.5]], atol=1e-6)
        assert "grey: masked steps" in " ".join(text.get_text() for text in figure.texts)


def test_masked_steps_do_not_shine_through_as_numbers_that_are_none() -> None:
    """Their gates are NaN, and a picture's edges do not always meet those of the grey above it."""
    mask = np.array([[True, True, False, True, True]])
    f = np.full((1, 5, 2), 0.5, np.float32)
    f[0, 2] = np.nan
    figure = lstm_cli.plot(Trace({"f": f, "mask": mask}, {}), tensors=["f"])
    np.testing.assert_array_equal(image(figure, 0), np.full((2, 5), 0.5))
    assert figure.texts[0].get_text() == "grey: masked steps"


def test_single_units_are_lines_with_the_gates_below() -> None:
    shown = trace()
    figure = lstm_cli.plot(shown, units=[2, 0])
    assert titles(figure) == ["unit 2", "unit 0"]
    assert len(figure.axes) == 12
    order = [axes.texts[0].get_text() for axes in figure.axes]
    assert order == ["h", "c", "i", "f", "g", "o"] * 2
    line = figure.axes[7].lines[0]
    np.testing.assert_array_equal(line.get_ydata(), np.repeat(shown.c[0, :, 0], 2))
    np.testing.assert_array_equal(np.asarray(line.get_xdata())[[0, 1, -1]], [-0.5, 0.5, 4.5])
    tops = [axes.get_position().y1 for axes in figure.axes]
    assert tops == sorted(tops, reverse=True)


def test_long_maps_show_what_stands_out() -> None:
    h = np.zeros((1, 20_000, 2), np.float32)
    h[0, 12_345, 0], h[0, 12_345, 1] = -7.5, 2.5
    f = np.ones_like(h)
    f[0, 700, 0] = 0.25
    figure = lstm_cli.plot(Trace({"c": h, "h": h, "f": f}, {}), tensors=["c", "f"])
    states, gates = image(figure, 0), image(figure, 2)
    # Kept are 2500 columns of 8 steps; 7.9 inches have 1185 dots, so three of them make one.
    assert states.shape == gates.shape == (2, 834)
    np.testing.assert_array_equal(states[:, 12_345 // 24], [-7.5, 2.5])
    assert gates[0, 700 // 24] == 0.25
    assert np.count_nonzero(states) == 2
    assert np.count_nonzero(gates != 1) == 1
    note = figure.texts[0].get_text()
    assert note.startswith(
        "each column is 24 steps: of gates the one farthest from the unit's mean"
    )


def test_long_lines_cover_their_range() -> None:
    c = np.zeros((1, 20_000, 1), np.float32)
    c[0, 12_345] = 7.5
    figure = lstm_cli.plot(Trace({"c": c, "h": c}, {}), tensors=["c"], units=[0])
    filled = figure.axes[0].collections[0].get_paths()[0].vertices
    tip = np.asarray(filled)[np.asarray(filled)[:, 1] == 7.5]
    assert len(tip)
    assert abs(tip[:, 0] - 12_345).max() < 20  # a column of 16 steps


@pytest.mark.parametrize("width", [3.0, 9.0])
def test_a_single_step_of_many_is_seen_in_the_picture(width: float, tmp_path: Path) -> None:
    """A picture with fewer dots than columns would leave some columns out."""
    from matplotlib.image import imread

    for step in (900, 40_001, 40_061, 77_777, 99_000):
        c = np.zeros((1, 100_000, 1), np.float32)
        c[0, step] = 5
        shown = Trace({"c": c}, {})
        figure = lstm_cli.plot(shown, tmp_path / "c.png", tensors=["c"], width=width)
        box = figure.axes[0].get_window_extent()
        dots = imread(tmp_path / "c.png")[:, : int(box.x1) + 1]  # without the bar of colours
        assert ((dots[..., 0] > 0.6) & (dots[..., 1] < 0.2)).any()  # the red of the largest number


def test_every_unit_of_many_has_a_line_of_dots() -> None:
    figure = lstm_cli.plot(trace(4, 1200), tensors=["h"])
    assert figure.axes[0].get_window_extent().height >= 1200


def test_a_picture_of_one_step_numbers_that_step_alone() -> None:
    for units in (None, [0]):
        figure = lstm_cli.plot(trace(1), tensors=["h"], units=units, steps=slice(0, 1))
        assert [tick for tick in figure.axes[0].get_xticks() if -0.5 <= tick <= 0.5] == [0]


@pytest.mark.parametrize("units", [None, [0]], ids=["maps", "lines"])
def test_no_text_is_cut_off(units: list[int] | None) -> None:
    """Long numbers: -1.23e-05, beside the bar of colours or left of a line."""
    c = np.full((1, 6, 2), -1.234e-05, np.float32)
    mask = np.array([[True, False, True, True, True, True]])
    shown = Trace({"c": c, "h": c, "mask": mask}, {})
    figure = lstm_cli.plot(
        shown, tensors=["c", "h"], units=units, width=3, labels=["a rather long label"] * 6
    )
    figure.draw_without_rendering()  # places the labels of axes
    edges = figure.bbox
    for axes in figure.axes:
        shown_texts = [axes.xaxis.label, axes.yaxis.label, *axes.texts, *axes.get_yticklabels()]
        for text in [*shown_texts, *axes.get_xticklabels(minor=True)]:
            box = text.get_window_extent()
            if text.get_text():
                assert box.x0 >= 0, text
                assert box.x1 <= edges.x1, text
                assert box.y0 >= 0, text


def test_what_is_left_out_or_not_a_number_is_said() -> None:
    shown = trace(100)
    c = shown.c.copy()
    c[0, 7, 0] = np.nan
    figure = lstm_cli.plot(
        Trace({**shown.arrays, "c": c}, {}), tensors=["c"], labels=["x"] * 100, width=3
    )
    note = " ".join(figure.texts[0].get_text().split())
    every = 100 / len(minor_labels(figure)[0])
    assert f"one label in {round(every)} is shown" in note
    assert "magenta: not a number" in note
    assert lstm_cli.plot(shown, tensors=["f"], width=3).texts[0].get_text() == ""


def test_lines_leave_no_gap_below_and_mark_what_is_not_a_number() -> None:
    """The last axes stand the same distance above the edge, however many units there are."""
    one, two = (lstm_cli.plot(trace(), units=units) for units in ([0], [0, 1]))
    below = [f.axes[-1].get_position().y0 * f.get_size_inches()[1] for f in (one, two)]
    np.testing.assert_allclose(below, [0.36, 0.36], atol=1e-9)
    c = np.zeros((1, 6, 1), np.float32)
    c[0, 2:4] = np.nan
    axes = lstm_cli.plot(Trace({"c": c}, {}), tensors=["c"], units=[0]).axes[0]
    ends = axes.transData.inverted()
    edges = [ends.transform(patch.get_extents())[:, 0].tolist() for patch in axes.patches]
    np.testing.assert_allclose(edges, [[1.5, 3.5]], atol=1e-6)
    assert axes.patches[0].get_facecolor() == (1.0, 0.0, 1.0, 1.0)


def test_parts_and_directions_are_named() -> None:
    backward = Trace(trace().arrays, {"direction": "backward"})
    figure = lstm_cli.plot(
        Traces({"forward": trace(), "backward": backward}, {}, {}), tensors=["h"]
    )
    assert titles(figure) == [
        "forward/h  hidden state",
        "backward/h  hidden state, reads backwards",
    ]
    assert lstm_cli.plot(backward, tensors=["h"], style="lines").axes[0].get_title("left") == (
        "unit 0, reads backwards"
    )


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_files_are_the_same_each_time(form: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.{form}" for name in "ab"]
    for path in paths:
        lstm_cli.plot(
            trace(), path, tensors=["c", "f"], units=[1], labels=["日", "b", "", "d", "e"]
        )
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[form])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{form}", f"b.{form}"]


def test_numbers_that_are_not_finite_can_be_drawn(tmp_path: Path) -> None:
    c = np.array([[[np.nan, np.inf], [1.0, -np.inf], [np.nan, 2.0]]], np.float32)
    shown = Trace({"c": c, "h": np.full_like(c, np.nan)}, {})
    for units in (None, [0, 1]):
        figure = lstm_cli.plot(shown, tmp_path / "c.png", units=units)
        assert (tmp_path / "c.png").stat().st_size > 1000
        assert len(figure.axes) == 4


def test_more_than_a_figure_can_show() -> None:
    many = trace(2, 400)
    with pytest.raises(UsageError, match="one figure cannot show so many units"):
        lstm_cli.plot(many, style="lines")
    assert lstm_cli.plot(many, tensors=["h"]).get_size_inches()[1] < 4


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"figures are written as \.png, \.svg, \.pdf"):
        lstm_cli.plot(trace(), tmp_path / "figure.gif")
    with pytest.raises(OutputError, match="there is no folder"):
        lstm_cli.plot(trace(), tmp_path / "nowhere" / "figure.png")
    with pytest.raises(UsageError, match="no steps"):
        lstm_cli.plot(trace(0))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError) as raised:
        lstm_cli.plot(trace())
    assert str(raised.value) == ("drawing a figure needs matplotlib: pip install 'lstm-cli[plot]'")
