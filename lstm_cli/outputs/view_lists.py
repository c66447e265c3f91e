"""The lists beside the map: the cells of the trace, and the places to jump to."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from .grid import GAP, Column, clipped, clipped_left, grid, grid_width
from .step_labels import shown_label
from .view_state import Viewer

HERE = "▸ "
WIDEST_PART = 3
"""The lists take at most this part of the screen's width: one third."""

NARROWEST = 20


@dataclass(frozen=True, slots=True, eq=False)
class DrawnLists:
    """Lines, and what a click on each of them chooses.

    Attributes:
        lines: none wider than ``width``.
        width: of the lists; 0 where there is nothing to choose from.
        cells: the name of the cell in each line; None in others.
        places: the number of the place in each line; None in others.
    """

    lines: list[Text]
    width: int
    cells: list[str | None]
    places: list[int | None]


def draw_lists(viewer: Viewer, width: int, height: int) -> DrawnLists:
    """The cells, where there are several, and what was found.

    Args:
        viewer: with both.
        width, height: of the whole screen, and of the lists.
    """
    most = max(NARROWEST, width // WIDEST_PART)
    shown = _shown_cells(viewer, height)
    names = {name: clipped_left(shown_label(name), most - len(HERE) - 1) for name in shown}
    lines = [_line(names[name], name == viewer.cell) for name in shown]
    chosen: list[str | None] = [*shown]
    places: list[int | None] = [None] * len(lines)
    if viewer.places.found:
        gap = [Text()] if lines else []
        found, numbers = _found(viewer, most - 1, max(1, height - len(lines) - len(gap)))
        lines += [*gap, *found]
        places += [*[None] * len(gap), *numbers]
        chosen += [None] * (len(lines) - len(chosen))
    wide = max((line.cell_len for line in lines), default=-1) + 1
    return DrawnLists(lines, min(wide, most), chosen, places)


def _shown_cells(viewer: Viewer, height: int) -> list[str]:
    """As many as have room beside what was found, that of the map among them."""
    names = list(viewer.cells)
    if len(names) < 2:
        return []
    room = max(1, height // 2 if viewer.places.found else height)
    first = max(0, min(names.index(viewer.cell) - room // 2, len(names) - room))
    return names[first : first + room]


def _line(text: str, here: bool) -> Text:
    return Text(f"{HERE if here else '  '}{text}", "bold" if here else "")


def _found(viewer: Viewer, width: int, height: int) -> tuple[list[Text], list[int | None]]:
    """The title, headers, and as many places around the one that was last as there is room for."""
    places, here = viewer.places, viewer.place
    columns = [Column("", [HERE[0] if k == here else "" for k in range(len(places.found))])]
    if any(place.sequence != viewer.sequence for place in places.found):
        columns.append(Column("seq", [str(place.sequence) for place in places.found]))
    columns.append(Column("step", [place.steps for place in places.found]))
    for k, header in enumerate(places.headers):
        texts, words = [place.cells[k] for place in places.found], header in ("label", "labels")
        room = width - grid_width(columns) - len(GAP)
        texts = [clipped(text, max(1, room)) for text in texts] if words else texts
        column = Column(header, texts, right=not words)
        if grid_width([*columns, column]) <= width:
            columns.append(column)
    heading, *rows = grid(columns)
    count = f"{here + 1}/{len(places.found)}"
    title = clipped(places.title, max(1, width - cell_len(count) - 1))
    head = [Text.assemble((title, "bold"), f" {count}"), Text(heading.plain, "dim")]
    room = max(1, height - len(head))
    first = max(0, min(here - room // 2, len(rows) - room))
    numbers = range(first, min(first + room, len(rows)))
    lines = [Text(rows[k].plain, "bold" if k == here else "") for k in numbers]
    return [*head, *lines], [None, None, *numbers]
