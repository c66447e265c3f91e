"""``--mask``, ``--mask-value``, ``--lengths`` and ``--sequence-column``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import GOLDEN, SAMPLES, Array, Cli, assert_close, load_npz
from keras_files import layer, random_lstm, sequential, write_hdf5
from keras_files import lstm as lstm_layer

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"
NAMES = ("kernel", "recurrent_kernel", "bias")


def batch(*lengths: int, features: int = 3) -> Array:
    """Sequences as one array, large numbers beyond their ends."""
    numbers = np.random.default_rng(7)
    x = numbers.normal(size=(len(lengths), max(lengths), features)).astype(np.float32)
    for row, length in enumerate(lengths):
        x[row, length:] = 1e3
    np.save("x.npy", x)
    Path("lengths.csv").write_text("\n".join(map(str, lengths)) + "\n")
    return x


def group(seed: int, features: int, units: int) -> dict[str, Array]:
    return dict(zip(NAMES, random_lstm(seed, features, units), strict=True))


# -- masks


@pytest.mark.parametrize("text", ["1\n0\n1\n", "true\nfalse\ntrue\n", "m\n1\n0\n1\n", "1,0,1\n"])
def test_masks_of_text(lstm: Cli, text: str) -> None:
    Path("mask.csv").write_text(text)
    Path("two.csv").write_text("0.1\n0.3\n")

    masked = lstm.csv("states", MODEL, INPUT, "--mask", "mask.csv", "--tensors", "h,c,mask")
    without = lstm("states", MODEL, "two.csv").table

    np.testing.assert_array_equal(masked.column("mask"), [1, 0, 1])
    np.testing.assert_array_equal(masked.values[1, 1:3], masked.values[0, 1:3])
    assert_close(masked.values[[0, 2], 1:3], without.values[:, 1:])


def test_a_mask_for_each_sequence(lstm: Cli) -> None:
    np.save("x.npy", np.stack([np.load(SAMPLES / "stateful.npy")[0, :4, :1]] * 2))
    np.save("mask.npy", np.array([[True, True, False, True], [True, True, True, True]]))
    table = lstm("gates", MODEL, "x.npy", "--mask", "mask.npy").table

    missing = np.isnan(table.columns("f")[:, 0]).reshape(2, 4)
    np.testing.assert_array_equal(missing, [[False, False, True, False], [False] * 4])


def test_a_value_that_stands_for_no_step(lstm: Cli) -> None:
    Path("mask.csv").write_text("1\n0\n1\n")
    Path("nan.csv").write_text("0.1\nnan\n0.3\n")
    expected = lstm("states", MODEL, INPUT, "--mask", "mask.csv").succeeded().out

    assert lstm("states", MODEL, INPUT, "--mask-value", "0.2").succeeded().out == expected
    assert lstm("states", MODEL, "nan.csv", "--mask-value", "nan").out == expected


def test_a_masked_value_must_fill_every_feature(lstm: Cli) -> None:
    np.save("x.npy", np.array([[1.0, 5.0], [5.0, 5.0], [5.0, 2.0]]))
    options = ["--mask-value", "5", "--tensors", "mask"]
    table = lstm.csv("states", SAMPLES / "forecaster.keras", "x.npy", *options)

    np.testing.assert_array_equal(table.column("mask"), [1, 0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n0\n", "mask: expected shape (1, 3), as the input has, found (1, 2)"),
        ("1\n0\n5\n", "mask.csv: found 5 at row 3; expected a mask of 0, 1, true or false"),
        ("1,0,1\n1,1,1\n", "mask: expected shape (T,) or (1, T), found (2, 3)"),
    ],
)
def test_masks_that_do_not_fit(lstm: Cli, text: str, message: str) -> None:
    Path("mask.csv").write_text(text)
    for command in ("states", "run"):
        assert lstm(command, MODEL, INPUT, "--mask", "mask.csv").refusal() == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mask", "m", "--mask-value", "1"], "--mask and --mask-value exclude each other"),
        (
            ["--sequence-column", "a", "--window", "2"],
            "--sequence-column and --window exclude each other",
        ),
        (
            ["--sequence-column", "a", "--lengths", "l"],
            "--sequence-column and --lengths exclude each other",
        ),
        (["--window", "2", "--lengths", "l"], "--window and --lengths exclude each other"),
        (["--mask", "m"], "m: there is no such file"),
        (["--lengths", "l"], "l: there is no such file"),
        (["--sequence-column", "a"], "no column 'a'; there is: x"),
    ],
)
def test_options_that_exclude_each_other(lstm: Cli, options: list[str], message: str) -> None:
    for command in ("states", "run"):
        assert lstm(command, MODEL, INPUT, *options).refusal() == message


# -- sequences of unequal length


def test_each_sequence_is_as_if_it_ran_alone(lstm: Cli) -> None:
    x = batch(5, 2, 1, features=1)
    lstm("export", MODEL, "x.npy", "--lengths", "lengths.csv", "-o", "all.npz")
    arrays = load_npz(Path("all.npz"))

    np.testing.assert_array_equal(arrays["lengths"], [5, 2, 1])
    for row, length in enumerate((5, 2, 1)):
        np.save("alone.npy", x[row, :length])
        lstm("export", MODEL, "alone.npy", "-o", "alone.npz")
        alone = load_npz(Path("alone.npz"))
        for name in (*"hcifgo", "output"):
            assert_close(arrays[name][row, :length], alone[name], 1e-6)
            beyond = arrays[name][row, length:]
            assert np.isnan(beyond).all() if name in "ifgo" else (beyond == 0).all()
        assert_close(arrays["final_c"][row], alone["final_c"], 1e-6)


def test_tables_have_no_rows_beyond_an_end(lstm: Cli) -> None:
    batch(3, 2, 1, features=1)
    for command in (["states"], ["run", "--layer", "lstm", "--return-sequences"]):
        table = lstm.csv(command[0], MODEL, "x.npy", "--lengths", "lengths.csv", *command[1:])
        np.testing.assert_array_equal(table.column("sequence"), [0, 0, 0, 1, 1, 2])
        np.testing.assert_array_equal(table.column("step"), [0, 1, 2, 0, 1, 0])
    later = lstm.csv("states", MODEL, "x.npy", "--lengths", "lengths.csv", "--steps", "1:")
    np.testing.assert_array_equal(later.column("sequence"), [0, 0, 1])


def test_rows_are_split_into_sequences_by_a_column(lstm: Cli) -> None:
    Path("long.csv").write_text("x,id\n0.1,b\n0.5,a\n0.2,b\n0.3,b\n0.6,a\n")
    Path("a.csv").write_text("0.5\n0.6\n")
    done = lstm("states", MODEL, "long.csv", "--sequence-column", "id").succeeded()
    lstm("states", MODEL, "long.csv", "--sequence-column", "id", "-o", "s.npz").succeeded()

    np.testing.assert_array_equal(done.table.column("sequence"), [0, 0, 0, 1, 1])
    assert_close(done.table.columns("h")[:3], load_npz(SAMPLES / "three_steps.golden.npz")["h"][0])
    assert_close(done.table.columns("h")[3:], lstm("states", MODEL, "a.csv").table.columns("h"))
    arrays = load_npz(Path("s.npz"))
    np.testing.assert_array_equal(arrays["lengths"], [3, 2])
    assert '"sequences": ["b", "a"]' in str(arrays["meta"])


def test_backward_cells_begin_at_each_sequences_own_end(lstm: Cli) -> None:
    """Also one above the other: what a backward layer hands on begins at index 0."""
    layers = [lstm_layer(f"l{k}", 2, go_backwards=True) for k in range(2)]
    write_hdf5(Path("m.h5"), sequential(*layers), {"l0": group(1, 3, 2), "l1": group(2, 2, 2)})
    x = batch(4, 2, 3)
    lstm("run", "m.h5", "x.npy", "--lengths", "lengths.csv", "-o", "all.npy").succeeded()

    for row, length in enumerate((4, 2, 3)):
        np.save("alone.npy", x[row, :length])
        lstm("run", "m.h5", "alone.npy", "-o", "alone.npy.npy").succeeded()
        found = np.load("all.npy")[row]
        assert_close(found[:length], np.load("alone.npy.npy"), 1e-6)
        assert (found[length:] == 0).all()


def test_layers_after_the_recurrent_one_end_with_it(lstm: Cli) -> None:
    """A Dense with a bias is not zero where its input is; beyond the end it is all the same."""
    numbers = np.random.default_rng(5)
    dense = {"kernel": numbers.normal(size=(2, 2)), "bias": np.array([3.0, 4.0])}
    model = sequential(
        lstm_layer("lstm", 2),
        layer("Dense", "dense", units=2, activation="linear", use_bias=True),
    )
    write_hdf5(Path("m.h5"), model, {"lstm": group(1, 3, 2), "dense": dense})
    x = batch(4, 2)
    lstm("run", "m.h5", "x.npy", "--lengths", "lengths.csv", "-o", "y.npy").succeeded()
    np.save("alone.npy", x[1, :2])
    lstm("run", "m.h5", "alone.npy", "-o", "one.npy").succeeded()

    y = np.load("y.npy")
    assert_close(y[1, :2], np.load("one.npy"), 1e-6)
    np.testing.assert_array_equal(y[1, 2:], np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("GlobalAveragePooling1D", {"data_format": "channels_last"}),
        ("GlobalMaxPooling1D", {"data_format": "channels_last"}),
        ("Flatten", {"data_format": "channels_last"}),
    ],
)
def test_layers_that_would_take_the_filling_for_steps_are_refused(
    lstm: Cli, kind: str, settings: dict[str, str]
) -> None:
    model = sequential(lstm_layer("lstm", 2), layer(kind, "mixer", **settings), shape=(None, 4, 3))
    write_hdf5(Path("m.h5"), model, {"lstm": group(1, 3, 2), "mixer": {}})
    batch(4, 2)
    lengths = ["--lengths", "lengths.csv"]

    assert lstm("run", "m.h5", "x.npy", *lengths).refusal() == (
        "sequences of unequal length would mix with what fills them up: "
        f"'mixer' ({kind}) mixes steps; run each sequence by itself"
    )
    assert lstm("states", "m.h5", "x.npy", *lengths).code == 0  # nothing mixes before the LSTM
    Path("lengths.csv").write_text("4\n4\n")
    assert lstm("run", "m.h5", "x.npy", *lengths).code == 0


def test_a_convolution_before_the_recurrent_layer_is_refused(lstm: Cli) -> None:
    stem = GOLDEN / "keras2" / "k2.3.1_tensorflow_conv_bn"
    np.save("x.npy", load_npz(Path(f"{stem}.npz"))["x0"])
    Path("lengths.csv").write_text("5\n3\n")
    done = lstm("states", f"{stem}.h5", "x.npy", "--lengths", "lengths.csv")

    assert done.code == 2
    assert "'conv1d_1' (Conv1D) mixes steps" in done.err


def test_steps_of_steps_are_refused(lstm: Cli) -> None:
    stem = GOLDEN / "keras3" / "k3.15.1_tensorflow_td_lstm"
    np.save("x.npy", load_npz(Path(f"{stem}.npz"))["x0"])  # (2, 2, 5, 3)
    Path("lengths.csv").write_text("2\n1\n")
    message = lstm("run", f"{stem}.keras", "x.npy", "--lengths", "lengths.csv").refusal()

    assert "'time_distributed' (TimeDistributed(LSTM)) has two axes of steps" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4\n", "lengths: expected whole numbers from 0 to 3, found 4 for sequence 0"),
        ("1\n2\n", "lengths: expected shape (1,), found (2,)"),
        ("-1\n", "lengths.csv: found the length -1 at index 0; expected whole numbers from 0 on"),
        ("1.5\n", "lengths.csv: found the length 1.5 at index 0; expected whole numbers from 0 on"),
    ],
)
def test_lengths_that_do_not_fit(lstm: Cli, text: str, message: str) -> None:
    Path("lengths.csv").write_text(text)
    for command in ("states", "run"):
        assert lstm(command, MODEL, INPUT, "--lengths", "lengths.csv").refusal() == message


def test_a_sequence_of_no_steps_ends_where_it_began(lstm: Cli) -> None:
    batch(3, 0, features=1)
    options = ["--lengths", "lengths.csv", "--initial-state", "0.5", "-o", "s.npz"]
    lstm("export", MODEL, "x.npy", *options).succeeded()

    arrays = load_npz(Path("s.npz"))
    np.testing.assert_array_equal(arrays["h"][1], np.zeros((3, 1)))
    np.testing.assert_array_equal(arrays["final_h"][1], [0.5])


def test_a_time_major_model_and_lengths(lstm: Cli) -> None:
    stem = GOLDEN / "tfkeras2" / "tf2.4.4_time_major"
    numbers = load_npz(Path(f"{stem}.npz"))
    np.save("x.npy", numbers["x0"])  # (2 steps, 3 sequences, 3 features)
    Path("lengths.csv").write_text("2\n1\n0\n")
    lstm("run", f"{stem}.h5", "x.npy", "--lengths", "lengths.csv", "-o", "y.npy").succeeded()

    expected = numbers["y0"].copy()
    expected[1, 1:] = 0
    expected[:, 2] = 0
    assert_close(np.load("y.npy"), expected)
