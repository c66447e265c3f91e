"""ONNX files from end to end: what onnxruntime computed for them, and what we do.

``golden/make_onnx.py`` made the files; what the golden folder says of a file is in its docstrings.
"""

from __future__ import annotations

import json
import random
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import FLOAT32, FLOAT64, NO_FOLDER, ROOT, Array, large_folder, scaled_error
from onnx_files import LSTM_OUTPUTS, X, graph, lstm_model, model, node, port, saved, tensor, weights

import lstm_cli
from lstm_cli.errors import LstmCliError, MissingExtraError, UnsupportedFeatureError
from lstm_cli.model import Foreign
from lstm_cli.traces import Trace, Traces

GOLDEN = ROOT / "tests" / "golden" / "onnx"
FOLDER = large_folder()
HAS_RUNTIME = find_spec("onnxruntime") is not None

framework = [
    pytest.mark.framework,
    pytest.mark.skipif(not HAS_RUNTIME, reason="onnxruntime is not installed"),
]
needs_runtime = [pytest.param(name, marks=framework) for name in ("around", "halves")]

HALF = 1e-3
"""The file's own operators compute in float16, whose numbers are 5e-4 apart at 1."""
EIGHT_BITS = 1e-2
"""onnxruntime rounds what goes into its quantised LSTM to 8 bits at every step."""


def cases(name: str) -> list[tuple[dict[str, Array], list[Array]]]:
    """Inputs by name, and what the framework returns for them, of each case of a file."""
    found = []
    for path in sorted(GOLDEN.glob(f"{name}*.npz")):
        with np.load(path) as arrays:
            inputs = {key[3:]: arrays[key] for key in arrays if key.startswith("in ")}
            outputs = [arrays[f"y{k}"] for k in range(sum(key[0] == "y" for key in arrays))]
        found.append((inputs, outputs))
    assert found
    return found


def outputs_of(found: Array | tuple[Array, ...]) -> list[Array]:
    return list(found) if isinstance(found, tuple) else [found]


def check(found: Array | tuple[Array, ...], expected: list[Array], tolerance: float) -> None:
    listed = outputs_of(found)
    assert len(listed) == len(expected)
    for ours, reference in zip(listed, expected, strict=True):
        assert scaled_error(ours, reference.astype(ours.dtype)) <= tolerance


def part(found: Trace | Traces, name: str) -> Trace:
    """The trace of one direction."""
    assert isinstance(found, Traces)
    return found[name]


def whole(found: Trace | Traces) -> Trace:
    """The trace of the one direction that there is."""
    assert isinstance(found, Trace)
    return found


def kinds(loaded: lstm_cli.Model) -> list[str]:
    return [layer.kind for layer in loaded.layers]


# -- the operator and its weights, without any library


@pytest.mark.parametrize(
    "name",
    [
        *("everything", "coupled_reverse", "opset6", "layout1", "folded", "dequantised"),
        *("external", "settled", "embedded", "branches"),
    ],
)
def test_what_the_runtime_computes(name: str) -> None:
    loaded = lstm_cli.load(GOLDEN / f"{name}.onnx")

    assert "ONNX operators" not in kinds(loaded)
    for inputs, expected in cases(name):
        check(lstm_cli.run(loaded, inputs), expected, FLOAT32)


def test_double_precision() -> None:
    loaded = lstm_cli.load(GOLDEN / "doubles.onnx")
    ((inputs, expected),) = cases("doubles")

    found = lstm_cli.run(loaded, inputs)

    assert {array.dtype for array in found} == {np.dtype(np.float64)}
    check(found, expected, FLOAT64)


@pytest.mark.parametrize(
    "name", ["tf2onnx_hardsig", "tf2onnx_lstm_dense", "torch_ts_tm", "torch_ts_bf_bi2"]
)
def test_what_exporters_write_needs_no_library(name: str) -> None:
    loaded = lstm_cli.load(GOLDEN / "exported" / f"{name}.onnx")
    with np.load(GOLDEN / "exported" / f"{name}.npz") as arrays:
        expected = [arrays[key] for key in arrays if key.startswith("y")]
        x = arrays["x0"]

    assert "ONNX operators" not in kinds(loaded)
    check(lstm_cli.run(loaded, x), expected, FLOAT32)


@pytest.mark.parametrize("name", ["torch_dynamo_tm", "torch_dynamo_bf_bi2"])
def test_the_newer_exporter_of_pytorch(name: str) -> None:
    """Weights in a file beside it, which may be empty; states as constants of zeros."""
    loaded = lstm_cli.load(GOLDEN / "exported" / f"{name}.onnx")
    with np.load(GOLDEN / "exported" / f"{name}.npz") as arrays:
        expected = [arrays[key] for key in arrays if key.startswith("y")]
        x = arrays["x0"]
    if name.endswith("bi2"):
        x = x[:5]

    check(lstm_cli.run(loaded, x), expected, FLOAT32)


# -- the operators around it


@pytest.mark.parametrize("name", needs_runtime)
def test_operators_around_run_in_the_runtime(name: str) -> None:
    loaded = lstm_cli.load(GOLDEN / f"{name}.onnx")

    assert "ONNX operators" in kinds(loaded)
    tolerance = HALF if name == "halves" else FLOAT32
    for inputs, expected in cases(name):
        check(lstm_cli.run(loaded, inputs), expected, tolerance)


@pytest.mark.framework
@pytest.mark.skipif(not HAS_RUNTIME, reason="onnxruntime is not installed")
def test_a_quantised_model() -> None:
    loaded = lstm_cli.load(GOLDEN / "exported" / "torch_ts_tm_q.onnx")
    with np.load(GOLDEN / "exported" / "torch_ts_tm_q.npz") as arrays:
        expected = [arrays[key] for key in arrays if key.startswith("y")]
        found = lstm_cli.run(loaded, arrays["x0"])

    check(found, expected, EIGHT_BITS)
    assert any("dequantised" in note for note in loaded.assumptions)


def test_without_a_library_the_lstm_still_runs_directly() -> None:
    """On what it receives, with zeros where the model would pass states."""
    loaded = lstm_cli.load(GOLDEN / "around.onnx")
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)

    trace = lstm_cli.trace(loaded, x, layer="one", direct=True)

    for name in ("forward", "backward"):
        cell = part(trace, name)
        assert cell.h.shape == (2, 5, 3)
        np.testing.assert_allclose(cell.h, cell.o * np.tanh(cell.c), atol=1e-6)


@pytest.mark.skipif(
    HAS_RUNTIME or find_spec("onnx") is not None, reason="a library for ONNX is installed"
)
def test_without_a_library_operators_say_what_to_install() -> None:
    loaded = lstm_cli.load(GOLDEN / "around.onnx")
    ((inputs, _),) = cases("around")

    with pytest.raises(
        MissingExtraError, match=r"onnxruntime or onnx: pip install 'lstm-cli\[onnx\]'"
    ):
        lstm_cli.run(loaded, inputs)


@pytest.mark.framework
@pytest.mark.skipif(not HAS_RUNTIME, reason="onnxruntime is not installed")
def test_only_what_a_layer_needs_is_run() -> None:
    """The trace of the first LSTM needs the convolution, not what stands behind it."""
    loaded = lstm_cli.load(GOLDEN / "around.onnx")
    ((inputs, _),) = cases("around")
    operators = {
        layer.address: layer.operation.operators
        for layer in loaded.layers
        if isinstance(layer.operation, Foreign)
    }

    assert operators["one:before"] == ("Conv", "Transpose")
    trace = lstm_cli.trace(loaded, inputs, layer="one")
    assert part(trace, "backward").h.shape == (2, 8, 3)


# -- branches, loops, other cells


def test_only_the_branch_that_is_taken_is_traced() -> None:
    """Names repeat in the branches, so that their paths stand in front."""
    loaded = lstm_cli.load(GOLDEN / "branches.onnx")
    names = [layer.address for layer in loaded.lstm_layers]

    assert names == ["outer/then/inner/then/lstm", "outer/then/inner/else/lstm", "outer/else/lstm"]
    low, high, _ = (inputs for inputs, _ in (cases("branches_low") + cases("branches_high")))
    trace = lstm_cli.trace(loaded, low, layer=names[2])
    assert trace.h.shape == (2, 5, 4)
    with pytest.raises(LstmCliError, match="outer/else/lstm"):
        lstm_cli.trace(loaded, high, layer=names[2])


def test_a_loop_around_an_lstm_is_refused_and_the_rest_is_not() -> None:
    loaded = lstm_cli.load(GOLDEN / "loop.onnx")
    ((inputs, expected),) = cases("loop")

    with pytest.raises(UnsupportedFeatureError, match="a Loop around an LSTM"):
        lstm_cli.run(loaded, inputs)
    trace = lstm_cli.trace(loaded, inputs, layer="once")
    assert scaled_error(np.asarray(trace.final_h)[None], expected[1]) <= FLOAT32


def test_a_masked_keras_layer_is_a_loop_that_is_explained() -> None:
    loaded = lstm_cli.load(GOLDEN / "exported" / "tf2onnx_masked.onnx")

    assert not loaded.lstm_layers
    with pytest.raises(UnsupportedFeatureError, match=r"tf2onnx .* masked"):
        lstm_cli.run(loaded, np.zeros((2, 5, 3), np.float32))


def test_a_gru_is_listed_as_what_it_is() -> None:
    facts = lstm_cli.inspect(lstm_cli.load(GOLDEN / "around.onnx"))

    found = {entry["address"]: entry for entry in facts["unsupported"]}
    assert found["gru"]["reason"].startswith("is a GRU, not an LSTM")
    assert found["gru"]["blocks"] == []
    with pytest.raises(UnsupportedFeatureError, match="is a GRU, not an LSTM"):
        lstm_cli.run(lstm_cli.load(GOLDEN / "around.onnx"), np.zeros((2, 3, 8)), layer="gru")


# -- what a file says of itself


def test_the_facts_of_a_file() -> None:
    facts = lstm_cli.inspect(lstm_cli.load(GOLDEN / "everything.onnx"))

    assert facts["format"] == "ONNX"
    assert facts["written_by"] == "make_onnx 1, ONNX opset 14"
    assert [entry["name"] for entry in facts["inputs"]] == ["X", "lens", "h0", "c0"]
    assert facts["inputs"][0]["shape"] == [None, None, 2]
    assert facts["inputs"][1]["dtype"] == "int32"
    assert [entry["name"] for entry in facts["outputs"]] == list(LSTM_OUTPUTS)


def test_initialisers_of_old_files_are_no_inputs() -> None:
    """Before version 4 of the format they had to be listed as inputs too."""
    loaded = lstm_cli.load(GOLDEN / "opset6.onnx")

    assert [entry.name for entry in loaded.inputs] == ["0"]
    assert [layer.address for layer in loaded.lstm_layers] == ["5"]  # unnamed: its first output


def test_sequences_of_unequal_length() -> None:
    """The lengths are an input: behind its end, a sequence has no steps."""
    loaded = lstm_cli.load(GOLDEN / "everything.onnx")
    ((inputs, _),) = cases("everything")

    trace = part(lstm_cli.trace(loaded, inputs), "backward")

    assert inputs["lens"].tolist() == [5, 2, 0]
    np.testing.assert_array_equal(trace.h[1, 2:], 0)
    assert np.isnan(trace.f[1, 2:]).all()
    np.testing.assert_array_equal(trace.final_h[1], trace.h[1, 0])


# -- the suites of ONNX and onnxruntime

PEERS = sorted(FOLDER.glob("peers/peer_o[nr]*/case.json")) if FOLDER else []
PER_STEP = {"h_seq": "h", "c_seq": "c", "i": "i", "f": "f", "g": "g", "o": "o"}
FINAL = {"h_last": "final_h", "c_last": "final_c"}


@pytest.mark.skipif(FOLDER is None, reason=NO_FOLDER)
def test_there_are_cases_of_both_suites() -> None:
    assert len(PEERS) == 6 + 19


@pytest.mark.parametrize("path", PEERS, ids=lambda path: path.parent.name)
def test_cases_of_other_suites(path: Path) -> None:
    """Every output, and every gate and state that the reference steps through."""
    facts: dict[str, Any] = json.loads(path.read_text())
    files = facts["input_file"]
    files = files if isinstance(files, dict) else {"input": files}
    names = {key: "X" if key == "input" else key.removeprefix("input_") for key in files}
    inputs = {names[key]: np.load(path.parent / file) for key, file in files.items()}
    with np.load(path.parent / "expected.npz") as arrays:
        expected = dict(arrays)
    tolerance = float(facts["suggested_tol_scaled"])
    loaded = lstm_cli.load(path.parent / facts["model_file"])

    compared = 0
    for output, ours in zip(loaded.outputs, outputs_of(lstm_cli.run(loaded, inputs)), strict=True):
        if f"peer_{output.name}" in expected:
            assert scaled_error(ours, expected[f"peer_{output.name}"]) <= tolerance
            compared += 1
    trace = lstm_cli.trace(loaded, inputs)
    (layer,) = facts["layers"]
    for short in layer["directions"]:
        both = len(layer["directions"]) == 2
        way = {"fwd": "forward", "bwd": "backward"}[short]
        cell = part(trace, way) if both else whole(trace)
        for name, tensor_name in {**PER_STEP, **FINAL}.items():
            reference = expected.get(f"{layer['prefix']}.{short}.{name}")
            if reference is not None:
                assert scaled_error(cell.arrays[tensor_name], reference) <= tolerance, name
                compared += 1
    assert compared >= 3


# -- random operators, against the runtime

ACTIVATIONS: dict[str, tuple[float, float | None] | None] = {
    **{"Sigmoid": None, "Tanh": None, "Relu": None, "Softsign": None},
    **{"HardSigmoid": (0.3, 0.4), "LeakyRelu": (0.2, None), "ThresholdedRelu": (0.4, None)},
    **{"Elu": (0.6, None), "Affine": (0.3, 0.1), "ScaledTanh": (1.2, 0.7)},
}


def random_operator(seed: int) -> tuple[bytes, dict[str, Array], int]:
    """A file with one LSTM of random settings, its inputs, and its number of outputs."""
    pick, draw = random.Random(seed), np.random.default_rng(seed)
    ways, units, features = pick.choice([1, 2]), pick.randint(1, 4), pick.randint(1, 3)
    batch, steps = pick.randint(1, 3), pick.randint(1, 5)

    def array(*shape: int) -> Array:
        return draw.normal(size=shape).astype(np.float32) / 2

    feeds = {"X": array(steps, batch, features)}
    ports = [port("X", 1, [None, None, features])]
    tensors = weights(units, features, ways)
    inputs = ["X", "W", "R", pick.choice(["", "B"]), "", "", "", ""]
    if pick.random() < 0.5:
        inputs[4], feeds["lens"] = "lens", draw.integers(0, steps + 1, batch).astype(np.int32)
        ports.append(port("lens", 6, [None]))
    for place, name in ((5, "h0"), (6, "c0")):
        if pick.random() < 0.5:
            inputs[place], feeds[name] = name, array(ways, batch, units)
            ports.append(port(name, 1, [ways, None, units]))
    if pick.random() < 0.5:
        inputs[7] = "P"
        tensors.append(tensor("P", array(ways, 3 * units)))
    settings: dict[str, Any] = {"hidden_size": units}
    settings["direction"] = "bidirectional" if ways == 2 else pick.choice(["forward", "reverse"])
    if pick.random() < 0.5:
        settings["clip"] = pick.choice([0.1, 0.5, 2.0])
    if pick.random() < 0.5:
        settings["input_forget"] = 1
    if pick.random() < 0.7:
        names = [pick.choice(list(ACTIVATIONS)) for _ in range(3 * ways)]
        settings["activations"] = [pick.choice([name, name.lower()]) for name in names]
        given = [numbers for name in names if (numbers := ACTIVATIONS[name]) is not None]
        settings["activation_alpha"] = [float(alpha) for alpha, _ in given]
        settings["activation_beta"] = [float(beta) for _, beta in given if beta is not None]
        settings = {key: value for key, value in settings.items() if value != []}
    outputs = LSTM_OUTPUTS[: pick.randint(1, 3)]
    operator = node("LSTM", inputs, outputs, **settings)
    content = graph([operator], ports, outputs, tensors)
    return model(content, pick.choice([7, 14]), 8), feeds, len(outputs)


@pytest.mark.framework
@pytest.mark.skipif(not HAS_RUNTIME, reason="onnxruntime is not installed")
@pytest.mark.parametrize("seed", range(40))
def test_random_operators_against_the_runtime(seed: int, tmp_path: Path) -> None:
    import onnxruntime

    content, inputs, count = random_operator(seed)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    expected = session.run(None, inputs)

    found = lstm_cli.run(lstm_cli.load(saved(tmp_path, content)), inputs)

    assert len(expected) == count
    check(found, expected, FLOAT32)


@pytest.mark.framework
@pytest.mark.skipif(not HAS_RUNTIME, reason="onnxruntime is not installed")
@pytest.mark.parametrize("opset", [1, 6, 9, 13, 22])
def test_operators_of_every_age(opset: int, tmp_path: Path) -> None:
    """onnxruntime no longer loads an LSTM of opset 6; the operators beside it, it does."""
    bent = [node("Exp", ["x"], ["X"])]
    x = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    inputs = [port("x", 1, [None, None, 3])]
    content = lstm_model(*bent, inputs=inputs).replace(
        b"\x42\x02\x10\x0e", b"\x42\x02\x10" + bytes([opset])
    )
    plain = lstm_cli.load(saved(tmp_path, lstm_model(), "plain.onnx"))

    found = lstm_cli.run(lstm_cli.load(saved(tmp_path, content)), x)

    expected = outputs_of(lstm_cli.run(plain, np.exp(x)))
    check(found, expected, FLOAT32)


@pytest.mark.framework
@pytest.mark.skipif(not HAS_RUNTIME, reason="onnxruntime is not installed")
def test_what_the_runtime_cannot_do_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    unknown = lstm_model(node("Nonsense", ["x"], ["X"]), inputs=[port("x", 1, [None, None, 3])])
    unfit = lstm_model(
        node("Erf", ["x"], ["bent"]),
        node("MatMul", ["bent", "M"], ["X"]),
        inputs=[port("x", 1, [None, None, 3])],
        tensors=[*weights(), tensor("M", np.zeros((5, 3), np.float32))],
    )
    x = np.zeros((2, 2, 3), np.float32)

    with pytest.raises(UnsupportedFeatureError, match="Nonsense") as caught:
        lstm_cli.run(lstm_cli.load(saved(tmp_path, unknown, "unknown.onnx")), x)
    assert "\n" not in str(caught.value)
    with pytest.raises(lstm_cli.InputError, match="lstm:before") as caught_too:
        lstm_cli.run(lstm_cli.load(saved(tmp_path, unfit, "unfit.onnx")), x)
    assert "\n" not in str(caught_too.value)
    assert capfd.readouterr() == ("", "")


def test_no_layer_of_the_file_at_all(tmp_path: Path) -> None:
    content = model(graph([node("Identity", ["X"], ["out"])], [X], ["out"]))
    x = np.arange(12, dtype=np.float32).reshape(2, 2, 3)

    loaded = lstm_cli.load(saved(tmp_path, content))

    assert not loaded.lstm_layers
    np.testing.assert_array_equal(lstm_cli.run(loaded, x), x)
