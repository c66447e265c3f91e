"""Traces of long sequences, written while they are computed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .loading import (
    chosen_columns,
    nonfinite_note,
    read_initial_state,
    reading_dtype,
    with_rank,
)
from .notes import Notes, note
from .options import RunOptions
from .running import assumptions_of, open_session, run_inputs, steps_of
from .selecting import make_results, parse_names
from .targets import Target, find_target
from .tracing import computed_tensors, tracer, wanted_arrays

if TYPE_CHECKING:
    from ..engine.session import Session
    from ..model import Input
    from ..sequences import BlockSource

BLOCK_STEPS = 8192
LARGE_BYTES = 64 * 2**20
_WHOLE_ONLY = ("sequence_column", "window", "mask", "mask_value", "lengths")


def run_or_stream(
    options: RunOptions,
    default: Sequence[str],
    *,
    everything: bool = False,
    heatmap: bool = False,
    with_weights: bool = False,
) -> None:
    """Trace the inputs: block by block where that is possible and of use, whole otherwise."""
    options.set_threads()
    target = find_target(options)
    if _streams(options, target):
        session = open_session(options)
        reasons = session.time_mixing()
        if not reasons and _rows_are_sequences(options, session):
            reasons = ["each row of the text file is a sequence of its own"]
        if not reasons:
            _stream(session, options, target, default, everything, with_weights)
            return
        if options.inputs == ["-"] or _is_large(options):
            note(f"the input is read whole: {'; '.join(reasons)}")
    more = _weights(options) if with_weights else None
    compute = tracer(options, default, everything=everything, more=more)
    run_inputs(options, compute, heatmap=heatmap)


def _streams(options: RunOptions, target: Target) -> bool:
    """Whether the result can be handed over while it is computed."""
    if len(options.inputs) != 1 or any(getattr(options, name) is not None for name in _WHOLE_ONLY):
        return False
    if target.kind == "stdout":
        return (options.format or "csv") in ("csv", "jsonl")
    return target.kind == "file" and options.inputs[0].lower().rsplit(".", 1)[-1] != "npz"


def _rows_are_sequences(options: RunOptions, session: Session) -> bool:
    """Whether a text file has a row a sequence; standard input is taken as a row a step."""
    from ..sequences import open_blocks

    inputs = session.model.inputs
    if options.inputs == ["-"] or len(inputs) != 1 or len(inputs[0].shape or "123") != 2:
        return False
    with open_blocks(options.inputs[0], columns=chosen_columns(options)) as source:
        return stream_axis(source, inputs) is None


def _is_large(options: RunOptions) -> bool:
    path = Path(options.inputs[0])
    return path.is_file() and path.stat().st_size > LARGE_BYTES


def _weights(options: RunOptions) -> Callable[[Session], dict[str, Any]]:
    def weights(session: Session) -> dict[str, Any]:
        from .. import weights as arrays_of

        return arrays_of(session.source, options.layer)

    return weights


def _stream(
    session: Session,
    options: RunOptions,
    target: Target,
    default: Sequence[str],
    everything: bool,
    with_weights: bool,
) -> None:
    from ..outputs import streaming
    from ..sequences import open_blocks

    inputs = session.model.inputs
    notes = Notes()
    notes.say(assumptions_of(session))
    asked = parse_names(options.tensors)
    with ExitStack() as stack:
        source = stack.enter_context(
            open_blocks(
                options.inputs[0],
                BLOCK_STEPS,
                columns=chosen_columns(options),
                dtype=reading_dtype(options, inputs),
            )
        )
        notes.say(source.notes)
        advance = stack.enter_context(_progress(source))
        single = target.kind == "file" and target.paths[0].suffix.lower() == ".npy"
        writer: Any = None
        rest: dict[str, Any] = {}
        blocks = _checked(source, options, session, notes)
        state = read_initial_state(options.initial_state)
        done = 0
        for trace in session.stream(
            blocks, initial_state=state, tensors=computed_tensors(asked, default)
        ):
            arrays = wanted_arrays(dict(trace.arrays), asked, default, everything, single)
            if with_weights:
                arrays |= _weights(options)(session)
            steps = steps_of(arrays)
            results = make_results(
                arrays,
                trace.meta,
                options,
                per_step=steps,
                batched=session.had_batch_axis,
                first_step=done,
            )
            notes.say(session.notes)
            if writer is None:
                layout = results.layout
                if target.kind == "file":
                    opened = streaming.open_file(target.paths[0], trace.meta, layout)
                else:
                    opened = streaming.open_pipe(sys.stdout.buffer, options.format or "csv", layout)
                writer = stack.enter_context(opened)
            writer.append({name: a for name, a in results.arrays.items() if name in steps})
            now = {name: a for name, a in results.arrays.items() if name not in steps}
            rest = {**now, **{n: a for n, a in rest.items() if "initial_" in n}} if rest else now
            count = _steps_in(trace)
            done += count
            advance(count)
        if writer is not None:
            writer.close(rest)
        if options.save_state is not None:
            from .running import final_states
            from .showing import write_to_file

            write_to_file(final_states(session), options.save_state)


def _steps_in(trace: Any) -> int:
    names = steps_of(trace.arrays)
    return int(trace.arrays[next(iter(names))].shape[1])


def _checked(
    source: BlockSource, options: RunOptions, session: Session, notes: Notes
) -> Iterator[Any]:
    """The blocks in the rank that the model wants, with a warning where the first NaN is."""
    inputs = session.model.inputs
    axis = stream_axis(source, inputs) or 0
    done, warned = 0, False
    for block in source.blocks(axis):
        array = with_rank(block, inputs)
        if not warned and (text := nonfinite_note(options.inputs[0], array)):
            warned = True
            notes.say(
                [
                    text
                    if not done
                    else f"{options.inputs[0]} holds NaN or infinity after step {done}"
                ]
            )
        done += array.shape[axis]
        yield array


def stream_axis(source: BlockSource, inputs: Sequence[Input]) -> int | None:
    """The axis of time in a file; None where a text file's rows are sequences of their own."""
    shape = inputs[0].shape if len(inputs) == 1 else None
    rank = 3 if shape is None else len(shape)
    is_text = source.shape[0] is None  # text has rows until it ends
    if is_text:
        return None if rank == 2 and source.shape[1] != 1 else 0
    return 1 if len(source.shape) == rank else 0


def _progress(source: BlockSource) -> AbstractContextManager[Callable[[int], None]]:
    """A progress bar on standard error, where that is a terminal and the end is known."""
    if not sys.stderr.isatty() or not source.total or source.total <= BLOCK_STEPS:
        return nullcontext(lambda steps: None)
    from .progress import bar

    return bar(source.total)
