"""The common course of ``run``, ``states``, ``gates`` and ``export``: read, compute, hand over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .checks import check_combinations
from .joining import Joined
from .loading import InputData, load_model, read_initial_state, read_sequence
from .notes import Notes
from .options import RunOptions
from .selecting import Axes, check_steps, has_steps, make_results
from .showing import draw_outputs, draw_trace, write_to_file, write_to_stdout
from .targets import Target, find_target, input_names

if TYPE_CHECKING:
    from ..engine.session import Session
    from ..model import Array
    from ..outputs.results import Results


class Computed(NamedTuple):
    """What one INPUT gave.

    Attributes:
        arrays: by name in files, with a batch axis.
        meta: where they come from.
        per_step: names of the arrays with a time axis.
        axes: of arrays in the framework's own order, where they have their sequences and their
            steps; of all others these are the first axes.
        lengths: of the sequences, where the arrays with a time axis follow them.
    """

    arrays: Mapping[str, Array]
    meta: Mapping[str, Any]
    per_step: frozenset[str]
    axes: Mapping[str, Axes] = MappingProxyType({})
    lengths: Array | None = None


def assumptions_of(session: Session) -> list[str]:
    """What had to be assumed about the file, but for what concerns other layers alone."""
    model = session.source
    others = {layer.address for layer in model.layers}
    if not session.names:
        return list(model.assumptions)
    others -= {layer.address for layer in session.chosen_layers()}
    others -= {entry.name for entry in session.model.inputs}  # the layer's own, run directly
    return [text for text in model.assumptions if text.partition(": ")[0] not in others]


Compute = Callable[["Session", InputData, Any], Computed]


def open_session(options: RunOptions) -> Session:
    """The model of the options, ready to run.

    Raises:
        UsageError: if options do not go together.
    """
    from .. import Session
    from ..errors import UsageError

    check_combinations(options)
    session = Session(
        load_model(options),
        options.layer,
        direct=options.direct,
        dtype=options.dtype,
        stateful=options.stateful,
        batch_size=options.batch_size,
        time_major=options.time_major,
    )
    if options.time_major and not session.direct:
        raise UsageError("--time-major is about a direct INPUT; add --direct, or leave it out")
    return session


def run_inputs(
    options: RunOptions,
    compute: Compute,
    *,
    session: Session | None = None,
    heatmap: bool = False,
    table: bool = True,
) -> None:
    """Run every INPUT and hand its results over.

    Args:
        options: as given.
        compute: from a session, an input and the initial state to what is wanted of it.
        session: where it is open already.
        heatmap, table: how it is drawn on a terminal; without ``table`` as plain arrays.
    """
    options.set_threads()
    target = find_target(options)
    session = session or open_session(options)
    notes = Notes()
    assumptions = assumptions_of(session)
    state = read_initial_state(options.initial_state)
    with ExitStack() as stack:
        hand_over = _hand_over(options, target, stack, heatmap, table)
        first_step, chunk = 0, None
        for number, source in enumerate(options.inputs):
            data = read_sequence(source, options, session.model.inputs)
            computed = compute(session, data, state if not options.stateful or not number else None)
            notes.say([*assumptions, *data.notes, *session.notes])
            if data.sequences:
                computed = computed._replace(meta={**computed.meta, "sequences": data.sequences})
            if target.is_table:
                computed = _sequences_first(computed)
            if options.stateful and len(options.inputs) > 1:
                moved = any(computed.axes.get(name, (0, 1)) != (0, 1) for name in computed.per_step)
                chunk = _following(chunk, Chunk(data, session.had_batch_axis, moved))
            results, steps = _results(options, session, computed, first_step)
            if options.stateful:
                first_step += steps
            hand_over(number, results)
        if options.stateful and first_step:
            check_steps(options, first_step)
        if options.save_state is not None:
            write_to_file(final_states(session), options.save_state)


class Chunk(NamedTuple):
    """One of several consecutive inputs; ``moved`` if its results do not begin (B, T, ...)."""

    data: InputData
    batched: bool
    moved: bool


def _following(before: Chunk | None, chunk: Chunk) -> Chunk:
    """The chunk, if it holds the next steps of the same sequences.

    Raises:
        UsageError: if that cannot be.
    """
    from ..errors import UsageError

    source = chunk.data.source
    if chunk.data.lengths is not None:
        raise UsageError(
            f"--stateful: {source} holds sequences of unequal length, which cannot all go on in "
            "the next input"
        )
    if chunk.moved:
        raise UsageError(
            "chunks of results that do not begin with sequences and steps are put together as "
            ".csv or .jsonl only"
        )
    if before is not None and chunk.batched != before.batched:
        with_axis, without = (chunk, before) if chunk.batched else (before, chunk)
        raise UsageError(
            f"--stateful: {with_axis.data.source} has an axis of sequences, "
            f"{without.data.source} has none"
        )
    if before is not None and chunk.data.sequences != before.data.sequences:
        raise UsageError(
            f"--stateful: the sequences of {source} are not those of {before.data.source} in the "
            "same order"
        )
    return chunk


def _sequences_first(computed: Computed) -> Computed:
    """Results in any order of axes as a table has them: sequence by sequence, step by step."""
    import numpy as np

    arrays = dict(computed.arrays)
    for name, axes in computed.axes.items():
        front = [axis for axis in axes if axis is not None]
        arrays[name] = np.moveaxis(arrays[name], front, range(len(front)))
    return computed._replace(arrays=arrays, axes={})


def _results(
    options: RunOptions, session: Session, computed: Computed, first_step: int
) -> tuple[Results, int]:
    counts = {
        array.shape[computed.axes.get(name, (0, 1))[1] or 0]
        for name, array in computed.arrays.items()
        if name in computed.per_step
    }
    steps = max(counts, default=0)
    if steps and not options.stateful:
        check_steps(options, steps)
    results = make_results(
        computed.arrays,
        computed.meta,
        options,
        per_step=computed.per_step,
        batched=session.had_batch_axis,
        axes=computed.axes,
        first_step=first_step,
        lengths=computed.lengths,
    )
    return results, steps


def final_states(session: Session) -> Results:
    """Final states, without a batch axis where the input had none."""
    from ..outputs.results import Layout, Results

    batched = session.had_batch_axis
    arrays = {name: array if batched else array[0] for name, array in session.states.items()}
    meta = {"source": session.source.path, "written_by": session.source.written_by}
    return Results(arrays, meta, frozenset(), Layout(batched=batched))


HandOver = Callable[[int, "Results"], None]


def _hand_over(
    options: RunOptions, target: Target, stack: ExitStack, heatmap: bool, table: bool
) -> HandOver:
    """What takes the results of each input."""
    if target.kind == "terminal":
        return lambda number, results: _draw(options, number, results, heatmap, table)
    if target.kind == "folder":
        return lambda number, results: _into_folder(results, target.paths[number])
    if target.kind == "merged":
        return _merging(options, target, stack)
    if len(options.inputs) > 1:
        return _continuing(options, target, stack)
    if target.kind == "file":
        return lambda number, results: write_to_file(results, target.paths[0])
    return lambda number, results: write_to_stdout(results, target.form)


def _into_folder(results: Results, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    write_to_file(results, path)


def _draw(options: RunOptions, number: int, results: Results, heatmap: bool, table: bool) -> None:
    title = options.inputs[number] if len(options.inputs) > 1 else ""
    if not has_steps(results):
        return  # --steps wants none of this chunk
    if table and results.per_step:
        draw_trace(results, heatmap, title)
    else:
        draw_outputs(results, title)


def _merging(options: RunOptions, target: Target, stack: ExitStack) -> HandOver:
    """One file with the results of every input, each under the input's name."""
    names = input_names(options)
    found: dict[int, Results] = {}

    def write() -> None:
        if len(found) < len(names):
            return  # it failed on the way, and nothing half-written is left
        first = found[0]
        arrays = {
            f"{names[number]}/{name}": array
            for number, results in found.items()
            for name, array in results.arrays.items()
        }
        per_step = frozenset(
            f"{names[number]}/{name}" for number, r in found.items() for name in r.per_step
        )
        write_to_file(replace(first, arrays=arrays, per_step=per_step), target.paths[0])

    stack.callback(write)
    return lambda number, results: found.__setitem__(number, results)


def _continuing(options: RunOptions, target: Target, stack: ExitStack) -> HandOver:
    """Consecutive chunks of the same sequences, one after another in one output."""
    from ..errors import UsageError

    joined = Joined(target, stack)

    def take(number: int, results: Results) -> None:
        if not results.per_step:
            raise UsageError(
                "consecutive chunks are put together step by step, and this returns no steps; "
                "--return-sequences, or run each by itself with --initial-state and --save-state"
            )
        joined.append(results)
        if number == len(options.inputs) - 1:
            joined.close()

    return take


def steps_of(arrays: Mapping[str, Array]) -> frozenset[str]:
    """Names of the arrays of a trace that have a time axis."""
    from ..outputs.results import step_names

    return step_names(arrays)
