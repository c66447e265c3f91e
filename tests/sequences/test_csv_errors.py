"""What is said where a text table cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lstm_cli.errors import (
    AmbiguousNameError,
    InputError,
    LstmCliError,
    NoSuchNameError,
    UsageError,
)
from lstm_cli.sequences import open_blocks, parse_columns, read_input

ONE_DECIMAL_MARK = "expected one decimal mark, point or comma, in the whole file"
CORRECT = "expected a number; correct the cell, or choose other columns"
MISSING = "expected a number; write nan for a missing value"

CASES = {
    "": "the file holds nothing; expected rows of numbers",
    "\n \n": "the file holds only comments and blank lines; expected rows of numbers",
    "# made by me\n": "the file holds only comments and blank lines; expected rows of numbers",
    "open,close\n": "the file holds a header (open, close) and no rows below it",
    "1,2\n3\n": "row 2 (line 2): expected 2 cells as in row 1, found 1",
    "a,b\n\n1,2\n3,4,5\n": "row 2 (line 4): expected 2 cells as in the header, found 3",
    "a b\n1 2 3\n": "row 1 (line 2): expected 2 cells as in the header, found 3",
    "a\n1,5\n": "row 1 (line 2): expected 1 cell as in the header, found 2",
    'day,x\n"a\nb",2\n': (
        "row 1 (line 2): expected 2 cells as in the header, found 1; "
        "a quoted cell may not go over the end of a line"
    ),
    "1,2\n3,x\n": f"row 2 (line 2), column 1: found 'x', {CORRECT}",
    "a,b\n1,2\n3,1_0\n": f"row 2 (line 3), column 'b': found '1_0', {CORRECT}",
    "a,b\n1,2\n\n3,0x1p3\n": f"row 2 (line 4), column 'b': found '0x1p3', {CORRECT}",
    "1,2\n3,\x1b[31m\n": f"row 2 (line 2), column 1: found '\\x1b[31m', {CORRECT}",
    "1\n" + "y" * 50 + "\n": f"row 2 (line 2), column 0: found '{'y' * 30}…', {CORRECT}",
    "1,2\n3,\n": f"row 2 (line 2), column 1: found no value, {MISSING}",
    "a,b\n1,2\n,4\n": f"row 2 (line 3), column 'a': found no value, {MISSING}",
    "1,2\nNA,4\n": f"row 2 (line 2), column 0: found 'NA', {MISSING}",
    "NA,1.5\n2,3\n": f"row 1 (line 1), column 0: found 'NA', {MISSING}",
    "1\n2\n\n4\n": (
        "line 3 is blank, between row 2 and the next; delete it, or write nan for a missing value"
    ),
    "1.5;2\n1,5;2\n": f"row 2 (line 2), column 0: found '1,5', {ONE_DECIMAL_MARK}",
    "1,5;2\n1.5;2\n": f"row 2 (line 2), column 0: found '1.5', {ONE_DECIMAL_MARK}",
    "1;2\n1.500,5;2\n": f"row 2 (line 2), column 0: found '1.500,5', {CORRECT}",
    "date,open,high\n2015-01-01,1,2\n": (
        "column 'date' holds text ('2015-01-01' in row 1); "
        "choose numeric columns with --columns open,high"
    ),
    "2015-01-01,1,2\n2015-01-02,3,4\n": (
        "column 0 holds text ('2015-01-01' in row 1); choose numeric columns with --columns 1,2"
    ),
    "day,name,Adj Close\nx1,y,3\n": (
        "column 'day' holds text ('x1' in row 1), and so does 'name'; "
        "choose numeric columns with --columns 'Adj Close'"
    ),
    'day,"a,b"\nx1,2\n': (
        "column 'day' holds text ('x1' in row 1); choose numeric columns with --columns 1"
    ),
    "day,x,x\nd1,2,3\n": (
        "column 'day' holds text ('d1' in row 1); choose numeric columns with --columns 1,2"
    ),
    "day\nd1\n": "column 'day' holds text ('d1' in row 1); expected at least one column of numbers",
    ",open,close\n0,1.5,2\n": (
        "column 0 has no name, like an index that was saved with its table; "
        "choose numeric columns with --columns open,close"
    ),
    "a,b,\n1,2,\n": "column 2 has no name; choose numeric columns with --columns a,b",
    ",0,1\n0,1.5,2\n": (
        "column 0 has no name, like an index that was saved with its table; "
        "choose numeric columns with --columns 1,2"
    ),
}


@pytest.mark.parametrize(("content", "message"), CASES.items(), ids=map(ascii, CASES))
def test_message(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content, newline="")

    with pytest.raises(InputError) as whole:
        read_input(path)
    assert str(whole.value) == f"{path}: {message}"

    with pytest.raises(InputError) as in_blocks, open_blocks(path, rows=1) as blocks:
        list(blocks)
    assert str(in_blocks.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    "bad", ["1,x\n", "1\n", "1,2,3\n", "1,\n"], ids=["text", "short", "long", "empty"]
)
@pytest.mark.parametrize("columns", [None, ["b"], ["b", "a"]], ids=str)
def test_the_row_is_named_however_far_down(
    bad: str, columns: list[str] | None, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "1,2\n" * 20_000 + bad + "1,2\n")
    with pytest.raises(InputError, match=r"row 20001 \(line 20002\)"):
        read_input(path, columns=columns)


def test_rows_too_long_and_too_short_do_not_make_up_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n1,2,3\n1,2,3,4\n1,2\n")
    with pytest.raises(InputError, match=r"row 2 \(line 3\): expected 3 cells .* found 4"):
        read_input(path, columns=["a", "b"])


def test_columns_that_do_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("open,high,low\n1,2,3\n")
    with pytest.raises(NoSuchNameError) as error:
        read_input(path, columns=["hihg"])
    assert str(error.value) == "no column 'hihg'; there is: high, open, low"
    with pytest.raises(NoSuchNameError, match="no column '3'; there is: open, high, low"):
        read_input(path, columns=["3"])
    with pytest.raises(NoSuchNameError, match="no column '-1'"):
        read_input(path, columns=[-1])
    path.write_text("1,2\n")
    with pytest.raises(NoSuchNameError, match="no column 'open'; there is: 0, 1"):
        read_input(path, columns=["open"])


def test_a_name_of_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("x,y,x\n1,2,3\n")
    with pytest.raises(AmbiguousNameError) as error:
        read_input(path, columns=["x"])
    assert str(error.value) == "'x' means several columns; choose one of: 0, 2"
    assert read_input(path, columns=["2"]).array.tolist() == [[3]]


@pytest.mark.parametrize("text", ["", "a,,b", "a,"])
def test_columns_option_with_a_gap(text: str) -> None:
    with pytest.raises(UsageError, match="expected names or indices such as open,high or 0,3"):
        parse_columns(text)


def test_a_line_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_cli.sequences.lines.LONGEST_LINE", 1 << 20)
    path = tmp_path / "x.csv"
    path.write_text("1,2\n" + "3," * 2_000_000)
    with pytest.raises(InputError) as error:
        read_input(path)
    assert str(error.value) == (
        f"{path}: line 2 is longer than 1 MiB; expected a text file with one time step a line"
    )


def test_a_cell_longer_than_a_cell_may_be(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('1,"' + "9" * 200_000 + '"\n')
    with pytest.raises(LstmCliError, match="line 1: field larger than field limit"):
        read_input(path)
