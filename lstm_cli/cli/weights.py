"""``lstm weights``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .loading import load_model
from .options import ModelOptions, with_options


@with_options(ModelOptions)
def weights(
    options: ModelOptions,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="LSTM layer. Repeatable.", metavar="ADDRESS"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write the arrays: .npz, .h5, .csv or .jsonl.", metavar="OUT"
        ),
    ] = None,
    indicators: Annotated[
        bool, typer.Option("--indicators", help="The indicators alone, without shapes and ranges.")
    ] = False,
    spectral: Annotated[
        bool | None,
        typer.Option(
            "--spectral/--no-spectral", help="Compute spectral radii (default: up to 512 units)."
        ),
    ] = None,
    silent: Annotated[
        float,
        typer.Option(
            help="A feature is silent up to this norm of its weights (ours), of the largest or 1.",
            metavar="NUMBER",
            min=0.0,
        ),
    ] = 1e-6,
    json: Annotated[bool, typer.Option("--json", help="Figures and indicators as JSON.")] = False,
) -> None:
    """Kernel, recurrent kernel and bias of LSTM layers, gate by gate: shapes, ranges, norms.

    On a terminal, indicators stand below: spectral radius, how long the forget bias alone lets a
    cell remember, how far it is from a fresh initialisation.

    Exported arrays have our names and the gate order i f g o: kernel (F, 4U), recurrent_kernel
    (U, 4U), bias (4U).

    Example: lstm weights sample_models/three_steps.keras
    """
    from .. import weight_indicators
    from .. import weights as arrays_of
    from ..errors import UsageError
    from ..outputs.files import format_of
    from ..outputs.pending import check_target, refuse_overwrite
    from ..outputs.results import Results
    from ..outputs.weight_indicators import indicator_lines, indicators_table
    from ..outputs.weights import (
        statistics_lines,
        weight_rows,
        weights_meta,
        weights_table,
    )
    from .showing import terminal_size, write_to_file
    from .sources import write_json

    if output is not None and (json or indicators):
        given = "--json" if json else "--indicators"
        raise UsageError(
            f"{given} prints to standard output, and -o writes the arrays; leave out one"
        )
    if output is not None:
        read = [path for path in (options.model, options.architecture) if path is not None]
        if format_of(output) == "npy":
            raise UsageError(f"{output}: npy holds one array, and these are several; write .npz")
        refuse_overwrite(output, read)
        check_target(output)
    model = load_model(options)
    arrays = arrays_of(model, layer)
    if output is not None:
        meta = weights_meta(model, layer or [])
        write_to_file(Results(arrays, meta, frozenset()), output)
        return
    rows = weight_rows(model, layer or [])
    found = partial(weight_indicators, model, layer, spectral=spectral, silent=silent)
    if json:
        facts: dict[str, Any] = {} if indicators else {"weights": [row.facts() for row in rows]}
        write_json({**facts, "indicators": [cell.facts() for cell in found()]})
    elif sys.stdout.isatty():
        from rich.console import Console

        width = terminal_size()[0]
        console = Console(highlight=False)
        if not indicators:
            console.print(weights_table(rows, width))
            console.print()
        console.print(indicators_table(found(), width))
    elif indicators:
        for line in indicator_lines(found()):
            typer.echo(line)
    else:
        for line in statistics_lines(rows):
            typer.echo(line)
