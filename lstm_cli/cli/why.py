"""``lstm why``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import with_options
from .sources import GATES, TraceOptions, open_traces, write_json

if TYPE_CHECKING:
    from ..analysis.why import Answer
    from .sources import Source

_WHAT, _OUTPUT = "What to explain", "Output"
_MEMORY = ("h", "c", *GATES)


@with_options(TraceOptions)
def why(
    options: TraceOptions,
    unit: Annotated[
        int | None,
        typer.Option(
            help="Unit; without it a summary of all.", rich_help_panel=_WHAT, metavar="N", min=0
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(
            help="Step; by default the last that is read.",
            rich_help_panel=_WHAT,
            metavar="T",
            min=0,
        ),
    ] = None,
    gate: Annotated[
        str | None,
        typer.Option(
            help="Explain this gate's pre-activation instead of c.",
            rich_help_panel=_WHAT,
            metavar="i|f|g|o",
        ),
    ] = None,
    readout: Annotated[
        str | None,
        typer.Option(
            help="Explain this output of the Dense layer that reads h: what each step put into it.",
            rich_help_panel=_WHAT,
            metavar="N|LAYER:N",
        ),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            help="Cell, where there are several.", rich_help_panel=_WHAT, metavar="ADDRESS"
        ),
    ] = None,
    sequence: Annotated[
        int,
        typer.Option(
            help="Sequence, where there are several.", rich_help_panel=_WHAT, metavar="N", min=0
        ),
    ] = 0,
    span: Annotated[
        float,
        typer.Option(
            help="Share of the contributions that makes the memory span (ours).",
            rich_help_panel=_WHAT,
            metavar="SHARE",
            min=0.0,
            max=1.0,
        ),
    ] = 0.9,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Labels of the steps: a file with one a line, or a column of the INPUT.",
            metavar="FILE|COLUMN",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            help="Give this many of the largest parts.",
            metavar="N",
            rich_help_panel=_OUTPUT,
            min=1,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show all parts or units.", rich_help_panel=_OUTPUT)
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Everything as JSON.", rich_help_panel=_OUTPUT)
    ] = False,
) -> None:
    """Which steps wrote a unit's memory, and how much of each is left; or what opened a gate.

    c is split into what each earlier step contributed (i g, times every f since), exactly; with
    --gate the pre-activation is split into input features, recurrent units and bias; with
    --readout an output of the Dense layer behind the LSTM, before its activation, into what each
    step put into it. Without --unit all units are summed up. On a terminal a table is drawn;
    piped, the same command writes CSV.

    Example: lstm why sample_models/brackets.keras sample_models/brackets.csv --unit 4 --step 60
    """
    from .. import why as explain
    from ..errors import UsageError
    from .labelling import StepLabels

    if every and top is not None:
        raise UsageError("--top and --all exclude each other")
    step_labels = StepLabels(options, labels)
    tensors = (*_MEMORY, "x", f"z_{gate}") if gate in GATES else _MEMORY
    with open_traces(options, tensors) as sources:
        found = list(sources)
        if len(found) > 1:
            raise UsageError(f"why explains one input, found {len(found)}")
        (source,) = found
        answer = explain(
            source,
            unit=unit,
            step=step,
            sequence=sequence,
            gate=gate,
            cell=cell,
            model=source.model,
            span_share=span,
            readout=readout,
        )
        names = _labels_by_step(source, answer, step_labels.of(source.name, sequence))
    if json:
        write_json(_labelled(answer.facts(top), names))
    else:
        _show(answer, every, top, source.batched, names)


def _labels_by_step(source: Source, answer: Answer, labels: Sequence[str]) -> Sequence[str]:
    """The labels by the input's numbers of their steps.

    Raises:
        UsageError: if there is not a label for each step.
    """
    from ..outputs.spans import first_label

    if not labels:
        return labels
    cell = source.cells.get(answer.cell) or next(iter(source.cells.values()))
    return [*[""] * first_label(labels, cell, answer.sequence), *labels]


def _labelled(facts: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """The facts with a label for each step that is told apart, where there are labels."""
    for name in ("writers", "steps"):
        parts = facts.get(name)
        for part in parts if labels and isinstance(parts, list) else ():
            step = part["step"]
            part["label"] = labels[step] if step < len(labels) else ""
    return facts


def _show(
    answer: Answer, every: bool, top: int | None, batched: bool, labels: Sequence[str]
) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        from ..outputs.why_table import why_table
        from .showing import terminal_size

        width, height = terminal_size()
        rows = None if every else (height, top)
        Console(highlight=False).print(why_table(answer, width, rows, batched, labels))
    else:
        from ..outputs.why_table import why_lines

        for line in why_lines(answer, top, labels):
            typer.echo(line)
