"""``lstm run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .loading import InputData
from .options import RunOptions, with_options
from .running import Computed, run_inputs
from .selecting import choose, parse_names

if TYPE_CHECKING:
    from ..engine.session import Session


@with_options(RunOptions)
def run(
    options: RunOptions,
    return_sequences: Annotated[
        bool | None,
        typer.Option(
            "--return-sequences/--no-return-sequences",
            help="The output of every step, or of the last (default: as saved).",
            show_default=False,
            rich_help_panel="Running",
        ),
    ] = None,
    return_state: Annotated[
        bool | None,
        typer.Option(
            "--return-state/--no-return-state",
            help="The final h and c too (default: as saved).",
            show_default=False,
            rich_help_panel="Running",
        ),
    ] = None,
) -> None:
    """What the framework would return: the model's prediction, or what one layer returns.

    Without --layer the model's own outputs; with it what that layer returns there, recurrent or
    not. States are named as the framework has them: state_h and state_c; h_n and c_n of a PyTorch
    layer; Y, Y_h and Y_c of an ONNX node.

    Example: lstm run sample_models/three_steps.keras sample_models/three_steps.csv
    """
    asked = parse_names(options.tensors)

    def compute(session: Session, data: InputData, state: Any) -> Computed:
        arrays = session.run(
            data.x,
            mask=data.mask,
            lengths=data.lengths,
            initial_state=state,
            return_sequences=return_sequences,
            return_state=return_state,
        )
        arrays = choose(arrays, asked)
        axes = {name: session.axes[name] for name in arrays}
        per_step = frozenset(name for name in arrays if axes[name].steps is not None)
        meta = {"source": session.source.path, "written_by": session.source.written_by}
        lengths = data.lengths if per_step and per_step <= session.ended else None
        return Computed(arrays, meta, per_step, axes, lengths)

    run_inputs(options, compute, table=False)
