"""Containers of PyTorch's tensors: storages, strides, orders of bytes, archives and streams."""

from __future__ import annotations

import json
import pickle
import re
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_files import (
    GOLDEN,
    MADE,
    archive,
    called,
    edited,
    lstm_arrays,
    mapping,
    name,
    pickled,
    several,
    state_dict,
    storage,
    tensor,
    text,
    whole,
)

import lstm_cli
from lstm_cli.formats.options import Options
from lstm_cli.formats.pytorch import read_archive
from lstm_cli.formats.reading import Problem
from lstm_cli.formats.torch_storage import (
    DTYPES,
    QuantisedTensor,
    Storage,
    StoredTensor,
    stored_tensor,
)
from lstm_cli.model import Unsupported


def kernel(path: Path, address: str = "lstm") -> Any:
    recurrent = lstm_cli.load(path).find(address).recurrent
    assert recurrent is not None
    return recurrent.directions[0].cells[0].kernel


def with_weight(path: Path, entry: bytes, storages: dict[str, bytes]) -> Path:
    """An archive of an LSTM of one unit whose ``weight_ih_l0``, (4, 2), is as given."""
    entries = {"weight_ih_l0": entry, "weight_hh_l0": tensor(storage("h", 4), (4, 1))}
    return archive(path, pickled(mapping(entries)), {"h": bytes(16), **storages})


# -- tensors are checked against their storages


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((4, 2), (2, 1), 1),  # one number too far
        ((4, 2), (1, 100), 0),
        ((4, 2), (2**40, 1), 0),
        ((4, 2), (2, 1), 2**60),
        ((2**40, 2), (2, 1), 0),  # 8 TB
        ((2**40, 2), (0, 0), 0),  # 8 TB by repeating one number
        ((2**62, 2**62), (0, 1), 0),
    ],
    ids=str,
)
def test_views_beyond_their_storage(
    tmp_path: Path, shape: Sequence[int], strides: Sequence[int], offset: int
) -> None:
    entry = tensor(storage("w", 8), shape, strides, offset)
    path = with_weight(tmp_path / "m.pt", entry, {"w": bytes(32)})
    with pytest.raises(lstm_cli.ModelFileError, match="reaches beyond storage 'w'"):
        lstm_cli.load(path)


@pytest.mark.parametrize(
    "length", [9, 2**38, 2**62], ids=["one more", "a terabyte", "more than memory"]
)
def test_storages_that_claim_more_than_the_file(tmp_path: Path, length: int) -> None:
    """1 kB that claims a terabyte is refused before any memory is taken for it."""
    entry = tensor(
        storage("w", length), (length // 2 * 2 or 2, 1) if length > 9 else (4, 2), None, 1
    )
    path = with_weight(tmp_path / "m.pt", entry, {"w": bytes(32)})
    assert path.stat().st_size < 2000
    with pytest.raises(lstm_cli.ModelFileError):
        lstm_cli.load(path)


def test_a_terabyte_of_the_right_shape(tmp_path: Path) -> None:
    units = 2**18  # weights of (2²⁰, 2¹⁸) numbers are a terabyte
    entries = {
        "weight_ih_l0": tensor(storage("w", 8 * units), (4 * units, 2)),
        "weight_hh_l0": tensor(storage("h", 4 * units**2), (4 * units, units)),
    }
    path = archive(tmp_path / "m.pt", pickled(mapping(entries)), {"w": bytes(8), "h": bytes(8)})
    with pytest.raises(lstm_cli.ModelFileError, match="should hold 2,097,152 numbers of float32"):
        lstm_cli.load(path)


@pytest.mark.parametrize(
    "arguments",
    [
        (b"N", whole(0), several(whole(2)), several(whole(1))),
        (storage("w", 8), whole(-1), several(whole(2)), several(whole(1))),
        (storage("w", 8), whole(0), several(whole(-2)), several(whole(1))),
        (storage("w", 8), whole(0), several(whole(2)), several(whole(-1))),
        (storage("w", 8), whole(0), several(whole(2)), several()),
        (storage("w", 8), whole(0), several(b"N"), several(whole(1))),
        (storage("w", 8), whole(0), several(*[whole(1)] * 40), several(*[whole(1)] * 40)),
        (storage("w", 8), whole(2**70), several(whole(2)), several(whole(1))),
        (storage("w", 8),),
        (),
    ],
)
def test_tensors_that_cannot_be(tmp_path: Path, arguments: tuple[bytes, ...]) -> None:
    entry = called(name("torch._utils", "_rebuild_tensor_v2"), *arguments)
    path = with_weight(tmp_path / "m.pt", entry, {"w": bytes(32)})
    with pytest.raises(lstm_cli.ModelFileError):
        lstm_cli.load(path)


@pytest.mark.parametrize(
    "stored",
    [
        storage("w", 8, "NoStorage"),
        storage("w", 8, "FloatStorage", "os"),
        storage("w", -8),
        several(text("storage")) + b"Q",
        several(text("elsewhere"), text("w")) + b"Q",
        text("storage") + b"Q",
        b"N",
    ],
)
def test_storages_that_cannot_be(tmp_path: Path, stored: bytes) -> None:
    path = with_weight(tmp_path / "m.pt", tensor(stored, (4, 2)), {"w": bytes(32)})
    with pytest.raises(lstm_cli.ModelFileError):
        lstm_cli.load(path)


def test_a_missing_storage_is_named(tmp_path: Path) -> None:
    path = with_weight(tmp_path / "m.pt", tensor(storage("w", 8), (4, 2)), {})
    with pytest.raises(lstm_cli.ModelFileError, match="holds no 'archive/data/w'"):
        lstm_cli.load(path)


def test_strided_and_expanded_views(tmp_path: Path) -> None:
    numbers = np.arange(8, dtype=np.float32)
    entry = tensor(storage("w", 8), (4, 2), (1, 4))  # transposed
    path = with_weight(tmp_path / "m.pt", entry, {"w": numbers.tobytes()})
    np.testing.assert_array_equal(kernel(path), numbers.reshape(2, 4))
    entry = tensor(storage("w", 8), (4, 2), (0, 3), 2)  # four times the same row
    path = with_weight(tmp_path / "m.pt", entry, {"w": numbers.tobytes()})
    np.testing.assert_array_equal(kernel(path), [[2] * 4, [5] * 4])


@pytest.mark.parametrize("first", [0, 5])
def test_storages_that_are_parts_of_others(tmp_path: Path, first: int) -> None:
    """formats.md 4.2: view metadata, (key, offset, size), before PyTorch 0.4."""
    view = several(text("v"), whole(first), whole(8))
    parts = text("storage"), name("torch", "FloatStorage"), text("w"), text("cpu"), whole(16)
    entry = tensor(several(*parts, view) + b"Q", (4, 2))
    numbers = np.arange(16, dtype=np.float32)
    path = with_weight(tmp_path / "m.pt", entry, {"w": numbers.tobytes()})
    np.testing.assert_array_equal(kernel(path), numbers[first : first + 8].reshape(4, 2).T)


def stored(values: Any, dtype: str, big_endian: bool = False) -> Storage:
    content = np.asarray(values).astype((">" if big_endian else "<") + DTYPES[dtype]).tobytes()
    return Storage("storage 0", dtype, len(values), lambda: memoryview(content), big_endian)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int64", "uint8"])
def test_kinds_of_numbers(dtype: str, big_endian: bool) -> None:
    values = [0, 1, 2, 100]
    found = stored_tensor(stored(values, dtype, big_endian), 0, (4,), (1,)).read()
    assert found.dtype == (np.float64 if dtype == "float64" else np.float32)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("big_endian", [False, True])
def test_bfloat16(big_endian: bool) -> None:
    """formats.md 4.1: BFloat16 is two bytes, the upper half of a float32."""
    whole_numbers = np.array([1.0, -2.5, 3.0e38, 1e-30], np.float32)
    upper = whole_numbers.view(np.uint32) >> 16
    found = stored_tensor(stored(upper, "bfloat16", big_endian), 0, (4,), (1,)).read()
    np.testing.assert_allclose(found, whole_numbers, rtol=2**-7)
    np.testing.assert_array_equal(found.view(np.uint32), upper << 16)


def test_quantised_numbers() -> None:
    numbers = stored_tensor(stored([-3, 0, 5, 127, 1, 2], "qint8"), 0, (3, 2), (2, 1))
    np.testing.assert_allclose(
        QuantisedTensor(numbers, 0.5, 1).read(), [[-2.0, -0.5], [2.0, 63.0], [0.0, 0.5]]
    )
    scales = stored_tensor(stored([1.0, 10.0, 100.0], "float64"), 0, (3,), (1,))
    zeros = stored_tensor(stored([0, 0, 1], "int64"), 0, (3,), (1,))
    np.testing.assert_allclose(
        QuantisedTensor(numbers, scales, zeros, 0).read(), [[-3, 0], [50, 1270], [0, 100]]
    )
    with pytest.raises(Problem, match="do not fit"):
        QuantisedTensor(numbers, scales, zeros, 1).read()


def test_a_tensor_without_numbers() -> None:
    empty = StoredTensor(stored([1.0], "float32"), "float32", (0, 2**62), (1, 1), 0)
    with pytest.raises(Problem, match="holds no numbers"):
        empty.read()


# -- archives


@pytest.mark.parametrize("order", ["big", "little"])
def test_byteorder(tmp_path: Path, order: str) -> None:
    """formats.md 4.1: 'byteorder' of the archive is the order of every storage in it."""
    arrays = lstm_arrays()
    turned = {
        key: array.astype(">f4" if order == "big" else "<f4") for key, array in arrays.items()
    }
    path = state_dict(tmp_path / "m.pt", turned, byteorder=order)
    np.testing.assert_array_equal(kernel(path), arrays["weight_ih_l0"].T)


def test_an_unknown_byteorder_is_refused(tmp_path: Path) -> None:
    path = state_dict(tmp_path / "m.pt", lstm_arrays(), byteorder="middle")
    with pytest.raises(lstm_cli.ModelFileError, match="should be little or big, found 'middle'"):
        lstm_cli.load(path)


@pytest.mark.parametrize("ending", ["pt", "pth", "bin", "ckpt", "tar", "pkl", "jit", "h5", ""])
def test_names_do_not_matter(tmp_path: Path, ending: str) -> None:
    """formats.md 0: `.pth.tar` is an ordinary archive, `.ckpt` may be one: content decides."""
    path = tmp_path / f"model.{ending}".rstrip(".")
    path.write_bytes((GOLDEN / "sd_plain.pt").read_bytes())
    assert lstm_cli.load(path).format == "PyTorch zip archive, state dict"


def test_packed_members(tmp_path: Path) -> None:
    """Archives that were packed again by another program."""
    path = edited(GOLDEN / "sd_bi2.pt", tmp_path / "m.pt", {}, packed=True)
    np.testing.assert_array_equal(kernel(path), kernel(GOLDEN / "sd_bi2.pt"))


def test_checksums_are_not_looked_at(tmp_path: Path) -> None:
    """torch.serialization.set_crc32_options(False) writes members without a true checksum."""
    content = bytearray((GOLDEN / "sd_plain.pt").read_bytes())
    with zipfile.ZipFile(GOLDEN / "sd_plain.pt") as file:
        sums = {member.CRC for member in file.infolist() if member.file_size}
    for value in sums:
        packed = struct.pack("<I", value)
        content = content.replace(packed, struct.pack("<I", value ^ 1))
    path = tmp_path / "m.pt"
    path.write_bytes(content)
    np.testing.assert_array_equal(kernel(path), kernel(GOLDEN / "sd_plain.pt"))


def test_members_behind_other_bytes(tmp_path: Path) -> None:
    """Places inside of an archive are counted from its first member, wherever that is."""
    path = archive(tmp_path / "m.pt", pickled(mapping({})), {})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/data/later", bytes(8))
    with pytest.raises(lstm_cli.ModelFileError, match="no PyTorch tensors"):
        lstm_cli.load(path)


@pytest.mark.parametrize("cut", [10, 100, 1000, -1, -30])
def test_archives_cut_short(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes((GOLDEN / "sd_plain.pt").read_bytes()[:cut])
    with pytest.raises(lstm_cli.ModelFileError):
        lstm_cli.load(path)


def test_a_member_that_claims_more_than_it_packs(tmp_path: Path) -> None:
    arrays = lstm_arrays()
    path = state_dict(tmp_path / "m.pt", arrays)
    edited(path, tmp_path / "packed.pt", {"data/0": lambda data: b"\0" * 2**21}, packed=True)
    content = (tmp_path / "packed.pt").read_bytes()
    claimed = content.replace(struct.pack("<I", 2**21), struct.pack("<I", 2**31 - 1))
    assert claimed != content
    path.write_bytes(claimed)
    with pytest.raises(lstm_cli.ModelFileError, match=r"more than its .* packed ones may hold"):
        lstm_cli.load(path)


def test_many_members_that_unpack_to_much(tmp_path: Path) -> None:
    """Each is within what deflate can do, all together are not within what models are."""
    entries = {
        f"m{k}.{key}": tensor(storage(str(k), 2**20), (2048, 512))
        for k in range(30)
        for key in ("weight_ih_l0", "weight_hh_l0")
    }
    contents = {str(k): bytes(2**22) for k in range(30)}
    path = archive(tmp_path / "m.pt", pickled(mapping(entries)), contents, packed=True)
    assert path.stat().st_size < 200_000
    with pytest.raises(lstm_cli.ModelFileError, match="far more bytes than an archive of its size"):
        lstm_cli.load(path)


def test_torch_export_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("m/archive_format", "pt2")
        file.writestr("m/models/model.json", "{}")
        file.writestr("m/data/weights/weight_0", bytes(8))
    with pytest.raises(lstm_cli.ModelFileError, match=r"torch\.export.*torch\.save\(model\.state"):
        lstm_cli.load(path)


def test_the_tar_of_old_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "m.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as file:
        for member in ("storages", "tensors", "pickle"):
            file.addfile(tarfile.TarInfo(member), BytesIO())
    with pytest.raises(
        lstm_cli.ModelFileError, match=r"before 0\.1\.10.*torch\.save\(model\.state"
    ):
        lstm_cli.load(path)


# -- streams and plain pickles


@pytest.mark.parametrize("part", ["protocol", "keys", "count", "storage", "cut"])
def test_damaged_streams(tmp_path: Path, part: str) -> None:
    content = (GOLDEN / "sd_legacy.pt").read_bytes()
    changes = {
        "protocol": content.replace(b"\x80\x02M\xe9\x03.", b"\x80\x02M\xe8\x03."),
        "keys": content.replace(b"q\x00(X", b"q\x00(Z"),
        "count": content.replace(struct.pack("<q", 24), struct.pack("<q", 2**40)),
        "storage": content.replace(b"FloatStorage", b"FleetStorage"),
        "cut": content[:-5],
    }
    assert changes[part] != content
    path = tmp_path / "m.pt"
    path.write_bytes(changes[part])
    with pytest.raises(lstm_cli.ModelFileError):
        lstm_cli.load(path)


@pytest.mark.parametrize(
    "value", [{"a": 1}, [1, 2], "text", None, {"w": np.zeros(3)}, {1, 2}], ids=str
)
def test_pickles_without_tensors(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(
        lstm_cli.ModelFileError, match=r"holds no PyTorch tensors.*torch\.save\(model\.state_dict"
    ):
        lstm_cli.load(path)


def test_storages_in_pickles_are_streams(tmp_path: Path) -> None:
    """formats.md 4.2 within a plain pickle: each storage is a stream of its own."""
    nested = called(name("torch.storage", "_load_from_bytes"), b"B" + struct.pack("<I", 3) + b"abc")
    path = tmp_path / "m.pkl"
    path.write_bytes(pickled(mapping({"w": tensor(nested, (2,))})))
    with pytest.raises(lstm_cli.ModelFileError, match="should be a PyTorch stream"):
        lstm_cli.load(path)


def test_old_tensors_and_parameters(tmp_path: Path) -> None:
    """PyTorch 0.3: _rebuild_tensor without gradients, Parameter(tensor), pairs in OrderedDict."""
    arrays = lstm_arrays()
    pairs = b""
    for k, (key, array) in enumerate(arrays.items()):
        sizes = several(*map(whole, array.shape)), several(*(whole(s // 4) for s in array.strides))
        plain = called(
            name("torch._utils", "_rebuild_tensor"), storage(str(k), array.size), whole(0), *sizes
        )
        parameter = called(name("torch.nn.parameter", "Parameter"), plain) + b"(\x89\x89Ntb"
        pairs += b"](" + text(key) + parameter + b"e"
    value = called(name("collections", "OrderedDict"), b"](" + pairs + b"e")
    contents = {str(k): array.tobytes() for k, array in enumerate(arrays.values())}
    path = archive(tmp_path / "m.pt", pickled(value), contents)
    np.testing.assert_array_equal(kernel(path), arrays["weight_ih_l0"].T)


def test_newest_tensors(tmp_path: Path) -> None:
    """_rebuild_tensor_v3 keeps the kind of numbers beside an untyped storage."""
    numbers = np.arange(8, dtype=np.float32)
    kind = name("torch", "float32")
    hooks = called(name("collections", "OrderedDict"))
    sizes = several(whole(4), whole(2)), several(whole(2), whole(1))
    untyped = storage("w", 32, "UntypedStorage", "torch.storage")
    function = name("torch._utils", "_rebuild_tensor_v3")
    entry = called(function, untyped, whole(0), *sizes, b"\x89", hooks, kind)
    path = with_weight(tmp_path / "m.pt", entry, {"w": numbers.tobytes()})
    np.testing.assert_array_equal(kernel(path), numbers.reshape(4, 2).T)


def test_parameters_with_attributes(tmp_path: Path) -> None:
    """A parameter with attributes of its own is made by _rebuild_from_type_v2."""
    numbers = np.arange(8, dtype=np.float32)
    sizes = several(whole(4), whole(2)), several(whole(2), whole(1))
    inner = several(storage("w", 8), whole(0), *sizes, b"\x89", b"N")
    entry = called(
        name("torch._tensor", "_rebuild_from_type_v2"),
        *(name("torch._utils", "_rebuild_tensor_v2"), name("torch.nn.parameter", "Parameter")),
        *(inner, mapping({"note": text("mine")})),
    )
    path = with_weight(tmp_path / "m.pt", entry, {"w": numbers.tobytes()})
    np.testing.assert_array_equal(kernel(path), numbers.reshape(4, 2).T)


def test_opening_reads_lstm_tensors_alone(tmp_path: Path) -> None:
    """Storages of other modules need not even be there."""
    arrays = lstm_arrays()
    entries = {
        f"lstm.{key}": tensor(storage(key, array.size), array.shape)
        for key, array in arrays.items()
    }
    entries["head.weight"] = tensor(storage("none", 10**9), (10**5, 10**4))
    contents = {key: array.tobytes() for key, array in arrays.items()}
    model = lstm_cli.load(archive(tmp_path / "m.pt", pickled(mapping(entries)), contents))
    assert [(layer.address, layer.parameters) for layer in model.layers] == [
        ("lstm", 56),
        ("head", 10**9),
    ]


@pytest.mark.parametrize(
    ("pattern", "changed", "words"),
    [
        (rb"(num_layersq.K)\x02", b"\\1\x03", "num_layers is 3, but its arrays are of 2"),
        (rb"(bidirectionalq.)\x88", b"\\1\x89", "bidirectional is False, but its arrays are of 2"),
    ],
)
def test_module_settings_are_compared_with_arrays(
    tmp_path: Path, pattern: bytes, changed: bytes, words: str
) -> None:
    """A module that says three levels and holds two is not guessed at."""
    path = tmp_path / "m.pt"
    edit = partial(re.sub, pattern, changed, flags=re.S)
    edited(GOLDEN / "whole_module.pt", path, {"data.pkl": edit})
    operation = lstm_cli.load(path).layers[0].operation
    assert isinstance(operation, Unsupported)
    assert words in operation.reason


def test_made_files_are_the_ones_that_are_meant() -> None:
    """The traps are in the files: parts of one storage, strides, CUDA and protocol 5."""
    pickles = {}
    for stem in ("one_storage", "cuda", "protocol5"):
        with zipfile.ZipFile(MADE / f"{stem}.pt") as file:
            pickles[stem] = file.read(f"{stem}/data.pkl")
            members = [member for member in file.namelist() if "/data/" in member]
            assert (len(members) == 1) is (stem == "one_storage")
    assert b"cuda:0" in pickles["cuda"]
    assert pickles["protocol5"][:2] == b"\x80\x05"
    assert b"ctorch.cuda\nFloatStorage" in (MADE / "cuda_stream.pt").read_bytes()


# -- archives before PyTorch 1.3


def described(path: Path, **changes: Any) -> Path:
    """TorchScript of PyTorch 1.2 with one tensor, described by ``model.json``."""
    entry = {
        "dims": ["4", "2"],
        "strides": ["2", "1"],
        "offset": "0",
        "dataType": "FLOAT",
        "data": {"key": "tensors/0"},
    }
    parameters = [{"name": "weight_ih_l0"}, {"name": "weight_hh_l0", "tensorId": "1"}]
    other = {**entry, "dims": ["4", "1"], "strides": ["1", "1"], "data": {"key": "tensors/1"}}
    document: dict[str, Any] = {
        "mainModule": {"name": "m", "parameters": parameters},
        "tensors": [{**entry, **changes}, other],
        **{key: value for key, value in changes.items() if key in ("mainModule", "tensors")},
    }
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("m/version", "1")
        file.writestr("m/model.json", json.dumps(document))
        file.writestr("m/tensors/0", np.arange(8, dtype=np.float32).tobytes())
        file.writestr("m/tensors/1", bytes(16))
    return path


def test_described_archives(tmp_path: Path) -> None:
    model = read_archive(described(tmp_path / "m.pt"), Options())
    assert model.format == "TorchScript archive (before 1.3)"
    recurrent = model.find("lstm").recurrent
    assert recurrent is not None
    found = recurrent.directions[0].cells[0]
    np.testing.assert_array_equal(found.kernel, np.arange(8).reshape(4, 2).T)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dims": ["8", "2"]}, "reaches beyond tensors/0"),
        ({"dims": ["1099511627776", "2"]}, "reaches beyond tensors/0"),
        ({"offset": "-1"}, "should be a number"),
        ({"offset": "1"}, "reaches beyond tensors/0"),
        ({"strides": ["2"]}, "a stride for each axis"),
        ({"dataType": "STRING"}, "numbers that are not read"),
        ({"data": {"key": "tensors/9"}}, "holds no 'm/tensors/9'"),
        ({"data": None}, "should be a JSON object"),
        ({"tensors": []}, "is tensor 0, of 0"),
        ({"tensors": 3}, "should be a list"),
        ({"mainModule": None}, "should be a JSON object"),
        ({"mainModule": {}}, "no PyTorch tensors"),
    ],
    ids=str,
)
def test_described_archives_are_checked(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = described(tmp_path / "m.pt", **changes)
    with pytest.raises(Problem, match=re.escape(words)):
        read_archive(path, Options())
