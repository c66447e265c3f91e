"""``lstm stats``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import with_options
from .sources import STATES_AND_GATES, TraceOptions, open_traces, write_json

if TYPE_CHECKING:
    from ..analysis.stats import Stats

_CUTOFFS, _OUTPUT = "Cut-offs", "Output"


def _cutoff(help: str, most: float | None = None) -> Any:
    return typer.Option(help=help, rich_help_panel=_CUTOFFS, metavar="NUMBER", min=0.0, max=most)


@with_options(TraceOptions)
def stats(
    options: TraceOptions,
    fail_on: Annotated[
        str | None,
        typer.Option(
            help="Exit 1 where one holds in any cell; a label stands for its share of units.",
            metavar="'saturated>0.3,dead>0'",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="All figures as JSON.", rich_help_panel=_OUTPUT)
    ] = False,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Show all units, not only as many as fit.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    lo: Annotated[float, _cutoff("A gate below it is at its left end.", 1.0)] = 0.1,
    hi: Annotated[float, _cutoff("A gate above it is at its right end.", 1.0)] = 0.9,
    share: Annotated[
        float, _cutoff("Share of steps from which a unit is saturated, or railed.", 1.0)
    ] = 0.95,
    eps: Annotated[float, _cutoff("A |h| up to it times max(1, largest |h|) is 0.")] = 1e-6,
    write: Annotated[float, _cutoff("A unit whose |i g| stays up to it never writes.")] = 1e-3,
    rail: Annotated[float, _cutoff("A |c| above it is railed.")] = 3.0,
    twin: Annotated[float, _cutoff("Correlation of h from which units are twins.", 1.0)] = 0.999,
) -> None:
    """Health of LSTM units: saturated gates, dead and twin units, memory in steps, NaN.

    Several INPUTs are judged together. On a terminal the worst units come first; piped, the same
    command writes CSV. --fail-on takes dead, constant, closed, frozen, no-write, railed,
    memoryless, saturated, twin, flagged, saturated_i (and _f _o _g _c), nonfinite (a share of
    steps), timescale and effective (medians in steps), with > >= < or <=.

    Example: lstm stats sample_models/brackets.keras sample_models/brackets.csv
    """
    from .. import stats as judge
    from ..errors import UsageError
    from .notes import note

    if lo > hi:
        raise UsageError(f"--lo: expected no more than --hi, {hi:g}, found {lo:g}")
    with open_traces(options, (*STATES_AND_GATES, "x"), in_turn=True) as sources:
        result = judge(
            sources,
            fail_on=fail_on,
            **{"lo": lo, "hi": hi, "share": share, "eps": eps},
            **{"write": write, "rail": rail, "twin": twin},
        )
    _show(result, json, every)
    for condition, values in result.failing.items():
        found = [f"{value:.4g}" + (f" in {name}" * bool(name)) for name, value in values.items()]
        note(f"--fail-on {condition}: found {', '.join(found)}")
    if result.failing:
        raise typer.Exit(1)


def _show(result: Stats, json: bool, every: bool) -> None:
    if json:
        write_json(result.facts())
    elif sys.stdout.isatty():
        from rich.console import Console

        from ..outputs.stats_table import stats_table
        from .showing import terminal_size

        width, height = terminal_size()
        Console(highlight=False).print(stats_table(result, width, None if every else height))
    else:
        from ..outputs.stats_table import stats_lines

        for line in stats_lines(result):
            typer.echo(line)
