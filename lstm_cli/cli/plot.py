"""``lstm plot``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .options import with_options
from .sources import Source, TraceOptions, open_traces, write_json

if TYPE_CHECKING:
    from ..outputs.charts import Chart
    from ..outputs.plot_lines import Style

FEWEST_UNITS = 16
"""Shown of each tensor in a map, also where a terminal has fewer lines."""

_OUTPUT = "Output"

Labels = Annotated[
    str | None,
    typer.Option(
        help="Labels of the steps: a file with one a line, or a column of the INPUT.",
        metavar="FILE|COLUMN",
        rich_help_panel=_OUTPUT,
    ),
]
Steps = Annotated[
    str | None,
    typer.Option(help="Show these steps.", metavar="10:20", rich_help_panel=_OUTPUT),
]
Sequence = Annotated[
    int,
    typer.Option(help="Show this sequence.", metavar="N", min=0, rich_help_panel=_OUTPUT),
]


@with_options(TraceOptions)
def plot(
    options: TraceOptions,
    units: Annotated[
        str | None,
        typer.Option(help="Draw these units.", metavar="0,3,7:12", rich_help_panel=_OUTPUT),
    ] = None,
    tensors: Annotated[
        str | None,
        typer.Option(
            help="Draw these arrays (states and gates).", metavar="h,c,f", rich_help_panel=_OUTPUT
        ),
    ] = None,
    steps: Steps = None,
    sequence: Sequence = 0,
    labels: Labels = None,
    sort: Annotated[
        Literal["activity", "timescale", "similarity"] | None,
        typer.Option(help="Order of the units.", rich_help_panel=_OUTPUT),
    ] = None,
    style: Annotated[
        Literal["maps", "lines"] | None,
        typer.Option(
            help="Maps of all units, or lines of single ones (lines where --units names up to 8).",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write a figure: .png, .svg or .pdf.",
            metavar="OUT",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    width: Annotated[
        float | None,
        typer.Option(
            help="Inches of the figure (-o) from left to right (9).",
            metavar="INCHES",
            min=3,
            max=100,
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print what would be drawn, as JSON.", rich_help_panel=_OUTPUT),
    ] = False,
) -> None:
    """Draw units over time: hidden state, cell state and gates on one time axis.

    In the terminal, or with -o as a figure. Long sequences are put into as many columns as there
    is room, so that extremes stay visible: of h, c and g a column shows the largest magnitude, of
    gates what is farthest from the unit's mean, and a line covers all numbers of its column.

    Example: lstm plot sample_models/brackets.keras sample_models/brackets.csv --tensors c,f
    """
    from ..errors import UsageError
    from ..outputs.charts import make_chart, needed_tensors
    from ..outputs.plot_lines import style_for
    from .labelling import StepLabels
    from .selecting import parse_names, parse_steps, parse_units

    names, chosen, span = parse_names(tensors), parse_units(units), parse_steps(steps)
    drawn = style_for(style, chosen)
    if width is not None and output is None:
        raise UsageError("--width is of a figure; give -o too, or make the terminal wider")
    if output is not None:
        _check_figure(options, output, labels, json)
    found_labels = StepLabels(options, labels)
    facts = []
    with open_traces(options, needed_tensors(names, sort), in_turn=True) as sources:
        for source in sources:
            chart = make_chart(
                source.cells,
                names,
                units=chosen,
                steps=span,
                sequence=sequence,
                sort=sort,
                labels=found_labels.of(source.name, sequence),
            )
            if json:
                facts.append({"source": source.name, **chart.facts()})
            elif output is not None:
                _write(chart, drawn, output, width)
            else:
                _draw(chart, drawn, source, chosen is not None, len(options.inputs or []) > 1)
    if json:
        write_json(facts if len(facts) > 1 else facts[0])


def _check_figure(options: TraceOptions, output: Path, labels: str | None, json: bool) -> None:
    """Refuse, before anything is run, what could not be written."""
    from ..outputs.pending import check_target, refuse_overwrite
    from ..outputs.plot_figure import figure_format, require_matplotlib

    check_one_output(options, json)
    figure_format(output)
    refuse_overwrite(output, read_paths(options, labels))
    check_target(output)
    require_matplotlib()


def check_one_output(options: TraceOptions, json: bool) -> None:
    """Refuse several INPUTs, or JSON, where one file is to be written.

    Raises:
        UsageError: says which.
    """
    from ..errors import UsageError

    if json:
        raise UsageError("--json prints to standard output; leave out -o, or --json")
    if len(options.inputs or []) > 1:
        raise UsageError(
            f"-o draws one INPUT, found {len(options.inputs or [])}; give one at a time"
        )


def read_paths(options: TraceOptions, labels: str | None) -> list[Path]:
    """The files that a command reads."""
    sources = [*(options.inputs or []), *([labels] if labels is not None else [])]
    paths = [options.model, *(Path(source) for source in sources if source != "-")]
    return paths + [
        path for path in (options.mask, options.lengths, options.architecture) if path is not None
    ]


def _write(chart: Chart, style: Style, output: Path, width: float | None) -> None:
    from ..outputs.plot_figure import WIDTH, figure_of, write_figure
    from .interrupts import INTERRUPTS

    figure = figure_of(chart, style, WIDTH if width is None else width)
    INTERRUPTS.check()
    write_figure(figure, output)


def _draw(chart: Chart, style: Style, source: Source, all_units: bool, titled: bool) -> None:
    from rich.console import Console

    from ..outputs.heatmap import draw_maps, draws_in_colour
    from ..outputs.plot_lines import draw_lines
    from .showing import terminal_size

    console = Console(highlight=False)
    columns, lines = terminal_size()
    colours = draws_in_colour(console)
    if titled:
        console.print(source.name, style="bold", markup=False)
    if style == "lines":
        dots = console.encoding.lower().startswith("utf")
        console.print(draw_lines(chart, columns, colours=colours, braille=dots))
        return
    most = max((len(panel.units) for panel in chart.panels), default=0)
    fewest = most if all_units else FEWEST_UNITS
    console.print(draw_maps(chart, columns, lines, colours=colours, fewest_units=fewest))
