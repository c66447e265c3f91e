"""Steps from left to right in a terminal: where each stands, its number and its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from rich.cells import cell_len
from rich.text import Text

from .reduction import Columns
from .step_labels import shown_label

WIDEST_STEP = 4
"""Cells that one step takes at most, where there are few steps."""

LABEL_LINES = 3
"""Lines for labels that are wider than their step: each goes into the first that has room."""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """How steps become columns: several steps a column, or several cells a step.

    Attributes:
        first_step: the input's number of the first step.
        steps: how many there are.
        width: steps of a column.
        halves: half cells that a column takes.
    """

    first_step: int
    steps: int
    width: int
    halves: int

    @property
    def cells(self) -> int:
        """Cells that a column takes, where it takes whole ones."""
        return self.halves // 2

    @property
    def room(self) -> int:
        """Cells that all columns take."""
        return -(-(-(-self.steps // self.width) * self.halves) // 2)

    def cell(self, step: int) -> int:
        """The first cell of a step of the input."""
        return (step - self.first_step) // self.width * self.halves // 2

    def lines(self, margin: int, labels: Sequence[str] = ()) -> list[Text]:
        """Step numbers under the columns they belong to, and labels below them.

        Args:
            margin: cells to the left.
            labels: of the steps; not drawn where a column holds several steps.
        """
        rows = [self._numbers(), *(self._labels(labels) if self.width == 1 else [])]
        return [
            Text(" " * margin + row.rstrip(), "dim" if not k else "") for k, row in enumerate(rows)
        ]

    def _numbers(self) -> str:
        distance = self._tick_distance(len(str(self.first_step + self.steps)) + 2)
        marks = [" "] * self.room
        start = -(-self.first_step // distance) * distance
        for step in range(start, self.first_step + self.steps, distance):
            at, number = self.cell(step), str(step)
            if at + len(number) <= max(self.room, len(number)):
                marks[at : at + len(number)] = number
        return "".join(marks)

    def _tick_distance(self, cells: int) -> int:
        """The smallest of 1, 2, 5, 10, 20, … steps that leaves ``cells`` between numbers."""
        distances = (digit * int(10**exponent) for exponent in count() for digit in (1, 2, 5))
        return next(d for d in distances if d // self.width * self.halves // 2 >= cells)

    def _labels(self, labels: Sequence[str]) -> list[str]:
        """Up to ``LABEL_LINES`` lines; a label that would touch those before it is left out."""
        shown = [shown_label(label) for label in labels]
        gap = 0 if all(cell_len(label) <= 1 for label in shown) else 1
        rows = [""] * LABEL_LINES
        for number, label in enumerate(shown):
            at = self.cell(self.first_step + number)
            free = (k for k, row in enumerate(rows) if not row or cell_len(row) + gap <= at)
            row = next(free, None)
            if row is not None and label.strip() and at + cell_len(label) <= self.room:
                rows[row] += " " * (at - cell_len(rows[row])) + label
        return [row for row in rows if row]


def map_axis(columns: Columns, first_step: int, room: int) -> tuple[TimeAxis, Columns]:
    """Columns of whole cells, as wide as there is room."""
    columns = columns.within(room)
    cells = min(WIDEST_STEP, room // max(1, columns.steps)) if columns.width == 1 else 1
    return TimeAxis(first_step, columns.steps, columns.width, 2 * max(1, cells)), columns


def line_axis(columns: Columns, first_step: int, room: int) -> tuple[TimeAxis, Columns]:
    """The same, with two columns in a cell where there are many steps."""
    if columns.steps <= room:
        return map_axis(columns, first_step, room)
    columns = columns.within(2 * room)
    return TimeAxis(first_step, columns.steps, columns.width, 1), columns
