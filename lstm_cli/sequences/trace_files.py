"""Traces that ``lstm export`` wrote, read back: .npz and .h5, a block of steps at a time.

>>> with open_trace_file("trace.h5") as file:
...     file.steps["forward/h"].read(0, 4096)  # (B, n, U); from .h5 and .npz only these are read

Only the numbers that are asked for are read; a compressed member of an .npz, which ``export``
does not write, is read whole.

Letters: B sequences, T time steps.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .npz import check_members, read_member, reporting
from .sources import Closable, open_source
from .trace_arrays import StepArray, keep_freed_memory, member_array
from .trace_checks import (
    CELL_TENSORS,
    LENGTHS,
    PER_STEP,
    WEIGHTS,
    base,
    check_arrays,
    check_lengths,
)
from .trace_meta import parse_meta

Array = NDArray[Any]

META = "meta"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURE = b"PK\x03\x04"


class TraceFile(Closable):
    """An open trace; a context manager that closes its file.

    Attributes:
        name: the file's path.
        meta: where the arrays come from, as ``export`` wrote it.
        batched: whether the arrays in the file have an axis of sequences.
        steps: the arrays with a time axis by name in the file; each always reads as (B, n, …).
        others: the other arrays: states (B, U), ``lengths`` (B,), weights in their own shape.
    """

    def __init__(self, name: str, container: Container) -> None:
        self.name, self._container = name, container
        with _naming(name):
            fit = check_arrays(container.arrays)
        self.batched = fit.batched
        self.steps: dict[str, StepArray] = {}
        self.others: dict[str, Array] = {}
        for path, array in container.arrays.items():
            weight = base(path) in WEIGHTS
            if path in fit.steps and base(path) in PER_STEP:
                self.steps[path] = array if self.batched else array.with_sequences()
            elif path in fit.steps or weight:
                whole = np.asarray(array.whole())
                self.others[path] = whole if self.batched or weight else whole[np.newaxis]
        some = next(array for path, array in self.steps.items() if base(path) in CELL_TENSORS)
        with _naming(name):
            self.meta = parse_meta(container.meta, some.shape[0])
            self._check_lengths(fit.steps)

    def _check_lengths(self, steps: Mapping[str, int]) -> None:
        """Sequences are no longer than the steps that are there, or that were left out."""
        before, more = self.meta.get("first_step", 0), bool(self.meta.get("ends_early"))
        for path in [path for path in self.others if base(path) == LENGTHS]:
            most = before + steps[path]
            self.others[path] = check_lengths(path, self.others[path], most, more)

    def close(self) -> None:
        """Close the file."""
        self._container.close()


class Container(Protocol):
    """What holds the arrays of a trace, and its ``meta`` as text."""

    arrays: dict[str, StepArray]
    meta: str

    def close(self) -> None:
        """Close the file."""


def is_trace_file(path: str | Path) -> bool:
    """Whether a file holds what ``export`` writes into .npz and .h5: told by its content.

    That is, an entry ``meta`` and an array h, c or of a gate; exported weights have no such array.
    """
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            head = file.read(8)
            if head == HDF5_SIGNATURE:
                from .trace_hdf5 import names_in

                return _are_of_a_trace(names_in(Path(path)))
            return head[:4] == ZIP_SIGNATURE and _are_of_a_trace(_names_in_archive(file))
    except OSError:
        return False


def open_trace_file(path: str | Path) -> TraceFile:
    """Open a trace.

    Raises:
        InputError: If the file is missing, damaged, or holds no steps of an LSTM.
    """
    keep_freed_memory()
    with open_source(str(path)) as opened:
        head = opened.head(8)
    if head == HDF5_SIGNATURE:
        from .trace_hdf5 import Hdf5Container

        container: Container = Hdf5Container(Path(path))
    elif head[:4] == ZIP_SIGNATURE:
        container = NpzContainer(Path(path))
    else:
        raise InputError(f"{path}: expected a trace that lstm export wrote, .npz or .h5")
    try:
        if not any(base(name) in CELL_TENSORS for name in container.arrays):
            raise InputError(
                f"{path}: holds no h, c or gates of an LSTM; lstm export writes a trace that does"
            )
        return TraceFile(str(path), container)
    except BaseException:
        container.close()
        raise


def check_container(path: str | Path) -> None:
    """Refuse a file that begins as a trace does and is so damaged that nobody can tell what it is.

    Raises:
        InputError: says what is wrong with the archive, or with the HDF5 data.
    """
    with open_source(str(path)) as opened:
        head = opened.head(8)
        if head[:4] == ZIP_SIGNATURE:
            with reporting(str(path)):
                zipfile.ZipFile(opened.rewound()).close()
    if head == HDF5_SIGNATURE:
        from .trace_hdf5 import open_file

        open_file(Path(path)).close()


class NpzContainer:
    """The arrays of an .npz trace.

    Attributes:
        arrays: by name; only what is asked for is read.
        meta: the JSON text.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        try:
            with open_source(str(path)) as source, reporting(str(path)):
                archive = zipfile.ZipFile(source.rewound())
                members = archive.infolist()
                check_members(members, source)
                names = {member.filename.removesuffix(".npy"): member for member in members}
                if META not in names:
                    raise InputError(f"{path}: no 'meta' in it, which lstm export writes")
                self.meta = str(read_member(archive, names.pop(META), source, None, True))
                self.arrays: dict[str, StepArray] = {
                    name: member_array(self._file, f"{path}, array '{name}'", archive, member)
                    for name, member in names.items()
                }
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _names_in_archive(file: BinaryIO) -> list[str]:
    """What an archive of arrays holds; nothing for another one."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError):
        return []
    arrays = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]
    return arrays if len(arrays) == len(names) else []


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the name of the file in front of what is wrong with its content."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _are_of_a_trace(names: Collection[str]) -> bool:
    return META in names and any(base(name) in CELL_TENSORS for name in names)
