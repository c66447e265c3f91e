"""Where NaN and infinity come from: the first step, tensor and unit that had one.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Array
from ..traces import GATE_TENSORS, Trace
from .cut import cut_of

COMPUTED = ("x", "i", "f", "g", "c", "o", "h")
"""What a step computes, in the order in which each needs those before it."""

BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softsign", "softmax")


@dataclass(frozen=True, slots=True)
class NonFinite:
    """The first value that is NaN or infinite, in the order in which the cell reads and computes.

    Attributes:
        cell: the cell's name.
        source: the input or trace.
        sequence, step: where; the step is the input's.
        tensor: the first in the order of computation; ``x`` where the input had it already.
        units: all units of that tensor that have one at that step; features of ``x``.
        value: ``NaN`` or ``infinity``, of the first of them.
        largest_before: the largest |c| of the step before, which shows an overflow coming.
        hint: what may explain it, a clause; or nothing.
    """

    cell: str
    source: str
    sequence: int
    step: int
    tensor: str
    units: tuple[int, ...]
    value: str
    largest_before: float
    hint: str = ""

    def facts(self) -> dict[str, Any]:
        """By name, ready for JSON."""
        return {
            name: getattr(self, name)
            for name in (
                *("cell", "source", "sequence", "step", "tensor", "units", "value"),
                *("largest_before", "hint"),
            )
        }


def finite_rows(trace: Trace, real: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Real steps at which every value of the cell is finite, (B, T)."""
    finite = real
    for name in COMPUTED[1:]:
        array = trace.arrays.get(name)
        if array is not None:
            finite = finite & np.isfinite(array).all(axis=-1)
    return finite


def all_finite(array: Array) -> bool:
    """Whether every value is: then their squares have a finite sum, unless that overflows."""
    flat = array.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.dot(flat, flat)):
            return True
    return bool(np.isfinite(flat).all())


def first_nonfinite(
    trace: Trace, bad: NDArray[np.bool_], first_step: int, source: str, cell: str
) -> NonFinite:
    """The first of a block.

    Args:
        trace: the block.
        bad: real steps with a value that is not finite, (B, T), at least one.
        first_step: the input's number of the block's first step.
        source: the input or trace.
        cell: the cell's name.
    """
    backward = trace.meta.get("direction") == "backward"
    steps = np.flatnonzero(bad.any(axis=0))
    step = int(steps[-1] if backward else steps[0])
    sequence = int(np.flatnonzero(bad[:, step])[0])
    tensor, values = next(
        (name, trace.arrays[name][sequence, step])
        for name in COMPUTED
        if name in trace.arrays and not np.isfinite(trace.arrays[name][sequence, step]).all()
    )
    units = np.flatnonzero(~np.isfinite(values))
    value = "NaN" if np.isnan(values[units[0]]) else "infinity"
    c, h = (_before(trace, state, sequence, step) for state in "ch")
    before = float(np.abs(c).max())
    held = not (np.isfinite(c).all() and np.isfinite(h).all())
    hint = _hint(trace, tensor, value, before, held)
    cut = cut_of(trace.meta, trace.arrays["c"].shape[2])
    numbers = tuple(cut.number(int(unit), tensor) for unit in units)
    place = (source, sequence, step + first_step, tensor, numbers, value)
    return NonFinite(cell, *place, before, hint)


def _before(trace: Trace, name: str, sequence: int, step: int) -> Array:
    """h or c of the step that was read before, or the initial one; nothing where not known."""
    other = step + 1 if trace.meta.get("direction") == "backward" else step - 1
    array, initial = trace.arrays.get(name), trace.arrays.get(f"initial_{name}")
    if array is not None and 0 <= other < array.shape[1]:
        return np.asarray(array[sequence, other])
    return np.zeros(1) if initial is None else np.asarray(initial[sequence])


def _hint(trace: Trace, tensor: str, value: str, before: float, held: bool) -> str:
    """What may explain the first value that is not finite.

    Args:
        before: the largest |c| of the step before.
        held: whether the state before was not finite: then no step made it so.
    """
    if tensor == "x":
        return "the layer's input held it already"
    if held:
        return "the initial state held it already"
    activations = [str(trace.meta.get(key, "")) for key in ("activation", "recurrent_activation")]
    unbounded = [name for name in activations if name and name.split(" ")[0] not in BOUNDED]
    if unbounded and (value == "infinity" or before > 1e6):
        return f"the activation {unbounded[0]} has no bound, and c grew to {before:.3g} before"
    if tensor in GATE_TENSORS:
        return "its input, the state before it or the weights were not finite, or overflowed"
    return ""
