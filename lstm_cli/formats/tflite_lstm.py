"""The LSTM operators of TFLite as cells: which of their many inputs are there, and what that means.

An operator names a tensor, or -1, for each of its inputs; what is absent says what the cell is:
without an input gate it is coupled to the forget gate (i = 1 - f); peepholes, projection and layer
norm are there when their tensors are.

Source: ``unidirectional_sequence_lstm.cc``, ``bidirectional_sequence_lstm.cc`` and ``lstm_eval.cc``
of TensorFlow Lite; every part was compared with its interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..model import Activation, Array, LstmCell
from . import gates
from .reading import NotComputed

ACTIVATIONS = {1: "relu", 3: "relu6", 4: "tanh"}
"""What an operator may apply to g and to c: RELU, RELU6, TANH of the schema.

With NONE, TFLite's own kernel multiplies o with numbers that it never wrote.
"""


class Places(NamedTuple):
    """Where the inputs of one cell stand among those of its operator.

    Attributes:
        weights, recurrent: of the gates i f g o, four each.
        peepholes: of i f o, three.
        biases: of i f g o, four.
        projection, projection_bias: one each.
        layer_norm: of i f g o, four, or none where the operator knows none.
    """

    weights: int
    recurrent: int
    peepholes: int
    biases: int
    projection: int
    projection_bias: int
    layer_norm: int | None


UNIDIRECTIONAL = Places(1, 5, 9, 12, 16, 17, 20)
FORWARD = Places(1, 5, 9, 12, 16, 17, None)
BACKWARD = Places(18, 22, 26, 29, 33, 34, None)

Constant = Callable[[int], "Array | None"]
"""The numbers of an operator's input; None where it is absent."""


class Settings(NamedTuple):
    """An operator's options, where they count."""

    activation: Activation
    cell_clip: float | None
    projection_clip: float | None


def settings_of(options: Any) -> Settings:
    """The options of an operator, where they count.

    Raises:
        NotComputed: if it uses an activation that is not computed.
    """
    number = options.FusedActivationFunction()
    if number not in ACTIVATIONS:
        raise NotComputed(f"its activation is number {number} of the schema, which is not computed")
    return Settings(
        Activation(ACTIVATIONS[number]),
        _positive(options.CellClip()),
        _positive(options.ProjClip()),
    )


def _positive(number: float) -> float | None:
    """A limit; 0 stands for none."""
    if number != number or number < 0:
        raise NotComputed(f"it holds values within ±{number}, which is no limit")
    return float(number) or None


def lstm_cell(places: Places, constant: Constant, settings: Settings) -> LstmCell:
    """A cell of an operator.

    Raises:
        NotComputed: if inputs that belong together are not all there.
    """
    weights = _four(places.weights, constant, "weights")
    coupled = weights[0] is None
    recurrent = _four(places.recurrent, constant, "recurrent weights", coupled)
    biases = _four(places.biases, constant, "biases", coupled)
    norms = _norms(places.layer_norm, constant, coupled)
    projection, projection_bias = constant(places.projection), constant(places.projection_bias)
    arrays = gates.tflite_lstm(weights, recurrent, biases)
    units = arrays.kernel.shape[1] // 4
    return LstmCell(
        *arrays,
        activation=settings.activation,
        recurrent_activation=Activation("sigmoid"),
        peepholes=_peepholes(places.peepholes, constant, coupled, units),
        projection=None if projection is None else np.ascontiguousarray(projection.T),
        projection_bias=None if projection is None else projection_bias,
        cell_clip=settings.cell_clip,
        projection_clip=None if projection is None else settings.projection_clip,
        coupled="i" if coupled else "",
        layer_norm=_rows(norms, units),
    )


def _four(
    first: int, constant: Constant, what: str, coupled: bool | None = None
) -> list[Array | None]:
    """The arrays of i f g o; i may be absent, all others are there."""
    found = [constant(first + k) for k in range(4)]
    if any(array is None for array in found[1:]):
        raise NotComputed(f"some of its {what} are absent")
    if coupled is not None and (found[0] is None) != coupled:
        raise NotComputed(f"its {what} have an input gate where others have none")
    return found


def _norms(first: int | None, constant: Constant, coupled: bool) -> list[Array | None]:
    found: list[Array | None] = [None] * 4
    if first is not None:
        found = [constant(first + k) for k in range(4)]
    if all(array is None for array in found):
        return found
    if any(array is None for array in found[1:]) or (found[0] is None) != coupled:
        raise NotComputed("some of its layer normalisation factors are absent")
    return found


def _peepholes(first: int, constant: Constant, coupled: bool, units: int) -> Array | None:
    found = [constant(first + k) for k in range(3)]
    if all(array is None for array in found):
        return None
    if any(array is None for array in found[1:]) or (found[0] is None) != coupled:
        raise NotComputed("some of its peephole weights are absent")
    return _rows(found, units)


def _rows(vectors: list[Array | None], units: int) -> Array | None:
    """Vectors (U,) as rows; ones for the gate that is not used."""
    there = [vector for vector in vectors if vector is not None]
    if not there:
        return None
    if any(vector.shape != (units,) for vector in there):
        raise NotComputed(f"its vectors should each hold {units} numbers")
    return np.stack([np.ones(units, np.float32) if each is None else each for each in vectors])
