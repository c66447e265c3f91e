"""Comparison of two traces: against differences worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, load_npz

import lstm_cli
from lstm_cli import InputError, Trace, Traces
from lstm_cli.analysis import difference_cells, quantiles
from lstm_cli.analysis.difference_report import Difference, Place, TensorDifference
from lstm_cli.analysis.difference_sums import DifferenceSums
from lstm_cli.analysis.quantiles import MagnitudeQuantiles

EXACT = 1e-15
"""Figures of float64 numbers with few digits: a rounding or two."""

TENSORS = ("x", "z_i", "z_f", "z_g", "z_o", "i", "f", "g", "c", "o", "h", "output")


def trace(direction: str = "forward", **arrays: Any) -> Trace:
    return Trace(arrays, {"direction": direction})


def changed(reference: Trace, name: str, place: tuple[int, ...], by: float) -> Trace:
    arrays = {key: np.array(array) for key, array in reference.arrays.items()}
    arrays[name][place] += by
    return Trace(arrays, reference.meta)


def tensor(found: Difference, name: str, cell: int = 0) -> TensorDifference:
    return next(t for t in found.cells[cell].tensors if t.tensor == name)


def quiet(steps: int = 6, units: int = 3, sequences: int = 2, **more: Any) -> Trace:
    """A trace of zeros of every tensor."""
    shape = (sequences, steps, units)
    arrays: dict[str, Any] = {name: np.zeros(shape, np.float32) for name in TENSORS}
    return trace(**arrays, **more)


def test_figures_of_a_case_worked_out_by_hand() -> None:
    a = trace(h=np.array([[[1.0, -2.0], [4.0, 0.5], [0.0, 1.0]]]))
    b = trace(h=np.array([[[1.5, -2.0], [4.0, -0.5], [0.0, 1.25]]]))  # |Δ|: .5 0 0 1 0 .25

    h = tensor(lstm_cli.diff(a, b, tolerance=0.01), "h")

    figures = h.figures
    found = [figures.maximum, figures.mean, figures.median, figures.q99, figures.relative]
    np.testing.assert_allclose(found, [1.0, 1.75 / 6, 0.125, 1.0, 2.0], rtol=EXACT)
    spread = np.sqrt((1 + 4 + 16 + 0.25 + 0 + 1) / 6 - (4.5 / 6) ** 2)
    np.testing.assert_allclose(figures.rmse, np.sqrt(1.3125 / 6) / spread, rtol=1e-12)
    assert (figures.sign_flips, figures.nonfinite, figures.values) == (1, 0, 6)
    assert h.bound == pytest.approx(0.04)  # 0.01 times the largest |a|, which is 4
    assert (h.first, h.worst, h.steps) == (Place(0, 0, 0), Place(0, 1, 1), 3)


@pytest.mark.parametrize("name", TENSORS)
def test_the_tensor_and_step_of_the_first_difference(name: str) -> None:
    reference = quiet()
    other = changed(reference, name, (1, 3, 2), 0.5)

    found = lstm_cli.diff(reference, other)

    assert not found.same
    assert found.cells[0].first is tensor(found, name)
    assert tensor(found, name).first == Place(1, 3, 2)
    assert [t.tensor for t in found.cells[0].tensors if not t.same] == [name]
    assert [t.tensor for t in found.cells[0].tensors] == list(TENSORS)


def test_at_the_same_step_the_first_in_the_order_of_computation_is_named() -> None:
    reference = quiet()
    other = reference
    for name in ("h", "o", "c", "f"):
        other = changed(other, name, (0, 2, 1), 0.1)
    other = changed(other, "z_f", (0, 3, 1), 0.1)

    first = lstm_cli.diff(reference, other).cells[0].first

    assert first is not None
    assert (first.tensor, first.first) == ("f", Place(0, 2, 1))


def test_an_earlier_step_comes_before_an_earlier_tensor() -> None:
    reference = quiet()
    other = changed(changed(reference, "z_i", (0, 4, 0), 1.0), "h", (1, 2, 2), 1.0)

    first = lstm_cli.diff(reference, other).cells[0].first

    assert first is not None
    assert (first.tensor, first.first) == ("h", Place(1, 2, 2))


def test_a_backward_cell_reads_the_last_step_first() -> None:
    reference = quiet(direction="backward")
    other = changed(changed(reference, "c", (0, 1, 0), 1.0), "h", (0, 4, 1), 1.0)

    first = lstm_cli.diff(reference, other).cells[0].first

    assert first is not None
    assert (first.tensor, first.first) == ("h", Place(0, 4, 1))


def test_a_backward_cell_begins_at_each_sequence_s_own_end() -> None:
    """Of sequences with 6 and 3 steps: step 2 is read first in the second, fourth in the first."""
    reference = quiet(direction="backward", lengths=np.array([6, 3]))
    other = changed(changed(reference, "c", (0, 4, 0), 1.0), "c", (1, 2, 2), 1.0)

    first = lstm_cli.diff(reference, other).cells[0].first

    assert first is not None
    assert first.first == Place(1, 2, 2)


def test_an_output_in_the_order_of_processing_does_not_tell_the_step() -> None:
    """A layer that goes backwards hands on its steps as it read them: the last one first."""
    reference = quiet(direction="backward")
    h = reference.arrays["h"]
    reference = Trace({**reference.arrays, "output": h[:, ::-1]}, reference.meta)
    other = reference
    for step in (3, 2, 1, 0):
        other = changed(other, "h", (0, step, 1), 1.0)
        other = changed(other, "output", (0, h.shape[1] - 1 - step, 1), 1.0)

    first = lstm_cli.diff(reference, other).cells[0].first

    assert first is not None
    assert (first.tensor, first.first) == ("h", Place(0, 3, 1))


def test_steps_that_are_masked_on_both_sides_do_not_count() -> None:
    mask = np.array([[True, True, False, True, True, True]] * 2)
    reference = quiet(mask=mask)
    other = changed(reference, "h", (0, 2, 0), 1.0)

    found = lstm_cli.diff(reference, other)

    assert tensor(found, "h").same
    assert tensor(found, "h").figures.values == 2 * 5 * 3


def test_steps_beyond_the_end_do_not_count() -> None:
    reference = quiet(lengths=np.array([6, 2]))
    other = changed(reference, "h", (1, 2, 0), 1.0)

    assert tensor(lstm_cli.diff(reference, other), "h").same
    assert tensor(lstm_cli.diff(reference, other), "h").figures.values == (6 + 2) * 3


def test_nan_and_infinity_are_equal_to_themselves_alone() -> None:
    a = trace(c=np.array([[[np.nan, np.inf, np.inf, 1.0, -np.inf]]]))
    b = trace(c=np.array([[[np.nan, np.inf, -np.inf, np.nan, -np.inf]]]))

    c = tensor(lstm_cli.diff(a, b), "c")

    assert (c.figures.nonfinite, c.figures.maximum) == (2, np.inf)
    assert c.first == Place(0, 0, 2)


@pytest.mark.parametrize(
    ("dtype", "gap", "same"),
    [
        ("f4", 0.9e-5, True),
        ("f4", 2e-5, False),
        ("f8", 0.9e-12, True),
        ("f8", 2e-12, False),
        ("f2", 4e-3, True),
        ("f2", 6e-3, False),
    ],
)
def test_the_default_tolerance_goes_by_the_precision(dtype: str, gap: float, same: bool) -> None:
    a = trace(h=np.zeros((1, 1, 1), dtype))
    b = trace(h=np.full((1, 1, 1), gap, dtype))
    assert lstm_cli.diff(a, b).same == same


@pytest.mark.parametrize(
    ("tolerances", "same"),
    [
        ({"tolerance": 0.011}, True),  # times the largest |a|, 100
        ({"tolerance": 0.009}, False),
        ({"rtol": 0.011}, False),  # 1 away from 1
        ({"atol": 1.1}, True),
        ({"atol": 0.9}, False),
        ({"atol": 0.5, "rtol": 0.51}, True),
        ({"atol": 0.5, "rtol": 0.49}, False),
    ],
)
def test_tolerances(tolerances: dict[str, Any], same: bool) -> None:
    a, b = np.array([[[1.0, 100.0]]]), np.array([[[2.0, 101.0]]])
    assert lstm_cli.diff(trace(h=a), trace(h=b), **tolerances).same == same


@pytest.mark.parametrize("slope", [-0.4, 0.25])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_growth_is_the_slope_of_the_logarithm(slope: float, direction: str) -> None:
    """‖Δh‖ = 0.01 exp(slope k) at the k-th step read from the first difference on."""
    gap = np.zeros((1, 12, 2))
    gap[0, 4:, 1] = 0.01 * np.exp(slope * np.arange(8))
    gap = gap[:, ::-1] if direction == "backward" else gap
    a = trace(direction, h=np.ones((1, 12, 2)))
    b = trace(direction, h=1.0 + gap)

    found = lstm_cli.diff(a, b, tolerance=1e-8).cells[0]

    # 1 + gap is rounded at 1e-16, which is 1e-13 of the smallest gap here.
    np.testing.assert_allclose(found.growth, slope, rtol=1e-10)


def test_growth_leaves_out_masked_steps() -> None:
    """‖Δh‖ = 0.01 exp(0.5 t) at real steps; at masked ones h repeats the step before."""
    real = np.array([True, True, False, True, False, False, True, True])
    gap = 0.01 * np.exp(0.5 * np.maximum.accumulate(np.where(real, np.arange(8), 0)))
    mask = real[np.newaxis]
    a = trace(h=np.ones((1, 8, 1)), mask=mask)
    b = trace(h=1.0 + gap.reshape(1, 8, 1), mask=mask)

    found = lstm_cli.diff(a, b, tolerance=1e-8).cells[0]

    # 1 + gap is rounded at 1e-16, which is 1e-14 of the smallest gap.
    np.testing.assert_allclose(found.growth, 0.5, rtol=1e-11)


def test_the_worst_units_are_measured_in_tolerances() -> None:
    a = trace(c=np.full((1, 2, 3), 100.0), h=np.full((1, 2, 3), 0.5))
    b = changed(changed(changed(a, "c", (0, 0, 0), 20.0), "h", (0, 1, 2), 0.4), "h", (0, 0, 1), 0.1)

    worst = lstm_cli.diff(a, b, tolerance=0.01).cells[0].worst_units

    assert [(u.unit, u.tensor) for u in worst] == [(2, "h"), (0, "c"), (1, "h")]
    np.testing.assert_allclose([u.excess for u in worst], [40.0, 20.0, 10.0], rtol=1e-12)


def test_a_difference_far_behind_the_first_block_is_found() -> None:
    reference = quiet(steps=9000, units=2, sequences=1)
    found = lstm_cli.diff(reference, changed(reference, "g", (0, 8500, 1), 1.0))
    assert tensor(found, "g").first == Place(0, 8500, 1)
    assert tensor(found, "g").worst == Place(0, 8500, 1)


@pytest.mark.parametrize("block", [1, 2, 4096])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_first_difference_read_may_stand_in_any_block(
    monkeypatch: pytest.MonkeyPatch, direction: str, block: int
) -> None:
    monkeypatch.setattr(difference_cells, "BLOCK_STEPS", block)
    a = quiet(direction=direction)
    b = a
    for step in (1, 2, 4):
        b = changed(b, "h", (1, step, 2), 1.0)

    found = lstm_cli.diff(a, b).cells[0]

    assert found.first is not None
    assert found.first.first == Place(1, 1 if direction == "forward" else 4, 2)
    assert found.first.steps == 3


SIZES = {"tiny": 1e-25, "small": 1e-13, "of size 1": 1.0, "large": 1e25}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_figures_of_any_size(size: str, dtype: str) -> None:
    """What squares of float32 cannot hold is measured all the same; half of the signs differ."""
    chance = np.random.default_rng(0)
    a = (SIZES[size] * chance.normal(size=(2, 50, 4))).astype(dtype)
    b = (a * chance.choice([-1.0, 1.0, 0.5, 1 - 1e-6], size=a.shape)).astype(dtype)
    b[:, :, 0] = -a[:, :, 0]

    found = lstm_cli.diff(trace(h=a), trace(h=b)).cells[0].tensors[0]

    x, y = a.astype(np.float64), b.astype(np.float64)
    gap = np.abs(y - x)
    figures = found.figures
    rounding = 1e-6 if dtype == "float32" else 1e-12
    reference = np.maximum(np.abs(x), 1e-12)
    np.testing.assert_allclose(
        [figures.maximum, figures.mean, figures.median, figures.q99, figures.relative],
        [gap.max(), gap.mean(), np.median(gap), np.sort(gap.ravel())[395], (gap / reference).max()],
        rtol=rounding,
    )
    np.testing.assert_allclose(figures.rmse, np.sqrt((gap**2).mean()) / x.std(), rtol=rounding)
    assert figures.sign_flips == np.count_nonzero(np.sign(x) != np.sign(y))
    norms = np.linalg.norm(x / x.max(), axis=-1) * np.linalg.norm(y / x.max(), axis=-1)
    cosines = (x / x.max() * (y / x.max())).sum(axis=-1) / norms
    np.testing.assert_allclose(
        [found.cosine.cosine, found.cosine.mean], [cosines.min(), cosines.mean()], atol=rounding
    )


def test_of_unequal_steps_those_that_both_have_are_compared() -> None:
    found = lstm_cli.diff(quiet(steps=4), quiet(steps=6))
    assert not found.same
    assert found.first is None
    assert found.notes == ("A has 4 steps and B 6; the 4 that both have are compared",)


def test_what_cannot_be_compared_is_said() -> None:
    a = Traces({"one": quiet(), "two": quiet()}, {}, {})
    b = Traces({"two": quiet(), "three": quiet()}, {}, {})
    found = lstm_cli.diff(a, b)
    assert [cell.name for cell in found.cells] == ["two"]
    assert found.notes == ("only A has one", "only B has three")

    start: dict[str, Any] = {"initial_h": np.zeros((2, 3)), "initial_c": np.zeros((2, 3))}
    more: dict[str, Any] = {"initial_h": np.ones((2, 3)), "initial_c": np.zeros((2, 3))}
    found = lstm_cli.diff(quiet(**start), trace(h=np.zeros((2, 6, 3)), **more))
    assert found.notes == (
        "only A holds x, z_i, z_f, z_g, z_o, i, f, g, c, o, output",
        "initial_h differs",
    )


def test_cells_of_other_names_are_paired_by_position() -> None:
    other = changed(quiet(), "h", (0, 1, 1), 1.0)
    found = lstm_cli.diff(Traces({"a": quiet()}, {}, {}), Traces({"b": other}, {}, {}))
    assert (found.cells[0].name, found.cells[0].other, found.same) == ("a", "b", False)


@pytest.mark.parametrize(
    ("b", "message"),
    [
        (
            quiet(units=4),
            "x of A is 2 sequences of 3 units, of B 2 sequences of 4 units; only equal",
        ),
        (quiet(sequences=1), "x of A is 2 sequences of 3 units, of B 1 sequence of 3 units"),
        (Traces({"p": quiet(), "q": quiet()}, {}, {}), "A has one cell, B has p, q; choose one"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(b: Trace | Traces, message: str) -> None:
    with pytest.raises(InputError) as error:
        lstm_cli.diff(quiet(), b)
    assert message in str(error.value)


def test_another_word_first_changes_the_lowest_layer_where_it_stands() -> None:
    model = lstm_cli.load(SAMPLES / "bidirectional.keras")
    golden = load_npz(SAMPLES / "bidirectional.golden.npz")
    other = np.array(golden["x"])
    other[0, 2] = 9
    a, b = (lstm_cli.trace(model, x, tensors=TENSORS) for x in (golden["x"], other))

    found = lstm_cli.diff(a, b)

    for cell in found.cells[:2]:
        assert cell.first is not None
        assert cell.first.tensor == "x"
        places = [t.first for t in cell.tensors]
        assert [place and place[:2] for place in places] == [(0, 2)] * len(TENSORS[:-1])
    assert found.first is found.cells[0]
    assert lstm_cli.diff(a, a).same


def test_two_sentences_differ_by_what_the_framework_says() -> None:
    golden = load_npz(SAMPLES / "bidirectional.golden.npz")
    model = lstm_cli.load(SAMPLES / "bidirectional.keras")
    a, b = (lstm_cli.trace(model, golden["x"][k : k + 1], layer="top") for k in (0, 3))
    real = golden["mask"][0] | golden["mask"][3]

    found = lstm_cli.diff(a, b)

    for number, part in enumerate(("forward", "backward")):
        gap = np.abs(np.subtract(*golden[f"top/{part}/c"][[0, 3]], dtype=np.float64))[real]
        figures = tensor(found, "c", number).figures
        # The two sides are float32 sums in another order than the framework's.
        np.testing.assert_allclose(
            [figures.maximum, figures.mean, figures.median],
            [gap.max(), gap.mean(), np.median(gap)],
            atol=2e-5,
        )


def test_quantiles_of_many_values_come_from_a_histogram(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiles, "EXACT_VALUES", 5000)
    values = np.abs(np.random.default_rng(0).normal(size=20000)) ** 5
    collected = MagnitudeQuantiles()
    for piece in np.split(values, 8):
        collected.add(piece)

    found = [collected.quantile(q) for q in (0.01, 0.5, 0.99)]

    expected = [np.quantile(values, q, method="inverted_cdf") for q in (0.01, 0.5, 0.99)]
    np.testing.assert_allclose(found, expected, rtol=1 / 2048)


def test_quantiles_of_few_values_are_exact() -> None:
    collected = MagnitudeQuantiles()
    assert collected.quantile(0.5) == 0
    collected.add(np.array([[3.0, 1.0], [2.0, 10.0]]))
    assert (collected.quantile(0.5), collected.quantile(0.99)) == (2.5, 10.0)


def test_what_is_not_counted_leaves_no_trace() -> None:
    sums = DifferenceSums()
    counted = np.array([True, False])
    gap = sums.add(np.array([1.0, 5.0]), np.array([1.5, np.nan]), counted)
    np.testing.assert_array_equal(gap, [0.5, 0.0])
    assert (sums.figures().values, sums.figures().scale, sums.figures().nonfinite) == (1, 1.0, 0)
