"""Pictures in a terminal: lines of single units, labels on the axis, what is grey."""

from __future__ import annotations

import io
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from lstm_cli.analysis.cells import cells_of
from lstm_cli.outputs.charts import Chart, make_chart
from lstm_cli.outputs.colours import LINES
from lstm_cli.outputs.grid import Lines
from lstm_cli.outputs.heatmap import draw_maps
from lstm_cli.outputs.plot_lines import draw_lines, style_for
from lstm_cli.traces import Trace, Traces

Array = NDArray[Any]


def trace(meta: dict[str, Any] | None = None, **arrays: Any) -> Trace:
    """Arrays (T, U) as a trace of one sequence."""
    return Trace({name: np.asarray(a)[np.newaxis] for name, a in arrays.items()}, meta or {})


def column(*values: float) -> Array:
    return np.array(values, np.float32)[:, np.newaxis]


def chart(of: Trace | Traces, *tensors: str, **named: Any) -> Chart:
    return make_chart(cells_of(of), tensors or None, **named)


def printed(lines: Lines, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(lines)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def as_lines(shown: Chart, width: int = 40, **named: Any) -> str:
    return printed(draw_lines(shown, width, colours=False, **named), width)


def as_maps(shown: Chart, width: int = 40, height: int = 24, **named: Any) -> str:
    return printed(draw_maps(shown, width, height, colours=False, **named), width)


def test_lines_by_hand() -> None:
    """c from -1 to 3 in 16 dots: 0 is dot 4 from below; of the gate's 8 dots 0.5 is dot 4."""
    c = column(-1, 0, 3, 3)
    f = column(0, 1, 0.5, 1)
    assert as_lines(chart(trace(c=c, h=c, f=f), "c", "f"), 10) == dedent("""\
        unit 0
        c  3   ⡏⠉
               ⡇
           0  ⣀⠇
          -1 ⣀⠇
        f  1  ⡏⣆⠏
           0 ⣀⠇
             0
        """)


def test_the_extremes_of_a_column_of_several_steps_are_in_its_line() -> None:
    """Steps 130 and 131 are in the 14th column of ten steps, on the right of the 7th character."""
    c = np.zeros((400, 1), np.float32)
    c[130], c[131] = 5, -5
    assert as_lines(chart(trace(c=c, h=c, f=c), "c"), 26) == dedent("""\
        unit 0
        c  5       ⢸
           0 ⣀⣀⣀⣀⣀⣀⣸⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀
                   ⢸
          -5       ⢸
             0    100  200  300
        half a character is 10
        steps: the line covers all
        numbers in them
        """)


def test_each_unit_has_its_strips_on_one_axis_and_says_where_it_reads_from() -> None:
    forward = trace({"direction": "forward"}, f=np.eye(3)[:, :2], h=np.eye(3)[:, :2])
    backward = trace({"direction": "backward"}, f=np.eye(3)[:, :2], h=np.eye(3)[:, :2])
    both = Traces({"forward": forward, "backward": backward}, {}, {})
    assert as_lines(chart(both, "f", units=[1]), 40, braille=False) == dedent("""\
        forward, unit 1
        f 1     |'''|
          0 ....|   |...
        backward, unit 1, reads backwards
        f 1     |'''|
          0 ....|   |...
            0   1   2
        """)


def test_masked_steps_are_grey_and_nan_is_marked() -> None:
    f = column(1, 1, np.nan, 1, np.nan, 1)
    mask = np.array([True, True, False, True, True, True])
    shown = chart(trace(f=f, h=f, c=f, mask=mask), "f")
    assert as_lines(shown, 13) == dedent("""\
        unit 0
        f 1 ⠉⠉░⠉ ⠉
          0   ░ !
            0    5
        ░: masked
        steps
        !: not a
        number
        """)


def test_a_character_is_grey_where_both_of_its_columns_are() -> None:
    mask = np.ones(40, np.bool_)
    mask[3:6] = False  # the right half of character 1, and character 2
    f = np.where(mask, 1.0, np.nan)[:, np.newaxis]
    text = as_lines(chart(trace(f=f, h=f, c=f, mask=mask), "f"), 24)
    assert text.splitlines()[1] == "f 1 ⠉⠁░" + "⠉" * 17


def test_labels_stand_under_their_steps() -> None:
    h = np.zeros((10, 1), np.float32)
    letters = chart(trace(h=h, c=h), "h", labels=[*"a+(b) [c]", "\n"])
    assert as_maps(letters, 12).splitlines()[-2:] == ["  0    5", "  a+(b) [c]⏎"]
    words = ["the", "plot", "was", "not", "very", "good", "", "x", "extraordinary", "y"]
    assert as_maps(chart(trace(h=h, c=h), "h", labels=words), 32).splitlines()[-3:] == [
        "  0     2     4     6     8",
        "  the   was   very     x     y",
        "     plot  not   good",
    ]


def test_labels_of_columns_with_several_steps_are_not_drawn() -> None:
    h = np.zeros((100, 1), np.float32)
    text = as_maps(chart(trace(h=h, c=h), "h", labels=["q"] * 100), 60)
    assert "q" not in text.split("labels")[0]
    assert "labels are shown where a column is one step: use --steps" in text


def test_the_rules_of_a_picture_are_said() -> None:
    two = Trace({"h": np.zeros((2, 3, 2)), "c": np.zeros((2, 3, 2))}, {})
    text = as_maps(chart(two, sequence=1, sort="activity"), 70)
    assert "sequence 1; --sequence shows another, up to 1\n" in text
    assert "units sorted by mean |h|, the most active first\n" in text


def test_no_fewer_units_than_asked_for() -> None:
    h = np.zeros((3, 20), np.float32)
    assert "… 18 more units" in as_maps(chart(trace(h=h, c=h), "h"), 40, 7)
    assert "… 4 more units" in as_maps(chart(trace(h=h, c=h), "h"), 40, 7, fewest_units=16)


def test_both_units_of_a_line_are_named_unless_they_count_up() -> None:
    h = np.array([[0.1, 0.3, 0.2]], np.float32)
    plain = draw_maps(chart(trace(h=h, c=h), "h"), 40, 24, colours=True).plain
    assert [line[:2] for line in plain.splitlines()[1:3]] == ["0 ", "2 "]
    sorted_ = draw_maps(chart(trace(h=h, c=h), "h", sort="activity"), 40, 24, colours=True).plain
    assert [line[:4] for line in sorted_.splitlines()[1:3]] == ["1,2 ", "  0 "]


@pytest.mark.parametrize("width", [30, 80, 200])
@pytest.mark.parametrize("steps", [1, 60, 100, 3000])
def test_nothing_is_wider_than_the_console(width: int, steps: int) -> None:
    arrays: dict[str, Any] = {
        name: np.random.default_rng(0).random((steps, 2)) for name in "hcifgo"
    }
    shown = chart(trace(**arrays), labels=["word"] * steps)
    for lines in (
        draw_lines(shown, width, colours=True),
        draw_lines(shown, width, colours=False, braille=False),
        draw_maps(shown, width, 24, colours=True),
    ):
        assert max(line.cell_len for line in lines.lines) <= width


def test_colours_of_lines_can_be_read_on_white_and_on_black() -> None:
    """Contrast as in WCAG 2: 3 at least, which is its limit for graphics."""
    for rgb in LINES.values():
        parts = np.array(rgb) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        luminance = linear @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (luminance + 0.05) >= 3
        assert (luminance + 0.05) / 0.05 >= 3


def test_few_chosen_units_are_lines() -> None:
    assert style_for(None, [3, 7]) == "lines"
    assert style_for(None, None) == style_for(None, range(9)) == "maps"
    assert style_for("maps", [3]) == "maps"


def test_nothing_to_draw() -> None:
    assert as_lines(Chart(())) == as_maps(Chart(())) == "nothing with steps to show\n"
