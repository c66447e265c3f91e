"""What weights alone tell: how strongly a cell feeds itself, how long its bias lets it remember.

And how far training has taken it from where it began.

Letters: F input features, U units, P size of the hidden state.

Source: the orthogonal initialiser of Keras makes the whole recurrent kernel (U, 4U) orthonormal by
rows, its kernels are Glorot uniform, its forget bias is 1 (``unit_forget_bias``); PyTorch draws all
weights from -1/√P to 1/√P. For the timescale of a bias see ``timescale``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError
from ..model import GATES, Array, Choice, Convention, LstmCell, Model, choose, in_part
from .timescale import bias_timescale, half_life, quantiles
from .unit_sums import Floats

MOST_UNITS = 512
"""Units up to which the spectral radius is computed unless it is asked for; it takes their cube."""

SILENT = 1e-6
"""A feature is silent where its weights' norm is at most this, of max(1, largest norm); ours."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of a gate's finite weights."""


@dataclass(frozen=True, slots=True)
class GateIndicators:
    """One gate.

    Attributes:
        gate: ``i f g o``.
        spectral_radius: largest |eigenvalue| of its recurrent weights (U, U), behind the
            projection where there is one; None where it is not finite, or was not computed.
        largest_singular: largest singular value of its recurrent weights; None likewise.
        kernel_norms, recurrent_norms: least, median and largest norm of a unit's weights.
        kernel_zeros, recurrent_zeros: share of weights that are exactly 0.
        bias_range: least, median and largest bias; None without one.
        kernel_quantiles, recurrent_quantiles: of its finite weights, at ``QUANTILES``; NaN where
            none is finite.
        nonfinite: share of its weights and biases that are NaN or infinite.
    """

    gate: str
    spectral_radius: float | None
    largest_singular: float | None
    kernel_norms: tuple[float, float, float]
    recurrent_norms: tuple[float, float, float]
    kernel_zeros: float
    recurrent_zeros: float
    bias_range: tuple[float, float, float] | None
    kernel_quantiles: tuple[float, ...]
    recurrent_quantiles: tuple[float, ...]
    nonfinite: float


@dataclass(frozen=True, slots=True, eq=False)
class CellIndicators:
    """One cell.

    Attributes:
        layer, part: which.
        units: U.
        gates: in the order i f g o; not one that is coupled to another and has no weights.
        bias_timescale: steps that a memory lasts at x = 0 and h = 0, (U,); None where the gate's
            activation is neither sigmoid nor hard sigmoid, or the cell has no bias.
        orthogonality_gap: ‖U Uᵀ - I‖ / √P of the whole recurrent kernel: 0 as Keras begins; None
            for other frameworks, or where it is not finite.
        kernel_spread, recurrent_spread: standard deviation, as a multiple of a fresh one's; None
            where it is not known how the cell began.
        bias_distance: root mean square of bias less fresh bias; None without one, or where fresh
            biases are drawn at random.
        silent_inputs: features whose weights are all (nearly) 0.
        silent: up to which norm, of max(1, largest norm), that is so.
        fresh: whose initialisation it is compared with: ``Keras`` or ``PyTorch``; else empty.
    """

    layer: str
    part: str
    units: int
    gates: tuple[GateIndicators, ...]
    bias_timescale: Floats | None
    orthogonality_gap: float | None
    kernel_spread: float | None
    recurrent_spread: float | None
    bias_distance: float | None
    silent_inputs: tuple[int, ...]
    silent: float
    fresh: str

    @property
    def bias_half_life(self) -> Floats | None:
        """Steps until half of a memory is left at x = 0 and h = 0, (U,)."""
        return None if self.bias_timescale is None else half_life(self.bias_timescale)

    def facts(self) -> dict[str, Any]:
        """Everything, by name."""
        timescale, half = self.bias_timescale, self.bias_half_life
        names = (
            *("layer", "part", "units", "orthogonality_gap", "kernel_spread"),
            *("recurrent_spread", "bias_distance", "silent_inputs", "silent", "fresh"),
        )
        gates = [
            {name: getattr(gate, name) for name in GateIndicators.__slots__} for gate in self.gates
        ]
        return {
            **{name: getattr(self, name) for name in names},
            "bias_timescale": None if timescale is None else timescale.tolist(),
            "bias_half_life": None if half is None else half.tolist(),
            "gates": gates,
        }


def weight_indicators(
    model: Model, names: list[str], spectral: bool | None = None, silent: float = SILENT
) -> list[CellIndicators]:
    """The indicators of every LSTM cell, or of those in the layers and parts that names choose.

    Args:
        model: the model.
        names: addresses; none for every LSTM layer.
        spectral: whether to compute spectral radii; None for up to ``MOST_UNITS`` units.
        silent: norm of a feature's weights, of max(1, largest norm), up to which it is silent.

    Raises:
        NoSuchNameError: if there is no such layer.
        UsageError: if ``silent`` is below 0.
    """
    if not silent >= 0:
        raise UsageError(f"silent: expected 0 or more, found {silent:g}")
    chosen = [choose(model, name) for name in names] or [Choice(each) for each in model.lstm_layers]
    unique = {(id(choice.layer), choice.part): choice for choice in chosen}
    found = []
    for layer, _, part in unique.values():
        recurrent = layer.recurrent
        for name, _, cell in recurrent.cells() if recurrent else ():
            if isinstance(cell, LstmCell) and recurrent:
                if in_part(name, part, recurrent) is not None:
                    wanted = cell.units <= MOST_UNITS if spectral is None else spectral
                    way = recurrent.convention
                    found.append(cell_indicators(cell, layer.address, name, way, wanted, silent))
    return found


def cell_indicators(
    cell: LstmCell,
    address: str = "",
    part: str = "",
    convention: Convention = "keras",
    spectral: bool = True,
    silent: float = SILENT,
) -> CellIndicators:
    """The indicators of one cell; see ``CellIndicators``."""
    with np.errstate(all="ignore"):  # weights that are not finite give figures that are not
        return _indicators(cell, address, part, convention, spectral, silent)


def _indicators(
    cell: LstmCell,
    address: str,
    part: str,
    convention: Convention,
    spectral: bool,
    silent: float,
) -> CellIndicators:
    kernel, recurrent = cell.kernel.astype(np.float64), cell.recurrent_kernel.astype(np.float64)
    fresh = {"keras": "Keras", "torch": "PyTorch"}.get(convention.split(" ")[0], "")
    spreads = _spreads(cell, fresh)
    row_norms = np.linalg.norm(kernel, axis=1)
    unused = row_norms <= silent * max(1.0, float(np.max(row_norms)))
    return CellIndicators(
        address,
        part,
        cell.units,
        tuple(
            _gate(cell, kernel, recurrent, k, spectral)
            for k, gate in enumerate(GATES)
            if gate != cell.coupled
        ),
        _bias_timescale(cell),
        _orthogonality_gap(recurrent) if fresh == "Keras" else None,
        *spreads,
        None if fresh != "Keras" or cell.bias is None else _bias_distance(cell.bias),
        tuple(int(k) for k in np.flatnonzero(unused)),
        silent,
        fresh,
    )


def _gate(
    cell: LstmCell, kernel: Array, recurrent: Array, number: int, spectral: bool
) -> GateIndicators:
    columns = slice(number * cell.units, (number + 1) * cell.units)
    weights, loop = kernel[:, columns], recurrent[:, columns]
    square = loop if cell.projection is None else cell.projection.astype(np.float64) @ loop
    finite = spectral and bool(np.isfinite(square).all())
    return GateIndicators(
        GATES[number],
        float(np.abs(np.linalg.eigvals(square)).max()) if finite else None,
        float(np.linalg.norm(square, 2)) if finite else None,
        _range(np.linalg.norm(weights, axis=0)),
        _range(np.linalg.norm(loop, axis=0)),
        float(np.mean(weights == 0)),
        float(np.mean(loop == 0)),
        None if cell.bias is None else _range(cell.bias[columns]),
        _quantiles(weights),
        _quantiles(loop),
        _nonfinite(weights, loop, None if cell.bias is None else cell.bias[columns]),
    )


def _range(values: Array) -> tuple[float, float, float]:
    least, median, largest = quantiles(values, (0.0, 0.5, 1.0))
    return float(least), float(median), float(largest)


def _quantiles(weights: Array) -> tuple[float, ...]:
    known = weights[np.isfinite(weights)]
    if not len(known):
        return (float("nan"),) * len(QUANTILES)
    return tuple(map(float, np.quantile(known, QUANTILES)))


def _nonfinite(*arrays: Array | None) -> float:
    """Which share of all numbers is NaN or infinite."""
    given = [array for array in arrays if array is not None]
    bad = sum(int(np.count_nonzero(~np.isfinite(array))) for array in given)
    return bad / sum(array.size for array in given)


def _bias_timescale(cell: LstmCell) -> Floats | None:
    if cell.bias is None:
        return None
    gate = "i" if cell.coupled == "f" else "f"
    bias = cell.bias.reshape(4, -1)[GATES.index(gate)]
    return bias_timescale(bias, cell.recurrent_activation, cell.coupled == "f")


def _orthogonality_gap(recurrent: Array) -> float | None:
    """‖U Uᵀ - I‖ / √U, (U, 4U) -> one number."""
    if not np.isfinite(recurrent).all():
        return None
    gap = recurrent @ recurrent.T - np.eye(len(recurrent))
    return float(np.linalg.norm(gap) / np.sqrt(len(recurrent)))


def _spreads(cell: LstmCell, fresh: str) -> tuple[float | None, float | None]:
    """Standard deviations of kernel and recurrent kernel, as multiples of fresh ones."""
    if not fresh:
        return None, None
    begun = np.sqrt(2.0 / (cell.input_size + 4 * cell.units)), 1.0 / np.sqrt(4.0 * cell.units)
    if fresh == "PyTorch":
        begun = (1.0 / np.sqrt(3.0 * cell.units),) * 2
    spreads = cell.kernel.std(dtype=np.float64), cell.recurrent_kernel.std(dtype=np.float64)
    return float(spreads[0] / begun[0]), float(spreads[1] / begun[1])


def _bias_distance(bias: Array) -> float:
    fresh = np.repeat([gate == "f" for gate in GATES], len(bias) // 4)
    return float(np.sqrt(np.mean(np.square(bias.astype(np.float64) - fresh))))
