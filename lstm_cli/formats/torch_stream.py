"""The stream that PyTorch wrote before 1.6: five pickles, then the storages one after the other.

Source: ``_legacy_load`` and ``_legacy_save`` of ``torch/serialization.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .reading import Problem, describe
from .recognising import TORCH_STREAM
from .torch_globals import Source, allowed
from .torch_storage import SIZES, Storage
from .unpickling import Budget, unpickled

PROTOCOL = 1001
MAX_NESTED = 3
"""How deep files stand in each other: a plain pickle holds one for every storage."""


def is_stream(data: memoryview) -> bool:
    """Whether the bytes begin with PyTorch's magic number as a pickle."""
    return bytes(data[2:14]) == TORCH_STREAM


def read_stream(data: memoryview, budget: Budget, depth: int = 0) -> Any:
    """The object in a stream.

    Raises:
        Problem: if the stream is damaged or cut short.
    """
    storages: dict[str, Storage] = {}
    places: dict[str, memoryview] = {}

    def content(key: str) -> memoryview:
        if key not in places:
            raise Problem(
                f"the stream holds no storage {describe(key)}: it is damaged or cut short"
            )
        return places[key]

    def met(key: str, storage: Storage) -> None:
        storages.setdefault(key, storage)

    # numbers are little-endian, whatever machine wrote them
    may = allowed(Source(content, False, _nested(budget, depth), met), budget)
    at = 0
    for part in ("magic number", "protocol", "system"):
        value, at = unpickled(data, at, may, f"the stream's {part}")
        if part == "protocol" and value != PROTOCOL:
            raise Problem(f"the stream's protocol should be {PROTOCOL}")
    found, at = unpickled(data, at, may, "the pickle")
    keys, at = unpickled(data, at, may, "the list of storages")
    places.update(_places(data, at, keys, storages))
    return found


def _places(
    data: memoryview, at: int, keys: Any, storages: dict[str, Storage]
) -> dict[str, memoryview]:
    """The bytes of every storage: a count of 8 bytes, then the numbers."""
    if not isinstance(keys, list):
        raise Problem("the stream's list of storages is no list")
    places: dict[str, memoryview] = {}
    for key in keys:
        if not isinstance(key, str) or key not in storages:
            raise Problem("the stream's list names a storage that the pickle does not")
        count = int.from_bytes(data[at : at + 8], "little", signed=True)
        end = at + 8 + count * SIZES[storages[key].dtype]
        if count < 0 or end > len(data):
            raise Problem(
                f"storage {describe(key)} should hold {count:,} numbers, but the file ends before: "
                "it is damaged or cut short"
            )
        places[key] = data[at + 8 : end]
        at = end
    return places


def read_plain(data: memoryview, budget: Budget) -> Any:
    """The object in a plain pickle, whose storages stand in it as streams of their own.

    Raises:
        Problem: if it is damaged.
    """

    def content(key: str) -> memoryview:
        raise Problem(f"a plain pickle holds no storage {describe(key)}")

    source = Source(content, False, _nested(budget, 0))
    return unpickled(data, 0, allowed(source, budget), "the pickle")[0]


def _nested(budget: Budget, depth: int) -> Callable[[memoryview], Any]:
    """What reads the streams that stand in a pickle as bytes, each of them once."""
    found: dict[int, tuple[memoryview, Any]] = {}

    def read(data: memoryview) -> Any:
        if depth >= MAX_NESTED or not is_stream(data):
            raise Problem("a storage inside the pickle should be a PyTorch stream")
        if id(data) not in found:
            found[id(data)] = data, read_stream(data, budget, depth + 1)
        return found[id(data)][1]

    return read
