"""``lstm probe``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .loading import load_model
from .options import ModelOptions, with_options

_DRIVE = "What is done"


@with_options(ModelOptions)
def probe(
    options: ModelOptions,
    feature: Annotated[
        int | None,
        typer.Option(
            "--feature",
            help="Which feature of what the layer receives, from 0.",
            rich_help_panel=_DRIVE,
            metavar="K",
            min=0,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer", "-l", help="LSTM layer, where there are several.", metavar="ADDRESS"
        ),
    ] = None,
    size: Annotated[
        float,
        typer.Option(help="By how much it is driven.", rich_help_panel=_DRIVE, metavar="NUMBER"),
    ] = 1.0,
    baseline: Annotated[
        str,
        typer.Option(
            help="Where all features are otherwise: a number, or one for each.",
            rich_help_panel=_DRIVE,
            metavar="NUMBERS",
        ),
    ] = "0",
    steps: Annotated[
        int,
        typer.Option(
            help="Steps until the layer rests, and again of each run.",
            rich_help_panel=_DRIVE,
            metavar="N",
            min=2,
        ),
    ] = 1000,
    band: Annotated[
        float,
        typer.Option(
            help="Settled is what stays within this share of its last value.", metavar="SHARE"
        ),
    ] = 0.02,
    top: Annotated[int, typer.Option(help="Units to show.", metavar="N", min=1)] = 10,
    json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """How units answer one feature: switched on for good, and for a single step.

    The layer is run by itself, without INPUT, in float64: at the baseline until it rests, and from
    there with the feature driven. Told are the gain and settling time of the step, and peak, sum
    and decay of the impulse, for h and c. Piped, the same command writes CSV, all units.

    Example: lstm probe sample_models/forecaster.keras --feature 1
    """
    from .. import probe as answer
    from ..errors import UsageError
    from ..outputs.probe_table import probe_lines, probe_table
    from .showing import terminal_size
    from .sources import write_json

    if feature is None:
        raise UsageError("probe needs a feature to drive: --feature K")
    found = answer(
        load_model(options),
        feature,
        layer=layer,
        size=size,
        baseline=_numbers(baseline),
        steps=steps,
        band=band,
    )
    if json:
        write_json(found.facts())
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(probe_table(found, top, terminal_size()[0]))
    else:
        for line in probe_lines(found):
            typer.echo(line)


def _numbers(text: str) -> float | list[float]:
    """``0.5`` or ``0,0.5,1``.

    Raises:
        UsageError: if it is neither.
    """
    from ..errors import UsageError

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"--baseline: expected numbers such as 0.5 or 0,1; found '{text}'"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers
