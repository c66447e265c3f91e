"""A recurrent layer over a sequence: its cells, directions, masks and merge.

Letters: B sequences, T time steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

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
        last: the same without the time axis, (B, U).
        seen: whether each sequence has had a real step by now, (B,).
    """

    steps: dict[str, dict[str, Array]] = field(default_factory=dict)
    initial: dict[str, tuple[Array, ...]] = field(default_factory=dict)
    final: dict[str, tuple[Array, ...]] = field(default_factory=dict)
    sequences: list[Array] = field(default_factory=list)
    last: list[Array] = field(default_factory=list)
    seen: Array | None = None


class LayerRunner:
    """A recurrent layer, its cells folded once for a dtype."""

    def __init__(self, layer: Recurrent, dtype: np.dtype[np.floating]) -> None:
        self.layer = layer
        self.runners = {name: CellRunner(cell, dtype) for name, _, cell in layer.cells()}
        self.dtype = dtype

    def zero_states(self, batch: int) -> dict[str, tuple[Array, ...]]:
        """Zeros for every part, (B, U)."""
        return {
            name: tuple(np.zeros((batch, cell.units), self.dtype) for _ in cell.state_names)
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
        real = _within(lengths, x.shape[1], mask)
        outputs, lasts = [], []
        for number, direction in enumerate(self.layer.directions):
            aligned, last = self._direction(result, direction, x, states, real, lengths, keep, seen)
            if lengths is not None:
                _end(result, direction, aligned, lengths)
            lasts.append(last)
            if sequences:
                # In processing order; of two directions the second is put back in input order.
                flipped = direction.go_backwards != (number == 1)
                outputs.append(_reversed(aligned, lengths) if flipped else aligned)
        if real is not None:
            now = np.asarray(real.any(axis=1))
            result.seen = now if seen is None else seen | now
        result.sequences = self._merged(outputs) if sequences else []
        result.last = self._merged(lasts)
        return result

    def _direction(
        self,
        result: LayerResult,
        direction: Direction,
        x: Array,
        states: States,
        real: Array | None,
        lengths: Array | None,
        keep: Collection[str],
        seen: Array | None,
    ) -> tuple[Array, Array]:
        """Run the cells of one direction; its outputs (B, T, U) in input order, and the last."""
        reverse = direction.go_backwards
        hidden: list[Array] = []
        for k, _ in enumerate(direction.cells):
            part = part_name(direction, k)
            kept = {*keep, "h"} & _tensors(states[part])
            steps = self.runners[part].run(x, states[part], mask=real, reverse=reverse, keep=kept)
            x = steps.arrays["h"]
            hidden.append(x)
            result.steps[part] = {name: steps.arrays[name] for name in keep if name in steps.arrays}
            result.final[part] = steps.final
        end = 0 if reverse else -1
        if real is None:
            return hidden[-1], hidden[-1][:, end]
        shown = hidden[-1 if self.layer.reverse_state_order else 0]
        waiting = _before_first(real, reverse, seen)
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


def part_name(direction: Direction, k: int) -> str:
    """Name of cell ``k`` of a direction: ``""``, ``forward``, ``0``, ``backward/1``."""
    number = str(k) if len(direction.cells) > 1 else ""
    return "/".join(filter(None, (direction.name, number)))


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


def _end(result: LayerResult, direction: Direction, aligned: Array, lengths: Array) -> None:
    """Beyond a sequence's length there are no steps: h, c and output are 0 (gates are NaN)."""
    beyond = np.arange(aligned.shape[1]) >= lengths[:, None]  # (B, T)
    if not beyond.any():
        return
    aligned[beyond] = 0
    for k, _ in enumerate(direction.cells):
        for name, array in result.steps[part_name(direction, k)].items():
            if name in ("h", "c"):
                array[beyond] = 0


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
