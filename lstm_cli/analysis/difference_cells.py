"""Two cells beside each other, gathered block by block.

Letters: B sequences, T time steps, t steps of a block, U units.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..model import Array
from ..traces import Trace
from .cells import TracedCell, real_steps
from .cut import Cut
from .difference_report import CellDifference, Place, TensorDifference, UnitDifference
from .difference_sums import Tolerance, doubles
from .difference_tensors import TensorPair

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
        for name in names:  # one after another, so that what is read is still at hand
            left, right = (cell.read(start, stop, (name,), states=False) for cell in (a, b))
            pair.add(name, left, right, start)
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
        cosine = each.cosine
        if cosine.step >= 0:
            cosine = cosine._replace(step=cosine.step + cut.first_step)
        return replace(each, first=first, worst=worst, cosine=cosine)

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
                "be compared value by value (--representation compares units of other numbers)"
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
        self._cells = a, b
        self._steps = min(a.steps, b.steps)
        self._backward, self._lengths = a.is_backward, a.lengths
        self._tensors = {name: TensorPair(tolerance) for name in names}
        self._norms: list[Array] = []

    def add(self, name: str, a: Trace, b: Trace, first_step: int) -> None:
        """Take in a block of one tensor of both, over the same steps."""
        pair, either = self._tensors[name], real_steps(a) | real_steps(b)
        # Outputs stand in the framework's own order, where the mask would not fit.
        real = np.ones_like(either) if name in OUTPUTS else either
        pair.add(a.arrays[name], b.arrays[name], real, first_step)
        if name == "h":
            squares = pair.sums.step_squares
            if squares is None:
                with np.errstate(invalid="ignore", over="ignore"):
                    step = doubles(b.arrays["h"]) - doubles(a.arrays["h"])
                    squares = np.einsum("btu,btu->bt", step, step)
            # A masked step repeats h.
            self._norms.append(np.where(either, np.sqrt(squares), np.nan))

    def result(self) -> CellDifference:
        """What was found."""
        tensors = {name: self._tensor(name, pair) for name, pair in self._tensors.items()}
        first = self._first(tensors)
        a, b = self._cells
        return CellDifference(
            a.name,
            b.name,
            tuple(tensors.values()),
            first,
            self._growth(first),
            self._worst_units(tensors),
            self._steps,
        )

    def _tensor(self, name: str, pair: TensorPair) -> TensorDifference:
        worst = None if pair.worst is None else pair.worst[1]
        places = pair.first_beyond(last=self._backward)
        first = None
        if places:
            _, sequence, step = min((self._order(b, t), b, t) for t, b in places)
            first = Place(sequence, step, self._unit(name, pair, sequence, step))
        figures, least = pair.sums.figures(), pair.cosines.least()
        return TensorDifference(name, figures, pair.bound, first, worst, pair.steps_beyond(), least)

    def _unit(self, name: str, pair: TensorPair, sequence: int, step: int) -> int:
        """The unit that is farthest beyond the tolerance at a step, which is read once more."""
        a, b = (cell.read(step, step + 1, (name,), states=False) for cell in self._cells)
        sides = (trace.arrays[name][sequence, 0].reshape(1, -1) for trace in (a, b))
        return int(pair.excess(*sides)[0].argmax())

    def _order(self, sequence: int, step: int) -> int:
        """How many steps of the sequence the cell read before this one."""
        if not self._backward:
            return step
        steps = self._steps if self._lengths is None else int(self._lengths[sequence])
        return steps - 1 - step

    def _first(self, tensors: Mapping[str, TensorDifference]) -> TensorDifference | None:
        different = [tensor for tensor in tensors.values() if tensor.first is not None]
        # Outputs come from h, and may stand in another order of steps, that of the framework.
        inner = [tensor for tensor in different if tensor.tensor not in OUTPUTS]
        different = inner or different
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
        read, logs = np.flatnonzero(told).astype(np.float64), np.log(norms[told])
        read -= read.mean()
        return float(read @ logs / (read @ read))

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


def _same_masks(a: Trace, b: Trace) -> bool:
    masks = [trace.arrays.get("mask") for trace in (a, b)]
    if masks[0] is None or masks[1] is None:
        return all(mask is None or bool(np.all(mask)) for mask in masks)
    return bool(np.array_equal(masks[0], masks[1]))


def _size(shape: tuple[int, ...]) -> str:
    units = " x ".join(map(str, shape[2:])) or "1"
    return f"{shape[0]} sequence{'' if shape[0] == 1 else 's'} of {units} units"
