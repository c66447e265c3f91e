"""Traces in HDF5 files: one dataset an array, groups for the ``/`` in names.

No link to another place is followed, and the one text in the file is read without the library,
which would go wherever its bytes point. Source: "HDF5 File Format Specification", level 1E (global
heap) and the layout of variable-length elements.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .npy import convert
from .npz import SMALL, TIGHT
from .trace_arrays import StepArray
from .trace_checks import CELL_TENSORS, base

Array = NDArray[Any]

META = "meta"
LONGEST_TEXT = 1 << 24
MOST_DATASETS = 5_000
_ELEMENT = struct.Struct("<IQI")  # length, address of the heap, number of the object in it
_HEAP = struct.Struct("<4sB3xQ")  # signature, version, size
_OBJECT = struct.Struct("<HH4xQ")  # number, references, size
_FAILURES = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


class Hdf5Container:
    """The arrays of an .h5 trace.

    The library's cache of chunks would hold each block once more on its way here; only what is
    packed is read through it.

    Attributes:
        arrays: by name; only what is asked for is read.
        meta: the JSON text.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_file(path, rdcc_nbytes=0)
        try:
            with _reporting(path):
                self.meta = _meta_text(path, self._file)
                found = dict(_datasets(path, self._file))
                if any(map(_is_packed, found.values())):  # a chunk should be unpacked once
                    self._file.close()
                    self._file = h5py.File(path, "r")
                    found = dict(_datasets(path, self._file))
                self.arrays: dict[str, StepArray] = {
                    name: Hdf5Array(path, name, dataset) for name, dataset in found.items()
                }
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Hdf5Array:
    """A dataset, as a ``StepArray``; without ``sequences`` the file has no axis for them."""

    def __init__(self, path: Path, name: str, dataset: Any, sequences: bool = True) -> None:
        self._path, self._name, self._dataset = path, name, dataset
        self._sequences = sequences
        self.shape: tuple[int, ...] = dataset.shape if sequences else (1, *dataset.shape)
        self.dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")

    def read(self, start: int, stop: int) -> Array:
        with _reporting(self._path, self._name):
            if self._sequences:
                return self._native(self._dataset[:, start:stop])
            return self._native(self._dataset[start:stop])[np.newaxis]

    def whole(self) -> Array:
        with _reporting(self._path, self._name):
            return self._native(self._dataset[()])

    def with_sequences(self) -> StepArray:
        return Hdf5Array(self._path, self._name, self._dataset, False)

    def _native(self, values: Any) -> Array:
        return convert(np.asarray(values), None)


def open_file(path: Path, **settings: Any) -> Any:
    """An open HDF5 file.

    Raises:
        InputError: if it is damaged.
    """
    with _reporting(path):
        return h5py.File(path, "r", **settings)


def names_in(path: Path) -> list[str]:
    """What a file with a text ``meta`` at its top holds, up to the first array of a cell.

    Nothing for another file.
    """
    try:
        with h5py.File(path, "r") as file:
            link = file.get(META, getlink=True)
            if not isinstance(link, h5py.HardLink) or not _is_text(file[META]):
                return []
            names = [META]
            with suppress(*_FAILURES, InputError):  # said when the trace is opened
                for name, _ in _nodes(path, file):
                    names.append(name)
                    if base(name) in CELL_TENSORS:
                        break
            return names
    except _FAILURES:
        return []


def _is_text(dataset: Any) -> bool:
    return (
        isinstance(dataset, h5py.Dataset)
        and dataset.shape == ()
        and dataset.id.get_type().get_class() == h5py.h5t.STRING
    )


def _datasets(path: Path, file: Any) -> Iterator[tuple[str, Any]]:
    """Every dataset but ``meta``, by name, in the order in which they were written.

    Raises:
        InputError: if one holds no numbers, or not all of them.
    """
    there = path.stat().st_size
    for name, node in _nodes(path, file):
        if node is None:
            raise InputError(f"{path}: '{name}' is a link to another place, not followed")
        if name != META:
            there -= _checked(path, name, node, there)
            yield name, node


def _nodes(path: Path, file: Any) -> Iterator[tuple[str, Any]]:
    """Whatever is no group, by name; None for a link to another place."""
    waiting = [("", file)]
    count = 0
    while waiting:
        prefix, group = waiting.pop(0)
        for name in group:
            count += 1
            full = f"{prefix}{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                yield full, None
                continue
            node = group[name]
            if h5py.h5o.get_info(node.id).rc > 1 or count > MOST_DATASETS:
                raise InputError(f"{path}: the HDF5 data is not what lstm export writes")
            if isinstance(node, h5py.Group):
                waiting.append((f"{full}/", node))
            else:
                yield full, node


def _checked(path: Path, name: str, dataset: Any, there: int) -> int:
    """The bytes of a dataset in the file, of which ``there`` are not those of another one."""
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise InputError(f"{path}, '{name}': expected an array of numbers")
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}, '{name}' keeps its numbers in another file, not followed")
    if dataset.dtype.kind not in "fiub":
        raise InputError(f"{path}, '{name}': expected numbers, found {dataset.dtype}")
    stored: int = dataset.id.get_storage_size()
    declared, chunks = dataset.size, dataset.chunks
    if _is_packed(dataset):
        most = max(SMALL, stored * TIGHT)
        needed = prod(-(-n // size) for n, size in zip(dataset.shape, chunks, strict=True))
        declared = max(declared, prod(chunks))  # a chunk is unpacked whole
        complete = dataset.id.get_num_chunks() >= needed
    else:
        most, complete = stored, True
    if not complete or declared * dataset.dtype.itemsize > most or stored > there:
        raise InputError(f"{path}, '{name}': the file does not hold all of it; export it again")
    return stored


def _is_packed(dataset: Any) -> bool:
    return bool(dataset.id.get_create_plist().get_nfilters() > 0)


def _meta_text(path: Path, file: Any) -> str:
    """The text ``meta``, from the heap that its dataset points to."""
    damaged = InputError(f"{path}: no text 'meta' in it, which lstm export writes")
    if not isinstance(file.get(META, getlink=True), h5py.HardLink) or not _is_text(file[META]):
        raise damaged
    offset = file[META].id.get_offset()
    if offset is None:
        raise damaged
    with path.open("rb") as raw:
        raw.seek(offset)
        element = raw.read(_ELEMENT.size)
        if len(element) < _ELEMENT.size:
            raise damaged
        length, address, number = _ELEMENT.unpack(element)
        text = _heap_object(raw, address, number) if length <= LONGEST_TEXT else None
    if text is None or len(text) < length:
        raise damaged
    return text[:length].decode("utf-8", "replace")


def _heap_object(file: BinaryIO, address: int, number: int) -> bytes | None:
    """An object of the heap at byte ``address``; None if there is none."""
    file.seek(address)
    header = file.read(_HEAP.size)
    if len(header) < _HEAP.size:
        return None
    signature, version, size = _HEAP.unpack(header)
    if (signature, version) != (b"GCOL", 1) or not _HEAP.size <= size <= 2 * LONGEST_TEXT:
        return None
    body = file.read(size - _HEAP.size)
    position = 0
    while len(body) - position >= _OBJECT.size:
        index, _, length = _OBJECT.unpack_from(body, position)
        begin = position + _OBJECT.size
        if index == number:
            return body[begin : begin + length]
        if index == 0:
            return None
        position = begin + (length + 7) // 8 * 8
    return None


@contextmanager
def _reporting(path: Path, name: str = "") -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        reason = str(error).strip("'\"").replace("\n", " ")[:200]
        where = f"{path}, '{name}'" if name else str(path)
        raise InputError(f"{where}: the HDF5 data is damaged or cut short ({reason})") from error
