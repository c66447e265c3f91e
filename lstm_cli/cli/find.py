"""``lstm find``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from .options import with_options
from .sources import TraceOptions, is_trace, open_traces, write_json

if TYPE_CHECKING:
    from ..analysis.cells import TracedCell
    from ..analysis.search_report import Found, Hit
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


class Searched(NamedTuple):
    """An INPUT or TRACE that was searched, and whether it has sequences to count."""

    name: str
    batched: bool


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
        float,
        _option(
            _SELECTION,
            "A unit is on where |value| is at least this (ours).",
            "--threshold",
            metavar="NUMBER",
        ),
    ] = 0.3,
    quantile: Annotated[
        float | None,
        _option(
            _SELECTION,
            "Instead: at least this quantile of the unit's own |values| in the first INPUT.",
            "--quantile",
            metavar="Q",
        ),
    ] = None,
    sides: Annotated[
        Literal["both", "above", "below"],
        _option(_SELECTION, "On above zero, below it, or both, told apart.", "--sides"),
    ] = "both",
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
        int,
        _option(_SEARCH, "Least number of steps of a match.", "--min-length", metavar="N", least=1),
    ] = 2,
    exactly: Annotated[
        int | None,
        _option(_SEARCH, "The one number of steps of a match.", "--length", metavar="N", least=1),
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
    step_labels = _labels(options, labels or [])
    searched: list[Searched] = []
    with open_traces(options, (name,), in_turn=True) as opened:
        found = search(
            _cells(opened, searched),
            (first, stop),
            sequence=sequence,
            tensor=name,
            threshold=threshold,
            quantile=quantile,
            sides=sides,
            left=left,
            right=right,
            shortest=shortest,
            exactly=exactly,
            matches=top,
            fast=fast,
        )
    shift = 0 if options.window is None else options.stride or 1
    texts = [
        _labels_of(hit, step_labels[hit.source], searched[hit.source].name, shift)
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


def _labels(options: TraceOptions, given: Sequence[str]) -> list[StepLabels]:
    """Labels of each INPUT or TRACE, in order.

    Raises:
        UsageError: if there are neither as many as inputs nor one for all.
    """
    from pathlib import Path

    from ..errors import UsageError
    from .labelling import StepLabels

    count = len(options.inputs) + is_trace(options.model)
    found = [StepLabels(options, text) for text in given]
    if len(given) == 1 and count > 1 and not Path(given[0]).is_file():
        return found * count
    if given and len(given) != count:
        raise UsageError(
            f"--labels: expected a file for each of the {count} inputs, in their order, or one "
            f"column of them all; found {len(given)}"
        )
    return found


def _cells(opened: Iterator[Source], searched: list[Searched]) -> Iterator[dict[str, TracedCell]]:
    """The cell of each source, one after another; no trace is kept."""
    for source in opened:
        searched.append(Searched(source.name, source.batched))
        yield source.cells


def _labels_of(hit: Hit, labels: StepLabels, source: str, shift: int) -> Sequence[str]:
    """The labels of a hit's steps; ``shift``: steps from one window of a series to the next."""
    start = hit.start + hit.sequence * shift
    return labels.of(source, 0 if shift else hit.sequence)[start : start + hit.length]


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
