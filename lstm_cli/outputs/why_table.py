"""Why a memory or a gate is as it is, as tables and as CSV: the largest part first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich.text import Text

from ..analysis.decomposition import MemorySplit, MemorySummary
from ..analysis.preactivation import GateSplit
from ..analysis.readout_split import ReadoutSplit
from ..analysis.why import Answer
from .grid import Column, Lines, bands, clipped, grid, wrapped
from .parts_table import LABEL_CELLS, Room, label_of, number_text, rows_for, with_bars
from .readout_table import readout_lines, readout_table
from .rows import csv_cell

LINES_AT_ONCE = 4096

NAMES = {"x": "input feature", "h": "recurrent unit", "c": "peephole on unit"}


def why_table(
    answer: Answer, width: int, room: Room, batched: bool = False, labels: Sequence[str] = ()
) -> Lines:
    """The answer as a table.

    Args:
        answer: from ``why``.
        width: of the console.
        room: height of the console, and how many parts are asked for; None for all of them.
        batched: whether to say which sequence it is.
        labels: of the steps, from the first on; none for a table without them.
    """
    where = f"step {answer.step}" + (f" of sequence {answer.sequence}" if batched else "")
    if isinstance(answer, ReadoutSplit):
        return Lines(readout_table(answer, where, width, room, labels))
    label = label_of(labels, answer.step)
    where += f" '{clipped(label, LABEL_CELLS)}'" if label else ""
    cell = f" of {answer.cell}" if answer.cell else ""
    if isinstance(answer, MemorySplit):
        title = f"c[{answer.unit}]{cell} at {where} = {number_text(answer.value)}"
        return Lines(
            [*wrapped(title, width, "bold"), Text(), *_memory(answer, width, room, labels)]
        )
    if isinstance(answer, GateSplit):
        gate = f"{answer.gate}[{answer.unit}]{cell} at {where} = {number_text(answer.value)}"
        return Lines([*wrapped(gate, width, "bold"), Text(), *_gate(answer, width, room)])
    title = f"c{cell} at {where}, after {_steps(answer.steps)} read"
    return Lines([*wrapped(title, width, "bold"), Text(), *_summary(answer, width, room)])


def why_lines(
    answer: Answer, count: int | None = None, labels: Sequence[str] = ()
) -> Iterator[str]:
    """The answer as CSV; the parts of one number sum up to it.

    Args:
        answer: from ``why``.
        count: how many of the largest steps or terms; None for all.
        labels: of the steps, from the first on.
    """
    if isinstance(answer, MemorySplit):
        end = "," if labels else ""
        yield "part,step,written,kept,contribution" + ",label" * bool(labels)
        yield from _writer_lines(answer, count, labels)
        yield f"initial,,,,{answer.initial:.9g}{end}"
        yield f"clipped,,,,{answer.clipped:.9g}{end}"
    elif isinstance(answer, GateSplit):
        yield "part,index,value,weight,product"
        for term in answer.terms[:count]:
            figures = (term.value, term.weight, term.product)
            yield f"{term.source},{term.index},{','.join(f'{value:.9g}' for value in figures)}"
        yield f"bias,,,,{answer.bias:.9g}"
        yield f"clipped,,,,{answer.clipped:.9g}"
    elif isinstance(answer, ReadoutSplit):
        yield from readout_lines(answer, count, labels)
    else:
        units = answer.facts(count)["units"]
        yield ",".join(units[0])
        for unit in units:
            yield ",".join(f"{value:.9g}" for value in unit.values())


def _writer_lines(answer: MemorySplit, count: int | None, labels: Sequence[str]) -> Iterator[str]:
    """Pieces of many lines each: one formatting operation for all of them is quicker."""
    order = answer.largest(count)
    for start in range(0, len(order), LINES_AT_ONCE):
        k = order[start : start + LINES_AT_ONCE]
        columns = (answer.steps[k], answer.written[k], answer.kept[k], answer.contributions[k])
        values = np.column_stack(columns).ravel().tolist()
        lines = "\n".join(["step,%d,%.9g,%.9g,%.9g"] * len(k)) % tuple(values)
        if labels:
            ends = [csv_cell(label_of(labels, step)) for step in answer.steps[k]]
            lines = "\n".join(map(",".join, zip(lines.split("\n"), ends, strict=True)))
        yield lines


def _memory(answer: MemorySplit, width: int, room: Room, step_labels: Sequence[str]) -> list[Text]:
    notes = _memory_notes(answer, width)
    order = answer.largest()
    rows = rows_for(len(order), room, len(notes) + 9)
    chosen = order[:rows]
    initial = [answer.initial]
    parts = [*answer.contributions[chosen], *initial, *([answer.clipped] * bool(answer.clipped))]
    rest = answer.value - answer.residual - sum(parts)
    left = len(order) - rows
    labels = [str(answer.steps[k]) for k in chosen] + ["initial"]
    labels += ["clip"] * bool(answer.clipped)
    written = [number_text(answer.written[k]) for k in chosen]
    kept = [f"{answer.kept[k]:.4f}" for k in chosen] + [""] * (len(labels) - rows)
    if left:
        parts, labels = [*parts, rest], [*labels, f"{left} more"]
    blank = [""] * (len(labels) - rows)
    shown = [clipped(label_of(step_labels, answer.steps[k]), LABEL_CELLS) for k in chosen]
    named = [Column("label", shown + blank, right=False)] if step_labels else []
    columns = [
        Column("step", labels),
        *named,
        Column("wrote i·g", written + blank),
        Column("kept Π f", (kept + blank)[: len(labels)]),
        Column("contribution", [number_text(part) for part in parts]),
    ]
    return [*with_bars(columns, parts, width), Text(), *notes]


def _memory_notes(answer: MemorySplit, width: int) -> list[Text]:
    share = f"{100 * answer.span_share:g}%"
    if not answer.magnitude:
        text = "nothing was written up to this step, and there was no initial state"
        return wrapped(text, width)
    span = _steps(answer.span) if answer.span <= len(answer.steps) else "back to the initial c"
    figures = (
        f"memory span {span} ({share} of Σ|contribution| = {number_text(answer.magnitude)}) · "
        f"effective writers {answer.effective_writers:.3g} · mean age {answer.age:.3g} steps · "
        f"cancellation |c|/Σ|…| {answer.cancellation:.3g}"
    )
    proof = f"sum {number_text(answer.total, 9)}, c {number_text(answer.value, 9)}"
    caveat = "what was written and kept, not which input caused it: i and g see h as well"
    return [
        *wrapped(f"{proof}, residual {answer.residual:.1e}", width),
        *wrapped(figures, width),
        *wrapped(caveat, width, "dim"),
    ]


def _gate(answer: GateSplit, width: int, room: Room) -> list[Text]:
    rows = rows_for(len(answer.terms), room, 14)
    shown = answer.terms[:rows]
    left = answer.terms[rows:]
    labels = [f"{NAMES[term.source]} {term.index}" for term in shown] + ["bias"]
    parts = [*(term.product for term in shown), answer.bias]
    if answer.clipped:
        labels, parts = [*labels, "clip"], [*parts, answer.clipped]
    if left:
        labels, parts = [*labels, f"{len(left)} more"], [*parts, sum(t.product for t in left)]
    blank = [""] * (len(labels) - rows)
    columns = [
        Column("term", labels, right=False),
        Column("value", [number_text(term.value) for term in shown] + blank),
        Column("weight", [number_text(term.weight) for term in shown] + blank),
        Column("product", [number_text(part) for part in parts]),
    ]
    named = {"input": "x", "recurrent": "h", "peephole": "c"}
    sums = [
        f"{name} {number_text(answer.part(source))}"  # type: ignore[arg-type]
        for name, source in named.items()
        if any(term.source == source for term in answer.terms)
    ]
    sums.append(f"bias {number_text(answer.bias)}")
    sums += [f"clip {number_text(answer.clipped)}"] if answer.clipped else []
    text = f"z = {' + '.join(sums)} = {number_text(answer.total, 9)}"
    if answer.residual is None:
        text += "; the trace holds no z to compare with (export --pre-activation)"
    else:
        text += f"; z {number_text(answer.z or 0.0, 9)}, residual {answer.residual:.1e}"
    return [*with_bars(columns, parts, width), Text(), *wrapped(text, width)]


def _summary(answer: MemorySummary, width: int, room: Room) -> list[Text]:
    units = range(len(answer.value))
    notes = _summary_notes(answer, width)
    rows = rows_for(len(units), room, len(notes) + 6)
    shown = list(units)[:rows]
    keys = [Column("unit", [str(answer.numbers[unit]) for unit in shown])]
    first = ["initial" if step < 0 else str(step) for step in answer.writer]
    columns = [
        Column("c", [number_text(answer.value[unit]) for unit in shown]),
        Column("initial", [number_text(answer.initial[unit]) for unit in shown]),
        *(
            [Column("clip", [number_text(answer.clipped[unit]) for unit in shown])]
            if answer.clipped.any()
            else []
        ),
        Column("step", [first[unit] for unit in shown], group="largest writer"),
        Column(
            "part", [number_text(answer.largest[unit]) for unit in shown], group="largest writer"
        ),
        Column("span", [_span(answer, unit) for unit in shown]),
        Column("writers", [f"{answer.effective_writers[unit]:.3g}" for unit in shown]),
        Column("age", [f"{answer.age[unit]:.3g}" for unit in shown]),
        Column("|c|/Σ|…|", [f"{answer.cancellation[unit]:.2f}" for unit in shown]),
    ]
    lines = [line for band in bands(keys, columns, width) for line in grid(band)]
    if rows < len(units):
        lines += wrapped(f"… {len(units) - rows} more units: --all or --json", width, "dim")
    return [*lines, Text(), *notes]


def _summary_notes(answer: MemorySummary, width: int) -> list[Text]:
    worst = float(abs(answer.residual).max())
    text = (
        f"span: latest steps that hold {100 * answer.span_share:g}% of Σ|contribution|; writers: "
        "how many equal ones would be as spread out; age: mean, in steps; |c|/Σ|…|: 1 where all "
        "parts have one sign, near 0 where they cancel. Ask for one unit with --unit."
    )
    return [
        *wrapped(f"the parts sum up to c within {worst:.1e}", width),
        *wrapped(text, width, "dim"),
    ]


def _steps(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'}"


def _span(answer: MemorySummary, unit: int) -> str:
    return str(answer.span[unit]) if answer.span[unit] <= answer.steps else "all"
