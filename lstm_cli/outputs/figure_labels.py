"""The labels of steps below the time axis of a figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .charts import Chart
from .step_labels import shown_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST_LABEL, SMALLEST_LABEL = 8.0, 4.5
LETTER_WIDTH, LINE_HEIGHT = 0.68, 1.25
"""Of the size of the letters, which is in points."""

LONGEST_LABEL = 24


class StepLabels:
    """The labels of steps below a time axis, turned where they are long, as many as can be read.

    Args:
        chart: whose labels they are.
        points: from one step to the next.

    Attributes:
        every: one label in so many is shown.
        room: points that they take below the axis.
    """

    def __init__(self, chart: Chart, points: float) -> None:
        labels = [_cut(shown_label(label)) for label in chart.labels]
        longest = max(map(len, labels), default=0)
        across = points / (LETTER_WIDTH * max(1, longest) + (longest > 1) * LETTER_WIDTH)
        self._turned = across < SMALLEST_LABEL and longest > 1
        self._size = min(LARGEST_LABEL, points / LINE_HEIGHT if self._turned else across)
        self._size = max(self._size, SMALLEST_LABEL)
        self.every = 1
        if self._turned:
            self.every = max(1, math.ceil(SMALLEST_LABEL * LINE_HEIGHT / points))
        elif labels and across < SMALLEST_LABEL:
            self.every = math.ceil(SMALLEST_LABEL / across)
        self._texts = {chart.first_step + k: labels[k] for k in range(0, len(labels), self.every)}
        height = LETTER_WIDTH * longest if self._turned else LINE_HEIGHT
        self.room = height * self._size + 2 if labels else 0.0

    def put(self, axes: Axes) -> None:
        """Write them."""
        if not self._texts:
            return
        axes.xaxis.remove_overlapping_locs = False  # a label stays where a number stands below it
        axes.set_xticks(
            list(self._texts),
            list(self._texts.values()),
            minor=True,
            fontsize=self._size,
            rotation=90 if self._turned else 0,
            parse_math=False,
        )
        axes.tick_params(axis="x", which="minor", length=0, pad=4)


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
