"""``lstm find``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .hit_labels import Searched, first_label_of, labels_of_hit, labels_of_inputs
from .options import with_options
from .sources import TraceOptions, open_traces, write_json

if TYPE_CHECKING:
    from ..analysis.cells import TracedCell
    from ..analysis.search_report import Found
    from .labelling import StepLabels
    from .sources import Source

_SELECTION, _SEARCH = "Selection", "Search"


def _option(
    panel: str, help: str, *names: str, metavar: str | None = None, least: int | None = None
) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        *names, help=help, rich_help_panel=panel, metavar=metavar, min=least
    )
    return option


@with_options(TraceOptions)
def find(
    options: TraceOptions,
    span: Annotated[
        str | None,
        _option(
            _SELECTION, "Steps of the first INPUT to find the like of.", "--range", metavar="10:17"
        ),
    ] = None,
    sequence: Annotated[
        int,
        _option(
            _SELECTION, "Which of its sequences they are in.", "--sequence", metavar="N", least=0
        ),
    ] = 0,
    tensor: Annotated[
        str,
        _option(
            _SELECTION, "Whose values: c through tanh, h, or a gate.", "--tensor", metavar="NAME"
        ),
    ] = "c",
    threshold: Annotated[
        float | None,
        _option(
            _SELECTION,
            "A unit is on where |value| is at least this (ours: 0.3).",
            "--threshold",
            metavar="NUMBER",
        ),
    ] = None,
    quantile: Annotated[
        float | None,
        _option(
            _SELECTION,
            "Instead of --threshold: this quantile of the unit's own |values| in the first INPUT.",
            "--quantile",
            metavar="Q",
        ),
    ] = None,
    sides: Annotated[
        Literal["both", "above", "below"],
        _option(_SELECTION, "On above zero, below it, or both, told apart.", "--sides"),
    ] = "both",
    blips: Annotated[
        int,
        _option(
            _SELECTION,
            "A unit that is on for so many steps in a row, or fewer, counts as off there.",
            "--drop-blips",
            metavar="N",
            least=0,
        ),
    ] = 0,
    left: Annotated[
        int,
        _option(
            _SELECTION,
            "Steps before, in which the units must be off.",
            "--left",
            metavar="N",
            least=0,
        ),
    ] = 1,
    right: Annotated[
        int,
        _option(
            _SELECTION, "Steps after, in which they must be off.", "--right", metavar="N", least=0
        ),
    ] = 0,
    shortest: Annotated[
        int | None,
        _option(
            _SEARCH, "Least number of steps of a match (2).", "--min-length", metavar="N", least=1
        ),
    ] = None,
    exactly: Annotated[
        int | None,
        _option(
            _SEARCH,
            "Instead of --min-length: the one number of steps.",
            "--length",
            metavar="N",
            least=1,
        ),
    ] = None,
    top: Annotated[int, _option(_SEARCH, "Matches to return.", "--top", metavar="N", least=1)] = 50,
    fast: Annotated[
        bool,
        _option(
            _SEARCH,
            "Look at the first 500,000 steps alone, and compare 1,000 candidates, not 10,000.",
            "--fast",
        ),
    ] = False,
    labels: Annotated[
        list[str] | None,
        _option(
            "Output",
            "Labels of the steps: a file with one a line, repeatable for several INPUTs, or a "
            "column of each INPUT.",
            "--labels",
            metavar="FILE|COLUMN",
        ),
    ] = None,
    form: Annotated[
        Literal["table", "csv", "jsonl", "json"] | None,
        _option("Output", "A table on a terminal, CSV in a pipe.", "--format"),
    ] = None,
) -> None:
    """Where else the units do what they do in a range of steps, in one sequence or in many.

    Selected are the units that are on throughout the range and off just outside it; found are runs
    of steps where the same units are on and few others, the most alike first. Several INPUTs, or
    TRACEs, are searched one after another; the range is in the first.

    Example: lstm find sample_models/brackets.keras sample_models/brackets.csv --range 5:10
    --labels sample_models/brackets.labels.txt
    """
    from .. import find as search
    from ..errors import UsageError
    from .selecting import parse_names

    first, stop = _span(span)
    names = parse_names(tensor) or []
    if len(names) > 1:
        raise UsageError(f"--tensor: find looks at one array, found {', '.join(names)}")
    name = names[0]
    if threshold is not None and quantile is not None:
        raise UsageError("--threshold and --quantile exclude each other")
    if shortest is not None and exactly is not None:
        raise UsageError("--min-length and --length exclude each other")
    step_labels = labels_of_inputs(options, labels or [])
    shift = 0 if options.window is None else options.stride or 1
    searched: list[Searched] = []
    with open_traces(options, (name,), in_turn=True) as opened:
        found = search(
            _cells(opened, searched, step_labels, shift),
            (first, stop),
            sequence=sequence,
            tensor=name,
            threshold=0.3 if threshold is None else threshold,
            quantile=quantile,
            sides=sides,
            blips=blips,
            left=left,
            right=right,
            shortest=2 if shortest is None else shortest,
            exactly=exactly,
            matches=top,
            fast=fast,
        )
    texts = [
        labels_of_hit(hit, step_labels[hit.source], searched[hit.source], shift)
        for hit in (found.hits if step_labels else ())
    ]
    _show(found, searched, texts, (first, stop), form)


def _span(text: str | None) -> tuple[int, int]:
    """``--range`` as first step and the one after the last.

    Raises:
        UsageError: if it is none.
    """
    from ..errors import UsageError
    from .selecting import parse_steps

    if text is None:
        raise UsageError("find needs a range of steps, such as --range 10:17")
    try:
        span = parse_steps(text)
    except UsageError:
        span = slice(None)
    if span.start is None or span.stop is None:
        raise UsageError(
            f"--range: expected FROM:TO with TO above FROM, such as 10:17, found '{text}'"
        )
    return span.start, span.stop


def _cells(
    opened: Iterator[Source], searched: list[Searched], labels: Sequence[StepLabels], shift: int
) -> Iterator[dict[str, TracedCell]]:
    """The cells of each source, one after another; no trace is kept."""
    for number, source in enumerate(opened):
        first = first_label_of(source, labels[number], shift) if labels else 0
        searched.append(Searched(source.name, source.batched, first))
        yield source.cells


def _show(
    found: Found,
    searched: Sequence[Searched],
    texts: Sequence[Sequence[str]],
    span: tuple[int, int],
    form: str | None,
) -> None:
    from ..outputs.hits_table import hit_rows, hits_facts, hits_lines, hits_table
    from .showing import terminal_size

    rows = hit_rows(found, [source.name for source in searched], texts)
    batched = any(source.batched for source in searched)
    if form == "json":
        write_json(hits_facts(found, rows))
    elif form == "table" or (form is None and sys.stdout.isatty()):
        from rich.console import Console

        table = hits_table(found, rows, span, terminal_size()[0], batched)
        Console(highlight=False).print(table)
    else:
        for line in hits_lines(rows, form or "csv"):
            typer.echo(line)
