"""A cursor over the steps and units of a trace's cells.

Letters: B sequences, T time steps, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..analysis.cells import TracedCell
from ..analysis.why import find_cell, weights_of
from ..errors import InputError, LstmCliError, NoSuchNameError, UsageError, numbered
from ..model import Model
from ..traces import GATE_TENSORS, STATE_TENSORS
from .spans import fitting_labels
from .view_step import StepNumbers, read_step

TENSORS = (*STATE_TENSORS, *GATE_TENSORS)

LabelsOf = Callable[[int], Sequence[str]]
"""The labels of a sequence's steps."""


class Cursor:
    """Where somebody is who looks through a trace.

    Attributes:
        cells: by name; ``""`` for a lone one.
        cell, tensor, sequence: what is looked at.
        step: the input's number of the step under the cursor.
        unit: which column of the tensor is under the cursor; ``unit_number`` is its own number.
        mark: the step at which a range begins; None without.
        labels: of the steps that the trace holds.
        names: of the sequences, where they have any.
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
        step: int | None = None,
        unit: int | None = None,
        names: Sequence[str] = (),
    ) -> None:
        """Put it where it begins; by default on the first of everything.

        Raises:
            NoSuchNameError: if the cell or the tensor is not there.
            UsageError: if the sequence, step or unit is not there, or labels are not one a step.
            InputError: if the trace holds no h, c or gates, or not this unit.
        """
        self.cells, self._labels_of, self._model = dict(cells), labels, model
        self.mark: int | None = None
        self.names = names
        self.cell = next(iter(self.cells)) if cell is None else find_cell(self.cells, cell)
        self.tensor, self.sequence = self.tensors[0], 0
        self.step = self.unit = 0
        self.labels: Sequence[str] = ()
        self.choose_sequence(sequence)
        if tensor is not None:
            self.choose_tensor(tensor)
        if step is not None:
            self.go_to_step(step)
        if unit is not None:
            self.go_to_unit(unit)

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
    def begin(self) -> int:
        """The input's number of the sequence's first step in the trace."""
        return self.traced.cut.first_step

    @property
    def end(self) -> int:
        """The number behind its last."""
        return self.begin + self.length

    @property
    def units(self) -> int:
        return self.traced.shape(self.tensor)[2]

    @property
    def unit_number(self) -> int:
        """The layer's number of the unit under the cursor."""
        return self.number_of(self.unit)

    def number_of(self, unit: int) -> int:
        """The layer's number of a unit that the trace holds."""
        return self.traced.cut.number(unit, self.tensor)

    @property
    def span(self) -> tuple[int, int] | None:
        """The range from the mark to the cursor; None without a mark."""
        if self.mark is None:
            return None
        return min(self.mark, self.step), max(self.mark, self.step) + 1

    def label(self, step: int) -> str:
        """Of a step; empty without labels."""
        at = step - self.begin
        return self.labels[at] if 0 <= at < len(self.labels) else ""

    def labels_of(self, sequence: int) -> Sequence[str]:
        """The labels of the steps of a sequence that the trace holds; none without labels.

        Raises:
            UsageError: if there is not one a step.
        """
        labels = tuple(self._labels_of(sequence)) if self._labels_of else ()
        return tuple(fitting_labels(labels, self.traced, sequence)) if labels else ()

    def numbers(self) -> StepNumbers:
        """Of the step and unit under the cursor."""
        return read_step(
            self.cells,
            self.cell,
            self.unit,
            self.step - self.begin,
            self.sequence,
            weights=None if self._model is None else weights_of(self._model, self.traced),
            label=self.label(self.step),
        )

    def value(self) -> float:
        """Of the tensor under the cursor."""
        at = self.step - self.begin
        block = self.traced.read(at, at + 1, (self.tensor,), states=False)
        return float(block.arrays[self.tensor][self.sequence, 0, self.unit])

    # -- going somewhere else

    def move(self, steps: int = 0, units: int = 0) -> None:
        """The cursor by so many steps and units, as far as there are."""
        self.step = min(max(self.begin, self.step + steps), self.end - 1)
        self.unit = min(max(0, self.unit + units), self.units - 1)

    def go_to_step(self, step: int) -> None:
        """To a step of the input.

        Raises:
            UsageError: if it is not there.
        """
        if not self.begin <= step < self.end:
            steps = numbered("step", self.end - self.begin, self.begin)
            raise UsageError(f"step {step}: the sequence has {steps}")
        self.step = step

    def go_to_unit(self, unit: int) -> None:
        """To the unit of a number.

        Raises:
            UsageError: if there is none.
            InputError: if it was left out of the trace.
        """
        if self.traced.cut.units is None and not 0 <= unit < self.units:
            raise UsageError(f"unit {unit}: the trace has {numbered('unit', self.units)}")
        self.unit = self.traced.cut.place(unit, self.tensor)

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
        if name == self.cell:
            return
        self.cell, self.mark = name, None
        if self.tensor not in self.tensors:
            self.tensor = self.tensors[0]
        try:
            self.labels = self.labels_of(self.sequence)
        except UsageError:  # a decoder's steps are not those of its encoder
            self.labels = ()
        self.move()

    def choose_sequence(self, sequence: int) -> None:
        """Look at another sequence.

        Raises:
            UsageError: if it is not there, has no steps, or its labels are not one a step.
        """
        count = self.traced.sequences
        if not 0 <= sequence < count:
            raise UsageError(f"sequence {sequence}: the trace has {numbered('sequence', count)}")
        before, self.sequence = self.sequence, sequence
        try:
            if not self.length:
                raise UsageError(f"sequence {sequence} has no steps")
            self.labels = self.labels_of(sequence)
        except LstmCliError:
            self.sequence = before
            raise
        self.mark = None
        self.move()

    def next_sequence(self, by: int) -> None:
        """The next that has steps, or with -1 the one before, around the end."""
        count, lengths = self.traced.sequences, self.traced.lengths
        for distance in range(1, count):
            sequence = (self.sequence + by * distance) % count
            if lengths is None or lengths[sequence]:
                self.choose_sequence(sequence)
                return
