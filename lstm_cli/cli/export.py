"""``lstm export``."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import RunOptions, with_options


@with_options(RunOptions)
def export(
    options: RunOptions,
    with_input: Annotated[
        bool,
        typer.Option(
            "--with-input", help="Add x, what the layer receives.", rich_help_panel="Output"
        ),
    ] = False,
    with_weights: Annotated[
        bool,
        typer.Option(
            "--with-weights",
            help="Add kernel, recurrent_kernel and bias (gate order i f g o).",
            rich_help_panel="Output",
        ),
    ] = False,
    pre_activation: Annotated[
        bool,
        typer.Option("--pre-activation", help="Add z_i z_f z_g z_o.", rich_help_panel="Output"),
    ] = False,
) -> None:
    """Write everything that LSTM layers did at every step to a file.

    Holds h c i f g o, the layer's output, initial and final states, and the mask where there is
    one. Long sequences are written while they are computed, in bounded memory.

    Example: lstm export sample_models/three_steps.keras sample_models/three_steps.csv -o trace.npz
    """
    from ..errors import UsageError
    from ..traces import GATE_TENSORS, PRE_ACTIVATIONS, STATE_TENSORS
    from .streaming import run_or_stream

    if options.output is None:
        raise UsageError("export needs -o OUT: a .npz, .h5, .npy, .csv or .jsonl file, or -")
    before = PRE_ACTIVATIONS if pre_activation else ()
    received = ("x",) if with_input else ()
    tensors = (*STATE_TENSORS, *GATE_TENSORS, *before, "output", *received)
    run_or_stream(options, tensors, everything=True, with_weights=with_weights)
