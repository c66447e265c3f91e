"""What goes to standard error beside a result: notes, never data."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def note(text: str) -> None:
    """One note on standard error."""
    print(f"note: {text}", file=sys.stderr)


class Notes:
    """Notes of a run, each said once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, texts: Iterable[str]) -> None:
        for text in texts:
            if text and text not in self._said:
                self._said.add(text)
                note(text)
