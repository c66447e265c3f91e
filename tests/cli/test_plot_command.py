"""``lstm plot``: what is drawn of a model and of a trace, and what is refused."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path
from runpy import run_path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, assert_close, environment, load_npz
from numpy.typing import NDArray

Array = NDArray[Any]

BRACKETS = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
LABELS = SAMPLES / "brackets.labels.txt"
WORDS = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"


def numbers(facts: dict[str, Any], name: str) -> Array:
    """One panel's numbers, (T, U), with its units in their own order."""
    panel = next(panel for panel in facts["panels"] if panel["name"] == name)
    assert panel["steps_per_column"] == 1
    assert panel["low"] == panel["high"]
    values = np.array(panel["low"], float).T  # null becomes NaN
    return values[:, np.argsort(panel["units"])]


def facts(lstm: Cli, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lstm("plot", *arguments, "--json").succeeded().text)
    return found


def test_the_picture_shows_what_the_framework_computed(lstm: Cli) -> None:
    golden = load_npz(SAMPLES / "brackets.golden.npz")
    found = facts(lstm, *BRACKETS, "--sort", "similarity", "--labels", LABELS)
    for name in ("h", "c", "i", "f", "g", "o"):
        assert_close(numbers(found, name), golden[name][0])
    assert "".join(found["labels"]) == "".join(LABELS.read_text().splitlines())
    slowest_first = np.argsort(-golden["f"][0].mean(axis=0))
    found = facts(lstm, *BRACKETS, "--sort", "timescale", "--tensors", "c")
    assert found["panels"][0]["units"] == slowest_first.tolist()


def test_masked_steps_and_backward_cells(lstm: Cli) -> None:
    """Both directions on the input's steps; the words end after a few, the rest is padding."""
    golden = load_npz(SAMPLES / "bidirectional.golden.npz")
    found = facts(lstm, *WORDS, "--layer", "middle", "--sequence", 2)
    real = golden["mask"][2].astype(bool)
    assert 0 < real.sum() < len(real)
    for part in ("forward", "backward"):
        for name in ("c", "f"):
            shown = numbers(found, f"{part}/{name}")
            assert_close(shown[real], golden[f"middle/{part}/{name}"][2][real])
            assert np.isnan(shown[~real]).all()


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_a_trace_gives_the_same_picture_as_its_model(lstm: Cli, form: str) -> None:
    lstm("export", *BRACKETS, "-o", f"trace.{form}").succeeded()
    chosen = ("--units", "0,4", "--steps", "3:40", "--labels", LABELS)
    text = lstm("plot", *BRACKETS, *chosen).succeeded().text
    assert lstm("plot", f"trace.{form}", *chosen).succeeded().text == text
    assert text.startswith("unit 0\nh ")
    assert "b+[c+a])+c+[((a+b)+[c+(a+[b])])+a]+b+" in text


def test_maps_and_lines(lstm: Cli) -> None:
    lines = lstm("plot", *BRACKETS, "--units", "3,7", "--tensors", "c").succeeded().text
    assert lines.splitlines()[0] == "unit 3"
    maps = lstm("plot", *BRACKETS, "--units", "3,7", "--tensors", "c", "--style", "maps")
    assert [line[:2] for line in maps.succeeded().text.splitlines()[1:3]] == ["3 ", "7 "]
    every = lstm("plot", *BRACKETS, "--tensors", "c", "--style", "lines").succeeded().text
    assert every.count("unit ") == 8


def test_several_inputs_have_their_names(lstm: Cli, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("token\n1\n2\n")
    text = lstm("plot", *BRACKETS, "other.csv", "--tensors", "h").succeeded().text
    assert text.splitlines()[0] == str(BRACKETS[1])
    assert "other.csv" in text.splitlines()
    both = json.loads(lstm("plot", *BRACKETS, "other.csv", "--json").succeeded().text)
    assert [entry["source"] for entry in both] == [str(BRACKETS[1]), "other.csv"]


def test_labels_from_a_column_of_text(lstm: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("who,month,celsius\nann,1,20\nbo,2,21\n")
    model = SAMPLES / "forecaster.keras"
    found = facts(lstm, model, "x.csv", "--labels", "who")
    assert found["labels"] == ["ann", "bo"]
    assert facts(lstm, model, "x.csv", "--columns", "1,2")["panels"] == found["panels"]


def test_labels_of_the_sequence_that_is_shown(lstm: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,who,a,b\np,ann,1,20\nq,bo,2,21\np,cy,3,22\np,di,4,20\n")
    given = (SAMPLES / "forecaster.keras", "x.csv", "--labels", "who", "--sequence-column", "id")
    assert facts(lstm, *given)["labels"] == ["ann", "cy", "di"]
    found = facts(lstm, *given, "--sequence", 1)
    assert (found["labels"], found["steps"]) == (["bo"], 1)


def test_a_figure(lstm: Cli, tmp_path: Path) -> None:
    given = (*BRACKETS, "--labels", LABELS, "--units", 0, "--width", 6, "-o", "figure.svg")
    assert lstm("plot", *given).succeeded().out == b""
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    assert root.get("width") == f"{6 * 72}pt"


def test_an_earlier_figure_stays_if_the_run_fails(lstm: Cli, tmp_path: Path) -> None:
    (tmp_path / "figure.svg").write_text("earlier")
    message = lstm("plot", *BRACKETS, "--units", 8, "-o", "figure.svg").refusal()
    assert message == "unit 8: 'h' has units 0 to 7"
    assert (tmp_path / "figure.svg").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["figure.svg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sequence", "1"], "sequence 1: the trace has sequence 0 alone"),
        (["--steps", "69:"], "step 69: the sequence has steps 0 to 68"),
        (["--labels", "nosuch"], "--labels nosuch: no such file, and "),
        (["--units", "a"], "--units: expected numbers and ranges, such as 0,3,7:12, found 'a'"),
        (["-o", "figure.bmp"], "figure.bmp: figures are written as .png, .svg, .pdf"),
        (["-o", "no/figure.svg"], "no/figure.svg: there is no folder"),
        (["-o", "figure.svg", "--json"], "--json prints to standard output"),
        (["--tensors", "q"], "no tensor 'q'; there is: "),
        (["--width", "5"], "--width is of a figure; give -o too, or make the terminal wider"),
    ],
)
def test_what_is_refused(lstm: Cli, arguments: list[str], message: str) -> None:
    assert lstm("plot", *BRACKETS, *arguments).refusal().startswith(message)


def test_a_figure_shows_one_input(lstm: Cli) -> None:
    message = lstm("plot", *BRACKETS, BRACKETS[1], "-o", "x.svg").refusal()
    assert message == "-o draws one INPUT, found 2; give one at a time"


def test_labels_beside_a_trace_or_a_pipe_are_a_file(lstm: Cli) -> None:
    lstm("export", *BRACKETS, "-o", "trace.npz").succeeded()
    message = lstm("plot", "trace.npz", "--labels", "token").refusal()
    assert message == "--labels token: no such file; a trace has no column of labels"
    message = lstm("plot", BRACKETS[0], "-", "--labels", "token", stdin=b"token\n1\n").refusal()
    assert message == "--labels takes a file where the INPUT is standard input"


@pytest.mark.parametrize(("settings", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_in_a_terminal(tmp_path: Path, settings: dict[str, str], coloured: bool) -> None:
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "lstm_cli", "plot", *map(str, BRACKETS), "--tensors", "c"]
    more = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "100", **settings}
    process = subprocess.Popen(
        command, stdout=terminal, stdin=subprocess.DEVNULL, env=environment(**more), cwd=tmp_path
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.wait(timeout=60) == 0
    assert ("▀".encode() in shown) == coloured
    assert (b"\x1b[38;2;" in shown) == coloured


def test_the_pictures_of_the_readme_are_what_their_commands_draw(lstm: Cli, tmp_path: Path) -> None:
    """Text to the letter; of figures, which other versions of matplotlib draw otherwise, not."""
    (tmp_path / "sample_models").symlink_to(SAMPLES)
    commands: dict[str, str] = run_path(str(SAMPLES / "make_pictures.py"))["COMMANDS"]
    pictures = SAMPLES / "pictures"
    assert sorted(commands) == sorted(path.name for path in pictures.iterdir())
    assert len(commands) >= 3
    for name, command in commands.items():
        program, *arguments = shlex.split(command)
        assert program == "lstm"
        lstm(*arguments, "-o", name).succeeded()
        assert (tmp_path / name).read_bytes()[:4] == (pictures / name).read_bytes()[:4]
    assert (tmp_path / "text.svg").read_bytes() == (pictures / "text.svg").read_bytes()
