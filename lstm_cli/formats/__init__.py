"""Readers of model files: each is asked by content, never by a file's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import ModelFileError, ShapeError, UnknownFormatError
from ..model import Model
from . import keras
from .options import Options, with_options
from .reading import MAX_JSON_BYTES, Problem

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Reader(NamedTuple):
    """A file format: its name, how it is recognised, and the function that reads it."""

    name: str
    recognises: Callable[[Path, bytes], bool]
    read: Callable[[Path, Options], Model]


def load(path: str | Path, options: Options | None = None) -> Model:
    """The model in a file or directory.

    Raises:
        ModelFileError: if it cannot be read; UnknownFormatError if no reader knows it.
        UsageError: if the options do not go with the file.
    """
    options = options or Options()
    path = Path(path)
    head = _head(path)
    for reader in READERS:
        if reader.recognises(path, head):
            return _read(reader, path, options)
    raise UnknownFormatError(path, _unknown(path, head))


def _read(reader: Reader, path: Path, options: Options) -> Model:
    try:
        return with_options(reader.read(path, options), options)
    except (Problem, ShapeError) as problem:
        raise ModelFileError(path, str(problem)) from problem
    except OSError as error:
        raise ModelFileError(path, error.strerror or str(error)) from error
    except MemoryError as error:
        raise ModelFileError(path, "it does not fit into memory") from error


def _head(path: Path) -> bytes:
    """The first bytes of a file, enough for HDF5's later places; nothing for a directory."""
    try:
        if path.is_dir():
            return b""
        with path.open("rb") as file:
            return file.read(4096 + len(HDF5_SIGNATURE))
    except OSError as error:
        raise ModelFileError(path, error.strerror or str(error)) from error


def _is_hdf5(path: Path, head: bytes) -> bool:
    """Whether the signature stands at the start, or behind a user block of 512 · 2ⁿ bytes."""
    places = (0, 512, 1024, 2048, 4096)
    if any(head[at : at + 8] == HDF5_SIGNATURE for at in places):
        return True
    if len(head) < places[-1] + 8:
        return False
    with path.open("rb") as file:
        for at in (2**n for n in range(13, 24)):
            file.seek(at)
            if file.read(8) == HDF5_SIGNATURE:
                return True
    return False


def _is_keras_archive(path: Path, head: bytes) -> bool:
    return head.startswith(b"PK\x03\x04") and "config.json" in _members(path)


def _members(path: Path) -> list[str]:
    import zipfile  # with all that it needs, slow to import, and HDF5 files do without

    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ModelFileError(path, f"the zip archive is damaged or cut short ({error})") from error


def _is_keras_directory(path: Path, head: bytes) -> bool:
    return path.is_dir() and (path / "config.json").is_file()


def _json_keys(path: Path, head: bytes) -> set[str]:
    """Top-level keys, if the file is a JSON object of reasonable size."""
    if not head.lstrip().startswith(b"{") or path.stat().st_size > MAX_JSON_BYTES:
        return set()
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return set()
    return set(document) if isinstance(document, dict) else set()


def _is_shard_map(path: Path, head: bytes) -> bool:
    return "weight_map" in _json_keys(path, head)


def _is_architecture(path: Path, head: bytes) -> bool:
    return {"class_name", "config"} <= _json_keys(path, head)


READERS = (
    Reader("Keras HDF5", _is_hdf5, keras.read_hdf5),
    Reader("Keras archive", _is_keras_archive, keras.read_archive),
    Reader("Keras directory", _is_keras_directory, keras.read_directory),
    Reader("Keras sharded weights", _is_shard_map, keras.read_shards),
    Reader("Keras architecture", _is_architecture, keras.read_architecture_alone),
)


def _unknown(path: Path, head: bytes) -> str:
    known = "Keras .h5 or .keras files, weights and directories"
    if path.is_dir():
        return f"the directory has no config.json; expected {known}"
    if not head:
        return f"the file is empty; expected {known}"
    what = "a zip archive without config.json" if head.startswith(b"PK\x03\x04") else ""
    if not what:
        text = all(byte in b"\t\n\r" or 32 <= byte for byte in head[:200])
        what = "plain text" if text else f"a file that begins with {head[:8]!r}"
    return f"no reader knows it by its content: it is {what}; expected {known}"
