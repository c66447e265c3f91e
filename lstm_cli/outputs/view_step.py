"""The numbers of one unit at one step, and the equations that lead from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis.cells import TracedCell, real_steps
from ..analysis.lengths import length_of
from ..analysis.preactivation import GateSplit, split_gate
from ..errors import InputError, UnsupportedFeatureError
from ..model import LstmCell
from ..traces import GATE_TENSORS, PRE_ACTIVATIONS, STATE_TENSORS, Trace

_LEFT_OUT = "step {}, which the cell read before, was left out (--steps)"

MOST_TERMS = 3
"""The largest products of a gate that are given with it."""


@dataclass(frozen=True, slots=True)
class GateNumbers:
    """One gate at the step.

    Attributes:
        gate: ``i``, ``f``, ``g`` or ``o``.
        activation: by name, without its numbers.
        value: what it was; None where it was not applied, or the trace lacks it.
        z: its pre-activation, where the trace holds it.
        split: its parts, where weights and input are there.
        reason: why it is not split; empty where it is.
    """

    gate: str
    activation: str
    value: float | None
    z: float | None
    split: GateSplit | None
    reason: str

    @property
    def known_z(self) -> float | None:
        """The pre-activation, of the trace or else as the sum of its parts."""
        return self.split.total if self.z is None and self.split else self.z


@dataclass(frozen=True, slots=True)
class StepNumbers:
    """What one unit did at one step of the input.

    Attributes:
        cell, sequence, step, unit, label: which, by the numbers of the input's step and the layer's
            unit; the label is empty without labels.
        masked: whether no gate was applied, so that h and c are those of the step before.
        before: the step that the cell read before; None at the first.
        h, c, c_before: hidden state, cell state, and the cell state before the step; None where
            the trace lacks them.
        gates: in the order i f g o.
        squash: the activation of c, by name.
        projected: whether h is o·act(c) only after a projection.
    """

    cell: str
    sequence: int
    step: int
    unit: int
    label: str
    masked: bool
    before: int | None
    h: float | None
    c: float | None
    c_before: float | None
    gates: tuple[GateNumbers, ...]
    squash: str
    projected: bool

    def gate(self, name: str) -> GateNumbers:
        """``i``, ``f``, ``g`` or ``o``."""
        return next(gate for gate in self.gates if gate.gate == name)

    @property
    def update(self) -> float | None:
        """f·c₋₁ + i·g; None where one of them is not there."""
        i, f, g = (self.gate(name).value for name in ("i", "f", "g"))
        if i is None or f is None or g is None or self.c_before is None:
            return None
        return f * self.c_before + i * g

    @property
    def squashed(self) -> float | None:
        """tanh(c); None where another activation is applied to c."""
        return float(np.tanh(self.c)) if self.c is not None and self.squash == "tanh" else None

    def facts(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        head = ("cell", "sequence", "step", "label", "unit", "masked")
        return {
            **{name: getattr(self, name) for name in head},
            "step_before": self.before,
            "h": self.h,
            "c": self.c,
            "c_before": self.c_before,
            "update": self.update,
            "gates": {gate.gate: _gate_facts(gate) for gate in self.gates},
        }


def read_step(
    cells: Mapping[str, TracedCell],
    name: str,
    unit: int,
    step: int,
    sequence: int = 0,
    *,
    weights: LstmCell | None = None,
    label: str = "",
) -> StepNumbers:
    """What a unit did at a step, as far as the trace holds it.

    Args:
        cells: of the trace.
        name: which of them.
        unit, step, sequence: which, counted from the first that the trace holds.
        weights: of the cell; None for those that the trace holds.
        label: of the step.
    """
    cell = cells[name]
    wanted = (*STATE_TENSORS, *GATE_TENSORS, *PRE_ACTIVATIONS)
    trace = cell.read(step, step + 1, [tensor for tensor in wanted if tensor in cell.tensors])
    masked = not bool(real_steps(trace)[sequence, 0])
    held = {tensor: _number(trace, tensor, sequence, unit) for tensor in wanted}
    place = (name, unit, step, sequence)
    before, known = _step_before(cell, step, sequence)
    initial = trace.arrays.get("initial_c") if known else None
    left_out = "" if known else _LEFT_OUT.format(before)
    return StepNumbers(
        name,
        sequence,
        step + cell.cut.first_step,
        cell.cut.number(unit),
        label,
        masked,
        before,
        held["h"],
        held["c"],
        None if initial is None else float(initial[sequence, unit]),
        tuple(
            _masked_gate(cell, gate, weights)
            if masked
            else _gate(cells, gate, place, held, weights, left_out)
            for gate in GATE_TENSORS
        ),
        _activation(cell, weights, "c"),
        _is_projected(cell, weights),
    )


def _gate(
    cells: Mapping[str, TracedCell],
    gate: str,
    place: tuple[str, int, int, int],
    held: Mapping[str, float | None],
    weights: LstmCell | None,
    reason: str,
) -> GateNumbers:
    name, unit, step, sequence = place
    split = None
    try:
        if not reason:
            split = split_gate(cells, name, gate, unit, step, sequence, weights)
    except (InputError, UnsupportedFeatureError) as error:
        reason = str(error)
    activation = _activation(cells[name], weights, gate)
    return GateNumbers(gate, activation, held[gate], held[f"z_{gate}"], split, reason)


def _masked_gate(cell: TracedCell, gate: str, weights: LstmCell | None) -> GateNumbers:
    activation = _activation(cell, weights, gate)
    return GateNumbers(gate, activation, None, None, None, "no gate was applied")


def _number(trace: Trace, tensor: str, sequence: int, unit: int) -> float | None:
    array = trace.arrays.get(tensor)
    if array is None or unit >= array.shape[2]:
        return None
    return float(array[sequence, 0, unit])


def _step_before(cell: TracedCell, step: int, sequence: int) -> tuple[int | None, bool]:
    """The number of the step that the cell read before this one, and whether the trace knows it."""
    backward, first = cell.is_backward, cell.cut.first_step
    before = step + 1 if backward else step - 1
    length = length_of(cell, sequence)
    if 0 <= before < length:
        return before + first, True
    late = cell.cut.begins_late(backward) and (not backward or length == cell.steps)
    return (before + first, False) if late else (None, True)


def _activation(cell: TracedCell, weights: LstmCell | None, of: str) -> str:
    """The activation of a gate, of g or of c, by name."""
    if weights is not None:
        own = {"g": weights.activation, "c": weights.output_activation or weights.activation}
        return own.get(of, weights.recurrent_activation).name
    names = {"g": ("activation",), "c": ("output_activation", "activation")}
    default = "tanh" if of in names else "sigmoid"
    found = (cell.meta.get(name) for name in names.get(of, ("recurrent_activation",)))
    return str(next((name for name in found if name), default)).split(" ", 1)[0]


def _is_projected(cell: TracedCell, weights: LstmCell | None) -> bool:
    if weights is not None:
        return weights.projection is not None
    both = "h" in cell.tensors and "c" in cell.tensors
    return "projection" in cell.others or (both and cell.shape("h") != cell.shape("c"))


def _gate_facts(gate: GateNumbers) -> dict[str, Any]:
    facts: dict[str, Any] = {"value": gate.value, "z": gate.known_z}
    if gate.split is None:
        return {**facts, "not_split": gate.reason}
    found = gate.split.facts(MOST_TERMS)
    names = ("from_input", "from_recurrent", "from_peephole", "bias", "clipped", "terms")
    return {**facts, **{name: found[name] for name in names}}
