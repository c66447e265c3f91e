"""The lines above and below the map that say what is seen."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from .grid import clipped, clipped_left
from .heatmap import MASKED_MARK, PLAIN_NAN, scale_legend
from .step_labels import shown_label
from .view import DESCRIPTIONS
from .view_cursor import TENSORS
from .view_state import Viewer
from .view_step_text import number_text

SHORTEST_NAME = 16


def map_title(viewer: Viewer, width: int, room: int, colours: bool, name: str = "") -> Text:
    """What is seen, and its scale: `` h [c] i f g o   cell state   -8.4 ████ 8.4``.

    Args:
        viewer: with as much ``room`` as its map has.
        width: of the line; what does not fit is left out, the last first.
        colours: whether the scale is in colour.
        name: of what is looked at.
    """
    window = viewer.window(room)
    line = Text()
    for tensor in TENSORS:
        style = "bold reverse" if tensor == viewer.tensor else "dim"
        line.append(f" {tensor} ", style if tensor in viewer.tensors else "dim strike")
    scale = scale_legend(window.scale, colours)
    parts = [Text("  ").append_text(scale), Text(f"  {DESCRIPTIONS[viewer.tensor]}", "bold")]
    sequences = viewer.traced.sequences
    if sequences > 1:
        own = viewer.names[viewer.sequence] if viewer.sequence < len(viewer.names) else ""
        called = f" '{clipped(shown_label(own), SHORTEST_NAME)}'" if own else ""
        parts.append(Text(f"  sequence {viewer.sequence}{called} of 0–{sequences - 1}"))
    if viewer.zoom > 1:
        parts.append(Text(f"  {viewer.zoom} steps a column"))
    hints = ["reads backwards"] if viewer.traced.is_backward else []
    if window.columns.masked.any():
        hints.append(f"{MASKED_MARK if colours else 'blank'} masked")
    if window.columns.nan.any():
        hints.append(f"{PLAIN_NAN} NaN")
    parts += [Text(f"  {hint}", "dim") for hint in hints]
    for part in parts:
        if line.cell_len + part.cell_len <= width:
            line.append_text(part)
    left = width - line.cell_len - 2
    if name and left >= min(len(name), SHORTEST_NAME):
        shown = clipped_left(shown_label(name), left)
        line.append(f"{shown:>{left + 2}}", "dim")
    return line


def whereabouts(viewer: Viewer, room: int) -> str:
    """The value under the cursor, what its column shows where that is another, and the mark."""
    value = viewer.value()
    where = f"{viewer.tensor}[{viewer.step}] of unit {viewer.unit_number}"
    text = f"{where}: {number_text(value)}"
    if viewer.zoom > 1:
        window = viewer.window(room)
        at = (viewer.step - window.first_step) // viewer.zoom
        shown = float(window.values[at, viewer.unit])
        if not np.isnan(shown):
            first = window.first_step + at * viewer.zoom
            stop = min(first + viewer.zoom, viewer.end)
            text += f"   column {first}:{stop} shows {number_text(shown)}"
    if viewer.span is not None:
        start, stop = viewer.span
        text += f"   marked {start}:{stop}; enter finds where else the units do the same"
    return text
