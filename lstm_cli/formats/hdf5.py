"""HDF5 files as Keras writes them: decoded attributes, split attributes, checked datasets.

Nothing outside the file is ever followed (external links, external or virtual storage), and a
dataset's size is compared with what the file stores before memory is taken for it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..model import Array
from .hdf5_heaps import check_heaps
from .reading import SMALL, Problem, may_unpack_to

MANY = 10**6


@contextmanager
def opened(source: Path | bytes) -> Iterator[h5py.File]:
    """The open file; everything HDF5 finds wrong with it becomes a Problem."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            check_heaps(stream)
        target = io.BytesIO(source) if isinstance(source, bytes) else source
        with h5py.File(target, "r") as file:
            yield file
    except Problem:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        reason = str(error).strip("'\"").replace("\n", " ")
        raise Problem(f"the HDF5 data is damaged or cut short ({reason})") from error


def text(value: Any) -> str:
    """An attribute's text, which different versions return as str, bytes or NumPy bytes."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise Problem(f"a text attribute holds {type(value).__name__}")
    return value


def attribute(node: Any, name: str) -> Any:
    """The attribute ``name``: texts or numbers.

    Its type is looked at before it is read, as libhdf5 reads a damaged type of variable length
    from wherever its bytes point, which can end the process.
    """
    kind = h5py.h5a.open(node.id, name.encode()).get_type().get_class()
    if kind not in (h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT):
        raise Problem(f"attribute '{name}' of '{node.name}' should be text or a number")
    return node.attrs[name]


def attribute_text(node: Any, name: str) -> str:
    """The text attribute ``name``, or an empty text."""
    return text(attribute(node, name)) if name in node.attrs else ""


def attribute_count(node: Any, name: str) -> int:
    """The attribute ``name``, a number of groups or datasets that the file may hold."""
    value = np.asarray(attribute(node, name))
    if value.size != 1 or value.dtype.kind not in "iu" or not 0 <= value.item() <= MANY:
        raise Problem(f"'{name}' of '{node.name}' should be a number from 0, found {value}")
    return int(value.item())


def attribute_names(node: Any, name: str) -> list[str] | None:
    """A list of names, put together from ``name0``, ``name1``, … where it was split.

    HDF5 keeps an attribute below 64 kB, so Keras splits long lists. None where there is none.
    """
    if name in node.attrs:
        chunks = [attribute(node, name)]
    else:
        chunks = []
        while f"{name}{len(chunks)}" in node.attrs:
            chunks.append(attribute(node, f"{name}{len(chunks)}"))
        if not chunks:
            return None
    # An empty list comes back as float64 of shape (0,).
    return [text(entry) for chunk in chunks for entry in np.asarray(chunk).reshape(-1)]


def child(group: Any, name: str) -> Any:
    """The member ``name`` (a path) of a group, or None.

    Links to another place, and objects with several names, are refused: Keras writes neither, and
    groups that contain themselves, or one dataset listed a thousand times, would have no end.
    """
    node = group
    for part in filter(None, name.split("/")):
        if not isinstance(node, h5py.Group):
            return None
        link = node.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise Problem(f"'{node.name}/{part}' is a link to another place, which is not followed")
        node = node[part]
        if h5py.h5o.get_info(node.id).rc > 1:
            raise Problem(f"'{node.name}' has several names in the file, which is refused")
    return node


def children(group: Any) -> Iterator[tuple[str, Any]]:
    for name in group:
        yield name, child(group, name)


def scalar_type(group: Any, name: str) -> str:
    """The type of the single number at ``name`` (a path); ``""`` where there is no such."""
    found = child(group, name)
    return found.dtype.name if isinstance(found, h5py.Dataset) and found.shape == () else ""


def read_array(dataset: Any) -> Array:
    """A dataset as float32 or float64 (half precision widened), or as the integers it holds."""
    if not isinstance(dataset, h5py.Dataset):
        found = "nothing" if dataset is None else f"the group '{dataset.name}'"
        raise Problem(f"a dataset was expected, found {found}")
    where = f"dataset '{dataset.name}'"
    if dataset.shape is None:
        raise Problem(f"{where} holds nothing")
    if dataset.external or dataset.is_virtual:
        raise Problem(f"{where} keeps its numbers in another file, which is not followed")
    declared = dataset.size * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    packed = dataset.compression is not None or dataset.id.get_create_plist().get_nfilters() > 0
    if not (may_unpack_to(declared, stored) if packed else declared <= max(SMALL, stored)):
        raise Problem(f"{where} claims {declared:,} bytes, but the file holds {stored:,} for it")
    if dataset.dtype.kind not in "fiubV" or dataset.dtype.names:
        raise Problem(f"{where} should hold numbers, found {dataset.dtype}")
    return widened(np.asarray(dataset[()]), where, attribute_text(dataset, "dtype"))


def widened(values: Array, where: str, declared: str = "") -> Array:
    """Half precision as float32; bfloat16, which HDF5 stores as two opaque bytes, as well."""
    if values.dtype.kind == "V":
        if values.dtype.itemsize != 2 or declared not in ("", "bfloat16"):
            raise Problem(f"{where} has an unknown type: {declared or values.dtype}")
        bits = values.view(np.uint16).astype(np.uint32) << np.uint32(16)
        return bits.view(np.float32)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    if values.dtype.kind == "f" and values.dtype not in (np.float32, np.float64):
        raise Problem(f"{where} has an unknown type: {values.dtype}")
    return values
