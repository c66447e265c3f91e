"""``lstm rank --response``: what a character does to a unit; and AP among the figures of yes/no."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, load_npz

import lstm_cli
from lstm_cli import Trace
from lstm_cli.outputs.responses_table import bands_of, responses_table

BRACKETS = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
LABELS = SAMPLES / "brackets.labels.txt"
CHARACTERS = np.array(LABELS.read_text().splitlines())
RESPONSE = (*BRACKETS, "--target", LABELS, "--tensors", "c", "--response")


def test_on_keras_own_numbers(lstm: Cli) -> None:
    c = load_npz(SAMPLES / "brackets.golden.npz")["c"][0].astype(np.float64)
    changes = np.diff(c, axis=0, prepend=0.0)
    rows = list(csv.DictReader(io.StringIO(lstm("rank", *RESPONSE).succeeded().text)))
    assert len(rows) == 8 * len(set(CHARACTERS))
    for row in rows:
        own = changes[row["label"] == CHARACTERS, int(row["unit"])]
        assert int(row["n"]) == len(own)
        found = [float(row[name]) for name in ("mean", "p9", "p25", "p75", "p91")]
        bands = np.interp(
            np.array([0.09, 0.25, 0.75, 0.91]) * (len(own) - 1), range(len(own)), np.sort(own)
        )
        # float32 of Keras, c up to 8
        np.testing.assert_allclose(found, [own.mean(), *bands], atol=1e-5)


def test_the_counting_cell(lstm: Cli) -> None:
    """Unit 4 falls by one at an opening bracket; letters leave it nearly alone."""
    facts = json.loads(lstm("rank", *RESPONSE, "--json").succeeded().text)
    four = next(row for row in facts["rows"] if row["unit"] == 4)["responses"]
    for character in "([":
        np.testing.assert_allclose(four[character]["mean"], -0.95, atol=0.06)
    assert four["("]["n"] == 12
    for character in "abc":
        assert abs(four[character]["mean"]) < 0.25
    assert all(four[character]["p25"] > 0 for character in ")]")


def test_on_a_terminal_the_best_units() -> None:
    model = lstm_cli.load(BRACKETS[0])
    trace = lstm_cli.trace(model, np.loadtxt(BRACKETS[1], delimiter=",", skiprows=1))
    found = lstm_cli.rank(trace, CHARACTERS, tensors=("c", "h"), response=True)
    best = next(row.unit for row in found.rows if row.tensor == "c")
    for width in (40, 80, 200):
        lines = responses_table(found, 2, width).plain.splitlines()
        assert lines[0] == f"unit {best}: change of c"
        assert lines[1].split() == ["label", "n", "mean", "9%", "25%", "75%", "91%"]
        assert [line.split()[0] for line in lines[2:10]][-2:] == [")", "]"]
        assert sum("change of" in line for line in lines) == 4
        assert "… 6 more units of h: --top or --json" in lines
        if width >= 80:
            assert all("●" in line for line in lines[2:10])
            assert max(map(len, lines)) <= width


def test_the_bands_are_on_one_scale() -> None:
    """Places from -1 to 1 in 11 cells: a fifth of a unit each."""
    h = np.cumsum([-1, -1, -1, 0, 0, 0, 1, 1, 1])[None, :, None] * 1.0
    trace = Trace({"h": h, "initial_h": np.zeros((1, 1)), "final_h": h[:, -1]}, {})
    labels = np.array(list("aaabbbccc"))
    (row,) = lstm_cli.rank(trace, labels, tensors=("h",), response=True).rows
    assert bands_of(list(row.responses.values()), 11) == ["●    ┊", "     ●", "     ┊    ●"]
    h = np.cumsum([-1, -0.2, 0.2, 1])[None, :, None]
    trace = Trace({"h": h, "initial_h": np.zeros((1, 1)), "final_h": h[:, -1]}, {})
    (row,) = lstm_cli.rank(trace, np.array(list("aabb")), tensors=("h",), response=True).rows
    low, high = row.responses.values()
    # a: -1 and -0.2, 9% of the way from one to the other, and so on
    np.testing.assert_allclose(low[1:], [-0.6, -0.928, -0.8, -0.4, -0.272], rtol=1e-12)
    lines = bands_of([low, high], 30)
    assert lines[0].index("●") == round((-0.6 + 0.928) / 1.856 * 29)
    assert [len(line.strip("┊ ")) for line in lines] == [11, 11]  # of 30: 10.25 and 10.25 apart
    assert set(lines[0]) == {"─", "━", "●", " ", "┊"}


def test_yes_or_no_has_the_average_precision(lstm: Cli) -> None:
    """How well c tells whether a bracket is open, by definition on Keras's own numbers."""
    c = load_npz(SAMPLES / "brackets.golden.npz")["c"][0]
    np.savetxt("open.txt", (np.loadtxt(SAMPLES / "brackets.depth.csv", skiprows=1) > 0), "%d")
    is_open = np.loadtxt("open.txt") > 0
    command = ("rank", *BRACKETS, "--target", "open.txt", "--tensors", "c")
    rows = list(csv.DictReader(io.StringIO(lstm(*command, "--near-zero", 0).succeeded().text)))
    for row in rows:
        x = c[:, int(row["unit"])] * (1 if float(row["auc"]) >= 0.5 else -1)
        yes = is_open[np.argsort(-x)]
        expected = (np.cumsum(yes) / np.arange(1, len(yes) + 1))[yes].mean()
        np.testing.assert_allclose(float(row["ap"]), expected, rtol=1e-6)
    facts = json.loads(lstm(*command, "--near-zero", 0.5, "--json").succeeded().text)
    assert facts["near_zero"] == 0.5
    assert all(0 < row["ap"] <= 1 for row in facts["rows"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--tensors", "f"), "a response is a change of h or c; found 'f'"),
        (("--target", SAMPLES / "brackets.depth.csv"), "the label is a number; kind: class"),
        (("--near-zero", -1), "--near-zero"),
    ],
)
def test_refusals(lstm: Cli, more: tuple[object, ...], said: str) -> None:
    target = () if "--target" in more else ("--target", LABELS)
    assert said in lstm("rank", *BRACKETS, *target, "--response", *more).refusal()
