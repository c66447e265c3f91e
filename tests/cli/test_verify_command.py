"""``lstm verify``: our numbers against stored ones."""

from __future__ import annotations

import csv
import io
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import ROOT, SAMPLES, Array, Cli, Ran, load_npz

import lstm_cli
from lstm_cli import UsageError
from lstm_cli.outputs.agreement_table import agreement_report
from lstm_cli.peers import frameworks

BRACKETS, CSV = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
MODELS = sorted(p for p in SAMPLES.iterdir() if p.suffix in (".keras", ".h5"))


def rows(done: Ran) -> dict[str, dict[str, str]]:
    return {row["array"]: row for row in csv.DictReader(io.StringIO(done.text))}


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """The framework's h and c of the brackets, with one number changed."""
    arrays = load_npz(SAMPLES / "brackets.golden.npz")
    arrays["h"][0, 20, 3] += 1e-3
    path = tmp_path / "wrong.npz"
    np.savez(path, h=arrays["h"], c=arrays["c"])
    return path


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_the_samples_verify_themselves(lstm: Cli, model: Path) -> None:
    found = rows(lstm("verify", model).succeeded())
    assert len(found) >= 9
    assert {row["verdict"] for row in found.values()} == {"equal"}


def test_weights_alone_go_by_the_results_of_the_whole_model(lstm: Cli, tmp_path: Path) -> None:
    """The model's own output is that of its last layer, which is not in a state dict."""
    done = lstm("verify", SAMPLES / "three_steps.pt", "--json")
    found = json.loads(done.text)
    assert done.code == 0
    assert "output" in found["unchecked"]
    assert {row["array"] for row in found["arrays"]} == {*"hcifgo", "final_h", "final_c"}

    arrays = load_npz(SAMPLES / "three_steps.golden.npz")
    shutil.copy(SAMPLES / "three_steps.pt", tmp_path / "other.pt")
    np.savez(tmp_path / "other.golden.npz", **{**arrays, "h": arrays["h"][:, :2]})  # type: ignore[arg-type]
    assert "expected array 'h'" in lstm("verify", tmp_path / "other.pt").refusal()
    shutil.copy(SAMPLES / "three_steps.keras", tmp_path / "other.keras")
    np.savez(tmp_path / "other.golden.npz", **{**arrays, "output": arrays["h"]})  # type: ignore[arg-type]
    assert "expected array 'output'" in lstm("verify", tmp_path / "other.keras").refusal()


def test_stored_arrays_are_verified(lstm: Cli, wrong: Path) -> None:
    done = lstm("verify", BRACKETS, CSV, wrong)

    assert (done.code, done.err) == (1, "")
    found = rows(done)
    assert {name: row["verdict"] for name, row in found.items()} == {"h": "different", "c": "equal"}
    assert (found["h"]["worst"], found["h"]["beyond"]) == ("0 20 3", "1")
    np.testing.assert_allclose(float(found["h"]["max"]), 1e-3, atol=2e-6)


def test_rounding_is_told_from_a_difference(lstm: Cli, wrong: Path) -> None:
    found = rows(lstm("verify", BRACKETS, CSV, wrong, "--tolerance", "1e-9"))
    assert {n: row["verdict"] for n, row in found.items()} == {"h": "different", "c": "rounding"}


def test_one_array_of_a_npy_file(lstm: Cli) -> None:
    arrays = load_npz(SAMPLES / "brackets.golden.npz")
    np.save("output.npy", arrays["output"][0])  # without the axis of the one sequence
    np.save("c.npy", arrays["c"])
    assert set(rows(lstm("verify", BRACKETS, CSV, "output.npy").succeeded())) == {"output"}
    assert set(rows(lstm("verify", BRACKETS, CSV, "c.npy", "--tensor", "c").succeeded())) == {"c"}
    assert lstm("verify", BRACKETS, CSV, "c.npy", "--tensor", "h").code == 1


@pytest.mark.parametrize("layer", [(), ("--layer", "middle")])
def test_what_export_wrote_is_verified(lstm: Cli, layer: tuple[str, ...]) -> None:
    """``output`` of an export is the layer's, of every step, not the model's."""
    run = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"
    lstm("export", *run, *layer, "-o", "trace.npz").succeeded()
    found = rows(lstm("verify", *run, "trace.npz", *layer).succeeded())
    assert {row["max"] for row in found.values()} == {"0"}
    assert ("output" if layer else "middle/output") in found


def test_a_trace_in_h5_is_verified(lstm: Cli) -> None:
    run = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"
    lstm("export", *run, "--with-weights", "-o", "trace.h5").succeeded()
    found = rows(lstm("verify", *run, "trace.h5").succeeded())
    assert {row["max"] for row in found.values()} == {"0"}
    assert {"middle/output", "top/backward/final_c"} <= set(found)
    assert not any("kernel" in name for name in found)


def test_what_run_wrote_is_verified(lstm: Cli) -> None:
    lstm("run", BRACKETS, CSV, "--layer", "lstm", "--return-state", "-o", "run.npz").succeeded()
    found = rows(lstm("verify", BRACKETS, CSV, "run.npz", "--layer", "lstm").succeeded())
    assert {"output", "state_h", "state_c"} <= set(found)


def test_json_holds_every_figure(lstm: Cli, wrong: Path) -> None:
    facts = json.loads(lstm("verify", BRACKETS, CSV, wrong, "--json").text)
    assert facts["same"] is False
    assert [row["array"] for row in facts["arrays"]] == ["h", "c"]
    assert {"max", "median", "q99", "expected_to_float64"} <= set(facts["arrays"][0])


def test_the_report_begins_with_the_verdict(wrong: Path) -> None:
    model = lstm_cli.load(BRACKETS)
    x = np.loadtxt(CSV, skiprows=1)
    found = lstm_cli.verify(model, x, load_npz(wrong))
    for width in (60, 80, 200):
        lines = agreement_report(found, "title", width).plain.splitlines()
        assert lines[:3] == ["title", "", "different: h"]
        assert max(map(len, lines)) <= width
    expected = {**load_npz(SAMPLES / "brackets.golden.npz"), "more": np.ones(1)}
    text = agreement_report(lstm_cli.verify(model, x, expected), "title", 80).plain
    assert "verified: 9 arrays equal, within the tolerance" in text
    assert "not checked: x, more" in text


def test_the_report_says_why_it_is_no_rounding(wrong: Path) -> None:
    """h is 1e-3 off at one place; ours is within float32's rounding of the run in float64."""
    model, x = lstm_cli.load(BRACKETS), np.loadtxt(CSV, skiprows=1)
    found = lstm_cli.verify(model, x, load_npz(wrong))
    row = next(row for row in found.arrays if row.name == "h")
    text = " ".join(agreement_report(found, "title", 80).plain.split())
    assert (
        f"no rounding: of h a run of ours in float64 is {row.expected_error:.3g} from what is "
        f"expected, {row.found_error:.3g} from ours"
    ) in text
    assert row.expected_error > 100 * row.found_error
    assert "beyond: values farther off than allowed; at: where the largest |Δ| is" in text


def test_a_long_report_ends_with_the_verdict_too() -> None:
    model = lstm_cli.load(SAMPLES / "bidirectional.keras")
    golden = load_npz(SAMPLES / "bidirectional.golden.npz")
    x = golden.pop("x") if "x" in golden else np.load(SAMPLES / "bidirectional.npy")
    lines = agreement_report(lstm_cli.verify(model, x, golden), "t", 80).plain.splitlines()
    assert len(lines) > 40
    assert lines[2].startswith("verified: ")
    assert lines[-1] == lines[2]


def test_a_model_alone_needs_its_golden_file(lstm: Cli, tmp_path: Path) -> None:
    shutil.copy(BRACKETS, "alone.keras")
    message = "there is no alone.golden.npz beside it; give INPUT and EXPECTED"
    assert message in lstm("verify", "alone.keras").refusal()
    shutil.copy(BRACKETS, "brackets.v2.keras")
    shutil.copy(SAMPLES / "brackets.golden.npz", "brackets.v2.golden.npz")
    lstm("verify", "brackets.v2.keras").succeeded()
    np.savez("alone.golden.npz", h=np.ones(3))
    assert "holds no input: expected 'x'" in lstm("verify", "alone.keras").refusal()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CSV], "give MODEL INPUT EXPECTED, or MODEL alone"),
        ([CSV, "nosuch.npz"], "nosuch.npz"),
        ([CSV, "other.npz"], "none of the expected strange"),
        ([CSV, "short.npz"], "expected array 'h': expected shape (1, 69, 8), as the run gives"),
        ([CSV, "short.npz", "--stateful"], "No such option"),
    ],
)
def test_what_cannot_be_verified(lstm: Cli, arguments: list[object], message: str) -> None:
    np.savez("other.npz", strange=np.ones(3))
    np.savez("short.npz", h=np.ones((1, 5, 8)))
    assert message in lstm("verify", BRACKETS, *arguments).refusal()


# -- against the installed framework


def needs(*libraries: str) -> pytest.MarkDecorator:
    """Skips a test where a framework is not installed; golden files stand in for it."""
    missing = [name for name in libraries if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def against(lstm: Cli, name: str, *arguments: object) -> dict[str, dict[str, str]]:
    """The rows of a comparison that finds everything equal; frameworks may chatter."""
    done = lstm("verify", *arguments, "--against", name)
    assert done.code == 0, done.err
    found = rows(done)
    assert {row["verdict"] for row in found.values()} == {"equal"}
    return found


@pytest.mark.framework
@needs("keras", "tensorflow")
@pytest.mark.parametrize(
    ("model", "source", "names"),
    [
        ("three_steps.keras", "three_steps.csv", ["output", "x/output", "lstm/output"]),
        ("brackets.keras", "brackets.csv", ["lstm/state_h", "lstm/state_c", "all_closed/output"]),
        ("encoder_decoder.keras", "encoder_decoder.npz", ["encoder/state_c", "decoder/state_c"]),
        (
            "bidirectional.keras",
            "bidirectional.npy",
            ["word_vectors/output", "bottom/forward_c", "top/backward_c", "middle/output"],
        ),
        ("stateful.keras", "stateful.npy", ["lstm/output", "lstm/state_c", "last_pulse/output"]),
    ],
)
def test_keras_itself_gives_the_same(lstm: Cli, model: str, source: str, names: list[str]) -> None:
    found = against(lstm, "keras", SAMPLES / model, SAMPLES / source)
    assert set(names) <= set(found)


@pytest.mark.framework
@needs("tf_keras")
def test_files_of_keras_2_go_to_tf_keras(lstm: Cli) -> None:
    found = against(lstm, "keras", SAMPLES / "three_steps.h5", SAMPLES / "three_steps.csv")
    assert {"output", "lstm/state_c"} <= set(found)


@pytest.mark.framework
@needs("torch")
@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("sd_plain.pt", ["output", "h_n", "c_n"]),
        ("sd_bi2.pt", ["output", "h_n", "c_n"]),
        ("sd_proj.pt", ["output", "h_n", "c_n"]),
        ("sd_lstmcell.pt", ["output", "h_n", "c_n"]),
        ("sd_float16.pt", ["output", "h_n", "c_n"]),
    ],
)
def test_torch_itself_gives_the_same(lstm: Cli, file: str, names: list[str]) -> None:
    path = ROOT / "tests" / "golden" / "torch" / file
    (layer,) = lstm_cli.load(path).lstm_layers
    assert layer.recurrent is not None
    np.save("x.npy", series(layer.recurrent.input_size))
    found = against(lstm, "torch", path, "x.npy")
    assert list(found) == [f"{layer.address}/{name}" for name in names]


@pytest.mark.framework
@needs("onnx", "onnxruntime")
@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("around.onnx", ["output_0", "one/Y_c", "two/Y"]),
        ("exported/torch_ts_bf_bi2.onnx", ["output_2", "/lstm/LSTM/Y", "/lstm/LSTM_1/Y_c"]),
        ("external.onnx", ["output_0", "output_1"]),
    ],
)
def test_onnx_runtime_itself_gives_the_same(lstm: Cli, file: str, names: list[str]) -> None:
    path = ROOT / "tests" / "golden" / "onnx" / file
    arrays = load_npz(path.with_suffix(".npz"))
    (x,) = (array for name, array in arrays.items() if not name.startswith("y"))
    np.save("x.npy", x)
    assert set(names) <= set(against(lstm, "onnxruntime", path, "x.npy"))


def series(features: int) -> Array:
    return np.random.default_rng(0).normal(size=(2, 6, features)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("keras", "comparing against keras needs keras: pip install keras tensorflow"),
        ("torch", "comparing against torch needs torch: pip install torch"),
        (
            "onnxruntime",
            "comparing against onnxruntime needs onnxruntime and onnx: pip install onnxruntime "
            "onnx",
        ),
    ],
)
def test_a_framework_that_is_missing_is_named(
    lstm: Cli, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setattr(frameworks, "find_spec", lambda library: None)
    endings = {"keras": "keras", "torch": "pt", "onnxruntime": "onnx"}
    arguments = [SAMPLES / f"three_steps.{endings[name]}", SAMPLES / "three_steps.csv"]
    assert lstm("verify", *arguments, "--against", name).refusal() == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"against": "theano"}, "against: expected keras, torch, onnxruntime, found 'theano'"),
        ({"against": "keras", "mask": np.ones(3, bool)}, "a framework runs x alone"),
        ({"against": "keras", "direct": True, "layer": "lstm"}, "keras runs whole models"),
        ({}, "give what is expected, or the framework to compare against"),
    ],
)
def test_what_does_not_go_with_a_framework(options: dict[str, Any], message: str) -> None:
    model = lstm_cli.load(SAMPLES / "three_steps.keras")
    with pytest.raises(UsageError) as error:
        lstm_cli.verify(model, np.zeros((3, 1)), **options)
    assert message in str(error.value)


def test_a_framework_needs_an_input(lstm: Cli) -> None:
    done = lstm("verify", BRACKETS, "--against", "keras")
    assert "--against keras takes MODEL INPUT; found no arguments" in done.refusal()
