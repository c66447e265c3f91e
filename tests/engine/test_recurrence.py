"""The LSTM cell over a sequence: every tensor, in every direction, masked or cut into pieces.

The oracle is ``by_hand``: plain Python floats and ``math``, one unit of one sequence at a time.
"""

from __future__ import annotations

import json
import math
import os
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_cli.engine.recurrence import BLOCK, CellRunner, Steps
from lstm_cli.errors import UnsupportedFeatureError
from lstm_cli.model import Activation, Array, LstmCell

TENSORS = ("h", "c", "i", "f", "g", "o", "z_i", "z_f", "z_g", "z_o")
HARD_2 = Activation("hard_sigmoid", 0.2, 0.5)
HARD_3 = Activation("hard_sigmoid", 1 / 6, 0.5)
# Of the largest value, at least 1. Weights here are of order 1, so that a rounding grows a little
# from step to step, but gates below 1 damp it again.
TOLERANCE = {"float64": 1e-13, "float32": 3e-5}

Function = Callable[[Sequence[float]], list[float]]


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def each(function: Callable[[float], float]) -> Function:
    return lambda zs: [function(z) for z in zs]


def softmax(zs: Sequence[float]) -> list[float]:
    total = sum(math.exp(z) for z in zs)
    return [math.exp(z) / total for z in zs]


FUNCTIONS: dict[Activation, Function] = {
    Activation("sigmoid"): each(sigmoid),
    Activation("tanh"): each(math.tanh),
    Activation("linear"): each(lambda z: z),
    Activation("relu"): each(lambda z: max(z, 0.0)),
    Activation("softsign"): each(lambda z: z / (1 + abs(z))),
    Activation("softmax"): softmax,
    HARD_2: each(lambda z: min(max(0.2 * z + 0.5, 0.0), 1.0)),
    HARD_3: each(lambda z: min(max(z / 6 + 0.5, 0.0), 1.0)),
}


def by_hand(
    cell: LstmCell,
    x: Array,
    state: tuple[Array, Array],
    mask: Array | None = None,
    reverse: bool = False,
) -> dict[str, Array]:
    """All tensors, (B, T, U): only the real steps are run; masked ones repeat h and c."""
    units = range(cell.units)
    act = FUNCTIONS[cell.activation]
    gate = FUNCTIONS[cell.recurrent_activation]
    kernel, recurrent = cell.kernel.tolist(), cell.recurrent_kernel.tolist()
    bias = [0.0] * 4 * cell.units if cell.bias is None else cell.bias.tolist()
    result = {name: np.full((*x.shape[:2], cell.units), np.nan) for name in TENSORS}
    for b in range(x.shape[0]):
        h, c = state[0][b].tolist(), state[1][b].tolist()
        for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
            if mask is None or mask[b, t]:
                now = x[b, t].tolist()
                z = [
                    sum(v * kernel[k][column] for k, v in enumerate(now))
                    + sum(v * recurrent[k][column] for k, v in enumerate(h))
                    + bias[column]
                    for column in range(4 * cell.units)
                ]
                z_i, z_f, z_g, z_o = (z[k * cell.units : (k + 1) * cell.units] for k in range(4))
                i, f, g, o = gate(z_i), gate(z_f), act(z_g), gate(z_o)
                c = [f[u] * c[u] + i[u] * g[u] for u in units]
                h = [o[u] * a for u, a in zip(units, act(c), strict=True)]
                for name, value in zip(TENSORS[2:], (i, f, g, o, z_i, z_f, z_g, z_o), strict=True):
                    result[name][b, t] = value
            result["h"][b, t], result["c"][b, t] = h, c
    return result


def random_cell(features: int, units: int, seed: int = 0, **settings: Any) -> LstmCell:
    rng = np.random.default_rng(seed)
    return LstmCell(
        rng.normal(size=(features, 4 * units)),
        rng.normal(size=(units, 4 * units)) / np.sqrt(units),
        rng.normal(size=4 * units),
        **settings,
    )


def random_input(
    batch: int, steps: int, cell: LstmCell, seed: int = 1
) -> tuple[Array, tuple[Array, Array]]:
    rng = np.random.default_rng(seed)
    shape = (batch, cell.units)
    x = rng.normal(size=(batch, steps, cell.input_size))
    return x, (rng.normal(size=shape), rng.normal(size=shape))


def run(cell: LstmCell, x: Array, state: Sequence[Array], dtype: str, **options: Any) -> Steps:
    return CellRunner(cell, np.dtype(dtype)).run(x, state, keep=TENSORS, **options)


def masks(batch: int, steps: int) -> dict[str, Array]:
    """Masks of many shapes; in the last, whole blocks and a whole sequence are masked."""
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, steps + 1, size=(batch, 1))
    clusters = np.ones((batch, steps), bool)
    clusters[:, steps // 3 : 2 * steps // 3] = False
    clusters[0] = False
    return {
        "scattered": rng.random((batch, steps)) < 0.6,
        "tails": np.arange(steps) < lengths,
        "heads": np.arange(steps) >= steps - lengths,
        "clusters": clusters,
    }


def assert_equals(steps: Steps, expected: dict[str, Array], dtype: str, *, reverse: bool) -> None:
    for name in TENSORS:
        size = max(1, np.nanmax(np.abs(expected[name]), initial=0))
        np.testing.assert_allclose(
            steps.arrays[name],
            expected[name],
            rtol=0,
            atol=TOLERANCE[dtype] * size,
            equal_nan=True,
            err_msg=name,
        )
    for name, final in zip(("h", "c"), steps.final, strict=True):
        np.testing.assert_array_equal(final, steps.arrays[name][:, 0 if reverse else -1])


def test_one_unit_worked_out_by_hand() -> None:
    # One feature, one unit; columns i f g o with a different weight in each role.
    cell = LstmCell(
        np.array([[0.5, -0.3, 0.8, 0.2]]),
        np.array([[0.1, 0.7, -0.6, 0.4]]),
        np.array([0.05, 1.0, -0.1, 0.3]),
    )
    h, c, x = 0.4, -0.9, 1.5
    z_i = 0.5 * x + 0.1 * h + 0.05
    z_f = -0.3 * x + 0.7 * h + 1.0
    z_g = 0.8 * x - 0.6 * h - 0.1
    z_o = 0.2 * x + 0.4 * h + 0.3
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), math.tanh(z_g), sigmoid(z_o)
    c_after = f * c + i * g
    h_after = o * math.tanh(c_after)

    steps = run(cell, np.array([[[x]]]), (np.array([[h]]), np.array([[c]])), "float64")

    expected = (h_after, c_after, i, f, g, o, z_i, z_f, z_g, z_o)
    for name, value in zip(TENSORS, expected, strict=True):
        # The same double arithmetic in another order: a rounding or two.
        np.testing.assert_allclose(steps.arrays[name], [[[value]]], rtol=0, atol=3e-16)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("steps", [1, 2, BLOCK, 2 * BLOCK + 9])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_tensor(batch: int, steps: int, reverse: bool, dtype: str) -> None:
    cell = random_cell(3, 2)
    x, state = random_input(batch, steps, cell)

    result = run(cell, x, state, dtype, reverse=reverse)

    assert_equals(result, by_hand(cell, x, state, reverse=reverse), dtype, reverse=reverse)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("kind", masks(1, 1))
@pytest.mark.parametrize(("batch", "steps"), [(1, 11), (5, 11), (1, 600), (4, 600)])
def test_masked_steps_carry_the_state(
    batch: int, steps: int, kind: str, reverse: bool, dtype: str
) -> None:
    cell = random_cell(2, 2)
    x, state = random_input(batch, steps, cell)
    mask = masks(batch, steps)[kind]
    expected = by_hand(cell, x, state, mask, reverse)
    x[~mask] = np.nan

    result = run(cell, x, state, dtype, mask=mask, reverse=reverse)

    assert_equals(result, expected, dtype, reverse=reverse)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e300])
def test_what_a_masked_step_holds_does_not_matter(batch: int, junk: float) -> None:
    cell = random_cell(2, 3)
    x, state = random_input(batch, 300, cell)
    mask = masks(batch, 300)["scattered"]
    x[~mask] = 0
    clean = run(cell, x, state, "float32", mask=mask)
    x[~mask] = junk

    result = run(cell, x, state, "float32", mask=mask)

    for name in TENSORS:
        np.testing.assert_array_equal(result.arrays[name], clean.arrays[name])


def test_a_mask_without_masked_steps_changes_nothing() -> None:
    cell = random_cell(2, 3)
    x, state = random_input(4, 20, cell)

    masked = run(cell, x, state, "float32", mask=np.ones((4, 20), bool))

    for name, array in run(cell, x, state, "float32").arrays.items():
        np.testing.assert_array_equal(masked.arrays[name], array)


@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("cut", [256, 512])  # the promise to users is in these numbers
def test_a_run_cut_at_a_block_has_the_same_bits(
    cut: int, batch: int, dtype: str, masked: bool
) -> None:
    cell = random_cell(7, 19)
    x, state = random_input(batch, 2 * BLOCK + 88, cell)
    mask = masks(batch, x.shape[1])["scattered"] if masked else None
    whole = run(cell, x, state, dtype, mask=mask)
    runner = CellRunner(cell, np.dtype(dtype))

    before = runner.run(
        x[:, :cut], state, mask=None if mask is None else mask[:, :cut], keep=TENSORS
    )
    after = runner.run(
        x[:, cut:], before.final, mask=None if mask is None else mask[:, cut:], keep=TENSORS
    )

    for name in TENSORS:
        joined = np.concatenate((before.arrays[name], after.arrays[name]), axis=1)
        np.testing.assert_array_equal(joined, whole.arrays[name], err_msg=name)
    for part, expected in zip(after.final, whole.final, strict=True):
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("gate", FUNCTIONS, ids=str)
@pytest.mark.parametrize("act", FUNCTIONS, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_activations(batch: int, act: Activation, gate: Activation) -> None:
    cell = random_cell(2, 3, activation=act, recurrent_activation=gate)
    x, state = random_input(batch, 4, cell)
    expected = by_hand(cell, x, state)

    result = run(cell, x, state, "float64")

    assert_equals(result, expected, "float64", reverse=False)


def test_a_cell_without_bias_has_a_bias_of_zero() -> None:
    cell = random_cell(2, 3, recurrent_activation=HARD_2)
    bare = LstmCell(cell.kernel, cell.recurrent_kernel, None, recurrent_activation=HARD_2)
    x, state = random_input(2, 5, cell)

    assert_equals(run(bare, x, state, "float64"), by_hand(bare, x, state), "float64", reverse=False)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_identities(batch: int, dtype: str) -> None:
    cell = random_cell(3, 8)
    x, state = random_input(batch, 300, cell)

    arrays = run(cell, x, state, dtype).arrays

    c_before = np.concatenate((state[1][:, np.newaxis].astype(dtype), arrays["c"][:, :-1]), axis=1)
    eps = float(np.finfo(dtype).eps)
    terms = np.abs(arrays["f"] * c_before) + np.abs(arrays["i"] * arrays["g"])
    error = np.abs(arrays["f"] * c_before + arrays["i"] * arrays["g"] - arrays["c"])
    assert (error <= 2 * eps * terms).all()  # at most a fused rounding apart
    np.testing.assert_allclose(
        arrays["h"], arrays["o"] * np.tanh(arrays["c"]), rtol=4 * eps, atol=eps
    )
    for name in "ifo":  # exp and its reciprocal: each a few units in the last place
        exact = 1 / (1 + np.exp(-arrays[f"z_{name}"].astype(np.float64)))
        np.testing.assert_allclose(arrays[name], exact, rtol=100 * eps)


@pytest.mark.parametrize("batch", [1, 3])
def test_tiny_gates_keep_their_relative_accuracy(batch: int) -> None:
    # i is driven by the input alone, from 1e-35 to 1; a form through tanh gives 0 below 1e-8.
    z = np.linspace(-80, 0, 33, dtype=np.float32)
    cell = LstmCell(np.array([[1.0, 0, 0, 0]]), np.zeros((1, 4)), None)
    zeros = np.zeros((batch, 1))
    x = np.broadcast_to(z[:, np.newaxis], (batch, 33, 1))

    steps = run(cell, x, (zeros, zeros), "float32")

    expected = [sigmoid(float(v)) for v in z]
    for row in steps.arrays["i"][:, :, 0]:
        np.testing.assert_allclose(row, expected, rtol=1e-6)  # exp in float32 and two roundings


def test_saturated_gates_give_no_warning() -> None:
    cell = random_cell(1, 2)
    x = np.array([[[1e6], [-1e6]]])
    zeros = np.zeros((1, 2))

    steps = run(cell, x, (zeros, zeros), "float32")

    # Every weight is above 1e-2, so that every pre-activation is beyond 1e4 in either direction.
    assert np.abs(cell.kernel).min() > 1e-2
    assert np.isin(steps.arrays["i"], [0, 1]).all()


def test_bad_numbers_stay_in_their_sequence() -> None:
    cell = random_cell(2, 3)
    x, state = random_input(3, 6, cell)
    clean = run(cell, x, state, "float64")
    x[1, 2] = np.nan

    result = run(cell, x, state, "float64")

    assert np.isnan(result.arrays["h"][1, 2:]).all()
    np.testing.assert_array_equal(result.arrays["h"][1, :2], clean.arrays["h"][1, :2])
    np.testing.assert_array_equal(result.arrays["h"][::2], clean.arrays["h"][::2])


def _with(cell: LstmCell, **changes: Any) -> LstmCell:
    names = ("kernel", "recurrent_kernel", "bias", "activation", "recurrent_activation")
    return LstmCell(**({name: getattr(cell, name) for name in names} | changes))


@pytest.mark.parametrize("batch", [1, 2])
def test_every_setting_changes_the_result(batch: int) -> None:
    cell = random_cell(2, 3)
    x, state = random_input(batch, 5, cell)
    swapped = np.concatenate(np.split(cell.kernel, 4, axis=1)[::-1], axis=1)
    cells = {
        "as it is": cell,
        "no bias": _with(cell, bias=None),
        "activation": _with(cell, activation=Activation("relu")),
        "gate": _with(cell, recurrent_activation=HARD_2),
        "slope": _with(cell, recurrent_activation=HARD_3),
        "gate order": _with(cell, kernel=swapped),
    }

    results = {name: run(c, x, state, "float64").arrays["h"] for name, c in cells.items()}
    results["reverse"] = run(cell, x, state, "float64", reverse=True).arrays["h"]
    zeros = np.zeros_like(state)
    results["state"] = run(cell, x, tuple(zeros), "float64").arrays["h"]

    names = list(results)
    for k, name in enumerate(names):
        for other in names[k + 1 :]:
            assert np.abs(results[name] - results[other]).max() > 1e-3, f"{name} = {other}"


def test_one_sequence_of_a_batch_equals_the_sequence_alone() -> None:
    cell = random_cell(3, 4)
    x, state = random_input(3, 40, cell)
    runner = CellRunner(cell, np.dtype("float64"))

    together = runner.run(x, state, keep=TENSORS)

    for b in range(3):
        alone = runner.run(x[b : b + 1], [s[b : b + 1] for s in state], keep=TENSORS)
        for name in TENSORS:  # matrix and vector products round differently
            np.testing.assert_allclose(
                alone.arrays[name][0], together.arrays[name][b], rtol=0, atol=1e-13
            )


def test_any_strides_and_dtype_of_input_do() -> None:
    cell = random_cell(3, 4)
    wide = np.random.default_rng(3).integers(-3, 4, size=(9, 2, 6))
    x = wide.transpose(1, 0, 2)[:, ::-2, ::2]  # (2, 5, 3), integers, time backwards
    state = (np.zeros((2, 4)), np.asfortranarray(np.ones((2, 4))))

    result = run(cell, x, state, "float64")

    assert_equals(result, by_hand(cell, x, state), "float64", reverse=False)


def test_nothing_given_is_changed_and_nothing_returned_is_reused() -> None:
    cell = random_cell(2, 3)
    for batch in (1, 2):
        x, state = random_input(batch, 8, cell)
        given = [array.copy() for array in (x, *state)]
        runner = CellRunner(cell, np.dtype("float64"))

        first = runner.run(x, state, keep=TENSORS)
        kept = {name: array.copy() for name, array in first.arrays.items()}
        final = [part.copy() for part in first.final]
        runner.run(x + 1, first.final, keep=TENSORS)

        for array, expected in zip((x, *state), given, strict=True):
            np.testing.assert_array_equal(array, expected)
        for name in TENSORS:
            np.testing.assert_array_equal(first.arrays[name], kept[name])
            assert first.arrays[name].flags.c_contiguous
        for part, expected in zip(first.final, final, strict=True):
            np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize(("batch", "steps"), [(2, 0), (0, 3), (0, 0)])
def test_empty_sequences_keep_the_state(batch: int, steps: int) -> None:
    cell = random_cell(2, 3)
    x, state = random_input(batch, steps, cell)

    result = run(cell, x, state, "float32", mask=np.ones((batch, steps), bool))

    for name in TENSORS:
        assert result.arrays[name].shape == (batch, steps, 3)
    for part, expected in zip(result.final, state, strict=True):
        np.testing.assert_array_equal(part, expected.astype(np.float32))


@pytest.mark.parametrize("batch", [1, 4])
def test_only_what_is_kept_has_full_length(batch: int) -> None:
    cell = random_cell(1, 16)
    x, state = random_input(batch, 60_000 // batch, cell)
    mask = np.arange(x.shape[1]) % 7 != np.arange(batch)[:, np.newaxis]
    runner = CellRunner(cell, np.dtype("float32"))
    runner.run(x[:, :300], state, keep=TENSORS)
    one = x.shape[0] * x.shape[1] * 16 * 4  # bytes of one tensor

    for keep, tensors in ((("h",), 1), (("i", "c"), 2), (("z_f",), 1)):
        tracemalloc.start()
        runner.run(x, state, mask=mask, keep=keep)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert tensors * one < peak < (tensors + 0.5) * one


def test_unknown_tensors_are_refused() -> None:
    cell = random_cell(2, 3)
    x, state = random_input(1, 2, cell)

    with pytest.raises(ValueError, match="the LSTM cell keeps no cell, z_h"):
        CellRunner(cell, np.dtype("float32")).run(x, state, keep=("h", "z_h", "cell"))


def test_unknown_activations_are_refused_before_anything_is_run() -> None:
    cell = random_cell(2, 3, activation=Activation("snake"))

    with pytest.raises(UnsupportedFeatureError, match="'snake' is not computed"):
        CellRunner(cell, np.dtype("float32"))


# Per-step numbers of Keras itself, for layers that other projects test with. They are not part of
# this repository; LSTM_GOLDEN names the folder that holds them.
PEERS = (
    Path(os.environ.get("LSTM_GOLDEN") or Path(__file__).parents[2].parent / "shared" / "golden")
    / "peers"
)
CASES = (
    *("keras_lstm_" + name for name in ("default", "go_backwards", "unroll", "use_bias_false")),
    *("keras_lstm_mask_" + name for name in ("go_backwards", "return_sequences", "unroll")),
    *("keras_lstm_" + name for name in ("initial_state", "initial_state_backwards")),
    *("keras_lstm_" + name for name in ("stateful_second_call", "no_unit_forget_bias")),
    *("keras_bidir_" + name for name in ("initial_state", "return_state")),
    *(f"kerasjs_lstm_{number}" for number in range(9)),
)


@pytest.mark.parametrize("case", CASES)
def test_every_step_of_keras(case: str) -> None:
    folder = PEERS / f"peer_{case}"
    if not folder.is_dir():
        pytest.skip(f"needs {folder} (LSTM_GOLDEN names the golden folder)")
    settings = json.loads((folder / "case.json").read_text())["layers"][0]
    expected = np.load(folder / "expected.npz")
    x = expected["L0.x"]
    mask = expected["L0.mask"].astype(bool) if "L0.mask" in expected else None

    for direction, weights in zip(settings["directions"], _weights(folder), strict=True):
        wanted = f"L0.{direction}."
        zeros = np.zeros((len(x), settings["units"]))
        state = [expected[wanted + n] if wanted + n in expected else zeros for n in ("h0", "c0")]
        gate = settings["recurrent_activation"]
        cell = LstmCell(
            *weights,
            Activation(settings["activation"]),
            HARD_2 if gate == "hard_sigmoid" else Activation(gate),  # these are of Keras 2.3
        )
        steps = CellRunner(cell, np.dtype("float32")).run(
            x, state, mask=mask, reverse=direction == "bwd", keep=("h", "c", "i", "f", "g", "o")
        )
        names = {"h": "h_seq", "c": "c_seq", "i": "i", "f": "f", "g": "g", "o": "o"}
        for ours, theirs in names.items():  # float32 on both sides: the folder's own tolerance
            np.testing.assert_allclose(
                steps.arrays[ours], expected[wanted + theirs], rtol=0, atol=1e-5, err_msg=ours
            )
        np.testing.assert_allclose(steps.final[0], expected[wanted + "h_last"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(steps.final[1], expected[wanted + "c_last"], rtol=0, atol=1e-5)


def _weights(folder: Path) -> list[tuple[Array, Array, Array | None]]:
    """Kernel, recurrent kernel and bias of each cell in a Keras HDF5 file; columns i f g o."""
    import h5py

    path = next(p for p in sorted(folder.glob("*.h5")) if not p.name.endswith(".weights.h5"))
    arrays: list[Array] = []
    with h5py.File(path) as file:
        groups = file["model_weights"]
        for layer in groups.attrs["layer_names"]:
            group = groups[layer]
            arrays += [group[name][()] for name in group.attrs["weight_names"]]
    if len(arrays) == 2:
        return [(arrays[0], arrays[1], None)]
    return [(arrays[k], arrays[k + 1], arrays[k + 2]) for k in range(0, len(arrays), 3)]
