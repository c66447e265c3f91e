"""Files that are not there, may not be read, or are something else than a sequence."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest

from lstm_cli.errors import InputError
from lstm_cli.sequences import open_blocks, read_arrays, read_input, read_lengths, read_mask

EXPECTED = "expected text (.csv, .tsv), .npy or .npz"


@pytest.mark.parametrize("read", [read_input, open_blocks, read_mask, read_lengths, read_arrays])
def test_no_such_file(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == f"{path}: there is no such file"


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_input(str(tmp_path))
    assert str(error.value) == f"{tmp_path}: this is a folder; expected a .csv, .npy or .npz file"


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)  # the superuser may read everything
    with pytest.raises(InputError) as error:
        read_input(tmp_path / "x.csv")
    assert str(error.value) == f"{tmp_path / 'x.csv'}: permission to read the file is denied"


@pytest.mark.parametrize(
    "path", ["a\0b", "x" * 5000, "file.csv/x.csv"], ids=["NUL", "long", "under"]
)
def test_impossible_paths(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.csv").write_text("1\n")
    with pytest.raises(InputError, match="cannot be opened: "):
        read_input(path)


def test_an_error_while_reading() -> None:
    class Broken(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match=r"^the stream: cannot be read: Input/output error$"):
        read_input(Broken())


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file, perhaps a saved model"),
        (pickle.dumps([1.5], 2), "a Python pickle, perhaps a saved model"),
        (pickle.dumps([1.5], 4), "a Python pickle"),
        (b"\x1f\x8b\x08\0", "compressed with gzip; unpack it first"),
        (b"PAR1\x15\x04", "a Parquet file; save the table as CSV"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        (b'{"class_name": "Model"}', "JSON"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (b"\x08\x07\x12\x00\x1a", "a binary file of a kind that is not known"),
        (b"1,2\n3,\x004\n", "a binary file of a kind that is not known"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_something_else_than_a_sequence(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_input(path)
    assert str(error.value) == f"{path}: this is {what}; {EXPECTED}"
    with pytest.raises(InputError, match="this is "):
        open_blocks(path)


def test_text_that_begins_like_an_archive() -> None:
    found = read_input(io.BytesIO(b"PK,P\n1,2\n"))
    assert found.columns == ("PK", "P")
    assert found.array.tolist() == [[1, 2]]


def test_files_are_closed_after_an_error(tmp_path: Path) -> None:
    """Warnings are errors here, so a file left open fails this test when it is collected."""
    path = tmp_path / "x.csv"
    path.write_text("1,2\n3\n")
    for _ in range(3):
        with pytest.raises(InputError):
            read_input(path)
        with pytest.raises(InputError), open_blocks(path) as source:
            list(source)
    path.write_text("day\nmonday\n")
    with pytest.raises(InputError):
        open_blocks(path)
