"""The part of a tensor that is seen, read when it is looked at.

Letters: C columns, U units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..analysis.cells import TracedCell
from ..model import Array
from .charts import Panel, make_chart
from .reduction import Columns
from .scales import Scale, scale_of

Whose = tuple[str, str, int]
"""Cell, tensor and sequence."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The part of a tensor that is seen.

    Attributes:
        panel: its columns, all units.
        scale: of the colours, the same for the whole sequence.
        first_step: the input's number of the first step.
        values: what its cells show, shape (C, U): of a column of several steps the value that
            stands out most.
        labels: of the steps that are seen.
    """

    panel: Panel
    scale: Scale
    first_step: int
    values: Array
    labels: Sequence[str] = ()

    @property
    def columns(self) -> Columns:
        return self.panel.columns


class WindowReader:
    """Reads windows, and keeps what the next one is likely to need.

    Of each tensor that was looked at the ends of its scale are kept; of the last one also the whole
    sequence in no more columns than a picture has, from which wide windows are made without reading
    their steps once more.
    """

    def __init__(self) -> None:
        self._seen: dict[Whose, tuple[Panel, Array]] = {}
        self._steps: tuple[object, ...] = ()
        self._scales: dict[Whose, tuple[Scale, Columns]] = {}
        self._whole: tuple[Whose, Columns] | None = None

    def read(
        self, cell: TracedCell, tensor: str, sequence: int, steps: slice, zoom: int
    ) -> tuple[Panel, Scale, Array]:
        """The columns of some steps, the scale of the whole sequence, and what cells show.

        Args:
            cell: read block by block.
            tensor, sequence: which.
            steps: the input's numbers of the first step and the one behind the last.
            zoom: steps of a column.
        """
        now = (cell.name, sequence, steps.start, steps.stop, zoom)
        if self._steps != now:
            self._steps, self._seen = now, {}
        whose = (cell.name, tensor, sequence)
        scale, summary = self._scale(cell, whose)
        if whose not in self._seen:
            panel = self._panel(cell, whose, steps, zoom, summary)
            middle = 0.0 if scale.diverging else panel.columns.means
            self._seen[whose] = panel, panel.columns.farthest_from(middle)
        panel, values = self._seen[whose]
        return panel, scale, values

    def _scale(self, cell: TracedCell, whose: Whose) -> tuple[Scale, Columns]:
        """The scale, and each unit's mean and ends in columns without any step."""
        if whose not in self._scales:
            panel = _chart(cell, whose, slice(None))
            self._whole = (whose, panel.columns)
            self._scales[whose] = scale_of(panel), _between(panel.columns, 0, 0)
        return self._scales[whose]

    def _panel(
        self, cell: TracedCell, whose: Whose, steps: slice, zoom: int, summary: Columns
    ) -> Panel:
        if self._whole is not None and self._whole[0] == whose:
            whole, first = self._whole[1], cell.cut.first_step
            if zoom % whole.width == 0:
                kept = _between(whole, steps.start - first, steps.stop - first)
                together = zoom // whole.width
                columns = kept.merged(together) if together > 1 else kept
                numbers = tuple(cell.cut.number(k, whose[1]) for k in range(whole.low.shape[1]))
                return Panel(whose[1], numbers, columns, cell.is_backward)
        panel = _chart(cell, whose, steps)
        columns, together = panel.columns, zoom // panel.columns.width
        columns = columns.merged(together) if together > 1 else columns
        ends = {name: getattr(summary, name) for name in ("means", "finite_low", "finite_high")}
        return replace(panel, columns=replace(columns, **ends))


def _chart(cell: TracedCell, whose: Whose, steps: slice) -> Panel:
    _, tensor, sequence = whose
    (panel,) = make_chart({"": cell}, [tensor], steps=steps, sequence=sequence).panels
    return panel


def _between(columns: Columns, start: int, stop: int) -> Columns:
    """The columns of the steps from ``start`` on, which is the first of one, to ``stop``."""
    part = slice(start // columns.width, -(-stop // columns.width))
    return replace(
        columns,
        steps=stop - start,
        low=columns.low[part],
        high=columns.high[part],
        nan=columns.nan[part],
        masked=columns.masked[part],
    )
