"""What weights alone tell: on kernels made for it, and on fresh layers of both frameworks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_models import HARD, U, cell, model_of, one_way, two_levels, two_ways

import lstm_cli
from lstm_cli.analysis.weight_indicators import CellIndicators, cell_indicators
from lstm_cli.errors import UsageError
from lstm_cli.model import Activation, Direction, GruCell, LstmCell, Recurrent
from lstm_cli.outputs.weight_indicators import indicator_lines


def close(found: Any, expected: Any, tolerance: float) -> None:
    """Equal to ``tolerance``, and not None."""
    np.testing.assert_allclose(np.asarray(found, np.float64), expected, rtol=0, atol=tolerance)


def fresh_keras(units: int = 16, features: int = 8) -> LstmCell:
    """Glorot uniform, orthonormal rows, a forget bias of 1."""
    chance = np.random.default_rng(0)
    limit = np.sqrt(6 / (features + 4 * units))
    rows, _ = np.linalg.qr(chance.normal(size=(4 * units, units)))
    bias = np.zeros(4 * units)
    bias[units : 2 * units] = 1
    return LstmCell(chance.uniform(-limit, limit, (features, 4 * units)), rows.T, bias)


def test_a_fresh_keras_layer() -> None:
    found = cell_indicators(fresh_keras())
    assert found.fresh == "Keras"
    assert found.orthogonality_gap is not None
    np.testing.assert_allclose(found.orthogonality_gap, 0, atol=1e-14)
    # 512 numbers drawn evenly: their spread is known to 5%
    np.testing.assert_allclose(found.kernel_spread or 0, 1, atol=0.05)
    np.testing.assert_allclose(found.recurrent_spread or 0, 1, atol=0.01)
    assert found.bias_distance == 0
    close(found.bias_timescale, np.full(16, 3.192), 5e-4)
    close(found.bias_half_life, np.full(16, 2.213), 5e-4)
    assert all(gate.largest_singular is not None for gate in found.gates)
    # a block of orthonormal rows cannot stretch anything
    assert all((gate.largest_singular or 2) <= 1 + 1e-12 for gate in found.gates)


def test_a_fresh_pytorch_layer() -> None:
    chance, bound = np.random.default_rng(0), 1 / np.sqrt(16)
    kernel, recurrent = (chance.uniform(-bound, bound, shape) for shape in ((8, 64), (16, 64)))
    found = cell_indicators(LstmCell(kernel, recurrent, np.zeros(64)), convention="torch")
    assert (found.fresh, found.orthogonality_gap, found.bias_distance) == ("PyTorch", None, None)
    close([found.kernel_spread, found.recurrent_spread], [1, 1], 0.05)


def test_a_trained_layer_is_further_away() -> None:
    fresh = fresh_keras()
    assert fresh.bias is not None
    moved = replace(fresh, recurrent_kernel=fresh.recurrent_kernel * 2, bias=fresh.bias + 0.5)
    found = cell_indicators(moved)
    # U Uᵀ = 4 I, and ‖3 I‖ / √16 = 3
    np.testing.assert_allclose(found.orthogonality_gap or 0, 3, rtol=1e-12)
    np.testing.assert_allclose(found.bias_distance or 0, 0.5, rtol=1e-12)


def test_spectral_figures_by_hand() -> None:
    """A rotation by 30 degrees, stretched: its eigenvalues lie on a circle."""
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    shear = np.array([[1.0, 3.0], [0.0, 1.0]])
    recurrent = np.concatenate([turn, 0.5 * turn, shear, np.zeros((2, 2))], axis=1)
    found = cell_indicators(LstmCell(np.ones((1, 8)), recurrent, None))
    radii = [gate.spectral_radius for gate in found.gates]
    close(radii, [1, 0.5, 1, 0], 1e-7)  # a defective eigenvalue is known to half the digits
    singular = [gate.largest_singular for gate in found.gates]
    close(singular, [1, 0.5, (3 + np.sqrt(13)) / 2, 0], 1e-12)
    assert [gate.recurrent_zeros for gate in found.gates] == [0, 0, 0.25, 1]
    assert found.bias_timescale is None
    assert [gate.bias_range for gate in found.gates] == [None] * 4


def test_norms_of_units_and_silent_features() -> None:
    kernel = np.zeros((3, 8))
    kernel[0, :2], kernel[2, :2] = [3.0, 0.0], [4.0, 2.0]
    found = cell_indicators(LstmCell(kernel, np.ones((2, 8)), np.arange(8.0)))
    assert found.silent_inputs == (1,)
    assert found.gates[0].kernel_norms == (2, 3.5, 5)
    np.testing.assert_allclose(found.gates[0].recurrent_norms, np.sqrt(2))
    assert found.gates[1].bias_range == (2, 2.5, 3)
    np.testing.assert_allclose(found.gates[0].kernel_zeros, 3 / 6)


def test_a_coupled_gate_has_no_weights_to_speak_of() -> None:
    """f = 1 - i: the timescale is that of i's bias, and stands in its row."""
    kernel, bias = np.ones((3, 8)), np.repeat([-2.0, 9.0, 0.0, 0.0], 2)
    found = cell_indicators(LstmCell(kernel, np.ones((2, 8)), bias, coupled="f"))
    assert [gate.gate for gate in found.gates] == ["i", "g", "o"]
    header, first, *_ = (line.split(",") for line in indicator_lines([found]))
    shown = float(first[header.index("bias_timescale_median")])
    np.testing.assert_allclose(shown, 1 / np.log1p(np.exp(-2)), rtol=1e-8)


def test_a_feature_is_silent_up_to_a_norm() -> None:
    """Norms 5, 0.02 and 0 of the three features."""
    kernel = np.zeros((3, 8))
    kernel[0, :2], kernel[1, 7] = [3.0, 4.0], 0.02
    model = one_way(LstmCell(kernel, np.ones((2, 8)), None))
    for silent, expected in ((1e-6, (2,)), (0.0039, (2,)), (0.004, (1, 2))):
        (found,) = lstm_cli.weight_indicators(model, silent=silent)
        assert (found.silent_inputs, found.silent) == (expected, silent)
    with pytest.raises(UsageError, match="silent: expected 0 or more, found -1"):
        lstm_cli.weight_indicators(model, silent=-1)


def test_quantiles_and_numbers_that_are_not_finite() -> None:
    """Of i 0 to 20 in the kernel, of f NaN and ones, of g nothing finite; of o an infinite bias."""
    one_bad = np.r_[np.nan, np.ones(20)]
    kernel = np.concatenate([np.arange(21.0), one_bad, np.full(21, np.nan), np.zeros(21)])
    bias = np.r_[np.zeros(83), np.inf]
    which = LstmCell(kernel[np.newaxis], np.ones((21, 84)), bias)
    i, f, g, o = cell_indicators(which).gates
    np.testing.assert_allclose(i.kernel_quantiles, [1, 5, 10, 15, 19], rtol=1e-14)
    np.testing.assert_array_equal(f.kernel_quantiles, [1] * 5)
    np.testing.assert_array_equal(g.kernel_quantiles, [np.nan] * 5)
    np.testing.assert_array_equal(i.recurrent_quantiles, [1] * 5)
    held = 21 + 21 * 21 + 21
    found = [gate.nonfinite for gate in (i, f, g, o)]
    np.testing.assert_allclose(found, [0, 1 / held, 21 / held, 1 / held], rtol=1e-14)


def test_a_projection_closes_the_loop() -> None:
    projection = np.random.default_rng(1).normal(size=(U, U - 1))
    which = cell(projection=projection)
    found = cell_indicators(which)
    loop = projection @ which.recurrent_kernel[:, U : 2 * U]
    expected = np.abs(np.linalg.eigvals(loop)).max()
    np.testing.assert_allclose(found.gates[1].spectral_radius or 0, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "gate"), [({"recurrent_activation": HARD}, "f"), ({"coupled": "f"}, "i")]
)
def test_the_timescale_is_that_of_the_gate_in_use(change: dict[str, object], gate: str) -> None:
    which = replace(cell(), **change)  # type: ignore[arg-type]
    assert which.bias is not None
    block = which.bias["ifgo".index(gate) * U :][:U]
    f = 0.2 * block + 0.5 if gate == "f" else 1 - 1 / (1 + np.exp(-block))
    found = cell_indicators(which).bias_timescale
    close(found, -1 / np.log(f), 1e-9)


def test_other_activations_and_numbers_that_are_not_finite() -> None:
    relu = replace(cell(), recurrent_activation=Activation("relu"))
    assert cell_indicators(relu).bias_timescale is None
    broken = cell().recurrent_kernel.copy()
    broken[0, 0], broken[1, U] = np.nan, np.inf
    found = cell_indicators(replace(cell(), recurrent_kernel=broken))
    radii = [gate.spectral_radius is None for gate in found.gates]
    assert radii == [True, True, False, False]
    assert found.orthogonality_gap is None


# -- through the API


def names(found: list[CellIndicators]) -> list[tuple[str, str]]:
    return [(cell.layer, cell.part) for cell in found]


def test_every_cell_of_a_model() -> None:
    assert names(lstm_cli.weight_indicators(two_ways(cell(1), cell(2)))) == [
        ("lstm", "forward"),
        ("lstm", "backward"),
    ]
    levels = two_levels()
    assert len(lstm_cli.weight_indicators(levels)) == 4
    assert names(lstm_cli.weight_indicators(levels, "lstm/l1")) == [
        ("lstm", "l1/forward"),
        ("lstm", "l1/backward"),
    ]
    assert lstm_cli.weight_indicators(levels)[0].fresh == "PyTorch"


def test_other_kinds_of_cells_have_none() -> None:
    gru = GruCell(np.ones((3, 6)), np.ones((2, 6)), None)
    model = model_of(Recurrent((Direction("", (gru,)),)))
    assert lstm_cli.weight_indicators(model, "lstm") == []


def test_spectral_radii_on_request() -> None:
    model = one_way(cell())
    (without,) = lstm_cli.weight_indicators(model, spectral=False)
    (with_them,) = lstm_cli.weight_indicators(model)
    assert [gate.spectral_radius for gate in without.gates] == [None] * 4
    assert all(gate.spectral_radius for gate in with_them.gates)
    facts = with_them.facts()
    assert [gate["gate"] for gate in facts["gates"]] == ["i", "f", "g", "o"]
    assert len(facts["bias_timescale"]) == U
