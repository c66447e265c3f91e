"""``lstm stats``: on models and traces, as a table, CSV and JSON, and as a check."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, Ran
from rich.console import Console

import lstm_cli
from lstm_cli.outputs.stats_table import stats_table, steps_text

BRACKETS = (SAMPLES / "brackets.keras", SAMPLES / "brackets.csv")
SENTENCES = (SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy")


def rows(done: Ran) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.succeeded().text)))


def brackets() -> Any:
    model = lstm_cli.load(BRACKETS[0])
    x = np.loadtxt(BRACKETS[1], delimiter=",", skiprows=1)
    return lstm_cli.trace(model, x)


def test_csv_has_a_line_a_unit_the_worst_first(lstm: Cli) -> None:
    found = rows(lstm("stats", *BRACKETS))
    f = brackets().f[0]

    assert [row["unit"] for row in found[:4]] == ["0", "4", "6", "7"]
    assert [row["labels"] for row in found] == ["saturated"] * 4 + [""] * 4
    for row in found:
        column = f[:, int(row["unit"])].astype(np.float64)
        np.testing.assert_allclose(float(row["timescale"]), -1 / np.log(column.mean()), rtol=1e-6)
        np.testing.assert_allclose(float(row["effective"]), -1 / np.log(column).mean(), rtol=1e-6)
        np.testing.assert_allclose(float(row["f_right"]), (column > 0.9).mean(), rtol=1e-6)


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_a_trace_says_the_same_as_the_run(lstm: Cli, tmp_path: Path, form: str) -> None:
    trace = tmp_path / f"t.{form}"
    lstm("export", *SENTENCES, "-o", trace).succeeded()
    expected = lstm("stats", *SENTENCES).succeeded().text
    assert lstm("stats", trace).succeeded().text == expected
    chosen = rows(lstm("stats", trace, "--layer", "middle"))
    assert {row["cell"] for row in chosen} == {"middle/forward", "middle/backward"}


def test_several_traces_are_judged_together(lstm: Cli, tmp_path: Path) -> None:
    trace, other = tmp_path / "a.h5", tmp_path / "b.npz"
    for path in (trace, other):
        lstm("export", *BRACKETS, "-o", path).succeeded()
    once = json.loads(lstm("stats", trace, "--json").succeeded().text)
    twice = json.loads(lstm("stats", trace, other, "--json").succeeded().text)
    assert twice["cells"][0]["counted"] == 2 * once["cells"][0]["counted"]
    assert twice["cells"][0]["sequences"] == 2
    np.testing.assert_allclose(
        twice["cells"][0]["timescale_quantiles"], once["cells"][0]["timescale_quantiles"]
    )


def test_json(lstm: Cli) -> None:
    found = json.loads(lstm("stats", *BRACKETS, "--json", "--hi", "0.95").succeeded().text)
    trace = brackets()
    open_gates = [(trace.arrays[gate][0] > 0.95).mean(axis=0) >= 0.95 for gate in "ifo"]
    count = int(np.any(open_gates, axis=0).sum())
    assert 0 < count < 4
    assert found["verdict"] == f"{count} of 8 units flagged: {count} saturated"
    assert found["cutoffs"]["hi"] == 0.95
    (cell,) = found["cells"]
    assert (cell["units"], cell["steps"], cell["layer"]) == (8, 69, "lstm")
    assert found["figures"]["saturated"] == {"": count / 8}
    assert found["nonfinite"] is None
    forget = cell["saturation"]["f"]
    np.testing.assert_allclose(forget["right"], (trace.f > 0.95).mean(), rtol=1e-9)
    np.testing.assert_allclose(forget["left"], (trace.f < 0.1).mean(), rtol=1e-9)


def test_infinities_in_json(lstm: Cli, tmp_path: Path) -> None:
    arrays = {name: np.full((5, 1), 0.5) for name in "hcigo"}
    meta = np.array(json.dumps({"source": "m"}))
    np.savez(tmp_path / "t.npz", **arrays, f=np.ones((5, 1)), meta=meta)  # type: ignore[arg-type]
    found = json.loads(lstm("stats", tmp_path / "t.npz", "--json").succeeded().text)
    assert found["cells"][0]["per_unit"][0]["timescale"] == "inf"


# -- as a check


@pytest.mark.parametrize(
    ("conditions", "code", "notes"),
    [
        ("dead>0", 0, []),
        ("saturated>0.3,dead>0", 1, ["note: --fail-on saturated>0.3: found 0.5"]),
        ("saturated>0.5", 0, []),
        (
            "timescale<20, twin>=0",
            1,
            ["note: --fail-on timescale<20: found 9.936", "note: --fail-on twin>=0: found 0"],
        ),
    ],
)
def test_conditions_decide_the_exit_code(
    lstm: Cli, conditions: str, code: int, notes: list[str]
) -> None:
    done = lstm("stats", *BRACKETS, "--fail-on", conditions)
    assert (done.code, done.notes) == (code, notes)
    assert done.text.startswith("cell,unit,labels,")


def test_a_condition_names_its_cells(lstm: Cli) -> None:
    done = lstm("stats", *SENTENCES, "--fail-on", "saturated>0.1")
    assert done.code == 1
    assert done.notes == [
        "note: --fail-on saturated>0.1: found 0.1667 in top/forward, 0.1667 in top/backward"
    ]


def test_nan_fails_and_is_traced(lstm: Cli, tmp_path: Path) -> None:
    x = np.loadtxt(SAMPLES / "forecaster.csv", delimiter=",", skiprows=1)
    x[100, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    done = lstm("stats", SAMPLES / "forecaster.keras", tmp_path / "x.npy", "--json")
    found = json.loads(done.text)["nonfinite"]
    assert (found["step"], found["tensor"], found["units"]) == (100, "x", [1])
    assert (
        lstm(
            "stats", SAMPLES / "forecaster.keras", tmp_path / "x.npy", "--fail-on", "nonfinite>0"
        ).code
        == 1
    )


# -- on a terminal


def drawn(trace: Any, width: int, height: int | None) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(stats_table(lstm_cli.stats(trace), width, height))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    model, x = lstm_cli.load(SENTENCES[0]), np.load(SENTENCES[1])
    for trace in (brackets(), lstm_cli.trace(model, x)):
        for height in (24, None):
            lines = drawn(trace, width, height)
            assert max(map(len, lines)) <= width
            assert "units flagged: " in lines[0]


def test_the_table_shows_what_fits() -> None:
    model, x = lstm_cli.load(SENTENCES[0]), np.load(SENTENCES[1])
    lines = drawn(lstm_cli.trace(model, x), 80, 24)
    assert lines[0] == "2 of 36 units flagged: 2 saturated"
    assert any(
        line.startswith("… ") and line.endswith("more units: --all or --json") for line in lines
    )
    everything = drawn(lstm_cli.trace(model, x), 120, None)
    assert sum(line.startswith(("bottom/", "middle/", "top/")) for line in everything) == 6 + 36
    assert not any("more units" in line for line in everything)


def test_the_table_says_which_cut_offs_are_ours() -> None:
    text = " ".join(drawn(brackets(), 80, None))
    ours = "--share 0.95 --eps 1e-06 --write 0.001 --rail 3 --twin 0.999"
    assert f"Cut-offs of ours: {ours}" in " ".join(text.split())
    assert "Karpathy et al. 2015" in text


def test_the_labels_that_are_there_are_explained() -> None:
    """A label alone would pass for a fault; a first reader does not know what it is of."""
    text = " ".join(" ".join(drawn(brackets(), 80, None)).split())
    assert "saturated: a gate is left or right at 95% of steps or more; no fault by itself" in text
    assert "dead: " not in text
    rng = np.random.default_rng(0)
    arrays = {name: rng.uniform(0.3, 0.7, (1, 40, 3)) for name in "hcifgo"}
    arrays["h"][..., 0], arrays["h"][..., 2] = 0, arrays["h"][..., 1]
    text = " ".join(" ".join(drawn(lstm_cli.Trace(arrays, {}), 80, None)).split())
    assert "dead: h is 0 at all steps" in text
    assert "twin: h of two units, correlation 0.999 or more" in text
    assert "saturated: " not in text


def test_one_unit_is_shown_rather_than_counted() -> None:
    arrays = {name: np.full((1, 20, 12), 0.5) for name in "hcifgo"}
    trace = lstm_cli.Trace(arrays, {})
    full = len(drawn(trace, 80, None))
    shown = ["\n".join(drawn(trace, 80, height)) for height in range(full + 4)]
    assert any("… 2 more units: --all or --json" in text for text in shown)
    assert not any("1 more unit" in text for text in shown)


def test_few_steps_and_steps_that_are_not_finite_are_said() -> None:
    arrays = {name: np.full((1, 9, 2), 0.5) for name in "hcifgo"}
    few = "judged by few steps; twins are looked for from 10 steps on"
    assert few in drawn(lstm_cli.Trace(arrays, {}), 80, None)
    longer = {name: np.full((1, 12, 2), 0.5) for name in "hcifgo"}
    longer["c"][0, 11, 1] = np.nan
    lines = drawn(lstm_cli.Trace(longer, {}), 80, None)
    assert few not in lines
    assert lines[0].startswith("broken: the first NaN is in c at step 11, unit 1")
    assert "1 step is not counted, for NaN or infinity" in lines
    assert sum("the first NaN" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("steps", "text"),
    [(0.0, "0.00"), (3.192, "3.19"), (12.34, "12.3"), (1234.5, "1234"), (2e6, "2e+06")],
)
def test_numbers_of_steps(steps: float, text: str) -> None:
    assert steps_text(steps) == text
    assert steps_text(np.inf) == "∞"


# -- what is refused


def test_wrong_input_is_one_sentence(lstm: Cli, tmp_path: Path) -> None:
    trace = tmp_path / "t.npz"
    lstm("export", *BRACKETS, "-o", trace).succeeded()
    some = tmp_path / "some.npz"
    lstm("export", *BRACKETS, "--tensors", "h,f", "-o", some).succeeded()

    assert lstm("stats", BRACKETS[0]).refusal() == (
        f"{BRACKETS[0]} is no trace of lstm export (.npz or .h5); a model needs an INPUT beside it"
    )
    assert lstm("stats", tmp_path / "no.h5").refusal() == f"{tmp_path / 'no.h5'}: no such file"
    assert lstm("stats", trace, BRACKETS[1]).refusal() == (
        f"{trace} is a trace of lstm export, and {BRACKETS[1]} is none; give a model and its "
        "inputs, or traces alone"
    )
    assert lstm("stats", trace, "--dtype", "float64").refusal() == (
        f"--dtype is about running a model, and {trace} is a trace"
    )
    assert lstm("stats", some).refusal() == (
        "the trace lacks c, i, g, o (it has h, f); export it without --tensors"
    )
    assert lstm("stats", trace, "--fail-on", "ded>0").refusal().startswith("no figure 'ded'; there")
    assert lstm("stats", trace, "--layer", "x").refusal() == "no cell 'x'; there is: lstm"
    assert lstm("stats", trace, "--hi", 2).refusal() == (
        "Invalid value for '--hi': 2.0 is not in the range 0.0<=x<=1.0 (see 'lstm stats --help')"
    )
    assert lstm("stats", trace, "--lo", 0.5, "--hi", 0.25).refusal() == (
        "--lo: expected no more than --hi, 0.25, found 0.5"
    )
    weights = tmp_path / "w.npz"
    lstm("weights", BRACKETS[0], "-o", weights).succeeded()
    assert lstm("stats", weights).refusal().startswith(f"{weights} is no trace of lstm export")


# -- long runs


def test_a_long_run_is_kept_in_a_file_meanwhile(
    lstm: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstm_cli.cli import sources

    x = np.tile(np.loadtxt(SAMPLES / "forecaster.csv", delimiter=",", skiprows=1), (20, 1))
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    command = ("stats", SAMPLES / "forecaster.keras", tmp_path / "x.npy")
    expected = lstm(*command).succeeded().text
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(sources, "LARGE_BYTES", 1000)
    opened: list[str] = []
    kept = lstm_cli.open_trace

    def watched(path: Any) -> Any:
        opened.append(str(path))
        return kept(path)

    monkeypatch.setattr(lstm_cli, "open_trace", watched)
    assert lstm(*command).succeeded().text == expected
    assert len(opened) == 1
    assert opened[0].startswith(str(folder))
    assert list(folder.iterdir()) == []
