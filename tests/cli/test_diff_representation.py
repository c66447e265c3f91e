"""``lstm diff --representation``: what units do together, whatever their number and order."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Array, Cli, Ran, load_npz
from made_models import cell, series

import lstm_cli
from lstm_cli import InputError, Trace, UsageError
from lstm_cli.analysis import cells
from lstm_cli.analysis.representation import Representation, TensorLikeness
from lstm_cli.outputs.representation_table import representation_table


def trace(h: Any, **more: Any) -> Trace:
    return Trace({"h": np.array(h, np.float64), **more}, {})


def likeness(a: Trace, b: Trace) -> TensorLikeness:
    found = lstm_cli.diff(a, b, representation=True)
    assert isinstance(found, Representation)
    (tensor,) = found.cells[0].tensors
    return tensor


def test_by_hand() -> None:
    """One unit beside two: x = -1 0 1, y = 2x + 5 and (1, -2, 1), which has nothing in common.

    ‖XᵀY‖² = 4², ‖XᵀX‖ = 2, YᵀY = diag(8, 6): CKA = 16 / (2 · 10) = 0.8.
    """
    a = trace([[[-1], [0], [1]]])
    b = trace([[[3, 1], [5, -2], [7, 1]]])
    found = likeness(a, b)
    np.testing.assert_allclose(found.cka, 0.8, rtol=1e-14)
    assert found.partners_a[0][:2] == (0, 0)
    np.testing.assert_allclose([found.best_a, found.partners_a[0].r], 1, rtol=1e-14)
    np.testing.assert_allclose(found.best_b, (1 + 0) / 2, atol=1e-14)
    assert [each.partner for each in found.partners_b] == [0, 0]
    assert found.steps == 3


def gram_cka(x: Array, y: Array) -> float:
    """The definition with (N, N) matrices of similarities between steps, centred both ways."""
    centre = np.eye(len(x)) - 1 / len(x)
    k, other = (centre @ side @ side.T @ centre for side in (x, y))
    return float((k * other).sum() / (np.linalg.norm(k) * np.linalg.norm(other)))


@pytest.mark.parametrize("block", [7, 4096])
def test_against_the_definition(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Means of 1000 beside spreads of 1 cost no digits, and blocks make no difference."""
    monkeypatch.setattr(cells.TracedCell.blocks, "__defaults__", (block,))
    chance = np.random.default_rng(2)
    x = 1000 + chance.normal(size=(2, 40, 3))
    y = x @ chance.normal(size=(3, 5)) + 0.5 * chance.normal(size=(2, 40, 5))
    found = likeness(trace(x), trace(y))
    flat_x, flat_y = x.reshape(80, 3), y.reshape(80, 5)
    np.testing.assert_allclose(found.cka, gram_cka(flat_x, flat_y), rtol=1e-9)
    r = np.corrcoef(flat_x.T, flat_y.T)[:3, 3:]
    assert [each.partner for each in found.partners_a] == list(np.abs(r).argmax(axis=1))
    assert [each.partner for each in found.partners_b] == list(np.abs(r).argmax(axis=0))
    told = [each.r for each in found.partners_a]
    np.testing.assert_allclose(told, r[range(3), np.abs(r).argmax(axis=1)], rtol=1e-9)
    means = [np.abs(r).max(axis=axis).mean() for axis in (1, 0)]
    np.testing.assert_allclose([found.best_a, found.best_b], means, rtol=1e-9)


def test_units_in_another_order_turned_or_scaled() -> None:
    chance = np.random.default_rng(3)
    x = chance.normal(size=(1, 50, 4))
    order, signs = [2, 0, 3, 1], np.array([1.0, -1.0, 1.0, -1.0])
    found = likeness(trace(x), trace(7 * x[..., order] * signs - 3))
    np.testing.assert_allclose([found.best_a, found.best_b], 1, rtol=1e-12)
    assert [each.partner for each in found.partners_b] == order
    np.testing.assert_allclose([each.r for each in found.partners_b], signs, rtol=1e-12)
    turn = np.linalg.qr(chance.normal(size=(4, 4)))[0]
    for mixed in (x @ turn, 0.1 * x @ turn + 5):
        found = likeness(trace(x), trace(mixed))
        np.testing.assert_allclose(found.cka, 1, rtol=1e-12)
        assert found.best_a < 0.99


def test_steps_and_units_that_do_not_count() -> None:
    chance = np.random.default_rng(4)
    x, y = chance.normal(size=(2, 30, 3)), chance.normal(size=(2, 30, 2))
    mask = chance.uniform(size=(2, 30)) < 0.8
    expected = likeness(trace(x[mask][None]), trace(y[mask][None]))
    found = likeness(trace(np.where(mask[..., None], x, 9)), trace(y, mask=mask))
    assert found.steps == mask.sum()
    np.testing.assert_allclose(found.cka, expected.cka, rtol=1e-9)
    x, mask = x.copy(), mask.copy()
    x[0, 3, 1] = np.nan
    mask[0, 3] = False
    cut = likeness(trace(x), trace(y, mask=mask))
    expected = likeness(trace(x[mask][None]), trace(y[mask][None]))
    np.testing.assert_allclose(cut.cka, expected.cka, rtol=1e-9)
    assert cut.steps == mask.sum()

    x = np.array([[[1.0, 0.1], [2.0, 0.1], [4.0, 0.1]]])  # the second unit is constant
    found = likeness(trace(x), trace(x))
    assert [each.partner for each in found.partners_a] == [0, None]
    np.testing.assert_allclose([found.best_a, found.best_b], 1, rtol=1e-14)
    still = likeness(trace(x[..., 1:]), trace(x))
    assert np.isnan([still.cka, still.best_a, still.best_b]).all()


def test_what_cannot_be_compared() -> None:
    one, two = trace(np.zeros((1, 4, 2))), trace(np.zeros((2, 4, 2)))
    with pytest.raises(InputError, match="A has 1 sequences from step 0 on and B 2"):
        likeness(one, two)
    gates = Trace({"f": np.zeros((1, 4, 2))}, {})
    with pytest.raises(InputError, match="neither h nor c in common"):
        likeness(one, gates)
    with pytest.raises(UsageError, match="a representation has no tolerance"):
        lstm_cli.diff(one, one, representation=True, atol=1.0)  # type: ignore[call-overload]


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Weights of 5 and of 7 units, and an input for both."""
    for name, which in (("five", cell(1)), ("seven", cell(2, units=7))):
        names = ("kernel", "recurrent_kernel", "bias")
        arrays: dict[str, Any] = {each: getattr(which, each) for each in names}
        np.savez(tmp_path / f"{name}.npz", **arrays)
    np.save(tmp_path / "x.npy", series(1, 60)[0])
    return tmp_path / "five.npz", tmp_path / "seven.npz", tmp_path / "x.npy"


def rows(done: Ran) -> list[dict[str, str]]:
    assert done.code == 0, done.err
    return list(csv.DictReader(io.StringIO(done.text)))


def test_two_models_with_other_units(lstm: Cli, models: tuple[Path, ...]) -> None:
    refused = lstm("diff", *models)
    assert refused.code == 2
    assert "(--representation compares units of other numbers)" in refused.err.splitlines()[-1]
    found = rows(lstm("diff", *models, "--representation"))
    assert [row["side"] for row in found] == (["A"] * 5 + ["B"] * 7) * 2
    done = lstm("diff", *models, "--representation", "--json")
    facts = json.loads(done.text)["cells"][0]["tensors"]
    assert [(each["tensor"], each["units_a"], each["units_b"]) for each in facts] == [
        ("h", 5, 7),
        ("c", 5, 7),
    ]
    for tensor, first in zip(facts, (found[0], found[12]), strict=True):
        np.testing.assert_allclose(float(first["cka"]), tensor["cka"], rtol=1e-8)
        assert int(first["partner"]) == tensor["partners_a"][0]["partner"]
        assert 0.1 < tensor["cka"] < 0.99


def test_a_model_and_itself(lstm: Cli) -> None:
    """Every unit finds itself."""
    brackets = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
    found = rows(lstm("diff", brackets[0], brackets[0], brackets[1], "--representation"))
    h = load_npz(SAMPLES / "brackets.golden.npz")["h"][0]
    for row in found[:16]:
        assert row["unit"] == row["partner"]
        np.testing.assert_allclose([float(row["cka"]), float(row["r"])], 1, rtol=1e-9)
    assert int(found[0]["steps"]) == len(h)
    said = lstm("diff", brackets[0], brackets[0], brackets[1], "--representation", "--atol", 1)
    assert said.refusal() == "--representation has no tolerance; leave it out"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table(width: int) -> None:
    x = np.random.default_rng(0).normal(size=(1, 30, 40))
    found = lstm_cli.diff(trace(x), trace(x[..., ::-1][..., :25]), representation=True)
    lines = representation_table(found, ("one.keras", "other.keras"), width).plain.splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "40|25" in text
    assert "… 20 more units: --json" in text
    assert "the exit code is 0" in text
