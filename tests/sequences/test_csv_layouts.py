"""Text tables whose delimiter, header and decimal mark are found by looking."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from lstm_cli.sequences import parse_columns, read_input

EXPECTED = [[1.5, -2.0], [3.0, 0.25]]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        pytest.param(b"1.5,-2\n3,0.25\n", (), id="comma"),
        pytest.param(b"1.5, -2\n3, 0.25\n", (), id="comma and space"),
        pytest.param(b"1.5;-2\n3;.25\n", (), id="semicolon"),
        pytest.param(b"1.5\t-2\n3\t0.25\n", (), id="tab"),
        pytest.param(b"  1.5   -2\n3 \t 2.5e-1\n", (), id="spaces and tabs"),
        pytest.param(b"1.5,-2\n3,0.25", (), id="no end of the last line"),
        pytest.param(b"1.5,-2\r\n3,0.25\r\n", (), id="CRLF"),
        pytest.param(b"1.5,-2\r3,0.25\r", (), id="CR"),
        pytest.param(b"\xef\xbb\xbf1.5,-2\n3,0.25\n", (), id="byte order mark"),
        pytest.param(b"\n1.5,-2\n\n3,0.25\n\n", (), id="blank lines between rows"),
        pytest.param(b"open,close\n1.5,-2\n3,0.25\n", ("open", "close"), id="header"),
        pytest.param(
            b"\xef\xbb\xbfopen;close\n1.5;-2\n3;0.25\n", ("open", "close"), id="BOM, header"
        ),
        pytest.param(b'"a, b" , "c"\n1.5,-2\n3,0.25\n', ("a, b", "c"), id="quoted header"),
        pytest.param(
            b'"my open" close\n1.5 -2\n3 0.25\n', ("my open", "close"), id="quoted, spaces"
        ),
        pytest.param(b'"1.5","-2"\n"3","0.25"\n', (), id="quoted numbers"),
        pytest.param(
            b"Adj Close,Day High\n1.5,-2\n3,.25\n", ("Adj Close", "Day High"), id="spaces"
        ),
        pytest.param(b"x\xb0,y\n1.5,-2\n3,0.25\n", ("x°", "y"), id="Latin-1 header"),
        pytest.param("größe,y\n1.5,-2\n3,.25\n".encode(), ("größe", "y"), id="UTF-8 header"),
        pytest.param(b"# a b\n1.5 -2\n3 0.25\n", ("a", "b"), id="savetxt header"),
        pytest.param(b"# made by me\n# a,b\n1.5 -2\n3 0.25\n", ("a", "b"), id="second comment"),
        pytest.param(b"# made by me today\n1.5,-2\n3,0.25\n", (), id="comment that is no header"),
        pytest.param(b"# 2 2\n1.5 -2\n3 0.25\n", (), id="comment of numbers"),
        pytest.param(
            b"# made by me\na,b\n1.5,-2\n# on\n3,0.25\n# end\n", ("a", "b"), id="comments"
        ),
        pytest.param(b"1,5;-2\n3;0,25\n", (), id="decimal comma"),
        pytest.param(b"1,5\t-2,0\n3\t,25\n", (), id="decimal comma, tab"),
        pytest.param(b"1,5 -2,0\n3 0,25\n", (), id="decimal comma, spaces"),
        pytest.param(b"a;b\r\n1,5;-2\r\n3;2,5E-1\r\n", ("a", "b"), id="decimal comma, header"),
    ],
)
def test_the_same_numbers_in_every_layout(content: bytes, columns: tuple[str, ...]) -> None:
    found = read_input(io.BytesIO(content))

    np.testing.assert_array_equal(found.array, EXPECTED)
    assert found.array.dtype == np.float32
    assert (found.columns, found.kind, found.lengths) == (columns, "text", None)


def test_decimal_comma_that_first_appears_in_a_late_row() -> None:
    content = b"1;2\n" * 9000 + b"1,5;2\n"

    array = read_input(io.BytesIO(content)).array

    assert array.shape == (9001, 2)
    np.testing.assert_array_equal(array[-2:], [[1, 2], [1.5, 2]])


def test_one_column() -> None:
    np.testing.assert_array_equal(read_input(io.BytesIO(b"7\n8\n")).array, [[7], [8]])
    found = read_input(io.BytesIO(b"Sun spots\n7\n8\n"))
    np.testing.assert_array_equal(found.array, [[7], [8]])
    assert found.columns == ("Sun spots",)


def test_nan_and_infinity_are_numbers() -> None:
    array = read_input(io.BytesIO(b"nan,inf\n-Infinity,NaN\n")).array
    np.testing.assert_array_equal(array, [[np.nan, np.inf], [-np.inf, np.nan]])


def test_too_large_for_float32_becomes_infinite_without_a_warning() -> None:
    np.testing.assert_array_equal(read_input(io.BytesIO(b"1e39,1\n")).array, [[np.inf, 1]])
    wide = read_input(io.BytesIO(b"1e39,1\n"), dtype=np.float64).array
    np.testing.assert_array_equal(wide, [[1e39, 1]])


def test_whole_numbers_survive() -> None:
    ids = [[2**24, 2**24 - 1]]
    np.testing.assert_array_equal(read_input(io.BytesIO(b"16777216,16777215\n")).array, ids)
    large = read_input(io.BytesIO(b"16777217\n9007199254740991\n"), dtype=None).array
    np.testing.assert_array_equal(large, [[2**24 + 1], [2**53 - 1]])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["c", "a"], [[3, 1], [6, 4]]),
        (["2", 0], [[3, 1], [6, 4]]),
        ("c,a", [[3, 1], [6, 4]]),
        (["b"], [[2], [5]]),
        ([1], [[2], [5]]),
        (["c", "b", "a"], [[3, 2, 1], [6, 5, 4]]),
    ],
)
def test_columns_by_name_or_index(columns: list[str | int], expected: list[list[int]]) -> None:
    found = read_input(io.BytesIO(b"a,b,c\n1,2,3\n4,5,6\n"), columns=columns)
    np.testing.assert_array_equal(found.array, expected)
    assert len(found.columns) == len(expected[0])


def test_a_name_that_looks_like_an_index_is_a_name_first() -> None:
    content = b"x,0,y\n7,8,9\n6,5,4\n"
    np.testing.assert_array_equal(read_input(io.BytesIO(content), columns=["0"]).array, [[8], [5]])
    np.testing.assert_array_equal(read_input(io.BytesIO(content), columns=[0]).array, [[7], [6]])


@pytest.mark.parametrize(
    "content",
    [
        b'day,x\n2015-01-01,1.5\n"a, b",2\n#c,2.5\n',
        b"day;x\n01.02.2015;1,5\n02.02.2015;2\n#c;9\n03.02.2015;2,5\n",
        b'day x\nmonday 1.5\n\'tuesday 2\n"a b" 2.5\n',
    ],
    ids=["quoted", "dates with points, decimal comma", "spaces"],
)
def test_text_beside_the_chosen_column(content: bytes) -> None:
    array = read_input(io.BytesIO(content), columns=["x"]).array
    expected = [[1.5], [2]] if b"#c,2.5" in content else [[1.5], [2], [2.5]]
    np.testing.assert_array_equal(array, expected)


def test_header_of_counted_columns() -> None:
    """A frame without column names is saved with 0,1,2 above its floats."""
    found = read_input(io.BytesIO(b"0,1,2\n0.5,1.0,2.0\n"))
    np.testing.assert_array_equal(found.array, [[0.5, 1, 2]])
    assert found.columns == ("0", "1", "2")
    assert found.notes == ("the first line (0, 1, 2) was read as a header",)

    found = read_input(io.BytesIO(b"0,1,2\n5,6,7\n"))
    np.testing.assert_array_equal(found.array, [[0, 1, 2], [5, 6, 7]])
    assert found.notes == (
        "the first line (0, 1, 2) was read as a row of numbers, not as a header",
    )

    found = read_input(io.BytesIO(b"0 1\n0.5 0.9\n"))  # sine and cosine begin like this
    np.testing.assert_array_equal(found.array, [[0, 1], [0.5, np.float32(0.9)]])
    assert found.notes == ("the first line (0, 1) was read as a row of numbers, not as a header",)


def test_header_with_years() -> None:
    content = b"country,2014,2015\nPeru,1.5,2.5\n"
    with pytest.raises(Exception, match="column 0 holds text"):
        read_input(io.BytesIO(content))  # two words below each other: no header to be seen
    found = read_input(io.BytesIO(content), header=True, columns=["2015"])
    np.testing.assert_array_equal(found.array, [[2.5]])
    dated = read_input(io.BytesIO(b"day,2014\n3.1.,1.5\n4.1.,2\n"), columns=["2014"])
    np.testing.assert_array_equal(dated.array, [[1.5], [2]])


def test_header_can_be_said() -> None:
    content = b"1,2\n3,4\n"
    assert read_input(io.BytesIO(content), header=True).columns == ("1", "2")
    np.testing.assert_array_equal(read_input(io.BytesIO(content), header=True).array, [[3, 4]])
    np.testing.assert_array_equal(
        read_input(io.BytesIO(content), header=False).array, [[1, 2], [3, 4]]
    )


@pytest.mark.parametrize("seed", range(6))
def test_random_tables_as_numpy_reads_them(seed: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    rows, columns = int(generator.integers(1, 20_000)), int(generator.integers(1, 6))
    table = generator.standard_normal((rows, columns)) * 10.0 ** generator.integers(-30, 30)
    delimiter = [",", ";", "\t", " "][seed % 4]
    path = tmp_path / "table.txt"
    np.savetxt(path, table, delimiter=delimiter, fmt=["%.18e", "%.7g"][seed % 2])

    ours = read_input(path, dtype=np.float64).array

    numpys = np.loadtxt(path, delimiter=delimiter, ndmin=2)
    np.testing.assert_array_equal(ours, numpys)  # both round correctly, so bit for bit
    np.testing.assert_array_equal(read_input(path).array, numpys.astype(np.float32))


def test_parse_columns() -> None:
    assert parse_columns('open, 3,"a, b"') == ["open", "3", "a, b"]
