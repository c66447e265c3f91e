"""Step loop of LSTM cells with more than the textbook has: peepholes, projections, clips.

One loop for everything that a file may add, a few NumPy calls a step slower than ``lstm_loops``.

Letters: B sequences, n steps, F input features, U units, P size of the hidden state.

Source: the LSTM operator of ONNX and onnxruntime's kernel of it; PyTorch's ``proj_size``;
``lstm_eval.cc`` of TFLite for the clips of c and of the projection, and for the normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..model import GATES, PEEPHOLES, Array, LstmCell
from .activations import in_place

State = tuple[Array, ...]

VARIANCE_FLOOR = 1e-8
"""What TFLite adds to a variance before it divides by its root."""


class GeneralLoop:
    """An LSTM cell with every addition that ``LstmCell`` knows."""

    def __init__(self, cell: LstmCell, dtype: np.dtype[Any]) -> None:
        self._cell, self._dtype = cell, dtype
        self._gate = in_place(cell.recurrent_activation)
        self._act = in_place(cell.activation)
        self._act_c = in_place(cell.output_activation or cell.activation)
        self._kernel = cell.kernel.astype(dtype)
        self._recurrent = cell.recurrent_kernel.astype(dtype)
        bias = np.zeros(4 * cell.units) if cell.bias is None else cell.bias
        self._bias = bias.astype(dtype).reshape(4, cell.units)
        self._peepholes = _by_gate(cell.peepholes, PEEPHOLES, dtype)
        self._norms = _by_gate(cell.layer_norm, GATES, dtype)
        self._projection = None if cell.projection is None else cell.projection.astype(dtype)
        extra = cell.projection_bias
        self._projection_bias = None if extra is None else extra.astype(dtype)

    def run(self, x: Array, state: State, results: Mapping[str, Array]) -> State:
        """See ``recurrence.Loops``; ``h`` is (B, n, P)."""
        units = self._cell.units
        h, c = (part.astype(self._dtype) for part in state)
        from_x = np.matmul(x.astype(self._dtype, copy=False), self._kernel)  # (B, n, 4U)
        for t in range(x.shape[1]):
            z = from_x[:, t] + np.dot(h, self._recurrent)
            h, c, step = self._step(z.reshape(-1, 4, units), c)
            step |= {"h": h, "c": c}
            for name, array in results.items():
                array[:, t] = step[name]
        return h, c

    def _step(self, z: Array, c_before: Array) -> tuple[Array, Array, dict[str, Array]]:
        """New h (B, P) and c (B, U), and the gates and their arguments, from z (B, 4, U)."""
        cell, step = self._cell, {}
        argument = {name: z[:, k] for k, name in enumerate(GATES)}
        for name in ("i", "f"):
            if name != cell.coupled:
                step[f"z_{name}"] = self._argument(name, argument[name], c_before)
                step[name] = self._gate(step[f"z_{name}"], np.empty_like(c_before))
        if cell.coupled:
            step[cell.coupled] = 1 - step["i" if cell.coupled == "f" else "f"]
            step[f"z_{cell.coupled}"] = np.full_like(c_before, np.nan)  # it has none of its own
        step["z_g"] = self._argument("g", argument["g"], c_before)
        step["g"] = self._act(step["z_g"], np.empty_like(c_before))
        c = _within(step["f"] * c_before + step["i"] * step["g"], cell.cell_clip)
        step["z_o"] = self._argument("o", argument["o"], c)
        step["o"] = self._gate(step["z_o"], np.empty_like(c))
        return self._hidden(step["o"] * self._act_c(c, np.empty_like(c))), c, step

    def _argument(self, gate: str, z: Array, c: Array) -> Array:
        """What a gate's activation is applied to, (B, U)."""
        if gate in self._peepholes:
            z = z + self._peepholes[gate] * c
        if gate in self._norms:
            z = _normalised(z) * self._norms[gate]
        return _within(z + self._bias[GATES.index(gate)], self._cell.clip)

    def _hidden(self, h: Array) -> Array:
        """The hidden state after its projection, (B, U) -> (B, P)."""
        if self._projection is None:
            return h
        h = np.dot(h, self._projection)
        if self._projection_bias is not None:
            h = h + self._projection_bias
        return _within(h, self._cell.projection_clip)


def _by_gate(rows: Array | None, gates: tuple[str, ...], dtype: np.dtype[Any]) -> dict[str, Array]:
    return {} if rows is None else dict(zip(gates, rows.astype(dtype), strict=True))


def _within(values: Array, limit: float | None) -> Array:
    if limit is None:
        return values
    bound = values.dtype.type(limit)
    return np.clip(values, -bound, bound)


def _normalised(z: Array) -> Array:
    """Each row with mean 0 and variance 1."""
    centred = z - z.mean(axis=1, keepdims=True)
    variance = np.mean(np.square(centred), axis=1, keepdims=True)
    scaled: Array = centred / np.sqrt(variance + z.dtype.type(VARIANCE_FLOOR))
    return scaled
