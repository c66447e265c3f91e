"""``--layer``, ``--tensors``, ``--units`` and ``--steps``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import GOLDEN, SAMPLES, Cli, load_npz
from keras_files import lstm as layer
from keras_files import random_lstm, sequential, write_hdf5

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"
FORECASTER = SAMPLES / "forecaster.keras", SAMPLES / "forecaster.csv"
BIDIRECTIONAL = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.csv"


def test_steps_are_those_of_the_whole_run(lstm: Cli) -> None:
    whole = lstm.csv("states", *FORECASTER)
    part = lstm.csv("states", *FORECASTER, "--steps", "10:20")
    single = lstm.csv("states", *FORECASTER, "--steps", "731")
    tail = lstm.csv("states", *FORECASTER, "--steps", "730:")
    head = lstm.csv("states", *FORECASTER, "--steps", ":2")

    np.testing.assert_array_equal(part.values, whole.values[10:20])
    np.testing.assert_array_equal(single.values, whole.values[731:])
    np.testing.assert_array_equal(tail.values, whole.values[730:])
    np.testing.assert_array_equal(head.values, whole.values[:2])


def test_steps_reach_no_further_than_the_sequence(lstm: Cli) -> None:
    assert len(lstm.csv("states", MODEL, INPUT, "--steps", "1:100").values) == 2


def test_units_keep_their_numbers(lstm: Cli) -> None:
    whole = lstm.csv("states", *FORECASTER)
    part = lstm.csv("states", *FORECASTER, "--units", "5,0,6:8", "--tensors", "c")
    lstm("states", *FORECASTER, "--units", "5,0,6:8", "-o", "u.npz").succeeded()

    assert part.header == ["step", "c[5]", "c[0]", "c[6]", "c[7]"]
    np.testing.assert_array_equal(part.columns("c"), whole.columns("c")[:, [5, 0, 6, 7]])
    assert load_npz(Path("u.npz"))["h"].shape == (732, 4)


def test_tensors_come_in_the_order_in_which_they_are_asked_for(lstm: Cli) -> None:
    table = lstm.csv("states", MODEL, INPUT, "--tensors", "f,h,z_o")
    assert table.header == ["step", "f[0]", "h[0]", "z_o[0]"]


def test_tensors_of_a_part(lstm: Cli) -> None:
    one = lstm.csv("states", *BIDIRECTIONAL, "-l", "middle", "--tensors", "backward/h")
    both = lstm.csv("states", *BIDIRECTIONAL, "-l", "middle", "--tensors", "h")

    assert one.header == ["step", *(f"backward/h[{k}]" for k in range(6))]
    assert len(both.header) == 13
    np.testing.assert_array_equal(one.columns("backward/h"), both.columns("backward/h"))


def test_final_states_are_a_row_a_sequence(lstm: Cli) -> None:
    table = lstm.csv("states", *FORECASTER, "--tensors", "final_c")
    whole = lstm.csv("states", *FORECASTER, "--steps", "731")

    assert table.header == [f"final_c[{k}]" for k in range(8)]
    np.testing.assert_array_equal(table.values, whole.columns("c"))


def test_layers_are_shown_in_the_order_of_choice(lstm: Cli) -> None:
    two = lstm.csv("states", *BIDIRECTIONAL, "-l", "top", "-l", "bottom", "--tensors", "h")
    one = lstm.csv("states", *BIDIRECTIONAL, "-l", "top", "--tensors", "h")

    prefixes = list(dict.fromkeys(name.split("/")[0] for name in two.header[1:]))
    assert prefixes == ["top", "bottom"]
    np.testing.assert_array_equal(two.columns("top/forward/h"), one.columns("forward/h"))


def test_a_suffix_of_an_address_is_enough(lstm: Cli) -> None:
    stem = GOLDEN / "keras2" / "k2.2.4_tensorflow_nested"
    np.save("x.npy", load_npz(Path(f"{stem}.npz"))["x0"])
    addresses = [
        name.removesuffix("/h[0]")
        for name in lstm("states", f"{stem}.h5", "x.npy").table.header
        if name.endswith("/h[0]")
    ]
    nested = next(address for address in addresses if "/" in address)

    whole = lstm("states", f"{stem}.h5", "x.npy", "-l", nested)
    suffix = lstm("states", f"{stem}.h5", "x.npy", "-l", nested.rpartition("/")[2])

    assert whole.table.header[2] == "h[0]"
    assert (suffix.code, suffix.out) == (0, whole.out)


def test_layers_of_unequal_length_do_not_fit_into_one_table(lstm: Cli) -> None:
    stem = GOLDEN / "keras3" / "k3.15.1_tensorflow_td_lstm"
    np.save("x.npy", load_npz(Path(f"{stem}.npz"))["x0"])

    message = lstm("states", f"{stem}.keras", "x.npy").refusal()
    lstm("states", f"{stem}.keras", "x.npy", "-o", "both.npz").succeeded()

    assert message.startswith("one table cannot hold arrays of different lengths (")
    assert message.endswith("); choose fewer with --layer or --tensors, or write .npz or .h5")
    shapes = {name: array.shape for name, array in load_npz(Path("both.npz")).items()}
    assert shapes["time_distributed/h"][:2] == (4, 5)  # 2 sequences of 2 each
    assert shapes["lstm_1/h"][:2] == (2, 2)


STEPS = "expected FROM:TO, such as 10:20, found"
UNITS = "expected numbers and ranges, such as 0,3,7:12, found"
STATES = "initial_h, initial_c, final_h, final_c"
EVERY = f"h, c, i, f, g, o, z_i, z_f, z_g, z_o, output, output_0, output_1, x, mask, {STATES}"
NO_GATES = "has no LSTM gates or cell state to trace (LSTM layers: lstm)"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--steps", "3:4", "--steps 3:4: the sequence has steps 0 to 2"),
        ("--steps", "3", "--steps 3: the sequence has steps 0 to 2"),
        ("--steps", "2:1", "--steps 2:1: expected FROM:TO with TO above FROM, such as 10:20"),
        ("--steps", "x", f"--steps: {STEPS} 'x'"),
        ("--steps", "-2:", f"--steps: {STEPS} '-2:'"),
        ("--steps", "1:2:3", f"--steps: {STEPS} '1:2:3'"),
        ("--units", "1", "--units: 'h' has unit 0 alone, found 1"),
        ("--units", "", f"--units: {UNITS} ''"),
        ("--units", "3:1", f"--units: {UNITS} '3:1'"),
        ("--units", "-1", f"--units: {UNITS} '-1'"),
        ("--tensors", "q", f"no tensor 'q'; there is: {EVERY}, lengths and 7 more"),
        ("--tensors", ",", "--tensors: expected names, such as h,c,f, found none"),
        ("--tensors", "forward/h", f"no tensor 'forward/h'; there is: h, {STATES}"),
        ("--tensors", "mask", f"no tensor 'mask'; there is: {STATES}"),
        ("--layer", "lstn", "no layer 'lstn'; there is: lstm, x"),
        ("--layer", "", "no layer ''; there is: x, lstm"),
        ("--layer", "lstm@1", "no call of a layer 'lstm@1'; there is: lstm"),
        (
            "--layer",
            "x",
            f"layer 'x' (InputLayer) {NO_GATES}; 'lstm run --layer x' shows what it returns",
        ),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_not_there(lstm: Cli, option: str, value: str, message: str, whole: bool) -> None:
    """Alike where the sequence goes through in blocks and where it is read whole."""
    more = ["--batch-size", "1"] if whole else []
    assert lstm("states", MODEL, INPUT, option, value, *more).refusal() == message


def test_one_layer_is_needed_to_run_one(lstm: Cli) -> None:
    stem = GOLDEN / "keras2" / "k2.3.1_tensorflow_func_shared"
    numbers = load_npz(Path(f"{stem}.npz"))
    np.savez("two.npz", a=numbers["x0"], b=numbers["x1"])

    two = lstm("run", *BIDIRECTIONAL, "-l", "top", "-l", "bottom").refusal()
    shared = lstm("run", f"{stem}.h5", "two.npz", "-l", "shared").refusal()
    flags = lstm("run", *BIDIRECTIONAL, "--return-state").refusal()
    plain = lstm("run", *BIDIRECTIONAL, "-l", "praise", "--return-state").refusal()

    assert two == "run shows one layer at a time, 2 are chosen"
    assert shared == "'shared' means several calls; choose one of: shared@0, shared@1"
    assert flags == (
        "return_sequences and return_state choose what a layer returns; name the layer"
    )
    assert plain == "'praise' (Dense) has no sequences or states to return"


def test_a_call_is_accepted_where_the_layer_is_run_directly(lstm: Cli) -> None:
    direct = lstm("states", MODEL, INPUT, "--layer", "lstm@0", "--direct").succeeded()
    assert direct.out == lstm("states", MODEL, INPUT).out


def test_ambiguous_suffixes_list_what_they_mean(lstm: Cli) -> None:
    names = ("left/lstm", "right/lstm")
    groups = {
        name: dict(zip(("kernel", "recurrent_kernel", "bias"), random_lstm(k, 3, 3), strict=True))
        for k, name in enumerate(names)
    }
    write_hdf5(Path("m.h5"), sequential(*(layer(name, 3) for name in names)), groups)
    np.save("x.npy", np.zeros((2, 3), np.float32))

    message = lstm("states", "m.h5", "x.npy", "--layer", "lstm").refusal()
    left = lstm("states", "m.h5", "x.npy", "--layer", "left/lstm").succeeded()

    assert message == "'lstm' means several layers; choose one of: left/lstm, right/lstm"
    assert left.table.header[1] == "h[0]"


@pytest.mark.parametrize("command", [["states", BIDIRECTIONAL[1]], ["weights"]])
def test_a_layer_chosen_twice_is_chosen_once(lstm: Cli, command: list[object]) -> None:
    name, *inputs = command
    once = lstm(name, BIDIRECTIONAL[0], *inputs, "-l", "middle").succeeded()
    twice = lstm(name, BIDIRECTIONAL[0], *inputs, "-l", "middle", "-l", "middle").succeeded()
    assert twice.out == once.out
