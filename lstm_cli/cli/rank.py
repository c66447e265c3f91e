"""``lstm rank``."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Annotated, Literal

import typer

from .diff import Json
from .options import with_options
from .sources import TraceOptions, open_traces, write_json

_PANEL = "Ranking"


@with_options(TraceOptions)
def rank(
    options: TraceOptions,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="Labels: one a step, (T,) or (B, T), or one a sequence, (B,). .npy, or text with "
            "one a line. Repeatable: one for each INPUT.",
            rich_help_panel=_PANEL,
            metavar="FILE",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            help="Column of the text file --target that holds the labels; without one, of INPUT.",
            rich_help_panel=_PANEL,
            metavar="NAME",
        ),
    ] = None,
    tensors: Annotated[
        str,
        typer.Option(
            "--tensors",
            help="Arrays whose units are ranked.",
            rich_help_panel=_PANEL,
            metavar="h,c,f",
        ),
    ] = "h,c",
    kind: Annotated[
        Literal["number", "yes/no", "class"] | None,
        typer.Option(
            "--kind",
            help="What the labels are; without it two values are yes/no, other numbers numbers, "
            "other text classes.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    lags: Annotated[
        int,
        typer.Option(
            "--lags",
            help="How many steps a unit may be behind a number, or ahead of it (ours).",
            rich_help_panel=_PANEL,
            metavar="N",
            min=0,
        ),
    ] = 10,
    near_zero: Annotated[
        float,
        typer.Option(
            "--near-zero",
            help="For yes/no: values nearer to 0 count as 0 in the average precision.",
            rich_help_panel=_PANEL,
            metavar="NUMBER",
            min=0.0,
        ),
    ] = 0.05,
    response: Annotated[
        bool,
        typer.Option(
            "--response",
            help="Show how each unit's h or c changes at the steps of each class: mean and bands.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            help="Units to show (20; 3 with --response).",
            rich_help_panel=_PANEL,
            metavar="N",
            min=1,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Units ordered by how well they follow a label.

    For numbers by the correlation at the best lag, for yes/no by the area under the ROC curve
    (AUC), for classes by the distances between class means. With --response the steps of each
    class are told apart: what a character or word does to a unit. Piped, the same as CSV, all
    units.

    Example: lstm rank sample_models/brackets.keras sample_models/brackets.csv --target
    sample_models/brackets.depth.csv
    """
    from .. import rank as order
    from ..outputs.ranking_table import ranking_facts, ranking_lines, ranking_table
    from ..outputs.responses_table import responses_lines, responses_table
    from .ranking_targets import Targets
    from .selecting import parse_names
    from .showing import terminal_size

    names = parse_names(tensors) or []
    targets = Targets(options, target or [], column)
    with ExitStack() as stack:
        sources = list(stack.enter_context(open_traces(options, names)))
        labels = [targets.of(number) for number in range(len(sources))]
        found = order(
            [source.cells for source in sources],
            labels,
            tensors=names,
            kind=kind,
            longest_lag=lags,
            near_zero=near_zero,
            response=response,
        )
    if json:
        write_json(ranking_facts(found))
    elif sys.stdout.isatty():
        from rich.console import Console

        table = responses_table if response else ranking_table
        shown = top or (3 if response else 20)
        Console(highlight=False).print(table(found, shown, terminal_size()[0]))
    else:
        for line in responses_lines(found) if response else ranking_lines(found):
            typer.echo(line)
