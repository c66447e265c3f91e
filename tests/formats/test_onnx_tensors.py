"""Tensors of ONNX files: where their numbers may stand, and folding them into weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_files import (
    X,
    external,
    graph,
    lstm_model,
    model,
    node,
    port,
    saved,
    tensor,
    tensor_field,
    weights,
)

import lstm_cli
from lstm_cli.errors import ModelFileError
from lstm_cli.formats.onnx_tensors import Tensors
from lstm_cli.formats.protobuf import Message, encoded, encoded_varint
from lstm_cli.formats.reading import NotComputed, Problem
from lstm_cli.model import Array, LstmCell, Unsupported


def array_of(content: bytes, folder: Path = Path()) -> Array:
    return Tensors(folder / "model.onnx").array(Message(content, "a tensor"))


def stored(kind: int, shape: tuple[int, ...], *content: bytes) -> bytes:
    dims = b"".join(encoded(1, n) for n in shape)
    return dims + encoded(2, kind) + encoded(8, "t") + b"".join(content)


def packed(field: int, numbers: list[int]) -> bytes:
    return encoded(field, b"".join(encoded_varint(n % 2**64) for n in numbers))


# -- the ways to store numbers


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            stored(1, (2,), encoded(4, np.array([1.5, -2], "<f4").tobytes())),
            np.array([1.5, -2], np.float32),
        ),
        (stored(6, (3,), packed(5, [1, -2, 3])), np.array([1, -2, 3], np.int32)),
        (stored(3, (2,), packed(5, [127, -128])), np.array([127, -128], np.int8)),
        (stored(2, (1, 2), packed(5, [0, 255])), np.array([[0, 255]], np.uint8)),
        (stored(9, (2,), packed(5, [1, 0])), np.array([True, False])),
        (stored(10, (2,), packed(5, [0x3E00, 0xC000])), np.array([1.5, -2], np.float16)),
        (stored(16, (2,), packed(5, [0x3FC0, 0xC000])), np.array([1.5, -2], np.float32)),
        (stored(7, (2,), packed(7, [2**40, -1])), np.array([2**40, -1], np.int64)),
        (stored(13, (1,), packed(11, [2**64 - 1])), np.array([2**64 - 1], np.uint64)),
        (
            stored(11, (2,), encoded(10, np.array([0.1, 2]).tobytes())),
            np.array([0.1, 2], np.float64),
        ),
        (stored(7, (), encoded(9, np.int64(7).tobytes())), np.int64(7)),
        (stored(1, (0, 3)), np.zeros((0, 3), np.float32)),
        (stored(21, (3,), encoded(9, b"\x21\x0f")), np.array([1, 2, 15], np.uint8)),
        (stored(22, (3,), encoded(9, b"\x21\x0f")), np.array([1, 2, -1], np.int8)),
    ],
)
def test_numbers_in_every_field(content: bytes, expected: Array) -> None:
    found = array_of(content)

    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (stored(1, (2, 2), encoded(9, bytes(12))), "should have 16 bytes, found 12"),
        (stored(1, (10**6, 10**6, 10**6), encoded(9, bytes(12))), "found 12"),
        (stored(7, (2**62,), packed(7, [1])), "values, found 1"),
        (stored(1, (2, -1), encoded(9, bytes(8))), r"axes that no array has: \(2, -1\)"),
        (stored(1, (1,) * 40, encoded(9, bytes(4))), "axes that no array has"),
        (stored(1, (2,), encoded(4, bytes(7))), "cut short"),
        (stored(11, (1,), encoded(10, bytes(7))), "cut short"),
    ],
)
def test_numbers_that_do_not_fit_the_shape(content: bytes, told: str) -> None:
    with pytest.raises(Problem, match=told):
        array_of(content)


@pytest.mark.parametrize(("kind", "told"), [(8, "string"), (17, "float8e4m3fn"), (99, "type 99")])
def test_types_that_are_not_read(kind: int, told: str) -> None:
    with pytest.raises(NotComputed, match=told):
        array_of(stored(kind, (1,), encoded(9, bytes(1))))


# -- files beside the model


def outside(**place: str) -> bytes:
    tensors = [external("W", np.zeros((1, 8, 3), np.float32), **place), *weights()[1:]]
    return lstm_model(tensors=tensors)


def test_weights_in_a_folder_beside_the_model(tmp_path: Path) -> None:
    numbers = np.arange(26, dtype=np.float32)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "w.bin").write_bytes(numbers.tobytes())
    content = outside(location="parts/w.bin", offset="8", length="96")

    (layer,) = lstm_cli.load(saved(tmp_path, content)).lstm_layers

    assert layer.recurrent is not None
    cell = layer.recurrent.directions[0].cells[0]
    assert isinstance(cell, LstmCell)
    np.testing.assert_array_equal(cell.kernel[:, 0], [2, 3, 4])


@pytest.mark.parametrize(
    "location",
    ["../w.bin", "/etc/passwd", "parts/../../w.bin", "..\\w.bin", "C:\\w.bin", "\\\\s\\w"],
)
def test_paths_out_of_the_folder(location: str, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(200))
    path = saved(tmp_path / "inner", outside(location=location))

    with pytest.raises(ModelFileError, match="outside the model's folder"):
        lstm_cli.load(path)


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(200))
    (tmp_path / "inner" / "w.bin").symlink_to(tmp_path / "w.bin")
    path = saved(tmp_path / "inner", outside(location="w.bin"))

    with pytest.raises(ModelFileError, match="outside the model's folder"):
        lstm_cli.load(path)


def test_a_model_that_is_a_link_finds_its_weights_beside_its_own_file(tmp_path: Path) -> None:
    """Caches of downloads keep all files in one folder, and links to them in another."""
    blobs, links = tmp_path / "blobs", tmp_path / "links"
    blobs.mkdir()
    links.mkdir()
    (blobs / "0b").write_bytes(bytes(96))
    saved(blobs, outside(location="w.bin"), "0a")
    (links / "model.onnx").symlink_to(blobs / "0a")
    (links / "w.bin").symlink_to(blobs / "0b")

    assert lstm_cli.load(links / "model.onnx").lstm_layers


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({"location": "w.bin", "offset": "60"}, "w.bin is cut short"),
        ({"location": "w.bin", "length": "50"}, "should have 96 bytes, w.bin keeps 50"),
        ({"location": "w.bin", "offset": "-5"}, "no whole number"),
        ({"location": "w.bin", "offset": "9" * 30}, "no whole number"),
        ({"location": "none.bin"}, "belongs beside the model"),
        ({"location": "."}, "cannot be read"),
        ({}, "in which is not said"),
    ],
)
def test_files_beside_that_do_not_fit(place: dict[str, str], told: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(100))

    with pytest.raises(ModelFileError, match=told):
        lstm_cli.load(saved(tmp_path, outside(**place)))


def test_files_of_tensors_that_no_lstm_needs_may_be_missing(tmp_path: Path) -> None:
    """Trap: the file beside an exported model can be empty, or not be there."""
    spare = external("spare", np.zeros((4, 4), np.float32), location="gone.bin")
    content = lstm_model(tensors=[*weights(), spare])

    assert lstm_cli.load(saved(tmp_path, content)).lstm_layers


# -- folding


def folded(folder: Path, *nodes: bytes, tensors: tuple[bytes, ...] = ()) -> Array | str:
    """The kernel (F, 4U), gates in ONNX's order, after nodes that make W; or why there is none."""
    content = lstm_model(*nodes, tensors=[*weights()[1:], *tensors])
    layer = lstm_cli.load(saved(folder, content)).layers[-1]
    if isinstance(layer.operation, Unsupported):
        return layer.operation.reason
    assert layer.recurrent is not None
    cell = layer.recurrent.directions[0].cells[0]
    return cell.kernel[:, [0, 1, 6, 7, 2, 3, 4, 5]]


NUMBERS = np.arange(24, dtype=np.float32).reshape(1, 8, 3)


def whole(name: str, *numbers: int) -> bytes:
    return tensor(name, np.array(numbers))


@pytest.mark.parametrize(
    ("nodes", "tensors", "expected"),
    [
        (
            [node("Constant", [], ["W"], value=tensor_field(tensor("", NUMBERS)))],
            [],
            NUMBERS,
        ),
        (
            [node("Split", ["V"], ["", "W"], axis=0)],
            [tensor("V", np.concatenate([NUMBERS, NUMBERS + 1]))],
            NUMBERS + 1,
        ),
        (
            [
                node("Split", ["V"], ["a", "b"], axis=1, split=[6, 2]),
                node("Concat", ["b", "a"], ["W"], axis=1),
            ],
            [tensor("V", NUMBERS)],
            np.concatenate([NUMBERS[:, 6:], NUMBERS[:, :6]], axis=1),
        ),
        (
            [
                node("Slice", ["V"], ["a"], starts=[-1], ends=[-9], axes=[1]),
                node("Concat", ["V"], ["W"], axis=0),
            ],
            [tensor("V", NUMBERS)],
            NUMBERS,
        ),
        (
            [node("Slice", ["V", "from", "to", "on", "by"], ["W"])],
            [
                tensor("V", NUMBERS),
                whole("from", 7),
                whole("to", -(2**63)),
                whole("on", 1),
                whole("by", -1),
            ],
            NUMBERS[:, ::-1],
        ),
        (
            [node("Unsqueeze", ["V"], ["a"], axes=[0]), node("Squeeze", ["a"], ["W"], axes=[0])],
            [tensor("V", NUMBERS)],
            NUMBERS,
        ),
        (
            [node("Gather", ["V", "places"], ["W"], axis=1)],
            [tensor("V", NUMBERS), whole("places", 3, 2, 1, 0, 7, 6, 5, -4)],
            NUMBERS[:, [3, 2, 1, 0, 7, 6, 5, 4]],
        ),
        (
            [node("Expand", ["V", "shape"], ["W"])],
            [tensor("V", NUMBERS[:, :1]), whole("shape", 1, 8, 1)],
            np.broadcast_to(NUMBERS[:, :1], (1, 8, 3)),
        ),
        (
            [node("ConstantOfShape", ["shape"], ["a"]), node("Add", ["a", "V"], ["W"])],
            [tensor("V", NUMBERS[0]), whole("shape", 1, 1, 1)],
            NUMBERS,
        ),
        (
            [node("DequantizeLinear", ["V", "s", "z"], ["W"])],
            [
                tensor("V", NUMBERS.astype(np.uint8)),
                tensor("s", np.float32(0.5)),
                tensor("z", np.uint8(4)),
            ],
            (NUMBERS - 4) / 2,
        ),
        (
            [node("Reshape", ["V", "shape"], ["W"])],
            [tensor("V", NUMBERS.reshape(1, 24)), whole("shape", 0, 8, -1)],
            NUMBERS,
        ),
    ],
)
def test_weights_behind_operators(
    nodes: list[bytes], tensors: list[bytes], expected: Array, tmp_path: Path
) -> None:
    found = folded(tmp_path, *nodes, tensors=tuple(tensors))

    np.testing.assert_array_equal(found, expected[0].T)


@pytest.mark.parametrize(
    ("nodes", "tensors"),
    [
        ([node("Expand", ["V", "s"], ["W"])], [whole("V", 0), whole("s", 2**40, 8, 3)]),
        ([node("ConstantOfShape", ["s"], ["W"])], [whole("s", 2**20, 2**20, 2**20)]),
        ([node("Tile", ["V", "s"], ["W"])], [whole("V", 0), whole("s", 2**50)]),
        (
            [node("Concat", [f"v{k}", f"v{k}"], [f"v{k + 1}"], axis=0) for k in range(50)]
            + [node("Identity", ["v50"], ["W"])],
            [tensor("v0", np.zeros(1000, np.float32))],
        ),
        (
            [node("Add", ["V", "U"], ["W"])],
            [tensor("V", np.zeros((2**16, 1), np.int8)), tensor("U", np.zeros(2**16, np.int8))],
        ),
    ],
)
def test_small_files_cannot_ask_for_much_memory(
    nodes: list[bytes], tensors: list[bytes], tmp_path: Path
) -> None:
    assert "more than such a file needs" in str(folded(tmp_path, *nodes, tensors=tuple(tensors)))


@pytest.mark.parametrize(
    ("nodes", "tensors", "told"),
    [
        ([node("Reshape", ["V", "s"], ["W"])], [whole("V", 1, 2), whole("s", 3)], "which fails"),
        ([node("Gather", ["V", "s"], ["W"])], [whole("V", 1, 2), whole("s", 9)], "which fails"),
        ([node("Transpose", ["V"], ["W"], perm=[5])], [whole("V", 1)], "which fails"),
        ([node("Cast", ["V"], ["W"], to=8)], [whole("V", 1)], "casts to type 8"),
        ([node("Concat", ["V", ""], ["W"], axis=0)], [whole("V", 1)], "lacks its input 1"),
        ([node("Constant", [], ["W"], value_string="x")], [], "holds neither numbers"),
    ],
)
def test_operators_that_fail(
    nodes: list[bytes], tensors: list[bytes], told: str, tmp_path: Path
) -> None:
    found: Any = folded(tmp_path, *nodes, tensors=tuple(tensors))

    assert told in found


def test_sparse_weights_are_refused(tmp_path: Path) -> None:
    """A sparse initialiser is no constant here; the operators beside it may still read one."""
    sparse = encoded(1, tensor("W", np.ones(1, np.float32))) + encoded(2, tensor("", np.array([3])))
    last = node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm", hidden_size=2)
    content = graph([last], [X], ["Y"], weights()[1:]) + encoded(15, sparse)

    (_, layer) = lstm_cli.load(saved(tmp_path, model(content))).layers

    assert isinstance(layer.operation, Unsupported)
    assert layer.operation.reason == "its W is a sparse tensor, which is not read"


def test_opening_reads_what_is_needed_alone(tmp_path: Path) -> None:
    """A table of 3 GB that is said to stand beside the model costs nothing to open it."""
    with (tmp_path / "table.bin").open("wb") as file:
        file.seek(3 * 2**30 - 1)
        file.write(b"\0")
    if (tmp_path / "table.bin").stat().st_blocks * 512 > 2**20:
        pytest.skip("the file system keeps no holes")
    shape = np.broadcast_to(np.float32(0), (2**28, 3))
    content = lstm_model(
        node("Gather", ["table", "ids"], ["X"]),
        inputs=[port("ids", 7, [None, None])],
        tensors=[*weights(), external("table", shape, location="table.bin")],
    )

    found = lstm_cli.load(saved(tmp_path, content))

    y, _, _ = lstm_cli.run(found, np.full((2, 1), 2**28 - 1))
    assert y.shape == (2, 1, 1, 2)
