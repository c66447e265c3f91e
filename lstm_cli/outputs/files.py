"""Results as files, by extension, and on standard output, by format name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, get_args
from zipfile import ZipFile

import numpy as np

from ..errors import UsageError, listing
from ..model import Array
from .npy import write_npy
from .number_text import json_array, json_name
from .pending import replacing, write_errors
from .results import Results, meta_text
from .rows import left_out_of_tables, table_lines

FileFormat = Literal["npy", "npz", "csv", "jsonl", "h5"]
StreamFormat = Literal["npy", "npz", "csv", "jsonl", "json"]

FILE_FORMATS: tuple[str, ...] = get_args(FileFormat)
STREAM_FORMATS: tuple[str, ...] = get_args(StreamFormat)


def write(path: Path, results: Results) -> None:
    """Write ``results`` to ``path``, in the format of its extension, whole or not at all.

    Raises:
        UsageError: for an unknown extension, or where the format cannot hold the arrays.
        OutputError: if the file could not be written; an earlier one is untouched.
    """
    form = format_of(path)
    with replacing(path) as temporary, write_errors(path):
        if form == "h5":
            from .hdf5 import write_hdf5

            write_hdf5(temporary, results)
            return
        with temporary.open("wb") as file:
            _write(file, form, results)


def write_stream(file: BinaryIO, form: str, results: Results) -> None:
    """Write ``results`` to an open binary file, such as standard output.

    Raises:
        UsageError: for an unknown format, or where the format cannot hold the arrays.
        OutputError: if it could not be written.
        BrokenPipeError: if nobody reads any more.
    """
    if form not in STREAM_FORMATS:
        known = ", ".join(STREAM_FORMATS)
        raise UsageError(f"'{form}' cannot be written to standard output; --format takes: {known}")
    with write_errors("standard output"):
        _write(file, form, results)
        file.flush()


def format_of(path: Path) -> FileFormat:
    """The format that the extension of ``path`` stands for.

    Raises:
        UsageError: if it stands for none.
    """
    for form in get_args(FileFormat):
        if path.suffix.lower() == f".{form}":
            return form  # type: ignore[no-any-return]
    known = ", ".join(f".{form}" for form in FILE_FORMATS)
    found = f"'{path.suffix}'" if path.suffix else "no extension"
    raise UsageError(f"{path}: the extension decides the format; expected {known}, found {found}")


def left_out(form: str, results: Results) -> list[str]:
    """Names of the arrays that a file of this format has no place for."""
    return left_out_of_tables(results) if form in ("csv", "jsonl") else []


def only_array(results: Results) -> Array:
    """The one array of a ``.npy`` file.

    Raises:
        UsageError: if there is not exactly one; names them.
    """
    if len(results.arrays) != 1:
        raise UsageError(several_arrays(list(results.arrays)))
    return next(iter(results.arrays.values()))


def several_arrays(names: list[str]) -> str:
    """Why ``names`` do not go into one ``.npy`` file, and what to do."""
    return (
        f"npy holds exactly one array, and there are {len(names)}: choose one with --tensors, of"
        f" {listing(names)}; or write .npz"
    )


def _write(file: BinaryIO, form: str, results: Results) -> None:
    writers: dict[str, Callable[[BinaryIO, Results], None]] = {
        "npy": lambda file, results: write_npy(file, only_array(results)),
        "npz": _write_npz,
        "json": lambda file, results: _write_text(file, _json_document(results)),
        "csv": lambda file, results: _write_text(file, table_lines("csv", results)),
        "jsonl": lambda file, results: _write_text(file, table_lines("jsonl", results)),
    }
    writers[form](file, results)


def _write_npz(file: BinaryIO, results: Results) -> None:
    arrays = {**results.arrays, "meta": np.array(meta_text(results.meta))}
    with ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_npy(member, array)  # type: ignore[arg-type]


def _write_text(file: BinaryIO, pieces: Iterator[str]) -> None:
    for piece in pieces:
        file.write(piece.encode())


def _json_document(results: Results) -> Iterator[str]:
    yield "{"
    for name, array in results.arrays.items():
        yield f"{json_name(name)}:"
        yield from json_array(array)
        yield ","
    yield f'"meta":{meta_text(results.meta)}}}\n'
