"""Traces read back, and what traces and weights tell: healthy units, what wrote a memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from .analysis.cells import AnyTrace
from .analysis.cells import cells_of as cells_of
from .analysis.trace_file import TraceFile as TraceFile
from .model import Model
from .traces import Trace, Traces

if TYPE_CHECKING:
    from .analysis.probe import Probe
    from .analysis.stats import Stats
    from .analysis.weight_indicators import CellIndicators
    from .analysis.why import Answer


def open_trace(path: str | PathLike[str]) -> TraceFile:
    """Open a trace that ``lstm export`` wrote (.npz or .h5), to be read block by block.

    >>> with lstm_cli.open_trace("trace.h5") as file:  # doctest: +SKIP
    ...     lstm_cli.stats(file)

    Returns:
        The open file, which the analysing functions take as they take a trace; it closes itself at
        the end of a ``with``.

    Raises:
        InputError: if the file is missing, damaged, or holds no h, c or gates.
    """
    from .sequences.trace_files import open_trace_file

    return TraceFile(open_trace_file(str(path)))


def read_trace(path: str | PathLike[str]) -> Trace | Traces:
    """A trace that ``lstm export`` wrote, whole: what ``trace`` returned for it.

    Returns:
        A Trace, or the Traces of several layers or cells.

    Raises:
        InputError: as ``open_trace``.
    """
    with open_trace(path) as file:
        return file.read()


def stats(
    trace: AnyTrace | Iterable[AnyTrace],
    *,
    lo: float = 0.1,
    hi: float = 0.9,
    share: float = 0.95,
    eps: float = 1e-6,
    write: float = 1e-3,
    rail: float = 3.0,
    twin: float = 0.999,
    fail_on: str | None = None,
) -> Stats:
    """The health of LSTM units: saturated gates, dead and twin units, memory in steps, NaN.

    Args:
        trace: from ``trace`` or ``open_trace``, the blocks of ``trace_blocks``, or several open
            files, which are judged together. It holds h, c and the gates.
        lo, hi: a gate below ``lo`` is saturated on the left, above ``hi`` on the right.
        share: share of steps from which a unit is flagged as saturated or railed.
        eps: what is no activity, of max(1, largest |h|).
        write: largest |i g| of a unit that never writes.
        rail: a |c| above it is railed.
        twin: |correlation| of h from which two units are twins.
        fail_on: conditions such as ``saturated>0.3,dead>0``; ``Stats.failing`` has those that hold.

    Returns:
        ``Stats``: ``cells`` by name, with figures (U,) and labels a unit; ``verdict``; ``facts()``.

    Raises:
        InputError: if the trace lacks a tensor or has no real step.
        NoSuchNameError, UsageError: if a condition cannot be understood.
    """
    from .analysis.cutoffs import Cutoffs
    from .analysis.stats import stats as judge

    return judge(trace, Cutoffs(lo, hi, share, eps, write, rail, twin), fail_on)


def why(
    trace: AnyTrace,
    *,
    unit: int | None = None,
    step: int | None = None,
    sequence: int = 0,
    gate: str | None = None,
    cell: str | None = None,
    model: Model | None = None,
    span_share: float = 0.9,
    readout: int | str | None = None,
) -> Answer:
    """Which steps wrote a memory, what opened a gate, or which steps made an output.

    Args:
        trace: from ``trace`` or ``open_trace``, with c, f, i and g; for a gate with h and x.
        unit: whose c or gate; None sums up the c of all units.
        step: of the input; None for the last that the cell read.
        sequence: which one.
        gate: ``i``, ``f``, ``g`` or ``o``: split its pre-activation instead of c.
        cell: part or address, where there are several.
        model: has the weights for a gate; None for those that an export holds. And the Dense layer
            for a readout.
        span_share: share of all contributions that makes the memory span.
        readout: split this output of the Dense layer behind the LSTM instead of c, before its
            activation: a number, or ``LAYER:N`` where several such layers read h.

    Returns:
        ``MemorySplit`` of a unit: steps and what each contributed, with sum and residual;
        ``MemorySummary`` of all units; ``GateSplit`` of a gate: a term for each input feature and
        recurrent unit; ``ReadoutSplit`` of an output: what each step put into it. Each has
        ``facts()``.

    Raises:
        InputError: if the trace lacks something, or there is no such unit, step or sequence.
        UsageError: if one of several cells has to be chosen.
        NoSuchNameError: if there is no such cell or gate.
    """
    from .analysis.why import why as explain
    from .engine.activations import apply

    return explain(
        trace,
        unit=unit,
        step=step,
        sequence=sequence,
        gate=gate,
        cell=cell,
        model=model,
        span_share=span_share,
        readout=readout,
        activate=apply,
    )


def weight_indicators(
    model: Model,
    layer: str | Sequence[str] | None = None,
    *,
    spectral: bool | None = None,
    silent: float = 1e-6,
) -> list[CellIndicators]:
    """What the weights of LSTM cells tell by themselves, without any input.

    Args:
        layer: address of a layer or part, or several; None for every LSTM layer.
        spectral: whether to compute spectral radii, which takes the cube of the units; None for
            up to 512 units.
        silent: norm of a feature's weights, of max(1, largest norm), up to which it is silent.

    Returns:
        For each cell: a gate's spectral radius, largest singular value, norms, quantiles, zeros
        and NaN; how long the forget bias alone lets it remember; how far it is from a fresh
        initialisation; input features that it does not use.

    Raises:
        NoSuchNameError: if there is no such layer.
    """
    from .analysis.weight_indicators import weight_indicators as judge

    names = [layer] if isinstance(layer, str) else list(layer or [])
    return judge(model, names, spectral, silent)


def probe(
    model: Model,
    feature: int,
    *,
    layer: str | None = None,
    size: float = 1.0,
    baseline: float | Sequence[float] = 0.0,
    steps: int = 1000,
    band: float = 0.02,
) -> Probe:
    """How LSTM units answer one feature, switched on for good or for a single step.

    The layer is run by itself, in float64: ``steps`` at the baseline, until it rests; from there
    once alone, once with the feature driven, once with it driven at the first step.

    Args:
        feature: of what the layer receives, from 0.
        layer: address of a layer or part; None for the only LSTM layer.
        size: by how much the feature is driven.
        baseline: of every feature, or a number for each.
        steps: how long each run is.
        band: what is near the last value, a share of the largest distance from it.

    Returns:
        ``Probe``: for each cell that reads the layer's input and each of h and c the value at
        rest, gain and settling time of the step, peak, area and decay of the impulse, (U,);
        ``facts()``.

    Raises:
        NoSuchNameError, UsageError, InputError, UnsupportedFeatureError: if there is no such layer
            or feature, or a number is out of its range.
    """
    from .analysis.probe import Probe, checked_band, probe_cell
    from .engine.probing import drive_layer

    near = checked_band(band)
    address, drive, runs = drive_layer(model, layer, feature, size, baseline, steps)
    cells = tuple(probe_cell(name, *own, drive.size, near) for name, own in runs.items())
    return Probe(cells, address, drive.feature, drive.size, drive.baseline, drive.steps, near)
