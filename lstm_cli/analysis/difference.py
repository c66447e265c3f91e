"""Two traces beside each other: where they first differ, in what, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, overload

from ..errors import InputError, UsageError, listing
from .cells import AnyTrace, TracedCell, cells_of
from .difference_cells import compare_cells
from .difference_report import Difference
from .difference_sums import Tolerance
from .representation import Representation, compare_representations

Side = AnyTrace | TracedCell | Mapping[str, TracedCell]


@overload
def diff(
    a: Side,
    b: Side,
    *,
    tolerance: float | None = ...,
    atol: float | None = ...,
    rtol: float | None = ...,
    representation: Literal[False] = ...,
) -> Difference: ...


@overload
def diff(a: Side, b: Side, *, representation: Literal[True]) -> Representation: ...


def diff(
    a: Side,
    b: Side,
    *,
    tolerance: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    representation: bool = False,
) -> Difference | Representation:
    """Compare ``b`` with the reference ``a``: where they first differ, in what, by how much.

    Cells are paired by name, or by position where no name is on both sides. Steps that are masked
    or beyond the end on both sides do not count; further steps of the longer side neither, but
    then the two are not the same.

    Args:
        a, b: traces, in memory or in open files; or their cells by name.
        tolerance: allow |Δ| of this times max(1, largest |a| of the array); None for 1e-5,
            1e-12 where both sides are float64, 5e-3 (ours) where one is float16.
        atol, rtol: allow |Δ| of ``atol + rtol |a|`` instead, value by value.
        representation: tell instead how alike h and c are in what their units do together, of
            cells that may have different numbers of units; there is nothing to allow then.

    Returns:
        Whether they are the same, the first difference, and figures of every array; with
        ``representation`` the likeness of each pair of cells.

    Raises:
        InputError: if there is nothing to compare, or sizes differ.
        UsageError: if a tolerance goes with ``representation``.
    """
    allowed = Tolerance(tolerance, atol, rtol)
    if representation and (tolerance is not None or allowed.by_value):
        raise UsageError("a representation has no tolerance; leave it out")
    left, right = side_cells(a), side_cells(b)
    notes: list[str] = []
    pairs = _paired(left, right, notes)
    if representation:
        likeness = [compare_representations(left[a], right[b]) for a, b in pairs.items()]
        _note_uneven(left, right, pairs, notes)
        return Representation(tuple(likeness), tuple(notes))
    cells = []
    for name, other in pairs.items():
        found, more = compare_cells(left[name], right[other], allowed)
        cells.append(found)
        notes += [note for note in more if note not in notes]
    uneven = _note_uneven(left, right, pairs, notes)
    return Difference(tuple(cells), tuple(notes), uneven)


def _note_uneven(
    a: Mapping[str, TracedCell],
    b: Mapping[str, TracedCell],
    pairs: Mapping[str, str],
    notes: list[str],
) -> bool:
    """Whether one side has more steps; says so among the notes."""
    steps = [(a[name].steps, b[other].steps) for name, other in pairs.items()]
    uneven = next((pair for pair in steps if pair[0] != pair[1]), None)
    if uneven is not None:
        notes.append(
            f"A has {uneven[0]} steps and B {uneven[1]}; the {min(uneven)} that both have are "
            "compared"
        )
    return uneven is not None


def side_cells(side: Side) -> dict[str, TracedCell]:
    """The cells of one side, by name."""
    return dict(side) if _are_cells(side) else cells_of(side)  # type: ignore[arg-type]


def _are_cells(side: Side) -> bool:
    return isinstance(side, Mapping) and all(isinstance(v, TracedCell) for v in side.values())


def _paired(
    a: Mapping[str, TracedCell], b: Mapping[str, TracedCell], notes: list[str]
) -> dict[str, str]:
    """For each cell of A its partner in B."""
    shared = [name for name in a if name in b]
    if not shared and len(a) == len(b):
        return dict(zip(a, b, strict=True))
    if not shared:
        raise InputError(
            f"the cells differ: A has {listing(map(_shown, a))}, B has {listing(map(_shown, b))}; "
            "choose one of each with --layer"
        )
    for side, mine, other in (("A", a, b), ("B", b, a)):
        alone = [name for name in mine if name not in other]
        if alone:
            notes.append(f"only {side} has {listing(alone)}")
    return {name: name for name in shared}


def _shown(name: str) -> str:
    return name or "one cell"
