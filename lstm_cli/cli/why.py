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

_WHAT = "What to explain"
_MEMORY = ("h", "c", *GATES)


@with_options(TraceOptions)
def why(
    options: TraceOptions,
    unit: Annotated[
        int | None,
        typer.Option(help="Unit; without it a summary of all.", rich_help_panel=_WHAT, min=0),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(help="Step; by default the last that is read.", rich_help_panel=_WHAT, min=0),
    ] = None,
    gate: Annotated[
        str | None,
        typer.Option(
            help="Explain this gate's pre-activation instead of c.",
            rich_help_panel=_WHAT,
            metavar="i|f|g|o",
        ),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            help="Cell, where there are several.", rich_help_panel=_WHAT, metavar="ADDRESS"
        ),
    ] = None,
    sequence: Annotated[
        int, typer.Option(help="Sequence, where there are several.", rich_help_panel=_WHAT, min=0)
    ] = 0,
    span: Annotated[
        float,
        typer.Option(
            help="Share of the contributions that makes the memory span (ours).",
            rich_help_panel=_WHAT,
            min=0.0,
            max=1.0,
        ),
    ] = 0.9,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Label of each step: a file with one a line, or a column of INPUT.",
            metavar="FILE|COLUMN",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="Give this many of the largest parts.", min=1)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all parts or units.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Which steps wrote a unit's memory, and how much of each is left; or what opened a gate.

    c is split into what each earlier step contributed (i g, times every f since), exactly; with
    --gate the pre-activation is split into input features, recurrent units and bias. Without
    --unit all units are summed up. On a terminal a table is drawn; piped, the same command writes
    CSV.

    Example: lstm why sample_models/brackets.keras sample_models/brackets.csv --unit 4 --step 60
    """
    from .. import why as explain
    from ..errors import UsageError
    from .labelling import StepLabels

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
        )
        names = step_labels.of(source.name, sequence)
    if json:
        write_json(_labelled(answer.facts(top), names))
    else:
        _show(answer, every, top, source.batched, names)


def _labelled(facts: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """The facts with a label for each step that wrote something, where there are labels."""
    for writer in facts.get("writers", ()) if labels else ():
        step = writer["step"]
        writer["label"] = labels[step] if step < len(labels) else ""
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
