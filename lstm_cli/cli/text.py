"""``lstm text``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import with_options
from .plot import Labels, Sequence, Steps, check_one_output, read_paths
from .sources import TraceOptions, open_traces, write_json

if TYPE_CHECKING:
    from ..outputs.running_text import RunningText


@with_options(TraceOptions)
def text(
    options: TraceOptions,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            "--units",
            "-u",
            help="Unit, or units one under another.",
            metavar="0,3,7:12",
            rich_help_panel="Output",
        ),
    ] = None,
    tensor: Annotated[
        str,
        typer.Option(
            help="State or gate that gives the colours.", rich_help_panel="Output", metavar="NAME"
        ),
    ] = "h",
    steps: Steps = None,
    sequence: Sequence = 0,
    labels: Labels = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write .html, or .svg as a picture.",
            metavar="OUT",
            rich_help_panel="Output",
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print labels and values as JSON.", rich_help_panel="Output"),
    ] = False,
) -> None:
    """Show the labels of the steps as running text, each coloured by what one unit did there.

    Without colours, a line below the text has a character for each value. Labels of one character
    stand side by side, others with a blank between them.

    Example: lstm text sample_models/brackets.keras sample_models/brackets.csv --unit 0 --labels
    sample_models/brackets.labels.txt
    """
    from ..errors import UsageError
    from ..outputs.running_text import make_text
    from .labelling import StepLabels
    from .selecting import parse_steps, parse_units

    units, span = parse_units(unit), parse_steps(steps)
    if units is None:
        raise UsageError("text needs a unit: --unit 3, or several, as in --unit 0,3,7")
    if labels is None:
        raise UsageError(
            "text needs labels of the steps: --labels with a file that has one a line, or with a "
            "column of the INPUT"
        )
    if output is not None:
        _check_file(options, output, labels, json)
    found_labels = StepLabels(options, labels)
    facts = []
    with open_traces(options, (tensor.rsplit("/", 1)[-1],), in_turn=True) as sources:
        for source in sources:
            written = found_labels.of(source.name, sequence)
            shown = make_text(source.cells, written, units, tensor, steps=span, sequence=sequence)
            if json:
                facts.append({"source": source.name, **shown.facts()})
            elif output is not None:
                _write(shown, output)
            else:
                _draw(shown, source.name if len(options.inputs or []) > 1 else "")
    if json:
        write_json(facts if len(facts) > 1 else facts[0])


def _check_file(options: TraceOptions, output: Path, labels: str, json: bool) -> None:
    """Refuse, before anything is run, what could not be written."""
    from ..outputs.pending import check_target, refuse_overwrite
    from ..outputs.running_text_files import text_format

    check_one_output(options, json)
    text_format(output)
    refuse_overwrite(output, read_paths(options, labels))
    check_target(output)


def _write(shown: RunningText, output: Path) -> None:
    from ..outputs.running_text_files import write_text
    from .interrupts import INTERRUPTS

    INTERRUPTS.check()
    write_text(shown, output)


def _draw(shown: RunningText, title: str) -> None:
    from rich.console import Console

    from ..outputs.heatmap import draws_in_colour
    from ..outputs.text_terminal import draw_text
    from .showing import terminal_size

    console = Console(highlight=False)
    if title:
        console.print(title, style="bold", markup=False)
    console.print(draw_text(shown, terminal_size()[0], colours=draws_in_colour(console)))
