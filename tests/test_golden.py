"""Every golden file gives its framework's own numbers, or is refused for the reason it should be.

Tolerances stand in ``golden_files.TOLERANCES``; the outputs are never compared with our own,
except where it says so.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from golden_files import (
    COMMITTED,
    FLOAT32,
    NO_FOLDER,
    REPORT,
    Array,
    Golden,
    golden_files,
    in_order,
    large_folder,
    scaled_error,
)
from keras_files import lstm_by_hand

import lstm_cli
from lstm_cli import Trace, Traces
from lstm_cli.model import Layer

ERAS = ("keras1", "keras2", "keras3", "tfkeras2")
FOLDER = large_folder()
FILES = golden_files(COMMITTED) + (golden_files(FOLDER, ERAS) if FOLDER else [])

REFUSED: dict[str, tuple[type[lstm_cli.LstmCliError], str]] = {
    "lambda": (lstm_cli.UnsupportedFeatureError, "a Lambda holds Python code"),
    "convlstm2d": (lstm_cli.UnsupportedFeatureError, "ConvLSTM2D are convolutions"),
    "custom_class": (lstm_cli.UnsupportedFeatureError, "a custom class whose code is not in"),
    "subclassed": (lstm_cli.UsageError, "connections are Python code"),
}
WITHOUT_NUMBERS = {"bf16weights", "f16weights", "subclassed"}


def label(golden: Golden) -> str:
    return f"{'committed' if golden.stem.is_relative_to(COMMITTED) else 'large'}:{golden.id}"


def chosen(*, refused: bool) -> list[Golden]:
    return [
        golden
        for golden in FILES
        if (golden.case in REFUSED) == refused and golden.case not in WITHOUT_NUMBERS - set(REFUSED)
    ]


def of_case(*cases: str) -> list[Golden]:
    return [golden for golden in FILES if golden.case in cases]


def test_the_committed_selection_has_every_era() -> None:
    files = golden_files(COMMITTED)
    assert len(files) >= 80
    assert {golden.era for golden in files} >= set(ERAS)
    assert {golden.case for golden in files} >= set(REFUSED) | WITHOUT_NUMBERS


@pytest.mark.skipif(FOLDER is None, reason=NO_FOLDER)
def test_the_large_folder_has_every_era() -> None:
    files = [golden for golden in FILES if not golden.stem.is_relative_to(COMMITTED)]
    assert {golden.era for golden in files} == set(ERAS)


def compare(outputs: list[Array], expected: list[Array], tolerance: float) -> None:
    """Fail unless there are as many outputs, each of the same shape and numbers."""
    assert [output.shape for output in outputs] == [array.shape for array in expected]
    for output, array in zip(outputs, expected, strict=True):
        error = scaled_error(output, array)
        assert error <= tolerance, f"off by {error:.2g} · max(1, max |reference|)"


def check_outputs(golden: Golden, folder: Path) -> None:
    """The model's outputs, and those of a second call of a stateful model."""
    numbers = golden.numbers
    architecture = golden.architecture(folder) if golden.holds_weights_alone else None
    model = lstm_cli.load(golden.opened(folder), architecture=architecture)
    stateful = "second_y0" in numbers
    session = lstm_cli.Session(model, stateful=stateful)
    for prefix in ("y", "second_y") if stateful else ("y",):
        outputs = session.run(in_order(numbers, "x"))
        compare(list(outputs.values()), in_order(numbers, prefix), golden.tolerance)


@pytest.mark.parametrize("golden", chosen(refused=False), ids=label)
def test_outputs_are_the_frameworks(golden: Golden, tmp_path: Path) -> None:
    assert in_order(golden.numbers, "y"), "there are no expected numbers"
    try:
        check_outputs(golden, tmp_path)
    except Exception as error:
        REPORT.failed[label(golden)] = f"{type(error).__name__}: {error}"
        raise
    REPORT.matched.append(label(golden))


@pytest.mark.parametrize("golden", chosen(refused=True), ids=label)
def test_refused_with_its_reason(golden: Golden) -> None:
    """It still loads and is listed; a run of the model names what stands in the way."""
    model = lstm_cli.load(golden.path)
    error, reason = REFUSED[golden.case]
    inputs = golden.inputs or [np.zeros((1, 2, 3), np.float32)]
    with pytest.raises(error, match=reason) as raised:
        lstm_cli.run(model, inputs)
    message = str(raised.value)
    assert "\n" not in message
    assert str(golden.path) in message
    assert lstm_cli.inspect(model)["layers"]
    REPORT.refused[label(golden)] = reason


@pytest.mark.parametrize("golden", of_case("custom_class"), ids=label)
def test_custom_class_runs_when_told_that_it_is_an_lstm(golden: Golden) -> None:
    model = lstm_cli.load(golden.path, treat_as_lstm="MyLSTM")
    output = lstm_cli.run(model, golden.inputs)
    np.testing.assert_allclose(output, golden.numbers["y0"], rtol=0, atol=FLOAT32)
    assert any("MyLSTM" in note for note in model.assumptions)


def stored_arrays(path: Path, group: str) -> list[Array]:
    """The arrays of a ``vars`` group of a ``.keras`` archive, read without this package."""
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    with h5py.File(BytesIO(content), "r") as file:
        return [file[group][name][()] for name in sorted(file[group])]


@pytest.mark.parametrize("golden", of_case("subclassed"), ids=label)
def test_subclassed_layers_run_directly(golden: Golden) -> None:
    """Each LSTM as the equations have it, on its arrays as h5py reads them.

    No framework recorded a number for this file: a subclassed model's graph is Python code.
    """
    places = {"lstm_5": "layers/lstm", "lstm_6": "aa", "lstm_7": "layers/lstm_2"}
    model = lstm_cli.load(golden.path)
    assert {layer.address for layer in model.lstm_layers} == set(places)
    for address, place in places.items():
        kernel, recurrent, bias = stored_arrays(golden.path, f"{place}/cell/vars")
        x = np.random.default_rng(1).normal(size=(2, 4, len(kernel))).astype(np.float32)
        trace = lstm_cli.trace(model, x, layer=address, direct=True)
        expected = lstm_by_hand(x, kernel, recurrent, bias)
        for name in ("h", "c", "i", "f", "g", "o"):
            np.testing.assert_allclose(trace.arrays[name], expected[name], rtol=0, atol=FLOAT32)


# -- half precision without numbers of the framework


def kernels(golden: Golden) -> dict[str, Array]:
    return lstm_cli.weights(lstm_cli.load(golden.path))


@pytest.mark.parametrize("golden", of_case("f16weights"), ids=label)
def test_float16_weights(golden: Golden) -> None:
    """The file holds float16: each number is one, and is what h5py reads, widened."""
    found = kernels(golden)
    stored = stored_arrays(golden.path, "layers/lstm/cell/vars")
    assert {array.dtype for array in stored} == {np.dtype(np.float16)}
    for array, expected in zip(found.values(), stored, strict=True):
        np.testing.assert_array_equal(array, expected.astype(np.float32))
    check_runs(golden)
    REPORT.listed[label(golden)] = "no numbers of the framework; weights are exact, outputs finite"


@pytest.mark.parametrize("golden", of_case("bf16weights"), ids=label)
def test_bfloat16_weights(golden: Golden) -> None:
    """The lower half of each number is empty, and both containers hold the same numbers."""
    found = kernels(golden)
    other = ".h5" if golden.path.suffix == ".keras" else ".keras"
    same = lstm_cli.weights(lstm_cli.load(golden.stem.with_name(golden.stem.name + other)))
    assert set(found) == set(same) == {"kernel", "recurrent_kernel", "bias"}
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array.view(np.uint32) & 0xFFFF, 0)
        np.testing.assert_array_equal(array, same[name])
    # Glorot's limit for a kernel, and Keras's forget bias: wrong bytes would give anything.
    features, width = found["kernel"].shape
    assert 0.1 < np.abs(found["kernel"]).max() <= np.sqrt(6 / (features + width)) * 1.01
    check_runs(golden)
    REPORT.listed[label(golden)] = "no numbers of the framework; weights are exact, outputs finite"


def check_runs(golden: Golden) -> None:
    model = lstm_cli.load(golden.path)
    (layer,) = model.lstm_layers
    assert layer.recurrent is not None
    x = np.ones((2, 3, layer.recurrent.input_size), np.float32)
    assert np.isfinite(lstm_cli.trace(model, x).arrays["h"]).all()
    assert any("half-precision" in note for note in model.assumptions)


# -- weights without an architecture


def sizes(layer: Layer) -> list[tuple[int, int]]:
    """Features and units of each cell."""
    cells = layer.recurrent.cells() if layer.recurrent else ()
    return [(cell.input_size, cell.units) for _, _, cell in cells]


def cells_of(found: Trace | Traces) -> dict[str, Trace]:
    """The trace of each cell by its part; ``""`` for a single one."""
    return dict(found) if isinstance(found, Traces) else {"": found}


def directly_alike(whole: lstm_cli.Model, alone: lstm_cli.Model, inputs: list[Array]) -> int:
    """Run each LSTM layer of ``alone`` on what it receives in ``whole``; how many were compared."""
    waiting = list(alone.lstm_layers)
    for layer in whole.lstm_layers:
        twin = next(other for other in waiting if sizes(other) == sizes(layer))
        waiting.remove(twin)
        trace = lstm_cli.trace(
            whole, inputs, layer=layer.address, tensors=("h", "c", "i", "f", "g", "o", "x")
        )
        cells = cells_of(trace)
        initial = {
            "/".join(filter(None, (part, name))): cell.arrays[f"initial_{name}"]
            for part, cell in cells.items()
            for name in ("h", "c")
        }
        direct = lstm_cli.trace(
            alone,
            trace.arrays["x"],
            layer=twin.address,
            mask=trace.arrays.get("mask"),
            initial_state=initial,
        )
        for part, again in cells_of(direct).items():
            for name in ("h", "c", "i", "f", "g", "o"):
                np.testing.assert_allclose(
                    again.arrays[name], cells[part].arrays[name], rtol=0, atol=FLOAT32
                )
    return len(whole.lstm_layers)


@pytest.mark.parametrize(
    "golden", [golden for golden in FILES if golden.holds_weights_alone], ids=label
)
def test_weights_alone_run_directly(golden: Golden, tmp_path: Path) -> None:
    """Layers found by shape and order do what they do in the whole model.

    What each layer receives and returns inside the whole model is our own number; it stands for
    the framework's because the output of that whole model equals the framework's, which is checked
    here first.
    """
    check_outputs(golden, tmp_path)
    alone = lstm_cli.load(golden.path)
    assert not alone.has_graph
    whole = lstm_cli.load(golden.path, architecture=golden.architecture(tmp_path))
    assert directly_alike(whole, alone, golden.inputs) >= 1
    with pytest.raises(lstm_cli.UsageError, match=r"--layer … --direct"):
        lstm_cli.run(alone, golden.inputs)
