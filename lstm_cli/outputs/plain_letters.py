"""What stands for signs and rules on a terminal that has none but plain letters."""

from __future__ import annotations

from itertools import accumulate

from rich.text import Span, Text

LETTERS = {
    **{"│": "|", "─": "-", "█": "#", "…": "~", "●": "*", "·": "*", "×": "x"},
    **{"━": "=", "┊": ":"},
    **{"−": "-", "–": "-", "±": "+-", "≥": ">=", "∞": "inf", "→": "->"},
    **{"Δ": "d", "Σ": "sum ", "Π": "prod", "σ": "s", "‖": "|"},
    **{"░": ":", "⏎": "/", "⇥": " ", "�": "?"},
}
"""Mostly one for one, so that columns stay below each other."""


def in_plain_letters(text: Text) -> Text:
    """The same text with the same styles, in plain letters."""
    pieces = [LETTERS.get(letter, letter) for letter in text.plain]
    ends = [0, *accumulate(map(len, pieces))]
    size = len(text.plain)
    spans = [
        Span(ends[min(span.start, size)], ends[min(span.end, size)], span.style)
        for span in text.spans
    ]
    return Text("".join(pieces), style=text.style, spans=spans)
