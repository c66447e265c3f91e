"""The Python API: what is public, and what each function promises."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import GOLDEN, SAMPLES, Array, assert_close, load_npz
from keras_files import layer, lstm, lstm_by_hand, random_lstm, sequential, write_hdf5

import lstm_cli
from lstm_cli import Model, Session, State, Trace, Traces

X = np.array([[0.1], [0.2], [0.3]])
NAMES = ("kernel", "recurrent_kernel", "bias")
DECODER_STATES = ("h", "c")


@pytest.fixture(scope="module")
def three_steps() -> Model:
    return lstm_cli.load(SAMPLES / "three_steps.keras")


@pytest.fixture(scope="module")
def bidirectional() -> Model:
    return lstm_cli.load(SAMPLES / "bidirectional.keras")


@pytest.fixture(scope="module")
def forecaster() -> Model:
    return lstm_cli.load(SAMPLES / "forecaster.keras")


def golden(name: str) -> dict[str, Array]:
    return load_npz(SAMPLES / f"{name}.golden.npz")


def one(trace: Trace | Traces) -> Trace:
    assert isinstance(trace, Trace)
    return trace


def several(trace: Trace | Traces) -> Traces:
    assert isinstance(trace, Traces)
    return trace


def series(batch: int, steps: int, features: int = 2) -> Array:
    return np.random.default_rng(steps).normal(size=(batch, steps, features)).astype(np.float32)


# -- what is public


def test_the_public_names() -> None:
    assert lstm_cli.__all__ == [
        "AmbiguousNameError",
        "InputError",
        "LstmCliError",
        "MissingEntryError",
        "MissingExtraError",
        "Model",
        "ModelFileError",
        "NoSuchNameError",
        "OutputError",
        "Session",
        "ShapeError",
        "State",
        "Trace",
        "TraceFile",
        "Traces",
        "UnknownFormatError",
        "UnsupportedFeatureError",
        "UsageError",
        "__version__",
        "diff",
        "find",
        "inspect",
        "load",
        "open_trace",
        "plot",
        "probe",
        "rank",
        "read_trace",
        "run",
        "stats",
        "text",
        "trace",
        "trace_blocks",
        "verify",
        "view",
        "weight_indicators",
        "weights",
        "why",
    ]
    assert dir(lstm_cli) == sorted(lstm_cli.__all__)


@pytest.mark.parametrize("name", lstm_cli.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    value = getattr(lstm_cli, name)
    if name == "__version__":
        assert value
        return
    assert inspect.getdoc(value), name
    if inspect.isclass(value):
        for method, function in vars(value).items():
            if callable(function) and not method.startswith("_"):
                assert inspect.getdoc(getattr(value, method)), f"{name}.{method}"


def test_errors_are_one_tree() -> None:
    for name in lstm_cli.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(lstm_cli, name), lstm_cli.LstmCliError)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lstm_cli' has no attribute 'gates'"):
        _ = lstm_cli.gates


def test_the_example_in_the_docstring() -> None:
    doc = lstm_cli.__doc__ or ""
    lines = [line.split(">>> ", 1)[1] for line in doc.splitlines() if ">>> " in line]
    place: dict[str, Any] = {}
    for line in lines[:-1]:
        exec(line.replace("sample_models", str(SAMPLES)), place)
    assert eval(lines[-1], place) == (1, 3, 1)


# -- traces


def test_a_trace_of_one_cell_has_attributes(three_steps: Model) -> None:
    trace = one(lstm_cli.trace(three_steps, X))

    for name in (*"hcifgo", "final_h", "final_c"):
        assert_close(getattr(trace, name), golden("three_steps")[name])
    assert_close(trace.output, golden("three_steps")["sequence"])
    assert list(trace.arrays) == [
        *("h", "c", "i", "f", "g", "o"),
        *("initial_h", "initial_c", "final_h", "final_c", "output"),
    ]
    assert trace.meta["layer"] == "lstm"
    assert repr(trace) == "<Trace of lstm: B=1 T=3 U=1>"
    with pytest.raises(AttributeError, match=r"^this trace has no 'z_i'; it has: h, c, i, f, g, o"):
        _ = trace.z_i


@pytest.mark.parametrize("x", [X, X[None], X.tolist(), [X], X.astype(np.float32)])
def test_there_is_always_a_batch_axis(three_steps: Model, x: Any) -> None:
    trace = one(lstm_cli.trace(three_steps, x))
    assert trace.h.shape == (1, 3, 1)
    assert trace.final_h.shape == (1, 1)
    assert_close(trace.h, golden("three_steps")["h"])
    assert lstm_cli.run(three_steps, x).shape == (1, 1)


def test_arrays_are_read_only(three_steps: Model, bidirectional: Model) -> None:
    traces = several(lstm_cli.trace(bidirectional, golden("bidirectional")["x"], layer="top"))
    for trace in (one(lstm_cli.trace(three_steps, X)), *traces.values()):
        for array in trace.arrays.values():
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_input_arrays_stay_as_they_were(three_steps: Model) -> None:
    x = X.astype(np.float32)[None]
    before = x.copy()
    lstm_cli.trace(three_steps, x, tensors=("h", "x"))
    lstm_cli.run(three_steps, x, lengths=np.array([2]))
    x[0, 0] = 5  # still the caller's own
    np.testing.assert_array_equal(x[0, 1:], before[0, 1:])


def test_a_trace_of_several_cells_is_a_mapping(bidirectional: Model) -> None:
    expected = golden("bidirectional")
    trace = several(lstm_cli.trace(bidirectional, expected["x"], layer="middle"))

    assert list(trace) == ["forward", "backward"]
    for part in trace:
        for name in "hcifgo":
            assert_close(trace[part].arrays[name], expected[f"middle/{part}/{name}"])
    assert_close(trace.output, expected["middle/output"])
    np.testing.assert_array_equal(trace.mask, expected["mask"])
    np.testing.assert_array_equal(trace.arrays["forward/h"], trace["forward"].h)
    with pytest.raises(AttributeError) as error:
        _ = trace.h
    assert str(error.value) == (
        "this trace has several cells (forward, backward); use trace['forward'].h"
    )
    with pytest.raises(
        lstm_cli.NoSuchNameError, match=r"^no part 'back'; there is: backward, forw"
    ):
        _ = trace["back"]


def test_all_layers_are_traced_by_address(bidirectional: Model) -> None:
    trace = several(lstm_cli.trace(bidirectional, golden("bidirectional")["x"]))

    assert len(trace) == 6
    assert "top/backward" in trace
    two = several(
        lstm_cli.trace(bidirectional, golden("bidirectional")["x"], layer=["top", "bottom"])
    )
    assert list(two) == [f"{a}/{b}" for a in ("top", "bottom") for b in ("forward", "backward")]


def test_masked_steps(bidirectional: Model) -> None:
    expected = golden("bidirectional")
    trace = several(lstm_cli.trace(bidirectional, expected["x"], layer="bottom"))["forward"]
    masked = ~expected["mask"]

    assert masked.any()
    assert np.isnan(trace.f[masked]).all()
    assert not np.isnan(trace.f[~masked]).any()
    rows, steps = np.nonzero(masked)
    np.testing.assert_array_equal(trace.h[rows, steps], trace.h[rows, steps - 1])


def test_a_mask_of_ones_own(forecaster: Model) -> None:
    x = series(2, 6)
    mask = np.array([[1, 1, 0, 1, 1, 1], [1, 0, 0, 1, 1, 0]], bool)
    trace = one(lstm_cli.trace(forecaster, x, mask=mask))

    for row in range(2):
        alone = one(lstm_cli.trace(forecaster, x[row, mask[row]]))
        assert_close(trace.c[row, mask[row]], alone.c[0], 1e-6)
        assert_close(trace.final_h[row], alone.final_h[0], 1e-6)
    np.testing.assert_array_equal(trace.mask, mask)
    whole = one(lstm_cli.trace(forecaster, x, mask=mask[0]))
    np.testing.assert_array_equal(whole.mask, np.stack([mask[0]] * 2))


def test_lengths(forecaster: Model) -> None:
    x, lengths = series(3, 6), np.array([6, 2, 0])
    trace = one(lstm_cli.trace(forecaster, x, lengths=lengths))
    sequences = lstm_cli.run(forecaster, x, lengths=lengths, layer="lstm", return_sequences=True)

    np.testing.assert_array_equal(trace.lengths, lengths)
    for row, length in enumerate(lengths):
        for name in ("h", "c", "output"):
            assert (trace.arrays[name][row, length:] == 0).all()
        assert np.isnan(trace.i[row, length:]).all()
        assert not np.isnan(trace.i[row, :length]).any()
    alone = one(lstm_cli.trace(forecaster, x[1, :2]))
    assert_close(trace.h[1, :2], alone.h[0], 1e-6)
    assert_close(trace.final_c[1], alone.final_c[0], 1e-6)
    np.testing.assert_array_equal(sequences, trace.output)


def test_tensors_choose_what_is_kept(three_steps: Model) -> None:
    trace = one(lstm_cli.trace(three_steps, X, tensors=("z_f", "x")))

    steps = [name for name, array in trace.arrays.items() if array.ndim == 3]
    assert steps == ["z_f", "x"]
    assert_close(trace.x, X[None])
    with pytest.raises(lstm_cli.NoSuchNameError, match=r"^no tensor 'gate'; there is: "):
        lstm_cli.trace(three_steps, X, tensors=("gate",))


def test_the_equations_hold(forecaster: Model) -> None:
    x = series(3, 20)
    trace = one(lstm_cli.trace(forecaster, x, dtype="float64", initial_state=0.3))
    before = np.concatenate([np.full((3, 1, 8), 0.3), trace.c[:, :-1]], axis=1)

    assert trace.h.dtype == np.float64
    np.testing.assert_allclose(trace.c, trace.f * before + trace.i * trace.g, rtol=0, atol=1e-12)
    np.testing.assert_allclose(trace.h, trace.o * np.tanh(trace.c), rtol=0, atol=1e-12)


# -- runs


@pytest.mark.parametrize("sequences", [None, False, True])
@pytest.mark.parametrize("state", [None, False, True])
def test_return_modes(three_steps: Model, sequences: bool | None, state: bool | None) -> None:
    expected = golden("three_steps")
    options: dict[str, Any] = {"return_sequences": sequences, "return_state": state}

    found = lstm_cli.run(three_steps, X, layer="lstm", **options)
    named = lstm_cli.run(three_steps, X, layer="lstm", named=True, **options)

    output = expected["sequence" if sequences else "last"]
    wanted = [output, expected["state_h"], expected["state_c"]] if state else [output]
    found = found if state else (found,)
    assert list(named) == ["output", "state_h", "state_c"][: len(wanted)]
    for array, same, reference in zip(found, named.values(), wanted, strict=True):
        assert_close(array, reference)
        np.testing.assert_array_equal(array, same)


def test_a_model_of_several_inputs(tmp_path: Path) -> None:
    model = lstm_cli.load(SAMPLES / "encoder_decoder.keras")
    expected, data = golden("encoder_decoder"), load_npz(SAMPLES / "encoder_decoder.npz")

    by_name = lstm_cli.run(model, data)
    in_order = lstm_cli.run(model, [data["heard"], data["said"]])

    assert_close(by_name, expected["output"])
    np.testing.assert_array_equal(in_order, by_name)
    encoder = one(lstm_cli.trace(model, {"heard": data["heard"]}, layer="encoder"))
    assert_close(encoder.final_c, expected["encoder/final_c"])


def test_a_layer_alone(bidirectional: Model) -> None:
    expected = golden("bidirectional")
    vectors = lstm_cli.run(bidirectional, expected["x"], layer="word_vectors")
    options: dict[str, Any] = {"layer": "bottom", "direct": True, "mask": expected["mask"]}

    assert_close(lstm_cli.run(bidirectional, vectors, **options), expected["bottom/output"])
    trace = several(lstm_cli.trace(bidirectional, vectors, **options))
    assert_close(trace["backward"].c, expected["bottom/backward/c"])


def test_weights_and_facts(three_steps: Model, bidirectional: Model) -> None:
    assert list(lstm_cli.weights(three_steps)) == ["kernel", "recurrent_kernel", "bias"]
    arrays = lstm_cli.weights(bidirectional, ["middle"])
    assert arrays["backward/recurrent_kernel"].shape == (6, 24)
    facts = lstm_cli.inspect(bidirectional)
    assert [entry["lstm"] for entry in facts["layers"]] == [False, False, True, True, True, False]
    assert facts["outputs"] == [{"name": "praise", "shape": [None, 1]}]


# -- states


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("at", [256, 512, 100, 1])
def test_two_halves_equal_one_whole(forecaster: Model, batch: int, dtype: str, at: int) -> None:
    x = series(batch, 600)
    whole = one(lstm_cli.trace(forecaster, x, dtype=dtype))
    first = one(lstm_cli.trace(forecaster, x[:, :at], dtype=dtype))
    second = one(
        lstm_cli.trace(forecaster, x[:, at:], dtype=dtype, initial_state=first.final_state)
    )

    for name in "hcifgo":
        joined = np.concatenate([first.arrays[name], second.arrays[name]], axis=1)
        if at % 256 == 0:
            np.testing.assert_array_equal(joined, whole.arrays[name])
        else:  # the same sums in blocks of other shapes
            assert_close(joined, whole.arrays[name], 2e-6 if dtype == "float32" else 1e-14)
    assert isinstance(second.initial_state, State)
    np.testing.assert_array_equal(second.initial_state.c, first.final_state.c)


@pytest.mark.parametrize("steps", [256, 100, 1])
def test_blocks_put_together_are_the_trace(forecaster: Model, steps: int) -> None:
    x = series(2, 520)
    whole = one(lstm_cli.trace(forecaster, x))
    cuts = range(0, 520, steps) if steps > 1 else range(5)
    size = steps if steps > 1 else 1
    blocks = [x[:, k : k + size] for k in cuts]

    found = [one(trace) for trace in lstm_cli.trace_blocks(forecaster, iter(blocks))]

    total = sum(block.shape[1] for block in blocks)
    for name in (*"hcifgo", "output"):
        joined = np.concatenate([trace.arrays[name] for trace in found], axis=1)
        expected = whole.arrays[name][:, :total]
        if steps == 256:
            np.testing.assert_array_equal(joined, expected)
        else:
            assert_close(joined, expected, 2e-6)
    np.testing.assert_array_equal(found[1].initial_h, found[0].final_h)


def test_blocks_are_computed_when_they_are_asked_for(forecaster: Model) -> None:
    asked: list[int] = []

    def blocks() -> Iterator[Array]:
        for k in range(3):
            asked.append(k)
            yield series(1, 4)

    traces = lstm_cli.trace_blocks(forecaster, blocks(), initial_state=0.5)
    assert asked == []
    first = one(next(iter(traces)))
    assert asked == [0]
    np.testing.assert_array_equal(first.initial_h, np.full((1, 8), 0.5, np.float32))


def test_blocks_without_a_batch_axis(forecaster: Model) -> None:
    x = series(1, 10)
    found = list(lstm_cli.trace_blocks(forecaster, [x[0, :5], x[0, 5:]]))
    assert_close(one(found[1]).h, one(lstm_cli.trace(forecaster, x)).h[:, 5:], 2e-6)


def test_states_of_ones_own() -> None:
    model = lstm_cli.load(SAMPLES / "stateful.keras")
    x, state = np.load(SAMPLES / "stateful.npy"), load_npz(SAMPLES / "stateful.state.npz")
    expected = golden("stateful")

    pair = State(state["h"], state["c"])
    for given in (pair, dict(state), {"lstm/h": state["h"], "lstm/c": state["c"]}, {"lstm": pair}):
        assert_close(one(lstm_cli.trace(model, x, initial_state=given)).h, expected["own_h"])
    row = {"h": np.full(24, 0.5), "c": np.full((1, 24), 0.5)}
    np.testing.assert_array_equal(
        lstm_cli.run(model, x, initial_state=row), lstm_cli.run(model, x, initial_state=0.5)
    )


def test_states_of_parts(bidirectional: Model) -> None:
    x = golden("bidirectional")["x"][:2]
    numbers = np.random.default_rng(3)
    states = {
        part: State(*numbers.normal(size=(2, 2, 6)).astype(np.float32))
        for part in ("forward", "backward")
    }
    by_part = several(lstm_cli.trace(bidirectional, x, layer="bottom", initial_state=states))
    by_name = several(
        lstm_cli.trace(
            bidirectional,
            x,
            layer="bottom",
            initial_state={
                f"bottom/{part}/{name}": getattr(state, name)
                for part, state in states.items()
                for name in DECODER_STATES
            },
        )
    )

    for part in states:
        np.testing.assert_array_equal(by_part[part].initial_h, states[part].h)
        np.testing.assert_array_equal(by_part[part].h, by_name[part].h)


# -- sessions


def test_a_stateful_session_goes_on_where_it_stopped(forecaster: Model) -> None:
    x = series(2, 512)
    whole = one(lstm_cli.trace(forecaster, x))
    session = Session(forecaster, stateful=True)

    first, second = one(session.trace(x[:, :256])), one(session.trace(x[:, 256:]))

    np.testing.assert_array_equal(np.concatenate([first.h, second.h], axis=1), whole.h)
    np.testing.assert_array_equal(session.states["c"], whole.final_c)
    again = one(session.trace(x[:, :256], initial_state=0.0))
    np.testing.assert_array_equal(again.h, first.h)


def test_a_stateful_session_of_a_stateful_file() -> None:
    model = lstm_cli.load(SAMPLES / "stateful.keras")
    x, expected = np.load(SAMPLES / "stateful.npy"), golden("stateful")
    session = Session(model, stateful=True)

    assert_close(session.run(x)["output"], expected["output"])
    assert_close(session.run(x)["output"], expected["second_output"])
    assert_close(Session(model).run(x)["output"], expected["output"])


def test_what_mixes_steps_cannot_go_on(tmp_path: Path, bidirectional: Model) -> None:
    pool = layer("GlobalAveragePooling1D", "pool", data_format="channels_last")
    groups = {"lstm": dict(zip(NAMES, random_lstm(0, 3, 2), strict=True)), "pool": {}}
    path = write_hdf5(tmp_path / "m.h5", sequential(lstm("lstm", 2), pool), groups)
    model = lstm_cli.load(path)
    x = series(1, 8, 3)

    with pytest.raises(lstm_cli.UnsupportedFeatureError) as error:
        Session(model, stateful=True).run(x)
    assert str(error.value) == (
        "the sequence cannot be continued in the next input: 'pool' (GlobalAveragePooling1D) "
        "mixes steps"
    )
    assert one(Session(model, stateful=True).trace(x)).h.shape == (1, 8, 2)
    with pytest.raises(lstm_cli.UnsupportedFeatureError) as error:
        list(lstm_cli.trace_blocks(bidirectional, [golden("bidirectional")["x"]], layer="bottom"))
    assert str(error.value) == (
        "a run in blocks needs layers that go step by step: 'bottom' (Bidirectional(LSTM)) reads "
        "backwards"
    )


def test_a_final_state_that_is_handed_on_needs_the_whole_sequence(tmp_path: Path) -> None:
    """The encoder's last state is the decoder's first: no block but the last one knows it."""
    stem = GOLDEN / "keras3" / "k3.15.1_torch_encdec_states"
    model, numbers = lstm_cli.load(f"{stem}.keras"), load_npz(Path(f"{stem}.npz"))
    blocks = [[numbers[name][:, :2] for name in ("x0", "x1")]]

    with pytest.raises(lstm_cli.UnsupportedFeatureError, match="'enc' hands on its final state"):
        list(lstm_cli.trace_blocks(model, blocks))


def test_pieces_of_a_batch_are_the_batch(bidirectional: Model) -> None:
    x = golden("bidirectional")["x"]
    for size in (1, 4):
        session = Session(bidirectional, batch_size=size)
        assert_close(session.run(x)["output"], golden("bidirectional")["output"])
        trace = several(session.trace(x))
        np.testing.assert_array_equal(trace.arrays["bottom/mask"], golden("bidirectional")["mask"])


def test_the_smallest_lstm_by_hand(tmp_path: Path) -> None:
    kernel, recurrent, bias = random_lstm(11, 3, 2)
    groups = {"lstm": dict(zip(NAMES, (kernel, recurrent, bias), strict=True))}
    model = lstm_cli.load(write_hdf5(tmp_path / "m.h5", sequential(lstm("lstm", 2)), groups))
    x = series(2, 7, 3)

    trace = one(lstm_cli.trace(model, x, dtype="float64"))

    for name, expected in lstm_by_hand(x, kernel, recurrent, bias).items():
        np.testing.assert_allclose(trace.arrays[name], expected, rtol=0, atol=1e-12)


# -- errors


@pytest.mark.parametrize(
    ("x", "options", "kind", "message"),
    [
        (
            X[:, [0, 0]],
            {},
            lstm_cli.ShapeError,
            "input 'x': expected shape (3, 1) or (B, 3, 1), found (3, 2); choose the columns that "
            "the model takes (--columns)",
        ),
        (
            np.array(["a"]),
            {},
            lstm_cli.InputError,
            "input 'x': expected numbers, found <U1",
        ),
        (
            np.zeros((0, 3, 1)),
            {},
            lstm_cli.InputError,
            "input 'x' is empty: its shape is (0, 3, 1)",
        ),
        ({"y": X}, {}, lstm_cli.UsageError, "the input lacks x; the model needs x, found y"),
        (
            X,
            {"layer": "lstn"},
            lstm_cli.NoSuchNameError,
            "no layer 'lstn'; there is: lstm, x",
        ),
        (
            X,
            {"dtype": "float16"},
            lstm_cli.UsageError,
            "dtype: expected float32 or float64, found 'float16'",
        ),
        (
            X,
            {"initial_state": {"h": np.zeros((1, 1))}},
            lstm_cli.InputError,
            "initial state: missing: c (expected h, c)",
        ),
        (
            X,
            {"initial_state": State(np.zeros((2, 1)), np.zeros((1, 1)))},
            lstm_cli.ShapeError,
            "initial state 'h' of layer 'lstm': expected shape (1, 1) (sequences, units), found "
            "(2, 1)",
        ),
        (
            X,
            {"initial_state": "zeros"},
            lstm_cli.InputError,
            "initial state: expected a State, a number or arrays by name, found 'zeros'",
        ),
        (
            X,
            {"mask": np.array([True])},
            lstm_cli.ShapeError,
            "mask: expected shape (1, 3), as the input has, found (1, 1)",
        ),
        (
            X,
            {"mask": np.array([0.5, 1, 1])},
            lstm_cli.InputError,
            "mask: expected true and false (or 1 and 0), found float64",
        ),
        (
            X,
            {"lengths": np.array([1, 2])},
            lstm_cli.ShapeError,
            "lengths: expected shape (1,), found (2,)",
        ),
        (
            X,
            {"lengths": np.array([4])},
            lstm_cli.InputError,
            "lengths: expected whole numbers from 0 to 3, found 4 for sequence 0",
        ),
        (
            X,
            {"lengths": np.array([1.5])},
            lstm_cli.InputError,
            "lengths: expected whole numbers from 0 to 3, found float64",
        ),
    ],
)
def test_errors_say_what_is_wrong(
    three_steps: Model, x: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    for function in (lstm_cli.run, lstm_cli.trace):
        with pytest.raises(kind) as error:
            function(three_steps, x, **options)
        assert type(error.value) is kind
        assert str(error.value) == message


def test_blocks_must_hold_the_same_sequences(forecaster: Model) -> None:
    with pytest.raises(lstm_cli.InputError) as error:
        list(lstm_cli.trace_blocks(forecaster, [series(2, 4), series(3, 4)]))
    assert str(error.value) == "a block holds 3 sequences, the ones before it 2"
    with pytest.raises(lstm_cli.InputError, match=r"^the input has no steps$"):
        list(lstm_cli.trace_blocks(forecaster, []))


def test_a_session_that_cannot_be(three_steps: Model) -> None:
    with pytest.raises(lstm_cli.UsageError, match=r"^batch size: expected at least 1, found 0$"):
        Session(three_steps, batch_size=0)
    with pytest.raises(lstm_cli.ModelFileError, match=r"^nothing.h5: No such file or directory$"):
        lstm_cli.load("nothing.h5")
