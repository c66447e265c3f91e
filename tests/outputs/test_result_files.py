"""Results in files: names, shapes, values; each format read back by its own reader."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lstm_cli.errors import UsageError
from lstm_cli.model import Activation
from lstm_cli.outputs.files import FILE_FORMATS, left_out, write, write_stream
from lstm_cli.outputs.results import Layout, Results, step_names

META = {"layer": "lstm_1", "version": "0.1.0", "units": np.int64(2)}
"""Values of NumPy's own types, which ``json`` does not know."""


def small() -> dict[str, Any]:
    """Two sequences, three steps, two units; a masked step; what a trace would hold."""
    h = np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 8
    i = h / 2
    i[0, 1] = np.nan
    mask = np.array([[True, False, True], [True, True, True]])
    return {"h": h, "forward/i": i, "final_h": h[:, -1], "mask": mask, "lengths": np.array([3, 2])}


def results(arrays: dict[str, Any], **layout: Any) -> Results:
    return Results(arrays, META, step_names(arrays), Layout(**layout))


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "one sequence"])
def test_npz_gives_every_array_back(tmp_path: Path, batched: bool) -> None:
    arrays = small() if batched else {name: a[0] for name, a in small().items()}

    write(tmp_path / "out.npz", results(arrays, batched=batched))

    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert list(found) == ["h", "forward/i", "final_h", "mask", "lengths", "meta"]
        for name, expected in arrays.items():
            np.testing.assert_array_equal(found[name], expected, strict=True)
        assert json.loads(str(found["meta"])) == {
            "layer": "lstm_1",
            "version": "0.1.0",
            "units": 2,
        }


def test_npz_takes_any_name(tmp_path: Path) -> None:
    """numpy.savez would take ``file`` and ``allow_pickle`` for its own arguments."""
    arrays = {"file": np.arange(2.0), "allow_pickle": np.arange(3.0)}
    write(tmp_path / "out.npz", Results(arrays, {}, frozenset()))
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["file"], [0.0, 1.0])
        np.testing.assert_array_equal(found["allow_pickle"], [0.0, 1.0, 2.0])


def test_npz_refuses_objects(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Python objects"):
        write(tmp_path / "out.npz", Results({"h": np.array([None])}, {}, frozenset()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "one sequence"])
def test_h5_has_groups_and_chunks_along_time(tmp_path: Path, batched: bool) -> None:
    h = np.arange(2 * 5000 * 32, dtype=np.float32).reshape(2, 5000, 32)
    arrays = {"h": h, "forward/c": -h, "final_h": h[:, -1]}
    if not batched:
        arrays = {name: a[0] for name, a in arrays.items()}

    write(tmp_path / "out.h5", results(arrays, batched=batched))

    with h5py.File(tmp_path / "out.h5") as file:
        for name, expected in arrays.items():
            np.testing.assert_array_equal(file[name][()], expected, strict=True)
        assert isinstance(file["forward"], h5py.Group)
        # 256 KiB hold 2048 steps of 32 float32.
        assert file["forward/c"].chunks == ((1, 2048, 32) if batched else (2048, 32))
        assert json.loads(file["meta"][()])["layer"] == "lstm_1"


def test_h5_holds_empty_and_short_arrays(tmp_path: Path) -> None:
    arrays = {"h": np.zeros((1, 0, 4), np.float32), "c": np.ones((1, 1, 4), np.float32)}
    write(tmp_path / "out.h5", results(arrays))
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["h"].shape == (1, 0, 4)
        np.testing.assert_array_equal(file["c"][()], np.ones((1, 1, 4)))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float64).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(20, dtype=np.float32).reshape(4, 5)[::2, ::-1],
        np.array([[True], [False]]),
        np.zeros((3, 0), np.float32),
        np.array(2.5),
    ],
    ids=["3-D", "fortran", "strided", "bool", "empty", "scalar"],
)
def test_npy_is_the_array(tmp_path: Path, array: Any) -> None:
    write(tmp_path / "out.npy", Results({"h": array}, {}, frozenset()))
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), array, strict=True)


def test_npy_larger_than_its_pieces(tmp_path: Path) -> None:
    """Over 16 MiB an array is written in pieces, of its first axis or, if that is 1, its second."""
    array = np.arange(5_000_000, dtype=np.float32).reshape(1, 50_000, 100)
    write(tmp_path / "out.npy", Results({"h": array}, {}, frozenset()))
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), array, strict=True)


def test_npy_of_several_arrays_says_what_to_choose(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"exactly one array.*--tensors, of h, forward/i, final_h"):
        write(tmp_path / "out.npy", results(small()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.txt", "out"])
def test_unknown_extension_lists_the_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as error:
        write(tmp_path / name, results(small()))
    for form in FILE_FORMATS:
        assert f".{form}" in str(error.value)


def test_extension_in_capitals(tmp_path: Path) -> None:
    write(tmp_path / "OUT.NPY", Results({"h": np.arange(3.0)}, {}, frozenset()))
    np.testing.assert_array_equal(np.load(tmp_path / "OUT.NPY"), [0.0, 1.0, 2.0])


class Pipe(io.RawIOBase):
    """Keeps what is written, and has no positions, as a pipe has none."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(bytes(data))


def test_npy_and_npz_through_a_pipe() -> None:
    h = small()["h"]
    for form in ("npy", "npz"):
        pipe = Pipe()
        write_stream(pipe, form, Results({"h": h}, {}, frozenset()))  # type: ignore[arg-type]
        found = np.load(io.BytesIO(pipe.data))
        np.testing.assert_array_equal(found if form == "npy" else found["h"], h, strict=True)


def test_json_is_one_document_with_null_for_nan() -> None:
    file = io.BytesIO()
    arrays = small()
    arrays["h"][1, 2, 0] = -np.inf
    write_stream(file, "json", results({**arrays, "scale": np.float32(0.1)}))
    found = json.loads(file.getvalue())
    assert found == {
        "h": [
            [[0, 0.125], [0.25, 0.375], [0.5, 0.625]],
            [[0.75, 0.875], [1, 1.125], [None, 1.375]],
        ],
        "forward/i": [
            [[0, 0.0625], [None, None], [0.25, 0.3125]],
            [[0.375, 0.4375], [0.5, 0.5625], [0.625, 0.6875]],
        ],
        "final_h": [[0.5, 0.625], [None, 1.375]],
        "mask": [[True, False, True], [True, True, True]],
        "lengths": [3, 2],
        "scale": 0.1,
        "meta": {"layer": "lstm_1", "version": "0.1.0", "units": 2},
    }


def test_json_of_empty_arrays() -> None:
    file = io.BytesIO()
    arrays = {"a": np.zeros((2, 0)), "b": np.zeros((0, 2)), "c": np.zeros(0)}
    write_stream(file, "json", Results(arrays, {}, frozenset()))
    assert json.loads(file.getvalue()) == {"a": [[], []], "b": [], "c": [], "meta": {}}


@pytest.mark.parametrize("form", ["h5", "txt"])
def test_stream_refuses_other_formats(form: str) -> None:
    with pytest.raises(UsageError, match=f"'{form}'.*npy, npz, csv, jsonl, json"):
        write_stream(io.BytesIO(), form, results(small()))


def test_what_a_table_leaves_out_is_known() -> None:
    assert left_out("csv", results(small())) == ["final_h", "lengths"]
    assert left_out("jsonl", results(small())) == ["final_h", "lengths"]
    assert left_out("npz", results(small())) == []


def test_meta_with_paths_and_activations(tmp_path: Path) -> None:
    meta = {"source": tmp_path, "activation": Activation("tanh"), "sizes": np.array([1, 2])}
    write(tmp_path / "out.npz", Results({"h": np.zeros(1)}, meta, frozenset()))
    with np.load(tmp_path / "out.npz") as found:
        assert json.loads(str(found["meta"])) == {
            "source": str(tmp_path),
            "activation": "tanh",
            "sizes": [1, 2],
        }
