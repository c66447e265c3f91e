"""Step loops of the GRU and SimpleRNN cells.

Letters: B sequences, n steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..model import Array, GruCell, SimpleRnnCell
from .activations import in_place

State = tuple[Array, ...]


class GruLoop:
    """h = z h_prev + (1 - z) g, with the update gate z, the reset gate r and the candidate g.

    Source: ``GRUCell.call`` in keras/src/layers/rnn/gru.py, Keras 3.
    """

    def __init__(self, cell: GruCell, dtype: np.dtype[Any]) -> None:
        units = cell.units
        self._gate = in_place(cell.recurrent_activation)
        self._act = in_place(cell.activation)
        self._reset_after = cell.reset_after
        self._kernel = cell.kernel.astype(dtype)
        recurrent = cell.recurrent_kernel.astype(dtype)
        self._recurrent = recurrent
        self._recurrent_gates = np.ascontiguousarray(recurrent[:, : 2 * units])
        self._recurrent_candidate = np.ascontiguousarray(recurrent[:, 2 * units :])
        self._bias, self._recurrent_bias = _gru_biases(cell, dtype)

    def run(self, x: Array, state: State, results: Mapping[str, Array]) -> State:
        """See ``recurrence.Loops``."""
        (h,) = state
        step = self._step_reset_after if self._reset_after else self._step_reset_before
        for t in range(x.shape[1]):
            h = step(x[:, t].astype(h.dtype), h)
            if "h" in results:
                results["h"][:, t] = h
        return (h,)

    def _step_reset_before(self, x: Array, h: Array) -> Array:
        units = h.shape[1]
        z_r, g = np.split(x @ self._kernel + self._bias, [2 * units], axis=1)  # (B, 2U), (B, U)
        z, r = self._gates(z_r + h @ self._recurrent_gates)
        return self._mix(z, h, g + (r * h) @ self._recurrent_candidate)

    def _step_reset_after(self, x: Array, h: Array) -> Array:
        units = h.shape[1]
        z_r, g = np.split(x @ self._kernel + self._bias, [2 * units], axis=1)
        product = h @ self._recurrent + self._recurrent_bias  # (B, 3U)
        z, r = self._gates(z_r + product[:, : 2 * units])
        return self._mix(z, h, g + r * product[:, 2 * units :])

    def _mix(self, z: Array, h: Array, g: Array) -> Array:
        """h after the step; ``g`` is the candidate before its activation."""
        after: Array = z * h + (1 - z) * self._act(g, g)
        return after

    def _gates(self, z_r: Array) -> tuple[Array, Array]:
        """(B, 2U) -> the update and reset gates, each (B, U)."""
        z, r = np.split(z_r, 2, axis=1)
        return self._gate(z, z), self._gate(r, r)


class SimpleRnnLoop:
    """h = activation(x kernel + h_prev recurrent_kernel + bias)."""

    def __init__(self, cell: SimpleRnnCell, dtype: np.dtype[Any]) -> None:
        self._act = in_place(cell.activation)
        self._kernel = cell.kernel.astype(dtype)
        self._recurrent = cell.recurrent_kernel.astype(dtype)
        bias = np.zeros(cell.units) if cell.bias is None else cell.bias
        self._bias = bias.astype(dtype)

    def run(self, x: Array, state: State, results: Mapping[str, Array]) -> State:
        """See ``recurrence.Loops``."""
        (h,) = state
        for t in range(x.shape[1]):
            z = x[:, t].astype(h.dtype) @ self._kernel + h @ self._recurrent + self._bias
            h = self._act(z, z)
            if "h" in results:
                results["h"][:, t] = h
        return (h,)


def _gru_biases(cell: GruCell, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Bias of the input product and of the recurrent product, each (3U,)."""
    none = np.zeros(3 * cell.units, dtype)
    if cell.bias is None:
        return none, none
    if cell.reset_after:
        return cell.bias[0].astype(dtype), cell.bias[1].astype(dtype)
    return cell.bias.astype(dtype), none
