"""``lstm states``, ``gates`` and ``export``: their numbers, against the framework's own."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from cli_runs import GOLDEN, SAMPLES, Cli, assert_close, load_npz

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"


def golden(name: str) -> dict[str, np.ndarray]:
    return load_npz(SAMPLES / f"{name}.golden.npz")


def test_states_prints_h_and_c_of_every_step(lstm: Cli) -> None:
    table = lstm.csv("states", MODEL, INPUT)

    assert table.header == ["step", "h[0]", "c[0]"]
    np.testing.assert_array_equal(table.column("step"), [0, 1, 2])
    assert_close(table.columns("h"), golden("three_steps")["h"][0])
    assert_close(table.columns("c"), golden("three_steps")["c"][0])


def test_gates_prints_the_four_gates_of_every_step(lstm: Cli) -> None:
    table = lstm.csv("gates", MODEL, INPUT)

    assert table.header == ["step", "i[0]", "f[0]", "g[0]", "o[0]"]
    for name in "ifgo":
        assert_close(table.columns(name), golden("three_steps")[name][0])


def test_pre_activations_are_what_the_activations_are_applied_to(lstm: Cli) -> None:
    table = lstm.csv("gates", MODEL, INPUT, "--pre-activation")

    assert table.header[5:] == ["z_i[0]", "z_f[0]", "z_g[0]", "z_o[0]"]
    for name in "ifo":
        assert_close(table.columns(name), 1 / (1 + np.exp(-table.columns(f"z_{name}"))))
    assert_close(table.columns("g"), np.tanh(table.columns("z_g")))


def test_export_to_standard_output_holds_everything_with_steps(lstm: Cli) -> None:
    done = lstm("export", MODEL, INPUT, "-o", "-")

    names = ["h", "c", "i", "f", "g", "o", "output"]
    assert done.table.header == ["step", *(f"{name}[0]" for name in names)]
    for name in names[:-1]:
        assert_close(done.table.columns(name), golden("three_steps")[name][0])
    assert_close(done.table.columns("output"), golden("three_steps")["sequence"][0])
    assert done.notes == [
        "note: csv holds steps only; left out: initial_h, initial_c, final_h, final_c"
    ]


def test_without_a_batch_axis_there_is_none_in_the_result(lstm: Cli) -> None:
    lstm("export", SAMPLES / "forecaster.keras", SAMPLES / "forecaster.csv", "-o", "f.npz")

    arrays = load_npz(Path("f.npz"))

    shapes = {name: array.shape for name, array in arrays.items() if name != "meta"}
    assert shapes == {
        **dict.fromkeys("hcifgo", (732, 8)),
        "output": (732, 8),
        **dict.fromkeys(("initial_h", "initial_c", "final_h", "final_c"), (8,)),
    }
    expected = golden("forecaster")
    for name in "hcifgo":
        assert_close(arrays[name], expected[name][0])
    assert_close(arrays["final_h"], expected["final_h"][0])
    assert_close(arrays["final_c"], expected["final_c"][0])
    np.testing.assert_array_equal(arrays["output"], arrays["h"])


def test_a_batch_of_one_keeps_its_axis(lstm: Cli) -> None:
    np.save("x.npy", golden("three_steps")["x"])  # (1, 3, 1)

    table = lstm.csv("states", MODEL, "x.npy")
    lstm("states", MODEL, "x.npy", "-o", "s.npz").succeeded()

    assert table.header == ["sequence", "step", "h[0]", "c[0]"]
    np.testing.assert_array_equal(table.column("sequence"), [0, 0, 0])
    assert load_npz(Path("s.npz"))["h"].shape == (1, 3, 1)
    assert_close(load_npz(Path("s.npz"))["h"], golden("three_steps")["h"])


def test_parts_of_one_chosen_layer_have_names_without_its_address(lstm: Cli) -> None:
    model, data = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"
    lstm("export", model, data, "--layer", "middle", "-o", "m.npz").succeeded()

    arrays, expected = load_npz(Path("m.npz")), golden("bidirectional")

    assert "forward/h" in arrays
    assert not any(name.startswith("middle") for name in arrays)
    for part in ("forward", "backward"):
        for name in (*"hcifgo", "final_h", "final_c"):
            assert_close(arrays[f"{part}/{name}"], expected[f"middle/{part}/{name}"])
    np.testing.assert_array_equal(arrays["mask"], expected["mask"])
    assert_close(arrays["output"], expected["middle/output"])


def test_all_layers_have_their_addresses_in_front(lstm: Cli) -> None:
    model, data = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"
    lstm("export", model, data, "-o", "all.h5").succeeded()

    expected = golden("bidirectional")
    with h5py.File("all.h5") as file:
        for layer in ("bottom", "middle", "top"):
            for part in ("forward", "backward"):
                for name in "hcifgo":
                    place = f"{layer}/{part}/{name}"
                    assert_close(file[place][()], expected[place])
        assert "meta" in file or "meta" in file.attrs


def test_masked_steps_carry_the_state_and_have_no_gates(lstm: Cli) -> None:
    model, data = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.csv"
    table = lstm.csv("gates", model, data, "--layer", "bottom", "--tensors", "h,f,mask")

    real = golden("bidirectional")["mask"][1]  # the .csv holds the second of the .npy's sequences
    np.testing.assert_array_equal(table.column("mask"), real)
    assert real.tolist() == [True] * 6 + [False] * 4
    assert np.isnan(table.columns("forward/f")[~real]).all()
    assert not np.isnan(table.columns("forward/f")[real]).any()
    repeated = np.repeat(table.columns("forward/h")[5:6], 4, axis=0)
    np.testing.assert_array_equal(table.columns("forward/h")[6:], repeated)
    assert "nan" in lstm("gates", model, data).text


def test_several_inputs_of_one_model_come_from_an_archive(lstm: Cli) -> None:
    model, data = SAMPLES / "encoder_decoder.keras", SAMPLES / "encoder_decoder.npz"
    lstm("states", model, data, "-o", "s.npz").succeeded()

    arrays, expected = load_npz(Path("s.npz")), golden("encoder_decoder")
    assert set(arrays) == {"encoder/h", "encoder/c", "decoder/h", "decoder/c", "meta"}
    for name in set(arrays) - {"meta"}:
        assert_close(arrays[name], expected[name])


def test_input_and_weights_are_exported_on_request(lstm: Cli) -> None:
    lstm("export", MODEL, INPUT, "--with-input", "--with-weights", "-o", "t.npz").succeeded()
    arrays = load_npz(Path("t.npz"))

    assert_close(arrays["x"], golden("three_steps")["x"][0])
    z = arrays["x"] @ arrays["kernel"] + arrays["bias"]
    z[1:] += arrays["h"][:-1] @ arrays["recurrent_kernel"]
    gates = np.split(z, 4, axis=-1)  # in the order i f g o
    for name, gate in zip("ifgo", gates, strict=True):
        expected = np.tanh(gate) if name == "g" else 1 / (1 + np.exp(-gate))
        assert_close(arrays[name], expected)


def test_one_layer_in_float64(lstm: Cli) -> None:
    single = lstm.csv("states", MODEL, INPUT)
    double = lstm("states", MODEL, INPUT, "--dtype", "float64").succeeded()

    assert_close(double.table.values, single.values, 1e-6)
    assert len(double.text.splitlines()[1].split(",")[1]) > len("0.159126222")


@pytest.mark.parametrize("threads", ["1", "2"])
def test_threads_do_not_change_the_numbers(lstm: Cli, threads: str) -> None:
    table = lstm.csv("states", MODEL, INPUT, "--threads", threads)
    assert_close(table.columns("c"), golden("three_steps")["c"][0])


def test_batch_size_does_not_change_the_numbers(lstm: Cli) -> None:
    data = SAMPLES / "stateful.npy"
    table = lstm.csv("states", SAMPLES / "stateful.keras", data, "--batch-size", "2")

    expected = golden("stateful")["h"]  # (5, 40, 24)
    assert_close(table.columns("h"), expected.reshape(200, 24))


def test_shared_layers_are_numbered_by_their_calls(lstm: Cli) -> None:
    stem = GOLDEN / "keras2" / "k2.3.1_tensorflow_func_shared"
    numbers = load_npz(Path(f"{stem}.npz"))
    np.savez("two.npz", a=numbers["x0"], b=numbers["x1"])
    lstm("export", f"{stem}.h5", "two.npz", "--layer", "shared", "-o", "both.npz").succeeded()
    lstm("export", f"{stem}.h5", "two.npz", "--layer", "shared@1", "-o", "one.npz").succeeded()

    both, one = load_npz(Path("both.npz")), load_npz(Path("one.npz"))

    np.testing.assert_array_equal(one["h"], both["shared@1/h"])
    assert_close(both["shared@1/output"], numbers["y1"])  # the model's second output
    assert np.abs(both["shared@0/h"] - both["shared@1/h"]).max() > 0.01
