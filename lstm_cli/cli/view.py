"""``lstm view``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .options import with_options
from .plot import Labels
from .sources import STATES_AND_GATES, TraceOptions, is_trace, open_traces, write_json

_START = "Where to begin"
NEEDED = (*STATES_AND_GATES, "z_i", "z_f", "z_g", "z_o", "x")


@with_options(TraceOptions)
def view(
    options: TraceOptions,
    tensor: Annotated[
        str | None,
        typer.Option(
            help="State or gate.", metavar="h|c|i|f|g|o", rich_help_panel=_START, show_default=False
        ),
    ] = None,
    unit: Annotated[int, typer.Option(help="Unit.", min=0, rich_help_panel=_START)] = 0,
    step: Annotated[int, typer.Option(help="Step.", min=0, rich_help_panel=_START)] = 0,
    cell: Annotated[
        str | None,
        typer.Option(
            help="Cell, where there are several.", metavar="ADDRESS", rich_help_panel=_START
        ),
    ] = None,
    sequence: Annotated[
        int, typer.Option(help="Sequence, where there are several.", min=0, rich_help_panel=_START)
    ] = 0,
    labels: Labels = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the numbers of the step as JSON, and open nothing.",
            rich_help_panel="Output",
        ),
    ] = False,
) -> None:
    """Look through layers, units and steps on the whole screen, with the equations of each step.

    The arrow keys move a cursor over a map of units by time; below it stand the numbers of its
    step: what the input, the recurrent units and the bias add to each gate, the gates, c and h.
    Other keys switch the gate or the layer, jump to the largest change, search for a label, or
    find where else the units do what they do in a marked range; they are listed on the screen.
    With --json the numbers of one step are printed instead.

    Example: lstm view sample_models/brackets.keras sample_models/brackets.csv --unit 4 --step 8
    --labels sample_models/brackets.labels.txt --json
    """
    from ..errors import UsageError
    from ..outputs.view_state import Viewer
    from .labelling import StepLabels

    if not json:
        _check_terminal()
    step_labels = StepLabels(options, labels)
    if len(options.inputs) + is_trace(options.model) > 1:
        raise UsageError("view shows one input, or one trace; give one at a time")
    with open_traces(options, NEEDED, weights=True) as sources:
        (source,) = sources
        viewer = Viewer(
            source.cells,
            (lambda number: step_labels.of(source.name, number)) if labels else None,
            source.model,
            cell=cell,
            tensor=tensor,
            sequence=sequence,
            step=step,
            unit=unit,
        )
        if json:
            write_json({"source": source.name, **viewer.numbers().facts()})
        else:
            from ..outputs.view_start import open_browser

            open_browser(viewer, source.name)


def _check_terminal() -> None:
    """Refuse, before anything is run, what could not be shown.

    Raises:
        UsageError: without a terminal.
        MissingExtraError: without Textual.
    """
    from ..errors import UsageError
    from ..outputs.view_start import require_textual

    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError(
            "view needs a terminal for its screen and its keys; --json prints the numbers of a "
            "step, and lstm plot draws without one"
        )
    require_textual()
