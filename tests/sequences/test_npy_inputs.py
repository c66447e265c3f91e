"""NPY files: every type of number in, everything else refused in one sentence."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm_cli.errors import InputError, NoSuchNameError
from lstm_cli.sequences import open_blocks, read_input

REAL = [
    "?",
    "i1",
    "u1",
    "<i2",
    ">i2",
    "<u4",
    ">i8",
    "<u8",
    "<f2",
    ">f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
]


def saved(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def with_header(fields: str, values: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(fields)) + fields.encode() + values


def message_for(content: bytes, tmp_path: Path) -> str:
    """The message for a file of these bytes, without its path; the same from a stream's blocks."""
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_input(path)
    with pytest.raises(InputError), open_blocks(path) as blocks:
        list(blocks)
    with pytest.raises(InputError), open_blocks(io.BytesIO(content)) as blocks:
        list(blocks)
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("order", ["C", "F"])
def test_real_numbers_of_every_type(dtype: str, order: Any, tmp_path: Path) -> None:
    whole = np.array([[[0, 1], [2, 3], [4, 100]], [[1, 0], [7, 8], [9, 0]]])
    path = tmp_path / "x.npy"
    np.save(path, np.asarray(whole.astype(dtype), order=order))
    numpys = np.load(path)

    for source in (path, io.BytesIO(path.read_bytes())):
        found = read_input(source)
        assert (found.kind, found.columns) == ("npy", ())
        assert found.array.dtype == np.float32
        np.testing.assert_array_equal(found.array, numpys)

    kept = read_input(path, dtype=None).array
    assert kept.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(kept, numpys)


@pytest.mark.parametrize("shape", [(5,), (5, 1), (1, 5), (2, 3, 4), (2, 1, 3, 2), ()])
def test_shapes_stay_as_they_are(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal(shape)
    path = tmp_path / "x.npy"
    np.save(path, array)
    found = read_input(path, dtype=np.float64).array
    np.testing.assert_array_equal(found, array, strict=True)


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(saved(np.array([[1.5, 2]])))
    np.testing.assert_array_equal(read_input(path).array, [[1.5, 2]])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_format_versions(version: tuple[int, int]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([[1.0, 2.0]]), version=version)
    stream.seek(0)
    np.testing.assert_array_equal(read_input(stream).array, [[1, 2]])


def test_header_as_other_writers_spell_it() -> None:
    values = np.array([1, 2], "<f4").tobytes()
    fields = '{"shape":(2L, 1L), "fortran_order" : False,\n"descr": "<f4"}'
    np.testing.assert_array_equal(
        read_input(io.BytesIO(with_header(fields, values))).array, [[1], [2]]
    )


def test_bytes_other_than_0_and_1_are_true() -> None:
    content = bytearray(saved(np.array([True, False, True])))
    content[-3] = 7
    array = read_input(io.BytesIO(content)).array
    np.testing.assert_array_equal(array, [1, 0, 1])
    kept = read_input(io.BytesIO(content), dtype=None).array
    np.testing.assert_array_equal(kept, np.array([True, False, True]), strict=True)
    np.testing.assert_array_equal(kept.view(np.uint8), [1, 0, 1])


def test_whole_numbers_survive() -> None:
    ids = np.array([[2**24, 2**24 - 1]])
    np.testing.assert_array_equal(read_input(io.BytesIO(saved(ids))).array, ids)
    large = np.array([[2**53 - 1, 2**24 + 1]])
    found = read_input(io.BytesIO(saved(large)), dtype=np.float64).array
    np.testing.assert_array_equal(found, large)


def test_columns_are_indices_of_the_last_axis(tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    path = tmp_path / "x.npy"
    np.save(path, array)
    np.testing.assert_array_equal(read_input(path, columns="3,0").array, array[..., [3, 0]])
    with open_blocks(path, 2, columns=[3, 0]) as blocks:
        assert blocks.shape == (2, 3, 2)
        np.testing.assert_array_equal(np.concatenate(list(blocks), 1), array[..., [3, 0]])
    with pytest.raises(NoSuchNameError, match="no column '4'; there is: 0, 1, 2, 3"):
        read_input(path, columns=[4])


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.array([1j]), "complex numbers"),
        (np.array(["a"]), "text"),
        (np.array([b"a"]), "text"),
        (np.array(["2015-01-01"], "M8[D]"), "dates"),
        (np.array([1], "m8[s]"), "time differences"),
        (np.zeros(2, [("a", "f4"), ("b", "i4")]), "records or raw bytes"),
        (np.zeros(2, "V2"), "records or raw bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.dtype),
)
def test_other_types_are_refused(array: NDArray[Any], kind: str, tmp_path: Path) -> None:
    message = message_for(saved(array), tmp_path)
    assert message == f"the array holds {kind}; expected real numbers"


def test_objects_are_refused_and_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("the pickle was loaded",))

    message = message_for(saved(np.array([Trap()], dtype=object)), tmp_path)
    assert message == (
        "the array holds Python objects, which are never loaded; expected real numbers"
    )


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)])
def test_empty_arrays_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    message = message_for(saved(np.zeros(shape)), tmp_path)
    assert message == (
        f"the array has shape {shape}, which holds no values; expected at least one time step"
    )


def test_truncated_file(tmp_path: Path) -> None:
    message = message_for(saved(np.zeros((10, 4)))[:-100], tmp_path)
    assert message == (
        "an array of shape (10, 4) and type float64 makes 448 bytes, and the file has only 348; "
        "it was cut short; write it again"
    )


def test_truncated_stream() -> None:
    content = saved(np.zeros((10, 4)))[:-100]
    for read in (read_input, lambda source: list(open_blocks(source))):
        with pytest.raises(InputError) as error:
            read(io.BytesIO(content))
        assert str(error.value) == (
            "the stream: the header declares 40 values (shape (10, 4)), and the data ends after "
            "27; write the file again"
        )


def test_something_after_the_array(tmp_path: Path) -> None:
    content = saved(np.zeros((2, 2), "f4"))
    message = message_for(content + content, tmp_path)
    assert message == (
        "an array of shape (2, 2) and type float32 makes 144 bytes, and the file has even 288; "
        "something follows the array; save several arrays with numpy.savez"
    )
    with pytest.raises(InputError, match="something follows the one array"):
        read_input(io.BytesIO(content + content))


DAMAGED = "the NPY header is damaged; write the file again"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x93NUMPY", DAMAGED),
        (b"\x93NUMPY\x09\x00\x10\x00", DAMAGED),
        (with_header("{'descr': '<f4', 'fortran_order': False}"), DAMAGED),
        (with_header("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}"), DAMAGED),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), DAMAGED),
        (
            b"\x93NUMPY\x01\x00\x76\x00{'descr'",
            "the file ends within its NPY header; write it again",
        ),
        (
            b"\x93NUMPY\x02\x00\xff\xff\xff\x7f",
            "the NPY header claims 2147483647 bytes, at most 65536 are read; "
            "it is damaged or holds an array of records",
        ),
        (
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,,2)}"),
            "the NPY header gives a shape that no array has; write it again",
        ),
        (
            with_header(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 40 + ")}",
                b"\0\0\0\0",
            ),
            "the NPY header gives a shape that no array has; write it again",
        ),
        (
            with_header("{'descr': '<q9', 'fortran_order': False, 'shape': (1,)}"),
            "the array holds values of type '<q9'; expected real numbers",
        ),
    ],
)
def test_damaged_header(content: bytes, message: str, tmp_path: Path) -> None:
    assert message_for(content, tmp_path) == message


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(1000000, 1000000)", "(1, 1000000000000)"])
def test_a_claim_of_terabytes_takes_no_memory(shape: str, tmp_path: Path) -> None:
    content = with_header(
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}", b"\0" * 80
    )
    tracemalloc.start()
    try:
        message = message_for(content, tmp_path)
        with pytest.raises(InputError, match="the data ends after 10;"):
            read_input(io.BytesIO(content))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "it was cut short" in message
    assert peak < 64 << 20


def test_random_arrays_as_numpy_reads_them(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    path = tmp_path / "x.npy"
    for _ in range(40):
        shape = generator.integers(1, 9, size=int(generator.integers(1, 5)))
        array = (generator.standard_normal(shape) * 100).astype(generator.choice(REAL))
        np.save(path, np.asfortranarray(array) if generator.random() < 0.5 else array)
        np.testing.assert_array_equal(read_input(path, dtype=None).array, np.load(path))
