"""``lstm gates``."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import RunOptions, with_options
from .states import HeatMap


@with_options(RunOptions)
def gates(
    options: RunOptions,
    heatmap: HeatMap = False,
    pre_activation: Annotated[
        bool,
        typer.Option(
            "--pre-activation",
            help="Add z_i z_f z_g z_o, the values before the activation.",
            rich_help_panel="Output",
        ),
    ] = False,
) -> None:
    """Gates i (input), f (forget), o (output) and candidate g of LSTM layers, at every step.

    At a masked step no gate was applied: it is blank on a terminal, nan in files.

    Example: lstm gates sample_models/three_steps.keras sample_models/three_steps.csv
    """
    from ..traces import GATE_TENSORS, PRE_ACTIVATIONS
    from .streaming import run_or_stream

    tensors = GATE_TENSORS + (PRE_ACTIVATIONS if pre_activation else ())
    run_or_stream(options, tensors, heatmap=heatmap)
