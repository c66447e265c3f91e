"""Which steps of which sequence are shown, and whether the labels fit them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..analysis.cells import TracedCell
from ..analysis.lengths import length_of
from ..errors import UsageError, numbered
from ..traces import Trace
from .reduction import Flags


def find_span(cells: Sequence[TracedCell], steps: slice, sequence: int) -> slice:
    """Where the steps of one sequence that are drawn stand in the trace.

    Raises:
        UsageError: if the sequence is not there, has none of these steps, or cells differ.
    """
    counts = sorted({cell.steps for cell in cells})
    if len(counts) > 1:
        found = " and ".join(map(str, counts))
        raise UsageError(f"the cells have {found} steps, and no common time axis; choose a layer")
    sequences = cells[0].sequences
    if sequence >= sequences:
        raise UsageError(f"sequence {sequence}: the trace has {numbered('sequence', sequences)}")
    length = length_of(cells[0], sequence)
    if length <= 0:
        raise UsageError(f"sequence {sequence} has no steps to draw")
    first = cells[0].cut.first_step
    start = max(0, (steps.start or 0) - first)
    stop = length if steps.stop is None else min(steps.stop - first, length)
    if start >= length or stop <= start:
        wanted = steps.start or 0
        raise UsageError(f"step {wanted}: the sequence has {numbered('step', length, first)}")
    return slice(start, stop)


def fitting_labels(labels: Sequence[str], cell: TracedCell, sequence: int) -> Sequence[str]:
    """The labels of a trace's steps; of one that was cut they may be those of the whole input.

    Raises:
        UsageError: if there are as many as neither the input nor the sequence has steps: then all
            behind the first gap would be wrong.
    """
    length, cut = length_of(cell, sequence), cell.cut
    if len(labels) in (cell.steps, length):
        return labels
    first = cut.first_step
    if (first or cut.ends_early) and len(labels) >= first + length:
        return labels[first : first + length]
    raise UsageError(f"expected {length} labels, one a step, found {len(labels)}")


def first_label(labels: Sequence[str], cell: TracedCell, sequence: int) -> int:
    """The input's number of the step that the first label is of.

    Raises:
        UsageError: as ``fitting_labels``.
    """
    fitting = fitting_labels(labels, cell, sequence)
    return cell.cut.first_step if len(fitting) == len(labels) else 0


def masked_steps(block: Trace, sequence: int, count: int) -> Flags:
    """Which of a block's steps are masked, shape (T,)."""
    if "mask" not in block.arrays:
        return np.zeros(count, np.bool_)
    return np.asarray(~block.arrays["mask"][sequence].astype(np.bool_))


def span_blocks(cell: TracedCell, span: slice) -> Iterator[tuple[int, int]]:
    """Where blocks of the steps that are shown begin and end."""
    for start, stop in cell.blocks():
        start, stop = max(start, span.start), min(stop, span.stop)
        if start < stop:
            yield start, stop
