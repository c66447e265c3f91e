"""``lstm view``: where it opens, what it prints instead, and what is refused."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

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
        (["--step", "69", "--json"], "step 69: there are steps 0 to 68"),
        (["--unit", "8", "--json"], "unit 8: there are units 0 to 7"),
        (["--sequence", "1", "--json"], "sequence 1: there are sequences 0 to 0"),
        (["--tensor", "q", "--json"], "no tensor 'q'; there is: h, c, i, f, g, o"),
        (["--cell", "q", "--json"], "no cell 'q'; there is: "),
        (["--labels", "nosuch", "--json"], "--labels nosuch: no such file, and "),
        (
            ["--labels", SAMPLES / "brackets.csv", "--json"],
            "expected 69 labels, one a step, found ",
        ),
        ([BRACKETS[1], "--json"], "view shows one input, or one trace; give one at a time"),
        ([], "view needs a terminal for its screen and its keys; --json prints the numbers of a"),
    ],
)
def test_what_is_refused(lstm: Cli, arguments: list[object], message: str) -> None:
    assert lstm("view", *BRACKETS, *arguments).refusal().startswith(message)


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
