"""What weights alone tell, as a table and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ..analysis.timescale import Floats, quantiles
from ..analysis.weight_indicators import QUANTILES, CellIndicators, GateIndicators
from .grid import GAP, Column, Lines, bands, clipped, grid, wrapped
from .rows import csv_cell
from .stats_table import steps_text

LEGEND = (
    "W: kernel, U: recurrent kernel; radius: spectral radius, largest |eigenvalue|; σ max: largest "
    "singular value; ‖W‖, ‖U‖ of a unit: norm of its weights; spread: standard deviation"
)


def indicators_table(cells: Sequence[CellIndicators], width: int) -> Lines:
    """For each cell a table of its gates, and a few lines about all of it."""
    lines: list[Text] = []
    for cell in cells:
        name = "/".join(filter(None, (cell.layer, cell.part)))
        lines += [Text()] if lines else []
        lines.append(Text(clipped(f"{name}: indicators", width), "bold"))
        keys = [Column("gate", [gate.gate for gate in cell.gates], right=False)]
        for band in bands(keys, _columns(cell.gates), width):
            lines += grid(band)
        for sentence in _sentences(cell):
            lines += wrapped(sentence, width)
    return Lines([*lines, Text(), *wrapped(LEGEND, width, "dim", "", GAP)] if cells else lines)


def indicator_lines(cells: Sequence[CellIndicators]) -> Iterator[str]:
    """A line of CSV a gate, with a header; what is not known is empty."""
    yield (
        "layer,part,gate,spectral_radius,largest_singular,kernel_norm_median,"
        "recurrent_norm_median,kernel_zeros,recurrent_zeros,bias_median,bias_timescale_median,"
        "orthogonality_gap,kernel_spread,recurrent_spread,bias_distance,nonfinite,"
        + ",".join(
            f"{name}_q{100 * q:02.0f}" for name in ("kernel", "recurrent") for q in QUANTILES
        )
        + ",silent_inputs"
    )
    for cell in cells:
        forgetting = "f" if any(gate.gate == "f" for gate in cell.gates) else "i"
        for gate in cell.gates:
            timescale = cell.bias_timescale if gate.gate == forgetting else None
            numbers = (
                *(gate.spectral_radius, gate.largest_singular),
                *(gate.kernel_norms[1], gate.recurrent_norms[1]),
                *(gate.kernel_zeros, gate.recurrent_zeros),
                None if gate.bias_range is None else gate.bias_range[1],
                None if timescale is None else _range(timescale)[1],
                *(cell.orthogonality_gap, cell.kernel_spread),
                *(cell.recurrent_spread, cell.bias_distance, gate.nonfinite),
                *(*gate.kernel_quantiles, *gate.recurrent_quantiles),
            )
            names = [csv_cell(cell.layer), csv_cell(cell.part), gate.gate]
            figures = ["" if n is None else f"{n:.9g}" for n in numbers]
            yield ",".join([*names, *figures, " ".join(map(str, cell.silent_inputs))])


def _columns(gates: Sequence[GateIndicators]) -> list[Column]:
    columns = [
        Column("radius", [_figure(gate.spectral_radius) for gate in gates], group="U, recurrent"),
        Column("σ max", [_figure(gate.largest_singular) for gate in gates], group="U, recurrent"),
    ]
    for group, name in (("‖W‖ of a unit", "kernel"), ("‖U‖ of a unit", "recurrent")):
        norms = [getattr(gate, f"{name}_norms") for gate in gates]
        for k, header in enumerate(("min", "median", "max")):
            columns.append(Column(header, [_figure(norm[k]) for norm in norms], group=group))
    zeros = [f"{100 * gate.kernel_zeros:.0f}|{100 * gate.recurrent_zeros:.0f}" for gate in gates]
    return [*columns, Column("zeros % W|U", zeros)]


def _sentences(cell: CellIndicators) -> Iterator[str]:
    timescale, half = cell.bias_timescale, cell.bias_half_life
    if timescale is not None and half is not None:
        steps = " / ".join(steps_text(value) for value in _range(timescale))
        halves = " / ".join(steps_text(value) for value in _range(half))
        yield (
            f"the forget bias alone (x = 0, h = 0) keeps a memory for {steps} steps, half-life "
            f"{halves} (min / median / max)"
        )
    distance = []
    if cell.orthogonality_gap is not None:
        distance.append(f"orthogonality gap {cell.orthogonality_gap:.3g} (fresh: 0)")
    if cell.kernel_spread is not None and cell.recurrent_spread is not None:
        spreads = f"kernel {cell.kernel_spread:.3g}, recurrent kernel {cell.recurrent_spread:.3g}"
        distance.append(f"spread {spreads} times a fresh one's")
    if cell.bias_distance is not None:
        distance.append(f"bias {cell.bias_distance:.3g} away (root mean square; fresh: 0, f 1)")
    if distance:
        yield f"from a fresh {cell.fresh} initialisation: {'; '.join(distance)}"
    if cell.silent_inputs:
        shown = ", ".join(map(str, cell.silent_inputs[:10]))
        more = len(cell.silent_inputs) - 10
        shown += f" and {more} more" if more > 0 else ""
        yield (
            f"silent input features: {shown} (norm of their weights at most {cell.silent:g} of the "
            "largest, or of 1; ours: --silent)"
        )
    bad = [f"{g.gate} {100 * g.nonfinite:.3g}%" for g in cell.gates if g.nonfinite]
    if bad:
        yield f"weights and biases that are NaN or infinite: {', '.join(bad)}"
    if all(gate.spectral_radius is None for gate in cell.gates):
        yield "spectral radii are not computed: weights that are not finite, or --spectral needed"


def _range(values: Floats) -> list[float]:
    """Least, median and largest."""
    return [float(value) for value in quantiles(values, (0.0, 0.5, 1.0))]


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.1e}"
