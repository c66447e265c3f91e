"""``lstm diff``: two models, two inputs or two traces beside each other."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, Ran, load_npz

import lstm_cli
from lstm_cli.outputs.difference_table import difference_report

BRACKETS, CSV = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"


def rows(done: Ran) -> dict[str, dict[str, str]]:
    """Lines of CSV by cell and tensor."""
    found = csv.DictReader(io.StringIO(done.text))
    return {"/".join(filter(None, (r["cell"], r["tensor"]))): r for r in found}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The brackets with another character at step 18."""
    lines = CSV.read_text().splitlines()
    assert lines[19] != "1"
    lines[19] = "1"
    path = tmp_path / "other.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_two_inputs_on_one_model(lstm: Cli, other: Path) -> None:
    done = lstm("diff", BRACKETS, CSV, other)

    assert (done.code, done.err) == (1, "")
    found = rows(done)
    assert {name: r["first_step"] for name, r in found.items()} == dict.fromkeys(found, "18")
    assert next(iter(found)) == "x"
    assert (found["x"]["steps_beyond"], found["h"]["worst_sequence"]) == ("1", "0")


def test_inputs_may_be_archives(lstm: Cli) -> None:
    run = SAMPLES / "encoder_decoder.keras", SAMPLES / "encoder_decoder.npz"
    found = rows(lstm("diff", *run, run[1]).succeeded())
    assert {"encoder/h", "decoder/c"} <= set(found)


def test_two_models_on_one_input(lstm: Cli) -> None:
    models = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.h5"
    found = rows(lstm("diff", *models, SAMPLES / "three_steps.csv").succeeded())
    assert {r["max"] for r in found.values()} == {"0"}
    assert len(found) == 12


def test_two_traces(lstm: Cli, other: Path, tmp_path: Path) -> None:
    """The figures are NumPy's, of the arrays in the files."""
    lstm("export", BRACKETS, CSV, "-o", "a.npz").succeeded()
    lstm("export", BRACKETS, other, "-o", "b.h5").succeeded()
    lstm("export", BRACKETS, other, "-o", "b.npz").succeeded()

    done = lstm("diff", "a.npz", "b.h5")

    a, b = load_npz(tmp_path / "a.npz"), load_npz(tmp_path / "b.npz")
    found = rows(done)
    assert done.code == 1
    assert set(found) == {"i", "f", "g", "o", "c", "h", "output"}
    for name, r in found.items():
        gap = np.abs(b[name].astype(np.float64) - a[name])
        figures = [float(r[key]) for key in ("max", "mean", "median")]
        # CSV has nine digits of each figure.
        np.testing.assert_allclose(figures, [gap.max(), gap.mean(), np.median(gap)], rtol=1e-8)
    assert lstm("diff", "a.npz", "a.npz").succeeded()


def test_a_run_beside_a_trace(lstm: Cli, other: Path) -> None:
    lstm("export", BRACKETS, CSV, "-o", "a.npz").succeeded()
    lstm("diff", BRACKETS, CSV, "a.npz").succeeded()
    assert lstm("diff", "a.npz", BRACKETS, other).code == 1


def test_layers_of_two_models_may_have_other_names(lstm: Cli) -> None:
    done = lstm(
        *("diff", SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.keras"),
        *(SAMPLES / "bidirectional.csv", "--layer", "bottom", "--layer-b", "middle", "--json"),
    )
    assert "only equal sizes can be compared" in done.refusal()
    done = lstm(
        *("diff", SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.keras"),
        *(SAMPLES / "bidirectional.csv", "--layer", "middle", "--layer-b", "top", "--json"),
    )
    assert [cell["cell"] for cell in json.loads(done.text)["cells"]] == ["forward", "backward"]
    assert done.code == 1


def test_json_holds_every_figure(lstm: Cli, other: Path) -> None:
    facts = json.loads(lstm("diff", BRACKETS, CSV, other, "--json").text)
    assert facts["first"] == {"cell": "", "tensor": "x", "sequence": 0, "step": 18, "unit": 3}
    assert facts["same"] is False
    assert facts["a"] == f"{BRACKETS} on {CSV}"
    tensor = facts["cells"][0]["tensors"][0]
    assert {"max", "mean", "median", "q99", "tolerance", "first", "worst"} <= set(tensor)
    assert len(facts["cells"][0]["worst_units"]) == 5


@pytest.mark.parametrize(
    ("options", "code"),
    [((), 1), (("--tolerance", "1"), 0), (("--atol", "0.1"), 0), (("--rtol", "1e-9"), 1)],
)
def test_the_exit_code_follows_the_tolerance(
    lstm: Cli, other: Path, options: tuple[str, ...], code: int
) -> None:
    assert lstm("diff", BRACKETS, CSV, other, *options).code == code


def test_the_report_says_where_they_differ_first(other: Path) -> None:
    model = lstm_cli.load(BRACKETS)
    ids = [np.loadtxt(path, skiprows=1) for path in (CSV, other)]
    tensors = ("x", "i", "f", "g", "c", "o", "h")
    found = lstm_cli.diff(*(lstm_cli.trace(model, x, tensors=tensors) for x in ids))

    for width in (60, 80, 200):
        report = difference_report(found, ("one", "two"), width, False)
        lines = report.plain.splitlines()
        assert lines[:4] == ["A  one", "B  two", "", "differ: first in x, step 18, feature 3"]
        assert max(map(len, lines)) <= width
    same = difference_report(
        lstm_cli.diff(lstm_cli.trace(model, ids[0]), lstm_cli.trace(model, ids[0])),
        ("a", "b"),
        80,
        False,
    )
    lines = same.plain.splitlines()
    assert lines[3] == "the same, bit for bit"
    assert lines[5].split()[-2:] == ["q99", "allowed"]  # no columns for what there is none of


def test_the_report_says_once_how_places_are_written(other: Path) -> None:
    model = lstm_cli.load(SAMPLES / "bidirectional.keras")
    x = np.load(SAMPLES / "bidirectional.npy")
    changed = x.copy()
    changed[1, 1] = 9 if x[1, 1] != 9 else 8
    found = lstm_cli.diff(*(lstm_cli.trace(model, each) for each in (x, changed)))
    report = difference_report(found, ("one", "two"), 80, True).plain
    lines, text = report.splitlines(), " ".join(report.split())
    assert lines[3].startswith("differ: first in i of bottom/forward, sequence 1, step 1, unit ")
    assert lines[-1] == lines[3]  # which has scrolled away
    assert text.count("first, worst: sequence:step[unit], of x the feature") == 1
    assert "worst units: by the largest |Δ| measured in what is allowed" in text


def test_the_same_is_said_only_of_what_both_hold(lstm: Cli, tmp_path: Path) -> None:
    whole, some = tmp_path / "whole.npz", tmp_path / "some.npz"
    lstm("export", BRACKETS, CSV, "-o", whole).succeeded()
    lstm("export", BRACKETS, CSV, "--tensors", "h", "-o", some).succeeded()
    with lstm_cli.open_trace(whole) as a, lstm_cli.open_trace(some) as b:
        lines = difference_report(lstm_cli.diff(a, b), ("one", "two"), 80, False).plain.splitlines()
    assert lines[3] == "the same, bit for bit, as far as both go"
    assert lines[4].startswith("note: only A holds")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([BRACKETS], "found 1 argument, of which none is a trace"),
        ([BRACKETS, CSV], "found 2 arguments, of which none is a trace"),
        ([BRACKETS, CSV, CSV, CSV], "found 4 arguments"),
        (["a.npz", CSV], "found 2 arguments, of which 1 is a trace"),
        ([BRACKETS, CSV, "nosuch.csv"], "nosuch.csv"),
        ([BRACKETS, SAMPLES / "forecaster.keras", CSV], "expected shape (T, 2) or (B, T, 2)"),
        ([BRACKETS, BRACKETS, "-"], "standard input can be read once"),
        (["a.npz", "nosuch.npz"], "nosuch.npz: there is no such file"),
        (["a.npz", "cut.npz"], "cut.npz: the archive is damaged"),
        (["a.npz", "a.npz", "--direct"], "--direct is about running a model"),
    ],
)
def test_arguments_that_do_not_go_together(
    lstm: Cli, arguments: list[object], message: str
) -> None:
    lstm("export", BRACKETS, CSV, "-o", "a.npz").succeeded()
    Path("cut.npz").write_bytes(Path("a.npz").read_bytes()[:5000])
    assert message in lstm("diff", *arguments).refusal()


def test_numbers_that_are_none_are_differences_without_a_word(lstm: Cli, tmp_path: Path) -> None:
    """A signalling NaN makes NumPy warn as it is converted, infinities as they are subtracted."""
    lstm("export", SAMPLES / "brackets.keras", SAMPLES / "brackets.csv", "-o", tmp_path / "a.npz")
    arrays = load_npz(tmp_path / "a.npz")
    arrays["h"].view(np.uint32)[3, 1] = 0x7F800001
    arrays["h"][4, 1] = np.inf
    np.savez(tmp_path / "b.npz", **arrays)  # type: ignore[arg-type]
    for pair, code in (("ab", 1), ("ba", 1), ("bb", 0)):
        done = lstm("diff", *(tmp_path / f"{name}.npz" for name in pair))
        assert (done.code, done.err) == (code, "")
