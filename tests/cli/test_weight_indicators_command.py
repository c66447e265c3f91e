"""The indicators of ``lstm weights``."""

from __future__ import annotations

import csv
import io
import json

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
    middle = np.sort(bias[8:16].astype(np.float64))[3]
    np.testing.assert_allclose(float(rows[1]["bias_median"]), middle, rtol=1e-6)
    expected = 1 / np.log1p(np.exp(-middle))
    np.testing.assert_allclose(float(rows[1]["bias_timescale_median"]), expected, rtol=1e-6)
    assert rows[0]["bias_timescale_median"] == ""
    gap = np.linalg.norm(recurrent @ recurrent.T - np.eye(8)) / np.sqrt(8)
    np.testing.assert_allclose(float(rows[0]["orthogonality_gap"]), gap, rtol=1e-6)


def test_the_plain_csv_is_as_it_was(lstm: Cli) -> None:
    text = lstm("weights", MODEL).succeeded().text
    assert text.startswith("layer,part,tensor,gate,shape,min,max,mean,std,norm,nan,inf\n")
    assert len(text.splitlines()) == 13


def test_json_has_both(lstm: Cli) -> None:
    found = json.loads(lstm("weights", MODEL, "--json").succeeded().text)
    assert len(found["weights"]) == 12
    (cell,) = found["indicators"]
    assert (cell["address"], cell["fresh"], len(cell["bias_timescale"])) == ("lstm", "Keras", 8)
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
