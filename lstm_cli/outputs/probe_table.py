"""How units answer a driven feature: a table, the strongest first, and CSV."""

from __future__ import annotations

from collections.abc import Iterator
from math import isinf, isnan

from rich.text import Text

from ..analysis.probe import FIGURES, CellProbe, Probe
from .display_numbers import short_number
from .grid import GAP, Column, Lines, bands, grid, wrapped
from .rows import csv_cell
from .stats_table import steps_text


def probe_table(found: Probe, top: int, width: int) -> Lines:
    """What was done, then for each cell h and c of the units with the largest gain."""
    values = sorted(set(found.baseline.tolist()))
    at = short_number(values[0]) if len(values) == 1 else "the given baseline"
    title = (
        f"feature {found.feature} of what {found.layer} receives, {found.size:+g}; all others at "
        f"{at}, for {found.steps:,} steps"
    )
    lines = wrapped(title, width, "bold")
    for cell in found.cells:
        for tensor in cell.answers:
            lines += [Text(), *_answers(cell, tensor, top, width)]
    text = (
        "step: switched on for good; gain: how far that moves the unit, for each 1 of the feature; "
        f"settles: steps until it stays there within {100 * found.band:g}% of the way, > where it "
        "has not. "
        "impulse: on for one step; peak at: steps after it; sum: over all steps; T: fitted to how "
        "it fades, beside -1/ln f of the unit left alone. Other drives and baselines give others"
    )
    return Lines([*lines, Text(), *wrapped(text, width, "dim", "", GAP)])


def probe_lines(found: Probe) -> Iterator[str]:
    """A line for each unit of h and c, as CSV with a header."""
    yield f"cell,tensor,unit,{','.join(FIGURES)},timescale"
    for cell in found.facts()["cells"]:
        for unit in cell["units"]:
            figures = [f"{unit[name]:.9g}" for name in FIGURES]
            own = f"{unit['timescale']:.9g}" if "timescale" in unit else ""
            front = [csv_cell(cell["cell"]), unit["tensor"], str(unit["unit"])]
            yield ",".join([*front, *figures, own])


def _answers(cell: CellProbe, tensor: str, top: int, width: int) -> list[Text]:
    answer = cell.answers[tensor]
    units = cell.strongest(tensor)
    shown = units[:top]
    columns = [
        Column("gain", [short_number(answer.gain[u]) for u in shown], group="step"),
        Column("settles", [_settles(answer.settling[u]) for u in shown], group="step"),
        Column("peak", [short_number(answer.peak[u]) for u in shown], group="impulse"),
        Column("at", [f"{answer.peak_step[u]:.0f}" for u in shown], group="impulse"),
        Column("sum", [short_number(answer.area[u]) for u in shown], group="impulse"),
        Column("T", [_steps(answer.decay[u]) for u in shown], group="impulse"),
    ]
    if tensor == "c":
        own = [_steps(cell.timescale[u]) for u in shown]
        columns.append(Column("-1/ln f", own, group="alone"))
    columns.insert(0, Column("at rest", [short_number(answer.rest[u]) for u in shown]))
    of = f" of {cell.name}" if cell.name else ""
    lines = [Text(f"{tensor}{of}", "bold")]
    keys = [Column("unit", [str(u) for u in shown])]
    lines += [line for band in bands(keys, columns, width) for line in grid(band)]
    if len(units) > top:
        lines += wrapped(f"… {len(units) - top} more units: --top or --json", width, "dim")
    moving = [str(u) for u in units if answer.drift[u] > 1e-3]
    if moving:
        text = f"units {', '.join(moving[:8])} still move when left alone; more --steps may do"
        lines += wrapped(text, width)
    return lines


def _settles(steps: float) -> str:
    return ">" if isnan(steps) else f"{steps:.0f}"


def _steps(steps: float) -> str:
    return "-" if isnan(steps) else ("∞" if isinf(steps) else steps_text(steps))
