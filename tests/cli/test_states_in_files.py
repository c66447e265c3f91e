"""``--initial-state``, ``--save-state`` and ``--stateful``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import GOLDEN, SAMPLES, Array, Cli, assert_close, load_npz
from keras_files import layer, random_lstm, sequential, write_hdf5
from keras_files import lstm as lstm_layer

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"
FORECASTER = SAMPLES / "forecaster.keras", SAMPLES / "forecaster.csv"
STATEFUL = SAMPLES / "stateful.keras", SAMPLES / "stateful.npy"
BIDIRECTIONAL = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"


def golden(name: str) -> dict[str, Array]:
    return load_npz(SAMPLES / f"{name}.golden.npz")


def halves(at: int) -> None:
    """The forecaster's series as ``first.csv`` and ``second.csv``, cut at a step."""
    header, *rows = FORECASTER[1].read_text().splitlines()
    Path("first.csv").write_text("\n".join([header, *rows[:at]]) + "\n")
    Path("second.csv").write_text("\n".join([header, *rows[at:]]) + "\n")


# -- before the first step


def test_a_state_of_ones_own_gives_the_frameworks_numbers(lstm: Cli) -> None:
    state = SAMPLES / "stateful.state.npz"
    done = lstm("states", *STATEFUL, "--initial-state", state, "-o", "s.npz").succeeded()

    assert done.out == b""
    assert_close(load_npz(Path("s.npz"))["h"], golden("stateful")["own_h"])
    assert_close(load_npz(Path("s.npz"))["c"], golden("stateful")["own_c"])


def test_two_arrays_are_a_state_and_so_is_an_archive(lstm: Cli) -> None:
    state = load_npz(SAMPLES / "stateful.state.npz")
    np.save("h.npy", state["h"])
    np.save("c.npy", state["c"])

    archive = lstm("states", *STATEFUL, "--initial-state", SAMPLES / "stateful.state.npz")
    arrays = lstm("states", *STATEFUL, "--initial-state", "h.npy,c.npy").succeeded()

    assert arrays.out == archive.out


@pytest.mark.parametrize("model", ["three_steps.keras", "three_steps.safetensors"])
def test_what_run_writes_goes_on_where_it_stopped(lstm: Cli, model: str) -> None:
    """The three steps twice: the second time from where the first ended."""
    header, *rows = INPUT.read_text().splitlines()
    Path("twice.csv").write_text("\n".join([header, *rows, *rows]) + "\n")
    chosen = ["--layer", "lstm", "--direct", "-o"]
    more = ["--initial-state", "returned.npz"]

    done = [
        lstm("run", SAMPLES / model, INPUT, "--return-state", *chosen, "returned.npz"),
        lstm("states", SAMPLES / model, INPUT, *more, *chosen, "rest.npz"),
        lstm("states", SAMPLES / model, "twice.csv", *chosen, "whole.npz"),
    ]

    assert [(each.code, each.out) for each in done] == [(0, b"")] * 3

    for name in ("h", "c"):  # one unit: float32 products in the same order
        assert_close(load_npz(Path("rest.npz"))[name], load_npz(Path("whole.npz"))[name][3:])


def test_a_number_fills_every_state(lstm: Cli) -> None:
    np.savez("half.npz", h=np.full((1, 1), 0.5), c=np.full((1, 1), 0.5))
    reference = lstm("states", MODEL, INPUT).out

    half = lstm("states", MODEL, INPUT, "--initial-state", "0.5").succeeded()

    assert half.out == lstm("states", MODEL, INPUT, "--initial-state", "half.npz").out
    assert half.out != reference
    assert lstm("states", MODEL, INPUT, "--initial-state", "zeros").out == reference
    assert lstm("states", MODEL, INPUT, "--initial-state", "0").out == reference
    exported = lstm("export", MODEL, INPUT, "--initial-state", "0.5", "-o", "-", "--format", "json")
    assert json.loads(exported.text)["initial_c"] == [0.5]


def test_names_may_have_the_layers_address_in_front(lstm: Cli) -> None:
    numbers = np.random.default_rng(0)
    parts: dict[str, Any] = {
        f"{part}/{state}": numbers.normal(size=(6, 6)).astype(np.float32)
        for part in ("forward", "backward")
        for state in "hc"
    }
    chosen = ["--layer", "bottom"]
    np.savez("short.npz", **parts)
    prefixed: dict[str, Any] = {f"bottom/{name}": array for name, array in parts.items()}
    np.savez("long.npz", **prefixed)

    short = lstm("states", *BIDIRECTIONAL, *chosen, "--initial-state", "short.npz").succeeded()
    long = lstm("states", *BIDIRECTIONAL, *chosen, "--initial-state", "long.npz").succeeded()

    assert short.out == long.out
    assert short.out != lstm("states", *BIDIRECTIONAL, *chosen).out


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"h": (2, 1), "c": (1, 1)},
            "initial state 'h' of layer 'lstm': expected shape (1, 1) (sequences, units), found "
            "(2, 1)",
        ),
        (
            {"h": (1, 1), "c": (1, 2)},
            "initial state 'c' of layer 'lstm': expected shape (1, 1) (sequences, units), found "
            "(1, 2)",
        ),
        ({"h": (1, 1)}, "initial state: missing: c (expected h, c)"),
        ({"x": (1, 1)}, "initial state: unknown: x; missing: h, c (expected h, c)"),
        (
            {"h": (1, 1), "c": (1, 1), "forward/h": (1, 1)},
            "initial state: unknown: forward/h (expected h, c)",
        ),
    ],
)
def test_states_that_do_not_fit(
    lstm: Cli, arrays: dict[str, tuple[int, ...]], message: str
) -> None:
    states: dict[str, Any] = {name: np.zeros(shape) for name, shape in arrays.items()}
    np.savez("s.npz", **states)
    for command in ("states", "run"):
        done = lstm(command, MODEL, INPUT, "--initial-state", "s.npz")
        assert done.refusal() == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("missing.npz", "missing.npz: there is no such file"),
        (str(INPUT), f"{INPUT}: expected an .npz archive of named arrays, found text"),
        ("a.npy,b.npy,c.npy", "--initial-state: expected H.npy,C.npy, found 3 files"),
        ("a.npy,b.npy", "a.npy: there is no such file"),
    ],
)
def test_state_files_that_cannot_be_read(lstm: Cli, value: str, message: str) -> None:
    assert lstm("states", MODEL, INPUT, "--initial-state", value).refusal() == message


# -- after the last step


@pytest.mark.parametrize("at", [256, 512, 300, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_halves_equal_one_whole(lstm: Cli, at: int, dtype: str) -> None:
    halves(at)
    model, data = FORECASTER
    options = ["--dtype", dtype]
    lstm("export", model, data, *options, "-o", "whole.npz").succeeded()
    lstm("export", model, "first.csv", *options, "-o", "a.npz", "--save-state", "s.npz")
    continued = [*options, "--initial-state", "s.npz"]
    lstm("export", model, "second.csv", *continued, "-o", "b.npz").succeeded()

    whole, first, second = (load_npz(Path(f"{name}.npz")) for name in ("whole", "a", "b"))

    for name in (*"hcifgo", "output"):
        joined = np.concatenate([first[name], second[name]])
        if at % 256 == 0:
            np.testing.assert_array_equal(joined, whole[name])
        else:  # the same sums, over blocks of other shapes
            assert_close(joined, whole[name], 1e-6 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(second["initial_c"], first["final_c"])


def test_a_saved_state_may_replace_the_one_it_came_from(lstm: Cli) -> None:
    halves(512)
    lstm("states", FORECASTER[0], "first.csv", "--save-state", "s.npz")
    before = load_npz(Path("s.npz"))
    lstm("states", FORECASTER[0], "second.csv", "--initial-state", "s.npz", "--save-state", "s.npz")

    assert before["h"].shape == (8,)
    assert_close(load_npz(Path("s.npz"))["h"], golden("forecaster")["final_h"][0])


def test_states_of_every_layer_are_saved_and_fed_back(lstm: Cli) -> None:
    """An LSTM above a GRU: the state of either is needed to continue."""
    numbers = np.random.default_rng(1)
    gru = [
        numbers.normal(0, 0.5, shape).astype(np.float32) for shape in ((3, 12), (4, 12), (2, 12))
    ]
    settings = {
        "units": 4,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "reset_after": True,
        "return_sequences": True,
    }
    names = ("kernel", "recurrent_kernel", "bias")
    groups = {
        "gru": dict(zip(names, gru, strict=True)),
        "lstm": dict(zip(names, random_lstm(2, 4, 2), strict=True)),
    }
    write_hdf5(
        Path("m.h5"), sequential(layer("GRU", "gru", **settings), lstm_layer("lstm", 2)), groups
    )
    x = numbers.normal(size=(5, 600, 3)).astype(np.float32)
    np.save("x.npy", x)
    np.save("a.npy", x[:, :256])
    np.save("b.npy", x[:, 256:])

    lstm("states", "m.h5", "x.npy", "-o", "whole.npz").succeeded()
    lstm("states", "m.h5", "a.npy", "-o", "first.npz", "--save-state", "s.npz").succeeded()
    lstm("states", "m.h5", "b.npy", "-o", "second.npz", "--initial-state", "s.npz").succeeded()

    states = load_npz(Path("s.npz"))
    assert {n: a.shape for n, a in states.items() if n != "meta"} == {
        "gru/h": (5, 4),
        "lstm/h": (5, 2),
        "lstm/c": (5, 2),
    }
    whole, second = load_npz(Path("whole.npz"))["c"], load_npz(Path("second.npz"))["c"]
    np.testing.assert_array_equal(second, whole[:, 256:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--save-state", "s.csv"], "--save-state: expected FILE.npz, found s.csv"),
        (
            ["--save-state", "s.npz", "-o", "./s.npz"],
            "-o and --save-state both name s.npz; choose another name for one",
        ),
    ],
)
def test_where_a_state_cannot_be_saved(lstm: Cli, arguments: list[str], message: str) -> None:
    assert lstm("states", MODEL, INPUT, *arguments).refusal() == message
    assert list(Path().iterdir()) == []


def test_a_state_is_no_place_for_a_result(lstm: Cli) -> None:
    lstm("states", MODEL, INPUT, "--save-state", "s.npz")
    content = Path("s.npz").read_bytes()
    message = lstm("states", MODEL, INPUT, "--initial-state", "s.npz", "-o", "s.npz").refusal()

    assert message.endswith("would be lost; choose another name with -o")
    assert Path("s.npz").read_bytes() == content


# -- consecutive chunks


@pytest.mark.parametrize("extension", ["csv", "npz", "h5", "jsonl"])
def test_chunks_are_put_together_in_one_file(lstm: Cli, extension: str) -> None:
    halves(512)
    model, data = FORECASTER
    target = f"joined.{extension}"
    lstm("states", model, data, "-o", f"whole.{extension}").succeeded()
    lstm("states", model, "first.csv", "second.csv", "--stateful", "-o", target).succeeded()

    whole, joined = Path(f"whole.{extension}"), Path(target)
    if extension == "npz":
        expected, found = load_npz(whole), load_npz(joined)
        for name in "hc":
            np.testing.assert_array_equal(found[name], expected[name])
    elif extension != "h5":
        assert joined.read_bytes() == whole.read_bytes()


def test_chunks_on_standard_output_keep_counting(lstm: Cli) -> None:
    halves(512)
    whole = lstm("gates", *FORECASTER).out
    joined = lstm("gates", FORECASTER[0], "first.csv", "second.csv", "--stateful").succeeded()
    some = ["--stateful", "--steps", "511:513"]
    across = lstm("gates", FORECASTER[0], "first.csv", "second.csv", *some).succeeded()
    later = lstm("gates", FORECASTER[0], "first.csv", "second.csv", "--stateful", "--steps", "731")

    lines = whole.splitlines()
    assert joined.out == whole
    assert across.out.splitlines() == [lines[0], *lines[512:514]]
    assert later.out.splitlines() == [lines[0], lines[732]]


def test_joined_chunks_begin_where_the_first_began(lstm: Cli) -> None:
    halves(512)
    chunks = ["first.csv", "second.csv", "--stateful"]
    options = ["--initial-state", "0.25", "--save-state", "s.npz"]
    lstm("export", FORECASTER[0], *chunks, *options, "-o", "j.npz").succeeded()

    lstm("export", *FORECASTER, "--initial-state", "0.25", "-o", "w.npz").succeeded()
    arrays, whole = load_npz(Path("j.npz")), load_npz(Path("w.npz"))
    for name in ("c", "initial_h", "final_h"):
        np.testing.assert_array_equal(arrays[name], whole[name])
    np.testing.assert_array_equal(arrays["initial_h"], np.full(8, 0.25, np.float32))
    np.testing.assert_array_equal(arrays["final_c"], arrays["c"][-1])
    np.testing.assert_array_equal(arrays["final_c"], load_npz(Path("s.npz"))["c"])


def test_a_model_saved_as_stateful_goes_on_as_in_the_framework(lstm: Cli) -> None:
    model, data = STATEFUL
    np.save("again.npy", np.load(data))
    lstm("run", model, data, "again.npy", "--stateful", "-o", "y.npy").succeeded()
    lstm("states", model, data, "again.npy", "--stateful", "-o", "s.npz").succeeded()

    expected, y = golden("stateful"), np.load("y.npy")
    assert_close(y[:, :40], expected["output"])
    assert_close(y[:, 40:], expected["second_output"])
    assert_close(load_npz(Path("s.npz"))["c"][:, 40:], expected["second_c"])


def test_without_stateful_each_input_starts_afresh(lstm: Cli) -> None:
    model, data = STATEFUL
    np.save("again.npy", np.load(data))
    lstm("run", model, data, "again.npy", "-o", "y.npz").succeeded()

    arrays = load_npz(Path("y.npz"))
    np.testing.assert_array_equal(arrays["again/output"], arrays["stateful/output"])


@pytest.mark.parametrize("command", ["states", "run"])
def test_what_cannot_be_continued_is_refused_with_the_reason(lstm: Cli, command: str) -> None:
    model, data = BIDIRECTIONAL
    np.save("again.npy", np.load(data))
    message = lstm(command, model, data, "again.npy", "--stateful").refusal()

    assert message.startswith("the sequence cannot be continued in the next input: ")
    assert "'bottom' (Bidirectional(LSTM)) reads backwards" in message


def test_convolution_on_the_way_cannot_be_continued(lstm: Cli) -> None:
    stem = GOLDEN / "keras2" / "k2.3.1_tensorflow_conv_bn"
    np.save("x.npy", load_npz(Path(f"{stem}.npz"))["x0"])
    message = lstm("states", f"{stem}.h5", "x.npy", "--stateful").err

    assert "'conv1d_1' (Conv1D) mixes steps" in message


def test_chunks_must_be_of_the_same_sequences(lstm: Cli) -> None:
    np.save("one.npy", np.zeros((1, 3, 1)))
    np.save("two.npy", np.zeros((2, 3, 1)))
    Path("ab.csv").write_text("id,x\na,1\nb,2\n")
    Path("ba.csv").write_text("id,x\nb,1\na,2\n")
    Path("uneven.csv").write_text("id,x\na,1\na,2\nb,3\n")
    Path("lengths.csv").write_text("2\n")
    target = ["--stateful", "-o", "s.npz"]
    named = ["--sequence-column", "id"]

    assert lstm("states", MODEL, INPUT, "one.npy", *target).refusal() == (
        f"--stateful: one.npy has an axis of sequences, {INPUT} has none"
    )
    assert lstm("states", MODEL, "one.npy", "two.npy", *target).refusal() == (
        "the states carried over for 'lstm' are of 1 sequences, this input has 2"
    )
    other = lstm("states", MODEL, "ab.csv", "ba.csv", *named, *target)
    assert other.code == 2
    assert other.notes[-1] == (
        "error: --stateful: the sequences of ba.csv are not those of ab.csv in the same order"
    )
    uneven = lstm("states", MODEL, "uneven.csv", "ab.csv", *named, *target)
    assert uneven.notes[-1] == (
        "error: --stateful: uneven.csv holds sequences of unequal length, which cannot all go on "
        "in the next input"
    )
    assert not Path("s.npz").exists()


def test_chunks_that_return_no_steps_are_not_put_together(lstm: Cli) -> None:
    np.save("x.npy", golden("three_steps")["x"][0])
    message = lstm("run", MODEL, INPUT, "x.npy", "--stateful").refusal()

    assert message == (
        "consecutive chunks are put together step by step, and this returns no steps; "
        "--return-sequences, or run each by itself with --initial-state and --save-state"
    )


@pytest.mark.parametrize("form", ["npy", "npz", "json"])
def test_chunks_go_through_a_pipe_as_lines_alone(lstm: Cli, form: str) -> None:
    np.save("x.npy", golden("three_steps")["x"][0])
    options = ["--stateful", "--tensors", "h", "--format", form]
    message = lstm("states", MODEL, INPUT, "x.npy", *options).refusal()

    assert message == (
        f"'{form}' cannot be written while it is computed; --format takes: csv, jsonl"
    )


def test_steps_beyond_all_chunks(lstm: Cli) -> None:
    np.save("x.npy", golden("three_steps")["x"][0])
    done = lstm("states", MODEL, INPUT, "x.npy", "--stateful", "--steps", "6:")
    assert done.refusal() == "--steps 6:: the sequence has steps 0 to 5"
