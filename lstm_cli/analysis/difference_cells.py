"""Two cells beside each other, gathered block by block.

Letters: B sequences, T time steps, t steps of a block, U units.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model import Array
from ..traces import Trace
from .cells import TracedCell, real_steps
from .cut import Cut
from .difference_report import CellDifference, Place, TensorDifference, UnitDifference
from .difference_sums import DifferenceSums, Tolerance, doubles

BLOCK_STEPS = 4096
OF_UNITS = ("z_i", "z_f", "z_g", "z_o", "i", "f", "g", "c", "o", "h")
OUTPUTS = ("output", "output_0", "output_1")
COMPUTATION_ORDER = ("x", *OF_UNITS, *OUTPUTS)
"""What a step computes, in the order in which each needs those before it."""

WORST_UNITS = 5
FEWEST_GROWTH_STEPS = 3


def compare_cells(
    a: TracedCell, b: TracedCell, tolerance: Tolerance
) -> tuple[CellDifference, list[str]]:
    """Compare the steps that two cells both have, block by block.

    Returns:
        What was found, and notes on what could not be compared.

    Raises:
        InputError: if sizes differ, or there is no array that both have.
    """
    label = f"{a.name}: " if a.name else ""
    if (a.cut.first_step, a.cut.units) != (b.cut.first_step, b.cut.units):
        raise InputError(f"{label}A and B hold other steps or units; export the same of both")
    names = _shared_tensors(a, b, label)
    pair = _CellPair(a, b, names, tolerance)
    masks_differ = False
    steps = min(a.steps, b.steps)
    for start in range(0, steps, BLOCK_STEPS):
        stop = min(start + BLOCK_STEPS, steps)
        left, right = a.read(start, stop, names), b.read(start, stop, names)
        pair.add(left, right, start)
        masks_differ |= not _same_masks(left, right)
    notes = _notes(a, b, names)
    if masks_differ:
        notes.append("the masks differ")
    return _numbered(pair.result(), a.cut), [label + note for note in notes]


def _numbered(found: CellDifference, cut: Cut) -> CellDifference:
    """The same with the input's numbers of steps and the layer's of units."""

    def moved(place: Place | None, tensor: str) -> Place | None:
        if place is None:
            return None
        sequence, step, unit = place
        return Place(sequence, step + cut.first_step, cut.number(unit, tensor))

    def renamed(each: TensorDifference) -> TensorDifference:
        first, worst = moved(each.first, each.tensor), moved(each.worst, each.tensor)
        return replace(each, first=first, worst=worst)

    if cut == Cut():
        return found
    return replace(
        found,
        tensors=tuple(map(renamed, found.tensors)),
        first=None if found.first is None else renamed(found.first),
        worst_units=tuple(replace(row, unit=cut.number(row.unit)) for row in found.worst_units),
    )


def _shared_tensors(a: TracedCell, b: TracedCell, label: str) -> list[str]:
    """The tensors to compare, in the order of computation.

    Raises:
        InputError: if there are none, or their sizes differ.
    """
    mine, other = _own_tensors(a), _own_tensors(b)
    shared = [name for name in mine if name in other]
    if not shared:
        raise InputError(f"{label}the two sides have no array of steps in common")
    for name in shared:
        left, right = a.shape(name), b.shape(name)
        if (left[0], *left[2:]) != (right[0], *right[2:]):
            raise InputError(
                f"{label}{name} of A is {_size(left)}, of B {_size(right)}; only equal sizes can "
                "be compared"
            )
    return shared


def _own_tensors(cell: TracedCell) -> list[str]:
    """What a cell has of ``COMPUTATION_ORDER``; not what its layer makes of several cells."""
    shared = OUTPUTS if cell.meta.get("part") else ()
    return [name for name in COMPUTATION_ORDER if name in cell.tensors and name not in shared]


def _notes(a: TracedCell, b: TracedCell, compared: Collection[str]) -> list[str]:
    notes = []
    for side, cell in (("A", a), ("B", b)):
        alone = [name for name in _own_tensors(cell) if name not in compared]
        if alone:
            notes.append(f"only {side} holds {', '.join(alone)}")
    for name in ("initial_h", "initial_c"):
        mine, other = a.others.get(name), b.others.get(name)
        if mine is None or other is None or np.array_equal(mine, other, equal_nan=True):
            continue
        notes.append(f"{name} differs")
    return notes


class _CellPair:
    """One cell on both sides: what is gathered block by block."""

    def __init__(
        self, a: TracedCell, b: TracedCell, names: Collection[str], tolerance: Tolerance
    ) -> None:
        self._name, self._other, self._tolerance = a.name, b.name, tolerance
        self._steps = min(a.steps, b.steps)
        self._backward, self._lengths = a.is_backward, a.lengths
        self._tensors = {name: _TensorPair(tolerance.relative or 0.0) for name in names}
        self._norms: list[Array] = []

    def add(self, a: Trace, b: Trace, first_step: int) -> None:
        """Take in a block of both, over the same steps."""
        either = real_steps(a) | real_steps(b)
        for name, pair in self._tensors.items():
            # Outputs stand in the framework's own order, where the mask would not fit.
            real = np.ones_like(either) if name in OUTPUTS else either
            pair.add(a.arrays[name], b.arrays[name], real, first_step)
        if "h" in self._tensors:
            with np.errstate(invalid="ignore", over="ignore"):
                step = doubles(b.arrays["h"]) - doubles(a.arrays["h"])
                self._norms.append(np.sqrt((step**2).sum(axis=-1)))

    def result(self) -> CellDifference:
        """What was found."""
        tensors = {name: self._tensor(name, pair) for name, pair in self._tensors.items()}
        first = self._first(tensors)
        return CellDifference(
            self._name,
            self._other,
            tuple(tensors.values()),
            first,
            self._growth(first),
            self._worst_units(tensors),
            self._steps,
        )

    def _tensor(self, name: str, pair: _TensorPair) -> TensorDifference:
        figures = pair.sums.figures()
        bound = self._tolerance.bound(figures.scale, figures.precision)
        beyond = np.concatenate(pair.excess, axis=1) > bound
        worst = None if pair.worst is None else pair.worst[1]
        return TensorDifference(
            name, figures, bound, self._first_place(pair, beyond), worst, int(beyond.sum())
        )

    def _order(self, sequence: int, step: int) -> int:
        """How many steps of the sequence the cell read before this one."""
        if not self._backward:
            return step
        steps = self._steps if self._lengths is None else int(self._lengths[sequence])
        return steps - 1 - step

    def _first_place(self, pair: _TensorPair, beyond: NDArray[np.bool_]) -> Place | None:
        """The first place beyond the tolerance, in the order of reading."""
        if not beyond.any():
            return None
        rows = beyond[:, ::-1] if self._backward else beyond
        steps = rows.argmax(axis=1)
        if self._backward:
            steps = beyond.shape[1] - 1 - steps
        found = [(self._order(b, t), b, t) for b, t in enumerate(map(int, steps)) if beyond[b, t]]
        _, sequence, step = min(found)
        unit = np.concatenate(pair.units, axis=1)[sequence, step]
        return Place(sequence, step, int(unit))

    def _first(self, tensors: Mapping[str, TensorDifference]) -> TensorDifference | None:
        different = [tensor for tensor in tensors.values() if tensor.first is not None]
        if not different:
            return None
        return min(different, key=lambda t: self._order(*t.first[:2]) if t.first else 0)

    def _growth(self, first: TensorDifference | None) -> float:
        """Slope of ln ‖Δh‖ from the first difference on."""
        if first is None or first.first is None or not self._norms:
            return float("nan")
        sequence, step, _ = first.first
        norms = np.concatenate([piece[sequence] for piece in self._norms])
        norms = norms[step::-1] if self._backward else norms[step:]
        told = np.isfinite(norms) & (norms > 0)
        if told.sum() < FEWEST_GROWTH_STEPS:
            return float("nan")
        read = np.arange(len(norms))[told]
        return float(np.polyfit(read, np.log(norms[told]), 1)[0])

    def _worst_units(self, tensors: Mapping[str, TensorDifference]) -> tuple[UnitDifference, ...]:
        rows = [
            UnitDifference(unit, name, float(gap), float(gap / bound) if bound else np.inf)
            for name, bound in ((n, tensors[n].bound) for n in OF_UNITS if n in tensors)
            for unit, gap in enumerate(self._tensors[name].largest)
            if gap > 0
        ]
        best: dict[int, UnitDifference] = {}
        for row in rows:
            if row.unit not in best or row.excess > best[row.unit].excess:
                best[row.unit] = row
        ordered = sorted(best.values(), key=lambda row: (-row.excess, -row.maximum, row.unit))
        return tuple(ordered[:WORST_UNITS])


@dataclass(slots=True)
class _TensorPair:
    """One tensor of two cells: what is gathered block by block.

    Attributes:
        relative: part of |reference| that a difference may have beside the bound.
        excess: |Δ| less that part, the largest of each step, (B, t) a block.
        units: whose it is.
        largest: of each unit, (U,).
        worst: the largest |Δ| and its place.
    """

    relative: float
    sums: DifferenceSums = field(default_factory=DifferenceSums)
    excess: list[Array] = field(default_factory=list)
    units: list[Array] = field(default_factory=list)
    largest: Array = field(default_factory=lambda: np.zeros(1))
    worst: tuple[float, Place] | None = None

    def add(self, a: Array, b: Array, real: NDArray[np.bool_], first_step: int) -> None:
        """Take in a block, (B, t, U); what is not ``real``, (B, t), does not count."""
        a, b = (array.reshape(*array.shape[:2], -1) for array in (a, b))
        gap = self.sums.add(a, b, np.broadcast_to(real[..., np.newaxis], a.shape))
        excess = gap
        if self.relative:
            excess = gap - self.relative * np.abs(np.nan_to_num(doubles(a)))
        self.excess.append(excess.max(axis=-1))
        self.units.append(excess.argmax(axis=-1))
        self.largest = np.maximum(self.largest, gap.max(axis=(0, 1), initial=0.0))
        sequence, step, unit = map(int, np.unravel_index(int(gap.argmax()), gap.shape))
        top = float(gap[sequence, step, unit])
        if top > (self.worst[0] if self.worst else 0.0):
            self.worst = top, Place(sequence, step + first_step, unit)


def _same_masks(a: Trace, b: Trace) -> bool:
    masks = [trace.arrays.get("mask") for trace in (a, b)]
    if masks[0] is None or masks[1] is None:
        return all(mask is None or bool(np.all(mask)) for mask in masks)
    return bool(np.array_equal(masks[0], masks[1]))


def _size(shape: tuple[int, ...]) -> str:
    units = " x ".join(map(str, shape[2:])) or "1"
    return f"{shape[0]} sequence{'' if shape[0] == 1 else 's'} of {units} units"
