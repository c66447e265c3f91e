"""Additions to the textbook's cell: each by its definition, step by step, in float64.

The numbers of frameworks stand in the tests of the formats that have these cells; here the
equations themselves are checked on the tensors of a run, so that every term has to be in its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm_cli.engine.recurrence import CellRunner
from lstm_cli.errors import ShapeError
from lstm_cli.model import Activation, LstmCell

Array = NDArray[Any]

B, T, F, U, P = 3, 300, 2, 5, 4
"""More steps than a block has, so that states pass from block to block."""

EVERYTHING = ("h", "c", "i", "f", "g", "o", "z_i", "z_f", "z_g", "z_o")
CLOSE = 1e-12
"""float64 sums of a few dozen terms, in another order than the loop's."""


def cell(**more: Any) -> LstmCell:
    """A cell with weights large enough for every clip to bite."""
    chance = np.random.default_rng(5)
    hidden = P if "projection" in more else U
    shapes = {"kernel": (F, 4 * U), "recurrent_kernel": (hidden, 4 * U), "bias": (4 * U,)}
    arrays: Any = {name: chance.normal(size=shape) for name, shape in shapes.items()}
    return LstmCell(**arrays, **more)


def run(which: LstmCell) -> tuple[dict[str, Array], Array, Array]:
    """Tensors of a run from a random state, and h and c before every step."""
    chance = np.random.default_rng(6)
    x = chance.normal(size=(B, T, F))
    state = chance.normal(size=(B, which.hidden_size)), chance.normal(size=(B, U))
    steps = CellRunner(which, np.dtype(np.float64)).run(x, state, keep=EVERYTHING)
    found = dict(steps.arrays)
    h_before = np.concatenate((state[0][:, None], found["h"][:, :-1]), axis=1)
    c_before = np.concatenate((state[1][:, None], found["c"][:, :-1]), axis=1)
    np.testing.assert_array_equal(steps.final[0], found["h"][:, -1])
    np.testing.assert_array_equal(steps.final[1], found["c"][:, -1])
    linear = x @ which.kernel + h_before @ which.recurrent_kernel + which.bias
    found |= {f"linear_{g}": linear[..., k * U : (k + 1) * U] for k, g in enumerate("ifgo")}
    return found, h_before, c_before


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def check_state(found: dict[str, Array], c_before: Array) -> None:
    """c and h as the gates make them, without clips and projection."""
    np.testing.assert_allclose(
        found["c"], found["f"] * c_before + found["i"] * found["g"], rtol=0, atol=CLOSE
    )
    np.testing.assert_allclose(found["h"], found["o"] * np.tanh(found["c"]), rtol=0, atol=CLOSE)


def test_peepholes_see_the_old_c_and_the_output_gate_the_new() -> None:
    weights = np.random.default_rng(7).normal(size=(3, U))
    found, _, c_before = run(cell(peepholes=weights))
    expected = {
        "z_i": found["linear_i"] + weights[0] * c_before,
        "z_f": found["linear_f"] + weights[1] * c_before,
        "z_g": found["linear_g"],
        "z_o": found["linear_o"] + weights[2] * found["c"],
    }
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=CLOSE)
    for gate in "ifo":
        np.testing.assert_allclose(found[gate], sigmoid(found[f"z_{gate}"]), rtol=0, atol=CLOSE)
    check_state(found, c_before)


def test_clip_holds_the_pre_activations() -> None:
    found, _, c_before = run(cell(clip=0.7))
    for gate in "ifgo":
        limited = np.clip(found[f"linear_{gate}"], -0.7, 0.7)
        assert (np.abs(found[f"linear_{gate}"]) > 0.7).any()
        np.testing.assert_allclose(found[f"z_{gate}"], limited, rtol=0, atol=CLOSE)
    check_state(found, c_before)


def test_cell_clip_holds_c() -> None:
    found, _, c_before = run(cell(cell_clip=0.5))
    before = found["f"] * c_before + found["i"] * found["g"]
    assert (np.abs(before) > 0.5).any()
    np.testing.assert_allclose(found["c"], np.clip(before, -0.5, 0.5), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(found["h"], found["o"] * np.tanh(found["c"]), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("limit", [None, 0.3])
def test_projection_makes_h(limit: float | None) -> None:
    chance = np.random.default_rng(8)
    projection, bias = chance.normal(size=(U, P)), chance.normal(size=P)
    found, _, c_before = run(
        cell(projection=projection, projection_bias=bias, projection_clip=limit)
    )
    h = (found["o"] * np.tanh(found["c"])) @ projection + bias
    if limit is not None:
        assert (np.abs(h) > limit).any()
        h = np.clip(h, -limit, limit)
    assert found["h"].shape == (B, T, P)
    assert found["c"].shape == (B, T, U)
    np.testing.assert_allclose(found["h"], h, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(found["z_f"], found["linear_f"], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(
        found["c"], found["f"] * c_before + found["i"] * found["g"], rtol=0, atol=CLOSE
    )


@pytest.mark.parametrize(("coupled", "other"), [("f", "i"), ("i", "f")])
def test_a_coupled_gate_is_what_the_other_leaves(coupled: Any, other: str) -> None:
    found, _, c_before = run(cell(coupled=coupled))
    np.testing.assert_array_equal(found[coupled], 1 - found[other])
    np.testing.assert_allclose(found[other], sigmoid(found[f"linear_{other}"]), rtol=0, atol=CLOSE)
    assert np.isnan(found[f"z_{coupled}"]).all()
    check_state(found, c_before)


def test_three_activations() -> None:
    found, _, c_before = run(
        cell(
            activation=Activation("softsign"),
            recurrent_activation=Activation("hard_sigmoid", 0.2, 0.5),
            output_activation=Activation("relu"),
        )
    )
    z = found["linear_g"]
    np.testing.assert_allclose(found["g"], z / (1 + np.abs(z)), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(
        found["f"], np.clip(0.2 * found["linear_f"] + 0.5, 0, 1), rtol=0, atol=CLOSE
    )
    np.testing.assert_allclose(
        found["c"], found["f"] * c_before + found["i"] * found["g"], rtol=0, atol=CLOSE
    )
    np.testing.assert_allclose(
        found["h"], found["o"] * np.maximum(found["c"], 0), rtol=0, atol=CLOSE
    )


def test_normalisation_comes_before_the_bias() -> None:
    factors = np.random.default_rng(9).normal(size=(4, U))
    which = cell(layer_norm=factors)
    found, _, c_before = run(which)
    assert which.bias is not None
    for k, gate in enumerate("ifgo"):
        bias = which.bias[k * U : (k + 1) * U]
        z = found[f"linear_{gate}"] - bias
        z = (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + 1e-8)
        np.testing.assert_allclose(
            found[f"z_{gate}"], z * factors[k] + bias, rtol=0, atol=1e-10
        )  # a division by a small deviation makes rounding larger
    check_state(found, c_before)


def test_an_addition_that_changes_nothing_changes_nothing() -> None:
    """The general loop and the quick ones, which have their own tests, agree where both can run."""
    plain, _, _ = run(cell())
    general, _, _ = run(cell(cell_clip=1e30))
    for name in EVERYTHING:
        np.testing.assert_allclose(general[name], plain[name], rtol=0, atol=CLOSE)


def test_masked_steps_repeat_a_projected_state() -> None:
    which = cell(projection=np.random.default_rng(8).normal(size=(U, P)))
    x = np.random.default_rng(6).normal(size=(B, 7, F))
    mask = np.ones((B, 7), bool)
    mask[1, 2:4] = mask[2, :3] = False
    state = np.full((B, P), 0.5), np.full((B, U), -0.5)
    run_cell = CellRunner(which, np.dtype(np.float64)).run
    found = run_cell(x, state, mask=mask, keep=("h", "c", "f")).arrays
    np.testing.assert_array_equal(found["h"][1, 2], found["h"][1, 1])
    np.testing.assert_array_equal(found["h"][1, 3], found["h"][1, 1])
    np.testing.assert_array_equal(found["c"][2, :3], np.full((3, U), -0.5))
    assert np.isnan(found["f"][1, 2:4]).all()
    alone = run_cell(x[1:2][:, mask[1]], tuple(part[1:2] for part in state), keep=("h",)).arrays
    np.testing.assert_allclose(found["h"][1, mask[1]], alone["h"][0], rtol=0, atol=CLOSE)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("peepholes", (3, U + 1), "peepholes: expected shape (3, 5), found (3, 6)"),
        ("layer_norm", (3, U), "layer_norm: expected shape (4, 5), found (3, 5)"),
        ("projection_bias", (U + 1,), "projection_bias: expected shape (5,), found (6,)"),
    ],
)
def test_shapes_have_to_fit(name: str, shape: tuple[int, ...], expected: str) -> None:
    wrong: Any = {name: np.zeros(shape)}
    with pytest.raises(ShapeError) as caught:
        replace(cell(), **wrong)
    assert str(caught.value) == expected
