"""Labels of steps as they are shown: one line each, nothing that steers a terminal."""

from __future__ import annotations

from collections.abc import Sequence

LINE_END = "⏎"
_NAMED = {"\n": LINE_END, "\\n": LINE_END, "\t": "⇥", "\\t": "⇥"}
_PIECES = ("▁", "Ġ", " ", "##")
"""What pieces of words begin with, which stand side by side without a blank between them."""


def shown_label(label: str) -> str:
    """One label in one line; an empty one takes the place of a character."""
    label = _NAMED.get(label, label) or " "
    return "".join(c if c.isprintable() else "�" for c in label)


def ends_line(label: str) -> bool:
    """Whether the text goes on in a new line after it."""
    return label in ("\n", "\\n")


def separator(labels: Sequence[str]) -> str:
    """What stands between labels in running text: nothing between characters or pieces of words.

    A blank between words, and between numbers, of any length.
    """
    if all(len(shown_label(label)) <= 1 for label in labels):
        return " " if all(label.isdigit() for label in labels) else ""
    return "" if any(label.startswith(_PIECES) for label in labels) else " "
