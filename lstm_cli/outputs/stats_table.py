"""The health of LSTM cells as a table, the worst units first, and as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.text import Text

from ..analysis.cell_figures import GATES, CellStats
from ..analysis.cell_stats import FEWEST_FOR_TWINS
from ..analysis.cutoffs import Cutoffs
from ..analysis.stats import Stats, nonfinite_text, unit_facts
from .grid import GAP, Column, Lines, bands, grid, grid_width, wrapped
from .rows import csv_cell

FEWEST_ROWS = 5
Row = tuple[CellStats, int]


def stats_table(stats: Stats, width: int, height: int | None) -> Lines:
    """The verdict, a line a cell, and the units with the worst first.

    Args:
        stats: the figures.
        width: of the console.
        height: of the console; None for all units.
    """
    verdict_style = "bold" if stats.nonfinite is None else "bold red"
    lines = [*wrapped(stats.verdict, width, verdict_style), Text()]
    lines += _cells(list(stats.cells.values()), width)
    notes = _notes(stats, width)
    rows = _worst_first(stats)
    room = len(rows) if height is None else max(FEWEST_ROWS, height - len(lines) - len(notes) - 5)
    shown = rows if len(rows) <= room + 1 else rows[:room]  # one takes no more room than its note
    lines.append(Text())
    lines += _units(shown, len(stats.cells) > 1, width)
    if len(shown) < len(rows):
        lines += wrapped(f"… {len(rows) - len(shown)} more units: --all or --json", width, "dim")
    return Lines([*lines, Text(), *notes])


def stats_lines(stats: Stats) -> Iterator[str]:
    """A line of CSV a unit, the worst first, with a header; the labels apart by spaces."""
    header: list[str] = []
    for cell, unit in _worst_first(stats):
        facts = {"cell": cell.name, **unit_facts(cell, unit)}
        facts["labels"] = " ".join(facts["labels"])
        if not header:
            header = list(facts)
            yield ",".join(header)
        yield ",".join(_csv_value(facts[name]) for name in header)


def steps_text(steps: float) -> str:
    """A number of steps in few digits: ``0.43``, ``12.5``, ``1 250``; ``∞``."""
    if math.isinf(steps):
        return "∞"
    if steps >= 1e5:
        return f"{steps:.2g}"
    return f"{steps:.0f}" if steps >= 1000 else f"{steps:.1f}" if steps >= 10 else f"{steps:.2f}"


def _worst_first(stats: Stats) -> list[Row]:
    rows = [(cell, unit) for cell in stats.cells.values() for unit in range(cell.units)]
    return sorted(rows, key=lambda row: row[0].rank(row[1]))


def _cells(cells: Sequence[CellStats], width: int) -> list[Text]:
    """A line a cell: its sizes, how many units are flagged, and how long it remembers."""
    names = [cell.name or str(cell.meta.get("layer") or "lstm") for cell in cells]
    quartiles = [[steps_text(value) for value in cell.quantiles] for cell in cells]
    memory = "T in steps: quantiles"
    keys = [Column("cell", names, right=False)]
    columns = [
        Column("units", [str(cell.units) for cell in cells]),
        Column("steps", [f"{cell.counted}" for cell in cells]),
        Column("flagged", [str(sum(map(bool, cell.labels))) for cell in cells]),
        *(
            Column(gate, [_mean_ends(cell, gate) for cell in cells], group="% left|right")
            for gate in GATES
        ),
        *(
            Column(header, [row[k] for row in quartiles], group=memory)
            for k, header in enumerate(("min", "25%", "median", "75%", "max"))
        ),
        Column("T > input", [str(cell.never_forgetting) for cell in cells], group=memory),
    ]
    return _lines(keys, columns, ("25%", "75%", "min", "steps", "units", "max"), width)


def _units(rows: Sequence[Row], several: bool, width: int) -> list[Text]:
    names = [Column("cell", [cell.name for cell, _ in rows], right=False)] if several else []
    keys = [*names, Column("unit", [str(cell.number(unit)) for cell, unit in rows])]
    labels = [", ".join(cell.shown_labels(unit)) or "-" for cell, unit in rows]
    ends = "% left|right"
    memory = "memory in steps"
    columns = [
        Column("labels", labels, right=False),
        *(Column(gate, [_ends(row, gate) for row in rows], group=ends) for gate in GATES),
        Column("|h|", [f"{cell.largest_h[unit]:.3g}" for cell, unit in rows], group="max"),
        *(
            Column(header, [steps_text(getattr(c, name)[u]) for c, u in rows], group=memory)
            for header, name in (
                *(("T", "timescale"), ("half", "half_life")),
                *(("T eff.", "effective"), ("half eff.", "effective_half_life")),
            )
        ),
    ]
    styles = ["" if cell.labels[unit] else "dim" for cell, unit in rows]
    return _lines(keys, columns, ("half eff.", "half", "|h|"), width, styles)


def _lines(
    keys: list[Column],
    columns: list[Column],
    spare: Sequence[str],
    width: int,
    styles: Sequence[str] = (),
) -> list[Text]:
    """The columns side by side, the ``spare`` ones left out, in that order, where they must be."""
    kept = columns
    for header in spare:
        if grid_width([*keys, *kept]) <= width:
            break
        kept = [column for column in kept if column.header != header]
    return [line for band in bands(keys, kept, width) for line in grid(band, styles)]


def _ends(row: Row, gate: str) -> str:
    """``12|80``: per cent of steps at the left and at the right end."""
    cell, unit = row
    sides = cell.saturation[gate]
    return f"{100 * sides.left[unit]:.0f}|{100 * sides.right[unit]:.0f}"


def _mean_ends(cell: CellStats, gate: str) -> str:
    """``12|80``: the same for all units of a cell together."""
    sides = cell.saturation[gate]
    return f"{100 * sides.left.mean():.0f}|{100 * sides.right.mean():.0f}"


def _notes(stats: Stats, width: int) -> list[Text]:
    cells = list(stats.cells.values())
    lines = [line for cell in cells for line in _cell_notes(cell, stats, width)]
    if all(0 < cell.counted < FEWEST_FOR_TWINS for cell in cells):
        text = f"judged by few steps; twins are looked for from {FEWEST_FOR_TWINS} steps on"
        lines += wrapped(text, width)
    found = {label for cell in cells for labels in cell.labels for label in labels}
    for label, meaning in _meanings(stats.cutoffs).items():
        if label in found:
            lines += wrapped(f"{label}: {meaning}", width, "dim", "", GAP)
    return [*lines, *_cutoff_notes(stats.cutoffs, width)]


def _meanings(cut: Cutoffs) -> dict[str, str]:
    """What the labels say of a unit."""
    often = f"at {100 * cut.share:g}% of steps or more"
    return {
        "dead": "h is 0 at all steps",
        "constant": "h is the same at all steps, whatever the input",
        "closed": f"o < {cut.lo:g} at all steps: what it holds is never shown",
        "frozen": f"f > {cut.hi:g} at all steps and never written: it holds its initial state",
        "no-write": f"|i g| at most {cut.write:g}: its memory is never written",
        "railed": f"|c| > {cut.rail:g} {often}: tanh(c) says no more than its sign",
        "memoryless": f"f < {cut.lo:g} at all steps: nothing is kept from step to step",
        "saturated": (
            f"a gate is left or right {often}; no fault by itself: f right keeps its memory, f "
            "left wipes it, o left hides the unit, i left does not write"
        ),
        "twin": f"h of two units, correlation {cut.twin:g} or more: one of them may do",
    }


def _cell_notes(cell: CellStats, stats: Stats, width: int) -> list[Text]:
    of = f" of {cell.name}" if cell.name else ""
    lines: list[Text] = []
    if exact := _at_rails(cell):
        lines += wrapped(f"exactly 0 or 1{of}, of all steps: {exact}", width)
    if cell.twins:
        pairs = [f"{cell.number(j)} and {cell.number(k)} ({r:+.4f})" for j, k, r in cell.twins[:6]]
        more = f" and {len(cell.twins) - 6} more pairs" if len(cell.twins) > 6 else ""
        lines += wrapped(f"twin units{of}: {', '.join(pairs)}{more}", width)
    if cell.nonfinite is not None:
        count = cell.nonfinite_steps
        text = f"{count} step{' is' if count == 1 else 's are'} not counted, for NaN or infinity"
        if cell.nonfinite is stats.nonfinite:  # the verdict says where it begins
            lines += wrapped(f"{text}{of}", width)
        else:
            lines += wrapped(f"{nonfinite_text(cell.nonfinite)}; {text}", width)
    if cell.twin_stride > 1:
        text = f"twins{of} are looked for at every {cell.twin_stride}th step"
        lines += wrapped(text, width, "dim")
    if cell.is_projected:
        text = f"h{of} is projected: dead, constant and twin are judged by c"
        lines += wrapped(text, width, "dim")
    return lines


def _at_rails(cell: CellStats) -> str:
    """How often a gate is exactly 0 or 1, as a hard sigmoid can be."""
    shares = {gate: float(cell.saturation[gate].rail.mean()) for gate in GATES}
    return ", ".join(f"{gate} {100 * share:.3g}%" for gate, share in shares.items() if share)


def _cutoff_notes(cut: Cutoffs, width: int) -> list[Text]:
    text = (
        f"left: gate < {cut.lo:g}, right: gate > {cut.hi:g} (Karpathy et al. 2015). T: -1/ln of "
        "the mean f (Mahto et al. 2021); half: T ln 2, when half is left; T eff.: -1/mean of ln "
        "f; all take a memory as not written again. Cut-offs of ours: "
        f"--share {cut.share:g} --eps {cut.eps:g} --write {cut.write:g} --rail {cut.rail:g} "
        f"--twin {cut.twin:g}"
    )
    return wrapped(text, width, "dim", "", GAP)


def _csv_value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    return csv_cell(str(value))
