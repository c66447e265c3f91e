"""The indicators of ``lstm weights``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli
from rich.console import Console

import lstm_cli
from lstm_cli.outputs.weight_indicators import indicators_table

MODEL = SAMPLES / "brackets.keras"


def test_csv(lstm: Cli) -> None:
    text = lstm("weights", MODEL, "--indicators").succeeded().text
    rows = list(csv.DictReader(io.StringIO(text)))
    arrays = lstm_cli.weights(lstm_cli.load(MODEL))
    recurrent, bias = arrays["recurrent_kernel"].astype(np.float64), arrays["bias"]

    assert [row["gate"] for row in rows] == ["i", "f", "g", "o"]
    for k, row in enumerate(rows):
        block = recurrent[:, 8 * k : 8 * k + 8]
        radius = np.abs(np.linalg.eigvals(block)).max()
        np.testing.assert_allclose(float(row["spectral_radius"]), radius, rtol=1e-6)
        largest = np.linalg.svd(block, compute_uv=False)[0]
        np.testing.assert_allclose(float(row["largest_singular"]), largest, rtol=1e-6)
    forget = bias[8:16].astype(np.float64)
    np.testing.assert_allclose(float(rows[1]["bias_median"]), np.median(forget), rtol=1e-6)
    timescale = np.median(1 / np.log1p(np.exp(-forget)))
    np.testing.assert_allclose(float(rows[1]["bias_timescale_median"]), timescale, rtol=1e-6)
    assert rows[0]["bias_timescale_median"] == ""
    kernel = arrays["kernel"].astype(np.float64)
    for k, row in enumerate(rows):
        for name, whole in (("kernel", kernel), ("recurrent", recurrent)):
            block = np.sort(whole[:, 8 * k : 8 * k + 8].ravel())
            found = [float(row[f"{name}_q{q:02}"]) for q in (5, 25, 50, 75, 95)]
            at = np.array([0.05, 0.25, 0.5, 0.75, 0.95]) * (block.size - 1)
            expected = np.interp(at, np.arange(block.size), block)
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert (float(row["nonfinite"]), row["silent_inputs"]) == (0, "")
    gap = np.linalg.norm(recurrent @ recurrent.T - np.eye(8)) / np.sqrt(8)
    np.testing.assert_allclose(float(rows[0]["orthogonality_gap"]), gap, rtol=1e-6)


def test_silent_features_and_broken_weights(lstm: Cli, tmp_path: Path) -> None:
    """Feature 1 of 3 has weights of norm 0.02 beside 2 and more; a sixth of f's is NaN."""
    kernel, recurrent = np.ones((3, 8)), np.ones((2, 8))
    kernel[1] = 0
    kernel[1, 4] = 0.02
    recurrent[:, 2] = np.nan
    path = tmp_path / "weights.npz"
    np.savez(path, kernel=kernel, recurrent_kernel=recurrent, bias=np.zeros(8))
    for silent, expected in (((), []), (("--silent", 0.01), [1])):
        done = lstm("weights", path, "--json", *silent)
        (cell,) = json.loads(done.text)["indicators"]
        assert cell["silent_inputs"] == expected
        bad = [gate["nonfinite"] for gate in cell["gates"]]
        np.testing.assert_allclose(bad, [0, 2 / 12, 0, 0], rtol=1e-14)
    rows = csv.DictReader(io.StringIO(lstm("weights", path, "--indicators", *silent).text))
    assert [row["silent_inputs"] for row in rows] == ["1"] * 4
    found = lstm_cli.weight_indicators(lstm_cli.load(path), silent=0.01)
    text = " ".join(indicators_table(found, 80).plain.split())
    assert "silent input features: 1 (norm of their weights at most 0.01 of the largest" in text
    assert "NaN or infinite: f 16.7%" in text
    assert lstm("weights", path, "--silent", -1).code == 2


def test_options_that_would_do_nothing_are_refused(lstm: Cli, tmp_path: Path) -> None:
    for option in ("--json", "--indicators"):
        assert lstm("weights", MODEL, "-o", tmp_path / "w.npz", option).refusal() == (
            f"{option} prints to standard output, and -o writes the arrays; leave out one"
        )
    assert not list(tmp_path.glob("w.npz"))


def test_json_has_the_names_of_the_csv_and_the_indicators_alone_where_asked(lstm: Cli) -> None:
    whole = json.loads(lstm("weights", MODEL, "--json").succeeded().text)
    alone = json.loads(lstm("weights", MODEL, "--json", "--indicators").succeeded().text)
    assert alone == {"indicators": whole["indicators"]}
    (row, *_) = csv.DictReader(io.StringIO(lstm("weights", MODEL).succeeded().text))
    first = whole["weights"][0]
    for name in ("min", "max", "mean", "std", "norm", "nan", "inf"):
        np.testing.assert_allclose(float(row[name]), first[name], rtol=1e-8)  # nine digits


def test_the_table_says_what_its_letters_mean(lstm: Cli) -> None:
    found = lstm_cli.weight_indicators(lstm_cli.load(MODEL))
    for width in (80, 200):
        lines = indicators_table(found, width).plain.splitlines()
        assert max(map(len, lines)) <= width
        text = " ".join(" ".join(lines).split())
        assert "W: kernel, U: recurrent kernel; radius: spectral radius" in text


def test_the_plain_csv_is_as_it_was(lstm: Cli) -> None:
    text = lstm("weights", MODEL).succeeded().text
    assert text.startswith("layer,part,tensor,gate,shape,min,max,mean,std,norm,nan,inf\n")
    assert len(text.splitlines()) == 13


def test_json_has_both(lstm: Cli) -> None:
    found = json.loads(lstm("weights", MODEL, "--json").succeeded().text)
    assert len(found["weights"]) == 12
    (cell,) = found["indicators"]
    assert (cell["layer"], cell["fresh"], len(cell["bias_timescale"])) == ("lstm", "Keras", 8)
    without = json.loads(lstm("weights", MODEL, "--json", "--no-spectral").succeeded().text)
    assert {gate["spectral_radius"] for gate in without["indicators"][0]["gates"]} == {None}


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table(width: int) -> None:
    model = lstm_cli.load(SAMPLES / "bidirectional.keras")
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(indicators_table(lstm_cli.weight_indicators(model, "middle"), width))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    assert lines[0] == "middle/forward: indicators"
    text = " ".join(lines)
    assert "from a fresh Keras initialisation: orthogonality gap" in text
    assert text.count("the forget bias alone") == 2
