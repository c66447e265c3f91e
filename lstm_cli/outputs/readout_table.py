"""What each step put into an output of a Dense layer, as a table and as CSV: the largest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ..analysis.readout_split import ReadoutSplit
from .grid import Column, clipped, wrapped
from .parts_table import LABEL_CELLS, Room, label_of, number_text, rows_for, with_bars
from .rows import csv_cell


def readout_table(
    answer: ReadoutSplit, where: str, width: int, room: Room, labels: Sequence[str]
) -> list[Text]:
    """A row a step, then what is no step, and the sums.

    Args:
        answer: from ``why``.
        where: the step, in words.
        width, room, labels: as of ``why_table``.
    """
    notes = _notes(answer, width)
    order = answer.largest()
    rows = rows_for(len(order), room, len(notes) + 9)
    chosen, left = order[:rows], order[rows:]
    others = [("initial", answer.initial, answer.surviving_initial)]
    if answer.elsewhere:
        others.append(("other cells", answer.elsewhere, answer.elsewhere))
    others.append(("bias", answer.bias, answer.bias))
    if len(left):
        rest = answer.contributions[left].sum(), answer.surviving[left].sum()
        others.append((f"{len(left)} more", float(rest[0]), float(rest[1])))
    parts = [*answer.contributions[chosen], *(other[1] for other in others)]
    surviving = [*answer.surviving[chosen], *(other[2] for other in others)]
    shown = [clipped(label_of(labels, answer.steps[k]), LABEL_CELLS) for k in chosen]
    named = [Column("label", shown + [""] * len(others), right=False)] if labels else []
    columns = [
        Column("step", [str(answer.steps[k]) for k in chosen] + [other[0] for other in others]),
        *named,
        Column("contribution", [number_text(part) for part in parts]),
        Column("surviving", [number_text(part) for part in surviving]),
    ]
    title = f"output {answer.row} of {answer.layer} at {where} = {number_text(answer.value)}"
    if answer.activation != "linear":
        title += f", {number_text(answer.output)} after {answer.activation}"
    return [
        *wrapped(title, width, "bold"),
        Text(),
        *with_bars(columns, surviving, width),
        Text(),
        *notes,
    ]


def readout_lines(answer: ReadoutSplit, count: int | None, labels: Sequence[str]) -> Iterator[str]:
    """As CSV; each column sums up to the output before its activation."""
    end = "," if labels else ""
    yield "part,step,contribution,surviving" + ",label" * bool(labels)
    for k in answer.largest(count):
        step = int(answer.steps[k])
        label = f",{csv_cell(label_of(labels, step))}" if labels else ""
        yield f"step,{step},{answer.contributions[k]:.9g},{answer.surviving[k]:.9g}{label}"
    others = {
        "initial": (answer.initial, answer.surviving_initial),
        "elsewhere": (answer.elsewhere, answer.elsewhere),
        "bias": (answer.bias, answer.bias),
    }
    for name, (part, surviving) in others.items():
        yield f"{name},,{part:.9g},{surviving:.9g}{end}"


def _notes(answer: ReadoutSplit, width: int) -> list[Text]:
    of = f"{answer.cell}: " if answer.cell else ""
    proof = (
        f"sum {number_text(answer.total, 9)}, output {number_text(answer.value, 9)}, residual "
        f"{answer.residual:.1e}; of what survives {answer.surviving_residual:.1e}"
    )
    meaning = (
        "contribution: what the step changed in the output; a later step that forgets takes it "
        "away again. surviving: what is left of that at the end (both: Murdoch and Szlam 2017). "
        "Neither says which input caused it: the gates see h as well"
    )
    return [*wrapped(of + proof, width), *wrapped(meaning, width, "dim")]
