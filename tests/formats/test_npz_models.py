"""Weights in a plain .npz: the same LSTM under every kind of names gives what Keras computed.

Tolerance: 1e-5 of the larger of 1 and the largest number, in float32, as everywhere.
"""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli
from golden_files import FLOAT32, ROOT, Array
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstm_cli
from lstm_cli.errors import LstmCliError, ModelFileError, UsageError
from lstm_cli.formats.array_names import place_of
from lstm_cli.model import Model, Unsupported

with np.load(ROOT / "tests" / "golden" / "npz" / "lstm.npz") as golden:
    GOLDEN = dict(golden)
X, Y, BOTH = GOLDEN["x0"], GOLDEN["y0"], GOLDEN["y1"]
KERNEL, RECURRENT, BIAS = (GOLDEN[name] for name in ("kernel", "recurrent_kernel", "bias"))


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def assert_equal(found: Array, expected: Array) -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32 * scale)


def run(model: Model, layer: str) -> Array:
    """The layer's output, without the states that PyTorch's convention adds."""
    found = lstm_cli.run(model, X, layer=layer, direct=True, named=True)
    return found["output"]


def blocks(array: Array, order: str) -> Array:
    """Keras's columns i f g o in another order."""
    parts = dict(zip("ifgo", np.split(array, 4, axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in order], axis=-1)


def reason(model: Model) -> str:
    operation = model.layers[0].operation
    assert isinstance(operation, Unsupported)
    return operation.reason


# -- names that say the order of the gates


@pytest.mark.parametrize(
    ("front", "address"),
    [
        ("", "lstm"),
        ("encoder/", "encoder"),
        ("encoder.", "encoder"),
        ("encoder_", "encoder"),
        ("lstm_1_", "lstm_1"),
        ("outer/lstm_1/lstm_cell/", "outer/lstm_1"),
    ],
)
@pytest.mark.parametrize("behind", ["", ":0"])
def test_the_names_of_keras(tmp_path: Path, front: str, address: str, behind: str) -> None:
    arrays = {"kernel": KERNEL, "recurrent_kernel": RECURRENT, "bias": BIAS}
    named = {f"{front}{name}{behind}": array for name, array in arrays.items()}
    model = lstm_cli.load(saved(tmp_path / "w.npz", **named))
    assert [layer.address for layer in model.layers] == [address]
    assert_equal(run(model, address), Y)
    assert f"{address}: activation tanh, the usual one, as the file does not say" in (
        model.assumptions
    )


def test_without_a_bias(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.npz", kernel=KERNEL, recurrent_kernel=RECURRENT)
    with_zeros = saved(
        tmp_path / "z.npz", kernel=KERNEL, recurrent_kernel=RECURRENT, bias=np.zeros_like(BIAS)
    )
    found, expected = run(lstm_cli.load(path), "lstm"), run(lstm_cli.load(with_zeros), "lstm")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("fronts", [("forward/", "backward/"), ("b/forward_x/", "b/backward_x/")])
def test_forward_and_backward(tmp_path: Path, fronts: tuple[str, str]) -> None:
    arrays = {}
    for side, front in enumerate(fronts):
        for k, name in enumerate(("kernel", "recurrent_kernel", "bias")):
            arrays[front + name] = GOLDEN[f"both{3 * side + k}"]
    model = lstm_cli.load(saved(tmp_path / "w.npz", **arrays))
    (layer,) = model.layers
    assert layer.kind == "Bidirectional(LSTM)"
    assert_equal(run(model, layer.address), BOTH)


def test_the_names_of_pytorch(tmp_path: Path) -> None:
    """Rows i f g o, and two biases that add up."""
    half = BIAS / 2
    path = saved(
        tmp_path / "w.npz",
        **{
            "rnn.weight_ih_l0": KERNEL.T,
            "rnn.weight_hh_l0": RECURRENT.T,
            "rnn.bias_ih_l0": half,
            "rnn.bias_hh_l0": half,
        },
    )
    model = lstm_cli.load(path)
    assert [layer.address for layer in model.layers] == ["rnn"]
    assert_equal(run(model, "rnn"), Y)
    assert "PyTorch" in model.written_by


@pytest.mark.parametrize("names", ["{}_{}", "{}{}", "lstm_1_{}_{}"])
@pytest.mark.parametrize("transposed", [False, True])
def test_arrays_of_single_gates(tmp_path: Path, names: str, transposed: bool) -> None:
    """Each name says its gate, c for the candidate; the shapes say which axis is which."""
    arrays = {}
    for letter, stacked in (("W", KERNEL), ("U", RECURRENT), ("b", BIAS)):
        for gate, block in zip("ifco", np.split(stacked, 4, axis=-1), strict=True):
            arrays[names.format(letter, gate)] = block.T if transposed else block
    model = lstm_cli.load(saved(tmp_path / "w.npz", **arrays))
    assert_equal(run(model, model.layers[0].address), Y)


def test_single_gates_of_as_many_inputs_as_units(tmp_path: Path) -> None:
    """Then nothing tells a matrix from its transpose: refused, never guessed."""
    arrays = {f"{letter}_{gate}": np.eye(3) for letter in "WU" for gate in "ifco"}
    model = lstm_cli.load(saved(tmp_path / "w.npz", **arrays))
    assert "as many inputs as units" in reason(model)


# -- names that do not

NAMES = [("W", "U", "b"), ("Wx", "Wh", "b"), ("W", "R", "B"), ("m/W_ih", "m/W_hh", "m/b")]


@pytest.mark.parametrize("names", NAMES, ids="-".join)
@pytest.mark.parametrize("order", ["ifgo", "iofg", "igfo", "fiog"])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_order_that_the_caller_says(
    tmp_path: Path, names: tuple[str, str, str], order: str, transposed: bool
) -> None:
    stacked = [blocks(array, order) for array in (KERNEL, RECURRENT, BIAS)]
    matrices = [array.T if transposed else array for array in stacked[:2]]
    path = saved(tmp_path / "w.npz", **dict(zip(names, [*matrices, stacked[2]], strict=True)))
    said = order.replace("g", "c")
    model = lstm_cli.load(path, gate_order=said)
    assert_equal(run(model, model.layers[0].address), Y)
    assert f"gates in the order {said}, because you said so" in model.assumptions


@pytest.mark.parametrize("names", NAMES, ids="-".join)
def test_without_an_order_nothing_is_guessed(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = saved(tmp_path / "w.npz", **dict(zip(names, (KERNEL, RECURRENT, BIAS), strict=True)))
    with pytest.raises(UsageError, match="--gate-order with i f c o in their order"):
        lstm_cli.load(path)


def test_a_file_with_both_kinds_of_names(tmp_path: Path) -> None:
    """The order that the caller says is for the arrays that do not say it themselves."""
    other = [blocks(array, "oifg") for array in (KERNEL, RECURRENT, BIAS)]
    path = saved(
        tmp_path / "w.npz",
        **{"a/kernel": KERNEL, "a/recurrent_kernel": RECURRENT, "a/bias": BIAS},
        **dict(zip(("b/W", "b/U", "b/b"), other, strict=True)),
    )
    model = lstm_cli.load(path, gate_order="oifc")
    for address in ("a", "b"):
        assert_equal(run(model, address), Y)


def test_shapes_that_fit_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.npz", W=KERNEL, U=RECURRENT[:, :3], b=BIAS)
    assert "(3, 16), (4, 3), (16,)" in reason(lstm_cli.load(path, gate_order="ifco"))


# -- our own files


@pytest.mark.parametrize("name", ["three_steps", "forecaster"])
def test_the_export_of_weights_comes_back(tmp_path: Path, lstm: Cli, name: str) -> None:
    source = next(SAMPLES.glob(f"{name}.keras"))
    lstm("weights", source, "-o", tmp_path / "w.npz").succeeded()
    model, original = lstm_cli.load(tmp_path / "w.npz"), lstm_cli.load(source)
    for key, array in lstm_cli.weights(original).items():
        np.testing.assert_array_equal(lstm_cli.weights(model)[key], array)
    assert model.written_by == f"lstm-cli, from a model of {original.written_by}"


def test_the_activation_in_an_export_of_a_trace(tmp_path: Path) -> None:
    """What our own files say is not assumed."""
    meta = {"written_by": "Keras", "activation": "relu", "direction": "backward"}
    meta["recurrent_activation"] = "hard_sigmoid (0.2x + 0.5)"
    arrays = {"kernel": KERNEL, "recurrent_kernel": RECURRENT, "bias": BIAS, "h": Y}
    model = lstm_cli.load(saved(tmp_path / "w.npz", **arrays, meta=np.array(json.dumps(meta))))
    (layer,) = model.layers
    assert layer.recurrent is not None
    (way,) = layer.recurrent.directions
    assert way.go_backwards
    told = lstm_cli.inspect(model)["layers"][0]
    assert told["activation"] == "relu"
    assert told["recurrent_activation"] == "hard_sigmoid (0.2x + 0.5)"
    assert not model.assumptions


def test_a_stack_of_pytorch_comes_back_as_one(tmp_path: Path) -> None:
    """``l0/kernel``, ``l1/kernel``: the levels of an nn.LSTM, as our own export calls them."""
    upper = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32)
    path = saved(
        tmp_path / "w.npz",
        **{"rnn/l0/kernel": KERNEL, "rnn/l0/recurrent_kernel": RECURRENT, "rnn/l0/bias": BIAS},
        **{"rnn/l1/kernel": upper, "rnn/l1/recurrent_kernel": RECURRENT},
    )
    model = lstm_cli.load(path)
    (layer,) = model.layers
    assert layer.recurrent is not None
    assert layer.recurrent.parts == ("l0", "l1")
    lower = saved(tmp_path / "a.npz", kernel=KERNEL, recurrent_kernel=RECURRENT, bias=BIAS)
    above = saved(tmp_path / "b.npz", kernel=upper, recurrent_kernel=RECURRENT)
    h = run(lstm_cli.load(lower), "lstm")
    expected = lstm_cli.run(lstm_cli.load(above), h, layer="lstm", direct=True)
    assert_equal(run(model, "rnn"), expected)


# -- what is no model


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"h": Y, "c": Y}, "states or gates of a run"),
        ({"lstm_1/h": Y, "lstm_1/c": Y, "lstm_1/i": Y}, "states or gates of a run"),
        ({"x": X}, "no names of weights"),
        ({"a": KERNEL, "bias": BIAS}, "no names of weights"),
        ({"ids": np.arange(3)}, "no floating-point arrays"),
        ({"kernel": KERNEL, "bias": BIAS}, "no names of weights"),
    ],
)
def test_archives_without_weights(tmp_path: Path, arrays: dict[str, Array], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        lstm_cli.load(saved(tmp_path / "w.npz", **arrays))


def test_python_objects_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, kernel=np.array([print, {}], dtype=object))
    with pytest.raises(ModelFileError, match="Python objects"):
        lstm_cli.load(path)


def member(header: dict[str, Any], data: bytes = b"") -> bytes:
    text = repr(header).encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"descr": "<f4", "fortran_order": False, "shape": (2**38,)}, b"1234", "should take"),
        ({"descr": "<f4", "fortran_order": False, "shape": (2,)}, b"1234", "should take"),
        ({"descr": "<f4", "fortran_order": False, "shape": (-1,)}, b"1234", "should"),
        ({"descr": "|O", "fortran_order": False, "shape": (1,)}, b"12345678", "Python objects"),
        ({"descr": [("a", "<f4")], "fortran_order": False, "shape": (1,)}, b"1234", "numbers"),
        ({"descr": "__import__('os')", "fortran_order": False, "shape": ()}, b"", "damaged"),
    ],
)
def test_headers_that_claim_what_is_not_there(
    tmp_path: Path, header: dict[str, Any], data: bytes, message: str
) -> None:
    """Sizes in headers are never trusted: nothing is taken before they are checked."""
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("kernel.npy", member(header, data))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=message):
            lstm_cli.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_an_archive_that_unpacks_to_far_more_than_weights_do(tmp_path: Path) -> None:
    """The sizes in the archive agree with the array's header, and with nothing else."""
    path, shape = tmp_path / "w.npz", (300_000_000,)
    made = member({"descr": "<f4", "fortran_order": False, "shape": shape}, b"1234")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kernel.npy", made)
    content = bytearray(path.read_bytes())
    size = struct.pack("<I", len(made) - 4 + 4 * shape[0])
    central = content.index(b"PK\x01\x02")
    content[22:26] = content[central + 24 : central + 28] = size
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="which is refused"):
        lstm_cli.load(path)


def test_only_what_is_used_is_read(tmp_path: Path) -> None:
    arrays = {"kernel": KERNEL, "recurrent_kernel": RECURRENT, "table": np.zeros((500_000, 4))}
    path = saved(tmp_path / "w.npz", **arrays)
    tracemalloc.start()
    try:
        model = lstm_cli.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000  # of 16 MB
    finally:
        tracemalloc.stop()
    assert model.find("table").parameters == 2_000_000


def test_arrays_by_columns_of_half_precision(tmp_path: Path) -> None:
    half = {name: array.astype(np.float16) for name, array in (("kernel", KERNEL),)}
    path = saved(
        tmp_path / "w.npz",
        kernel=np.asfortranarray(half["kernel"]),
        recurrent_kernel=RECURRENT.astype(">f4"),
        bias=BIAS,
    )
    found = lstm_cli.weights(lstm_cli.load(path))
    np.testing.assert_array_equal(found["kernel"], half["kernel"].astype(np.float32))
    np.testing.assert_array_equal(found["recurrent_kernel"], RECURRENT)
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}


def test_two_arrays_in_one_place(tmp_path: Path) -> None:
    arrays = {"a/kernel": KERNEL, "a/kernel:0": KERNEL, "a/recurrent_kernel": RECURRENT}
    with pytest.raises(ModelFileError, match="claim the same place"):
        lstm_cli.load(saved(tmp_path / "w.npz", **arrays))


def test_an_architecture_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.npz", kernel=KERNEL, recurrent_kernel=RECURRENT)
    with pytest.raises(UsageError, match=r"\.npz of arrays"):
        lstm_cli.load(path, architecture=tmp_path / "a.json")


# -- anything at all

QUICK = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@QUICK
@given(name=st.text(max_size=20))
def test_any_name_has_a_place_or_none(name: str) -> None:
    place = place_of(name)
    assert place is None or place.address


@QUICK
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes(tmp_path: Path, changes: list[tuple[float, int]]) -> None:
    out = io.BytesIO()
    np.savez(out, kernel=KERNEL, recurrent_kernel=RECURRENT, bias=BIAS)
    content = bytearray(out.getvalue())
    for share, byte in changes:
        content[4 + int(share * (len(content) - 5))] = byte
    (tmp_path / "w.npz").write_bytes(content)
    try:
        lstm_cli.load(tmp_path / "w.npz")
    except LstmCliError:
        pass


@QUICK
@given(
    names=st.lists(
        st.sampled_from(
            "kernel recurrent_kernel bias W U b W_i U_f l0/kernel forward/kernel 0/kernel "
            "peepholes projection weight_ih_l0 h".split()
        ),
        unique=True,
        max_size=6,
    ),
    shapes=st.lists(
        st.sampled_from([(3, 16), (4, 16), (16,), (16, 3), (), (4, 4), (0, 0), (3, 4)]),
        min_size=6,
        max_size=6,
    ),
)
def test_any_names_and_shapes(
    tmp_path: Path, names: list[str], shapes: list[tuple[int, ...]]
) -> None:
    arrays = {name: np.ones(shape, np.float32) for name, shape in zip(names, shapes, strict=False)}
    path = saved(tmp_path / "w.npz", **arrays)
    for order in (None, "ifco"):
        try:
            lstm_cli.load(path, gate_order=order)
        except LstmCliError:
            pass
