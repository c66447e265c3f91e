"""``lstm states``."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import RunOptions, with_options

HeatMap = Annotated[
    bool,
    typer.Option(
        "--heatmap",
        help="Draw units by time instead of a table.",
        rich_help_panel="Output",
    ),
]


@with_options(RunOptions)
def states(options: RunOptions, heatmap: HeatMap = False) -> None:
    """Hidden state h and cell state c of LSTM layers, at every step.

    Steps are those of the input, counted from 0, also for a layer that reads backwards. On a
    terminal a table is drawn; piped, the same command writes CSV.

    Example: lstm states sample_models/three_steps.keras sample_models/three_steps.csv
    """
    from ..traces import STATE_TENSORS
    from .streaming import run_or_stream

    run_or_stream(options, STATE_TENSORS, heatmap=heatmap)
