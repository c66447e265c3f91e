"""What somebody who looks through a trace sees, and where there is to jump to.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..analysis.cells import TracedCell
from ..analysis.search import THRESHOLD, Features
from ..errors import UsageError
from ..model import Model
from .view_cursor import Cursor, LabelsOf
from .view_places import Places, find_alike
from .view_window import Window, WindowReader

LARGEST_OF_ALL = 2**22
"""Numbers of a tensor from which on only the one that is chosen is looked at, not all six."""


class Viewer(Cursor):
    """A cursor, the window around it, and the places that a search has found.

    Attributes:
        zoom: steps of a column.
        first: the first step that is seen.
        threshold: from which value on a unit counts as on where steps alike are searched for.
        places: where to jump to, and ``place``, which of them was last.
    """

    def __init__(
        self,
        cells: Mapping[str, TracedCell],
        labels: LabelsOf | None = None,
        model: Model | None = None,
        **start: Any,
    ) -> None:
        """As ``Cursor``."""
        super().__init__(cells, labels, model, **start)
        self.zoom, self.first = 1, 0
        self.threshold = THRESHOLD
        self.places, self.place = Places(), 0
        self._reader = WindowReader()

    def change_zoom(self, closer: bool, room: int) -> None:
        """Half or twice as many steps in a column; ``room`` is how many columns are seen."""
        if closer:
            self.zoom = max(1, self.zoom // 2)
        elif self.zoom * room < self.length:
            self.zoom *= 2

    # -- places

    def choose_threshold(self, threshold: float) -> None:
        """From which value on a unit counts as on where steps alike are searched for.

        Raises:
            UsageError: if no value can be there.
        """
        Features(self.tensor, threshold)
        self.threshold = threshold

    def alike(self, span: tuple[int, int]) -> Places:
        """Where else the units do what they do in a range of steps.

        Raises:
            InputError: if no unit is on throughout the range.
        """
        own = self._labels_or_none if self.labels else None
        return find_alike(self.traced, self.tensor, span, self.sequence, self.threshold, own)

    def _labels_or_none(self, sequence: int) -> Sequence[str]:
        """The labels of a sequence's steps; none where they are those of another length."""
        try:
            return self.labels_of(sequence)
        except UsageError:
            return ()

    def take(self, places: Places, nearest: bool = False) -> None:
        """Places to jump to from now on, and jump to the first of them.

        Args:
            nearest: begin with the first that is not before the cursor.
        """
        self.places, self.place, self.mark = places, 0, None
        if not places.found:
            return
        later = (k for k, place in enumerate(places.found) if place.start >= self.step)
        self.go(next(later, 0) if nearest else 0)

    def go(self, place: int) -> None:
        """To the beginning of one of the places, around the end.

        Raises:
            UsageError: if there are none.
        """
        if not self.places.found:
            raise UsageError("nothing to go through yet: j, / or a marked range finds places")
        self.place = place % len(self.places.found)
        wanted = self.places.found[self.place]
        if self.places.cell is not None:
            self.choose_cell(self.places.cell)
        if wanted.sequence != self.sequence:
            self.choose_sequence(wanted.sequence)
        if wanted.unit is not None:
            self.unit = self.traced.cut.place(wanted.unit, self.tensor)
        self.step = wanted.start
        self.move()

    # -- what is seen

    @property
    def sees_all_tensors(self) -> bool:
        """Whether the scales of all tensors are found as soon as they are asked for."""
        return self.traced.steps * self.traced.sequences * self.units <= LARGEST_OF_ALL

    def window(self, room: int, tensor: str | None = None) -> Window:
        """What is seen where there are ``room`` columns.

        Scrolls so that the cursor is in it: by as little as it takes after a step, and after a jump
        so that it is in the middle.

        Args:
            room: number of columns.
            tensor: another one than is looked at, of the same steps.
        """
        seen, at = room * self.zoom, self.step - self.begin
        first = self.first - self.begin
        if not first <= at < first + seen:
            edge = at if at < first else at - seen + self.zoom
            near = max(first - at, at - (first + seen - 1)) <= self.zoom
            first = edge if near else at - seen // 2
        first = max(0, min(first, self.length - seen)) // self.zoom * self.zoom
        if at >= first + seen:
            first += self.zoom
        stop = min(first + seen, self.length)
        self.first = first + self.begin
        steps = slice(self.first, stop + self.begin)
        name = self.tensor if tensor is None else tensor
        panel, scale, values = self._reader.read(self.traced, name, self.sequence, steps, self.zoom)
        return Window(panel, scale, self.first, values, self.labels[first:stop])
