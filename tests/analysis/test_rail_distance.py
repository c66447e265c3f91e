"""How far gates are from their rails, and how often exactly there; by hand, on a hard sigmoid."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import Cli
from made_models import HARD, cell, one_way, series

import lstm_cli
from lstm_cli import Trace
from lstm_cli.analysis.rail_distance import RailDistance
from lstm_cli.outputs.stats_table import stats_table


def test_by_hand() -> None:
    gates = RailDistance(2, signed=False)
    gates.add(np.array([[0.0, 0.5], [1.0, 0.9]], np.float32))
    gates.add(np.array([[0.25, 1.0]], np.float32))
    # float32: 1 - 0.9
    np.testing.assert_allclose(gates.value, [0.25 / 3, (0.5 + 0.1) / 3], rtol=1e-6)
    candidate = RailDistance(1, signed=True)
    candidate.add(np.array([[-1.0], [0.5], [-0.25], [1.5]]))
    np.testing.assert_allclose(candidate.value, [(0 + 0.5 + 0.75 + 0.5) / 4], rtol=1e-15)
    np.testing.assert_array_equal(RailDistance(2, signed=True).value, [np.nan, np.nan])


def test_the_values_that_were_added_stay_what_they_were() -> None:
    values = np.array([[0.1, -0.9]])
    for signed in (False, True):
        RailDistance(2, signed=signed).add(values)
    np.testing.assert_array_equal(values, [[0.1, -0.9]])


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Gates that are often exactly 0 or 1, with masked steps."""
    model = one_way(cell(recurrent_activation=HARD))
    mask = np.random.default_rng(1).uniform(size=(3, 40)) < 0.7
    found = lstm_cli.trace(model, 3 * series(3, 40), mask=mask)
    assert isinstance(found, Trace)
    return found


def test_of_a_hard_sigmoid(trace: Trace) -> None:
    facts = lstm_cli.stats(trace).facts()["cells"][0]
    units = {each["unit"]: each for each in facts["per_unit"]}
    for gate in "ifo":
        values = trace.arrays[gate][trace.mask]
        distance = np.where(values > 0.5, 1 - values, values).mean(axis=0)
        exact = ((values == 0) | (values == 1)).mean(axis=0)
        assert exact.max() > 0.2
        for unit in range(5):
            found = units[unit]
            # float64 sums
            np.testing.assert_allclose(found[f"{gate}_distance"], distance[unit], rtol=1e-12)
            np.testing.assert_allclose(found[f"{gate}_rail"], exact[unit], rtol=1e-12)
        np.testing.assert_allclose(facts["saturation"][gate]["distance"], distance.mean())
        np.testing.assert_allclose(facts["saturation"][gate]["rail"], exact.mean())
    expected = (1 - np.abs(trace.g[trace.mask])).mean(axis=0)
    found = [units[unit]["g_distance"] for unit in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert set(facts["saturation"]["c"]) == {"left", "right"}
    text = stats_table(lstm_cli.stats(trace), 80, None).plain
    values = trace.f[trace.mask]
    share = 100 * ((values == 0) | (values == 1)).mean()
    assert "exactly 0 or 1, of all steps: i " in text
    assert f"f {share:.3g}%" in text


def test_in_csv_and_json(lstm: Cli, tmp_path: Path, trace: Trace) -> None:
    path = tmp_path / "trace.npz"
    arrays: dict[str, Any] = {**trace.arrays, "meta": json.dumps(trace.meta)}
    np.savez(path, **arrays)
    rows = list(csv.DictReader(io.StringIO(lstm("stats", path).succeeded().text)))
    units = json.loads(lstm("stats", path, "--json").succeeded().text)["cells"][0]["per_unit"]
    for row, unit in zip(rows, units, strict=True):
        for name in ("i_rail", "f_distance", "g_distance"):
            np.testing.assert_allclose(float(row[name]), unit[name], rtol=1e-8)
    assert "c_distance" not in rows[0]
