"""Traces of long sequences, written while they are computed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .joining import Joined
from .loading import (
    chosen_columns,
    nonfinite_note,
    read_initial_state,
    reading_dtype,
    with_rank,
)
from .notes import Notes, note
from .options import RunOptions
from .running import assumptions_of, final_states, open_session, run_inputs, steps_of
from .selecting import check_steps, make_results, parse_names
from .showing import write_to_file
from .targets import Target, find_target
from .tracing import computed_tensors, tracer, wanted_arrays

if TYPE_CHECKING:
    from ..engine.session import Session
    from ..model import Array
    from ..sequences import BlockSource

BLOCK_STEPS = 8192
ALIGNED_STEPS = 256
"""Cut at a multiple of it, a run in blocks has the same bits as a whole one."""

RESULT_BYTES = 2**28
LARGE_BYTES = 64 * 2**20
ZIP_SIGNATURE = b"PK\x03\x04"
_WHOLE_ONLY = ("sequence_column", "window", "mask", "mask_value", "lengths", "batch_size")


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
    session = open_session(options)
    if _streams(options, target, default):
        reasons = session.time_mixing()
        if not reasons:
            _stream(session, options, target, default, everything, with_weights)
            return
        if options.inputs == ["-"] or _is_large(options):
            note(f"the input is read whole: {'; '.join(reasons)}")
    more = _weights(options) if with_weights else None
    compute = tracer(options, default, everything=everything, more=more)
    run_inputs(options, compute, session=session, heatmap=heatmap)


def _streams(options: RunOptions, target: Target, default: Sequence[str]) -> bool:
    """Whether the result can be handed over while it is computed."""
    if len(options.inputs) != 1 or any(getattr(options, name) is not None for name in _WHOLE_ONLY):
        return False
    if not computed_tensors(parse_names(options.tensors), default):
        return False  # nothing with steps is wanted
    if target.kind == "stdout" and not target.is_table:
        return False
    return target.kind in ("stdout", "file") and not _is_archive(options.inputs[0])


def _is_archive(source: str) -> bool:
    """Whether an INPUT is an .npz file, by its first bytes as far as it is a file."""
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == ZIP_SIGNATURE


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
    from ..sequences import open_blocks

    inputs = session.model.inputs
    notes = Notes()
    assumptions = assumptions_of(session)
    asked = parse_names(options.tensors)
    tensors = computed_tensors(asked, default)
    with ExitStack() as stack:
        source = stack.enter_context(
            open_blocks(
                options.inputs[0],
                BLOCK_STEPS,
                columns=chosen_columns(options),
                dtype=reading_dtype(options, inputs),
            )
        )
        advance = stack.enter_context(_progress(source))
        joined = Joined(target, stack)
        blocks = _checked(source, options, session, len(tensors), notes)
        state = read_initial_state(options.initial_state)
        done = 0
        for trace in session.stream(blocks, initial_state=state, tensors=tensors):
            notes.say([*assumptions, *source.notes, *session.notes])
            arrays = dict(trace.arrays)
            if with_weights:
                arrays |= _weights(options)(session)
            arrays = wanted_arrays(arrays, asked, default, everything, target.form == "npy")
            steps = steps_of(arrays)
            count = next(array.shape[1] for name, array in arrays.items() if name in steps)
            results = make_results(
                arrays,
                trace.meta,
                options,
                per_step=steps,
                batched=session.had_batch_axis,
                first_step=done,
            )
            joined.append(results)
            done += count
            advance(count)
        notes.say(session.notes)
        check_steps(options, done)
        joined.close()
        if options.save_state is not None:
            write_to_file(final_states(session), options.save_state)


def _checked(
    source: BlockSource, options: RunOptions, session: Session, tensors: int, notes: Notes
) -> Iterator[Any]:
    """The blocks in the rank that the model wants, with a warning where the first NaN is.

    They are short enough for the results to fit into ``RESULT_BYTES``; blocks of so many steps
    that the engine's results do not depend on where they are cut stay so.
    """
    is_text = source.shape[0] is None
    axis, blocks = _blocks(source, session)
    done, warned = 0, False
    for block in blocks:
        whole = with_rank(block, session.model.inputs, is_text)
        if not warned and (text := nonfinite_note(options.inputs[0], whole, axis, done)):
            warned = True
            notes.say([text])
        done += whole.shape[axis]
        sequences = whole.shape[1 - axis] if axis or whole.ndim == 3 else 1
        steps = _steps_at_once(session, sequences, tensors)
        for start in range(0, whole.shape[axis], steps):
            yield whole[(slice(None),) * axis + (slice(start, start + steps),)]


def _steps_at_once(session: Session, sequences: int, tensors: int) -> int:
    """How many steps of so many sequences to compute before their results are written."""
    units = sum(
        cell.units
        for layer in session.model.lstm_layers
        if layer.recurrent
        for _, _, cell in layer.recurrent.cells()
    )
    fitting = RESULT_BYTES // (8 * max(1, sequences * units * (tensors + 2)))
    return max(fitting - fitting % ALIGNED_STEPS, ALIGNED_STEPS)


def _blocks(source: BlockSource, session: Session) -> tuple[int, Iterable[Array]]:
    """The axis of time in what a file holds, and its blocks along that axis."""
    import numpy as np

    inputs = session.model.inputs
    shape = inputs[0].shape if len(inputs) == 1 else None
    rank = 3 if shape is None else len(shape)
    if source.shape[0] is None:  # text, which has rows until it ends
        if shape is not None and rank == 2 and (source.shape[1] != 1 or shape[1] == 1):
            # A row a sequence: none of them is known as one before the last row is there.
            return 1, [np.concatenate(list(source.blocks(0)))]
        return 0, source.blocks(0)
    batched = len(source.shape) == rank and not (session.time_major and session.direct)
    return (1, source.blocks(1)) if batched else (0, source.blocks(0))


def _progress(source: BlockSource) -> AbstractContextManager[Callable[[int], None]]:
    """A progress bar on standard error, where that is a terminal and the end is known."""
    if not sys.stderr.isatty() or not source.total or source.total <= BLOCK_STEPS:
        return nullcontext(lambda steps: None)
    from .progress import bar

    return bar(source.total)
