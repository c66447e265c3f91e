"""``lstm probe``: how units answer a feature that is switched on."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli

import lstm_cli
from lstm_cli.outputs.probe_table import probe_table

MODEL = SAMPLES / "forecaster.keras"


def test_csv_and_json_say_the_same(lstm: Cli) -> None:
    command = ("probe", MODEL, "--feature", 1, "--size", 0.5, "--baseline", "0.1,-0.2")
    rows = list(csv.DictReader(io.StringIO(lstm(*command).succeeded().text)))
    facts = json.loads(lstm(*command, "--json").succeeded().text)
    assert (facts["layer"], facts["feature"], facts["size"]) == ("lstm", 1, 0.5)
    assert facts["baseline"] == [0.1, -0.2]
    units = facts["cells"][0]["units"]
    assert len(rows) == len(units) == 16
    for row, unit in zip(rows, units, strict=True):
        assert (row["tensor"], int(row["unit"])) == (unit["tensor"], unit["unit"])
        for name in ("rest", "gain", "settling", "peak", "area", "decay"):
            found = float("nan") if unit[name] is None else unit[name]
            np.testing.assert_allclose(float(row[name]), found, rtol=1e-8)
        assert bool(row["timescale"]) == (row["tensor"] == "c")


def test_a_step_ends_where_a_constant_input_ends(lstm: Cli) -> None:
    """A plain run of the layer, in two pieces: at rest, then with the feature driven."""
    model = lstm_cli.load(MODEL)
    x = np.zeros((2000, 2))
    x[1000:, 0] = 2.0
    run = lstm_cli.trace(model, x, layer="lstm", direct=True, dtype="float64")
    rows = csv.DictReader(
        io.StringIO(lstm("probe", MODEL, "--feature", 0, "--size", 2).succeeded().text)
    )
    for row in rows:
        values = run.arrays[row["tensor"]][0, :, int(row["unit"])]
        np.testing.assert_allclose(float(row["rest"]), values[999], atol=1e-7)
        np.testing.assert_allclose(float(row["gain"]), (values[-1] - values[999]) / 2, atol=1e-7)
        near = np.abs(values[999:] - values[-1]) <= 0.02 * np.abs(values[999:] - values[-1]).max()
        assert int(row["settling"]) == np.flatnonzero(~near)[-1] + 1


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table(width: int) -> None:
    model = lstm_cli.load(SAMPLES / "brackets.keras")
    lines = probe_table(lstm_cli.probe(model, 1), 3, width).plain.splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "feature 1 of what lstm receives, +1; all others at 0, for 1,000 steps" in text
    assert text.count("… 5 more units: --top or --json") == 2
    assert "-1/ln f" in text
    if width > 40:
        four = next(line for line in lines if line.split()[:1] == ["4"] and ">" in line)
        assert "-117" in four  # it counts on


def test_refusals(lstm: Cli) -> None:
    assert lstm("probe", MODEL).refusal() == "probe needs a feature to drive: --feature K"
    assert lstm("probe", MODEL, "--feature", 2).refusal() == (
        "feature 2: the layer takes features 0 to 1"
    )
    text = lstm("probe", MODEL, "--feature", 0, "--baseline", "a").refusal()
    assert text == "--baseline: expected numbers such as 0.5 or 0,1; found 'a'"
    several = lstm("probe", SAMPLES / "bidirectional.keras", "--feature", 0).refusal()
    assert several == ("there are several LSTM layers; choose one (--layer): bottom, middle, top")
    done = lstm("probe", SAMPLES / "bidirectional.keras", "--feature", 0, "--layer", "top")
    assert (done.code, done.text.count("\nforward,")) == (0, 12)
