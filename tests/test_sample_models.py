"""Our numbers against the framework's, for every sample model, and the claims of their README."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstm_cli

Array = NDArray[Any]

SAMPLES = Path(__file__).parent.parent / "sample_models"
README = (SAMPLES / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^lstm (.+)$", README, re.MULTILINE)
NAMES = sorted(path.name.removesuffix(".golden.npz") for path in SAMPLES.glob("*.golden.npz"))
INPUTS = ("x", "heard", "said")
TRACED = re.compile(r"(\w+/)*([hcifgo]|final_[hc]|mask)|\w+/output")
STEPS = {"h", "c", "i", "f", "g", "o", "final_h", "final_c"}
OTHERS = {
    "three_steps": {"last", "sequence", "state_h", "state_c"},
    "stateful": {
        *("second_output", "second_h", "second_c", "second_final_h", "second_final_c"),
        *("own_output", "own_h", "own_c", "own_final_h", "own_final_c"),
        *("own_initial_h", "own_initial_c"),
    },
}
"""Golden arrays that have a test of their own below."""


def golden(name: str) -> dict[str, Array]:
    with np.load(SAMPLES / f"{name}.golden.npz") as file:
        return dict(file)


def sample(name: str) -> tuple[lstm_cli.Model, Any, dict[str, Array]]:
    """The model, its input as the API takes it, and what the framework returned."""
    arrays = golden(name)
    inputs = {key: arrays.pop(key) for key in INPUTS if key in arrays}
    x = inputs["x"] if "x" in inputs else inputs
    return lstm_cli.load(SAMPLES / f"{name}.keras"), x, arrays


def close(ours: Array, theirs: Array, name: str = "") -> None:
    """At most 1e-5 · max(1, max |reference|) apart.

    Both compute in float32, whose roundings (6e-8 each) add up over the steps.
    """
    assert ours.shape == theirs.shape, name
    atol = 1e-5 * max(1.0, float(np.nanmax(np.abs(theirs))))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol, err_msg=name)


def test_there_are_samples_and_each_is_complete() -> None:
    models = {path.stem for path in SAMPLES.glob("*.keras")}

    assert len(models) >= 6
    assert models == set(NAMES), "a model without a golden file, or the reverse"
    for name in models:
        files = {path.name for path in SAMPLES.glob(f"*{name}.*")}
        assert f"make_{name}.py" in files
        assert files & {f"{name}.csv", f"{name}.npy", f"{name}.npz"}, f"{name} has no input"
        assert f"`{name}.keras`" in README
        assert any(f"/{name}.keras" in command for command in COMMANDS)
    assert sum(path.stat().st_size for path in SAMPLES.iterdir() if path.is_file()) < 1_000_000


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_file_holds_every_gate_and_state_and_nothing_untested(name: str) -> None:
    arrays = golden(name)
    expected = set(arrays) - set(INPUTS)

    prefixes = {key.rpartition("/")[0] for key in expected if key.rpartition("/")[2] == "c"}
    assert prefixes
    for prefix in prefixes:
        wanted = {f"{prefix}/{step}".lstrip("/") for step in STEPS}
        assert wanted <= expected, prefix
    tested = {key for key in expected if TRACED.fullmatch(key)} | {"output"}
    assert expected == tested | OTHERS.get(name, set())


@pytest.mark.parametrize("name", NAMES)
def test_the_output_is_the_framework_s(name: str) -> None:
    model, x, arrays = sample(name)
    close(lstm_cli.run(model, x), arrays["output"])


@pytest.mark.parametrize("name", NAMES)
def test_every_gate_and_state_is_the_framework_s(name: str) -> None:
    model, x, arrays = sample(name)
    trace = lstm_cli.trace(model, x)

    expected = {key: array for key, array in arrays.items() if TRACED.fullmatch(key)}
    for layer in model.lstm_layers:  # a golden mask holds for all layers
        if "mask" in arrays:
            expected[f"{layer.address}/mask"] = arrays["mask"]
    expected.pop("mask", None)
    assert expected
    for key, array in expected.items():
        close(trace.arrays[key].astype(np.float32), array.astype(np.float32), key)


COPIES = ("three_steps.h5", "three_steps.pt", "three_steps.safetensors", "three_steps.onnx")


@pytest.mark.parametrize("name", COPIES)
def test_the_same_weights_from_another_framework_s_file_give_the_same_trace(name: str) -> None:
    """Keras's own numbers, from the files of four writers."""
    arrays = golden("three_steps")
    trace = lstm_cli.trace(lstm_cli.load(SAMPLES / name), arrays["x"])
    for key in sorted(STEPS):
        close(trace.arrays[key], arrays[key], key)


@pytest.mark.parametrize("name", COPIES[1:])
def test_the_copies_return_what_pytorch_returned(name: str) -> None:
    with np.load(SAMPLES / "three_steps.torch.npz") as file:
        arrays = dict(file)
    returned = lstm_cli.run(lstm_cli.load(SAMPLES / name), arrays["x"])
    for ours, key in zip(returned, ("output", "h_n", "c_n"), strict=True):
        close(ours, arrays[key], key)


@pytest.mark.parametrize("name", ["forecaster", "three_steps", "brackets"])
def test_the_csv_is_the_input_of_the_golden_file(name: str) -> None:
    x = golden(name)["x"][0]
    table = np.loadtxt(SAMPLES / f"{name}.csv", np.float32, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(table.reshape(x.shape), x.astype(np.float32))


def test_the_other_inputs_are_those_of_the_golden_files() -> None:
    words = golden("bidirectional")["x"]
    np.testing.assert_array_equal(np.load(SAMPLES / "bidirectional.npy"), words)
    table = np.loadtxt(SAMPLES / "bidirectional.csv", np.int32, skiprows=1)
    np.testing.assert_array_equal(table, words[1])
    np.testing.assert_array_equal(np.load(SAMPLES / "stateful.npy"), golden("stateful")["x"])
    with np.load(SAMPLES / "encoder_decoder.npz") as inputs:
        for name in ("heard", "said"):
            np.testing.assert_array_equal(inputs[name], golden("encoder_decoder")[name])
    with np.load(SAMPLES / "stateful.state.npz") as state:
        for name in ("h", "c"):
            np.testing.assert_array_equal(state[name], golden("stateful")[f"own_initial_{name}"])


@pytest.mark.parametrize("file", ["three_steps.keras", "three_steps.h5"])
@pytest.mark.parametrize("state", [False, True], ids=["no state", "state"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
def test_the_four_kinds_of_return(file: str, sequences: bool, state: bool) -> None:
    arrays = golden("three_steps")
    model = lstm_cli.load(SAMPLES / file)

    returned = lstm_cli.run(
        model,
        arrays["x"],
        layer="lstm",
        return_sequences=sequences,
        return_state=state,
        named=True,
    )

    expected = {"output": arrays["sequence" if sequences else "last"]}
    if state:
        expected |= {name: arrays[name] for name in ("state_h", "state_c")}
    assert list(returned) == list(expected)
    for name, array in expected.items():
        close(returned[name], array, name)


def single(trace: lstm_cli.Trace | lstm_cli.Traces) -> lstm_cli.Trace:
    assert isinstance(trace, lstm_cli.Trace)
    return trace


def test_a_second_call_goes_on_where_the_first_ended() -> None:
    model, x, arrays = sample("stateful")

    state = single(lstm_cli.trace(model, x)).final_state
    second = single(lstm_cli.trace(model, x, initial_state=state))

    close(lstm_cli.run(model, x, initial_state=state), arrays["second_output"])
    for name in ("h", "c", "final_h", "final_c"):
        close(second.arrays[name], arrays[f"second_{name}"], name)
    assert np.abs(arrays["second_h"] - arrays["h"])[:, 0].max() > 0.1, "the state must matter"


def test_a_run_begins_at_a_state_of_one_s_own() -> None:
    model, x, arrays = sample("stateful")

    own = lstm_cli.State(arrays["own_initial_h"], arrays["own_initial_c"])
    trace = single(lstm_cli.trace(model, x, initial_state=own))

    close(lstm_cli.run(model, x, initial_state=own), arrays["own_output"])
    for name in ("h", "c", "final_h", "final_c"):
        close(trace.arrays[name], arrays[f"own_{name}"], name)


@pytest.mark.parametrize("shape", [(24, 5), (5, 23), (4, 24), (5, 1, 24)])
def test_a_state_of_the_wrong_shape_is_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    model, x, _ = sample("stateful")
    state = lstm_cli.State(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    with pytest.raises(lstm_cli.ShapeError) as refused:
        lstm_cli.run(model, x, initial_state=state)

    assert "(5, 24)" in str(refused.value)
    assert str(shape) in str(refused.value)


def test_the_chunks_of_a_sequence_give_what_the_whole_gives() -> None:
    model, x, arrays = sample("stateful")

    first = single(lstm_cli.trace(model, x[:, :15]))
    rest = single(lstm_cli.trace(model, x[:, 15:], initial_state=first.final_state))

    for name in ("h", "c", "i", "f", "g", "o"):
        both = np.concatenate([first.arrays[name], rest.arrays[name]], axis=1)
        close(both, arrays[name], name)


def test_the_middle_layer_s_padded_steps_are_shown_as_such() -> None:
    model, x, _ = sample("bidirectional")
    padded = x == 0

    trace = lstm_cli.trace(model, x, layer="middle")

    assert 0 < padded.sum() < padded.size
    np.testing.assert_array_equal(trace.arrays["mask"], ~padded)
    for part in ("forward", "backward"):
        for gate in ("i", "f", "g", "o"):
            values = trace.arrays[f"{part}/{gate}"]
            np.testing.assert_array_equal(np.isnan(values).all(axis=-1), padded)
            np.testing.assert_array_equal(np.isnan(values).any(axis=-1), padded)


def test_the_decoder_begins_where_the_encoder_ended() -> None:
    model, x, _ = sample("encoder_decoder")

    trace = lstm_cli.trace(model, x)

    for name in ("h", "c"):
        begun = trace.arrays[f"decoder/initial_{name}"]
        np.testing.assert_array_equal(begun, trace.arrays[f"encoder/final_{name}"])
    said = lstm_cli.run(model, x).argmax(axis=-1)
    np.testing.assert_array_equal(said, x["heard"][:, ::-1])


def test_a_cell_counts_the_open_brackets() -> None:
    model, x, _ = sample("brackets")
    text = (SAMPLES / "brackets.labels.txt").read_text(encoding="utf-8").splitlines()
    depth = np.loadtxt(SAMPLES / "brackets.depth.csv", np.int64, skiprows=1)

    counted = [sum(c in "([" for c in text[: t + 1]) for t in range(len(text))]
    closed = [sum(c in ")]" for c in text[: t + 1]) for t in range(len(text))]
    np.testing.assert_array_equal(depth, np.subtract(counted, closed))

    c = single(lstm_cli.trace(model, x)).c[0]
    assert len(c) == len(depth) == x.shape[1]
    assert np.corrcoef(c[:, 0], depth)[0, 1] > 0.99, "README: cell 0 counts up"
    assert np.corrcoef(c[:, 4], depth)[0, 1] < -0.99, "README: cell 4 counts down"
    all_closed = lstm_cli.run(model, x)[0, :, 0] > 0.5
    np.testing.assert_array_equal(all_closed, depth == 0)


def test_the_forecast_is_better_than_last_month_s_temperature() -> None:
    model, x, _ = sample("forecaster")
    after = x[0, 600:, 1]  # from January 2000 on, which the model was not trained on

    forecast = lstm_cli.run(model, x)[0, 599:-1, 0]

    def error(guess: Array) -> float:
        return float(np.sqrt(np.mean((guess - after) ** 2)))

    assert error(forecast) < 0.5 < 1.1 < error(x[0, 599:-1, 1])


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_run(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lstm_cli", *command.split()],
        cwd=SAMPLES.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert "step" in header.split(",")
    table = np.array([row.split(",") for row in rows], np.float64)
    assert len(table)
    values = table[:, header.split(",").index("step") + 1 :]
    assert np.isfinite(values).all(), "no gate of a padded step is in these examples"
