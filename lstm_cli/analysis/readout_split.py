"""What each step put into an output of the Dense layer that reads h: an exact sum over steps.

h[T] = o[T] φ(c[T]) is the sum over steps of o[T] (φ(c[s]) - φ(c[s-1])), and what the initial state
gave; weighted with the layer's weights each term is a number. A later step that forgets takes from
the sum what an earlier one put in. With c[s] replaced by what survives of it, Π f c[s] over the
steps after s, the terms sum up to the same, and what is forgotten counts for nobody.

Source: Murdoch and Szlam, "Automatic Rule Extraction from Long Short Term Memory Networks" (2017),
who take the exponentials of both.

Letters: T the step that is explained, n steps of a block, U units, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, numbered
from ..model import Activation, Array, LstmCell
from .cells import BLOCK_STEPS, TracedCell, real_steps
from .lengths import length_of
from .readouts import Readout
from .retained import last_step
from .unit_sums import Floats

Activate = Callable[[Activation, Array], Array]
"""Applies an activation."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadoutSplit:
    """The parts of one output of a Dense layer, before its activation.

    Attributes:
        cell: whose steps they are.
        layer, row: the Dense layer and which of its outputs.
        activation: of the layer, and ``output``: what that makes of ``value``.
        sequence, step: which.
        value: Σ h weights + bias.
        steps: numbers of the steps up to it, latest first, (n,).
        contributions: what each step changed in the output, (n,).
        surviving: the same of what is left of the memory at ``step``, (n,).
        initial, surviving_initial: of the initial c.
        bias: of the layer, a projection's included.
        elsewhere: from the other cells that the layer reads.
    """

    cell: str
    layer: str
    row: int
    activation: str
    sequence: int
    step: int
    value: float
    output: float
    steps: Array
    contributions: Floats
    surviving: Floats
    initial: float
    surviving_initial: float
    bias: float
    elsewhere: float

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return float(self.contributions.sum()) + self.initial + self.bias + self.elsewhere

    @property
    def residual(self) -> float:
        """``value`` less ``total``: rounding."""
        return self.value - self.total

    @property
    def surviving_residual(self) -> float:
        """``value`` less the sum of what survives: rounding."""
        known = self.surviving_initial + self.bias + self.elsewhere
        return self.value - (float(self.surviving.sum()) + known)

    def largest(self, count: int | None = None) -> Array:
        """Positions in ``steps``, the largest in ``surviving`` first; all that are not 0."""
        order = np.lexsort((-np.abs(self.contributions), -np.abs(self.surviving)))
        held = (self.contributions[order] != 0) | (self.surviving[order] != 0)
        return np.asarray(order[held][:count])

    def facts(self, count: int | None = None) -> dict[str, Any]:
        """Everything, by name, the ``count`` largest steps first."""
        names = ("sequence", "step", "value", "output", "initial", "surviving_initial")
        return {
            "cell": self.cell,
            "readout": {"layer": self.layer, "output": self.row, "activation": self.activation},
            **{name: getattr(self, name) for name in names},
            "bias": self.bias,
            "elsewhere": self.elsewhere,
            "sum": self.total,
            "residual": self.residual,
            "surviving_residual": self.surviving_residual,
            "steps": [
                {
                    "step": int(self.steps[k]),
                    "contribution": float(self.contributions[k]),
                    "surviving": float(self.surviving[k]),
                }
                for k in self.largest(count)
            ],
        }


def split_readout(
    cells: Mapping[str, TracedCell],
    name: str,
    weights: LstmCell,
    readout: Readout,
    row: int,
    step: int | None,
    sequence: int,
    activate: Activate,
) -> ReadoutSplit:
    """The parts of one output at a step of the trace.

    Args:
        cells: of the trace, those that the layer reads among them.
        name: whose steps to tell apart.
        weights: of that cell.
        readout: the layer.
        row: which output.
        step: None for the last that the cell read and that is not masked.
        sequence: which.
        activate: applies an activation.

    Raises:
        InputError: if the trace lacks something, or there is no such output.
    """
    cell = cells[name]
    _check(cell, weights, readout, row)
    asked = last_step(cell, sequence) if step is None else step
    at = _last_real(cell, asked, sequence)
    if step is None and readout.every_step:
        asked = at
    if at != asked and readout.zeros_if_masked:
        raise InputError(
            f"step {asked + cell.cut.first_step} is masked, and '{readout.layer}' reads zeros "
            f"there; the step before that is not masked is {at + cell.cut.first_step}"
        )
    own, extra = _on_units(weights, readout.weights[_part(cell)])
    now = cell.read(at, at + 1, ("h", "o")).arrays
    h, o = (now[tensor][sequence, 0].astype(np.float64) for tensor in "ho")
    elsewhere = _elsewhere(cells, cell, readout, asked, sequence)
    logits = h @ readout.weights[_part(cell)] + readout.bias + elsewhere
    parts = _parts(cell, at, sequence, o * own[:, row], _output_of(weights, activate))
    bias = float(readout.bias[row] + extra[row])
    value = float(logits[row])
    made = activate(readout.activation, logits[np.newaxis])[0]
    return ReadoutSplit(
        cell.name,
        readout.layer,
        row,
        str(readout.activation),
        sequence,
        asked + cell.cut.first_step,
        value,
        float(made[row]) if made.shape == logits.shape else float("nan"),
        *parts,
        bias,
        float(elsewhere[row]),
    )


def _check(cell: TracedCell, weights: LstmCell, readout: Readout, row: int) -> None:
    cell.require(("h", "c", "o", "f", "initial_c"))
    if not 0 <= row < readout.outputs:
        raise InputError(
            f"'{readout.layer}' has {numbered('output', readout.outputs)}, none number {row}"
        )
    if _part(cell) not in readout.weights:
        raise InputError(
            f"'{readout.layer}' does not read cell '{cell.name}' itself; choose "
            f"{' or '.join(readout.weights)} (--cell)"
        )
    if cell.cut.units is not None:
        raise InputError(
            f"the trace holds some units alone, and '{readout.layer}' reads all of them; export "
            "it without --units"
        )
    if weights.projection_clip is not None:
        raise InputError("h is clipped after its projection, so that no sum over steps gives it")


def _on_units(weights: LstmCell, kernel: Array) -> tuple[Floats, Floats]:
    """Weights on o φ(c), (U, K), and what a projection adds by itself, (K,)."""
    if weights.projection is None:
        return kernel, np.zeros(kernel.shape[1])
    bias = weights.projection_bias
    extra = np.zeros(kernel.shape[1]) if bias is None else bias.astype(np.float64) @ kernel
    return weights.projection.astype(np.float64) @ kernel, extra


def _output_of(weights: LstmCell, activate: Activate) -> Callable[[Floats], Floats]:
    """φ, which c goes through before the output gate."""
    chosen = weights.output_activation or weights.activation
    return lambda c: np.asarray(activate(chosen, c))


def _part(cell: TracedCell) -> str:
    return str(cell.meta.get("part", ""))


def _last_real(cell: TracedCell, step: int, sequence: int) -> int:
    """The step itself, or the last before it, as the cell reads, that is not masked."""
    for start, stop in _blocks(cell, step, sequence):
        real = real_steps(cell.read(start, stop, ("o",), states=False))[sequence]
        found = np.flatnonzero(real)
        if len(found):
            return start + int(found[0 if cell.is_backward else -1])
    raise InputError(f"every step of sequence {sequence} up to this one is masked")


def _blocks(cell: TracedCell, step: int, sequence: int) -> list[tuple[int, int]]:
    """Blocks of steps from one back to where the cell began."""
    if cell.is_backward:
        end = length_of(cell, sequence)
        starts = range(step, end, BLOCK_STEPS)
        return [(start, min(start + BLOCK_STEPS, end)) for start in starts]
    return [(max(0, stop - BLOCK_STEPS), stop) for stop in range(step + 1, 0, -BLOCK_STEPS)]


def _parts(
    cell: TracedCell,
    step: int,
    sequence: int,
    weights: Floats,
    activated: Callable[[Floats], Floats],
) -> tuple[Array, Floats, Floats, float, float]:
    """Steps, contributions and what survives, latest first; then what the initial c gave."""
    kept = np.ones(len(weights))
    found = []
    before = np.zeros((1, len(weights)))
    for start, stop in _blocks(cell, step, sequence):
        trace = cell.read(start, stop, ("c", "f"))
        c, f = (trace.arrays[tensor][sequence].astype(np.float64) for tensor in "cf")
        initial = trace.arrays["initial_c"][sequence : sequence + 1].astype(np.float64)
        f[~real_steps(trace)[sequence]] = 1.0
        steps = np.arange(start, stop) + cell.cut.first_step
        if not cell.is_backward:
            c, f, steps = c[::-1], f[::-1], steps[::-1]
        if not (np.isfinite(c).all() and np.isfinite(f).all()):
            raise InputError("the trace holds NaN or infinity; lstm stats says where that began")
        before = np.concatenate((c[1:], initial))
        survives = np.cumprod(np.concatenate((kept[np.newaxis], f)), axis=0)
        change = (activated(c) - activated(before)) @ weights
        left = (activated(survives[:-1] * c) - activated(survives[1:] * before)) @ weights
        found.append((steps, change, left))
        kept = survives[-1]
    first = before[-1:]
    ends = (float(activated(value)[0] @ weights) for value in (first, kept * first))
    columns = (np.concatenate(column) for column in zip(*found, strict=True))
    return (*columns, *ends)  # type: ignore[return-value]


def _elsewhere(
    cells: Mapping[str, TracedCell], cell: TracedCell, readout: Readout, step: int, sequence: int
) -> Floats:
    """What the other cells that the layer reads put into its outputs, (K,).

    Raises:
        InputError: if one of them is not there, or the step is none that the layer reads.
    """
    total = np.zeros(readout.outputs)
    others = [part for part in readout.weights if part != _part(cell)]
    if others and not readout.every_step and step != last_step(cell, sequence):
        raise InputError(
            f"'{readout.layer}' reads the last output of each direction alone; leave out the step"
        )
    for part in others:
        found = [
            other
            for other in cells.values()
            if other.meta.get("layer") == cell.meta.get("layer") and _part(other) == part
        ]
        if not found:
            raise InputError(
                f"'{readout.layer}' also reads '{part}', which is not in the trace; choose the "
                "whole layer"
            )
        at = step if readout.every_step else last_step(found[0], sequence)
        h = found[0].read(at, at + 1, ("h",), states=False).arrays["h"][sequence, 0]
        total += h.astype(np.float64) @ readout.weights[part]
    return total
