"""``lstm weights``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

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
        typer.Option("--output", "-o", help="Write the arrays (.npz, .h5, .csv).", metavar="OUT"),
    ] = None,
) -> None:
    """Kernel, recurrent kernel and bias of LSTM layers, gate by gate: shapes, ranges, norms.

    Exported arrays have our names and the gate order i f g o: kernel (F, 4U), recurrent_kernel
    (U, 4U), bias (4U).

    Example: lstm weights sample_models/three_steps.keras
    """
    from .. import weights as arrays_of
    from ..errors import UsageError
    from ..outputs.files import format_of
    from ..outputs.pending import check_target, refuse_overwrite
    from ..outputs.results import Results
    from ..outputs.weights import statistics_lines, weight_statistics, weights_table
    from .showing import terminal_size, write_to_file

    if output is not None:
        read = [path for path in (options.model, options.architecture) if path is not None]
        if format_of(output) == "npy":
            raise UsageError(f"{output}: npy holds one array, and these are several; write .npz")
        refuse_overwrite(output, read)
        check_target(output)
    model = load_model(options)
    arrays = arrays_of(model, layer)
    if output is not None:
        meta = {"source": model.path, "written_by": model.written_by, "gates": "i f g o"}
        write_to_file(Results(arrays, meta, frozenset()), output)
        return
    chosen = [model.find(name) for name in layer] if layer else list(model.lstm_layers)
    rows = [row for each in chosen for row in weight_statistics(each)]
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(weights_table(rows, terminal_size()[0]))
    else:
        for line in statistics_lines(rows):
            typer.echo(line)
