"""Running text as files: HTML for a browser, SVG as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from ..errors import UsageError
from .colours import LEVELS, MASKED_COLOUR, colour
from .display_numbers import short_number
from .pending import replacing, write_errors
from .running_text import Row, RunningText
from .scales import Scale
from .step_labels import LINE_END, ends_line, separator, shown_label
from .text_terminal import colour_notes, ink, pieces_of

TEXT_FORMATS = ("html", "svg")

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }}
</style></head>
<body>
{body}</body>
</html>
"""
TEXT_STYLE = "font-family: ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere"

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
SVG_COLUMNS = 80
LETTER, LINE, SIZE, SCALE_HEIGHT = 8.4, 19.0, 14.0, 10.0
HEADING_GREY = "#808080"
"""Can be read on white and on black, for the picture has no background."""


def write_text(text: RunningText, path: Path) -> None:
    """Write the text as .html or .svg, whole or not at all.

    Raises:
        UsageError: for another extension.
        OutputError: if the file could not be written; an earlier one is untouched.
    """
    form = text_format(path)
    content = html_page(text) if form == "html" else svg(text)
    with replacing(path) as temporary, write_errors(path):
        temporary.write_text(content, encoding="utf-8", errors="replace")


def text_format(path: Path) -> str:
    """``html`` of ``text.html``.

    Raises:
        UsageError: if text cannot be written in it.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in TEXT_FORMATS:
        raise UsageError(f"{path}: running text is written as .html or .svg; choose one of these")
    return form


def html_page(text: RunningText) -> str:
    """A page that needs nothing else; a label says its step and value under the pointer."""
    return PAGE.format(title=escape(text.title), body=html_body(text))


def html_body(text: RunningText) -> str:
    """The units one under another, each with its scale."""
    parts = [f"<h1 style='font-size: 1.1em'>{escape(text.title)}</h1>\n"]
    for row in text.rows:
        parts.append(f"<p>{escape(row.name)} &nbsp; {_html_scale(row.scale)}</p>\n")
        parts.append(f"<div style='{TEXT_STYLE}'>")
        parts += _html_labels(text, row)
        parts.append("</div>\n")
    if notes := _notes(text):
        parts.append(f"<p style='color:{HEADING_GREY}'>{escape(notes)}</p>\n")
    return "".join(parts)


def svg(text: RunningText, columns: int = SVG_COLUMNS) -> str:
    """A picture of the text in lines of so many letters, units one under another in each."""
    names = [row.name for row in text.rows]
    margin = max(map(len, names)) + 2
    lines = pieces_of(text, columns - margin)
    parts: list[str] = []
    y = LINE
    parts.append(_svg_text(0, y, text.title, HEADING_GREY, "bold"))
    alike = len({(row.scale.low, row.scale.high) for row in text.rows}) == 1
    for row in text.rows[:1] if alike else text.rows:
        y += LINE
        name = "" if alike and len(text.rows) > 1 else row.name
        parts.append(_svg_text(0, y, name, HEADING_GREY))
        parts += _svg_scale(row.scale, margin * LETTER, y)
    y += LINE / 2
    fractions = [row.fractions for row in text.rows]
    for line in lines:
        for row, own in zip(text.rows, fractions, strict=True):
            y += LINE
            parts.append(_svg_text(0, y, row.name, HEADING_GREY))
            x = margin * LETTER
            for part in line:
                if part.step is not None:
                    masked = bool(text.masked[part.step])
                    fill, front = _colours(float(own[part.step]), masked, row.scale)
                    parts.append(_svg_box(x, y, cell_len(part.text) * LETTER, fill))
                    parts.append(_svg_text(x, y, part.text, front))
                x += cell_len(part.text) * LETTER
        y += LINE / 3
    if notes := _notes(text):
        y += LINE
        parts.append(_svg_text(0, y, notes, HEADING_GREY))
    width, height = columns * LETTER, y + LINE / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="{FONT}" font-size="{SIZE:g}" '
        'xml:space="preserve">\n' + "".join(parts) + "</svg>\n"
    )


def _notes(text: RunningText) -> str:
    """What a reader has to know; nothing where all is as it seems."""
    notes = [f"sequence {text.sequence}"] if text.sequences > 1 else []
    return "; ".join([*notes, *colour_notes(text, "grey", "magenta")])


def _html_labels(text: RunningText, row: Row) -> Iterator[str]:
    between = separator(text.labels)
    fractions: NDArray[np.float64] = row.fractions
    for number, label in enumerate(text.labels):
        masked = bool(text.masked[number])
        fill, front = _colours(float(fractions[number]), masked, row.scale)
        value = "masked" if masked else short_number(float(row.values[number]))
        style = f"color:{front}" + (f";background:{fill}" if fill else "")
        hint = f"step {text.first_step + number}: {value}"
        yield f"<span style='{style}' title='{hint}'>{escape(shown_label(label))}</span>{between}"
        if ends_line(label):
            yield "\n"


def _html_scale(scale: Scale) -> str:
    stops = ", ".join(_hex(part / 16, scale.diverging) for part in range(17))
    bar = f"display:inline-block;width:8em;height:.8em;background:linear-gradient(90deg,{stops})"
    ends = escape(short_number(scale.low)), escape(short_number(scale.high))
    return f"{ends[0]} <span style='{bar}'></span> {ends[1]}"


def _colours(fraction: float, masked: bool, scale: Scale) -> tuple[str, str]:
    """Background and letters; masked steps have no background."""
    if masked:
        return "", MASKED_COLOUR.get_truecolor().hex
    background = colour(fraction, scale.diverging)
    return background.get_truecolor().hex, ink(background).get_truecolor().hex


def _hex(fraction: float, diverging: bool) -> str:
    return colour(fraction, diverging).get_truecolor().hex


def _svg_text(x: float, y: float, text: str, fill: str, weight: str = "normal") -> str:
    if not text.strip():
        return ""
    bold = ' font-weight="bold"' if weight == "bold" else ""
    length = f'textLength="{cell_len(text) * LETTER:g}" lengthAdjust="spacingAndGlyphs"'
    shown = escape(text).replace(LINE_END, "↵")
    return f'<text x="{x:g}" y="{y:g}" fill="{fill}"{bold} {length}>{shown}</text>\n'


def _svg_box(x: float, y: float, width: float, fill: str, height: float = LINE) -> str:
    if not fill:
        return ""
    top = y - 0.25 * LINE - height / 2
    return (
        f'<rect x="{x:g}" y="{top:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
        'shape-rendering="crispEdges"/>\n'
    )


def _svg_scale(scale: Scale, x: float, y: float) -> Iterator[str]:
    low, high = short_number(scale.low), short_number(scale.high)
    yield _svg_text(x, y, low, HEADING_GREY)
    x += (len(low) + 1) * LETTER
    for level in range(0, LEVELS, 2):
        yield _svg_box(x, y, 3, _hex(level / (LEVELS - 2), scale.diverging), SCALE_HEIGHT)
        x += 3
    yield _svg_text(x + LETTER, y, high, HEADING_GREY)
