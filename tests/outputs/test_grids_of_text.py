"""Columns of text: bands that fit, and terminals that have no signs and rules."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from lstm_cli.outputs.grid import Column, Lines, bands, grid, grid_width


def printed(lines: list[Text], encoding: str) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="")
    console = Console(file=stream, force_terminal=True, color_system="standard", width=60)
    console.print(Lines(lines))
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_signs_become_letters_and_columns_stay_below_each_other(encoding: str) -> None:
    columns = [
        Column("unit", ["0", "1"]),
        Column("|c|", ["−1", "2"], group="max"),
        Column("bar", ["██│", "  │"], right=False),
    ]
    plain = Text.from_ansi(printed(grid(columns), encoding)).plain
    assert [line.rstrip() for line in plain.splitlines()] == [
        "     | max",
        "unit | |c|  bar",
        "   0 |  -1  ##|",
        "   1 |   2    |",
    ]


def test_columns_of_a_group_stay_together_where_there_is_room() -> None:
    keys = [Column("unit", ["0"])]
    columns = [Column("aaaa", ["1"]), *(Column(c, ["2"], group="of all") for c in ("bbb", "ccc"))]
    cut = bands(keys, columns, 20)
    assert [[column.header for column in band] for band in cut] == [
        ["unit", "aaaa"],
        ["unit", "bbb", "ccc"],
    ]
    assert max(grid_width(band) for band in cut) <= 20
    narrow = bands(keys, columns, 12)  # no band has room for both
    assert [band[-1].header for band in narrow] == ["aaaa", "bbb", "ccc"]


def test_a_sign_is_never_lost_and_styles_stay_on_their_words() -> None:
    line = Text.assemble(("4−", "bold"), " of c, |c| ≥ 0.3 · Σ|…| ", ("∞", "red"))
    shown = printed([line], "ascii")
    assert Text.from_ansi(shown).plain.rstrip() == "4- of c, |c| >= 0.3 * sum |~| inf"
    assert "\x1b[1m4-\x1b[0m" in shown
    assert "\x1b[31minf\x1b[0m" in shown


def test_where_there_are_signs_they_stay() -> None:
    assert printed([Text("a │ ≥ ∞")], "utf-8").rstrip() == "a │ ≥ ∞"
