"""``lstm view``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import with_options
from .plot import Labels, check_one_output, read_paths
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
    unit: Annotated[
        int | None,
        typer.Option(help="Unit (the first).", min=0, rich_help_panel=_START, show_default=False),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(help="Step (the first).", min=0, rich_help_panel=_START, show_default=False),
    ] = None,
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
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the screen as .svg, and open nothing.",
            metavar="OUT",
            rich_help_panel="Output",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Columns and lines of the screen in OUT (100x30).",
            metavar="WxH",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
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
    find where else the units do what they do in a marked range; ? lists them all.
    With --json the numbers of one step are printed instead; with -o the screen is written as a
    picture.

    Example: lstm view sample_models/brackets.keras sample_models/brackets.csv --unit 4 --step 8
    --labels sample_models/brackets.labels.txt --json
    """
    from ..errors import UsageError
    from ..outputs.view_state import Viewer
    from .labelling import StepLabels

    if output is not None:
        _check_file(options, output, _read_size(size), labels, json)
    elif size is not None:
        raise UsageError("--size is about the picture that -o writes; give -o, or leave it out")
    elif not json:
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
            names=source.sequences,
        )
        if json:
            write_json({"source": source.name, **viewer.numbers().facts()})
        elif output is not None:
            from ..outputs.view_picture import write_picture

            write_picture(viewer, output, source.name, _read_size(size))
        else:
            from ..outputs.view_start import open_browser

            open_browser(viewer, source.name)


def _read_size(text: str | None) -> tuple[int, int]:
    """``100x30``, which it is by default.

    Raises:
        UsageError: if it is no such text.
    """
    from ..errors import UsageError
    from ..outputs.view_picture import SIZE

    if text is None:
        return SIZE
    columns, _, lines = text.lower().partition("x")
    if not (columns.isdecimal() and lines.isdecimal()):
        raise UsageError(f"--size: expected columns and lines such as 100x30, found '{text}'")
    return int(columns), int(lines)


def _check_file(
    options: TraceOptions, output: Path, size: tuple[int, int], labels: str | None, json: bool
) -> None:
    """Refuse, before anything is run, what could not be drawn or written."""
    from ..outputs.pending import check_target, refuse_overwrite
    from ..outputs.view_picture import check_picture

    check_one_output(options, json)
    check_picture(output, size)
    refuse_overwrite(output, read_paths(options, labels))
    check_target(output)


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
            "step, and -o draws the screen into a file"
        )
    require_textual()
