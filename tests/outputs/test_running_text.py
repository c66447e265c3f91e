"""Running text: labels coloured by what a unit did, in a terminal, as HTML and as SVG."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console
from rich.style import Style

import lstm_cli
from lstm_cli.errors import NoSuchNameError, OutputError, UsageError
from lstm_cli.outputs.running_text import RunningText
from lstm_cli.outputs.text_terminal import draw_text
from lstm_cli.traces import Trace, Traces

SVG = "{http://www.w3.org/2000/svg}"


def trace(*columns: list[float], tensor: str = "c", **more: Any) -> Trace:
    """One sequence; a column of numbers a unit."""
    values = np.array(columns, np.float32).T[np.newaxis]
    return Trace({"h": np.zeros_like(values), tensor: values, **more}, {"direction": "forward"})


def text(of: Trace | Traces, labels: list[str], unit: Any = 0, **named: Any) -> RunningText:
    return lstm_cli.text(of, labels, unit, **{"tensor": "c", **named})


def plain(shown: RunningText, width: int = 80) -> str:
    lines = draw_text(shown, width, colours=False).plain
    return "\n".join(line.rstrip() for line in lines.splitlines()) + "\n"


def ansi(shown: RunningText, width: int = 80) -> str:
    Style._add.cache_clear()  # Rich keeps styles as the first console of the process wrote them
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system="truecolor",
        force_terminal=True,
        no_color=False,
    )
    console.print(draw_text(shown, width, colours=True))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_values_by_hand() -> None:
    shown = text(trace([-2, 0, 1, 2]), list("ab c"))
    np.testing.assert_array_equal(shown.rows[0].values, [-2, 0, 1, 2])
    assert shown.facts() == {
        "tensor": "c",
        "sequence": 0,
        "first_step": 0,
        "labels": ["a", "b", " ", "c"],
        "units": [{"cell": "", "unit": 0, "values": [-2.0, 0.0, 1.0, 2.0]}],
    }
    # 1 is three quarters of the way from -2 to 2: 4.5 of 6 characters, rounded to the even 4.
    assert str(shown).splitlines() == ["c  cell state, unit 0   -2 Oo-.+xX 2", "ab c", "O.+X"]


def test_words_have_blanks_between_them_and_pieces_of_words_have_none() -> None:
    words = plain(text(trace([1, -1, 1]), ["the", "plot", "was"]))
    assert words.splitlines()[1:] == ["the plot was", "XXX OOOO XXX"]
    for pieces in (["▁the", "▁pl", "ot"], [" the", " pl", "ot"], ["the", "pl", "##ot"]):
        lines = plain(text(trace([1, -1, 1]), pieces)).splitlines()
        assert lines[1] == "".join(pieces)
        assert lines[2] == "X" * len(pieces[0]) + "O" * len(pieces[1]) + "X" * len(pieces[2])


def test_several_units_stand_one_under_another_in_each_line() -> None:
    shown = text(trace([1, -1, 1, -1], [0, 0, 0, -8], [4, 4, -4, -4]), list("abcd"), [2, 0])
    assert plain(shown, 18) == dedent("""\
        c  cell state
        unit 2  -4 Oo-.+xX 4
        unit 0  -1 Oo-.+xX 1

                abcd
        unit 2  XXOO
        unit 0  XOXO
        """)


def test_one_scale_is_said_once() -> None:
    gates = trace([0, 1], [1, 0.5], tensor="f")
    assert plain(text(gates, ["a", "b"], [0, 1], tensor="f")) == dedent("""\
        f  forget gate   0 .:-=+*#%@ 1

                ab
        unit 0  .@
        unit 1  @+
        """)


def test_lines_break_at_blanks_and_at_the_ends_of_lines() -> None:
    letters = [*"to be or not to be\\", "\\n", "x"]
    shown = text(trace([1.0] * len(letters)), letters)
    assert plain(shown, 12).splitlines()[1::2] == ["to be or", "not to be\\⏎", "x"]
    words = ["one", "two", "three", "extraordinarily", "long"]
    broken = plain(text(trace([1.0] * 5), words), 12).splitlines()[1::2]
    assert broken == ["one two", "three", "extraordina…", "long"]


def test_each_label_has_the_colour_of_its_value() -> None:
    """-2, 0 and 2 on a scale from -2 to 2: blue, grey and red; letters are dark on light ones."""
    line = ansi(text(trace([-2, 0, 2]), ["a", "b", "c"])).splitlines()[1]
    assert re.findall(r"\x1b\[38;2;(.*?);48;2;(.*?)m(.)", line) == [
        ("255;255;255", "59;76;192", "a"),
        ("0;0;0", "222;219;218", "b"),
        ("255;255;255", "180;4;38", "c"),
    ]


def test_masked_steps_have_no_colour() -> None:
    mask = np.array([[True, False, True]])
    shown = text(trace([1, 9, -1], mask=mask), ["a", "b", "c"])
    assert plain(shown) == dedent("""\
        c  cell state, unit 0   -1 Oo-.+xX 1
        abc
        X O
        blank: masked steps
        """)
    assert "\x1b[38;2;128;128;128mb" in ansi(shown)
    assert np.isnan(shown.rows[0].values).tolist() == [False, True, False]


def test_steps_sequences_and_parts_are_chosen() -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    cell = Trace({"c": values, "h": values, "lengths": np.array([3, 2])}, {})
    shown = text(cell, ["a", "b", "c"], 1, sequence=1, steps=slice(1, 9))
    assert (shown.labels, shown.first_step) == (("b",), 1)
    np.testing.assert_array_equal(shown.rows[0].values, [9])
    assert "sequence 1; --sequence shows another, up to 1" in plain(shown)
    both = Traces({"forward": cell, "backward": cell}, {}, {})
    assert [row.name for row in text(both, list("abc")).rows] == [
        "forward, unit 0",
        "backward, unit 0",
    ]
    assert len(text(both, list("abc"), tensor="backward/c").rows) == 1


def test_a_terminal_gets_no_more_than_anyone_reads() -> None:
    shown = text(trace([0.5] * 5000), ["x"] * 5000)
    assert plain(shown).count("x") == 4000 + 1  # one in the legend
    assert "… 1000 more steps: use --steps or -o" in plain(shown)


class Labels(HTMLParser):
    """Style, hint and text of every label in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self._open: tuple[str, str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self._open = (given["style"], given["title"]) if "title" in given else None

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.found.append((*self._open, data))


def test_html_has_colours_and_values(tmp_path: Path) -> None:
    path = tmp_path / "text.html"
    mask = np.array([[True, True, True, False]])
    text(trace([-2, 0, 2, 5], mask=mask), ["<b>", "&", "plain", "gone"], path=path)
    page = path.read_text(encoding="utf-8")
    assert Labels(page).found == [
        ("color:#ffffff;background:#3b4cc0", "step 0: -2", "<b>"),
        ("color:#000000;background:#dedbda", "step 1: 0", "&"),
        ("color:#ffffff;background:#b40426", "step 2: 2", "plain"),
        ("color:#808080", "step 3: masked", "gone"),
    ]
    assert "http" not in page  # it needs nothing else


def test_hints_have_the_steps_of_the_input(tmp_path: Path) -> None:
    text(trace([1, -1, 1]), list("abc"), steps=slice(1, 3), path=tmp_path / "t.html")
    found = Labels((tmp_path / "t.html").read_text(encoding="utf-8")).found
    assert [hint for _, hint, _ in found] == ["step 1: -1", "step 2: 1"]


def test_svg_has_a_box_and_a_text_for_each_label(tmp_path: Path) -> None:
    path = tmp_path / "text.svg"
    text(trace([-2, 0, 2]), ["<", "日", "c"], path=path)
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    fills = [box.get("fill") for box in root.iter(f"{SVG}rect")][-3:]
    assert fills == ["#3b4cc0", "#dedbda", "#b40426"]
    widths = [float(box.get("width", 0)) for box in root.iter(f"{SVG}rect")][-3:]
    np.testing.assert_allclose(widths, [8.4, 16.8, 8.4], rtol=1e-6)  # as printed, six digits
    assert [found.text for found in root.iter(f"{SVG}text")][-3:] == ["<", "日", "c"]


def test_files_and_terminals_say_what_their_greys_and_magentas_are(tmp_path: Path) -> None:
    """Two sequences; of the second a masked step, and one whose value is not a number."""
    values = np.array([[[1], [1], [1]], [[2], [9], [np.nan]]], np.float32)
    mask = np.array([[True] * 3, [True, False, True]])
    shown = Trace({"h": np.zeros_like(values), "c": values, "mask": mask}, {})
    notes = "sequence 1; grey: masked steps; magenta: not a number"
    for name in ("t.html", "t.svg"):
        found = text(shown, list("abc"), sequence=1, path=tmp_path / name)
        assert notes in (tmp_path / name).read_text(encoding="utf-8")
    assert plain(found).splitlines()[-2:] == ["blank: masked steps", "!: not a number"]
    assert "magenta: not a number" in ansi(found)
    text(trace([1, 2]), ["a", "b"], path=tmp_path / "t.html")
    assert "grey" not in (tmp_path / "t.html").read_text(encoding="utf-8")


def test_svg_says_one_scale_once(tmp_path: Path) -> None:
    f = trace([0.2, 0.8], [0.5, 0.1], tensor="f")
    text(f, ["a", "b"], unit=[0, 1], tensor="f", path=tmp_path / "t.svg")
    root = ElementTree.fromstring((tmp_path / "t.svg").read_text(encoding="utf-8"))
    words = [found.text for found in root.iter(f"{SVG}text")]
    assert words == ["f  forget gate", "0", "1", "unit 0", "a", "b", "unit 1", "a", "b"]


def test_notebooks_show_it() -> None:
    assert "background:#3b4cc0" in text(trace([-1, 1]), ["a", "b"])._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"labels": ["a"]}, UsageError, "expected 2 labels, one a step, found 1"),
        ({"unit": 1}, UsageError, "unit 1: 'c' has unit 0 alone"),
        ({"tensor": "f"}, NoSuchNameError, "no tensor 'f'; there is: h, c"),
        ({"sequence": 1}, UsageError, "sequence 1: the trace has sequence 0 alone"),
        ({"path": "text.pdf"}, UsageError, "text.pdf: running text is written as .html or .svg"),
        ({"path": "no/text.svg"}, OutputError, "no/text.svg: there is no folder"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"labels": ["a", "b"], "unit": 0, **arguments}
    with pytest.raises(error) as raised:
        text(trace([1, 2]), given.pop("labels"), given.pop("unit"), **given)
    assert str(raised.value).startswith(message)
