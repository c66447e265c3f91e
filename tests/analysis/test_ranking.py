"""Units ordered by how they follow a label: against figures worked out by hand or by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Array, load_npz

import lstm_cli
from lstm_cli import InputError, Trace, Traces, UsageError
from lstm_cli.analysis.labelled_steps import LabelledSteps
from lstm_cli.analysis.lagged import correlations
from lstm_cli.analysis.ranking import Association, Ranking

ROUNDING = 1e-12
"""Sums of a few hundred float64 numbers."""


def trace(h: Array, direction: str = "forward", **more: Any) -> Trace:
    return Trace({"h": np.asarray(h, np.float64), **more}, {"direction": direction})


def of(found: Ranking, unit: int, tensor: str = "h", cell: str = "") -> Association:
    return next(r for r in found.rows if (r.cell, r.tensor, r.unit) == (cell, tensor, unit))


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


# -- numbers


def test_the_correlation_is_pearson_s() -> None:
    h, label = noise(1, 200, 3), noise(200, seed=1)
    h[0, :, 1] += 2 * label

    found = lstm_cli.rank(trace(h), label, tensors=("h",), longest_lag=0)

    expected = [np.corrcoef(h[0, :, unit], label)[0, 1] for unit in range(3)]
    np.testing.assert_allclose(
        [of(found, unit).figures["r_0"] for unit in range(3)], expected, atol=ROUNDING
    )
    assert [row.unit for row in found.rows] == list(np.argsort(-np.abs(expected)))
    assert (found.kind, found.steps) == ("number", 200)


@pytest.mark.parametrize("lag", [3, -4])
def test_the_best_lag_is_how_far_the_unit_is_behind(lag: int) -> None:
    label = noise(60)
    h = np.roll(label, lag)[None, :, None] * -2.0 + 1.0

    figures = of(lstm_cli.rank(trace(h), label, tensors=("h",), longest_lag=5), 0).figures

    assert figures["lag"] == lag
    assert figures["n"] == 60 - abs(lag)
    # Without the steps that were rolled around, unit and label are the same but for scale.
    np.testing.assert_allclose([figures["r"], figures["rho"]], [-1.0, -1.0], atol=ROUNDING)
    np.testing.assert_allclose(figures["r_0"], np.corrcoef(h[0, :, 0], label)[0, 1], atol=ROUNDING)


def test_no_pair_of_steps_spans_two_sequences() -> None:
    h, label = noise(3, 8, 1), noise(3, 8, seed=1)

    figures = of(lstm_cli.rank(trace(h), label, tensors=("h",), longest_lag=2), 0).figures

    lag = int(figures["lag"])
    unit = h[:, max(0, lag) : 8 + min(0, lag), 0].ravel()
    own = label[:, max(0, -lag) : 8 - max(0, lag)].ravel()
    np.testing.assert_allclose(figures["r"], np.corrcoef(unit, own)[0, 1], atol=ROUNDING)
    assert figures["n"] == 3 * (8 - abs(lag))


@pytest.mark.parametrize("kind", ["mask", "lengths", "missing label"])
def test_steps_that_are_not_real_do_not_count(kind: str) -> None:
    h, label = noise(2, 10, 2), noise(2, 10, seed=1)
    real = np.ones((2, 10), bool)
    real[1, 6:] = False
    more: dict[str, Any] = {"mask": {"mask": real}, "lengths": {"lengths": np.array([10, 6])}}
    if kind == "missing label":
        label = np.where(real, label, np.nan)

    found = lstm_cli.rank(trace(h, **more.get(kind, {})), label, tensors=("h",), longest_lag=0)

    expected = np.corrcoef(h[real][:, 1], label[real])[0, 1]
    np.testing.assert_allclose(of(found, 1).figures["r_0"], expected, atol=ROUNDING)
    assert found.steps == 16


def test_spearman_s_rho_shares_the_ranks_of_equal_values() -> None:
    """Ranks 1 2.5 2.5 4 and 1 2 3.5 3.5: covariance 4 - 0, by hand ρ = 4 / 4.5."""
    h, label = np.array([1.0, 3.0, 3.0, 9.0]), np.array([-2.0, 0.0, 5.0, 5.0])

    figures = of(lstm_cli.rank(trace(h[None, :, None]), label, tensors=("h",), longest_lag=0), 0)

    a, b = np.array([-1.5, 0, 0, 1.5]), np.array([-1.5, -0.5, 1, 1])
    rho = (a @ b) / np.sqrt((a @ a) * (b @ b))  # 3.75 / 4.5
    np.testing.assert_allclose(figures.figures["rho"], rho, atol=ROUNDING)
    np.testing.assert_allclose(rho, 3.75 / 4.5)


def test_the_effective_number_of_pairs() -> None:
    h, label = noise(1, 300, 1), noise(300, seed=1)
    h[0, :, 0] = np.convolve(h[0, :, 0], [1, 1, 1], "same")
    label = np.convolve(label, [1, 1], "same")

    figures = of(lstm_cli.rank(trace(h), label, tensors=("h",), longest_lag=0), 0).figures

    own = [np.corrcoef(v[1:], v[:-1])[0, 1] for v in (h[0, :, 0], label)]
    shared = own[0] * own[1]
    np.testing.assert_allclose(
        figures["effective_n"], 300 * (1 - shared) / (1 + shared), rtol=ROUNDING
    )


def test_a_constant_unit_comes_last() -> None:
    h = noise(1, 50, 3)
    h[..., 0] = 0.3  # sums of it leave a rounding that is no spread
    found = lstm_cli.rank(trace(h), noise(50, seed=1), tensors=("h",), longest_lag=0)
    assert found.rows[-1].unit == 0
    assert np.isnan(found.rows[-1].figures["r"])


def test_a_lag_needs_a_label_at_the_label_s_step_alone() -> None:
    """A label every fifth step; the unit says it two steps later, where there is none."""
    signal = noise(100, seed=3)
    h = np.roll(signal, 2)[None, :, None]
    label = np.where(np.arange(100) % 5 == 0, signal, np.nan)

    figures = of(lstm_cli.rank(trace(h), label, tensors=("h",), longest_lag=5), 0).figures

    assert (figures["lag"], figures["n"]) == (2, 20)
    np.testing.assert_allclose([figures["r"], figures["rho"]], 1, rtol=1e-12)


def test_what_is_constant_but_for_a_step_that_a_lag_leaves_out_has_no_correlation() -> None:
    h = np.tile(np.linspace(0.1, 3, 30), (50, 1))  # sums of these leave roundings
    h[0] = 7.0
    series = LabelledSteps(h, noise(50, seed=1), np.ones(50, bool))
    ahead, _, behind = correlations(series, 1)
    assert np.isnan(behind).all()
    assert np.isfinite(ahead).all()


def test_large_offsets_do_not_cancel() -> None:
    h, label = noise(1, 100, 1), noise(100, seed=1)
    found = lstm_cli.rank(trace(h + 1e6), label + 1e6, tensors=("h",), longest_lag=0)
    # A value near 1e6 is rounded at 1e-10.
    expected = np.corrcoef(h[0, :, 0], label)[0, 1]
    np.testing.assert_allclose(of(found, 0).figures["r"], expected, atol=1e-9)


def test_a_long_series_is_summed_in_blocks() -> None:
    label = noise(150_000)
    h = np.stack([noise(150_000, seed=1), np.roll(label, 1)], axis=1)[None]
    figures = of(lstm_cli.rank(trace(h), label, tensors=("h",), longest_lag=1), 1).figures
    assert figures["lag"] == 1
    np.testing.assert_allclose(figures["r"], 1.0, atol=1e-10)


# -- yes or no


def test_yes_or_no_worked_out_by_hand() -> None:
    """Values 1 2 | 2 4: of the pairs (yes, no) 2:1 wins, 2:2 ties, 4 wins twice: 3.5 of 4."""
    h = np.array([1.0, 2.0, 2.0, 4.0])
    found = lstm_cli.rank(trace(h[None, :, None]), np.array([0, 0, 1, 1]), tensors=("h",))

    figures = of(found, 0).figures
    pooled = np.sqrt((0.5 + 2.0) / 2)
    np.testing.assert_allclose(figures["auc"], 0.875, rtol=ROUNDING)
    np.testing.assert_allclose(figures["d"], (3.0 - 1.5) / pooled, rtol=ROUNDING)
    # >= 1.5 and >= 3 are both right in three of four cases; the first is taken.
    assert (figures["accuracy"], figures["threshold"], figures["above"]) == (0.75, 1.5, 1.0)
    assert of(found, 0).means == {"0": 1.5, "1": 3.0}
    assert (found.kind, found.labels) == ("yes/no", {"0": 2, "1": 2})


def test_a_unit_that_falls_with_the_label_is_as_good() -> None:
    rising = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    h = np.stack([rising, -rising, np.array([1.0, 0, 1, 0, 1])], axis=1)
    words = np.array(["no", "no", "no", "yes", "yes"])

    found = lstm_cli.rank(trace(h[None]), words, tensors=("h",))

    assert [of(found, unit).figures["auc"] for unit in (0, 1)] == [1.0, 0.0]
    assert of(found, 1).figures["above"] == 0
    assert (of(found, 1).figures["accuracy"], of(found, 1).figures["threshold"]) == (1.0, -2.5)
    assert found.rows[-1].unit == 2
    assert list(found.labels) == ["no", "yes"]


def test_auc_equals_its_definition_over_all_pairs() -> None:
    values, yes = np.round(noise(80), 1), noise(80, seed=1) > 0.3
    found = lstm_cli.rank(trace(values[None, :, None]), yes, tensors=("h",))
    pairs = values[yes][:, None] - values[~yes][None]
    expected = ((pairs > 0).sum() + (pairs == 0).sum() / 2) / pairs.size
    np.testing.assert_allclose(of(found, 0).figures["auc"], expected, rtol=ROUNDING)


# -- classes


def test_classes_worked_out_by_hand() -> None:
    """Class means 1, 4, 2: distances 3, 1, 2, whose sum is 6."""
    h = np.array([[0.0, 2.0, 4.0, 4.0, 2.0], [1.0, 1, 1, 1, 1]]).T
    classes = np.array(["a", "a", "b", "b", "c"])

    found = lstm_cli.rank(trace(h[None]), classes, tensors=("h",))

    row = of(found, 0)
    assert found.kind == "class"
    assert row.means == {"a": 1.0, "b": 4.0, "c": 2.0}
    assert row.figures["score"] == 6.0
    assert row.class_scores == {"a": 4.0, "b": 5.0, "c": 3.0}
    assert [r.unit for r in found.rows] == [0, 1]


def test_steps_without_a_label_belong_to_no_class() -> None:
    h = np.array([0.0, 2.0, 100.0, 4.0])[None, :, None]
    found = lstm_cli.rank(trace(h), np.array(["a", "a", "", "b"]), kind="class", tensors=("h",))
    assert of(found, 0).means == {"a": 1.0, "b": 4.0}
    assert (found.labels, found.steps) == ({"a": 2, "b": 1}, 3)


def test_a_class_of_masked_steps_alone_takes_no_part() -> None:
    """Class means 1 and 4 are 3 apart, whatever stands where nothing was read."""
    h = np.array([0.0, 2.0, 4.0, 9.0, 9.0])[None, :, None]
    mask = np.array([[True, True, True, False, False]])
    classes = np.array(["a", "a", "b", "pad", "pad"])
    found = lstm_cli.rank(trace(h, mask=mask), classes, tensors=("h",))
    assert (found.labels, found.steps) == ({"a": 2, "b": 1, "pad": 0}, 3)
    row = of(found, 0)
    assert (row.means["a"], row.means["b"], row.figures["score"]) == (1.0, 4.0, 3.0)
    assert np.isnan(row.means["pad"])
    assert row.class_scores == {"a": 3.0, "b": 3.0, "pad": 0.0}


# -- labels of sequences, several runs, cells


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_label_a_sequence_is_compared_with_the_last_step_read(direction: str) -> None:
    h = noise(5, 7, 2)
    mask = np.ones((5, 7), bool)
    mask[:, 0] = False
    mask[2, 4:] = False
    last = [6, 6, 3, 6, 6] if direction == "forward" else [1] * 5
    label = np.array([0.5, 1.5, -2.0, 3.0, 0.0])

    found = lstm_cli.rank(trace(h, direction, mask=mask), label, tensors=("h",))

    expected = np.corrcoef(h[np.arange(5), last, 1], label)[0, 1]
    np.testing.assert_allclose(of(found, 1).figures["r"], expected, atol=ROUNDING)
    assert (found.steps, found.longest_lag) == (5, 0)


def test_several_runs_count_together() -> None:
    parts = [noise(1, steps, 2, seed=steps) for steps in (5, 9)]
    labels = [noise(steps, seed=steps + 50) for steps in (5, 9)]

    found = lstm_cli.rank([trace(h) for h in parts], labels, tensors=("h",), longest_lag=0)

    together = np.concatenate(parts, axis=1)[0, :, 1], np.concatenate(labels)
    np.testing.assert_allclose(
        of(found, 1).figures["r"], np.corrcoef(*together)[0, 1], atol=ROUNDING
    )


def test_cells_and_tensors_are_ranked_together() -> None:
    label = noise(40)
    h = noise(1, 40, 2, seed=1)
    follows = np.stack([noise(40, seed=2), label], axis=1)[None]
    cells = {
        "forward": Trace({"h": h, "f": h}, {}),
        "backward": Trace({"h": h, "f": follows}, {}),
    }
    best = lstm_cli.rank(Traces(cells, {}, {}), label, tensors=("h", "f"), longest_lag=0).rows[0]
    assert (best.cell, best.tensor, best.unit) == ("backward", "f", 1)
    np.testing.assert_allclose(best.figures["r"], 1.0, atol=ROUNDING)


def test_the_depth_of_brackets_is_counted_by_the_framework_s_own_cells() -> None:
    golden = load_npz(SAMPLES / "brackets.golden.npz")
    depth = np.loadtxt(SAMPLES / "brackets.depth.csv", skiprows=1)
    model = lstm_cli.load(SAMPLES / "brackets.keras")

    found = lstm_cli.rank(lstm_cli.trace(model, golden["x"]), depth, longest_lag=0)

    expected = [np.corrcoef(golden["c"][0, :, k], depth)[0, 1] for k in range(8)]
    # r hardly moves with c, which is equal to the framework's to 2e-6.
    np.testing.assert_allclose(
        [of(found, k, "c").figures["r"] for k in range(8)], expected, atol=1e-6
    )
    assert {(row.tensor, row.unit) for row in found.rows[:3]} == {("c", 0), ("c", 4), ("c", 7)}


# -- refusals


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.zeros(5), "expected a label for each step, (6,); found (5,)"),
        (np.zeros((2, 6)), "found (2, 6)"),
        (np.ones(6), "every step says '1.0'; expected at least two values"),
        (np.full(6, np.nan), "every step says nothing"),
    ],
)
def test_labels_that_do_not_fit(label: Array, message: str) -> None:
    with pytest.raises(InputError) as error:
        lstm_cli.rank(trace(noise(1, 6, 2)), label, tensors=("h",))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("label", "options", "message"),
    [
        (np.arange(6), {"tensors": ("final_h",)}, "'final_h' has no units and steps"),
        (np.arange(6), {"kind": "yes/no"}, "yes/no has two values, this has 6"),
        (np.array(list("aabbab")), {"kind": "number"}, "'a' is no number"),
    ],
)
def test_options_that_do_not_go_with_the_labels(
    label: Array, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        lstm_cli.rank(trace(noise(1, 6, 2)), label, **{"tensors": ("h",), **options})
    assert message in str(error.value)


def test_too_many_classes_are_refused() -> None:
    words = np.array([f"word {k}" for k in range(300)])
    with pytest.raises(InputError, match="300 classes, more than 200"):
        lstm_cli.rank(trace(noise(1, 300, 1)), words, tensors=("h",))


def test_a_trace_without_the_tensor_is_refused() -> None:
    with pytest.raises(InputError, match="lacks f"):
        lstm_cli.rank(trace(noise(1, 6, 2)), np.arange(6), tensors=("f",))
