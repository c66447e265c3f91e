"""An output of the Dense layer behind an LSTM as a sum over steps: by hand, and on runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Array
from made_models import HARD, cell, series

import lstm_cli
from lstm_cli import Trace
from lstm_cli.analysis import readout_split
from lstm_cli.analysis.readout_split import ReadoutSplit
from lstm_cli.errors import InputError, NoSuchNameError, UsageError
from lstm_cli.model import (
    Activation,
    Call,
    Constant,
    Direction,
    Input,
    Layer,
    LstmCell,
    Model,
    Operation,
    Output,
    Recurrent,
    Reference,
)

K = 2
SIGMOID = Activation("sigmoid")
MASK = np.random.default_rng(1).uniform(size=(3, 30)) < 0.7
MASK[:, [0, 29]] = True


def operation(name: str, address: str = "", **settings: Any) -> Layer:
    return Layer(address or name, name, Operation(name, settings), dtype="float64")


def dense(rows: int, address: str = "out", outputs: int = K, **settings: Any) -> Layer:
    chance = np.random.default_rng(5)
    weights = {"kernel": chance.normal(size=(rows, outputs)), "bias": chance.normal(size=outputs)}
    return Layer(address, "Dense", Operation("dense", settings, weights), dtype="float64")


def chain(recurrent: Recurrent, *behind: Layer) -> Model:
    """x, a recurrent layer called ``lstm``, then the others one after another."""
    lstm = Layer("lstm", "LSTM", recurrent, dtype="float64")
    layers = (operation("identity", "x"), lstm, *behind)
    calls = tuple(
        Call(layer, arguments=(Reference(k - 1),) if k else ()) for k, layer in enumerate(layers)
    )
    inputs = (Input("x", (None, None, recurrent.input_size), "float64", 0),)
    outputs = (Output("y", Reference(len(calls) - 1)),)
    return Model("made", "in memory", "a test", layers, calls, inputs, outputs)


def one(which: LstmCell, backward: bool = False, **more: Any) -> Recurrent:
    return Recurrent((Direction("", (which,), backward),), **{"return_sequences": True, **more})


def both(merge: Any, sequences: bool) -> Recurrent:
    ways = (Direction("forward", (cell(1),)), Direction("backward", (cell(2),), True))
    return Recurrent(ways, merge, return_sequences=sequences)


def readout(trace: Any, number: int | str, model: Model, **more: Any) -> ReadoutSplit:
    found = lstm_cli.why(trace, readout=number, model=model, **more)
    assert isinstance(found, ReadoutSplit)
    return found


def test_by_hand() -> None:
    """c0 = 0.5; c = 1, 0.3; f = 0.5, 0.8; o = 0.6 at the end; weight 2, bias -1."""
    single = LstmCell(np.zeros((1, 4)), np.zeros((1, 4)), None)
    layer = Layer(
        "out", "Dense", Operation("dense", {}, {"kernel": np.array([[2.0]]), "bias": -np.ones(1)})
    )
    arrays = {"f": [0.5, 0.8], "c": [1.0, 0.3], "o": [0.1, 0.6]}
    tensors = {name: np.reshape(values, (1, 2, 1)) for name, values in arrays.items()}
    states = {"initial_c": np.full((1, 1), 0.5), "initial_h": np.zeros((1, 1))}
    ends = {"final_c": np.full((1, 1), 0.3), "final_h": np.zeros((1, 1))}
    h = tensors["o"] * np.tanh(tensors["c"])
    trace = Trace({**tensors, **states, **ends, "h": h}, {"layer": "lstm"})

    found = readout(trace, 0, chain(one(single), layer))

    tanh = np.tanh
    np.testing.assert_array_equal(found.steps, [1, 0])
    expected = 1.2 * np.array([tanh(0.3) - tanh(1.0), tanh(1.0) - tanh(0.5)])
    np.testing.assert_allclose(found.contributions, expected, rtol=1e-14)
    expected = 1.2 * np.array([tanh(0.3) - tanh(0.8), tanh(0.8) - tanh(0.2)])
    np.testing.assert_allclose(found.surviving, expected, rtol=1e-14)
    np.testing.assert_allclose(found.initial, 1.2 * tanh(0.5), rtol=1e-14)
    np.testing.assert_allclose(found.surviving_initial, 1.2 * tanh(0.2), rtol=1e-14)
    np.testing.assert_allclose(found.value, 1.2 * tanh(0.3) - 1, rtol=1e-14)
    assert (found.bias, found.elsewhere, found.step, found.row) == (-1, 0, 1, 0)
    np.testing.assert_array_equal(found.largest(), [1, 0])  # |0.56| and then |-0.45|
    np.testing.assert_array_equal(found.largest(1), [1])
    np.testing.assert_allclose([found.residual, found.surviving_residual], 0, atol=1e-15)

    far = [operation("identity", f"same_{k}") for k in range(1500)]
    again = readout(trace, 0, chain(one(single), *far, layer))
    np.testing.assert_array_equal(again.contributions, found.contributions)


def term_by_term(trace: Trace, weights: Array, step: int, b: int) -> tuple[Array, Array]:
    """For every step, and the initial state last, what it put in: as the definitions have it."""
    backward = trace.meta["direction"] == "backward"
    real = trace.arrays.get("mask", np.ones(trace.c.shape[:2], bool))[b]
    order = [
        t for t in range(trace.c.shape[1]) if real[t] and (t >= step if backward else t <= step)
    ]
    order = order[::-1] if backward else order
    states = [trace.initial_c[b], *(trace.c[b, t] for t in order)]
    last = trace.o[b, order[-1]] * weights
    found = np.zeros((2, trace.c.shape[1] + 1))
    found[0, -1] = last @ np.tanh(states[0])
    found[1, -1] = last @ np.tanh(np.prod([trace.f[b, t] for t in order], axis=0) * states[0])
    for number, t in enumerate(order):
        after = np.prod([trace.f[b, k] for k in order[number + 1 :]], axis=0)
        found[0, t] = last @ (np.tanh(states[number + 1]) - np.tanh(states[number]))
        gone = after * trace.f[b, t] * states[number]
        found[1, t] = last @ (np.tanh(after * states[number + 1]) - np.tanh(gone))
    return found[0], found[1]


@pytest.mark.parametrize("block", [4, 4096])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_every_part_and_the_sums(
    monkeypatch: pytest.MonkeyPatch, backward: bool, masked: bool, block: int
) -> None:
    monkeypatch.setattr(readout_split, "BLOCK_STEPS", block)
    model = chain(one(cell(recurrent_activation=HARD), backward), dense(5, activation=SIGMOID))
    x, mask = series(3, 30), MASK if masked else None
    state = {"h": np.full((3, 5), 0.3), "c": np.full((3, 5), -0.8)}
    trace = lstm_cli.trace(model, x, mask=mask, initial_state=state)
    y = lstm_cli.run(model, x, mask=mask, initial_state=state)
    assert isinstance(trace, Trace)
    kernel = dense(5).operation.weights["kernel"]  # type: ignore[union-attr]
    for b, step in ((0, 29), (2, 11), (1, 0)):
        found = readout(trace, 1, model, step=step, sequence=b)
        expected = term_by_term(trace, kernel[:, 1], step, b)
        parts = np.zeros((2, 30))
        parts[:, found.steps] = found.contributions, found.surviving
        # float64, sums of up to 30 terms
        np.testing.assert_allclose(parts, [part[:-1] for part in expected], atol=1e-13)
        ends = [found.initial, found.surviving_initial]
        np.testing.assert_allclose(ends, [part[-1] for part in expected], atol=1e-13)
        assert found.initial
        np.testing.assert_allclose([found.residual, found.surviving_residual], 0, atol=1e-13)
        # the engine's own answer, which is no sum over steps; a lone backward layer turns it round
        place = 29 - step if backward else step
        np.testing.assert_allclose(found.output, y[b, place, 1], rtol=1e-12)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("merge", ["concat", "sum", "ave"])
def test_two_directions_explain_one_output(merge: str, sequences: bool) -> None:
    model = chain(both(merge, sequences), dense(10 if merge == "concat" else 5))
    x = series(2, 12)
    trace, y = lstm_cli.trace(model, x), lstm_cli.run(model, x)
    step = {"step": 7} if sequences else {}
    there = readout(trace, 0, model, sequence=1, cell="forward", **step)
    back = readout(trace, 0, model, sequence=1, cell="backward", **step)
    expected = y[1, 7, 0] if sequences else y[1, 0]
    for found in (there, back):
        np.testing.assert_allclose([found.value, found.total], expected, rtol=1e-12)
        np.testing.assert_allclose(found.surviving_residual, 0, atol=1e-13)
    parts = there.contributions.sum() + there.initial + back.contributions.sum() + back.initial
    np.testing.assert_allclose(parts + there.bias, expected, rtol=1e-12)


def test_a_projection_and_other_activations() -> None:
    chance = np.random.default_rng(3)
    projected = cell(
        projection=chance.normal(size=(5, 4)),
        projection_bias=chance.normal(size=4),
        output_activation=Activation("softsign"),
        cell_clip=0.7,
    )
    model = chain(one(projected), dense(4))
    x = series(1, 20)
    trace = lstm_cli.trace(model, x)
    assert isinstance(trace, Trace)
    assert (np.abs(trace.c) == 0.7).any()
    found = readout(trace, 1, model)
    np.testing.assert_allclose(found.value, lstm_cli.run(model, x)[0, -1, 1], rtol=1e-12)
    np.testing.assert_allclose([found.residual, found.surviving_residual], 0, atol=1e-13)


def normalisation(size: int, axis: Any) -> Layer:
    chance = np.random.default_rng(7)
    weights = {name: chance.normal(size=size) for name in ("gamma", "beta", "moving_mean")}
    weights["moving_variance"] = chance.uniform(0.5, 2, size)
    settings = {"axis": axis, "epsilon": 1e-3}
    return Layer("bn", "BN", Operation("batch_normalization", settings, weights), dtype="float64")


@pytest.mark.parametrize("sequences", [False, True])
def test_a_normalisation_by_stored_moments_is_linear(sequences: bool) -> None:
    """Twice, over both directions: an output of the second layer is still a sum over steps."""
    axis = [2] if sequences else [1]
    between = (normalisation(10, axis), operation("identity"), normalisation(10, -1))
    model = chain(both("concat", sequences), *between, dense(10))
    x = series(2, 8)
    trace, y = lstm_cli.trace(model, x), lstm_cli.run(model, x)
    for way, step in (("forward", 7), ("backward", 0)):
        found = readout(trace, 1, model, cell=way, sequence=1)
        expected = y[1, step, 1] if sequences else y[1, 1]
        np.testing.assert_allclose([found.value, found.total], expected, rtol=1e-12)
    wrong = chain(both("concat", sequences), normalisation(10, [3 - axis[0]]), dense(10))
    with pytest.raises(InputError, match="behind 'lstm' stands 'bn'"):
        readout(trace, 1, wrong, cell="forward")


def test_one_step_of_two_directions() -> None:
    """``x[:, -1]`` is what the backward cell read first, and not what it read last."""
    take = operation("op_getitem", key=(slice(None), -1))
    model = chain(both("concat", True), take, dense(10))
    x = series(1, 8)
    trace, y = lstm_cli.trace(model, x), lstm_cli.run(model, x)
    for way in ("forward", "backward"):
        found = readout(trace, 0, model, cell=way, step=7)
        np.testing.assert_allclose([found.value, found.total], y[0, 0], rtol=1e-12)
        assert len(found.steps) == (8 if way == "forward" else 1)


def test_a_nested_model() -> None:
    """Its second output is h."""
    model = chain(one(cell()), operation("group", "inner"), dense(5))
    first, lstm, group, out = model.calls
    calls = (
        *(first, lstm, Call(group.layer, arguments=(Reference(0), Reference(1)))),
        Call(out.layer, arguments=(Reference(2, 1),)),
    )
    nested = Model("made", "", "", model.layers, calls, model.inputs, model.outputs)
    x = series(1, 8)
    found = readout(lstm_cli.trace(nested, x), 0, nested)
    np.testing.assert_allclose(found.value, lstm_cli.run(nested, x)[0, -1, 0], rtol=1e-12)


PASSING = {
    "dropout": [operation("identity")],
    "linear": [operation("activation", activation=Activation("linear"))],
    "last step": [operation("op_getitem", key=(slice(None), -1, slice(None)))],
    "take": [operation("op_take", indices=-1, axis=1)],
    "axes": [operation("op_transpose", axes=(1, 0, 2)), operation("op_transpose", axes=(1, 0, 2))],
}


@pytest.mark.parametrize("between", PASSING.values(), ids=PASSING)
def test_what_changes_nothing_may_stand_between(between: list[Layer]) -> None:
    model = chain(one(cell()), *between, dense(5))
    x = series(1, 9)
    found = readout(lstm_cli.trace(model, x), 1, model)
    expected = lstm_cli.run(model, x).reshape(-1, K)[-1, 1]
    np.testing.assert_allclose([found.value, found.total], expected, rtol=1e-12)


def test_a_product_and_a_sum_are_a_dense_layer() -> None:
    """As ONNX's Gemm is read."""
    matrix, bias = np.random.default_rng(4).normal(size=(K, 5)), np.array([0.5, -2.0])
    model = chain(one(cell(), return_sequences=False), operation("op_matmul", transpose_b=True))
    product, add = model.calls[-1], operation("op_add")
    calls = (
        *model.calls[:-1],
        Call(product.layer, arguments=(Reference(1), Constant(matrix))),
        Call(add, arguments=(Reference(2), Constant(bias))),
    )
    outputs = (Output("y", Reference(3)),)
    whole = Model("made", "", "", (*model.layers, add), calls, model.inputs, outputs)
    x = series(1, 9)
    found = readout(lstm_cli.trace(whole, x), 0, whole)
    np.testing.assert_allclose(found.value, lstm_cli.run(whole, x)[0, 0], rtol=1e-12)
    assert found.bias == 0.5


BARRED = {
    "relu": ([operation("relu")], "behind 'lstm' stands 'relu' (relu), and no Dense layer"),
    "tanh": ([operation("activation", activation=Activation("tanh"))], "behind 'lstm' stands"),
    "half": ([operation("op_getitem", key=(slice(None), -1, slice(2)))], "behind 'lstm' stands"),
    "turned": ([operation("op_transpose", axes=(0, 2, 1))], "behind 'lstm' stands"),
}


@pytest.mark.parametrize(("between", "said"), BARRED.values(), ids=BARRED)
def test_what_changes_values_may_not(between: list[Layer], said: str) -> None:
    model = chain(one(cell()), *between, dense(5))
    trace = lstm_cli.trace(chain(one(cell())), series(1, 4))
    with pytest.raises(InputError, match="^" + said.replace("(", r"\(").replace(")", r"\)")):
        readout(trace, 0, model)


def test_one_of_several_layers() -> None:
    lstm = Layer("lstm", "LSTM", one(cell()), dtype="float64")
    names = (operation("identity", "x"), lstm, dense(5, "head/a"), dense(5, "head/b", 3))
    calls = tuple(
        Call(layer, arguments=(Reference(min(k, 2) - 1),) if k else ())
        for k, layer in enumerate(names)
    )
    inputs = (Input("x", (None, None, 3), "float64", 0),)
    ends = (Output("a", Reference(2)), Output("b", Reference(3)))
    model = Model("made", "", "", names, calls, inputs, ends)
    x = series(1, 6)
    trace = lstm_cli.trace(model, x)
    b = lstm_cli.run(model, x)[1]
    np.testing.assert_allclose(readout(trace, "b:2", model).value, b[0, -1, 2], rtol=1e-12)
    with pytest.raises(UsageError, match=r"several Dense layers.*head/a, head/b"):
        readout(trace, 2, model)
    with pytest.raises(NoSuchNameError, match="no Dense layer 'c'"):
        readout(trace, "c:2", model)
    with pytest.raises(InputError, match="'head/b' has outputs 0 to 2, none number 3"):
        readout(trace, "head/b:3", model)


def test_masked_steps() -> None:
    """The state is carried; where the layer reads zeros instead there is nothing to explain."""
    mask = np.array([[True, True, True, False]])
    x = series(1, 4)
    for rule in ("previous", "zeros"):
        way = Direction("", (cell(),), masked_output=rule)
        model = chain(Recurrent((way,), return_sequences=True), dense(5))
        trace, y = lstm_cli.trace(model, x, mask=mask), lstm_cli.run(model, x, mask=mask)
        last = readout(trace, 0, model)
        assert last.step == 2  # of its own accord the last that is not masked
        np.testing.assert_allclose(last.value, y[0, 2, 0], rtol=1e-12)
        if rule == "zeros":
            with pytest.raises(InputError, match="step 3 is masked, and 'out' reads zeros there"):
                readout(trace, 0, model, step=3)
        else:
            found = readout(trace, 0, model, step=3)
            np.testing.assert_allclose([found.value, found.total], y[0, 3, 0], rtol=1e-12)
    nothing = lstm_cli.trace(model, x, mask=~mask)
    with pytest.raises(InputError, match="every step of sequence 0 up to this one is masked"):
        readout(nothing, 0, model, step=1)


def test_what_cannot_be_explained() -> None:
    mul = chain(both("mul", True), dense(5))
    trace = lstm_cli.trace(mul, series(1, 4))
    with pytest.raises(InputError, match="the two directions are merged by 'mul'"):
        readout(trace, 0, mul, cell="forward")
    pair = chain(both("concat", False), dense(10))
    trace = lstm_cli.trace(pair, series(1, 4))
    with pytest.raises(InputError, match="the last output of each direction alone"):
        readout(trace, 0, pair, cell="forward", step=1)
    alone = trace["forward"]  # type: ignore[index]
    with pytest.raises(InputError, match="'out' also reads 'backward', which is not in the trace"):
        readout(alone, 0, pair)
    clipped = chain(one(cell(projection=np.ones((5, 4)), projection_clip=0.1)), dense(4))
    with pytest.raises(InputError, match="h is clipped after its projection"):
        readout(lstm_cli.trace(clipped, series(1, 4)), 0, clipped)
    model = chain(one(cell()), dense(5))
    trace = lstm_cli.trace(model, series(1, 4))
    with pytest.raises(UsageError, match="leave out the unit and the gate"):
        readout(trace, 0, model, unit=1)
    with pytest.raises(UsageError, match="a trace does not hold the Dense layer"):
        lstm_cli.why(trace, readout=0)
    with pytest.raises(UsageError, match="expected an output's number, or LAYER:N, found '-1'"):
        readout(trace, -1, model)
    with pytest.raises(InputError, match="no Dense layer stands behind 'lstm'"):
        readout(trace, 0, chain(one(cell())))


def test_softmax_of_a_sample() -> None:
    """The probability that the model gives, from sums over steps of every class."""
    model = lstm_cli.load(SAMPLES / "encoder_decoder.keras")
    with np.load(SAMPLES / "encoder_decoder.npz") as arrays:
        x = dict(arrays)
    trace = lstm_cli.trace(model, x)
    with np.load(SAMPLES / "encoder_decoder.golden.npz") as golden:
        expected = golden["output"]
    for row in range(expected.shape[2]):
        found = readout(trace, row, model, cell="decoder", sequence=2, step=3)
        # float32 of the framework
        np.testing.assert_allclose(found.output, expected[2, 3, row], atol=1e-5)
        assert abs(found.initial) > 0.1  # the encoder's state
        np.testing.assert_allclose([found.residual, found.surviving_residual], 0, atol=5e-6)
