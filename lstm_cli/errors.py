"""Every error a caller can meet, in one tree.

LstmCliError                    catch this one to catch them all
├── ModelFileError              a file was found, but no model could be read from it
│   ├── UnknownFormatError          its content matches no reader
│   └── MissingEntryError           a group, array or key that the model needs is not there
├── UnsupportedFeatureError     what was asked needs something that we do not compute
├── InputError                  a sequence, mask or state file that cannot be used
│   └── ShapeError                  an array does not fit the model
├── NoSuchNameError             a layer, tensor or column that does not exist
│   └── AmbiguousNameError          a name that means several things
├── UsageError                  options or arguments that do not go together
├── MissingExtraError           a library that is not installed is needed
└── OutputError                 a result that could not be written
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from os import PathLike


class LstmCliError(Exception):
    """Base of every error that this package raises on purpose; its text is for the user."""


class ModelFileError(LstmCliError):
    """A file was found, but no model could be read from it."""

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = str(path), reason


class UnknownFormatError(ModelFileError):
    """No reader knows the file by its content."""


class MissingEntryError(ModelFileError):
    """A group, array or key that the model needs is not in the file."""

    def __init__(
        self, path: str | PathLike[str], where: str, wanted: str, found: Iterable[str]
    ) -> None:
        self.where, self.wanted, self.found = where, wanted, sorted(found)
        super().__init__(path, f"no '{wanted}' in {where}, which holds: {listing(self.found)}")


class UnsupportedFeatureError(LstmCliError):
    """What was asked needs something that this package does not compute; all of it is named."""

    def __init__(self, message: str, features: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.features = tuple(features)


class InputError(LstmCliError):
    """A sequence, mask or state cannot be used."""


class ShapeError(InputError):
    """An array has a shape that the model cannot use."""

    def __init__(self, name: str, expected: str, found: tuple[int, ...], advice: str = "") -> None:
        more = f"; {advice}" if advice else ""
        super().__init__(f"{name}: expected shape {expected}, found {_shape(found)}{more}")
        self.name, self.expected, self.found, self.advice = name, expected, found, advice


class NoSuchNameError(LstmCliError):
    """A name was asked for that does not exist; the message lists what does, nearest first."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, nearest_first(name, known)
        super().__init__(f"no {kind} '{name}'; there is: {listing(self.known)}")


class AmbiguousNameError(NoSuchNameError):
    """A name means several things, and one is needed."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, list(known)
        message = f"'{name}' means several {kind}s; choose one of: {listing(self.known)}"
        LstmCliError.__init__(self, message)


class UsageError(LstmCliError):
    """Options or arguments do not go together."""


class MissingExtraError(LstmCliError):
    """A library of an extra is needed and not installed; the message says how to install it."""

    def __init__(self, feature: str, libraries: str, extra: str) -> None:
        """``feature``: what needs it, as in ``reading TFLite files``."""
        super().__init__(f"{feature} needs {libraries}: pip install 'lstm-cli[{extra}]'")
        self.feature, self.libraries, self.extra = feature, libraries, extra


class OutputError(LstmCliError):
    """A result could not be written."""


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """``known`` without repetition, those spelt most like ``name`` first."""
    names = list(dict.fromkeys(known))
    near = get_close_matches(name, names, n=len(names) or 1, cutoff=0.5)
    return near + [other for other in names if other not in near]


def listing(names: Iterable[str], most: int = 20) -> str:
    """``a, b, c``; long lists are cut, saying how many were left out."""
    names = list(names)
    shown = ", ".join(names[:most]) or "nothing"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def numbered(thing: str, count: int, first: int = 0) -> str:
    """``units 0 to 7``; ``unit 0 alone`` where there is one; ``no units``."""
    if count < 1:
        return f"no {thing}s"
    if count == 1:
        return f"{thing} {first} alone"
    return f"{thing}s {first} to {first + count - 1}"


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
