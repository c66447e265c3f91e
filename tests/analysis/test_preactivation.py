"""z as a sum of products with x and h, a bias, a peephole and a clip: on runs, to rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_models import HARD, U, cell, one_way, series, stacked, two_levels, two_ways

import lstm_cli
from lstm_cli import Model, Trace, Traces
from lstm_cli.analysis.preactivation import GateSplit
from lstm_cli.errors import InputError, NoSuchNameError, UnsupportedFeatureError, UsageError
from lstm_cli.model import LstmCell

TENSORS = (*"hcifgo", "x", "z_i", "z_f", "z_g", "z_o")
MASK = np.array([[1, 1, 0, 1, 1, 0, 0, 1], [1, 1, 1, 1, 0, 1, 1, 0]], bool)


def asked(trace: Any, gate: str, unit: int, step: int, **more: Any) -> GateSplit:
    found = lstm_cli.why(trace, gate=gate, unit=unit, step=step, **more)
    assert isinstance(found, GateSplit)
    return found


def test_by_hand() -> None:
    """z = 2·0.5 + 3·(-1) + 0.1, and the gate is its sigmoid."""
    kernel, recurrent = np.zeros((2, 4)), np.zeros((1, 4))
    kernel[:, 1], recurrent[0, 1] = [0.5, -1.0], 0.25
    bias = np.array([0.0, 0.1, 0.0, 0.0])
    model = one_way(LstmCell(kernel, recurrent, bias))
    trace = lstm_cli.trace(model, np.array([[[2.0, 3.0]]]), tensors=TENSORS)

    found = asked(trace, "f", 0, 0, model=model)

    assert [(t.source, t.index, t.value, t.weight) for t in found.terms] == [
        ("x", 1, 3.0, -1.0),
        ("x", 0, 2.0, 0.5),
        ("h", 0, 0.0, 0.25),
    ]
    np.testing.assert_allclose([found.part("x"), found.part("h"), found.bias], [-2, 0, 0.1])
    np.testing.assert_allclose(found.total, -1.9, rtol=1e-15)
    assert found.z == found.total
    np.testing.assert_allclose(found.value, 1 / (1 + np.exp(1.9)), rtol=1e-15)
    assert found.facts(1)["terms"] == [
        {"source": "x", "index": 1, "value": 3.0, "weight": -1.0, "product": -3.0}
    ]


def models() -> dict[str, Model]:
    chance = np.random.default_rng(2)
    peepholes: dict[str, Any] = {"peepholes": chance.normal(size=(3, U))}
    return {
        "both ways": two_ways(cell(1), cell(2, recurrent_activation=HARD)),
        "peepholes": two_ways(cell(1, **peepholes), cell(2, **peepholes)),
        "clips": two_ways(cell(1, clip=0.5), cell(2, clip=0.5, cell_clip=0.4)),
        "projection": two_ways(
            cell(1, projection=chance.normal(size=(U, U - 1))),
            cell(2, projection=chance.normal(size=(U, U - 1))),
        ),
        "levels": two_levels(),
        "stack": stacked(),
    }


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize("given", [{}, {"mask": MASK}], ids=["plain", "masked"])
def test_the_terms_sum_to_z(name: str, given: dict[str, Any]) -> None:
    """The residual is that of a few dozen float64 sums, for every gate, cell and direction."""
    model = models()[name]
    x = series(2, 8) * 2
    trace = lstm_cli.trace(model, x, tensors=TENSORS, initial_state=0.6, **given)
    assert isinstance(trace, Traces)
    checked = 0
    for part, one in trace.items():
        for gate in "ifgo":
            for b, step, unit in ((0, 0, 0), (1, 3, 4), (0, 7, 2), (1, 6, 1)):
                found = asked(trace, gate, unit, step, sequence=b, cell=part, model=model)
                z = one.arrays[f"z_{gate}"][b, step, unit]
                assert found.residual is not None
                assert abs(found.residual) < 5e-15
                np.testing.assert_allclose(found.total, z, rtol=0, atol=5e-15)
                np.testing.assert_array_equal(found.value, one.arrays[gate][b, step, unit])
                sizes = [abs(term.product) for term in found.terms]
                assert sizes == sorted(sizes, reverse=True)
                checked += 1
    assert checked == 16 * len(trace)
    if name == "clips":
        clipped = [asked(trace, "f", u, 1, cell="forward", model=model).clipped for u in range(U)]
        assert np.abs(clipped).max() > 0.1


def test_the_h_that_a_step_saw_is_that_of_the_step_read_before() -> None:
    trace = lstm_cli.trace(two_ways(cell(1), cell(2)), series(1, 8), tensors=TENSORS, mask=MASK[:1])
    assert isinstance(trace, Traces)
    model = two_ways(cell(1), cell(2))
    for part, step, before in (("forward", 3, 2), ("backward", 4, 5), ("forward", 4, 3)):
        found = asked(trace, "i", 0, step, cell=part, model=model)
        seen = {term.index: term.value for term in found.terms if term.source == "h"}
        np.testing.assert_array_equal([seen[k] for k in range(U)], trace[part].h[0, before])


def test_weights_of_an_export(lstm: Any, tmp_path: Any) -> None:
    from cli_runs import SAMPLES

    sample = SAMPLES / "bidirectional"
    path = tmp_path / "t.npz"
    options = ("--with-weights", "--with-input", "--pre-activation")
    lstm("export", f"{sample}.keras", f"{sample}.npy", *options, "-o", path).succeeded()
    model, x = lstm_cli.load(f"{sample}.keras"), np.load(f"{sample}.npy")
    trace = lstm_cli.trace(model, x, tensors=TENSORS)
    with lstm_cli.open_trace(path) as file:
        for part in ("middle/backward", "top/forward"):
            found = asked(file, "o", 3, 1, cell=part)
            assert found == asked(trace, "o", 3, 1, cell=part, model=model)
            # float32: 18 products up to 3
            assert found.residual is not None
            assert abs(found.residual) < 2e-6


# -- what cannot be split


def test_what_is_missing_is_named() -> None:
    model = one_way(cell())
    trace = lstm_cli.trace(model, series(1, 4))
    with pytest.raises(InputError) as error:
        lstm_cli.why(trace, gate="f", unit=0)
    assert str(error.value).endswith(
        "lacks kernel, recurrent_kernel, x (it has h, c, i, f, g, o, output); export it with "
        "--with-input --with-weights"
    )
    with pytest.raises(InputError, match=r"lacks x .* export it with --with-input$"):
        lstm_cli.why(trace, gate="f", unit=0, model=model)


def test_without_z_there_is_no_residual() -> None:
    model = one_way(cell())
    trace = lstm_cli.trace(model, series(1, 4), tensors=(*"hcifgo", "x"))
    found = asked(trace, "g", 1, 2, model=model)
    assert (found.z, found.residual) == (None, None)
    np.testing.assert_allclose(np.tanh(found.total), found.value, rtol=1e-12)


@pytest.mark.parametrize(
    ("asked_for", "kind", "message"),
    [
        ({"gate": "f"}, UsageError, "gate f is asked for without a unit; say which (--unit)"),
        ({"gate": "q", "unit": 0}, NoSuchNameError, "no gate 'q'; there is: i, f, g, o"),
        ({"gate": "i", "unit": 5}, InputError, "unit 5: the trace has units 0 to 4"),
        ({"gate": "i", "unit": 0, "step": 8}, InputError, "step 8: sequence 0 has steps 0 to 7"),
        (
            {"gate": "i", "unit": 0, "step": 2},
            InputError,
            "step 2 of sequence 0 is masked: no gate was applied",
        ),
    ],
)
def test_what_is_refused(asked_for: dict[str, Any], kind: type[Exception], message: str) -> None:
    model = one_way(cell())
    trace = lstm_cli.trace(model, series(1, 8), tensors=TENSORS, mask=MASK[:1])
    with pytest.raises(kind) as error:
        lstm_cli.why(trace, model=model, **asked_for)
    assert str(error.value) == message


def test_gates_that_are_no_sum() -> None:
    coupled = one_way(replace(cell(), coupled="f"))
    trace = lstm_cli.trace(coupled, series(1, 4), tensors=TENSORS)
    with pytest.raises(UnsupportedFeatureError, match=r"^gate f is 1 - i in this cell; ask for"):
        lstm_cli.why(trace, gate="f", unit=0, model=coupled)
    assert abs(asked(trace, "i", 0, 3, model=coupled).residual or 0) < 1e-14
    normalised = one_way(replace(cell(), layer_norm=np.ones((4, U))))
    trace = lstm_cli.trace(normalised, series(1, 4), tensors=TENSORS)
    with pytest.raises(UnsupportedFeatureError, match=r"normalises its pre-activations over units"):
        lstm_cli.why(trace, gate="f", unit=0, model=normalised)


def test_a_level_needs_the_one_below() -> None:
    model = two_levels()
    trace = lstm_cli.trace(model, series(1, 4), tensors=TENSORS, layer="lstm/l1/forward")
    assert isinstance(trace, Trace)
    with pytest.raises(InputError) as error:
        lstm_cli.why(trace, gate="f", unit=0, model=model)
    assert str(error.value) == (
        "cell 'l1/forward' reads what the cells below it do, and the trace lacks those; choose the "
        "whole layer"
    )
