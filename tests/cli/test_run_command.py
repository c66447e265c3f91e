"""``lstm run``: what the framework returns, for the model and for each of its layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import GOLDEN, SAMPLES, Cli, assert_close, load_npz

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"
BIDIRECTIONAL = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"


def golden(name: str) -> dict[str, np.ndarray]:
    return load_npz(SAMPLES / f"{name}.golden.npz")


@pytest.mark.parametrize("name", ["three_steps", "bidirectional", "encoder_decoder", "stateful"])
def test_without_a_layer_it_is_the_prediction(lstm: Cli, name: str) -> None:
    data = {"three_steps": ".csv", "encoder_decoder": ".npz"}.get(name, ".npy")
    lstm("run", SAMPLES / f"{name}.keras", SAMPLES / f"{name}{data}", "-o", "y.npy").succeeded()

    expected = golden(name)["output"]
    assert_close(np.load("y.npy"), expected[0] if name == "three_steps" else expected)


def test_a_prediction_without_steps_is_a_row_a_sequence(lstm: Cli) -> None:
    table = lstm.csv("run", *BIDIRECTIONAL)

    assert table.header == ["sequence", "output[0]"]
    np.testing.assert_array_equal(table.column("sequence"), np.arange(6))
    assert_close(table.columns("output"), golden("bidirectional")["output"])


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ([], ["output"]),
        (["--return-sequences"], ["sequence"]),
        (["--return-state"], ["output", "state_h", "state_c"]),
        (["--return-sequences", "--return-state"], ["sequence", "state_h", "state_c"]),
        (["--no-return-sequences", "--no-return-state"], ["output"]),
    ],
)
def test_both_return_modes_can_be_chosen(lstm: Cli, flags: list[str], names: list[str]) -> None:
    lstm("run", MODEL, INPUT, "--layer", "lstm", *flags, "-o", "y.npz").succeeded()

    arrays, expected = load_npz(Path("y.npz")), golden("three_steps")
    del arrays["meta"]
    assert list(arrays) == ["output", *names[1:]]
    for found, name in zip(arrays.values(), names, strict=True):
        assert_close(found, expected[name][0])


def test_states_of_both_directions(lstm: Cli) -> None:
    lstm("run", *BIDIRECTIONAL, "-l", "middle", "--return-state", "-o", "y.npz").succeeded()

    arrays, expected = load_npz(Path("y.npz")), golden("bidirectional")
    assert list(arrays) == ["output", "forward_h", "forward_c", "backward_h", "backward_c", "meta"]
    assert_close(arrays["output"], expected["middle/output"])
    for name in ("forward_h", "forward_c", "backward_h", "backward_c"):
        part, state = name.split("_")
        assert_close(arrays[name], expected[f"middle/{part}/final_{state}"])


def test_states_have_no_place_in_a_table_of_steps_which_is_said(lstm: Cli) -> None:
    done = lstm("run", *BIDIRECTIONAL, "-l", "middle", "--return-state")

    assert done.code == 0
    assert done.table.header[:3] == ["sequence", "step", "output[0]"]
    expected = golden("bidirectional")["middle/output"].reshape(60, 12)
    assert_close(done.table.columns("output"), expected)
    assert done.notes == [
        "note: csv holds steps only; left out: forward_h, forward_c, backward_h, backward_c"
    ]


def test_layers_without_recurrence(lstm: Cli) -> None:
    embedded = lstm.csv("run", *BIDIRECTIONAL, "--layer", "word_vectors", "--steps", "0:1")
    dense = lstm.csv("run", *BIDIRECTIONAL, "--layer", "praise")
    words = lstm("run", BIDIRECTIONAL[0], SAMPLES / "bidirectional.csv", "--layer", "words")

    ids = golden("bidirectional")["x"]
    assert embedded.columns("output").shape == (6, 5)
    for row in range(1, 6):  # the same word has the same vector
        same = ids[row, 0] == ids[0, 0]
        assert (embedded.columns("output")[row] == embedded.columns("output")[0]).all() == same
    assert_close(dense.columns("output"), golden("bidirectional")["output"])
    assert words.text.splitlines()[1] == ",".join(map(str, ids[1]))


def test_a_layer_alone_on_what_it_receives(lstm: Cli) -> None:
    lstm("run", *BIDIRECTIONAL, "--layer", "word_vectors", "-o", "vectors.npy").succeeded()
    np.save("mask.npy", golden("bidirectional")["mask"])

    direct = [*("--layer", "bottom", "--direct", "--mask", "mask.npy")]
    lstm("run", BIDIRECTIONAL[0], "vectors.npy", *direct, "-o", "y.npy").succeeded()
    dense = lstm("run", BIDIRECTIONAL[0], "vectors.npy", "--layer", "praise", "--direct")

    assert_close(np.load("y.npy"), golden("bidirectional")["bottom/output"])
    assert dense.refusal() == (
        "layer 'praise' (Dense): input: expected shape (B, ..., 12), found (6, 10, 5)"
    )


def test_an_embedding_run_directly_takes_ids(lstm: Cli) -> None:
    model, data = BIDIRECTIONAL
    through = lstm("run", model, data, "--layer", "word_vectors").succeeded()
    direct = lstm("run", model, data, "--layer", "word_vectors", "--direct").succeeded()

    assert direct.out == through.out


def test_outputs_of_a_model_with_several(lstm: Cli) -> None:
    stem = GOLDEN / "keras3" / "k3.15.1_torch_encdec_states"
    numbers = load_npz(Path(f"{stem}.npz"))
    np.savez("two.npz", enc_in=numbers["x0"], dec_in=numbers["x1"])

    lstm("run", f"{stem}.keras", "two.npz", "-o", "y.npz").succeeded()

    arrays = load_npz(Path("y.npz"))
    assert list(arrays) == ["output_0", "output_1", "output_2", "meta"]
    for k in range(3):
        assert_close(arrays[f"output_{k}"], numbers[f"y{k}"])


def test_stacked_cells_number_their_states(lstm: Cli) -> None:
    stem = GOLDEN / "keras2" / "k2.2.4_tensorflow_rnn_cells"
    np.save("x.npy", load_npz(Path(f"{stem}.npz"))["x0"])

    done = lstm("run", f"{stem}.h5", "x.npy", "-l", "rnn_2", "--return-state", "-o", "y.npz")
    assert done.code == 0
    lstm("states", f"{stem}.h5", "x.npy", "-l", "rnn_2", "-o", "s.npz")

    returned, traced = load_npz(Path("y.npz")), load_npz(Path("s.npz"))
    states = sorted(set(returned) - {"output", "meta"})
    assert states == ["0/c", "0/h", "1/c", "1/h"]
    for name in states:
        np.testing.assert_array_equal(returned[name], traced[name][:, -1])


def test_a_time_major_model_keeps_its_order_in_arrays_alone(lstm: Cli) -> None:
    """Its rows are sequence by sequence all the same: a row's labels must be true."""
    stem = GOLDEN / "tfkeras2" / "tf2.4.4_time_major"
    numbers = load_npz(Path(f"{stem}.npz"))
    np.save("x.npy", numbers["x0"])  # (T, B, F)

    lstm("run", f"{stem}.h5", "x.npy", "-o", "y.npy").succeeded()
    table = lstm.csv("run", f"{stem}.h5", "x.npy")
    last = lstm.csv("run", f"{stem}.h5", "x.npy", "--steps", "1:2")
    lstm("run", f"{stem}.h5", "x.npy", "--steps", "1:2", "-o", "last.npy").succeeded()

    expected = numbers["y0"]  # (2 steps, 3 sequences, 2 units)
    assert_close(np.load("y.npy"), expected)
    np.testing.assert_array_equal(table.column("sequence"), [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(table.column("step"), [0, 1] * 3)
    assert_close(table.columns("output"), expected.swapaxes(0, 1).reshape(6, 2))
    assert_close(last.columns("output"), expected[1])
    assert_close(np.load("last.npy"), expected[1:2])


def test_a_model_of_a_fixed_batch_runs_other_batches_with_a_note(lstm: Cli) -> None:
    np.save("two.npy", np.load(SAMPLES / "stateful.npy")[:2])
    done = lstm("run", SAMPLES / "stateful.keras", "two.npy", "-o", "y.npy")

    assert done.notes == ["note: the model declares 5 sequences for 'channels', the input has 2"]
    assert_close(np.load("y.npy"), golden("stateful")["output"][:2])
