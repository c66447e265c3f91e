"""safetensors: headers that may say anything, shards beside their index, kinds of numbers."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch_files import GOLDEN, MADE, Array, lstm_arrays, safetensors

import lstm_cli
from lstm_cli.formats import load
from lstm_cli.formats.options import Options

KINDS = {"float32": "F32", "float64": "F64", "float16": "F16"}


def packed(arrays: dict[str, Array], kind: str = "") -> tuple[dict[str, Any], bytes]:
    """A header and the data behind it."""
    header: dict[str, Any] = {}
    data = b""
    for key, array in arrays.items():
        content = array.tobytes()
        header[key] = {
            "dtype": kind or KINDS[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    return header, data


def kernel(path: Path, address: str = "lstm") -> Array:
    recurrent = lstm_cli.load(path).find(address).recurrent
    assert recurrent is not None
    array: Array = recurrent.directions[0].cells[0].kernel
    return array


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


def refusal(path: Path, header: Any, data: bytes = bytes(8)) -> str:
    with pytest.raises(lstm_cli.ModelFileError) as caught:
        lstm_cli.load(safetensors(path, header, data))
    return str(caught.value)


@pytest.mark.parametrize("dtype", KINDS)
def test_weights_come_out_as_they_went_in(tmp_path: Path, dtype: str) -> None:
    arrays = {key: array.astype(dtype) for key, array in lstm_arrays().items()}
    path = safetensors(tmp_path / "m", *packed(arrays))
    expected = arrays["weight_ih_l0"].astype("float64" if dtype == "float64" else "float32")
    np.testing.assert_array_equal(kernel(path), expected.T)
    assert kernel(path).dtype == expected.dtype


def test_bfloat16(tmp_path: Path) -> None:
    """formats.md 4.5: NumPy cannot read BF16; it is the upper half of a float32."""
    arrays = lstm_arrays()
    upper = {key: (array.view(np.uint32) >> 16).astype(np.uint16) for key, array in arrays.items()}
    path = safetensors(tmp_path / "m", *packed(upper, "BF16"))
    cut = (arrays["weight_ih_l0"].view(np.uint32) & 0xFFFF0000).view(np.float32)
    np.testing.assert_array_equal(kernel(path), cut.T)
    model = lstm_cli.load(path)
    assert "lstm: its weights are bfloat16; they are used as float32" in model.assumptions


@pytest.mark.parametrize(
    ("metadata", "writer"),
    [
        ({"format": "pt"}, "PyTorch"),
        ({"format": "np"}, "NumPy"),
        ({"format": "other"}, "other"),
        ({}, ""),
    ],
)
def test_writer(tmp_path: Path, metadata: dict[str, str], writer: str) -> None:
    header, data = packed(lstm_arrays())
    path = safetensors(tmp_path / "m", {"__metadata__": metadata, **header}, data)
    model = lstm_cli.load(path)
    assert (model.format, model.written_by) == ("safetensors", writer)
    assert "how layers are connected" in model.no_graph


def test_kinds_that_are_not_read_are_listed(tmp_path: Path) -> None:
    header, data = packed(lstm_arrays())
    header["head.weight"] = entry(dtype="F4", shape=[3, 3], data_offsets=[0, 5])
    header["other.weight"] = entry(dtype="F8_E4M3", shape=[4], data_offsets=[0, 4])
    header["clock.step"] = entry(dtype="I64", shape=[], data_offsets=[0, 8])
    model = lstm_cli.load(safetensors(tmp_path / "m", header, data))
    assert [(layer.address, layer.kind) for layer in model.layers] == [
        ("lstm", "LSTM"),
        ("head", "unknown"),
        ("other", "unknown"),
        ("clock", "unknown"),
    ]


def test_files_without_lstm_are_listed(tmp_path: Path) -> None:
    path = safetensors(tmp_path / "m", {"head.weight": entry()}, bytes(8))
    model = lstm_cli.load(path)
    assert [layer.address for layer in model.layers] == ["head"]
    assert not model.lstm_layers


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_offsets": [0, 9]}, "there are 8"),
        ({"data_offsets": [0, 2**40]}, "damaged or cut short"),
        ({"data_offsets": [8, 0]}, "should stand at bytes"),
        ({"data_offsets": [-8, 0]}, "should stand at bytes"),
        ({"data_offsets": [0]}, "two offsets"),
        ({"data_offsets": [0.0, 8.0]}, "whole numbers"),
        ({"data_offsets": [True, 8]}, "whole numbers"),
        ({"data_offsets": "08"}, "should be a list"),
        ({"shape": [2**40]}, "should take"),
        ({"shape": [2**40, 2**40]}, "should take"),
        ({"shape": [-2]}, "numbers from 0 on"),
        ({"shape": [2, 1.0]}, "whole numbers"),
        ({"shape": None}, "should be a list"),
        ({"shape": [1] * 40}, "up to 32 numbers"),
        ({"dtype": "F64"}, "should take 16 bytes, found 8"),
        ({"dtype": 32}, "should be a text"),
    ],
    ids=str,
)
def test_entries_are_checked(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """A tensor that claims a terabyte is refused by its offsets, before any memory is taken."""
    found = refusal(tmp_path / "m", {"lstm.weight_ih_l0": entry(**changes)})
    assert "lstm.weight_ih_l0" in found or "tensor's shape" in found
    assert words in found


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"{", "not valid JSON"),
        (b"{}", "holds no tensors"),
        (b'{"a": 1}', "should be a JSON object"),
        (b'{"__metadata__": 1}', "'__metadata__' should be a JSON object"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"a": "\xff"}', "not valid JSON"),
    ],
    ids=["cut", "empty", "number", "metadata", "deep", "bytes"],
)
def test_headers_are_checked(tmp_path: Path, header: bytes, words: str) -> None:
    assert words in refusal(tmp_path / "m", header)


@pytest.mark.parametrize("length", [2**63, 2**40, 10_000])
def test_a_header_longer_than_the_file(tmp_path: Path, length: int) -> None:
    with pytest.raises(lstm_cli.ModelFileError):
        lstm_cli.load(safetensors(tmp_path / "m", {"a": entry()}, bytes(8), length))


def test_cut_files(tmp_path: Path) -> None:
    content = (GOLDEN / "sd.safetensors").read_bytes()
    path = tmp_path / "m"
    path.write_bytes(content[:-1])
    with pytest.raises(lstm_cli.ModelFileError, match="damaged or cut short"):
        lstm_cli.load(path)


# -- several files


def sharded(folder: Path, **changes: Any) -> Path:
    """An LSTM over two files, and an index of them."""
    arrays = lstm_arrays()
    names = list(arrays)
    places = {}
    for k, keys in enumerate((names[:2], names[2:])):
        file = f"model-0000{k}.safetensors"
        header, data = packed({f"lstm.{key}": arrays[key] for key in keys})
        safetensors(folder / file, {"__metadata__": {"format": "pt"}, **header}, data)
        places.update(dict.fromkeys((f"lstm.{key}" for key in keys), file))
    index = folder / "model.safetensors.index.json"
    places.update(changes)
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index


def test_index(tmp_path: Path) -> None:
    path = sharded(tmp_path)
    np.testing.assert_array_equal(kernel(path), lstm_arrays()["weight_ih_l0"].T)
    model = lstm_cli.load(path)
    assert (model.format, model.written_by) == ("safetensors index of 2 files", "PyTorch")


@pytest.mark.parametrize(
    "file",
    ["../a.safetensors", "/etc/a.safetensors", "b/a.safetensors", "b\\a.safetensors", "..", ""],
)
def test_only_files_beside_the_index(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    path = sharded(folder, **{"other.weight": file})
    safetensors(tmp_path / "a.safetensors", {"other.weight": entry()}, bytes(8))
    with pytest.raises(lstm_cli.ModelFileError, match="only files beside the index are read"):
        lstm_cli.load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": "missing.safetensors"}, "'missing.safetensors', which is not beside it"),
        ({"x": "model-00000.safetensors"}, "which does not hold it"),
        ({"x": 3}, "should be a text"),
    ],
)
def test_indexes_are_checked(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(lstm_cli.ModelFileError, match=words):
        lstm_cli.load(sharded(tmp_path, **changes))


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    path = sharded(tmp_path)
    shard = tmp_path / "model-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(lstm_cli.ModelFileError, match=r"model-00001\.safetensors: .*cut short"):
        lstm_cli.load(path)


def test_architecture_is_for_keras() -> None:
    with pytest.raises(lstm_cli.UsageError, match="architecture"):
        load(GOLDEN / "sd.safetensors", Options(architecture="x.json"))


# -- any header at all

NUMBERS = st.one_of(st.integers(-2, 9), st.sampled_from([2**31, 2**63, 2**64, 0.5, None, "1"]))
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "BF16", "F16", "I64", "BOOL", "F4", "", 3]),
        "shape": st.one_of(st.lists(NUMBERS, max_size=4), st.none()),
        "data_offsets": st.one_of(st.lists(NUMBERS, max_size=3), st.none()),
    }
)
NAMES = st.one_of(
    st.sampled_from(["lstm.weight_ih_l0", "lstm.weight_hh_l0", "weight_ih", "__metadata__", "a.b"]),
    st.text(max_size=8),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(header=st.one_of(st.dictionaries(NAMES, st.one_of(ENTRIES, JSON), max_size=4), JSON))
def test_any_header(tmp_path_factory: pytest.TempPathFactory, header: Any) -> None:
    path = safetensors(tmp_path_factory.getbasetemp() / "any", header, bytes(64))
    loads_or_refuses(path)


@settings(deadline=None, max_examples=200)
@given(
    path=st.sampled_from([GOLDEN / "sd.safetensors", MADE / "float16.safetensors"]),
    changes=st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 3), st.binary(max_size=3)), max_size=4
    ),
)
@example(path=GOLDEN / "sd.safetensors", changes=[(0, 8, struct.pack("<Q", 2**64 - 1))])
def test_changed_files(
    tmp_path_factory: pytest.TempPathFactory, path: Path, changes: list[tuple[int, int, bytes]]
) -> None:
    content = path.read_bytes()
    for at, length, new in changes:
        content = content[:at] + new + content[at + length :]
    target = tmp_path_factory.getbasetemp() / "changed"
    target.write_bytes(content)
    loads_or_refuses(target)


def loads_or_refuses(path: Path) -> None:
    with contextlib.suppress(lstm_cli.ModelFileError):
        assert lstm_cli.load(path).layers
