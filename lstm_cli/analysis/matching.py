"""Steps in whose course the same units are on as in a chosen range.

The selection and matching of LSTMVis, with units that are on below zero as well as above it, and
with sequences that end where they end.
Source: Strobelt et al., "LSTMVis" (2018).

Letters: N steps of a sequence, K features: for each unit on above, then for each on below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

Bools = NDArray[np.bool_]
Counts = NDArray[np.int16]


class Run(NamedTuple):
    """Steps ``start`` to ``start + length`` of a sequence, where at least ``level`` features of
    the selection are on; ``boundary``: how sharply they begin and end, larger is sharper."""

    sequence: int
    start: int
    length: int
    level: int
    boundary: int


class Match(NamedTuple):
    """A run and how its features compare with the selection's.

    Attributes:
        run: where it is.
        shared: features that are on throughout both.
        union: features that are on throughout either.
    """

    run: Run
    shared: int
    union: int

    @property
    def score(self) -> float:
        """Jaccard's index: shared / union."""
        return self.shared / self.union if self.union else 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How runs are looked for.

    Attributes:
        left, right: steps before and after the range in which a feature must be off.
        shortest: the least number of steps of a match.
        exactly: the one number of steps of a match; None for any.
        candidates: how many runs are compared in full.
        matches: how many are returned.
    """

    left: int = 1
    right: int = 0
    shortest: int = 2
    exactly: int | None = None
    candidates: int = 10_000
    matches: int = 50

    def __post_init__(self) -> None:
        least = {"left": 0, "right": 0, "shortest": 1, "exactly": 1, "matches": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise UsageError(f"{name}: expected at least {bound}, found {value}")


class PackedFeatures:
    """Which features are on at the steps of one sequence, one bit each.

    Args:
        features: their number, K.
    """

    def __init__(self, features: int) -> None:
        self._features = features
        self._pieces: list[NDArray[np.uint8]] = []
        self._whole: NDArray[np.uint8] | None = None
        self.steps = 0

    def add(self, packed: NDArray[np.uint8]) -> None:
        """Take in the next steps, as ``numpy.packbits`` makes them of (n, K)."""
        self._pieces.append(packed)
        self.steps += len(packed)
        self._whole = None

    def rows(self, start: int, stop: int) -> Bools:
        """Steps ``start`` to ``stop``, (n, K)."""
        packed = self._joined()[start:stop]
        return np.unpackbits(packed, axis=1, count=self._features).astype(np.bool_)

    def throughout(self, start: int, stop: int) -> Bools:
        """Features that are on at every one of these steps, (K,)."""
        together = np.bitwise_and.reduce(self._joined()[start:stop], axis=0)
        return np.unpackbits(together, count=self._features).astype(np.bool_)

    def count(self, chosen: Bools) -> Counts:
        """How many of the chosen features are on at each step, (N,)."""
        mask = np.packbits(chosen)
        packed = self._joined()
        found = np.zeros(len(packed), np.int16)
        for column in np.flatnonzero(mask):
            found += _ONES[packed[:, column] & mask[column]]
        return found

    def drop_short_runs(self, longest: int) -> None:
        """Turn off what is on for ``longest`` steps in a row or fewer; beyond the ends all is off.

        On is what begins a long enough run, and what follows it within that run's length.
        """
        whole = self._joined()
        empty = np.zeros((longest, whole.shape[1]), np.uint8)
        begins = np.concatenate((whole, empty))
        for count in _halves(longest):  # bits of all features at once
            begins[: len(begins) - count] &= begins[count:]
        kept = begins[: len(whole)].copy()
        for count in _halves(longest):
            kept[count:] |= kept[:-count]
        self._whole, self._pieces = kept, [kept]

    def _joined(self) -> NDArray[np.uint8]:
        if self._whole is None:
            width = (self._features + 7) // 8
            empty = np.zeros((0, width), np.uint8)
            self._whole = np.concatenate(self._pieces) if self._pieces else empty
            self._pieces = [self._whole]
        return self._whole


def _halves(longest: int) -> list[int]:
    """By how much to shift, each time doubling, so that ``longest`` shifts by 1 are made up for."""
    found, covered = [], 0
    while covered < longest:
        found.append(min(covered + 1, longest - covered))
        covered += found[-1]
    return found


_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).sum(
    axis=1, dtype=np.int16
)


def select(sequence: PackedFeatures, start: int, stop: int, rules: Rules) -> Bools:
    """Features that are on at every step of a range, and off in the steps just outside it, (K,).

    Beyond the ends of the sequence every feature counts as off.
    """
    return _within(sequence, start, stop, rules.left, rules.right)


def _within(sequence: PackedFeatures, start: int, stop: int, left: int, right: int) -> Bools:
    on = sequence.throughout(start, stop)
    for first, last in ((max(0, start - left), start), (stop, stop + right)):
        if last > first:
            on &= ~sequence.rows(first, last).any(axis=0)
    return on


def match(
    sequences: Sequence[PackedFeatures], chosen: Bools, rules: Rules
) -> tuple[list[Match], list[Match]]:
    """Runs of steps that resemble a selection.

    Args:
        sequences: where to look.
        chosen: features of the selection, (K,).

    Returns:
        The best matches that share any feature, most shared first, then fewest others, then
        longest; and all candidates, for their lengths.
    """
    counts = [sequence.count(chosen) for sequence in sequences]
    runs = _candidates(counts, int(chosen.sum()), rules)
    found = [_compared(run, sequences[run.sequence], chosen, rules) for run in runs]
    found.sort(key=lambda m: (-m.shared, m.union, -m.run.length, m.run.sequence, m.run.start))
    return [m for m in found[: rules.matches] if m.shared], found


def _compared(run: Run, sequence: PackedFeatures, chosen: Bools, rules: Rules) -> Match:
    """One run with all its features beside the selection's."""
    left, right = min(rules.left, 1), min(rules.right, 1)
    own = _within(sequence, run.start, run.start + run.length, left, right)
    return Match(run, int((own & chosen).sum()), int((own | chosen).sum()))


def _candidates(counts: Sequence[Counts], most: int, rules: Rules) -> list[Run]:
    """Runs with as many features of the selection as there are enough of, sharpest first."""
    tables: list[NDArray[np.int64]] = []  # columns as the fields of Run
    found = np.zeros((0, 5), np.int64)
    for level in range(most, 0, -1):
        tables += [_runs(count, level, k, rules) for k, count in enumerate(counts)]
        together = np.concatenate([found, *tables])
        # Of runs with the same steps the first stays, which has the highest level.
        _, first = np.unique(together[:, :3], axis=0, return_index=True)
        found, tables = together[np.sort(first)], []
        if len(found) >= rules.candidates:
            break
    sequence, start, _, levels, boundary = found.T
    order = np.lexsort((start, sequence, -levels, -boundary))[: rules.candidates]
    return [Run(*row) for row in found[order].tolist()]


def _runs(counts: Counts, level: int, sequence: int, rules: Rules) -> NDArray[np.int64]:
    """Longest runs of steps with at least ``level`` features on, of a wanted length."""
    on = np.r_[False, counts >= level, False]
    edges = np.flatnonzero(on[1:] != on[:-1])
    starts, stops = edges[::2], edges[1::2]
    lengths = stops - starts
    fits = lengths >= rules.shortest if rules.exactly is None else lengths == rules.exactly
    starts, stops = starts[fits], stops[fits]
    boundary = np.full(len(starts), level if rules.left or rules.right else 0)
    if rules.left:
        boundary -= np.where(starts > 0, counts[starts - 1], 0)
    if rules.right:
        last = len(counts) - 1
        boundary -= np.where(stops <= last, counts[np.minimum(stops, last)], 0)
    same = np.ones_like(starts)
    return np.stack([same * sequence, starts, stops - starts, same * level, boundary], axis=1)


def lengths_of(matches: Iterable[Match]) -> dict[int, int]:
    """How many matches have each length, shortest first."""
    lengths, counts = np.unique([m.run.length for m in matches], return_counts=True)
    return dict(zip(lengths.tolist(), counts.tolist(), strict=True))
