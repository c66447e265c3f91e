"""What the commands that analyse work on: a model and its inputs, or traces that export wrote.

    @with_options(TraceOptions)
    def rank(options: TraceOptions, ...) -> None:
        with open_traces(options, ("h", "c")) as sources:
            for source in sources:              # one INPUT, or one TRACE, after another
                for name, cell in source.cells.items():
                    for start, stop in cell.blocks():
                        block = cell.read(start, stop, ("h",))   # a Trace of these steps

``source.cells`` are ``analysis.cells.TracedCell``; the Python functions of the package take them as
they take a Trace. What a long run gives is kept in a temporary file and read from there in blocks.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import InputOptions, RunOptions

if TYPE_CHECKING:
    from ..analysis.cells import TracedCell
    from ..engine.session import Session
    from ..model import Array, Model

GATES = ("i", "f", "g", "o")
STATES_AND_GATES = ("h", "c", *GATES)
OF_CELLS = (*STATES_AND_GATES, *(f"z_{gate}" for gate in GATES))

LARGE_BYTES = 1 << 28
"""What the results of a run may take before they are kept in a file."""


class TraceOptions(InputOptions):
    """What to analyse: a model and its inputs, or traces by themselves."""

    model: Annotated[Path, typer.Argument(metavar="MODEL|TRACE", show_default=False)]
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="[INPUT...]", default_factory=list, show_default=False),
    ]

    def running(self, **more: Any) -> RunOptions:
        """The same as the options of ``export``."""
        return RunOptions(**{**vars(self), **more})


class Source:
    """One INPUT that was run, or one TRACE.

    Attributes:
        name: the path of the INPUT or TRACE, for messages and results.
        cells: by part or address, in order; ``""`` for a lone one.
        sequences: their names, where the input names them.
        batched: whether there is an axis of sequences to count.
        model: what was run; None for a trace.
    """

    def __init__(
        self,
        name: str,
        cells: dict[str, TracedCell],
        *,
        sequences: Sequence[str] = (),
        batched: bool = True,
        model: Model | None = None,
    ) -> None:
        self.name, self.cells = name, cells
        self.sequences, self.batched, self.model = tuple(sequences), batched, model

    def weights(self, cell: str) -> dict[str, Array]:
        """``kernel`` (F, 4U), ``recurrent_kernel`` (P, 4U), ``bias`` (4U,) … of one cell.

        Raises:
            InputError: if the trace has none.
        """
        found = self.cells[cell].weights()
        if "kernel" not in found:
            self.cells[cell].require(("kernel", "recurrent_kernel"))
        return found


def is_trace(path: str | Path) -> bool:
    """Whether a file is a trace of ``lstm export``, by its content."""
    from ..sequences.trace_files import is_trace_file

    return is_trace_file(path)


@contextmanager
def open_traces(
    options: TraceOptions,
    tensors: Collection[str] = STATES_AND_GATES,
    *,
    weights: bool = False,
    in_turn: bool = False,
) -> Iterator[Iterator[Source]]:
    """Run the inputs one after another, or open the traces.

    Args:
        options: as given.
        tensors: what will be read of ``h c i f g o z_i … output x``. In a trace that lacks one,
            ``TracedCell.read`` says so.
        weights: whether ``Source.weights`` will be asked.
        in_turn: whether each source is done with when the next one is asked for, so that no more
            than one file needs to be open.

    Raises:
        UsageError: if an INPUT is missing, or traces and inputs are mixed.
        InputError, NoSuchNameError: as the inputs are read.
    """
    options.set_threads()
    import numpy as np

    with ExitStack() as stack:
        # A trace may hold NaN, infinity and what overflows; the results say so.
        stack.enter_context(np.errstate(all="ignore"))
        if is_trace(options.model):
            yield _stored(options, stack, in_turn)
        else:
            yield _run(options, tuple(tensors), stack, weights)


def _stored(options: TraceOptions, stack: ExitStack, in_turn: bool) -> Iterator[Source]:
    from .. import open_trace
    from ..errors import UsageError
    from ..sequences.trace_files import check_container

    paths = [str(options.model), *options.inputs]
    for path in paths[1:]:
        if not is_trace(path):
            check_container(path)
            raise UsageError(
                f"{paths[0]} is a trace of lstm export, and {path} is none; give a model and its "
                "inputs, or traces alone"
            )
    _refuse_run_options(options)
    for path in paths:
        with ExitStack() as own:
            file = (own if in_turn else stack).enter_context(open_trace(path))
            chosen = file.choose(options.layer or [])
            names = file.meta.get("sequences") or ()
            yield Source(path, chosen, sequences=names, batched=file.batched)


_OF_TRACES = ("model", "inputs", "layer", "threads")
"""Options that mean something for a trace, too."""


def _refuse_run_options(options: TraceOptions) -> None:
    from ..errors import UsageError

    for name, value in vars(options).items():
        given = value is not None and value is not False and value != []
        if given and name not in _OF_TRACES:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is about running a model, and {options.model} is a trace")


def _run(
    options: TraceOptions, tensors: tuple[str, ...], stack: ExitStack, weights: bool
) -> Iterator[Source]:
    from .loading import read_initial_state, read_sequence
    from .notes import Notes
    from .running import assumptions_of, open_session

    _require_inputs(options)
    run = options.running()
    session = open_session(run)
    if _is_long(run, session, tensors):
        yield _kept_in_a_file(options, tensors, stack, weights, session)
        return
    if not any(name in OF_CELLS for name in tensors):
        tensors = ("h", *tensors)  # what says how many cells, sequences and steps there are
    notes = Notes()
    notes.say(assumptions_of(session))
    state = read_initial_state(options.initial_state)
    for number, name in enumerate(run.inputs):
        data = read_sequence(name, run, session.model.inputs)
        notes.say(data.notes)
        trace = session.trace(
            data.x,
            mask=data.mask,
            lengths=data.lengths,
            initial_state=state if not options.stateful or not number else None,
            tensors=tensors,
        )
        notes.say(session.notes)
        yield Source(
            name,
            _cells_with_weights(session, trace, options, weights),
            sequences=data.sequences,
            batched=session.had_batch_axis,
            model=session.source,
        )


def _require_inputs(options: TraceOptions) -> None:
    from ..errors import UsageError
    from ..sequences.trace_files import check_container

    if options.inputs:
        return
    if not options.model.exists():
        raise UsageError(f"{options.model}: no such file")
    if options.model.is_file():
        check_container(options.model)
    raise UsageError(
        f"{options.model} is no trace of lstm export (.npz or .h5); a model needs an INPUT beside "
        "it"
    )


def _cells_with_weights(
    session: Session, trace: Any, options: TraceOptions, weights: bool
) -> dict[str, TracedCell]:
    from .. import weights as arrays_of
    from ..explanation import cells_of

    found = cells_of(trace)
    if weights:
        arrays = arrays_of(session.source, options.layer)
        for cell in found.values():
            cell.add_weights(arrays)
    return found


def _is_long(options: RunOptions, session: Session, tensors: Sequence[str]) -> bool:
    """Whether the one INPUT is so long that its results are better kept in a file."""
    path = Path(options.inputs[0])
    if len(options.inputs) > 1 or not path.is_file():
        return False
    numbers = path.stat().st_size / 8
    features = max(1, sum(_last(entry.shape) for entry in session.model.inputs))
    units = sum(
        cell.units
        for layer in session.model.lstm_layers
        if layer.recurrent
        for _, _, cell in layer.recurrent.cells()
    )
    return numbers / features * units * len(tensors) * 4 > LARGE_BYTES


def _last(shape: tuple[int | None, ...] | None) -> int:
    return shape[-1] or 1 if shape and len(shape) > 2 else 1


def _kept_in_a_file(
    options: TraceOptions,
    tensors: tuple[str, ...],
    stack: ExitStack,
    weights: bool,
    session: Session,
) -> Source:
    """The results of the one INPUT in a temporary file, written while they are computed."""
    from tempfile import TemporaryDirectory

    from .. import open_trace
    from .streaming import run_or_stream

    folder = stack.enter_context(TemporaryDirectory(prefix="lstm-"))
    path = Path(folder) / "trace.h5"
    run = options.running(output=str(path))
    run_or_stream(run, tensors, everything=True, with_weights=weights)
    file = stack.enter_context(open_trace(path))
    return Source(
        run.inputs[0],
        file.cells,
        sequences=file.meta.get("sequences") or (),
        batched=file.batched,
        model=session.source,
    )


def write_json(value: Any) -> None:
    """A result as JSON on standard output: NaN as null, infinity as a text."""
    from json import dumps

    sys.stdout.write(dumps(_plain(value), ensure_ascii=False, indent=2) + "\n")


def _plain(value: Any) -> Any:
    """Dictionaries, lists and numbers that JSON has."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and value - value != 0:
        return None if value != value else ("inf" if value > 0 else "-inf")
    return value
