"""Where somebody who looks through a trace is: cell, tensor, step and unit, and what is seen.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..analysis.cells import TracedCell
from ..analysis.why import find_cell, weights_of
from ..errors import InputError, LstmCliError, NoSuchNameError, UsageError
from ..model import LstmCell, Model
from ..traces import GATE_TENSORS, STATE_TENSORS
from .charts import Panel, make_chart
from .reduction import Columns
from .scales import Scale, scale_of
from .spans import fitting_labels
from .view_places import Place
from .view_step import StepNumbers, read_step

TENSORS = (*STATE_TENSORS, *GATE_TENSORS)

LabelsOf = Callable[[int], Sequence[str]]
"""The labels of a sequence's steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The part of a tensor that is seen.

    Attributes:
        panel: its columns, all units.
        scale: of the colours, the same for the whole sequence.
        first_step: the input's number of the first step.
        labels: of the steps that are seen.
    """

    panel: Panel
    scale: Scale
    first_step: int
    labels: Sequence[str]

    @property
    def columns(self) -> Columns:
        return self.panel.columns


class Viewer:
    """A cursor over the steps and units of a trace's cells.

    Attributes:
        cells: by name; ``""`` for a lone one.
        cell, tensor, sequence, step, unit: where the cursor is.
        zoom: steps of a column.
        first: the first step that is seen.
        mark: the step at which a range begins; None without.
        places: where to jump to, and ``place``, which of them was last; -1 before the first.
    """

    def __init__(
        self,
        cells: Mapping[str, TracedCell],
        labels: LabelsOf | None = None,
        model: Model | None = None,
        *,
        cell: str | None = None,
        tensor: str | None = None,
        sequence: int = 0,
        step: int = 0,
        unit: int = 0,
    ) -> None:
        """Put the cursor where it begins; by default on the first of everything.

        Raises:
            NoSuchNameError: if the cell or the tensor is not there.
            UsageError: if the sequence, step or unit is not there, or labels are not one a step.
            InputError: if the trace holds no h, c or gates.
        """
        self.cells, self._labels_of, self._model = dict(cells), labels, model
        self.zoom, self.first = 1, 0
        self.mark: int | None = None
        self.places: Sequence[Place] = ()
        self.place = -1
        self._windows: dict[tuple[object, ...], Panel] = {}
        self._scales: dict[tuple[str, str, int], Scale] = {}
        self.cell = next(iter(self.cells)) if cell is None else find_cell(self.cells, cell)
        self.step = self.unit = 0
        self.tensor = self.tensors[0]
        self.sequence = 0
        self.labels: tuple[str, ...] = ()
        self.choose_sequence(sequence)
        if tensor is not None:
            self.choose_tensor(tensor)
        self._check("step", step, self.length)
        self._check("unit", unit, self.units)
        self.step, self.unit = step, unit

    @property
    def traced(self) -> TracedCell:
        """The cell that is seen."""
        return self.cells[self.cell]

    @property
    def tensors(self) -> tuple[str, ...]:
        """Which of h, c and the gates the trace has."""
        found = tuple(tensor for tensor in TENSORS if tensor in self.traced.tensors)
        if not found:
            raise InputError("the trace holds no h, c or gates to look at")
        return found

    @property
    def length(self) -> int:
        """Steps of the sequence."""
        lengths = self.traced.lengths
        return self.traced.steps if lengths is None else int(lengths[self.sequence])

    @property
    def units(self) -> int:
        return self.traced.shape(self.tensor)[2]

    @property
    def span(self) -> tuple[int, int] | None:
        """The range from the mark to the cursor; None without a mark."""
        if self.mark is None:
            return None
        return min(self.mark, self.step), max(self.mark, self.step) + 1

    @property
    def weights(self) -> LstmCell | None:
        """Of the cell; None where only the trace can have them."""
        return None if self._model is None else weights_of(self._model, self.traced)

    def label(self, step: int) -> str:
        """Of a step; empty without labels."""
        return self.labels[step] if step < len(self.labels) else ""

    def numbers(self) -> StepNumbers:
        """Of the step and unit under the cursor."""
        return read_step(
            self.cells,
            self.cell,
            self.unit,
            self.step,
            self.sequence,
            weights=self.weights,
            label=self.label(self.step),
        )

    def value(self) -> float:
        """Of the tensor under the cursor."""
        block = self.traced.read(self.step, self.step + 1, (self.tensor,), states=False)
        return float(block.arrays[self.tensor][self.sequence, 0, self.unit])

    # -- going somewhere else

    def move(self, steps: int = 0, units: int = 0) -> None:
        """The cursor by so many steps and units, as far as there are."""
        self.step = min(max(0, self.step + steps), self.length - 1)
        self.unit = min(max(0, self.unit + units), self.units - 1)

    def choose_tensor(self, tensor: str) -> None:
        """Look at another tensor.

        Raises:
            NoSuchNameError: if the trace does not have it.
        """
        if tensor not in self.tensors:
            raise NoSuchNameError("tensor", tensor, self.tensors)
        self.tensor = tensor
        self.move()

    def choose_cell(self, name: str) -> None:
        """Look at another cell; the same tensor and labels where they fit it."""
        self.cell, self.mark = name, None
        if self.tensor not in self.tensors:
            self.tensor = self.tensors[0]
        labels = tuple(self._labels_of(self.sequence)) if self._labels_of else ()
        self.labels = labels if len(labels) in (self.traced.steps, self.length) else ()
        self.move()

    def choose_sequence(self, sequence: int) -> None:
        """Look at another sequence.

        Raises:
            UsageError: if it is not there, has no steps, or its labels are not one a step.
        """
        self._check("sequence", sequence, self.traced.sequences)
        before, self.sequence = self.sequence, sequence
        try:
            if not self.length:
                raise UsageError(f"sequence {sequence} has no steps")
            labels = tuple(self._labels_of(sequence)) if self._labels_of else ()
            if labels:
                labels = tuple(fitting_labels(labels, self.traced, sequence))
        except LstmCliError:
            self.sequence = before
            raise
        self.labels, self.mark = labels, None
        self.move()

    def go(self, place: Place) -> None:
        """To the beginning of a place."""
        if place.sequence != self.sequence:
            self.choose_sequence(place.sequence)
        self.step = min(place.start, self.length - 1)
        if place.unit is not None:
            self.unit = place.unit
        self.move()

    def take(self, places: Sequence[Place], nearest: bool = False) -> None:
        """Places to jump to from now on, and jump to the first of them.

        Args:
            nearest: begin with the first that is not before the cursor.
        """
        self.places, self.mark = places, None
        later = (k for k, place in enumerate(places) if place.start >= self.step)
        self.place = next(later, 0) if nearest else 0
        if places:
            self.go(places[self.place])

    def next_place(self, by: int) -> None:
        """To the next place, or with -1 to the one before, around the end.

        Raises:
            UsageError: if there is none.
        """
        if not self.places:
            raise UsageError("nothing to go through yet: j, / or a marked range finds places")
        self.place = (self.place + by) % len(self.places)
        self.go(self.places[self.place])

    def change_zoom(self, closer: bool, room: int) -> None:
        """Half or twice as many steps in a column; ``room`` is how many columns are seen."""
        if closer:
            self.zoom = max(1, self.zoom // 2)
        elif self.zoom * room < self.length:
            self.zoom *= 2

    # -- what is seen

    def window(self, room: int) -> Window:
        """What is seen where there are ``room`` columns; scrolls so that the cursor is in it."""
        seen = room * self.zoom
        if not self.first <= self.step < self.first + seen:
            back = self.step < self.first
            self.first = self.step if back else self.step - seen + self.zoom
        self.first = max(0, min(self.first, self.length - seen)) // self.zoom * self.zoom
        if self.step >= self.first + seen:
            self.first += self.zoom
        stop = min(self.first + seen, self.length)
        panel = self._panel(slice(self.first, stop))
        return Window(panel, self._scale(), self.first, self.labels[self.first : stop])

    def _panel(self, steps: slice) -> Panel:
        key = (self.cell, self.tensor, self.sequence, steps.start, steps.stop, self.zoom)
        if key not in self._windows:
            self._windows = {key: self._read(steps)}
        return self._windows[key]

    def _read(self, steps: slice) -> Panel:
        path = f"{self.cell}/{self.tensor}" if self.cell else self.tensor
        one = {self.cell: self.traced}
        (panel,) = make_chart(one, [path], steps=steps, sequence=self.sequence).panels
        columns = panel.columns
        together = self.zoom // columns.width
        merged = columns.merged(together) if together > 1 else columns
        return Panel(panel.name, panel.units, merged, panel.backward)

    def _scale(self) -> Scale:
        key = (self.cell, self.tensor, self.sequence)
        if key not in self._scales:
            path = f"{self.cell}/{self.tensor}" if self.cell else self.tensor
            one = {self.cell: self.traced}
            chart = make_chart(one, [path], sequence=self.sequence)
            self._scales[key] = scale_of(chart.panels[0])
        return self._scales[key]

    def _check(self, what: str, number: int, count: int) -> None:
        if not 0 <= number < count:
            raise UsageError(f"{what} {number}: there are {what}s 0 to {count - 1}")
