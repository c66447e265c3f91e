"""``lstm view``: where it opens, what it prints instead, and what is refused."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path
from runpy import run_path
from typing import Any
from xml.etree.ElementTree import parse

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, assert_close, environment, load_npz

BRACKETS = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
LABELS = ("--labels", SAMPLES / "brackets.labels.txt")
WORDS = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"


def facts(lstm: Cli, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lstm("view", *arguments, "--json").succeeded().text)
    return found


def test_the_numbers_of_a_step_are_the_framework_s(lstm: Cli) -> None:
    golden = load_npz(SAMPLES / "brackets.golden.npz")
    found = facts(lstm, *BRACKETS, "--unit", 4, "--step", 8, *LABELS)
    assert (found["source"], found["cell"]) == (str(BRACKETS[1]), "")
    assert (found["step"], found["unit"], found["label"]) == (8, 4, "a")
    for name in ("h", "c"):
        assert_close(np.array(found[name]), golden[name][0, 8, 4])
    assert_close(np.array(found["c_before"]), golden["c"][0, 7, 4])
    assert_close(np.array(found["update"]), golden["c"][0, 8, 4])
    for name, gate in found["gates"].items():
        assert_close(np.array(gate["value"]), golden[name][0, 8, 4])
        parts = gate["from_input"] + gate["from_recurrent"] + gate["from_peephole"] + gate["bias"]
        assert_close(np.array(parts), np.array(gate["z"]))
        done = np.tanh(parts) if name == "g" else 1 / (1 + np.exp(-parts))
        assert_close(np.array(done), golden[name][0, 8, 4])


def test_one_of_several_cells_and_a_masked_step(lstm: Cli) -> None:
    golden = load_npz(SAMPLES / "bidirectional.golden.npz")
    given = (*WORDS, "--cell", "middle/backward", "--sequence", 2, "--unit", 1)
    found = facts(lstm, *given)
    assert (found["cell"], found["sequence"], found["step_before"]) == ("middle/backward", 2, 1)
    assert_close(np.array(found["c"]), golden["middle/backward/c"][2, 0, 1])
    assert_close(np.array(found["c_before"]), golden["middle/backward/c"][2, 1, 1])
    padded = facts(lstm, *given, "--step", 9)
    assert padded["masked"]
    assert padded["gates"]["i"]["value"] is None


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_a_trace_gives_the_same_numbers_as_its_model(lstm: Cli, form: str) -> None:
    whole = ("--pre-activation", "--with-input", "--with-weights")
    lstm("export", *BRACKETS, *whole, "-o", f"whole.{form}").succeeded()
    chosen = ("--unit", 3, "--step", 30)
    expected = facts(lstm, *BRACKETS, *chosen)
    found = facts(lstm, f"whole.{form}", *chosen)
    assert found == {**expected, "source": f"whole.{form}"}

    lstm("export", *BRACKETS, "-o", f"bare.{form}").succeeded()
    bare = facts(lstm, f"bare.{form}", *chosen)
    assert (bare["c"], bare["h"], bare["update"]) == tuple(
        expected[k] for k in ("c", "h", "update")
    )
    for name, gate in bare["gates"].items():
        assert gate["value"] == expected["gates"][name]["value"]
        assert "export it with --with-input --with-weights" in gate["not_split"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--step", "69", "--json"], "step 69: the sequence has steps 0 to 68"),
        (["--unit", "8", "--json"], "unit 8: the trace has units 0 to 7"),
        (["--sequence", "1", "--json"], "sequence 1: the trace has sequence 0 alone"),
        (["--tensor", "q", "--json"], "no tensor 'q'; there is: h, c, i, f, g, o"),
        (["--cell", "q", "--json"], "no cell 'q'; there is: "),
        (["--labels", "nosuch", "--json"], "--labels nosuch: no such file, and "),
        (
            ["--labels", SAMPLES / "brackets.csv", "--json"],
            "expected 69 labels, one a step, found ",
        ),
        ([BRACKETS[1], "--json"], "view shows one input, or one trace; give one at a time"),
        ([], "view needs a terminal for its screen and its keys; --json prints the numbers of a"),
        (["-o", "view.png"], "view.png: a screen is written as .svg; choose a name that ends so"),
        (["-o", "view.svg", "--json"], "--json prints to standard output; leave out -o, or --json"),
        (["-o", "view.svg", "--size", "10"], "--size: expected columns and lines such as 100x30"),
        (["-o", "view.svg", "--size", "9x9"], "size 9x9: expected 20x8 to 500x200"),
        (["--size", "80x24"], "--size is about the picture that -o writes; give -o, or leave"),
        (["-o", "view.svg", "--step", "69"], "step 69: the sequence has steps 0 to 68"),
        (["-o", "no/view.svg"], "no/view.svg: "),
    ],
)
def test_what_is_refused(lstm: Cli, tmp_path: Path, arguments: list[object], message: str) -> None:
    assert lstm("view", *BRACKETS, *arguments).refusal().startswith(message)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".svg", ".png")]


def letters(picture: Path) -> str:
    """The screen's text, a line a line, with ordinary blanks."""
    lines: dict[float, str] = {}
    for element in parse(picture).iter("{http://www.w3.org/2000/svg}text"):
        y = float(element.get("y", "0"))
        lines[y] = lines.get(y, "") + (element.text or "")
    return "\n".join(lines[y] for y in sorted(lines)).replace("\xa0", " ")


def test_the_screen_as_a_picture(
    lstm: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same wherever it is drawn, with nothing to fetch from elsewhere."""
    golden = load_npz(SAMPLES / "brackets.golden.npz")
    given = (*BRACKETS, *LABELS, "--unit", 2, "--step", 30)
    lstm("view", *given, "-o", "one.svg").succeeded()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    lstm("view", *given, "-o", "two.svg").succeeded()
    assert os.environ["NO_COLOR"] == "1"
    one, two = tmp_path / "one.svg", tmp_path / "two.svg"
    assert one.read_bytes() == two.read_bytes()
    shown = letters(one)
    assert f"h[30] of unit 2: {golden['h'][0, 30, 2]:.4f}" in shown
    assert "── step 30  ] ── unit 2" in shown.replace("─ ", "── ").replace("───", "──")
    source = one.read_text(encoding="utf-8")
    assert "@font-face" not in source
    assert not re.search(r"url\((?!#)", source)
    assert not re.search(r"font-family:(?! ui-monospace)", source)
    for colour in ("#3b4cc0", "#b40426"):  # the ends of the scale
        assert colour in source

    lstm("view", *BRACKETS, "-o", "small.svg", "--size", "60x20").succeeded()
    assert "largest products" in shown
    assert "largest products" not in letters(tmp_path / "small.svg")


def test_sequences_have_the_names_that_their_file_gives_them(lstm: Cli, tmp_path: Path) -> None:
    rows = "".join(f"{walk},0.5\n" * 3 for walk in ("north", "south"))
    (tmp_path / "walks.csv").write_text(f"walk,x\n{rows}")
    model = SAMPLES / "three_steps.keras"
    given = ("walks.csv", "--sequence-column", "walk", "--sequence", 1)
    lstm("view", model, *given, "-o", "walks.svg").succeeded()
    assert "sequence 1 'south' of 0–1" in letters(tmp_path / "walks.svg")


def test_the_picture_of_the_readme_is_what_its_command_draws(lstm: Cli, tmp_path: Path) -> None:
    """To the letter; another version of what writes it may put them elsewhere."""
    (tmp_path / "sample_models").symlink_to(SAMPLES)
    commands: dict[str, str] = run_path(str(SAMPLES / "make_pictures.py"))["COMMANDS"]
    program, *arguments = shlex.split(commands["view.svg"])
    assert program == "lstm"
    lstm(*arguments, "-o", "view.svg").succeeded()
    kept = SAMPLES / "pictures" / "view.svg"
    assert letters(tmp_path / "view.svg") == letters(kept)
    assert "unit 4" in letters(kept)
    assert kept.stat().st_size < 150_000


def in_terminal(
    folder: Path, keys: list[tuple[bytes, bytes]], *arguments: object, **settings: str
) -> tuple[int, bytes]:
    """Run ``lstm view`` on a terminal of 80 columns; ``keys``: what to wait for, and to press then.

    Returns:
        The exit code, and all that was written.
    """
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "lstm_cli", "view", *map(str, arguments)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(TERM="xterm-256color", COLORTERM="truecolor", **settings),
        cwd=folder,
    )
    os.close(terminal)
    shown, waiting = b"", list(keys)
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
        if waiting and waiting[0][0] in shown:
            os.write(master, waiting.pop(0)[1])
    os.close(master)
    assert not waiting, shown
    return process.wait(timeout=60), shown


@pytest.mark.parametrize(
    ("settings", "coloured", "key", "code"),
    [({}, True, b"q", 0), ({"NO_COLOR": "1"}, False, b"\x03", 130)],
    ids=["colours", "no colours, Ctrl-C"],
)
def test_it_opens_on_a_terminal_and_leaves_it(
    tmp_path: Path, settings: dict[str, str], coloured: bool, key: bytes, code: int
) -> None:
    keys = [(b"of unit 4: -0.8138", b"c"), (b"of unit 4: -1.1395", key)]
    given = (*BRACKETS, "--unit", 4, "--step", 8, *LABELS)
    found, shown = in_terminal(tmp_path, keys, *given, **settings)
    assert found == code
    assert b"Traceback" not in shown
    assert b"\x1b[?1049l" in shown  # the screen as it was before
    assert (b"48;2;" in shown) == coloured
