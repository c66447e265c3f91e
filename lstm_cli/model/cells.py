"""Recurrent cells: their weights, in this package's own orders, and every setting that counts.

Letters: F input features, U units, P size of the hidden state (U without a projection).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError

Array = NDArray[Any]

GATES = ("i", "f", "g", "o")
"""Order of the column blocks in every stacked LSTM array of this package; readers reorder to it."""

PEEPHOLES = ("i", "f", "o")
"""Order of the rows of ``LstmCell.peepholes``; readers reorder to it."""

LSTM_WEIGHTS = (
    *("kernel", "recurrent_kernel", "bias", "peepholes"),
    *("projection", "projection_bias", "layer_norm"),
)
"""Names of the arrays of an ``LstmCell``, in the order in which they are listed and written."""

Coupled = Literal["", "i", "f"]


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
        given = {"alpha": self.alpha, "beta": self.beta}
        told = ", ".join(f"{name} {value:g}" for name, value in given.items() if value is not None)
        return f"{self.name} ({told})" if told else self.name


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LstmCell:
    """Weights of one LSTM cell, the four gates side by side in the order of ``GATES``.

    A step is z = x kernel + h recurrent_kernel + bias, gates i f o and candidate g from it,
    c' = f c + i g and h' = o output_activation(c'); the other attributes change it as they say.

    Attributes:
        kernel: weights on the input, shape (F, 4U).
        recurrent_kernel: weights on the previous hidden state, shape (P, 4U).
        bias: sum of all biases the file holds, shape (4U,), or None.
        activation: of the candidate g.
        recurrent_activation: of the gates i, f, o.
        output_activation: of c before the output gate; None for the same as ``activation``.
        peepholes: weights on the cell state, shape (3, U), rows i f o: i and f see the previous
            c, o sees the new one. None without.
        projection: h' is projected by it, shape (U, P); None without, then P is U.
        projection_bias: added after it, shape (P,), or None.
        clip: pre-activations, peepholes included, are held within ±clip; None without.
        cell_clip: c' is held within ±cell_clip; None without.
        projection_clip: h' is held within ±projection_clip after the projection; None without.
        coupled: ``f`` for f = 1 - i, ``i`` for i = 1 - f; ``""`` for gates of their own. The
            column block of a coupled gate is not used.
        layer_norm: factors of a normalisation over units, shape (4, U), rows as ``GATES``: each
            gate's x kernel + h recurrent_kernel (+ peephole) is brought to mean 0 and variance 1,
            multiplied by its row, and only then the bias is added. None without.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    activation: Activation = Activation("tanh")
    recurrent_activation: Activation = Activation("sigmoid")
    output_activation: Activation | None = None
    peepholes: Array | None = None
    projection: Array | None = None
    projection_bias: Array | None = None
    clip: float | None = None
    cell_clip: float | None = None
    projection_clip: float | None = None
    coupled: Coupled = ""
    layer_norm: Array | None = None

    kind = "LSTM"

    def __post_init__(self) -> None:
        _check_lstm(self)

    @property
    def input_size(self) -> int:
        """Number of input features, F."""
        return int(self.kernel.shape[0])

    @property
    def units(self) -> int:
        """Number of units, U."""
        return int(self.kernel.shape[1]) // 4

    @property
    def hidden_size(self) -> int:
        """Size of the hidden state, P; U without a projection."""
        return int(self.recurrent_kernel.shape[0])

    @property
    def is_plain(self) -> bool:
        """Whether the cell is the textbook's, so that the quick loops can run it."""
        extras = (
            *(self.output_activation, self.peepholes, self.projection, self.layer_norm),
            *(self.clip, self.cell_clip, self.projection_clip),
        )
        return not self.coupled and all(extra is None for extra in extras)

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("h", "c")

    @property
    def state_sizes(self) -> Mapping[str, int]:
        """Size of each state, by name."""
        return {"h": self.hidden_size, "c": self.units}


class _OneState:
    """What the cells without a cell state have in common."""

    __slots__ = ()
    kernel: Array
    recurrent_kernel: Array

    @property
    def input_size(self) -> int:
        return int(self.kernel.shape[0])

    @property
    def units(self) -> int:
        return int(self.recurrent_kernel.shape[0])

    @property
    def hidden_size(self) -> int:
        return self.units

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("h",)

    @property
    def state_sizes(self) -> Mapping[str, int]:
        return {"h": self.units}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GruCell(_OneState):
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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimpleRnnCell(_OneState):
    """Weights of one SimpleRNN cell: h = activation(x kernel + h recurrent_kernel + bias)."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    activation: Activation = Activation("tanh")

    kind = "SimpleRNN"

    def __post_init__(self) -> None:
        _check_cell(self, 1, "h")


Cell = LstmCell | GruCell | SimpleRnnCell


def _check_lstm(cell: LstmCell) -> None:
    """Every array has the shape that the others ask for."""
    hidden = cell.recurrent_kernel.shape[0] if cell.recurrent_kernel.ndim == 2 else 0
    units = hidden if cell.projection is None else cell.projection.shape[0]
    width = 4 * units
    if cell.projection is None and (hidden < 1 or cell.recurrent_kernel.shape[1] != width):
        raise ShapeError(
            "recurrent_kernel", "(U, 4U), columns i f g o", cell.recurrent_kernel.shape
        )
    expected = {
        "recurrent_kernel": (hidden, width),
        "bias": (width,),
        "peepholes": (3, units),
        "projection": (units, hidden),
        "projection_bias": (hidden,),
        "layer_norm": (4, units),
    }
    for name, shape in expected.items():
        array = getattr(cell, name)
        if array is not None and (array.shape != shape or 0 in shape):
            raise ShapeError(name, str(shape), array.shape)
    if cell.kernel.ndim != 2 or cell.kernel.shape[0] < 1 or cell.kernel.shape[1] != width:
        raise ShapeError("kernel", f"(F, {width})", cell.kernel.shape)


def _check_cell(cell: GruCell | SimpleRnnCell, blocks: int, order: str) -> None:
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


def parameter_count(*arrays: Array | None) -> int:
    """How many numbers the arrays hold."""
    return int(sum(np.size(array) for array in arrays if array is not None))
