"""``lstm verify``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from .diff import AbsoluteTolerance, Json, RelativeTolerance, ScaledTolerance
from .options import RunOptions, with_options
from .sources import TraceOptions, is_trace, write_json

if TYPE_CHECKING:
    from ..analysis.agreement import Agreement
    from ..engine.session import Session
    from ..model import Array

GOLDEN = ".golden.npz"


class VerifyOptions(TraceOptions):
    """A model, and what its numbers are checked against."""

    model: Annotated[Path, typer.Argument(metavar="MODEL", show_default=False)]
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="[INPUT EXPECTED]", default_factory=list, show_default=False),
    ]
    without = frozenset({"stateful", "time_major", "batch_size"})


class Expected(NamedTuple):
    """What a run is to give.

    Attributes:
        name: the file, or the framework.
        arrays: by the names of ``lstm_cli.verify``; None for a framework's.
        of_trace: whether ``output`` is what a layer hands on at every step.
        of_a_model: whether ``output`` may be that of a whole model, of which MODEL is one layer.
    """

    name: str
    arrays: dict[str, Array] | None = None
    of_trace: bool = False
    of_a_model: bool = False


@with_options(VerifyOptions)
def verify(
    options: VerifyOptions,
    tensor: Annotated[
        str,
        typer.Option(
            "--tensor",
            help="What the one array of a .npy EXPECTED is: output, h, final_c, forward/h ….",
            rich_help_panel="Comparison",
            metavar="NAME",
        ),
    ] = "output",
    against: Annotated[
        Literal["keras", "torch", "onnxruntime"] | None,
        typer.Option(
            "--against",
            help="Instead of EXPECTED: run MODEL on INPUT with this installed framework. PyTorch "
            "runs single layers (--layer), on what they receive.",
            rich_help_panel="Comparison",
        ),
    ] = None,
    tolerance: ScaledTolerance = None,
    atol: AbsoluteTolerance = None,
    rtol: RelativeTolerance = None,
    json: Json = False,
) -> None:
    """Check our numbers against stored ones; exit code 1 where they are not equal.

    EXPECTED is an .npz whose arrays have the names that export and run give them, or an .npy.
    With MODEL alone, NAME.golden.npz beside it holds the input and what is expected. With --against
    the framework's own run is what is expected: its outputs, and those of every layer. A second run
    of ours in float64 tells rounding from a real difference.

    Example: lstm verify sample_models/three_steps.keras
    """
    options.set_threads()
    run = _run_options(options, against)
    session = _session(run, against)
    if options.inputs:
        given = _read_run(session, options.inputs[0], run)
        source = against or options.inputs[1]
        expected = Expected(source) if against else _stored(source, tensor)
    else:
        given, expected = _golden(options.model, session)
    found = _verified(session, given, expected, options, against, (tolerance, atol, rtol))
    _show(found, f"{options.model} beside {found.by or expected.name}", json)
    if not found.same:
        raise typer.Exit(1)


def _run_options(options: VerifyOptions, against: str | None) -> RunOptions:
    """The options of the run.

    Raises:
        UsageError: if arguments or options do not go together.
    """
    from ..errors import UsageError

    count = len(options.inputs)
    if against is not None and count != 1:
        raise UsageError(
            f"--against {against} takes MODEL INPUT; found {_arguments(count)} after MODEL"
        )
    if against is None and count not in (0, 2):
        raise UsageError(
            "give MODEL INPUT EXPECTED, or MODEL alone where NAME.golden.npz lies beside it; found "
            f"{_arguments(count)} after MODEL"
        )
    # PyTorch's files do not say how layers are connected: each runs on what it receives.
    return options.running(
        inputs=options.inputs[:1] or ["-"], direct=options.direct or against == "torch"
    )


def _session(run: RunOptions, against: str | None) -> Session:
    """The model, ready to run.

    Raises:
        UsageError: if options do not go together, or the framework runs no file of this kind.
    """
    from .. import Session
    from .. import verify as compare
    from .checks import check_combinations
    from .loading import load_model

    check_combinations(run)
    model = load_model(run)
    if against not in (None, "torch") and not model.has_graph:
        compare(model, (), against=against)  # says why, before anything is asked of the user
    return Session(model, run.layer, direct=run.direct, dtype=run.dtype)


def _arguments(count: int) -> str:
    return "1 argument" if count == 1 else f"{count or 'no'} arguments"


def _read_run(session: Session, source: str, run: RunOptions) -> dict[str, Any]:
    """The arguments of the run that an INPUT and the options make."""
    from .loading import read_initial_state, read_sequence
    from .notes import Notes

    data = read_sequence(source, run, session.model.inputs)
    Notes().say(data.notes)
    return {
        "x": data.x,
        "mask": data.mask,
        "lengths": data.lengths,
        "initial_state": read_initial_state(run.initial_state),
    }


def _stored(path: str, tensor: str) -> Expected:
    """The arrays of an .npz, as ``export`` or anybody wrote it, of an .npy, or of an .h5 trace."""
    from ..sequences import read_array, read_arrays
    from ..sequences.signatures import kind_of
    from ..sequences.sources import open_source

    if is_trace(path) and Path(path).suffix.lower() == ".h5":
        return Expected(path, _traced(path), of_trace=True)
    with open_source(path) as opened:
        is_archive = kind_of(opened) == "npz"
    if not is_archive:
        return Expected(path, {tensor: read_array(path)})
    arrays = read_arrays(path)
    meta = arrays.pop("meta", None)
    return Expected(path, arrays, of_trace=meta is not None and '"layer' in str(meta))


def _traced(path: str) -> dict[str, Array]:
    """All arrays of a trace but the weights."""
    from .. import open_trace

    with open_trace(path) as file:
        steps = {name: array.read(0, array.shape[1]) for name, array in file.steps.items()}
        states = ("initial_h", "initial_c", "final_h", "final_c")
        return steps | {n: a for n, a in file.others.items() if n.rsplit("/", 1)[-1] in states}


def _golden(path: Path, session: Session) -> tuple[dict[str, Any], Expected]:
    """The run and the results that lie beside a sample model.

    Raises:
        UsageError: if there is no such file, or it lacks an input.
    """
    from ..errors import UsageError
    from ..sequences import read_arrays

    names = dict.fromkeys((path.name.split(".")[0], path.stem, path.name))
    places = [path.with_name(name + GOLDEN) for name in names]
    beside = next((place for place in places if place.is_file()), places[0])
    if not beside.is_file():
        raise UsageError(
            f"{path}: there is no {beside.name} beside it; give INPUT and EXPECTED, or --against"
        )
    arrays = read_arrays(str(beside))
    inputs = [entry.name for entry in session.model.inputs]
    if all(name in arrays for name in inputs) and len(inputs) > 1:
        x: Any = {name: arrays.pop(name) for name in inputs}
    elif "x" in arrays:
        x = arrays.pop("x")
    else:
        raise UsageError(f"{beside} holds no input: expected 'x', or {', '.join(inputs)}")
    # A file of weights alone goes by the results of a file that holds the graph around them.
    return {"x": x}, Expected(str(beside), arrays, of_a_model=not session.source.has_graph)


def _verified(
    session: Session,
    given: dict[str, Any],
    expected: Expected,
    options: VerifyOptions,
    against: str | None,
    tolerances: tuple[float | None, float | None, float | None],
) -> Agreement:
    from .. import verify as compare

    if against == "keras":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own chatter
    return compare(
        session.source,
        expected=expected.arrays,
        against=against,
        layer=options.layer,
        direct=options.direct,
        dtype=options.dtype,
        of_trace=expected.of_trace,
        leave_out_unfit=expected.of_a_model,
        tolerance=tolerances[0],
        atol=tolerances[1],
        rtol=tolerances[2],
        **given,
    )


def _show(found: Agreement, title: str, json: bool) -> None:
    from ..outputs.agreement_table import agreement_facts, agreement_lines, agreement_report
    from .notes import Notes
    from .showing import terminal_size

    if json:
        write_json(agreement_facts(found))
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(agreement_report(found, title, terminal_size()[0]))
    else:
        for line in agreement_lines(found):
            typer.echo(line)
    Notes().say(found.notes)
