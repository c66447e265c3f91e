"""TFLite's LSTM operators, run direct, against TFLite's own interpreter.

Tolerance: 1e-5 of the larger of 1 and the largest number, in float32, as everywhere; 8-bit weights
are compared with 2e-2, because the interpreter also rounds what comes in to 8 bits.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Cli
from golden_files import FLOAT32, ROOT, Array
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstm_cli
from lstm_cli.errors import LstmCliError, MissingExtraError, ModelFileError, UsageError
from lstm_cli.model import Layer, LstmCell, Model, Recurrent, Unsupported

tflite = pytest.importorskip("tflite", reason="the extra 'tflite' is not installed")

FOLDER = ROOT / "tests" / "golden" / "tflite"
INT8 = 2e-2
OPERATORS = sorted(path.stem for path in FOLDER.glob("operator_*.tflite"))
ONE_WAY = [name for name in OPERATORS if not name.startswith("operator_both")]
TWO_WAYS = [name for name in OPERATORS if name.startswith("operator_both")]
UNDEFINED = "operator_no_activation"


def numbers(name: str) -> dict[str, Array]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def layer_of(model: Model, number: int = 0) -> tuple[Layer, Recurrent]:
    layer = model.layers[number]
    assert layer.recurrent is not None
    return layer, layer.recurrent


def cell_of(name: str) -> LstmCell:
    _, recurrent = layer_of(lstm_cli.load(FOLDER / f"{name}.tflite"))
    cell = recurrent.directions[0].cells[0]
    assert isinstance(cell, LstmCell)
    return cell


def assert_equal(found: Array, expected: Array, tolerance: float = FLOAT32) -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


# -- files of the converter


@pytest.mark.parametrize("name", ["tf213_lstm", "tf213_bidir"])
def test_converted_keras_layers(name: str) -> None:
    model, expected = lstm_cli.load(FOLDER / f"{name}.tflite"), numbers(name)
    (layer,) = model.layers
    assert layer.address == "StatefulPartitionedCall:0"
    y = lstm_cli.run(model, expected["x0"], layer=layer.address, direct=True)
    assert_equal(y, expected["y0"])
    assert_equal(y, expected["keras"])


def test_two_layers_and_the_operators_around_them() -> None:
    """Two LSTM layers, of the second the last step, and a Dense layer computed by hand."""
    path = FOLDER / "tf213_two_dense.tflite"
    model, expected = lstm_cli.load(path), numbers("tf213_two_dense")
    addresses = ["tfl.unidirectional_sequence_lstm", "tfl.unidirectional_sequence_lstm1"]
    assert [layer.address for layer in model.layers] == addresses
    x = expected["x0"]
    for address in addresses:
        x = lstm_cli.run(model, x, layer=address, direct=True)
    graph = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    dense = []
    for number in (28, 3):  # the inputs of the FULLY_CONNECTED that follows; -1 would be absent
        tensor = graph.Subgraphs(0).Tensors(number)
        data = graph.Buffers(tensor.Buffer()).DataAsNumpy()
        dense.append(np.frombuffer(data.tobytes(), "<f4").reshape(tensor.ShapeAsNumpy()))
    assert_equal(x[:, -1] @ dense[0].T + dense[1].reshape(-1)[:2], expected["y0"])


def test_converted_models_clip_the_cell_state() -> None:
    """Trap: every converted Keras model carries cell_clip 10."""
    assert cell_of("tf213_lstm").cell_clip == 10.0
    model = lstm_cli.load(FOLDER / "tf213_lstm.tflite")
    large = np.full((1, 200, 3), 50, np.float32)
    trace = lstm_cli.trace(model, large)
    assert np.abs(trace.c).max() <= 10.0


def test_a_bidirectional_is_two_operators_and_reverses() -> None:
    model = lstm_cli.load(FOLDER / "tf213_bidir.tflite")
    layer, recurrent = layer_of(model)
    assert layer.kind == "Bidirectional(UNIDIRECTIONAL_SEQUENCE_LSTM)"
    assert recurrent.parts == ("forward", "backward")
    assert [way.go_backwards for way in recurrent.directions] == [False, True]
    assert len(model.layers) == 1


def test_a_layer_behind_a_reverse_takes_what_it_receives() -> None:
    """Keras with go_backwards: REVERSE_V2 stands before the operator, and the card says so."""
    model, expected = lstm_cli.load(FOLDER / "tf215_back.tflite"), numbers("tf215_back")
    (layer,) = model.layers
    assert any("a REVERSE_V2 before it turns its sequence round" in n for n in model.assumptions)
    y = lstm_cli.run(model, expected["x0"][:, ::-1], layer=layer.address, direct=True)
    assert_equal(y, expected["y0"])


def test_directions_that_are_joined_by_their_last_steps_are_two_layers() -> None:
    """No CONCATENATION of whole sequences: what stands between is not run."""
    model, expected = lstm_cli.load(FOLDER / "tf215_both_last.tflite"), numbers("tf215_both_last")
    x, last = expected["x0"], {}
    for layer in model.layers:
        turned = any(note.startswith(f"{layer.address}: a REVERSE") for note in model.assumptions)
        received = x[:, ::-1] if turned else x
        y = lstm_cli.run(model, received, layer=layer.address, direct=True)
        last["backward" if turned else "forward"] = y[:, -1]
    assert_equal(np.hstack([last["forward"], last["backward"]]), expected["y0"])


def test_an_lstm_in_integers_throughout_is_refused() -> None:
    model = lstm_cli.load(FOLDER / "tf215_integers.tflite")
    operation = model.layers[0].operation
    assert isinstance(operation, Unsupported)
    assert "integers throughout" in operation.reason
    assert "int8" in operation.reason


def test_weights_of_8_bits_are_multiplied_out() -> None:
    """Trap: tensors below 1024 elements stay float; here the recurrent weights alone do not."""
    path = FOLDER / "tf213_dyn34.tflite"
    model = lstm_cli.load(path)
    assert any("8-bit weights are multiplied out" in note for note in model.assumptions)
    graph = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    operator = graph.Subgraphs(0).Operators(0)
    columns = []
    for place in range(5, 9):
        tensor = graph.Subgraphs(0).Tensors(operator.Inputs(place))
        data = graph.Buffers(tensor.Buffer()).DataAsNumpy().view(np.int8)
        whole = data.reshape(tensor.ShapeAsNumpy()).astype(np.float64)
        columns.append(whole.T * tensor.Quantization().Scale(0))
    found = layer_of(model)[1].directions[0].cells[0].recurrent_kernel
    np.testing.assert_allclose(found, np.hstack(columns), rtol=1e-6)
    assert np.abs(found).max() < 1  # 127 times the scale


@pytest.mark.parametrize("name", ["lstm", "bidir", "two_dense"])
def test_an_lstm_in_a_while_loop_is_refused_with_the_reason(name: str, lstm: Cli) -> None:
    with pytest.raises(ModelFileError, match="WHILE loop of small operators"):
        lstm_cli.load(FOLDER / f"{name}.tflite")


# -- every part of an operator


@pytest.mark.parametrize("name", [name for name in ONE_WAY if name != UNDEFINED])
def test_operators_in_one_direction(name: str) -> None:
    model, expected = lstm_cli.load(FOLDER / f"{name}.tflite"), numbers(name)
    layer, recurrent = layer_of(model)
    assert layer.address == "encoder/lstm"
    x, y = expected["x0"], expected["y0"]
    if recurrent.time_major:  # a direct input is batch first whatever the operator says
        x, y = x.swapaxes(0, 1), y.swapaxes(0, 1)
    found = lstm_cli.run(model, x, layer=layer.address, direct=True)
    assert_equal(found, y, INT8 if "int8" in name else FLOAT32)


@pytest.mark.parametrize("name", TWO_WAYS)
def test_operators_in_both_directions(name: str) -> None:
    model, expected = lstm_cli.load(FOLDER / f"{name}.tflite"), numbers(name)
    layer, recurrent = layer_of(model)
    found = list(
        lstm_cli.run(
            model,
            expected["x0"].swapaxes(0, 1) if recurrent.time_major else expected["x0"],
            layer=layer.address,
            direct=True,
            named=True,
        ).values()
    )
    assert len(found) == (2 if "apart" in name else 1)
    for k, output in enumerate(found):
        y = expected[f"y{k}"]
        assert_equal(output, y.swapaxes(0, 1) if recurrent.time_major else y)


def test_the_files_hold_what_their_names_say() -> None:
    """Else every comparison above might be of plain cells."""
    assert cell_of("operator_plain").is_plain
    assert cell_of("operator_peepholes").peepholes is not None
    assert cell_of("operator_coupled").coupled == "i"
    assert cell_of("operator_projection").hidden_size == 3
    assert cell_of("operator_cell_clip").cell_clip == 0.5
    assert cell_of("operator_layer_norm").layer_norm is not None
    assert cell_of("operator_relu").activation.name == "relu"
    everything = cell_of("operator_everything")
    assert everything.projection_bias is not None
    assert everything.projection_clip == 0.5
    assert not everything.coupled
    assert cell_of("operator_everything_coupled").coupled == "i"


def test_a_projection_clip_without_a_projection_does_nothing() -> None:
    """TFLite looks at it in its projection alone."""
    assert cell_of("operator_clip_without_projection").projection_clip is None


def test_a_coupled_gate_is_one_minus_the_other() -> None:
    """Trap: i = 1 - f, not f = 1 - i as in ONNX."""
    model = lstm_cli.load(FOLDER / "operator_coupled.tflite")
    trace = lstm_cli.trace(model, numbers("operator_coupled")["x0"])
    np.testing.assert_allclose(trace.i, 1 - trace.f, atol=1e-7)
    assert np.abs(np.diff(trace.f, axis=1)).max() > 0.01


def test_the_order_of_gates() -> None:
    """Weights lie apart, input, forget, cell, output; ours are the columns i f g o."""
    path = FOLDER / "operator_plain.tflite"
    graph = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    tensors = {
        graph.Subgraphs(0).Tensors(k).Name().decode(): graph.Subgraphs(0).Tensors(k)
        for k in range(graph.Subgraphs(0).TensorsLength())
    }
    columns = []
    for gate in "ifgo":
        tensor = tensors[f"w_{gate}"]
        data = graph.Buffers(tensor.Buffer()).DataAsNumpy()
        columns.append(np.frombuffer(data.tobytes(), "<f4").reshape(tensor.ShapeAsNumpy()).T)
    np.testing.assert_array_equal(cell_of("operator_plain").kernel, np.hstack(columns))


def test_no_activation_is_refused() -> None:
    """TFLite's own kernel multiplies o with numbers that it never wrote."""
    model = lstm_cli.load(FOLDER / f"{UNDEFINED}.tflite")
    operation = model.layers[0].operation
    assert isinstance(operation, Unsupported)
    assert "activation" in operation.reason


# -- facts


def test_who_wrote_it() -> None:
    facts = lstm_cli.inspect(lstm_cli.load(FOLDER / "tf213_lstm.tflite"))
    assert facts["written_by"] == "TensorFlow Lite converter (MLIR Converted.)"
    assert facts["format"] == "TFLite, schema version 3"
    (layer,) = facts["layers"]
    assert (layer["input_size"], layer["units"], layer["parameters"]) == (3, 4, 4 * 4 * (3 + 4 + 1))


def test_a_model_is_not_run_whole(lstm: Cli) -> None:
    np.save("x.npy", numbers("tf213_lstm")["x0"])
    ran = lstm("run", FOLDER / "tf213_two_dense.tflite", "x.npy")
    assert ran.code == 2
    assert "--direct" in ran.err


def test_an_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TFLite"):
        lstm_cli.load(FOLDER / "tf213_lstm.tflite", architecture=tmp_path / "a.json")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lstm-cli\[tflite\]'"):
        lstm_cli.load(FOLDER / "tf213_lstm.tflite")


# -- damage

QUICK = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SOUND = {
    name: (FOLDER / f"{name}.tflite").read_bytes() for name in ("operator_plain", "tf213_bidir")
}


def outcome(path: Path) -> str:
    """A model that can be used, or a sentence."""
    try:
        model = lstm_cli.load(path)
        for layer in model.lstm_layers:
            recurrent = layer.recurrent
            assert recurrent is not None
            if recurrent.input_size < 1000:
                x = np.ones((1, 2, recurrent.input_size), np.float32)
                with np.errstate(all="ignore"):
                    lstm_cli.run(model, x, layer=layer.address, direct=True)
    except LstmCliError as error:
        return str(error)
    return ""


@QUICK
@given(
    name=st.sampled_from(sorted(SOUND)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_bytes(tmp_path: Path, name: str, changes: list[tuple[float, int]]) -> None:
    content = bytearray(SOUND[name])
    for share, byte in changes:
        content[8 + int(share * (len(content) - 9))] = byte
    (tmp_path / "x.tflite").write_bytes(content)
    outcome(tmp_path / "x.tflite")


@QUICK
@given(
    name=st.sampled_from(sorted(SOUND)),
    share=st.floats(0, 1),
    number=st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**24, 2**30]),
)
def test_offsets_and_sizes_that_lead_anywhere(
    tmp_path: Path, name: str, share: float, number: int
) -> None:
    """FlatBuffers are read by following offsets; every aligned word may be one."""
    content = bytearray(SOUND[name])
    at = 8 + int(share * (len(content) - 12)) // 4 * 4
    struct.pack_into("<I", content, at, number)
    (tmp_path / "x.tflite").write_bytes(content)
    outcome(tmp_path / "x.tflite")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_files_that_are_cut_short(tmp_path: Path, share: float) -> None:
    content = SOUND["tf213_bidir"]
    (tmp_path / "x.tflite").write_bytes(content[: int(len(content) * share)])
    assert "TFLite file is damaged" in outcome(tmp_path / "x.tflite")


def test_a_file_that_is_nothing_but_its_signature(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(40))
    assert outcome(tmp_path / "x.tflite")
