"""Cosines between two sides by step: by hand, over blocks, and in ``lstm diff``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Array, Cli, load_npz

import lstm_cli
from lstm_cli import Trace
from lstm_cli.analysis import difference_cells
from lstm_cli.analysis.difference_report import TensorDifference
from lstm_cli.analysis.step_cosines import step_cosines
from lstm_cli.outputs.difference_table import difference_report

BRACKETS = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"

PAIRS: dict[str, tuple[list[float], list[float], float]] = {
    "square": ([1, 0], [0, 2], 0.0),
    "near": ([3, 4], [4, 3], 24 / 25),
    "opposite": ([1, -2], [-2, 4], -1.0),
    "both nothing": ([0, 0], [0, 0], 1.0),
    "one nothing": ([0, 0], [0, 1], 0.0),
    "tiny": ([3e-300, 4e-300], [4e-300, 3e-300], 24 / 25),
    "huge": ([3e300, 4e300], [4e-300, 3e-300], 24 / 25),
    "not a number": ([np.nan, 1], [1, 1], np.nan),
    "infinite": ([np.inf, 1], [np.inf, 1], np.nan),
}


@pytest.mark.parametrize(("a", "b", "expected"), PAIRS.values(), ids=PAIRS)
def test_by_hand(a: list[float], b: list[float], expected: float) -> None:
    found = step_cosines(np.array([a]), np.array([b]))
    np.testing.assert_allclose(found, [expected], atol=1e-15)


def h_of(a: Any, b: Any, **more: Any) -> TensorDifference:
    sides = [Trace({"h": np.array(side, np.float64), **more}, {}) for side in (a, b)]
    return lstm_cli.diff(*sides).cells[0].tensors[0]


@pytest.mark.parametrize("block", [1, 2, 4096])
def test_the_least_and_its_place(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(difference_cells, "BLOCK_STEPS", block)
    a = [[[1, 0], [1, 0], [3, 4]], [[1, 1], [1, 1], [np.nan, 1]]]
    b = [[[1, 0], [1, 0], [4, 3]], [[1, 1], [1, 0], [1, 1]]]
    cosine = h_of(a, b).cosine
    assert (cosine.sequence, cosine.step) == (1, 1)
    np.testing.assert_allclose(cosine.cosine, np.sqrt(0.5), rtol=1e-15)
    # the step with NaN tells nothing
    np.testing.assert_allclose(cosine.mean, (1 + 1 + 24 / 25 + 1 + np.sqrt(0.5)) / 5, rtol=1e-15)
    masked = h_of(a, b, mask=np.array([[True, True, True], [True, False, True]])).cosine
    assert (masked.cosine, masked.sequence, masked.step) == (24 / 25, 0, 2)


def test_sides_that_never_differ() -> None:
    cosine = h_of([[[1, 2]]], [[[1, 2]]]).cosine
    assert cosine == (1.0, -1, -1, 1.0)
    nothing = h_of([[[np.nan]]], [[[1.0]]]).cosine
    np.testing.assert_array_equal(nothing, [np.nan, -1, -1, np.nan])


def expected_cosines(a: Array, b: Array) -> Array:
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray((a * b).sum(axis=-1) / norms)


def test_in_every_form(lstm: Cli) -> None:
    """On Keras's own h beside that of another character at step 20."""
    ids = BRACKETS[1].read_text().split()
    Path("other.csv").write_text("\n".join([*ids[:21], "2", *ids[22:]]) + "\n")
    done = lstm("diff", *BRACKETS, "other.csv")
    rows = {row["tensor"]: row for row in csv.DictReader(io.StringIO(done.text))}
    golden = load_npz(SAMPLES / "brackets.golden.npz")["h"][0]
    x = np.loadtxt("other.csv", delimiter=",", skiprows=1)
    other = lstm_cli.trace(lstm_cli.load(BRACKETS[0]), x)
    assert isinstance(other, Trace)
    cosines = expected_cosines(golden, other.h[0])
    # float32 of Keras on one side
    np.testing.assert_allclose(float(rows["h"]["cosine"]), cosines.min(), atol=1e-5)
    np.testing.assert_allclose(float(rows["h"]["cosine_mean"]), cosines.mean(), atol=1e-5)
    assert int(rows["h"]["cosine_step"]) == cosines.argmin()
    assert cosines.min() < 0.95
    facts = json.loads(lstm("diff", *BRACKETS, "other.csv", "--json").text)["cells"][0]
    own = next(each for each in facts["tensors"] if each["tensor"] == "h")["cosine"]
    assert own["step"] == cosines.argmin()
    assert {row["growth"] for row in rows.values()} == {f"{facts['growth']:.9g}"}


@pytest.mark.parametrize("width", [40, 80, 200])
def test_in_words(width: int) -> None:
    a = Trace({"h": np.array([[[3.0, 4.0], [1.0, 1.0]], [[1.0, 1.0], [2.0, 1.0]]])}, {})
    b = Trace({"h": np.array([[[4.0, 3.0], [1.0, 1.0]], [[1.0, 1.0], [2.0, -1.0]]])}, {})
    report = difference_report(lstm_cli.diff(a, b), ("a", "b"), width, True)
    lines = report.plain.splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "h: cosine of A and B at least 0.600, at sequence 1, step 1; RMSE" in text
    assert "1 of 8 signs flip" in text
