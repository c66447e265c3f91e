"""Long traces are ranked a few units at a time: with what result, and in how much memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cli_runs import Array

import lstm_cli
from lstm_cli import Trace
from lstm_cli.analysis import labelled_steps
from lstm_cli.analysis.ranking import Ranking

ROUNDING = 1e-12
LONG = 9000
"""Steps of three blocks."""


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def trace(h: Array, direction: str = "forward", **more: Any) -> Trace:
    return Trace({"h": h, **more}, {"direction": direction})


def figure(found: Ranking, name: str) -> list[float]:
    rows = sorted(found.rows, key=lambda row: row.unit)
    return [row.figures[name] for row in rows]


@pytest.fixture(params=[1, 8 * 20, 1 << 26], ids=["one unit", "some units", "all units"])
def group_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled_steps, "GROUP_BYTES", request.param)


@pytest.mark.usefixtures("group_bytes")
def test_numbers_in_groups() -> None:
    h, label = noise(2, 5, 4), noise(2, 5, seed=1)
    found = lstm_cli.rank(trace(h), label, tensors=("h",), longest_lag=0)
    expected = [np.corrcoef(h[..., unit].ravel(), label.ravel())[0, 1] for unit in range(4)]
    np.testing.assert_allclose(figure(found, "r"), expected, rtol=0, atol=ROUNDING)
    assert found.steps == 10


@pytest.mark.usefixtures("group_bytes")
def test_classes_in_groups() -> None:
    h, label = noise(1, 10, 4), np.arange(10) % 3
    found = lstm_cli.rank(trace(h), label, tensors=("h",), kind="class")
    means = np.array([h[0, label == k].mean(axis=0) for k in range(3)])
    gaps = [sum(abs(means[a] - means[b]) for a, b in ((0, 1), (0, 2), (1, 2)))][0]
    np.testing.assert_allclose(figure(found, "score"), gaps, rtol=ROUNDING)


@pytest.mark.usefixtures("group_bytes")
@pytest.mark.parametrize("kind", ["number", "class"])
def test_a_step_that_is_not_finite_counts_for_no_unit(kind: Any) -> None:
    h, label = noise(1, 10, 4), np.arange(10) % 3
    h[0, 4, 2], h[0, 7, 0] = np.nan, np.inf
    finite = np.isfinite(h[0]).all(axis=1)

    found = lstm_cli.rank(trace(h), label, tensors=("h",), kind=kind, longest_lag=0)

    assert found.steps == 8
    if kind == "number":
        expected = [np.corrcoef(h[0, finite, unit], label[finite])[0, 1] for unit in range(4)]
        np.testing.assert_allclose(figure(found, "r"), expected, rtol=0, atol=ROUNDING)
    else:
        own = h[0, finite & (label == 1), 3]
        np.testing.assert_allclose(
            next(row for row in found.rows if row.unit == 3).means["1"], own.mean(), rtol=ROUNDING
        )


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_last_step_read_may_stand_in_any_block(direction: str) -> None:
    h, label = noise(4, LONG, 2), np.array([0.5, 1.5, -2.0, 3.0])
    mask = np.ones((4, LONG), np.bool_)
    mask[1, 10:] = mask[2, 5000:] = mask[0, :6000] = mask[2, :4500] = False
    last = [LONG - 1, 9, 4999, LONG - 1] if direction == "forward" else [6000, 0, 4500, 0]

    found = lstm_cli.rank(trace(h, direction, mask=mask), label, tensors=("h",))

    expected = [np.corrcoef(h[np.arange(4), last, unit], label)[0, 1] for unit in range(2)]
    np.testing.assert_allclose(figure(found, "r"), expected, rtol=0, atol=ROUNDING)


def test_the_lags_of_long_sequences_do_not_mix_them() -> None:
    label = noise(2, LONG)
    h = np.roll(label, 3, axis=1)[..., None] + 0.5 * noise(2, LONG, 1, seed=1)

    row = lstm_cli.rank(trace(h), label, tensors=("h",), longest_lag=4).rows[0]

    unit, own = h[:, 3:, 0].ravel(), label[:, :-3].ravel()
    assert (row.figures["lag"], row.figures["n"]) == (3, 2 * (LONG - 3))
    np.testing.assert_allclose(row.figures["r"], np.corrcoef(unit, own)[0, 1], rtol=1e-10)
    after, before = h[:, 1:, 0].ravel(), h[:, :-1, 0].ravel()
    shared = np.corrcoef(after, before)[0, 1]
    shared *= np.corrcoef(label[:, 1:].ravel(), label[:, :-1].ravel())[0, 1]
    expected = 2 * (LONG - 3) * (1 - shared) / (1 + shared)
    np.testing.assert_allclose(row.figures["effective_n"], expected, rtol=1e-10)


@pytest.mark.parametrize("kind", ["number", "yes/no", "class"])
def test_memory_does_not_grow_with_the_units(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, units = 50_000, 64
    path = tmp_path / "trace.h5"
    with h5py.File(path, "w") as file:
        h = noise(steps, units).astype(np.float32)
        file.create_dataset("h", data=h, chunks=(1024, units))
        file["meta"] = "{}"
    label = noise(steps, seed=1) if kind == "number" else np.arange(steps) % 2
    monkeypatch.setattr(labelled_steps, "GROUP_BYTES", 1 << 20)

    with lstm_cli.open_trace(path) as opened:
        tracemalloc.start()
        lstm_cli.rank(opened, label, tensors=("h",), kind=kind)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    # The groups of 1 MiB, a block, and less than two dozen numbers a step; h takes 12.8 MB.
    assert peak < h.nbytes
