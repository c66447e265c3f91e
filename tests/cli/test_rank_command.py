"""``lstm rank``: units ordered by how they follow a label."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Array, Cli, Ran, load_npz

import lstm_cli
from lstm_cli.outputs.ranking_table import ranking_table

BRACKETS, CSV = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
DEPTH, LABELS = SAMPLES / "brackets.depth.csv", SAMPLES / "brackets.labels.txt"


def rows(done: Ran) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.text)))


def depth() -> Array:
    return np.loadtxt(DEPTH, skiprows=1)


def framework_r(tensor: str, label: Array) -> list[float]:
    """Correlation of each unit with a label, by NumPy, of the framework's own numbers."""
    values = load_npz(SAMPLES / "brackets.golden.npz")[tensor][0]
    return [float(np.corrcoef(values[:, unit], label)[0, 1]) for unit in range(8)]


def test_the_depth_leads_to_the_cells_that_count(lstm: Cli) -> None:
    found = rows(lstm("rank", BRACKETS, CSV, "--target", DEPTH).succeeded())

    assert {(row["tensor"], row["unit"]) for row in found[:3]} == {
        ("c", "0"),
        ("c", "4"),
        ("c", "7"),
    }
    expected = framework_r("c", depth())
    got = {int(row["unit"]): float(row["r_0"]) for row in found if row["tensor"] == "c"}
    # r hardly moves with c, which is equal to the framework's to 2e-6.
    np.testing.assert_allclose([got[unit] for unit in range(8)], expected, atol=1e-6)
    strengths = [abs(float(row["r"])) for row in found]
    assert strengths == sorted(strengths, reverse=True)
    assert len(found) == 16


@pytest.mark.parametrize("form", ["column of the target", "npy", "column of the input", "lines"])
def test_forms_of_the_target(lstm: Cli, form: str) -> None:
    given: list[object] = ["--target", DEPTH]
    source: object = CSV
    if form == "column of the target":
        given += ["--column", "depth"]
    elif form == "npy":
        np.save("depth.npy", depth())
        given = ["--target", "depth.npy"]
    elif form == "lines":
        Path("depth.txt").write_text("\n".join(f"{d:g}" for d in depth()) + "\n")
        given = ["--target", "depth.txt"]
    else:
        both = zip(CSV.read_text().split(), DEPTH.read_text().split(), strict=True)
        Path("both.csv").write_text("\n".join(",".join(pair) for pair in both) + "\n")
        given, source = ["--column", "depth"], "both.csv"

    done = lstm("rank", BRACKETS, source, *given, "--lags", 0).succeeded()

    assert done.text == lstm("rank", BRACKETS, CSV, "--target", DEPTH, "--lags", 0).text


def test_a_trace_is_ranked_as_its_run(lstm: Cli) -> None:
    lstm("export", BRACKETS, CSV, "-o", "trace.h5").succeeded()
    done = lstm("rank", "trace.h5", "--target", DEPTH).succeeded()
    assert done.text == lstm("rank", BRACKETS, CSV, "--target", DEPTH).text


def test_gates_are_ranked(lstm: Cli) -> None:
    done = lstm("rank", BRACKETS, CSV, "--target", DEPTH, "--tensors", "f,o", "--lags", 0)
    found = {(r["tensor"], int(r["unit"])): float(r["r"]) for r in rows(done.succeeded())}
    for tensor in ("f", "o"):
        got = [found[tensor, unit] for unit in range(8)]
        np.testing.assert_allclose(got, framework_r(tensor, depth()), atol=1e-5)


def test_yes_or_no(lstm: Cli) -> None:
    """Is any bracket open? AUC over all pairs of the framework's own numbers."""
    is_open = depth() > 0
    Path("open.txt").write_text("\n".join("yes" if d else "no" for d in is_open) + "\n")

    facts = json.loads(lstm("rank", BRACKETS, CSV, "--target", "open.txt", "--json").text)

    assert (facts["kind"], facts["labels"]) == (
        "yes/no",
        {"no": int((~is_open).sum()), "yes": int(is_open.sum())},
    )
    c = load_npz(SAMPLES / "brackets.golden.npz")["c"][0]
    for row in facts["rows"]:
        if row["tensor"] == "c":
            pairs = c[is_open, row["unit"]][:, None] - c[~is_open, row["unit"]][None]
            expected = ((pairs > 0).sum() + (pairs == 0).sum() / 2) / pairs.size
            # Two values may change places where they differ by less than 2e-6: one pair or two.
            np.testing.assert_allclose(row["auc"], expected, atol=2.1 / pairs.size)


def test_classes(lstm: Cli) -> None:
    done = lstm("rank", BRACKETS, CSV, "--target", LABELS, "--tensors", "h").succeeded()

    found = rows(done)
    words = np.array(LABELS.read_text().splitlines())
    h = load_npz(SAMPLES / "brackets.golden.npz")["h"][0]
    for row in found:
        for word in np.unique(words):
            expected = h[words == word, int(row["unit"])].mean()
            np.testing.assert_allclose(float(row[f"mean {word}"]), expected, atol=1e-5)
    scores = [float(row["score"]) for row in found]
    assert scores == sorted(scores, reverse=True)


def test_labels_of_sequences_and_parts(lstm: Cli) -> None:
    """One label a sentence is compared with the last word that each cell read."""
    golden = load_npz(SAMPLES / "bidirectional.golden.npz")
    label = golden["output"][:, 0]
    np.save("praise.npy", label)

    done = lstm(
        *("rank", SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"),
        *("--target", "praise.npy", "--layer", "top", "--tensors", "h"),
    ).succeeded()

    got = {(r["cell"], int(r["unit"])): float(r["r"]) for r in rows(done)}
    for part in ("forward", "backward"):
        last = golden[f"top/{part}/final_h"]
        expected = [np.corrcoef(last[:, unit], label)[0, 1] for unit in range(6)]
        np.testing.assert_allclose([got[part, unit] for unit in range(6)], expected, atol=1e-4)


def test_several_inputs_have_a_target_each(lstm: Cli) -> None:
    ids, depths = CSV.read_text().split(), DEPTH.read_text().split()
    for name, lines in (("a", slice(1, 30)), ("b", slice(30, None))):
        Path(f"{name}.csv").write_text("\n".join([ids[0], *ids[lines]]) + "\n")
        Path(f"{name}.txt").write_text("\n".join([depths[0], *depths[lines]]) + "\n")

    done = lstm(
        *("rank", BRACKETS, "a.csv", "b.csv", "--stateful", "--lags", 0),
        *("--target", "a.txt", "--target", "b.txt"),
    ).succeeded()

    whole = lstm("rank", BRACKETS, CSV, "--target", DEPTH, "--lags", 0)
    for got, expected in zip(rows(done), rows(whole), strict=True):
        assert (got["tensor"], got["unit"]) == (expected["tensor"], expected["unit"])
        # Cut elsewhere than at 256 steps, a run is the same to rounding.
        np.testing.assert_allclose(float(got["r"]), float(expected["r"]), atol=1e-5)


def test_labels_are_cut_into_windows_as_the_input_is(lstm: Cli) -> None:
    cut = ("--window", 30, "--stride", 39, "--lags", 0, "--tensors", "c", "--json")
    facts = json.loads(lstm("rank", BRACKETS, CSV, "--target", DEPTH, *cut).succeeded().text)

    trace = lstm_cli.trace(lstm_cli.load(BRACKETS), np.loadtxt(CSV, skiprows=1)[39:])
    first = load_npz(SAMPLES / "brackets.golden.npz")["c"][0, :30]
    both = np.concatenate([first, trace.c[0]]), np.concatenate([depth()[:30], depth()[39:]])
    assert facts["steps"] == 60
    for row in facts["rows"]:
        expected = np.corrcoef(both[0][:, row["unit"]], both[1])[0, 1]
        np.testing.assert_allclose(row["r"], expected, atol=1e-5)


def test_labels_of_unequal_sequences(lstm: Cli) -> None:
    """Rows of two sequences mixed in one file, the label a column of it."""
    ids, depths = CSV.read_text().split()[1:], DEPTH.read_text().split()[1:]
    lines = ["name,token,depth", *(f"p,{i},{d}" for i, d in zip(ids[:9], depths, strict=False))]
    lines[4:4] = [f"q,{i},{d}" for i, d in zip(ids[:4], depths, strict=False)]
    Path("two.csv").write_text("\n".join(lines) + "\n")

    done = lstm(
        *("rank", BRACKETS, "two.csv", "--sequence-column", "name", "--column", "depth"),
        *("--tensors", "c", "--lags", 0, "--json"),
    ).succeeded()

    facts = json.loads(done.text)
    c = load_npz(SAMPLES / "brackets.golden.npz")["c"][0]
    both = np.concatenate([c[:9], c[:4]]), np.concatenate([depth()[:9], depth()[:4]])
    assert facts["steps"] == 13
    for row in facts["rows"]:
        expected = np.corrcoef(both[0][:, row["unit"]], both[1])[0, 1]
        np.testing.assert_allclose(row["r"], expected, atol=1e-5)


def test_the_table_fits_and_says_what_it_left_out() -> None:
    trace = lstm_cli.trace(lstm_cli.load(BRACKETS), np.loadtxt(CSV, skiprows=1))
    words = np.array(LABELS.read_text().splitlines())
    for width in (80, 200):
        for label in (depth(), depth() > 0, words):
            table = ranking_table(lstm_cli.rank(trace, label), 5, width)
            assert max(map(len, table.plain.splitlines())) <= width
            assert "use --top, or --json" in table.plain
    numbers = ranking_table(lstm_cli.rank(trace, depth()), 5, 80).plain.splitlines()
    assert "… 11 more units: use --top, or --json" in numbers
    assert numbers[0] == "the label is a number, 69 steps"
    assert numbers[3].split()[:2] == ["4", "c"]


def test_figures_that_have_no_room_go_below() -> None:
    trace = lstm_cli.trace(lstm_cli.load(BRACKETS), np.loadtxt(CSV, skiprows=1))
    for label, last in ((depth(), "effective n"), (depth() > 0, "threshold")):
        lines = ranking_table(lstm_cli.rank(trace, label), 3, 40).plain.splitlines()
        assert max(map(len, lines)) <= 40
        heads = [line for line in lines if line.startswith("unit")]
        assert len(heads) > 1
        assert any(last in line for line in heads)


def test_classes_that_have_no_room_are_counted() -> None:
    trace = lstm_cli.trace(lstm_cli.load(BRACKETS), np.loadtxt(CSV, skiprows=1))
    found = lstm_cli.rank(trace, np.array(LABELS.read_text().splitlines()))
    narrow, wide = (ranking_table(found, 3, width).plain.splitlines() for width in (80, 200))
    heads = [line.split("│")[1].split() for line in narrow if line.startswith("unit")]
    assert min(map(len, heads)) == 7
    assert "… 1 more class: in a wider terminal, or with --json" in narrow
    assert "… 5 more units of each array: use --top, or --json" in narrow
    assert not any("more class" in line for line in wide)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "rank needs labels: --target FILE, or --column NAME of the INPUT"),
        (["--target", "nosuch.csv"], "nosuch.csv"),
        (["--target", "short.txt"], "expected a label for each step, (69,); found (2,)"),
        (["--target", "-"], "--target takes files; standard input is not one"),
        (["--target", "a", "--target", "b"], "expected a file for each of the 1 inputs"),
        (["--column", "nosuch"], "no column 'nosuch'"),
        (["--target", DEPTH, "--column", "nosuch"], "no column 'nosuch'"),
        (["--target", LABELS, "--kind", "number"], "is no number"),
        (["--target", DEPTH, "--tensors", "final_h"], "'final_h'"),
        (["--target", DEPTH, "--lags", "-1"], "Invalid value for '--lags'"),
    ],
)
def test_targets_that_cannot_be_used(lstm: Cli, options: list[object], message: str) -> None:
    Path("short.txt").write_text("1\n2\n")
    assert message in lstm("rank", BRACKETS, CSV, *options).refusal()
