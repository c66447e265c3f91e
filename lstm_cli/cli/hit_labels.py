"""The labels of the steps that ``lstm find`` found, of one or several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .labelling import StepLabels
from .sources import Source, TraceOptions, is_trace

if TYPE_CHECKING:
    from ..analysis.search_report import Hit


class Searched(NamedTuple):
    """An INPUT or TRACE that was searched.

    Attributes:
        name: of the file.
        batched: whether it has sequences to count.
        first_label: the step that its first label is of.
    """

    name: str
    batched: bool
    first_label: int


def labels_of_inputs(options: TraceOptions, given: Sequence[str]) -> list[StepLabels]:
    """Labels of each INPUT or TRACE, in order.

    Raises:
        UsageError: if there are neither as many as inputs nor one for all.
    """
    from ..errors import UsageError

    count = len(options.inputs) + is_trace(options.model)
    found = [StepLabels(options, text) for text in given]
    if len(given) == 1 and count > 1 and not Path(given[0]).is_file():
        return found * count
    if given and len(given) != count:
        raise UsageError(
            f"--labels: expected a file for each of the {count} inputs, in their order, or one "
            f"column of them all; found {len(given)}"
        )
    return found


def first_label_of(source: Source, labels: StepLabels, shift: int) -> int:
    """The step that the first label of a source is of.

    Raises:
        UsageError: if there is not a label for each step.
    """
    from ..errors import UsageError
    from ..outputs.spans import first_label

    cell = next(iter(source.cells.values()))
    found = labels.of(source.name, 0)
    if not shift:
        return first_label(found, cell, 0)
    needed = (cell.sequences - 1) * shift + cell.steps
    if len(found) < needed:
        raise UsageError(f"expected {needed} labels, one a step of the series, found {len(found)}")
    return 0


def labels_of_hit(hit: Hit, labels: StepLabels, source: Searched, shift: int) -> Sequence[str]:
    """The labels of a hit's steps; ``shift``: steps from one window of a series to the next."""
    start = hit.start - source.first_label + hit.sequence * shift
    return labels.of(source.name, 0 if shift else hit.sequence)[start : start + hit.length]
