"""``lstm text``: labels as running text, coloured by what units did."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, assert_close, load_npz

BRACKETS = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
LABELS = ("--labels", SAMPLES / "brackets.labels.txt")


@pytest.mark.parametrize("tensor", ["h", "c", "f"])
def test_values_are_the_framework_s(lstm: Cli, tensor: str) -> None:
    golden = load_npz(SAMPLES / "brackets.golden.npz")[tensor][0]
    given = (*BRACKETS, "--unit", "4,0", "--tensor", tensor, *LABELS, "--steps", "5:30", "--json")
    found = json.loads(lstm("text", *given).succeeded().text)
    assert [entry["unit"] for entry in found["units"]] == [4, 0]
    for entry in found["units"]:
        assert_close(np.array(entry["values"]), golden[5:30, entry["unit"]])
    assert "".join(found["labels"]) == "[c+a])+c+[((a+b)+[c+(a+[b"
    assert (found["first_step"], found["tensor"]) == (5, tensor)


def test_a_counting_cell_reads_as_its_depth(lstm: Cli) -> None:
    """Unit 4 falls with each bracket that opens: the deeper, the further below 0."""
    text = lstm("text", *BRACKETS, "-u", 4, "--tensor", "c", *LABELS).succeeded().text
    heading, labels, marks = text.splitlines()
    assert heading.startswith("c  cell state, unit 4   -7.04 Oo-.+xX 7.04")
    depth = np.loadtxt(SAMPLES / "brackets.depth.csv", skiprows=1, delimiter=",", ndmin=2)[:, -1]
    assert len(labels) == len(marks) == len(depth) == 69
    deepest, flat = depth == depth.max(), depth == 0
    assert {mark for mark, deep in zip(marks, deepest, strict=True) if deep} == {"O"}
    assert {mark for mark, level in zip(marks, flat, strict=True) if level} == {"."}


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_a_trace_gives_the_same_text_as_its_model(lstm: Cli, form: str) -> None:
    lstm("export", *BRACKETS, "-o", f"trace.{form}").succeeded()
    chosen = ("--unit", "0,7", *LABELS)
    text = lstm("text", *BRACKETS, *chosen).succeeded().text
    assert lstm("text", f"trace.{form}", *chosen).succeeded().text == text


def test_files(lstm: Cli, tmp_path: Path) -> None:
    for form, start in (("html", "<!DOCTYPE html>"), ("svg", "<svg ")):
        done = lstm("text", *BRACKETS, "--unit", "0,4", *LABELS, "-o", f"text.{form}")
        assert done.succeeded().out == b""
        text = (tmp_path / f"text.{form}").read_text(encoding="utf-8")
        assert text.startswith(start)
        assert text.count("</span>" if form == "html" else "</text>") > 2 * 69


def test_labels_that_are_numbers_stay_features(lstm: Cli) -> None:
    given = (SAMPLES / "forecaster.keras", SAMPLES / "forecaster.csv", "--labels", "month")
    text = lstm("text", *given, "--unit", 0, "--steps", ":5").succeeded().text
    assert text.splitlines()[1] == "1 2 3 4 5"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (LABELS, "text needs a unit: --unit 3, or several, as in --unit 0,3,7"),
        (["--unit", 0], "text needs labels of the steps: --labels with a file"),
        (["--unit", 9, *LABELS], "unit 9: 'h' has units 0 to 7"),
        (["--unit", 0, *LABELS, "--tensor", "q"], "no tensor 'q'; there is: "),
        (["--unit", 0, "--labels", SAMPLES / "brackets.csv"], "expected 69 labels, one a step"),
        (["--unit", 0, "--labels", SAMPLES], f"--labels {SAMPLES}: no such file"),
        (["--unit", 0, *LABELS, "-o", "x.pdf"], "x.pdf: running text is written as .html or .svg"),
        (["--unit", 0, *LABELS, "-o", "x.svg", "--json"], "--json prints to standard output"),
    ],
)
def test_what_is_refused(lstm: Cli, arguments: list[object], message: str) -> None:
    assert lstm("text", *BRACKETS, *arguments).refusal().startswith(message)


def test_inputs_are_not_written_over(lstm: Cli, tmp_path: Path) -> None:
    (tmp_path / "labels.svg").write_bytes((SAMPLES / "brackets.labels.txt").read_bytes())
    given = (*BRACKETS, "--unit", 0, "--labels", "labels.svg", "-o", "labels.svg")
    assert "is also read as 'labels.svg'" in lstm("text", *given).refusal()
