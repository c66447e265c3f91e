"""The public functions that draw: ``plot`` and ``text``."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.cells import AnyTrace, TracedCell, cells_of
from .charts import make_chart
from .plot_figure import WIDTH, figure_of, write_figure
from .plot_lines import Style, style_for
from .running_text import RunningText, make_text
from .running_text_files import write_text
from .unit_order import Sort

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVERY_STEP = slice(None)


def plot(
    trace: AnyTrace | TracedCell,
    path: str | PathLike[str] | None = None,
    *,
    tensors: Sequence[str] | None = None,
    units: Sequence[int] | None = None,
    steps: slice = EVERY_STEP,
    sequence: int = 0,
    labels: Sequence[str] = (),
    sort: Sort | None = None,
    style: Style | None = None,
    width: float = WIDTH,
) -> Figure:
    """Units over time as a matplotlib figure: states and gates on one time axis.

    >>> lstm_cli.plot(trace, "units.svg", units=[3, 7])  # doctest: +SKIP

    Args:
        trace: from ``trace`` or ``open_trace``; a long one is read block by block.
        path: where to write it, .png, .svg or .pdf; None to write nothing.
        tensors: names such as ``h`` or ``forward/h``; None for h, c and the gates.
        units: numbers of units, in the order in which to draw them; None for all.
        steps: which of the input's steps to draw.
        sequence: which sequence to draw.
        labels: of the input's steps, from step 0 on.
        sort: order of the units: ``activity``, ``timescale`` or ``similarity``.
        style: ``maps`` of units by time, or ``lines``; None for lines of up to 8 chosen units.
        width: inches.

    Returns:
        The figure, which a notebook shows; its ``savefig`` writes it.

    Raises:
        MissingExtraError: without matplotlib.
        NoSuchNameError: if a tensor is not there.
        UsageError: if a unit, step or sequence is not there, or there is not one label a step.
        OutputError: if the file could not be written.
    """
    chart = make_chart(
        cells_of(trace),
        tensors,
        units=units,
        steps=steps,
        sequence=sequence,
        sort=sort,
        labels=labels,
    )
    figure = figure_of(chart, style_for(style, units), width)
    if path is not None:
        write_figure(figure, Path(path))
    return figure


def text(
    trace: AnyTrace | TracedCell,
    labels: Sequence[str],
    unit: int | Sequence[int],
    path: str | PathLike[str] | None = None,
    *,
    tensor: str = "h",
    steps: slice = EVERY_STEP,
    sequence: int = 0,
) -> RunningText:
    """The labels of the steps as running text, each coloured by what one unit did there.

    Args:
        trace: from ``trace`` or ``open_trace``.
        labels: of the input's steps, from step 0 on.
        unit: number of a unit, or of several, to be shown one under another.
        path: where to write it, .html or .svg; None to write nothing.
        tensor: ``h``, ``c``, a gate, or one cell's, as in ``forward/h``.
        steps, sequence: which to show.

    Returns:
        The text, which a notebook shows in colour, with ``rows`` that hold the values.

    Raises:
        NoSuchNameError: if the tensor is not there.
        UsageError: if a unit, step or sequence is not there, or there is not one label a step.
        OutputError: if the file could not be written.
    """
    units = [unit] if isinstance(unit, int) else list(unit)
    shown = make_text(cells_of(trace), labels, units, tensor, steps=steps, sequence=sequence)
    if path is not None:
        write_text(shown, Path(path))
    return shown
