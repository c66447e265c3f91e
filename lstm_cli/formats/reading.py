"""Reading untrusted structures: values of the expected type, or one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_JSON_BYTES = 64 * 2**20
"""Far above any real architecture; a larger one is refused before it is parsed."""


MAX_JSON_DEPTH = 300
"""Far above any real architecture, and low enough for functions that call themselves."""
DEFLATE_LIMIT = 1100  # deflate cannot pack tighter than 1032 to 1
USUAL_LIMIT = 50  # far above what it makes of any weights but zeros
SMALL, LARGE = 2**20, 2**28
LARGEST = 2**20
"""Above every axis, window, stride, repetition or padding of a real layer."""


class Clause(Exception):
    """A reason in words, on one line whatever the names from the file hold."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class Problem(Clause):
    """Why a file cannot be read, as a clause; ``load`` adds the file's name."""


class NotComputed(Clause):
    """Why one layer cannot be computed, as a clause; the rest of the file may still be of use."""


def may_unpack_to(size: int, packed: int) -> bool:
    """Whether ``packed`` bytes may be unpacked to the ``size`` that a file claims for them."""
    return size <= max(SMALL, packed * (DEFLATE_LIMIT if size <= LARGE else USUAL_LIMIT))


def parse_json(text: str | bytes, what: str) -> Any:
    """The JSON document in ``text``."""
    if len(text) > MAX_JSON_BYTES:
        raise Problem(f"{what} is {len(text):,} bytes long; at most {MAX_JSON_BYTES:,} are read")
    try:
        document = json.loads(text)
        if _is_deeper(document, MAX_JSON_DEPTH):
            raise RecursionError
        return document
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Problem(f"{what} is not valid JSON ({reason})") from error


def _is_deeper(document: Any, limit: int) -> bool:
    """Whether lists and objects stand in each other more than ``limit`` deep."""
    level = [document]
    for _ in range(limit):
        lists = [value for value in level if isinstance(value, list)]
        objects = [value for value in level if isinstance(value, dict)]
        level = [entry for value in lists for entry in value]
        level += [entry for value in objects for entry in value.values()]
    return bool(level)


def as_mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Problem(f"{what} should be a JSON object, found {describe(value)}")
    return value


def as_list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Problem(f"{what} should be a list, found {describe(value)}")
    return value


def as_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise Problem(f"{what} should be a text, found {describe(value)}")
    return value


def as_number(value: Any) -> float | None:
    """A JSON number as a float; None for anything else, and for whole numbers beyond all floats."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def describe(value: Any) -> str:
    """A value as it would stand in a message: short, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


class Settings(Mapping[str, Any]):
    """A layer's config, read by type; a wrong one is a Problem that names layer and key."""

    def __init__(self, values: Mapping[str, Any], owner: str) -> None:
        self._values, self._owner = values, owner

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def fail(self, key: str, expected: str) -> Problem:
        found = describe(self._values[key]) if key in self._values else "nothing"
        return Problem(f"'{key}' of {self._owner} should be {expected}, found {found}")

    def integer(self, key: str, default: int | None = None) -> int:
        value = self._values.get(key)
        value = default if value is None else value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(key, "a whole number")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self._values.get(key)
        value = default if value is None else value
        if isinstance(value, Mapping):  # Keras 3 stores some scalars as a serialised array
            value = as_mapping(value.get("config", {}), key).get("value")
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        number = as_number(value)
        if number is None:
            raise self.fail(key, "a number")
        return number

    def optional_number(self, key: str) -> float | None:
        return None if self._values.get(key) is None else self.number(key)

    def boolean(self, key: str, default: bool = False) -> bool:
        value = self._values.get(key)
        if value is None:
            return default
        if not isinstance(value, (bool, int)):
            raise self.fail(key, "true or false")
        return bool(value)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._values.get(key)
        value = default if value is None else value
        if not isinstance(value, str):
            raise self.fail(key, "a text")
        return value

    def integers(self, key: str, default: Any = None, length: int | None = None) -> list[int]:
        """A list of whole numbers; a single one stands for ``length`` equal ones."""
        value = self._values.get(key)
        value = default if value is None else value
        if isinstance(value, int) and not isinstance(value, bool):
            value = [value] * (length or 1)
        if (
            not isinstance(value, Sequence)
            or not all(isinstance(v, int) and not isinstance(v, bool) for v in value)
            or (length is not None and len(value) != length)
            or any(abs(v) > LARGEST for v in value)
        ):
            many = f"{length} whole numbers" if length else "a list of whole numbers"
            raise self.fail(key, f"{many} up to {LARGEST:,}")
        return list(value)
