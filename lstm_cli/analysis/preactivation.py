"""What a gate saw: its pre-activation as a sum of input features, recurrent units and bias.

z[t] = x[t] W + h[t-1] U + b (+ peephole), a term for every number of x and h; t-1 is the step that
the cell read before.

Letters: F input features, U units, P size of the hidden state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ..errors import InputError, NoSuchNameError, UnsupportedFeatureError, numbered
from ..model import GATES, PEEPHOLES, Array, LstmCell
from ..traces import Trace
from .cell_inputs import read_input
from .cells import TracedCell, real_steps
from .lengths import check_step

Source = Literal["x", "h", "c"]


@dataclass(frozen=True, slots=True)
class Term:
    """One product: ``value`` of feature or unit ``index`` times its ``weight``.

    ``source`` is ``x``, ``h`` of the step before, or ``c`` through a peephole.
    """

    source: Source
    index: int
    value: float
    weight: float

    @property
    def product(self) -> float:
        return self.value * self.weight


@dataclass(frozen=True, slots=True)
class GateSplit:
    """The parts of one gate's pre-activation.

    Attributes:
        cell, unit, sequence, step, gate: which.
        value: the gate itself.
        z: its pre-activation as computed by the run; None where the trace does not hold it.
        terms: all products, largest first.
        bias: of this gate.
        clipped: what a clip of the pre-activation took away; 0 without one.
    """

    cell: str
    unit: int
    sequence: int
    step: int
    gate: str
    value: float
    z: float | None
    terms: tuple[Term, ...]
    bias: float
    clipped: float = 0.0

    def part(self, source: Source) -> float:
        """The sum of the products with ``x``, ``h`` or ``c``."""
        return float(sum(term.product for term in self.terms if term.source == source))

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return sum(self.part(source) for source in ("x", "h", "c")) + self.bias + self.clipped

    @property
    def residual(self) -> float | None:
        """``z`` less ``total``: rounding; None where the trace does not hold z."""
        return None if self.z is None else self.z - self.total

    def facts(self, count: int | None = None) -> dict[str, Any]:
        """Everything, by name, the ``count`` largest terms first."""
        head = ("cell", "unit", "sequence", "step", "gate", "value", "z")
        return {
            **{name: getattr(self, name) for name in head},
            "from_input": self.part("x"),
            "from_recurrent": self.part("h"),
            "from_peephole": self.part("c"),
            "bias": self.bias,
            "clipped": self.clipped,
            "sum": self.total,
            "residual": self.residual,
            "terms": [{**asdict(term), "product": term.product} for term in self.terms[:count]],
        }


def split_gate(
    cells: Mapping[str, TracedCell],
    name: str,
    gate: str,
    unit: int,
    step: int,
    sequence: int = 0,
    weights: LstmCell | None = None,
) -> GateSplit:
    """The parts of a gate's pre-activation at a step of the input.

    Args:
        cells: of the trace: a stacked cell's input is what the cells below it did.
        name: which of them.
        gate: ``i``, ``f``, ``g`` or ``o``.
        unit, step, sequence: which.
        weights: of the cell; None for those that the trace holds.

    Raises:
        InputError: if the trace lacks h, x or the weights; if there is no such unit, step or
            sequence, or the step is masked.
        NoSuchNameError: if there is no such gate.
        UnsupportedFeatureError: if z is no such sum.
    """
    cell = cells[name]
    if gate not in GATES:
        raise NoSuchNameError("gate", gate, GATES)
    held = weights or _weights(cell)
    _check(cell, held, gate, unit, step, sequence)
    trace = cell.read(step, step + 1, _tensors(cell, gate, held))
    if not real_steps(trace)[sequence, 0]:
        raise InputError(f"step {step} of sequence {sequence} is masked: no gate was applied")
    column = GATES.index(gate) * held.units + unit
    x = read_input(cells, name, step, held.input_size)[sequence]
    before = ["initial_h"] + (["initial_c"] if "c" in trace.arrays else [])
    cell.require([name for name in before if name not in trace.arrays])
    h = trace.arrays["initial_h"][sequence]
    terms = [*_terms("x", x, held.kernel[:, column]), *_terms("h", h, _recurrent(held, column))]
    terms += _peephole(held, gate, unit, trace, sequence)
    bias = 0.0 if held.bias is None else float(held.bias[column])
    total = sum(term.product for term in terms) + bias
    clipped = 0.0 if held.clip is None else float(np.clip(total, -held.clip, held.clip)) - total
    z = trace.arrays.get(f"z_{gate}")
    return GateSplit(
        name,
        unit,
        sequence,
        step,
        gate,
        float(trace.arrays[gate][sequence, 0, unit]),
        None if z is None else float(z[sequence, 0, unit]),
        tuple(sorted(terms, key=lambda term: -abs(term.product))),
        bias,
        clipped,
    )


def _weights(cell: TracedCell) -> LstmCell:
    """A cell of the arrays that a trace holds; x is asked for with them, in one sentence."""
    cell.require(("kernel", "recurrent_kernel", "x", "h"))
    arrays: dict[str, Any] = dict(cell.weights())
    settings: dict[str, Any] = {
        name: cell.meta[name] for name in ("clip", "coupled") if name in cell.meta
    }
    return LstmCell(**({"bias": None} | settings | arrays))


def _tensors(cell: TracedCell, gate: str, weights: LstmCell) -> list[str]:
    names = ["h", gate]
    names += ["c"] if weights.peepholes is not None and gate in PEEPHOLES else []
    return names + ([f"z_{gate}"] if f"z_{gate}" in cell.tensors else [])


def _check(
    cell: TracedCell, weights: LstmCell, gate: str, unit: int, step: int, sequence: int
) -> None:
    if weights.layer_norm is not None:
        raise UnsupportedFeatureError(
            "the cell normalises its pre-activations over units, so that they are no sum of terms"
        )
    if weights.coupled == gate:
        other = "i" if gate == "f" else "f"
        raise UnsupportedFeatureError(
            f"gate {gate} is 1 - {other} in this cell; ask for gate {other}"
        )
    if weights.units != cell.units:
        raise InputError(
            f"the weights are of {weights.units} units, the trace of {cell.units}; export all units"
        )
    if not 0 <= unit < cell.units:
        raise InputError(f"unit {unit}: the trace has {numbered('unit', cell.units)}")
    check_step(cell, step, sequence)


def _terms(source: Source, values: Array, weights: Array) -> Iterator[Term]:
    pairs = zip(values.astype(np.float64), weights.astype(np.float64), strict=True)
    for index, (value, weight) in enumerate(pairs):
        yield Term(source, index, float(value), float(weight))


def _recurrent(weights: LstmCell, column: int) -> Array:
    return np.asarray(weights.recurrent_kernel[:, column])


def _peephole(weights: LstmCell, gate: str, unit: int, trace: Trace, sequence: int) -> list[Term]:
    """What the gate sees of its unit's own c: the one before, or the new one for o."""
    if weights.peepholes is None or gate not in PEEPHOLES:
        return []
    c = trace.arrays["c"][:, 0] if gate == "o" else trace.arrays["initial_c"]
    weight = weights.peepholes[PEEPHOLES.index(gate), unit]
    return [Term("c", unit, float(c[sequence, unit]), float(weight))]
