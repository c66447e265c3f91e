"""``lstm diff``."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import with_options
from .sources import TraceOptions, is_trace, open_traces, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..analysis.representation import Representation
    from .sources import Source

TENSORS = ("x", "z_i", "z_f", "z_g", "z_o", "i", "f", "g", "c", "o", "h", "output")

_PANEL = "Comparison"

AbsoluteTolerance = Annotated[
    float | None,
    typer.Option(
        "--atol",
        help="Allow |Δ| of this plus --rtol times |A|, value by value.",
        rich_help_panel=_PANEL,
        metavar="NUMBER",
        min=0,
    ),
]
RelativeTolerance = Annotated[
    float | None,
    typer.Option("--rtol", help="See --atol.", rich_help_panel=_PANEL, metavar="NUMBER", min=0),
]
ScaledTolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        help="Allow |Δ| of this times max(1, largest |A| of the array) "
        "(1e-5; 1e-12 where both are float64, 5e-3 where one is float16).",
        rich_help_panel=_PANEL,
        metavar="NUMBER",
        min=0,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON.", rich_help_panel="Output")]


class DiffOptions(TraceOptions):
    """The two sides."""

    model: Annotated[Path, typer.Argument(metavar="A", show_default=False)]
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="B [INPUT]", default_factory=list, show_default=False),
    ]
    without = frozenset({"stateful"})


@with_options(DiffOptions)
def diff(
    options: DiffOptions,
    tolerance: ScaledTolerance = None,
    atol: AbsoluteTolerance = None,
    rtol: RelativeTolerance = None,
    layer_b: Annotated[
        list[str] | None,
        typer.Option(
            "--layer-b",
            help="Layer to look at in B, where it has another name there. Repeatable.",
            rich_help_panel=_PANEL,
            metavar="ADDRESS",
        ),
    ] = None,
    representation: Annotated[
        bool,
        typer.Option(
            "--representation",
            help="Tell how alike h and c are in what their units do together (linear CKA, best "
            "correlation of each unit), for models with other units; always exit code 0.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Where two runs first differ, in which array, and by how much; exit code 1 where they do.

    Two models on one input (MODEL MODEL INPUT), one model on two inputs (MODEL INPUT INPUT), two
    traces of lstm export (TRACE TRACE), or one of each (MODEL INPUT TRACE). At the first step that
    differs the first array in the order of computation is named: z, then i f g, c, o, h.

    Example: lstm diff sample_models/three_steps.keras sample_models/three_steps.h5
    sample_models/three_steps.csv
    """
    from .. import diff as compare
    from ..errors import UsageError
    from ..outputs.difference_table import difference_facts, difference_lines, difference_report
    from .showing import terminal_size

    if tolerance is not None and (atol, rtol) != (None, None):
        raise UsageError("--tolerance does not go with --atol or --rtol; give one or the other")
    a, b = _sides(options, layer_b)
    if a.inputs == b.inputs == ["-"]:
        raise UsageError("standard input can be read once, and both sides need it; give a file")
    with ExitStack() as stack:
        left, right = _opened(a, stack), _opened(b, stack)
        names = _names(a, left), _names(b, right)
        if representation:
            if {tolerance, atol, rtol} != {None}:
                raise UsageError("--representation has no tolerance; leave it out")
            _show_representation(compare(left.cells, right.cells, representation=True), names, json)
            return
        found = compare(left.cells, right.cells, tolerance=tolerance, atol=atol, rtol=rtol)
        batched = left.batched or right.batched
    if json:
        write_json(difference_facts(found, names))
    elif sys.stdout.isatty():
        from rich.console import Console

        report = difference_report(found, names, terminal_size()[0], batched)
        Console(highlight=False).print(report)
    else:
        for line in difference_lines(found):
            typer.echo(line)
    if not found.same:
        raise typer.Exit(1)


def _show_representation(found: Representation, names: Sequence[str], json: bool) -> None:
    from ..outputs.representation_table import (
        representation_facts,
        representation_lines,
        representation_table,
    )
    from .showing import terminal_size

    if json:
        write_json(representation_facts(found, names))
    elif sys.stdout.isatty():
        from rich.console import Console

        table = representation_table(found, names, terminal_size()[0])
        Console(highlight=False).print(table)
    else:
        for line in representation_lines(found):
            typer.echo(line)


def _sides(options: TraceOptions, layer_b: list[str] | None) -> tuple[TraceOptions, TraceOptions]:
    """What to run or open on either side.

    Raises:
        UsageError: if the arguments are none of the combinations.
    """
    from ..errors import UsageError
    from ..sequences.trace_files import check_container

    first, *rest = str(options.model), *(options.inputs or [])
    traces = [is_trace(path) for path in (first, *rest)]
    layers = layer_b or options.layer
    if traces == [True, True]:
        return _with(options, first, []), _with(options, rest[0], [], layers)
    if len(traces) == 3 and traces == [False, False, True]:
        return _with(options, first, rest[:1]), _stored(options, rest[1], layers)
    if len(traces) == 3 and traces == [True, False, False]:
        return _stored(options, first, options.layer), _with(options, rest[0], rest[1:], layers)
    if len(traces) == 3 and not any(traces):
        if _is_model(rest[0]):
            return _with(options, first, rest[1:]), _with(options, rest[0], rest[1:], layers)
        return _with(options, first, rest[:1]), _with(options, first, rest[1:], layers)
    for path in (first, *rest):
        if path != "-" and not Path(path).exists():
            raise UsageError(f"{path}: there is no such file")
        if Path(path).is_file():
            check_container(path)
    raise UsageError(
        "give MODEL MODEL INPUT, MODEL INPUT INPUT, TRACE TRACE or MODEL INPUT TRACE, where a "
        f"TRACE is what lstm export wrote (.npz or .h5); found {len(traces)} "
        f"argument{'s' * (len(traces) != 1)}, of which "
        f"{sum(traces) or 'none'} {'is a trace' if sum(traces) <= 1 else 'are traces'}"
    )


def _with(
    options: TraceOptions, model: str, inputs: list[str], layer: list[str] | None = None
) -> TraceOptions:
    layers = options.layer if layer is None else layer
    values = {**vars(options), "model": Path(model), "inputs": inputs, "layer": layers}
    return TraceOptions(**values)


def _stored(options: TraceOptions, path: str, layer: list[str] | None) -> TraceOptions:
    """A trace beside a run: what is said about the run does not concern it."""
    return TraceOptions(model=Path(path), inputs=[], layer=layer, threads=options.threads)


def _is_model(path: str) -> bool:
    """Whether a file is a model, by its content, even one that cannot be read.

    An .npz can be either: it is a model where its arrays are weights.
    """
    from .. import load
    from ..errors import LstmCliError, UnknownFormatError

    try:
        load(path)
    except UnknownFormatError:
        return False
    except LstmCliError:
        return not _holds_arrays_alone(path)
    return True


def _holds_arrays_alone(path: str) -> bool:
    from zipfile import ZipFile, is_zipfile

    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return all(name.endswith(".npy") for name in archive.namelist())


def _opened(options: TraceOptions, stack: ExitStack) -> Source:
    return next(stack.enter_context(open_traces(options, TENSORS)))


def _names(options: TraceOptions, source: Source) -> str:
    inputs = options.inputs or []
    return f"{options.model} on {inputs[0]}" if inputs else source.name
