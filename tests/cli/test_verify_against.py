"""``lstm verify --against``: which files, what is compared, and what is said where it fails."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cli_runs import GOLDEN, ROOT, SAMPLES, Array, Cli, load_npz

import lstm_cli
from lstm_cli import UnsupportedFeatureError, verification
from lstm_cli.peers.frameworks import Results, told

THREE, CSV = SAMPLES / "three_steps", SAMPLES / "three_steps.csv"
TORCH = ROOT / "tests" / "golden" / "torch"


# -- which files a framework is asked to run


@pytest.mark.parametrize(
    ("file", "framework", "message"),
    [
        ("three_steps.keras", "torch", "torch does not read {} (Keras archive (.keras)); use"),
        ("three_steps.h5", "onnxruntime", "(Keras HDF5, whole model); use --against keras"),
        ("three_steps.pt", "keras", "(PyTorch zip archive, state dict); use --against torch"),
        ("three_steps.onnx", "keras", "keras does not read {} (ONNX); use --against onnxruntime"),
    ],
)
def test_a_file_of_another_framework(lstm: Cli, file: str, framework: str, message: str) -> None:
    path = SAMPLES / file
    done = lstm("verify", path, CSV, "--against", framework)
    assert message.format(path) in done.refusal()


def test_a_program_is_not_run(lstm: Cli) -> None:
    np.save("x.npy", np.zeros((5, 4), np.float32))
    done = lstm("verify", TORCH / "script.pt", "x.npy", "--layer", "lstm", "--against", "torch")
    assert "script.pt here (TorchScript archive); give EXPECTED numbers" in done.refusal()


def test_weights_alone_are_no_model_to_run(lstm: Cli) -> None:
    path = GOLDEN / "keras2" / "k2.2.4_tensorflow_nested.weights.h5"
    assert (
        "keras runs whole models, and "
        f"{path} holds none: the file holds weights alone; give EXPECTED numbers instead"
    ) in lstm("verify", path, CSV, "--against", "keras").refusal()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CSV], "lies beside it; found 1 argument after MODEL"),
        ([CSV, CSV, CSV], "lies beside it; found 3 arguments after MODEL"),
        (["--against", "keras"], "--against keras takes MODEL INPUT; found no arguments after"),
        ([CSV, CSV, "--against", "keras"], "takes MODEL INPUT; found 2 arguments after MODEL"),
    ],
)
def test_arguments_are_counted(lstm: Cli, arguments: list[object], message: str) -> None:
    assert message in lstm("verify", THREE.with_suffix(".keras"), *arguments).refusal()


# -- what a framework says, in one line


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("", "ValueError"),
        ("Unknown layer: 'Merge'. Please ensure …\nmore", "Unknown layer: 'Merge'"),
        ("\x1b[1mNo cast function available.\x1b[0m", "No cast function available"),
        (
            "Sequential could not be deserialized properly. config={'a': 1}\n\n"
            "Exception encountered: Could not locate class 'Mine'. Full object config: {'b': 2}",
            "Could not locate class 'Mine'",
        ),
        (
            "Weights only load failed.\n\tWeightsUnpickler error: Unsupported global: GLOBAL "
            "__main__.Net was not an allowed global by default.\n\nCheck the documentation.",
            "it holds code or objects of __main__.Net",
        ),
        (
            "Please file an issue: WeightsUnpickler error: \n\nUnsupported operand 149\n\nCheck",
            "Unsupported operand 149",
        ),
        (
            "Exception encountered when calling layer 'cu' (type CuDNNLSTM).\n\nNo device",
            "No device",
        ),
        (
            "Error(s) in loading state_dict for LSTM:\n\tMissing key(s): 'weight_hh_l0'. ",
            "Error(s) in loading state_dict for LSTM: Missing key(s): 'weight_hh_l0'",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: /a/lstm_base.h:53 "
            "LSTMBase(const OpKernelInfo&) layout_ == 0 was false.",
            "layout_ == 0 was false",
        ),
        ("word " * 100, "word " * 39 + "word …"),
    ],
)
def test_the_cause_in_a_framework_s_message(message: str, line: str) -> None:
    assert told(ValueError(message)) == line


# -- what is compared


def peer(monkeypatch: pytest.MonkeyPatch, by: str, arrays: dict[str, dict[str, Array]]) -> None:
    """Stands in for an installed framework."""
    monkeypatch.setattr(verification, "framework_results", lambda *arguments: Results(by, arrays))


def test_a_difference_comes_with_what_may_explain_it(
    lstm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = GOLDEN / "keras2" / "k2.2.4_tensorflow_nested.h5"
    given = load_npz(path.with_suffix(".npz"))
    np.save("x.npy", given["x0"])
    output = given["y0"].copy()
    peer(monkeypatch, "tf_keras 2.21.0", {"": {"output": output}})
    same = lstm("verify", path, "x.npy", "--against", "keras", "--json")
    assert (same.code, same.err) == (0, "")
    facts = json.loads(same.text)
    assert (facts["by"], facts["notes"]) == ("tf_keras 2.21.0", [])

    output.flat[0] += 1e-2
    done = lstm("verify", path, "x.npy", "--against", "keras", "--json")
    assert done.code == 1
    assumed, version = json.loads(done.text)["notes"]
    assert assumed == "hard_sigmoid (0.2x + 0.5), because keras_version is 2.2.4"
    assert version.startswith("Keras 2.2.4 wrote the file and tf_keras 2.21.0")
    assert [note.removeprefix("note: ") for note in done.notes] == [assumed, version]


def test_keras_3_is_not_the_one_to_ask_about_older_files(
    lstm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer(monkeypatch, "keras 3.15.1", {"": {"output": np.full((1, 1), 9.0, np.float32)}})
    done = lstm("verify", THREE.with_suffix(".h5"), CSV, "--against", "keras", "--json")
    advice, version = json.loads(done.text)["notes"]
    assert "wrote the file; tf_keras, where it is installed and can load it" in advice
    assert "and keras 3.15.1 ran it" in version


def test_the_version_that_wrote_the_file_explains_nothing(
    lstm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer(monkeypatch, "keras 3.15.1", {"": {"output": np.full((1, 1), 9.0, np.float32)}})
    done = lstm("verify", THREE.with_suffix(".keras"), CSV, "--against", "keras", "--json")
    assert (done.code, json.loads(done.text)["notes"]) == (1, [])


def test_what_leads_to_an_uncomputed_output_verifies_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The input layer alone would be equal, and the model's output is not ours to compute."""
    path = GOLDEN / "keras3" / "k3.15.1_tensorflow_convlstm2d.keras"
    model = lstm_cli.load(path)
    given = load_npz(path.with_suffix(".npz"))
    first = model.layers[0].address
    arrays = {"": {"output": given["y0"]}, first: {"output": given["x0"]}}
    peer(monkeypatch, "keras 3.15.1", arrays)
    with pytest.raises(UnsupportedFeatureError, match="ConvLSTM2D"):
        lstm_cli.verify(model, given["x0"], against="keras")


@pytest.mark.parametrize("array", ["lstm/lstm/lstm_cell/bias:0", "lstm/lstm/lstm_cell/kernel:0"])
def test_a_weight_that_was_changed_is_found(lstm: Cli, array: str) -> None:
    """One number of the file, by 1 %; what the framework computed lies beside it."""
    shutil.copy(THREE.with_suffix(".h5"), "changed.h5")
    shutil.copy(THREE.with_suffix(".golden.npz"), "changed.golden.npz")
    lstm("verify", "changed.h5").succeeded()
    with h5py.File("changed.h5", "r+") as file:
        values = file["model_weights"][array]
        values[..., 0] *= 1.01
    done = lstm("verify", "changed.h5", "--json")
    assert done.code == 1
    verdicts = {row["array"]: row["verdict"] for row in json.loads(done.text)["arrays"]}
    assert verdicts["i"] == verdicts["h"] == "different"  # column 0 is the input gate's


# -- with the frameworks themselves


def needs(*libraries: str) -> pytest.MarkDecorator:
    missing = [name for name in libraries if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def compared(lstm: Cli, framework: str, path: Path, *options: object) -> dict[str, Any]:
    """The facts of a comparison in which all is equal; frameworks may chatter."""
    done = lstm("verify", path, "x.npy", "--against", framework, "--json", *options)
    assert done.code == 0, done.err
    facts: dict[str, Any] = json.loads(done.text)
    assert facts["same"]
    return facts


@pytest.mark.framework
@needs("keras", "tensorflow", "tf_keras")
@pytest.mark.parametrize(
    ("file", "by", "names"),
    [
        ("keras2/k2.2.4_tensorflow_nested.h5", "tf_keras", ["inner_seq/lstm_1/state_c"]),
        ("keras2/k2.2.4_tensorflow_stacked_return_state.h5", "tf_keras", ["rnn_1/0/c"]),
        ("keras3/k3.15.1_tensorflow_nested_seq_first.keras", "keras", ["inner_seq/lstm/state_h"]),
        ("keras3/k3.15.1_tensorflow_stacked_states.keras", "keras", []),
    ],
)
def test_keras_looks_into_every_layer(lstm: Cli, file: str, by: str, names: list[str]) -> None:
    np.save("x.npy", load_npz((GOLDEN / file).with_suffix(".npz"))["x0"])
    facts = compared(lstm, "keras", GOLDEN / file)
    assert facts["by"].split()[0] == by
    assert facts["unchecked"] == []
    assert set(names) <= {row["array"] for row in facts["arrays"]}


@pytest.mark.framework
@needs("keras", "tensorflow", "tf_keras")
def test_keras_looks_into_every_call_of_a_layer(lstm: Cli) -> None:
    path = GOLDEN / "keras2" / "k2.3.1_tensorflow_func_shared.h5"
    arrays = load_npz(path.with_suffix(".npz"))
    inputs = [entry.name for entry in lstm_cli.load(path).inputs]
    np.savez("x.npz", **{name: arrays[f"x{k}"] for k, name in enumerate(inputs)})  # type: ignore[arg-type]
    done = lstm("verify", path, "x.npz", "--against", "keras", "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.text)
    assert facts["unchecked"] == []
    assert {"shared@0/state_c", "shared@1/output"} <= {row["array"] for row in facts["arrays"]}


@pytest.mark.framework
@needs("tensorflow", "tf_keras")
def test_a_lambda_in_a_file_is_never_run(lstm: Cli, tmp_path: Path) -> None:
    """tf_keras itself would run it while it loads an HDF5 file."""
    import tf_keras  # type: ignore[import-not-found,unused-ignore]

    shown = tmp_path / "shown"
    code = f"lambda x: (open({str(shown)!r}, 'w').close(), x)[1]"
    function = eval(code)  # as a file's author might write it
    inputs = tf_keras.Input((3, 2))
    outputs = tf_keras.layers.LSTM(2)(tf_keras.layers.Lambda(function)(inputs))
    with pytest.warns(UserWarning, match="legacy"):
        tf_keras.Model(inputs, outputs).save(tmp_path / "lambda.h5")
    shown.unlink()

    np.save("x.npy", np.zeros((1, 3, 2), np.float32))
    done = lstm("verify", tmp_path / "lambda.h5", "x.npy", "--against", "keras")

    assert done.code == 2
    assert "Lambda" in done.err
    assert not shown.exists()


@pytest.mark.framework
@needs("torch")
@pytest.mark.parametrize(
    "file",
    ["sd_weightnorm.pt", "sd_weightnorm_old.pt", "made/weightnorm_axes.pt", "made/pruned.pt"],
)
def test_torch_puts_split_weights_together(lstm: Cli, file: str) -> None:
    (layer,) = lstm_cli.load(TORCH / file).lstm_layers
    assert layer.recurrent is not None
    x = np.random.default_rng(0).normal(size=(2, 6, layer.recurrent.input_size))
    np.save("x.npy", x.astype(np.float32))
    facts = compared(lstm, "torch", TORCH / file)
    assert facts["by"].startswith("torch ")
    assert len(facts["arrays"]) == 3
