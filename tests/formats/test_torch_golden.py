"""PyTorch's own files and what PyTorch computed: every kind of file, layer and weight.

Tolerances are of max(1, max |reference|): 1e-5 in float32 and 1e-12 in float64, where sums in
another order differ in the last places; quantised layers of PyTorch also round what they read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_files import GOLDEN, MADE, OLDER, SAME, Array, numbers

import lstm_cli
from lstm_cli import Model
from lstm_cli.formats.options import Options
from lstm_cli.formats.safetensors import _content
from lstm_cli.formats.torch_contents import contents
from lstm_cli.formats.torch_script import Script
from lstm_cli.model import Unsupported

FLOAT32, FLOAT64 = 1e-5, 1e-12
INT8 = 2e-2
"""PyTorch's quantised layers round each step's input to 8 bits, of which c adds up several."""

HEADED = {
    # File: the address of its LSTM, where its expected outputs are those of the head behind it
    "sd_plain.pt": "lstm",
    "sd_timemajor.pt": "lstm",
    "sd_bi2.pt": "lstm",
    "sd_proj.pt": "lstm",
    "sd_nobias.pt": "lstm",
    "sd.safetensors": "lstm",
    "script.pt": "lstm",
    "ckpt_dict.pth": "lstm",
    "ckpt_lightning_dp.ckpt": "module.lstm",
    "sd_lstmcell.pt": "cell",
    "whole_module.pt": "lstm",
    "whole_lstm_legacy.pt": "lstm",
}


def close(found: Any, expected: Array, tolerance: float) -> None:
    scale = max(1.0, float(np.max(np.abs(expected))))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def stored(path: Path, ending: str) -> Array | None:
    """A tensor of a file by how its name ends, as the layers around an LSTM need it."""
    if path.suffix == ".safetensors":
        found: list[Any] = [_content(path)]
    else:
        found = contents(opened(path), (), Script(lambda module: "")).found
    for entry in found:
        for name, tensor in entry.tensors.items():
            if name.endswith(ending):
                array: Array = tensor.read()
                return array
    return None


def opened(path: Path) -> Any:
    """The value in a file's pickle."""
    from lstm_cli.formats.torch_archive import Archive, mapped
    from lstm_cli.formats.torch_globals import Source, allowed
    from lstm_cli.formats.torch_stream import is_stream, read_stream
    from lstm_cli.formats.unpickling import Budget, unpickled

    view, budget = mapped(path), Budget(2**20)
    if is_stream(view):
        return read_stream(view, budget)
    archive = Archive(view, path)
    source = Source(lambda key: archive.content(f"data/{key}"), False, lambda data: None)
    return unpickled(archive.content("data.pkl"), 0, allowed(source, budget), "pickle")[0]


@pytest.mark.parametrize("name", HEADED)
def test_golden_outputs(name: str) -> None:
    """Embedding before and head behind the LSTM are computed here; h_n and c_n are PyTorch's."""
    path = GOLDEN / name
    expected = numbers(path)
    x = expected["x0"]
    if x.dtype.kind == "i":  # token ids
        table = stored(path, "emb.weight")
        assert table is not None
        x = table[x]
    if "timemajor" in name:
        x = x.transpose(1, 0, 2)
    model = lstm_cli.load(path)
    found = lstm_cli.run(model, x, layer=HEADED[name], direct=True, named=True)
    output, weight, bias = found["output"], stored(path, "fc.weight"), stored(path, "fc.bias")
    if weight is not None and bias is not None:
        output = output @ weight.T + bias
    if "timemajor" in name:
        output = output.transpose(1, 0, 2)
    close(output, expected["y0"], FLOAT32)
    for key, name_in_torch in (("y1", "h_n"), ("y2", "c_n")):
        if key in expected:
            close(found[name_in_torch], expected[key], FLOAT32)
    assert set(found) == {"output", "h_n", "c_n"}


def test_quantised_golden_is_near() -> None:
    path = GOLDEN / "sd_quant_dynamic.pt"
    expected = numbers(path)
    model = lstm_cli.load(path)
    found = lstm_cli.run(model, expected["x0"], layer="0", direct=True, named=True)
    close(found["output"], expected["y0"], INT8)
    close(found["h_n"], expected["y1"], INT8)
    close(found["c_n"], expected["y2"], INT8)
    assert any("dequantised" in note for note in model.assumptions)


def test_quantised_module_holds_what_its_state_dict_holds() -> None:
    cells = [
        cells_of(lstm_cli.load(GOLDEN / name), "0")
        for name in ("quant_dynamic_module.pt", "sd_quant_dynamic.pt")
    ]
    assert len(cells[0]) == 2
    for (_, one), (_, other) in zip(*cells, strict=True):
        assert one.kernel.shape == other.kernel.shape == (3, 8)


def cells_of(model: Model, address: str) -> list[tuple[str, Any]]:
    recurrent = model.find(address).recurrent
    assert recurrent is not None
    return [(part, cell) for part, _, cell in recurrent.placed()]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("sd_float64.pt", "float64"), ("sd_legacy.pt", "float32"), ("trace.pt", "float32")],
)
def test_dtype_is_the_files(name: str, dtype: str) -> None:
    model = lstm_cli.load(GOLDEN / name)
    assert model.find("lstm").dtype == dtype
    assert cells_of(model, "lstm")[0][1].kernel.dtype == dtype


@pytest.mark.parametrize(
    ("name", "kernel", "recurrent_kernel", "dtype"),
    [
        (
            *("sd_float16.pt", [-0.08184814453125, -0.58251953125, -0.5751953125]),
            *([0.11114501953125, 0.256103515625], "float16"),
        ),
        (
            *("sd_bfloat16.pt", [-0.490234375, 0.03369140625, 0.66015625]),
            *([0.345703125, 0.06884765625], "bfloat16"),
        ),
        (
            *("sd_bf16.safetensors", [-0.6171875, -0.27734375, 0.375]),
            *([-0.28515625, 0.05029296875], "bfloat16"),
        ),
        (
            *("sd_float64.pt", [0.00832956563681364, 0.5441369414329529, 0.020964685827493668]),
            *([0.2018536478281021, -0.5547332763671875], ""),
        ),
    ],
)
def test_half_types(
    name: str, kernel: list[float], recurrent_kernel: list[float], dtype: str
) -> None:
    """formats.md 4.1 and 4.5: BFloat16 is the upper half of a float32; NumPy cannot read it.

    The first and last rows as PyTorch 2.13 and the safetensors package read them, exactly.
    """
    model = lstm_cli.load(GOLDEN / name)
    cell = cells_of(model, "lstm")[0][1]
    np.testing.assert_array_equal(cell.kernel[:, 0], kernel)
    np.testing.assert_array_equal(cell.recurrent_kernel[:, 7], recurrent_kernel)
    noted = f"lstm: its weights are {dtype}; they are used as float32" in model.assumptions
    assert noted is bool(dtype)


def test_the_older_stream_holds_the_module_that_its_own_file_holds() -> None:
    """Both were saved from one nn.LSTM; the whole module has expected outputs too."""
    cells = [
        cells_of(lstm_cli.load(GOLDEN / name), "lstm")[0][1]
        for name in ("sd_legacy.pt", "whole_lstm_legacy.pt")
    ]
    np.testing.assert_array_equal(cells[0].kernel, cells[1].kernel)
    np.testing.assert_array_equal(cells[0].bias, cells[1].bias)


def test_views_are_what_they_view() -> None:
    """formats.md 4.1: several tensors share a storage, sliced and transposed."""
    w = numbers(GOLDEN / "views.pt")["w"]
    found = opened(GOLDEN / "views.pt")
    np.testing.assert_array_equal(found["p"].read(), w)
    np.testing.assert_array_equal(found["b"].read(), w.T)
    np.testing.assert_array_equal(found["c"].read(), w[2])
    np.testing.assert_array_equal(found["a"].read(), w[:, 3:6])
    model = lstm_cli.load(GOLDEN / "views.pt")
    assert [layer.address for layer in model.layers] == ["a", "b", "c", "p", "s"]
    assert not model.lstm_layers


@pytest.mark.parametrize("name", ["sd_weightnorm.pt", "sd_weightnorm_old.pt"])
def test_weight_norm_by_hand(name: str) -> None:
    """formats.md 4.3: w = g · v / ‖v‖, the norm over all axes but the first."""
    found = opened(GOLDEN / name)
    if "weight_hh_l0_g" in found:
        g, v = found["weight_hh_l0_g"].read(), found["weight_hh_l0_v"].read()
    else:
        front = "parametrizations.weight_hh_l0.original"
        g, v = found[f"{front}0"].read(), found[f"{front}1"].read()
    rows = [g[k, 0] * v[k] / np.linalg.norm(v[k]) for k in range(len(v))]
    cell = cells_of(lstm_cli.load(GOLDEN / name), "lstm")[0][1]
    np.testing.assert_allclose(cell.recurrent_kernel, np.transpose(rows), atol=1e-7)


# -- files made with PyTorch 2.13 for this repository

MADE_WITH_OUTPUTS = {
    "stepped_proj.pt": "lstm",
    "stepped_float64_module.pt": "lstm",
    "pruned.pt": "lstm",
    "weightnorm_axes.pt": "lstm",
    "weightnorm_module.pt": "lstm",
    "spectralnorm.pt": "lstm",
    "spectralnorm_old.pt": "lstm",
    "spectralnorm_trained.pt": "lstm",
    "spectralnorm_old_trained.pt": "lstm",
    "weightdrop.pt": "rnns.0.module",
    "one_storage.pt": "lstm",
    "one_storage_stream.pt": "lstm",
    "strided.pt": "lstm",
    "plain_pickle.pkl": "lstm",
    "plain_pickle2.pkl": "lstm",
    "protocol5.pt": "lstm",
    "cuda.pt": "lstm",
    "cuda_stream.pt": "lstm",
    "checkpoint.tar": "_orig_mod.module.lstm",
    "module.pkl": "a.0",
    "quantised_int8.pt": "lstm",
    "quantised_float16.pt": "lstm",
    "quantised_int8_script.pt": "lstm",
    "quantised_float16_script.pt": "lstm",
    "frozen.pt": "lstm",
    "trace_half.pt": "lstm",
    "bfloat16.safetensors": "lstm",
    "float16.safetensors": "lstm",
}


@pytest.mark.parametrize("name", MADE_WITH_OUTPUTS)
def test_made_outputs(name: str) -> None:
    expected = numbers(MADE / name)
    model = lstm_cli.load(MADE / name)
    address = MADE_WITH_OUTPUTS[name]
    found = lstm_cli.run(model, expected["x"], layer=address, direct=True, named=True)
    tolerance = {"float64": FLOAT64, "float32": FLOAT32}[model.find(address).dtype]
    if name == "trace_half.pt":
        tolerance = 1e-3  # its weights are rounded to float16, PyTorch's here are not
    for key in ("output", "h_n", "c_n"):
        assert found[key].shape == expected[key].shape
        close(found[key], expected[key], tolerance)


def test_every_made_file_with_outputs_is_tested() -> None:
    having = {path.stem for path in MADE.glob("*.npz")}
    told = {name.rsplit(".", 1)[0] for name in (*MADE_WITH_OUTPUTS, *OWN_CLASS)}
    assert having == told
    assert len(having) > 20


@pytest.mark.parametrize("name", ["stepped_proj.pt", "stepped_float64_module.pt"])
def test_states_of_every_step(name: str) -> None:
    """c of every step, which PyTorch does not return: from its own cells, one step at a time."""
    expected = numbers(MADE / name)
    model = lstm_cli.load(MADE / name)
    trace: Any = lstm_cli.trace(model, expected["x"], direct=True)
    states = [key for key in expected if "/" in key]
    assert len(states) == 8
    for key in states:
        part, _, state = key.rpartition("/")
        tolerance = FLOAT64 if "float64" in name else FLOAT32
        close(getattr(trace[part], state), expected[key], tolerance)


@pytest.mark.parametrize("name", ["quantised_int8.pt", "quantised_int8_script.pt"])
def test_quantised_layers_of_the_framework_are_near(name: str) -> None:
    expected = numbers(MADE / name)
    model = lstm_cli.load(MADE / name)
    found = lstm_cli.run(model, expected["x"], layer="lstm", direct=True, named=True)
    close(found["output"], expected["framework"], INT8)
    assert any("dequantised" in note for note in model.assumptions)


OWN_CLASS = ("own_class.pt", "own_class_stream.pt")


@pytest.mark.parametrize("name", OWN_CLASS)
def test_a_class_of_its_own_runs_only_when_told(name: str) -> None:
    expected = numbers(MADE / name)
    model = lstm_cli.load(MADE / name)
    operation = model.find("lstm").operation
    assert isinstance(operation, Unsupported)
    assert "--treat-as-lstm MyLSTM" in operation.reason
    with pytest.raises(lstm_cli.UnsupportedFeatureError, match="MyLSTM"):
        lstm_cli.run(model, expected["x"], layer="lstm", direct=True)
    model = lstm_cli.load(MADE / name, treat_as_lstm=("MyLSTM",))
    found = lstm_cli.run(model, expected["x"], layer="lstm", direct=True, named=True)
    close(found["output"], expected["output"], FLOAT32)
    assert "MyLSTM is read as an LSTM, because you said so" in model.assumptions
    with pytest.raises(lstm_cli.UsageError, match="its custom classes are: MyLSTM"):
        lstm_cli.load(MADE / name, treat_as_lstm=("YourLSTM",))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("sd_plain.pt", "PyTorch zip archive, state dict"),
        ("sd_legacy.pt", "PyTorch stream (before 1.6), state dict"),
        ("whole_module.pt", "PyTorch zip archive, whole module"),
        ("whole_lstm_legacy.pt", "PyTorch stream (before 1.6), whole module"),
        ("script.pt", "TorchScript archive"),
        ("sd.safetensors", "safetensors"),
        ("ckpt_dict.pth", "PyTorch zip archive, checkpoint with a state dict"),
        ("made/frozen.pt", "TorchScript archive, frozen"),
        ("made/plain_pickle.pkl", "pickle of PyTorch tensors, state dict"),
    ],
)
def test_container_and_writer(name: str, form: str) -> None:
    model = lstm_cli.load(GOLDEN / name)
    assert (model.format, model.written_by) == (form, "PyTorch")
    assert model.no_graph
    assert not model.has_graph


def test_lightning_names_itself() -> None:
    model = lstm_cli.load(GOLDEN / "ckpt_lightning_dp.ckpt")
    assert model.written_by == "PyTorch (Lightning 2.0.0)"


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("sd_timemajor.pt", "lstm: batch_first is not in a state dict"),
        ("script.pt", "lstm: batch_first=True in the file"),
        ("trace.pt", "lstm: batch_first=True in the file"),
        ("whole_module.pt", "lstm: batch_first=True in the file"),
        ("made/module.pkl", "a.0: batch_first=False in the file"),
        ("made/module.pkl", "a.0: dropout=0.25 between levels is off"),
        ("made/stepped_float64_module.pt", "lstm: batch_first=False in the file"),
        ("made/pruned.pt", "lstm: pruned is applied to weight_ih_l0"),
        ("sd_weightnorm.pt", "lstm: weight_norm is applied to weight_hh_l0"),
        ("made/spectralnorm_old_trained.pt", "lstm: spectral_norm is applied to weight_hh_l0"),
        ("sd_bfloat16.pt", "lstm: its weights are bfloat16; they are used as float32"),
        ("made/weightdrop.pt", "rnns.0.module: dropout on weights is off"),
        ("ckpt_dict.pth", "optimizer_state_dict: the state of an optimizer, not listed"),
    ],
)
def test_semantics_card(name: str, note: str) -> None:
    """formats.md 4.3: what a state dict does not say is written down; what a module says too."""
    assert any(line.startswith(note) for line in lstm_cli.load(GOLDEN / name).assumptions)


def test_classes_are_named_where_the_file_names_them() -> None:
    script = lstm_cli.load(GOLDEN / "script.pt")
    assert [(layer.address, layer.kind) for layer in script.layers] == [
        ("emb", "Embedding"),
        ("lstm", "LSTM"),
        ("fc", "Linear"),
    ]
    plain = lstm_cli.load(GOLDEN / "sd_plain.pt")
    assert [layer.kind for layer in plain.layers] == ["unknown", "LSTM", "unknown"]
    assert [layer.parameters for layer in plain.layers] == [28, 108, 8]


def test_kinds_by_rows() -> None:
    """formats.md 4.3: LSTM, GRU and RNN by rows / H = 4, 3, 1."""
    model = lstm_cli.load(MADE / "kinds.pt")
    kinds = {layer.address: layer.kind for layer in model.layers}
    assert kinds == {
        "gru": "GRU",
        "rnn": "RNN",
        "gru_cell": "GRUCell",
        "cell": "LSTMCell",
        "fc": "unknown",
    }
    for address, words in (("gru", "is a GRU, not an LSTM"), ("rnn", "is an RNN, not an LSTM")):
        operation = model.find(address).operation
        assert isinstance(operation, Unsupported)
        assert words in operation.reason
    assert [layer.address for layer in model.lstm_layers] == ["cell"]


def test_addresses_of_a_checkpoint() -> None:
    """Prefixes are never stripped; keys of the checkpoint stand only where two would collide."""
    model = lstm_cli.load(MADE / "checkpoint.tar")
    assert [layer.address for layer in model.lstm_layers] == [
        "model.lstm",
        "ema.lstm",
        "_orig_mod.module.lstm",
    ]
    model = lstm_cli.load(MADE / "two_bare.pt")
    assert [layer.address for layer in model.lstm_layers] == ["encoder", "decoder"]


def test_parts_of_a_stack() -> None:
    recurrent = lstm_cli.load(GOLDEN / "sd_bi2.pt").find("lstm").recurrent
    assert recurrent is not None
    assert recurrent.parts == ("l0/forward", "l0/backward", "l1/forward", "l1/backward")
    assert [way.go_backwards for ways in recurrent.levels for way in ways] == [0, 1, 0, 1]


# -- files of PyTorch 1.2 and 1.5


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("1.2.0_trace.pt", "TorchScript archive (before 1.3)"),
        ("1.2.0_checkpoint.pth", "PyTorch stream (before 1.6), checkpoint with a state dict"),
        ("1.5.1_zip.pt", "PyTorch zip archive, state dict"),
        ("1.5.1_quantised.pt", "PyTorch stream (before 1.6), state dict"),
        ("1.5.1_quantised_module.pt", "PyTorch stream (before 1.6), whole module"),
    ],
)
def test_older_versions(name: str, form: str) -> None:
    """Quantised layers of 1.5 keep each matrix by itself; the expected ones are dequantised."""
    expected = numbers(OLDER / name)
    model = lstm_cli.load(OLDER / name)
    assert model.format == form
    found = lstm_cli.run(model, expected["x"], layer="lstm", direct=True, named=True)
    for key in ("output", "h_n", "c_n"):
        close(found[key], expected[key], FLOAT32)


def test_no_golden_file_is_left_out() -> None:
    """Every file of the folder loads, and has LSTM layers but for the one of bare tensors."""
    files = [
        path
        for folder in (GOLDEN, MADE, SAME, OLDER)
        for path in folder.iterdir()
        if path.is_file() and path.suffix not in (".npz", ".onnx")
    ]
    assert len(files) > 50
    for path in files:
        model = lstm_cli.load(path)
        refused = ("views", "own_class", "own_class_stream")
        expects_none = path.stem in refused
        assert bool(model.lstm_layers) is not expects_none, path.name


def test_architecture_is_for_keras() -> None:
    from lstm_cli.formats import load

    with pytest.raises(lstm_cli.UsageError, match="architecture"):
        load(GOLDEN / "sd_plain.pt", Options(architecture="x.json"))
