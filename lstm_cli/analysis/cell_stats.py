"""The health of one cell's units, gathered a block of steps at a time.

Letters: B sequences, T time steps, N real steps of all sequences, U units.

Source: gate saturation after Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding
Recurrent Networks" (2015); the other labels are this package's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model import Array
from ..traces import Trace
from .cell_figures import GATES, LABELS, CellStats, Saturation
from .cells import real_steps
from .cutoffs import Cutoffs
from .nonfinite import NonFinite, finite_rows, first_nonfinite
from .rail_distance import RailDistance
from .timescale import effective_timescale, timescale
from .unit_sums import (
    Beyond,
    Correlation,
    Ends,
    Extremes,
    MeanAndLog,
    ends_of_all,
    ends_of_units,
)

NEEDED = ("h", "c", "i", "f", "g", "o")
FEWEST_FOR_TWINS = 10
"""Steps below which any two units look alike."""


@dataclass(slots=True, eq=False)
class CellSums:
    """Takes the blocks of a cell's steps, and says at the end what its units are.

    Args:
        name: of the cell.
        cutoffs: what counts as what.
    """

    name: str
    cutoffs: Cutoffs
    meta: dict[str, Any] = field(default_factory=dict)
    _sums: Sums | None = None
    _sequences: int = 0
    _steps: dict[str, int] = field(default_factory=dict)
    _nonfinite: NonFinite | None = None
    _nonfinite_steps: int = 0

    def steps(self, source: str) -> int:
        """How many steps of an input were taken."""
        return self._steps.get(source, 0)

    def add(self, trace: Trace, source: str = "") -> bool:
        """Take the next block; whether all of its real steps are finite.

        Args:
            trace: with ``h c i f g o``, the mask and lengths where there are any.
            source: the input or trace that it is of; the steps of another one start anew.
        """
        self.meta = self.meta or {k: v for k, v in trace.meta.items() if k != "first_step"}
        first_step = self._steps.get(source, 0)
        if not first_step:
            self._sequences += len(trace.arrays["f"])
        self._steps[source] = first_step + trace.arrays["f"].shape[1]
        real = rows = real_steps(trace)
        if real.any():
            arrays = {name: _rows(trace.arrays[name], rows) for name in NEEDED}
            ends = _ends(arrays)
            if not all(np.isfinite(end).all() for pair in ends.values() for end in pair):
                rows = finite_rows(trace, real)
                arrays = {name: _rows(trace.arrays[name], rows) for name in NEEDED}
                ends = _ends(arrays) if rows.any() else {}
            if self._sums is None:
                self._sums = Sums(arrays, self.cutoffs)
            if rows.any():
                self._sums.add(arrays, ends)
        return bool((rows == real).all())

    def trace_back(self, trace: Trace, first_step: int, source: str = "") -> None:
        """Find where the first value that is not finite came from.

        Args:
            trace: a block that was taken and is not all finite, with the state before it.
            first_step: the input's number of its first step.
            source: the input or trace that it is of.
        """
        real = real_steps(trace)
        bad = real & ~finite_rows(trace, real)
        self._nonfinite_steps += int(np.count_nonzero(bad))
        backward = trace.meta.get("direction") == "backward"
        known = self._nonfinite
        if known is None or (backward and known.source == source):
            self._nonfinite = first_nonfinite(trace, bad, first_step, source, self.name)

    def result(self) -> CellStats:
        """The figures.

        Raises:
            InputError: if there was no step to judge; where none was finite, all figures are NaN.
        """
        sums = self._sums
        if sums is None:
            where = f" of '{self.name}'" if self.name else ""
            raise InputError(f"there is no step{where} to judge: every step is masked")
        return CellStats(
            name=self.name,
            meta=self.meta,
            units=sums.units,
            sequences=self._sequences,
            steps=max(self._steps.values()),
            counted=sums.counted,
            nonfinite=self._nonfinite,
            nonfinite_steps=self._nonfinite_steps,
            **sums.figures(),
        )


class Sums:
    """The running figures of one cell, each (U,).

    Args:
        like: arrays as ``add`` will get, for their sizes.
        cutoffs: what counts as what.
    """

    def __init__(self, like: dict[str, Array], cutoffs: Cutoffs) -> None:
        self.units: int = like["f"].shape[1]
        self.counted, self._cutoffs = 0, cutoffs
        self.is_projected = like["h"].shape[1] != self.units
        u, lo, hi = self.units, cutoffs.lo, cutoffs.hi
        far = float(np.arctanh(hi)) if hi < 1 else np.inf
        limits = {"i": (lo, hi), "f": (lo, hi), "o": (lo, hi), "g": (-hi, hi), "c": (-far, far)}
        self._ends = {tensor: Beyond(u, *pair) for tensor, pair in limits.items()}
        self._rail = {gate: Beyond(u, 0.0, 1.0, at=True) for gate in GATES}
        self._distance = {t: RailDistance(u, signed=t == "g") for t in (*GATES, "g")}
        self._railed = Beyond(u, -cutoffs.rail, cutoffs.rail)
        self._active = Beyond(u, -cutoffs.eps, cutoffs.eps)
        self._forgetting = MeanAndLog(u)
        self._extremes = {tensor: Extremes(u) for tensor in ("f", "o", "shown", "write")}
        self._alike = Correlation(u)

    def add(self, arrays: dict[str, Array], known: dict[str, Ends]) -> None:
        """Take more real, finite steps: ``h c i f g o``, each (N, U), and what ``_ends`` says."""
        self.counted += len(arrays["f"])
        tensor = "c" if self.is_projected else "h"
        write = ends_of_units(arrays["i"] * arrays["g"])
        known = {**known, "shown": known[tensor], "write": write}
        shown = arrays[tensor]
        for name, extremes in self._extremes.items():
            extremes.add(known[name])
        for tensor, ends in self._ends.items():
            ends.add(arrays[tensor], known[tensor])
        for gate, rail in self._rail.items():
            rail.add(arrays[gate], known[gate])
        for tensor, distance in self._distance.items():
            distance.add(arrays[tensor])
        self._railed.add(arrays["c"], known["c"])
        self._active.add(shown, known["shown"])
        self._forgetting.add(arrays["f"], known["f"])
        self._alike.add(shown)

    def figures(self) -> dict[str, Any]:
        """The figures that ``CellStats`` has, by name."""
        twins = self._alike.pairs(self._cutoffs.twin) if self.counted >= FEWEST_FOR_TWINS else []
        none, unknown = np.zeros(self.units), np.full(self.units, np.nan)
        saturation = {
            tensor: Saturation(
                ends.low,
                ends.high,
                self._rail[tensor].outside if tensor in self._rail else none,
                self._distance[tensor].value if tensor in self._distance else unknown,
            )
            for tensor, ends in self._ends.items()
        }
        extremes = self._extremes
        return {
            "saturation": saturation,
            "mean_f": self._forgetting.mean,
            "timescale": timescale(np.minimum(self._forgetting.mean, 1.0)),
            "effective": effective_timescale(np.minimum(self._forgetting.mean_log, 0.0)),
            "largest_h": extremes["shown"].magnitude,
            "span_h": extremes["shown"].span,
            "inactive": 1.0 - self._active.outside,
            "largest_o": extremes["o"].largest,
            "largest_write": extremes["write"].magnitude,
            "least_f": extremes["f"].least,
            "largest_f": extremes["f"].largest,
            "railed": self._railed.outside,
            "twins": twins,
            "twin_stride": self._alike.stride,
            "labels": self._labels(saturation, twins),
            "is_projected": self.is_projected,
        }

    def _labels(
        self, saturation: dict[str, Saturation], twins: list[tuple[int, int, float]]
    ) -> tuple[tuple[str, ...], ...]:
        cut = self._cutoffs
        shown, write = self._extremes["shown"], self._extremes["write"]
        h = shown.magnitude
        eps = cut.eps * max(1.0, float(h.max()))
        dead = h <= eps
        silent = write.magnitude <= cut.write
        alike = np.zeros(self.units, np.bool_)
        alike[[unit for j, k, _ in twins for unit in (j, k)]] = True
        ends = [np.maximum(saturation[gate].left, saturation[gate].right) for gate in GATES]
        rules: dict[str, NDArray[np.bool_]] = {
            "dead": dead,
            "constant": (shown.span <= eps) & ~dead & (self.counted > 1),
            "closed": self._extremes["o"].largest < cut.lo,
            "frozen": (self._extremes["f"].least > cut.hi) & silent,
            "no-write": silent,
            "railed": self._railed.outside >= cut.share,
            "memoryless": self._extremes["f"].largest < cut.lo,
            "saturated": np.max(ends, axis=0) >= cut.share,
            "twin": alike,
        }
        if not self.counted:
            return ((),) * self.units
        return tuple(
            tuple(label for label in LABELS if rules[label][unit]) for unit in range(self.units)
        )


def _ends(arrays: dict[str, Array]) -> dict[str, Ends]:
    """Least and largest values: of each unit where that is a figure, else of all units."""
    is_projected = arrays["h"].shape[1] != arrays["f"].shape[1]
    by_unit = ("f", "o", "c" if is_projected else "h")
    return {
        name: ends_of_units(array) if name in by_unit else ends_of_all(array)
        for name, array in arrays.items()
    }


def _rows(array: Array, rows: NDArray[np.bool_]) -> Array:
    """The chosen steps of all sequences, (N, U)."""
    if rows.all():
        return array.reshape(-1, array.shape[-1])
    return array[rows]
