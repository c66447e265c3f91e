"""Writing results to files and standard output, and drawing them on a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .interrupts import INTERRUPTS
from .notes import note

if TYPE_CHECKING:
    from ..outputs.results import Results


def write_to_stdout(results: Results, form: str) -> None:
    from ..outputs.files import left_out, write_stream

    note_left_out(form, left_out(form, results))
    write_stream(sys.stdout.buffer, form, results)


def write_to_file(results: Results, target: Path) -> None:
    from ..outputs.files import format_of, left_out, write

    INTERRUPTS.check()
    note_left_out(str(target), left_out(format_of(target), results))
    write(target, results)


def note_left_out(where: str, names: Iterable[str]) -> None:
    """Say which arrays a table of steps has no place for; ``lengths`` shows in its rows."""
    from ..errors import listing

    names = [name for name in names if name.rsplit("/", 1)[-1] != "lengths"]
    if names:
        note(f"{where} holds steps only; left out: {listing(names, most=8)}")


def terminal_size() -> tuple[int, int]:
    """Columns and lines of the terminal."""
    size = shutil.get_terminal_size((80, 24))
    return size.columns, size.lines


def draw_trace(results: Results, heatmap: bool, title: str = "") -> None:
    """A table of steps or a heat map on the terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    width, height = terminal_size()
    if title:
        console.print(title, style="bold", markup=False)
        height -= 1
    if heatmap:
        from ..outputs.heatmap import draws_in_colour, heat_map

        console.print(heat_map(results, width, height, colours=draws_in_colour(console)))
    else:
        from ..outputs.tables import trace_table

        console.print(trace_table(results, width, height))


def draw_outputs(results: Results, title: str = "") -> None:
    """What a model or layer returns, on the terminal."""
    from rich.console import Console

    from ..outputs.tables import outputs_table

    console = Console(highlight=False)
    if title:
        console.print(title, style="bold", markup=False)
    console.print(outputs_table(results.arrays, *terminal_size()))
