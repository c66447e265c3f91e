"""Packs the real steps of a masked block together, so that masked ones are never computed.

Letters: B sequences, n steps of the block, m the real steps of the sequence that has most.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..model import Array


class RealSteps:
    """Where the real steps of a block are.

    Attributes:
        order: the sequences, those with most real steps first, (B,).
        rank: where each sequence stands in that order, (B,).
    """

    def __init__(self, mask: Array) -> None:
        """``mask``: (B, n), true for a real step."""
        self._mask = mask
        self._seen = np.cumsum(mask, axis=1)  # (B, n), real steps up to and with each step
        counts = self._seen[:, -1]
        self.order = np.argsort(-counts, kind="stable")
        self.rank = np.argsort(self.order)
        self._counts = counts[self.order]

    def pack(self, x: Array) -> Array:
        """(B, n, F) -> (B, m, F): in order of falling count, real steps first, then zeros."""
        most = int(self._counts[0])
        packed = np.zeros((len(x), most, x.shape[2]), x.dtype)
        filled = np.arange(most) < self._counts[:, np.newaxis]  # (B, m)
        packed[filled] = x[self.order][self._mask[self.order]]
        return packed

    def segments(self) -> Iterator[tuple[int, slice]]:
        """Packed steps, cut where a sequence ends: how many rows go on, and the steps."""
        start = 0
        for stop in np.unique(self._counts[self._counts > 0]).tolist():
            yield int(np.count_nonzero(self._counts >= stop)), slice(start, stop)
            start = stop

    def empty(self, before: Array | None, like: Array) -> Array:
        """Room for results, (B, 1 + m, U): first what stands before any real step, or NaN."""
        packed = np.empty((like.shape[0], 1 + int(self._counts[0]), like.shape[2]), like.dtype)
        packed[:, 0] = np.nan if before is None else before
        return packed

    def spread(self, packed: Array, *, carried: bool) -> Array:
        """(B, 1 + m, U) -> (B, n, U): masked steps repeat the last real one, or are NaN."""
        source = self._seen if carried else np.where(self._mask, self._seen, 0)
        spread: Array = packed[self.rank[:, np.newaxis], source]
        return spread
