"""What a model is, once the file it came from no longer matters: plain data, checked once.

A model is a list of layers and a flat list of calls to them, in an order that can be computed:
nested models are unfolded by their reader, so that their layers appear here with addresses such as
``outer/lstm``, and a layer that is used twice has two calls. Weights stand in this package's own
orders, and every setting that changes a number is explicit.

Letters: B sequences, T time steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import AmbiguousNameError, NoSuchNameError, ShapeError

Array = NDArray[Any]

GATES = ("i", "f", "g", "o")
"""Order of the column blocks in every stacked LSTM array of this package; readers reorder to it."""

MergeMode = Literal["concat", "sum", "mul", "ave"]
MaskedOutput = Literal["previous", "zeros", "mirrored zeros", "state"]
WrapperMask = Literal["", "inner", "passed", "unread"]


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation function: its name in the engine and the numbers that choose its variant.

    ``hard_sigmoid`` is clip(alpha x + beta, 0, 1): alpha is 0.2 before Keras 3 and 1/6 from it on.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None

    def __str__(self) -> str:
        if self.name == "hard_sigmoid":
            slope = "x/6" if abs((self.alpha or 0) - 1 / 6) < 1e-6 else f"{self.alpha:g}x"
            return f"hard_sigmoid ({slope} + {self.beta:g})"
        return self.name if self.alpha is None else f"{self.name} (alpha {self.alpha:g})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LstmCell:
    """Weights of one LSTM cell, the four gates side by side in the order of ``GATES``.

    Attributes:
        kernel: weights on the input, shape (F, 4U).
        recurrent_kernel: weights on the previous hidden state, shape (U, 4U).
        bias: sum of all biases the file holds, shape (4U,), or None.
        activation: of the candidate g and of c before the output gate.
        recurrent_activation: of the gates i, f, o.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    activation: Activation = Activation("tanh")
    recurrent_activation: Activation = Activation("sigmoid")

    kind = "LSTM"

    def __post_init__(self) -> None:
        _check_cell(self, 4, "i f g o")

    @property
    def input_size(self) -> int:
        """Number of input features, F."""
        return int(self.kernel.shape[0])

    @property
    def units(self) -> int:
        """Number of units, U."""
        return int(self.recurrent_kernel.shape[0])

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("h", "c")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GruCell:
    """Weights of one GRU cell, columns z r h as Keras stacks them.

    Attributes:
        kernel: shape (F, 3U).
        recurrent_kernel: shape (U, 3U).
        bias: shape (3U,), or (2, 3U) with ``reset_after``: input bias, recurrent bias.
        reset_after: apply the reset gate after the recurrent product (the CuDNN form).
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    activation: Activation = Activation("tanh")
    recurrent_activation: Activation = Activation("sigmoid")
    reset_after: bool = False

    kind = "GRU"

    def __post_init__(self) -> None:
        _check_cell(self, 3, "z r h")

    @property
    def input_size(self) -> int:
        return int(self.kernel.shape[0])

    @property
    def units(self) -> int:
        return int(self.recurrent_kernel.shape[0])

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("h",)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimpleRnnCell:
    """Weights of one SimpleRNN cell: h = activation(x kernel + h recurrent_kernel + bias)."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    activation: Activation = Activation("tanh")

    kind = "SimpleRNN"

    def __post_init__(self) -> None:
        _check_cell(self, 1, "h")

    @property
    def input_size(self) -> int:
        return int(self.kernel.shape[0])

    @property
    def units(self) -> int:
        return int(self.recurrent_kernel.shape[0])

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("h",)


Cell = LstmCell | GruCell | SimpleRnnCell


def _check_cell(cell: Cell, blocks: int, order: str) -> None:
    units = cell.recurrent_kernel.shape[0] if cell.recurrent_kernel.ndim == 2 else -1
    width = blocks * units
    if units < 1 or cell.recurrent_kernel.shape != (units, width):
        expected = f"(U, {blocks}U), columns {order}"
        raise ShapeError("recurrent_kernel", expected, cell.recurrent_kernel.shape)
    if cell.kernel.ndim != 2 or cell.kernel.shape[0] < 1 or cell.kernel.shape[1] != width:
        raise ShapeError("kernel", f"(F, {width})", cell.kernel.shape)
    wanted = (2, width) if getattr(cell, "reset_after", False) else (width,)
    if cell.bias is not None and cell.bias.shape != wanted:
        raise ShapeError("bias", str(wanted), cell.bias.shape)


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
    """A recurrent layer: one direction, or two that are merged.

    Attributes:
        directions: one; or forward and backward. With two, the backward output is put back into
            the input's time order before the merge; with one it stays in processing order.
        merge_mode: how two outputs become one; None hands both on.
        return_sequences, return_state, stateful: as saved.
        time_major: input and output are (T, B, ...) instead of (B, T, ...).
        reverse_state_order: stacked cells pass their states last cell first.
        mask_beside_states: an implicit mask still applies when initial states are passed in.
    """

    directions: tuple[Direction, ...]
    merge_mode: MergeMode | None = None
    return_sequences: bool = False
    return_state: bool = False
    stateful: bool = False
    time_major: bool = False
    reverse_state_order: bool = False
    mask_beside_states: bool = True

    def cells(self) -> Iterator[tuple[str, Direction, Cell]]:
        """Each cell with its part name: ``""``, ``forward``, ``0``, ``backward/1``."""
        for direction in self.directions:
            for k, cell in enumerate(direction.cells):
                number = str(k) if len(direction.cells) > 1 else ""
                yield "/".join(filter(None, (direction.name, number))), direction, cell

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
    def output_names(self) -> tuple[str, ...]:
        """What the layer returns, as saved, in the framework's order."""
        return self.returned(self.return_state)

    def returned(self, with_state: bool) -> tuple[str, ...]:
        """Names of what the layer returns: ``output``, then with its state ``state_h state_c``."""
        two = len(self.directions) == 2
        outputs = ("output_0", "output_1") if two and self.merge_mode is None else ("output",)
        return outputs + (self.state_names if with_state else ())

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the states in the framework's order, for one cell, two directions or stacks."""
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
    operation: Recurrent | Operation | Unsupported
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


@dataclass(frozen=True, slots=True)
class Reference:
    """Output number ``output`` of call number ``call``."""

    call: int
    output: int = 0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant:
    """A value that stands in the file where a tensor could stand."""

    value: Array


Argument = Reference | Constant


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call:
    """One use of a layer.

    Attributes:
        layer: the layer.
        index: which of the layer's calls this is, from 0.
        arguments: its inputs, in order.
        initial_state: for a recurrent layer, the states passed to it, in the framework's order.
        mask: an explicit mask, which replaces the implicit one; None keeps the implicit one.
        mask_handed_on: whether later layers see the explicit mask too, not the implicit one.
        settings: of this call alone, beside those of the layer's operation.
    """

    layer: Layer
    index: int = 0
    arguments: tuple[Argument, ...] = ()
    initial_state: tuple[Argument, ...] = ()
    mask: Argument | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    mask_handed_on: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the model: its name, declared shape (None for an open axis; None if unknown)."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str
    call: int
    batch_axis: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """An output of the model: the layer it comes from and where it is computed."""

    name: str
    reference: Reference
    shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Model:
    """A model read from a file.

    Attributes:
        path: the file.
        format: the container, in words: ``Keras HDF5, whole model``.
        written_by: the framework and version, as far as the file says.
        layers: every layer, in the file's order.
        calls: how they are connected, in an order that can be computed; empty without a graph.
        inputs, outputs: in the file's order.
        assumptions: everything assumed or inferred, a sentence each.
        no_graph: why there is no graph, as a clause; empty where there is one.
    """

    path: str
    format: str
    written_by: str
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    assumptions: tuple[str, ...] = ()
    no_graph: str = ""

    def __repr__(self) -> str:
        return f"<Model {self.path}: {self.written_by}, {len(self.layers)} layers>"

    @property
    def has_graph(self) -> bool:
        """Whether the file says how its layers are connected."""
        return bool(self.outputs)

    @property
    def lstm_layers(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.is_lstm)

    def calls_of(self, layer: Layer) -> tuple[int, ...]:
        """Numbers of the calls of ``layer``, in order."""
        return tuple(k for k, call in enumerate(self.calls) if call.layer is layer)

    def find(self, name: str) -> Layer:
        """The layer with this address, or with an address that ends in it after ``/`` or ``.``.

        Raises:
            NoSuchNameError: if there is none; lists all, nearest first.
            AmbiguousNameError: if several end so.
        """
        for layer in self.layers:
            if layer.address == name:
                return layer
        ends = ("/" + name, "." + name)
        found = [layer for layer in self.layers if name and layer.address.endswith(ends)]
        if not found:
            raise NoSuchNameError("layer", name, (layer.address for layer in self.layers))
        if len(found) > 1:
            raise AmbiguousNameError("layer", name, (layer.address for layer in found))
        return found[0]


def parameter_count(*arrays: Array | None) -> int:
    """How many numbers the arrays hold."""
    return int(sum(np.size(array) for array in arrays if array is not None))
