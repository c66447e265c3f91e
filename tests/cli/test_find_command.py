"""``lstm find``: steps that resemble a range of steps."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, load_npz

BRACKETS, CSV = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
LABELS = SAMPLES / "brackets.labels.txt"
WORDS = LABELS.read_text().splitlines()


@pytest.fixture
def pieces() -> tuple[str, str]:
    """The brackets cut in two, with labels beside each."""
    ids = CSV.read_text().split()
    for name, rows in (("a", slice(0, 40)), ("b", slice(40, None))):
        Path(f"{name}.csv").write_text("\n".join([ids[0], *ids[1:][rows]]) + "\n")
        Path(f"{name}.txt").write_text("\n".join(WORDS[rows]) + "\n")
    return "a.csv", "b.csv"


def json_lines(lstm: Cli, *arguments: object) -> list[dict[str, Any]]:
    done = lstm("find", *arguments, "--format", "jsonl").succeeded()
    return [json.loads(line) for line in done.text.splitlines()]


def test_the_units_that_are_selected_are_on_in_every_full_match(lstm: Cli) -> None:
    """Checked on the framework's own numbers: on throughout, and off the step before."""
    facts = json.loads(
        lstm("find", BRACKETS, CSV, "--range", "5:10", "--left", 0, "--format", "json").text
    )

    tanh_c = np.tanh(load_npz(SAMPLES / "brackets.golden.npz")["c"][0])
    on = [(u["unit"], u["sign"]) for u in facts["units"]]
    expected = [
        (unit, sign)
        for unit in range(8)
        for sign in (1, -1)
        if (tanh_c[5:10, unit] * sign >= 0.3).all()
    ]
    assert on == sorted(expected)
    assert len(on) > 3
    full = [hit for hit in facts["hits"] if hit["shared"] == len(on)]
    assert len(full) > 3
    for hit in full:
        span = slice(hit["start"], hit["start"] + hit["length"])
        assert all((tanh_c[span, unit] * sign >= 0.3).all() for unit, sign in on)
    assert facts["hits"][0]["selected"]
    assert sum(facts["lengths"].values()) >= sum(facts["lengths_strict"].values()) > 3


def test_blips_are_dropped(lstm: Cli) -> None:
    """Selected is what is on for more than two steps around the range, on Keras's own numbers."""
    units_on = ("--range", "16:17", "--left", 0, "--tensor", "f", "--threshold", 0.99)
    command = ("find", BRACKETS, CSV, *units_on, "--format", "json")
    f = load_npz(SAMPLES / "brackets.golden.npz")["f"][0]
    on = f >= 0.99
    lasting = np.array([on[k : k + 3].all(axis=0) for k in range(len(on) - 2)])
    for blips, expected in ((0, on[16]), (2, lasting[14:17].any(axis=0))):
        facts = json.loads(lstm(*command, "--drop-blips", blips).succeeded().text)
        assert [u["unit"] for u in facts["units"]] == list(np.flatnonzero(expected))
        assert facts["dropped_blips"] == blips
    assert 0 < lasting[14:17].any(axis=0).sum() < on[16].sum()
    shown = lstm(*command[:-1], "table", "--drop-blips", 2).succeeded().text
    assert "for more than 2 steps" in " ".join(shown.split())
    assert "range" in lstm(*command, "--drop-blips", -1).refusal()


def test_json_lines_name_file_sequence_steps_score_and_labels(lstm: Cli) -> None:
    found = json_lines(lstm, BRACKETS, CSV, "--range", "5:10", "--labels", LABELS)

    assert found[0] == {
        "file": str(CSV),
        "sequence": 0,
        "start": 5,
        "length": 5,
        "score": 1.0,
        "shared": 1,
        "union": 1,
        "selected": True,
        "labels": WORDS[5:10],
    }
    for hit in found:
        assert hit["labels"] == WORDS[hit["start"] : hit["start"] + hit["length"]]
        np.testing.assert_allclose(hit["score"], hit["shared"] / hit["union"])
    ranks = [(-hit["shared"], hit["union"], -hit["length"]) for hit in found]
    assert ranks == sorted(ranks)


def test_csv_and_json_lines_hold_the_same(lstm: Cli) -> None:
    arguments = (BRACKETS, CSV, "--range", "5:10", "--labels", LABELS)
    found = json_lines(lstm, *arguments)
    table = list(csv.DictReader(io.StringIO(lstm("find", *arguments).succeeded().text)))
    assert [(r["start"], r["length"], r["labels"]) for r in table] == [
        (str(h["start"]), str(h["length"]), "".join(h["labels"])) for h in found
    ]


def test_several_inputs_are_searched(lstm: Cli, pieces: tuple[str, str]) -> None:
    labels = ("--labels", "a.txt", "--labels", "b.txt")
    found = json_lines(lstm, BRACKETS, *pieces, "--range", "5:10", *labels)

    assert {hit["file"] for hit in found} == {"a.csv", "b.csv"}
    for hit in found:
        words = WORDS[:40] if hit["file"] == "a.csv" else WORDS[40:]
        assert hit["labels"] == words[hit["start"] : hit["start"] + hit["length"]]
    alone = [json_lines(lstm, BRACKETS, "a.csv", "--range", "5:10")]
    assert {(h["start"], h["length"], h["score"]) for h in alone[0]} == {
        (h["start"], h["length"], h["score"]) for h in found if h["file"] == "a.csv"
    }


def test_traces_are_searched_as_their_runs(lstm: Cli, pieces: tuple[str, str]) -> None:
    for name in pieces:
        lstm("export", BRACKETS, name, "-o", f"{name}.h5").succeeded()
    found = json_lines(lstm, "a.csv.h5", "b.csv.h5", "--range", "5:10")
    expected = json_lines(lstm, BRACKETS, *pieces, "--range", "5:10")
    assert [{**hit, "file": hit["file"] + ".h5"} for hit in expected] == found


@pytest.mark.parametrize("tensor", ["h", "f"])
def test_h_and_gates_are_searched(lstm: Cli, tensor: str) -> None:
    options = ("--tensor", tensor, "--quantile", 0.6, "--left", 0, "--sides", "above")
    done = lstm("find", BRACKETS, CSV, "--range", "5:8", *options, "--format", "json")

    facts = json.loads(done.succeeded().text)
    values = load_npz(SAMPLES / "brackets.golden.npz")[tensor][0]
    levels = np.quantile(np.abs(values.astype(np.float64)), 0.6, axis=0)
    units = np.flatnonzero((values[5:8] >= levels).all(axis=0))
    assert [u["unit"] for u in facts["units"]] == units.tolist()
    got = [u["threshold"] for u in facts["units"]]
    np.testing.assert_allclose(got, levels[units], atol=1e-5)


def test_sequences_and_parts_are_chosen(lstm: Cli) -> None:
    model, sentences = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"
    chosen = ("--layer", "middle/forward", "--sequence", 2, "--left", 0)
    found = json_lines(lstm, model, sentences, "--range", "1:3", *chosen)
    mask = load_npz(SAMPLES / "bidirectional.golden.npz")["mask"]
    assert {hit["sequence"] for hit in found} >= {0, 2, 3}
    for hit in found:
        assert mask[hit["sequence"], hit["start"] : hit["start"] + hit["length"]].all()


def test_labels_of_windows_are_those_of_their_steps(lstm: Cli) -> None:
    cut = ("--window", 20, "--stride", 7, "--labels", LABELS)
    found = json_lines(lstm, BRACKETS, CSV, "--range", "5:10", *cut)
    assert {hit["sequence"] for hit in found} >= {0, 1, 2}
    for hit in found:
        start = 7 * hit["sequence"] + hit["start"]
        assert hit["labels"] == WORDS[start : start + hit["length"]]


@pytest.mark.parametrize("columns", ["80", "200"])
def test_the_table_fits(lstm: Cli, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    done = lstm("find", BRACKETS, CSV, "--range", "5:10", "--labels", LABELS, "--format", "table")
    lines = done.succeeded().text.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert "".join(lines).startswith("steps 5 to 9 select units 7+ of c (on at |tanh c| ≥ 0.3)")
    assert lines[lines.index("") + 2].split() == ["*", "5", "5", "1.000", "1/1", "[c+a]"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "find needs a range of steps, such as --range 10:17"),
        (["--range", "7:5"], "--range: expected FROM:TO with TO above FROM"),
        (["--range", "5:"], "--range: expected FROM:TO"),
        (["--range", "60:90"], "the sequence has steps 0 to 68, the range is 60:90"),
        (["--range", "5:10", "--sequence", "1"], "sequence 1: the trace has sequence 0 alone"),
        (["--range", "20:30"], "of 7 units of c on throughout 20:30 none is off in the 1 "),
        (["--range", "5:10", "--tensor", "nosuch"], "nosuch"),
        (["--range", "5:10", "--threshold", "1.5"], "expected above 0 and below 1, found 1.5"),
        (["--range", "5:10", "--min-length", "0"], "is not in the range x>=1"),
        (["--range", "5:10", "--labels", "nosuch.txt"], "--labels nosuch.txt: no such file"),
        (["--range", "5:10", "--labels", LABELS, "--labels", LABELS], "expected a file for each"),
        (["--range", "5:10", "--labels", CSV], "expected 69 labels, one a step, found 70"),
        (
            ["--range", "5:10", "--window", "20", "--stride", "49", "--labels", "short.txt"],
            "expected 69 labels, one a step of the series, found 68",
        ),
        (
            ["--range", "5:10", "--threshold", "0.3", "--quantile", "0.5"],
            "--threshold and --quantile exclude each other",
        ),
        (
            ["--range", "5:10", "--min-length", "2", "--length", "3"],
            "--min-length and --length exclude each other",
        ),
    ],
)
def test_ranges_and_options_that_cannot_be_used(
    lstm: Cli, options: list[object], message: str
) -> None:
    Path("short.txt").write_text("\n".join(WORDS[:68]) + "\n")
    assert message in lstm("find", BRACKETS, CSV, *options).refusal()


def test_the_table_counts_candidates_by_length_and_says_when_there_are_none(lstm: Cli) -> None:
    command = ("find", BRACKETS, CSV, "--range", "16:20", "--threshold", 0.9, "--format")
    facts = json.loads(lstm(*command, "json").succeeded().text)
    text = " ".join(lstm(*command, "table").succeeded().text.split())
    lengths = {int(length): count for length, count in facts["lengths"].items()}
    assert len(lengths) == 8  # as many as are told apart
    assert set(lengths.values()) == {1}
    told = "8 candidates, 3 with all selected units; lengths: 2, 4, 5, 9, 10, 12, 13, 16 score"
    assert told in text
    other = ("--range", "5:8", "--threshold", 0.6, "--left", 0, "--format", "table")
    text = " ".join(lstm("find", BRACKETS, CSV, *other).succeeded().text.split())
    assert "lengths: 4 (2 times), 6, 7, 11, 14, 16, 18, 22, 2 others score" in text
    none = lstm(*command, "table", "--min-length", 60).succeeded().text
    assert "nothing found; a smaller --min-length" in none
    assert "score" not in none


def test_labels_of_a_cut_trace_are_its_own_or_those_of_the_input(lstm: Cli, tmp_path: Path) -> None:
    cut, own = tmp_path / "cut.npz", tmp_path / "own.txt"
    lstm("export", BRACKETS, CSV, "--steps", "10:", "-o", cut).succeeded()
    own.write_text("\n".join(WORDS[10:]) + "\n")
    for labels in (LABELS, own):
        for hit in json_lines(lstm, cut, "--range", "16:20", "--left", 0, "--labels", labels):
            assert hit["labels"] == WORDS[hit["start"] : hit["start"] + hit["length"]]


def test_one_cell_is_chosen(lstm: Cli) -> None:
    model = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.csv"
    message = lstm("find", *model, "--range", "1:3").refusal()
    assert "there are bottom/forward, bottom/backward, middle/forward" in message
    assert message.endswith("choose one (--layer)")
