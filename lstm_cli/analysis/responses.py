"""How a state changes at the steps of each symbol: the mean change, and where most of them lie.

Source: Ming et al., "Understanding Hidden Memories of Recurrent Neural Networks" (2017), RNNVis.

Letters: B sequences, T time steps, N steps of all sequences, n steps of a block, U units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import UsageError
from ..model import Array
from ..traces import STATE_TENSORS, Trace
from .cells import TracedCell, real_steps

BANDS = (9, 25, 75, 91)
"""Percentiles of the source: between the outer two, and between the inner two."""

GROUP_BYTES = 1 << 26
"""What the changes of the units that are held at a time may take."""


class Response(NamedTuple):
    """What the steps of one symbol do to one unit: ``n`` changes, their mean and percentiles."""

    n: int
    mean: float
    p9: float
    p25: float
    p75: float
    p91: float


def check_responses(kind: str, tensors: Sequence[str], labels: Sequence[Array]) -> None:
    """Make sure that there are symbols and changes.

    Raises:
        UsageError: if there are not.
    """
    if kind == "number":
        raise UsageError("a response is that to a symbol, and the label is a number; kind: class")
    others = [name for name in tensors if name not in STATE_TENSORS]
    if others:
        raise UsageError(f"a response is a change of h or c; found '{others[0]}'")
    if any(array.ndim == 1 for array in labels):
        raise UsageError("a response is a change at a step, and the labels are one a sequence")


def responses(
    cells: Sequence[TracedCell], labels: Sequence[Array], tensor: str, names: Sequence[str]
) -> list[dict[str, Response]]:
    """Of each unit the response to each symbol that occurs.

    Units are looked at in groups, and for each group all steps are read again.

    Args:
        cells: of the runs.
        labels: for each run (B, T), numbers of symbols, NaN for none.
        tensor: ``h`` or ``c``.
        names: of the symbols.

    Raises:
        InputError: if a trace lacks the tensor.
    """
    units, steps = cells[0].shape(tensor)[2], sum(array.size for array in labels)
    together = max(1, GROUP_BYTES // (8 * max(1, steps)))
    found: list[dict[str, Response]] = []
    for first in range(0, units, together):
        group = slice(first, min(first + together, units))
        changed, symbols = _gathered(cells, labels, tensor, group)
        known = np.isfinite(changed).all(axis=1)
        found += _told(changed[known], symbols[known], names)
    return found


def _told(changed: Array, symbols: Array, names: Sequence[str]) -> list[dict[str, Response]]:
    """Of each unit, from changes (N, units) and the numbers of their symbols (N,)."""
    found: list[dict[str, Response]] = [{} for _ in range(changed.shape[1])]
    for number, name in enumerate(names):
        own = changed[symbols == number]
        if not len(own):
            continue
        means, bands = own.mean(axis=0), np.percentile(own, BANDS, axis=0)
        for unit, told in enumerate(found):
            told[name] = Response(len(own), float(means[unit]), *map(float, bands[:, unit]))
    return found


def _gathered(
    cells: Sequence[TracedCell], labels: Sequence[Array], tensor: str, group: slice
) -> tuple[Array, Array]:
    """Changes of some units at all real steps that have a symbol, (N, units); the symbols, (N,)."""
    changed, symbols = [np.zeros((0, group.stop - group.start))], [np.zeros(0)]
    for cell, own in zip(cells, labels, strict=True):
        for start, stop in cell.blocks():
            trace = cell.read(start, stop, (tensor,))
            symbol = own[:, start:stop]
            real = real_steps(trace) & ~np.isnan(symbol)
            changed.append(changes(trace, tensor, cell, start, group)[real])
            symbols.append(symbol[real])
    return np.concatenate(changed), np.concatenate(symbols)


def changes(trace: Trace, tensor: str, cell: TracedCell, start: int, units: slice) -> Array:
    """What each step changed in some units, (B, n, units).

    NaN at the first step that the cell read where the state before that is not known.

    Args:
        trace: a block, with the state before it.
        tensor: ``h`` or ``c``.
        cell: whose block it is.
        start: of its first step in the cell's trace.
        units: which.
    """
    states = trace.arrays[tensor][..., units].astype(np.float64)
    size, backward = states.shape[1], cell.is_backward
    at_the_edge = start + size == cell.steps if backward else start == 0
    first = trace.arrays.get(f"initial_{tensor}")
    if first is None or (at_the_edge and cell.cut.begins_late(backward)):
        edge = np.full(states[:, 0].shape, np.nan)
    else:
        edge = first[..., units].astype(np.float64)
    before = np.zeros_like(states)
    if not backward:
        before[:, 1:], before[:, 0] = states[:, :-1], edge
        return states - before
    before[:, :-1] = states[:, 1:]
    lengths = trace.arrays.get("lengths", np.full(len(states), size)).astype(np.intp)
    rows = np.flatnonzero(lengths > 0)
    before[rows, lengths[rows] - 1] = edge[rows]
    return states - before
