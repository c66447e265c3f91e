"""Contributions to every unit's c, summed up in bounded memory.

Letters: n steps, U units.
"""

from __future__ import annotations

import numpy as np

from ..model import Array
from .retained import Piece, Retained
from .unit_sums import Floats


class MemorySums:
    """What is kept of the contributions of every unit, (U,)."""

    def __init__(self, units: int) -> None:
        self.total, self.absolute, self.squares = (np.zeros(units) for _ in range(3))
        self.age, self.clipped, self.largest = (np.zeros(units) for _ in range(3))
        self.writer = np.full(units, -1)
        self.pieces: list[Floats] = []
        self._read = 0

    def add(self, piece: Piece) -> None:
        """Take the next piece, away from the asked-for step."""
        contributions = piece.written * piece.kept
        sizes = np.abs(contributions)
        part = sizes.sum(axis=0)
        self.total += contributions.sum(axis=0)
        self.clipped += piece.clipped.sum(axis=0)
        self.squares += np.einsum("nu,nu->u", sizes, sizes)
        ages = np.arange(self._read, self._read + len(sizes), dtype=np.float64)
        self.age += ages @ sizes
        self.absolute += part
        self.pieces.append(part)
        self._read += len(sizes)
        row = sizes.argmax(axis=0)
        found = contributions[row, np.arange(len(row))]
        larger = np.abs(found) > np.abs(self.largest)
        self.largest = np.where(larger, found, self.largest)
        self.writer = np.where(larger, piece.steps[row], self.writer)


def spans(retained: Retained, sums: MemorySums, wanted: Floats) -> Array:
    """How many of the latest steps hold ``wanted`` of each unit's contributions.

    The steps are read once more, as far as needed: to keep them all would take too much memory.
    """
    spans = np.full(len(wanted), retained.count + 1)
    reached = np.cumsum(sums.pieces, axis=0) >= wanted
    last = int(np.max(np.where(reached.any(axis=0), reached.argmax(axis=0), 0)))
    held, read = np.zeros(len(wanted)), 0
    open_ones = np.ones(len(wanted), np.bool_)
    for number, piece in enumerate(retained.pieces()):
        totals = held + np.cumsum(np.abs(piece.written * piece.kept), axis=0)
        enough = totals >= wanted
        here = open_ones & enough.any(axis=0)
        spans[here] = read + enough.argmax(axis=0)[here] + 1
        open_ones &= ~here
        held, read = totals[-1], read + len(totals)
        if number >= last or not open_ones.any():
            break
    return spans


def quotients(a: Floats, b: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(b > 0, a / b, np.nan))
