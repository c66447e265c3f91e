"""Heat maps: what is drawn where, in plain characters and in colours."""

from __future__ import annotations

import io
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.style import Style

from lstm_cli.outputs.colours import LEVELS, colour
from lstm_cli.outputs.heatmap import draws_in_colour, heat_map
from lstm_cli.outputs.results import Layout, Results, step_names


def drawn(arrays: dict[str, Any], width: int = 80, height: int = 24, **layout: Any) -> str:
    """The map in plain characters, without the spaces at the ends of lines."""
    results = Results(arrays, {}, step_names(arrays), Layout(**layout))
    lines = heat_map(results, width, height, colours=False)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(lines)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def ansi(arrays: dict[str, Any], **layout: Any) -> str:
    results = Results(arrays, {}, step_names(arrays), Layout(**layout))
    Style._add.cache_clear()  # Rich keeps styles as the first console of the process wrote them
    console = Console(
        file=io.StringIO(), width=40, color_system="truecolor", force_terminal=True, no_color=False
    )
    console.print(heat_map(results, 40, 24, colours=True))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_gates_go_from_0_to_1_and_states_are_centred_on_0() -> None:
    f = np.linspace(0, 1, 9, dtype=np.float32)[:, np.newaxis] * np.array([1, 0.5], np.float32)
    c = np.linspace(-3, 3, 9, dtype=np.float32)[:, np.newaxis]
    assert drawn({"f": f, "c": c}, batched=False) == dedent("""\
        f  forget gate   0 .:-=+*#%@ 1
        0 ....::::----====++++****####%%%%@@@@
        1 ........::::------------====++++++++
        c  cell state   -3 Oo-.+xX 3
        0 OOOOoooo--------....++++++++xxxxXXXX
          0   1   2   3   4   5   6   7   8
        """)


def test_extremes_of_long_sequences_stay_visible() -> None:
    """One closed gate in a thousand steps, and the largest |h| of either sign."""
    f = np.full((1000, 1), 0.9, np.float32)
    f[503] = 0.05
    h = np.zeros((1000, 1), np.float32)
    h[777], h[20] = -0.5, 0.25
    assert drawn({"f": f, "h": h}, 52, batched=False, first_step=100) == dedent("""\
        f  forget gate   0 .:-=+*#%@ 1
        0 %%%%%%%%%%%%%%%%%%%%%%%%%.%%%%%%%%%%%%%%%%%%%%%%%%
        h  hidden state   -0.5 Oo-.+xX 0.5
        0 .+....................................O...........
               200       400       600       800       1000
        each column is 20 steps: of gates the one farthest
        from the unit's mean, of the others the largest
        magnitude
        """)


def test_masked_steps_are_blank_and_nan_is_marked() -> None:
    f = np.full((30, 2), 0.5, np.float32)
    mask = np.ones(30, np.bool_)
    mask[10:13] = False
    f[~mask] = np.nan
    f[20, 1] = np.nan
    units = {"f": [3, 120]}
    assert drawn({"f": f, "mask": mask}, 40, batched=False, units=units) == dedent("""\
        f  forget gate   0 .:-=+*#%@ 1
          3 ++++++++++   +++++++++++++++++
        120 ++++++++++   +++++++!+++++++++
            0    5    10   15   20   25
        blank: masked steps
        !: not a number
        """)


def test_a_column_is_blank_only_where_all_its_steps_are_masked() -> None:
    f = np.full((100, 1), 1.0, np.float32)
    mask = np.ones(100, np.bool_)
    mask[5:15] = False  # columns of two steps: half of column 2, all of 3 to 6, half of 7
    f[~mask] = np.nan
    first = drawn({"f": f, "mask": mask}, 52, batched=False).splitlines()[1]
    assert first == "0 " + "@@@" + " " * 4 + "@" * 43


def test_what_does_not_fit_is_said() -> None:
    arrays = {"h": np.ones((3, 10, 50), np.float32)}
    assert drawn(arrays, 40, 12, lengths=np.array([4, 10, 10])) == dedent("""\
        h  hidden state   -1 Oo-.+xX 1
         0 XXXXXXXXXXXXXXXX
         1 XXXXXXXXXXXXXXXX
         2 XXXXXXXXXXXXXXXX
         3 XXXXXXXXXXXXXXXX
         4 XXXXXXXXXXXXXXXX
         5 XXXXXXXXXXXXXXXX
         6 XXXXXXXXXXXXXXXX
           0   1   2   3
        … 43 more units, 2 more sequences: use
        --units or -o
        """)


def test_a_long_name_leaves_the_scale_a_line_of_its_own() -> None:
    arrays = {"bidirectional_1/backward/z_f": np.ones((1, 10, 1), np.float32)}
    assert drawn(arrays, 36, 12) == dedent("""\
        bidirectional_1/backward/z_f
        -1 Oo-.+xX 1
        0 XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX
          0     2     4     6     8
        """)


def test_infinity_is_the_end_of_the_scale() -> None:
    c = np.array([[-np.inf], [-2], [0], [2], [np.inf]], np.float32)
    assert drawn({"c": c}, 40, batched=False).splitlines()[:2] == [
        "c  cell state   -2 Oo-.+xX 2",
        "0 OOOOOOOO....XXXXXXXX",
    ]


@pytest.mark.parametrize("arrays", [{"h": np.zeros((1, 0, 2))}, {"final_h": np.zeros((1, 2))}, {}])
def test_nothing_to_draw(arrays: dict[str, Any]) -> None:
    assert drawn(arrays) == "nothing with steps to show\n"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("steps", [1, 37, 38, 79, 5000])
@pytest.mark.parametrize("colours", [True, False], ids=["colour", "plain"])
def test_nothing_is_wider_than_the_console(width: int, steps: int, colours: bool) -> None:
    arrays = {name: np.zeros((1, steps, 40), np.float32) for name in "ifgo"}
    results = Results(arrays, {}, step_names(arrays))
    lines = heat_map(results, width, 24, colours=colours)
    assert max(line.cell_len for line in lines.lines) <= width
    assert len(lines.lines) <= 24 or width == 20
    for name in "ifgo":
        assert any(line.plain == name or line.plain.startswith(f"{name}  ") for line in lines.lines)


def test_colour_puts_two_units_in_a_line() -> None:
    """h = 1 above h = -1: the ends of the scale, red over blue; 0 is grey, above nothing."""
    text = ansi({"h": np.array([[[1.0, -1.0, 0.0]]], np.float32)})
    lines = text.splitlines()
    assert lines[0].startswith("\x1b[1mh\x1b[0m  hidden state   -1 \x1b[38;2;59;76;192;")
    assert lines[1:] == [
        "\x1b[2m0 \x1b[0m\x1b[38;2;180;4;38;48;2;59;76;192m▀▀▀▀\x1b[0m",
        "\x1b[2m2 \x1b[0m\x1b[38;2;222;219;218m▀▀▀▀\x1b[0m",
        "\x1b[2m  0\x1b[0m",
    ]


def test_colour_of_gates_is_viridis_at_its_ends() -> None:
    lines = ansi({"o": np.array([[[0.0, 1.0]]], np.float32)}).splitlines()
    assert lines[1] == "\x1b[2m0 \x1b[0m\x1b[38;2;68;1;84;48;2;253;231;37m▀▀▀▀\x1b[0m"


def test_masked_steps_are_grey_in_colour() -> None:
    o = np.array([[[0.0], [np.nan], [0.0]]], np.float32)
    lines = ansi({"o": o, "mask": np.array([[True, False, True]])}).splitlines()
    cell = "\x1b[38;2;68;1;84m▀▀▀▀\x1b[0m"
    grey = "\x1b[38;2;128;128;128m░░░░\x1b[0m"
    assert lines[1] == f"\x1b[2m0 \x1b[0m{cell}{grey}{cell}"


def test_lightness_tells_gates_apart_without_hue() -> None:
    """Whoever sees no colours still sees the order: luminance only grows."""
    shades = [colour(k / (LEVELS - 1), diverging=False).get_truecolor() for k in range(LEVELS)]
    luminance = np.array(shades) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()


def test_nan_has_a_colour_of_its_own() -> None:
    assert tuple(colour(float("nan"), diverging=True).get_truecolor()) == (255, 0, 255)


@pytest.mark.parametrize(
    ("system", "no_color", "expected"),
    [("truecolor", False, True), ("256", False, True), ("standard", False, False),
     ("truecolor", True, False), (None, False, False)],
)  # fmt: skip
def test_when_to_draw_in_colour(system: Any, no_color: bool, expected: bool) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(file=file, force_terminal=True, color_system=system, no_color=no_color)
    assert draws_in_colour(console) is expected


def test_no_half_blocks_where_they_cannot_be_written() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, force_terminal=True, color_system="truecolor", no_color=False)
    assert not draws_in_colour(console)
