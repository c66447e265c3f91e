"""Labels of steps: lines of a file, and columns of a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from lstm_cli.errors import InputError, NoSuchNameError
from lstm_cli.sequences.step_labels import feature_columns, read_label_column, read_step_labels

TABLE = "word,x,day,y\nto,1.5,1,a\nbe,2.5,2,a\nor,3.5,3,b\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b" a \n\n\t\n#\n", [" a ", "", "\t", "#"]),
        (b"{\n<html\n", ["{", "<html"]),
        ("\ufeffwörd\n日\n".encode(), ["wörd", "日"]),
        ("wörd\n".encode("latin-1"), ["wörd"]),
    ],
    ids=["lines", "crlf", "blanks", "like other files", "utf-8", "latin-1"],
)
def test_each_line_is_a_label_as_it_stands(tmp_path: Path, data: bytes, labels: list[str]) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    assert read_step_labels(path) == labels


def test_files_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_step_labels(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read_step_labels(path)
    path.write_bytes(b"\x93NUMPY\1\0")
    with pytest.raises(InputError, match="found a binary file"):
        read_step_labels(path)


def test_a_column_is_read_as_text_sequence_by_sequence(table: Path) -> None:
    assert read_label_column(table, "word") == [["to", "be", "or"]]
    assert read_label_column(table, "day") == [["1", "2", "3"]]
    assert read_label_column(table, "word", "y") == [["to", "be"], ["or"]]
    assert read_label_column(table, 0) == [["to", "be", "or"]]
    with pytest.raises(NoSuchNameError, match="no column 'words'; there is: word"):
        read_label_column(table, "words")


def test_a_column_of_text_is_no_feature(table: Path) -> None:
    assert feature_columns(table, "word") == [1, 2, 3]
    assert feature_columns(table, "word", "y") == [1, 2]
    assert feature_columns(table, "day") is None


def test_arrays_have_no_columns_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\1\0")
    with pytest.raises(InputError, match="is no text table"):
        feature_columns(path, "word")
