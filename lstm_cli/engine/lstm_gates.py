"""How an LSTM's gate activation is folded into its weights.

Letters: F input features, U units.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..model import GATES, Activation, Array, LstmCell
from .activations import InPlace, in_place

PLANES = ("o", "i", "f", "g")
"""Order of the gates inside the loops: o i f in one piece, then g, behind which c stands."""


class GateForm:
    """What is left of the gates' activation once a factor and an offset are in the weights.

    sigmoid(z) = 1 / (1 + exp(-z)) needs -z, and hard_sigmoid(z) = clip(alpha z + beta, 0, 1) needs
    alpha z + beta; every other activation needs z.

    Attributes:
        is_exp, is_clip: what is left is 1 / (1 + exp(z)), or clip(z, 0, 1).
        function: the activation itself, for all others.
        factor, offset: z is multiplied by the one, then the other is added.
    """

    def __init__(self, activation: Activation) -> None:
        self.function: InPlace = in_place(activation)
        self.is_exp = activation.name == "sigmoid"
        self.is_clip = activation.name == "hard_sigmoid"
        self.factor, self.offset = 1.0, 0.0
        if self.is_exp:
            self.factor = -1.0
        if self.is_clip and activation.alpha is not None and activation.beta is not None:
            self.factor, self.offset = activation.alpha, activation.beta


def natural_weights(cell: LstmCell, dtype: np.dtype[Any]) -> Array:
    """Kernel, bias and recurrent kernel stacked for [x 1 h]: (F + 1 + U, 4U), columns i f g o."""
    bias = np.zeros(4 * cell.units) if cell.bias is None else cell.bias
    stacked = np.concatenate((cell.kernel, bias[np.newaxis], cell.recurrent_kernel))
    return stacked.astype(dtype)


def folded_weights(cell: LstmCell, form: GateForm, dtype: np.dtype[Any]) -> Array:
    """The same with the gates' factor and offset: (F + 1 + U, 4, U), planes o i f g."""
    natural = natural_weights(cell, np.dtype(np.float64)).reshape(-1, 4, cell.units)
    folded = natural[:, [GATES.index(name) for name in PLANES]]
    folded[:, :3] *= form.factor
    folded[cell.input_size, :3] += form.offset
    return np.ascontiguousarray(folded, dtype)
