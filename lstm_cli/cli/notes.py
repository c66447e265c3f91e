"""What goes to standard error beside a result: notes, never data."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def note(text: str) -> None:
    """One note on standard error."""
    print(f"note: {printable(text)}", file=sys.stderr)


def printable(text: str) -> str:
    """One line without control characters, which names from a file may hold."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


class Notes:
    """Notes of a run, each said once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, texts: Iterable[str]) -> None:
        for text in texts:
            if text and text not in self._said:
                self._said.add(text)
                note(text)
