"""Masks, lengths, labels and single arrays."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_cli.errors import InputError, NoSuchNameError
from lstm_cli.sequences import read_array, read_labels, read_lengths, read_mask


def npy(array: Any) -> io.BytesIO:
    stream = io.BytesIO()
    np.save(stream, array)
    stream.seek(0)
    return stream


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1\n0\n1\n", [True, False, True]),
        (b"true\nFalse\nTRUE\n", [True, False, True]),
        (b"mask\n1.0\n0.0\n", [True, False]),
        (b"1,0,1\n1,1,0\n", [[True, False, True], [True, True, False]]),
        (b"true false\nfalse false\n", [[True, False], [False, False]]),
        (b"0\n", [False]),
    ],
)
def test_masks_in_text(content: bytes, expected: Any) -> None:
    np.testing.assert_array_equal(read_mask(io.BytesIO(content)), np.array(expected), strict=True)


@pytest.mark.parametrize("dtype", ["?", "i8", "f4", "u1"])
@pytest.mark.parametrize("values", [[1, 0, 1], [[1, 0], [0, 0]]])
def test_masks_in_arrays(dtype: str, values: Any, tmp_path: Path) -> None:
    array = np.array(values, dtype)
    expected = np.array(values, bool)
    np.testing.assert_array_equal(read_mask(npy(array)), expected, strict=True)
    np.savez(tmp_path / "m.npz", mask=array)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.npz"), expected, strict=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            io.BytesIO(b"1\n2\n"),
            "found 2 at row 2; expected a mask of 0, 1, true or false",
        ),
        (io.BytesIO(b"1,1\n1,nan\n"), "found nan at row 2, column 1; expected a mask of 0, 1,"),
        (npy([0, 0.5]), "found 0.5 at index 1; expected a mask of booleans, or 0 and 1"),
        (npy([[0, 0], [0, -1]]), "found -1 at index 1, 1; expected a mask of booleans"),
        (npy(np.zeros((2, 2, 2))), "expected shape (T,) or (B, T), found (2, 2, 2)"),
        (io.BytesIO(b"1\nmaybe\n"), "row 2 (line 2), column 0: found 'maybe', expected a number"),
    ],
    ids=range(6),
)
def test_bad_masks(source: io.BytesIO, message: str) -> None:
    with pytest.raises(InputError) as error:
        read_mask(source)
    assert str(error.value).startswith(f"the stream: {message}")


@pytest.mark.parametrize(
    "source",
    [
        io.BytesIO(b"3\n0\n12\n"),
        io.BytesIO(b"3,0,12\n"),
        io.BytesIO(b"length\n3\n0\n12\n"),
        npy([3, 0, 12]),
        npy(np.array([[3.0], [0.0], [12.0]])),
    ],
    ids=["column", "row", "header", "array", "floats"],
)
def test_lengths(source: io.BytesIO) -> None:
    np.testing.assert_array_equal(read_lengths(source), np.array([3, 0, 12]), strict=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (npy([3, -1]), "found the length -1 at index 1; expected whole numbers from 0 on"),
        (npy([2.5]), "found the length 2.5 at index 0; expected whole numbers from 0 on"),
        (npy([1, np.nan]), "found the length nan at index 1; expected whole numbers from 0 on"),
        (npy([np.inf]), "found the length inf at index 0; expected whole numbers from 0 on"),
        (npy(np.ones((2, 2))), "expected shape (B,), one length a sequence, found (2, 2)"),
        (npy(3), "expected shape (B,), one length a sequence, found ()"),
    ],
    ids=range(6),
)
def test_bad_lengths(source: io.BytesIO, message: str) -> None:
    with pytest.raises(InputError) as error:
        read_lengths(source)
    assert str(error.value) == f"the stream: {message}"


def test_labels() -> None:
    np.testing.assert_array_equal(read_labels(io.BytesIO(b"y\n0.5\n2\n")), [0.5, 2])
    np.testing.assert_array_equal(read_labels(npy([[1, 2]])), [[1, 2]])
    table = b"step,word,score\n0,the,1\n1,cat,2.5\n"
    assert read_labels(io.BytesIO(table), "word").tolist() == ["the", "cat"]
    np.testing.assert_array_equal(read_labels(io.BytesIO(table), "score"), [1, 2.5])
    with pytest.raises(NoSuchNameError, match="no column 'wort'; there is: word"):
        read_labels(io.BytesIO(table), "wort")
    with pytest.raises(InputError, match="expected a text file to take column 'y' from"):
        read_labels(npy([1]), "y")


def test_one_array() -> None:
    array = np.array([[2**60, 1]])
    np.testing.assert_array_equal(read_array(npy(array)), array, strict=True)
    np.testing.assert_array_equal(
        read_array(npy(array), np.float32), np.float32(array), strict=True
    )
    np.testing.assert_array_equal(
        read_array(io.BytesIO(b"1.5,2\n")), np.array([[1.5, 2]]), strict=True
    )
