"""Running text in lines: where they break, and how a terminal shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from rich.text import Text

from .colours import MASKED_COLOUR, colour
from .grid import Lines, clipped, wrapped
from .heatmap import PLAIN_NAN, plain_mark, scale_legend, sequence_notes
from .notes import left_out_note
from .reduction import Flags
from .running_text import Row, RunningText
from .step_labels import ends_line, separator, shown_label

MOST_ON_SCREEN = 4000
"""Steps shown in a terminal; a file has all of them."""

DARK, LIGHT = Color.from_rgb(0, 0, 0), Color.from_rgb(255, 255, 255)


def draw_text(text: RunningText, width: int, *, colours: bool) -> Lines:
    """The text for a terminal, several units one under another below each other.

    Args:
        text: what to draw.
        width: of the console.
        colours: as the background of each label; else the text stands above characters of a ramp.
    """
    names = [row.name for row in text.rows]
    several = len(names) > 1
    margin = max(map(len, names)) + 2 if several else 0
    pieces = pieces_of(text, max(8, width - margin), MOST_ON_SCREEN)
    lines = _heading(text, margin, colours)
    for number, piece in enumerate(pieces):
        lines += [Text()] if several and number else []
        if not colours:
            lines.append(Text(" " * margin + "".join(part.text for part in piece).rstrip()))
        for row in text.rows:
            line = Text.assemble((row.name.ljust(margin) if several else "", "dim"))
            fractions = row.fractions
            for part in piece:
                line.append(*_drawn(part, row, fractions, text.masked, colours))
            line.rstrip()
            lines.append(line)
    notes = sequence_notes(text.sequence, text.sequences)
    notes += colour_notes(text, *(("grey", "magenta") if colours else ("blank", PLAIN_NAN)))
    below = [line for note in notes for line in wrapped(note, width, "dim")]
    missing = {"step": len(text.labels) - MOST_ON_SCREEN}
    return Lines([*lines, *below, *left_out_note(missing, width)])


def colour_notes(text: RunningText, masked: str, nan: str) -> list[str]:
    """What stands for steps that have no number, as far as there are any."""
    notes = [f"{masked}: masked steps"] if text.masked.any() else []
    if any(np.isnan(row.values[~text.masked]).any() for row in text.rows):
        notes.append(f"{nan}: not a number")
    return notes


@dataclass(frozen=True, slots=True)
class Part:
    """What stands in a line: a label and its step within the text, or what is between labels."""

    text: str
    step: int | None


def pieces_of(text: RunningText, room: int, most: int | None = None) -> list[list[Part]]:
    """The labels in lines of at most ``room`` cells, broken at blanks where there are any."""
    between = separator(text.labels)
    lines: list[list[Part]] = [[]]
    used = 0
    for step, label in enumerate(text.labels[:most]):
        shown = clipped(shown_label(label), room)
        wide = cell_len(shown)
        gap = cell_len(between) if lines[-1] else 0
        if lines[-1] and used + gap + wide > room:
            lines.append(_carried(lines[-1]) if not between else [])
            used, gap = sum(cell_len(part.text) for part in lines[-1]), 0
        if gap:
            lines[-1].append(Part(between, None))
        lines[-1].append(Part(shown, step))
        used += gap + wide
        if ends_line(label):
            lines.append([])
            used = 0
    return [line for line in lines if line]


def _carried(line: list[Part]) -> list[Part]:
    """What goes from the end of a full line into the next: letters behind its last blank."""
    blanks = [k for k, part in enumerate(line) if not part.text.strip()]
    if not blanks or blanks[-1] < len(line) // 2 or blanks[-1] == len(line) - 1:
        return []
    carried = line[blanks[-1] + 1 :]
    del line[blanks[-1] + 1 :]
    return carried


def ink(background: Color) -> Color:
    """Black or white, whichever can be read on a background."""
    red, green, blue = background.get_truecolor()
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else LIGHT


def _drawn(
    part: Part, row: Row, fractions: NDArray[np.float64], masked: Flags, colours: bool
) -> tuple[str, Style]:
    """One label in colour, or the characters of a ramp for it."""
    if part.step is None:
        return part.text, Style()
    if masked[part.step]:
        return (part.text, Style(color=MASKED_COLOUR)) if colours else (_blank(part), Style())
    fraction = float(fractions[part.step])
    if not colours:
        return plain_mark(fraction, row.scale.diverging) * cell_len(part.text), Style()
    background = colour(fraction, row.scale.diverging)
    return part.text, Style(color=ink(background), bgcolor=background)


def _blank(part: Part) -> str:
    return " " * cell_len(part.text)


def _heading(text: RunningText, margin: int, colours: bool) -> list[Text]:
    """``c  cell state, unit 3   -8 ████ 8``; of several units a line each."""
    if len(text.rows) == 1:
        row = text.rows[0]
        heading = Text.assemble((f"{text.title}, {row.name}", "bold"), "   ")
        return [heading + scale_legend(row.scale, colours)]
    scales = {(row.scale.low, row.scale.high): row for row in text.rows}
    if len(scales) == 1:
        legend = scale_legend(text.rows[0].scale, colours)
        return [Text.assemble((text.title, "bold"), "   ", legend), Text()]
    lines = [Text(text.title, "bold")]
    for row in text.rows:
        lines.append(Text.assemble((row.name.ljust(margin), "dim")))
        lines[-1] += scale_legend(row.scale, colours)
    return [*lines, Text()]
