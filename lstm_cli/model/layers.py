"""Layers: cells in their directions and stacks, operations without recurrence, and the rest.

Letters: B sequences, T time steps, U units, P size of the hidden state, D directions, L levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .cells import Array, Cell, LstmCell

MergeMode = Literal["concat", "sum", "mul", "ave"]
MaskedOutput = Literal["previous", "zeros", "mirrored zeros", "state"]
WrapperMask = Literal["", "inner", "passed", "unread"]

Convention = Literal["keras", "torch", "torch cell", "onnx", "onnx batchwise"]
"""Names, shapes and order of what a recurrent layer returns, beside its outputs:

| convention | returns |
|---|---|
| keras | ``output``; ``state_h state_c``, ``forward_h …``, ``0/h …``: each (B, P) or (B, U) |
| torch | ``output`` of the last level (B, T, D·P); ``h_n`` (L·D, B, P), ``c_n`` (L·D, B, U) |
| torch cell | ``output`` (B, T, U); ``h_n``, ``c_n`` (B, U) |
| onnx | ``Y`` (T, D, B, U), ``Y_h``, ``Y_c`` (D, B, U) |
| onnx batchwise | ``Y`` (B, T, D, U), ``Y_h``, ``Y_c`` (B, D, U) |
"""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Direction:
    """Cells stacked at every step, reading the sequence in one time order.

    Attributes:
        name: ``""`` for a layer with one direction, else ``forward`` or ``backward``.
        cells: one, or several where each cell's h is the next one's input.
        go_backwards: read the last step first.
        masked_output: what a masked step outputs when sequences are returned: the previous output
            (zeros before the first), zeros, the current hidden state of the first cell, or the
            previous output with zeros where the mask read the other way round says so (an
            unrolled backward layer of Keras).
        masked_last: the same rule for the last output alone.
    """

    name: str
    cells: tuple[Cell, ...]
    go_backwards: bool = False
    masked_output: MaskedOutput = "previous"
    masked_last: MaskedOutput = "previous"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recurrent:
    """A recurrent layer: one direction, or two that are merged; or several levels of that.

    Attributes:
        directions: one; or forward and backward. With two, the backward output is put back into
            the input's time order before the merge; with one it stays in processing order.
        merge_mode: how two outputs become one; None hands both on.
        return_sequences, return_state, stateful: as saved.
        time_major: input and output are (T, B, ...) instead of (B, T, ...).
        reverse_state_order: stacked cells pass their states last cell first.
        mask_beside_states: an implicit mask still applies when initial states are passed in.
        above: the further levels of a stack such as nn.LSTM, each of as many directions; every
            level reads the merged output of the one below at every step.
        convention: what the layer returns; ``torch`` also numbers the levels: ``l0``, ``l1``.
    """

    directions: tuple[Direction, ...]
    merge_mode: MergeMode | None = None
    return_sequences: bool = False
    return_state: bool = False
    stateful: bool = False
    time_major: bool = False
    reverse_state_order: bool = False
    mask_beside_states: bool = True
    above: tuple[tuple[Direction, ...], ...] = ()
    convention: Convention = "keras"

    @property
    def levels(self) -> tuple[tuple[Direction, ...], ...]:
        """The directions of every level, lowest first; one level but for stacks."""
        return (self.directions, *self.above)

    def placed(self) -> Iterator[tuple[str, Direction, Cell]]:
        """Each cell with its full place: as ``cells``, but ``l0`` even where there is just one."""
        for level, directions in enumerate(self.levels):
            front = f"l{level}" if self.convention == "torch" else ""
            for direction in directions:
                for k, cell in enumerate(direction.cells):
                    number = str(k) if len(direction.cells) > 1 else ""
                    yield "/".join(filter(None, (front, direction.name, number))), direction, cell

    def cells(self) -> Iterator[tuple[str, Direction, Cell]]:
        """Each cell with its part name: ``forward``, ``0``, ``l1/backward``; ``""`` if alone."""
        placed = list(self.placed())
        for name, direction, cell in placed:
            yield name if len(placed) > 1 else "", direction, cell

    @property
    def parts(self) -> tuple[str, ...]:
        """Part names of the cells, or nothing where there is just one."""
        names = tuple(name for name, _, _ in self.cells())
        return names if len(names) > 1 else ()

    @property
    def is_lstm(self) -> bool:
        return all(isinstance(cell, LstmCell) for _, _, cell in self.cells())

    @property
    def input_size(self) -> int:
        return self.directions[0].cells[0].input_size

    @property
    def reads_backwards(self) -> bool:
        """Whether any cell reads the last step first."""
        return any(way.go_backwards for ways in self.levels for way in ways)

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the layer returns, as saved, in the framework's order."""
        return self.returned(self.return_state)

    def returned(self, with_state: bool) -> tuple[str, ...]:
        """Names of what the layer returns: ``output``, then with its state ``state_h state_c``."""
        return self._outputs + (self.state_names if with_state else ())

    @property
    def _outputs(self) -> tuple[str, ...]:
        if self.convention.startswith("onnx"):
            return ("Y",)
        two = len(self.directions) == 2
        return ("output_0", "output_1") if two and self.merge_mode is None else ("output",)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the states in the framework's order, for one cell, two directions or stacks."""
        if self.convention != "keras":
            names = "Y_{}" if self.convention.startswith("onnx") else "{}_n"
            return tuple(names.format(state) for state in self.directions[0].cells[0].state_names)
        return self._keras_state_names()

    def _keras_state_names(self) -> tuple[str, ...]:
        names: list[str] = []
        for direction in self.directions:
            stack = list(enumerate(direction.cells))
            if self.reverse_state_order:
                stack.reverse()
            for k, cell in stack:
                for state in cell.state_names:
                    if len(direction.cells) > 1:
                        names.append("/".join(filter(None, (direction.name, str(k), state))))
                    else:
                        names.append(f"{direction.name or 'state'}_{state}")
        return tuple(names)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Operation:
    """What a layer without recurrence computes: a name the engine knows, settings and arrays."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Foreign:
    """Operators around the LSTM layers of a file, which a library of their own format runs.

    Attributes:
        library: which one: ``onnx``.
        inputs, outputs: names of the values inside the program, in the order of the call's
            arguments and of what it returns.
        operators: their kinds, in order, for people: ``Transpose``.
        program: gives the serialised program, read from the file when it is asked for; without
            the types of its inputs, which the values themselves have.
    """

    library: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: tuple[str, ...]
    program: Callable[[], bytes]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unsupported:
    """A layer that we cannot compute, and why, as a clause: ``a Lambda holds Python code``."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer:
    """One layer of the file.

    Attributes:
        address: its framework's name, with the enclosing models' names in front: ``outer/lstm``.
        kind: the framework's class, with what it wraps: ``Bidirectional(LSTM)``.
        operation: what it computes.
        dtype: ``float32`` or ``float64``, what it computes in unless the caller says otherwise;
            ``""`` for the dtype of what comes in.
        parameters: how many numbers it holds.
        trainable: as saved.
        distributed: along how many axes after the first it is applied (TimeDistributed).
        wrapper_mask: which mask a TimeDistributed hands on: that of the layer inside, or its own
            (``passed``; ``unread`` where the layer inside does not see it either); ``""`` for a
            layer that is not wrapped itself.
    """

    address: str
    kind: str
    operation: Recurrent | Operation | Foreign | Unsupported
    dtype: str = "float32"
    parameters: int = 0
    trainable: bool = True
    distributed: int = 0
    wrapper_mask: WrapperMask = ""

    def __repr__(self) -> str:
        return f"<Layer {self.address}: {self.kind}>"

    @property
    def recurrent(self) -> Recurrent | None:
        return self.operation if isinstance(self.operation, Recurrent) else None

    @property
    def is_lstm(self) -> bool:
        return isinstance(self.operation, Recurrent) and self.operation.is_lstm
