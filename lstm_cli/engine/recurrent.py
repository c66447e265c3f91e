"""A recurrent layer over a sequence: its cells, directions, masks and merge.

Letters: B sequences, T time steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..model import Array, Direction, MaskedOutput, Recurrent
from .recurrence import CellRunner

States = Mapping[str, tuple[Array, ...]]
"""States by part name (``""``, ``forward``, ``0`` …), each array of shape (B, U)."""


@dataclass(slots=True, eq=False, repr=False)
class LayerResult:
    """What one call of a recurrent layer did.

    Attributes:
        steps: per part, the per-step arrays that were asked for, (B, T, U), in input order.
        initial, final: per part, the states before the first and after the last step read.
        sequences: what the layer returns at every step, (B, T, U), in the framework's order: one
            array, or two where the directions are not merged.
        levels: the same for each level below the last, by its part name.
        last: the same without the time axis, (B, U).
        seen: whether each sequence has had a real step by now, (B,).
    """

    steps: dict[str, dict[str, Array]] = field(default_factory=dict)
    initial: dict[str, tuple[Array, ...]] = field(default_factory=dict)
    final: dict[str, tuple[Array, ...]] = field(default_factory=dict)
    sequences: list[Array] = field(default_factory=list)
    last: list[Array] = field(default_factory=list)
    levels: dict[str, list[Array]] = field(default_factory=dict)
    seen: Array | None = None


class _Run(NamedTuple):
    """What the cells of a layer share: see ``LayerRunner.run``; ``real`` is mask and lengths."""

    states: States
    real: Array | None
    lengths: Array | None
    keep: Collection[str]
    seen: Array | None


_Level = list[tuple[Direction, list[str]]]


class LayerRunner:
    """A recurrent layer, its cells folded once for a dtype."""

    def __init__(self, layer: Recurrent, dtype: np.dtype[np.floating]) -> None:
        self.layer = layer
        self.runners = {name: CellRunner(cell, dtype) for name, _, cell in layer.cells()}
        self.dtype = dtype
        names = iter(self.runners)
        self._levels = [
            [(way, [next(names) for _ in way.cells]) for way in level] for level in layer.levels
        ]

    def zero_states(self, batch: int) -> dict[str, tuple[Array, ...]]:
        """Zeros for every part, (B, P) and (B, U)."""
        return {
            name: tuple(np.zeros((batch, size), self.dtype) for size in cell.state_sizes.values())
            for name, _, cell in self.layer.cells()
        }

    def run(
        self,
        x: Array,
        states: States,
        *,
        mask: Array | None = None,
        lengths: Array | None = None,
        keep: Collection[str] = (),
        sequences: bool = True,
        seen: Array | None = None,
    ) -> LayerResult:
        """Read a sequence.

        Args:
            x: (B, T, F).
            states: for every part.
            mask: (B, T), true for a real step.
            lengths: (B,); steps beyond a sequence's length do not exist for it.
            keep: per-step tensors to return.
            sequences: whether the outputs of every step are wanted, beside the last.
            seen: (B,), which sequences have had a real step before; for a sequence in blocks.
        """
        result = LayerResult(initial=dict(states))
        run = _Run(states, _within(lengths, x.shape[1], mask), lengths, keep, seen)
        for number, level in enumerate(self._levels):
            top = number == len(self._levels) - 1
            outputs, lasts = self._level(result, level, x, run)
            merged = self._merged(outputs) if sequences or not top else []
            if not top:
                result.levels[f"l{number}"] = merged
                x = merged[0]
            else:
                result.sequences, result.last = merged, self._merged(lasts)
        if run.real is not None:
            now = np.asarray(run.real.any(axis=1))
            result.seen = now if seen is None else seen | now
        return result

    def _level(
        self, result: LayerResult, level: _Level, x: Array, run: _Run
    ) -> tuple[list[Array], list[Array]]:
        """Outputs of every step and last ones, of each direction of one level."""
        outputs, lasts = [], []
        for number, (direction, parts) in enumerate(level):
            aligned, last = self._direction(result, direction, parts, x, run)
            if run.lengths is not None:
                _end(result, parts, aligned, run.lengths, self.layer.convention.startswith("onnx"))
            lasts.append(last)
            # In processing order; of two directions the second is put back in input order.
            flipped = direction.go_backwards != (number == 1)
            if flipped and not self.layer.convention.startswith("onnx"):
                aligned = _reversed(aligned, run.lengths)
            outputs.append(aligned)
        return outputs, lasts

    def _direction(
        self, result: LayerResult, direction: Direction, parts: list[str], x: Array, run: _Run
    ) -> tuple[Array, Array]:
        """Run the cells of one direction; its outputs (B, T, U) in input order, and the last."""
        reverse, real, lengths = direction.go_backwards, run.real, run.lengths
        hidden: list[Array] = []
        for part in parts:
            state = run.states[part]
            kept = {*run.keep, "h"} & _tensors(state)
            steps = self.runners[part].run(x, state, mask=real, reverse=reverse, keep=kept)
            x = steps.arrays["h"]
            hidden.append(x)
            result.steps[part] = {
                name: steps.arrays[name] for name in run.keep if name in steps.arrays
            }
            result.final[part] = steps.final
        end: Any = 0 if reverse else -1
        if real is None:
            return hidden[-1], hidden[-1][:, end]
        shown = hidden[-1 if self.layer.reverse_state_order else 0]
        waiting = _before_first(real, reverse, run.seen)
        mirrored = _reversed(real, lengths)
        aligned = _masked_output(
            direction.masked_output, hidden[-1], shown, real, waiting, mirrored
        )
        if lengths is not None and not reverse:
            end = np.maximum(lengths - 1, 0)
        at = (np.arange(len(x)), end)  # each sequence's step that was read last
        last = _masked_output(
            direction.masked_last, hidden[-1][at], shown[at], real[at], waiting[at], mirrored[at]
        )
        return aligned, last

    def _merged(self, outputs: Sequence[Array]) -> list[Array]:
        if len(outputs) < 2 or self.layer.merge_mode is None:
            return list(outputs)
        first, second = outputs
        if self.layer.merge_mode == "concat":
            return [np.concatenate([first, second], axis=-1)]
        if self.layer.merge_mode == "mul":
            return [first * second]
        total = first + second
        return [total if self.layer.merge_mode == "sum" else total / total.dtype.type(2)]


def _tensors(state: tuple[Array, ...]) -> set[str]:
    """The per-step tensors that a cell with such a state has."""
    if len(state) == 1:
        return {"h"}
    return {"h", "c", "i", "f", "g", "o", "z_i", "z_f", "z_g", "z_o"}


def _within(lengths: Array | None, steps: int, mask: Array | None) -> Array | None:
    """The mask, and nothing beyond each sequence's length; None where every step is real."""
    if lengths is not None:
        inside = np.arange(steps) < lengths[:, None]  # (B, T)
        mask = inside if mask is None else mask & inside
    return None if mask is None or mask.all() else mask


def _end(
    result: LayerResult, parts: list[str], aligned: Array, lengths: Array, zero_states: bool
) -> None:
    """Beyond a sequence's length there are no steps: h, c and output are 0 (gates are NaN).

    With ``zero_states`` a sequence without any step ends in zeros, not in its initial state.
    """
    beyond = np.arange(aligned.shape[1]) >= lengths[:, None]  # (B, T)
    if not beyond.any():
        return
    aligned[beyond] = 0
    for part in parts:
        for name, array in result.steps[part].items():
            if name in ("h", "c"):
                array[beyond] = 0
        if zero_states:
            for state in result.final[part]:
                state[lengths == 0] = 0


def _reversed(array: Array, lengths: Array | None) -> Array:
    """(B, T, ...) with each sequence's own steps in reverse; beyond its end nothing moves."""
    if lengths is None:
        return array[:, ::-1]
    steps = np.arange(array.shape[1])
    last = lengths[:, None] - 1
    order = np.where(steps <= last, last - steps, steps)  # (B, T)
    return array[np.arange(len(array))[:, None], order]


def _before_first(real: Array, reverse: bool, seen: Array | None) -> Array:
    """Steps (B, T) that are read before a sequence's first real step."""
    order = real[:, ::-1] if reverse else real
    begun = np.logical_or.accumulate(order, axis=1)
    begun = begun[:, ::-1] if reverse else begun
    return ~begun if seen is None else ~(begun | seen[:, None])


def _masked_output(
    rule: MaskedOutput, hidden: Array, first: Array, real: Array, waiting: Array, mirrored: Array
) -> Array:
    """Outputs (B, T, U), or those of one step (B, U), with the rule for masked steps applied.

    Args:
        rule: see ``Direction.masked_output``.
        hidden: h of the last cell; it repeats at masked steps, so it is the previous output there.
        first: h of the cell whose state comes first, for the rule ``state``.
        real, waiting: (B, T), or (B,).
        mirrored: ``real`` with the steps in reverse.
    """
    if rule == "state":
        if first is hidden or first.shape != hidden.shape:
            return hidden.copy()
        return np.where(real[..., None], hidden, first)
    blank = ~real if rule == "zeros" else waiting
    if rule == "mirrored zeros":
        blank = waiting | ~mirrored
    return np.where(blank[..., None], hidden.dtype.type(0), hidden)
