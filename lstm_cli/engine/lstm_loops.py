"""Step loops of the LSTM cell: where the time goes.

Two loops do the same arithmetic: ``SequenceLoop`` for one sequence, where the number of NumPy calls
a step decides, and ``BatchLoop`` for several, where the matrix products do. Both hold the gates of
a step as the planes o i f g and put c behind them, so that the three gates are one array, and
[i f] * [g c] is one product.

Letters: B sequences, n steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ..model import Array, LstmCell
from .activations import InPlace, in_place
from .lstm_gates import PLANES, GateForm, folded_weights, natural_weights

State = tuple[Array, ...]


class LstmLoops:
    """The loops of one LSTM cell; weights are folded when first used."""

    def __init__(self, cell: LstmCell, dtype: np.dtype[Any], block: int) -> None:
        """``block``: the most steps of a run."""
        self._cell, self._dtype, self._block = cell, dtype, block
        self._form = GateForm(cell.recurrent_activation)
        self._act = in_place(cell.activation)

    def run(self, x: Array, state: State, results: Mapping[str, Array]) -> State:
        """See ``recurrence.Loops``."""
        pre_activations = {name[-1]: results[name] for name in results if name.startswith("z_")}
        steps = {name: array for name, array in results.items() if len(name) == 1}
        if pre_activations and "h" not in steps:
            steps["h"] = np.empty((*x.shape[:2], self._cell.units), self._dtype)
        loop = self._sequence if len(x) == 1 else self._batch
        final = loop.run(x, state, steps)
        if pre_activations:
            self._recompute(x, state[0], steps["h"], pre_activations)
        return final

    @cached_property
    def _sequence(self) -> SequenceLoop:
        return SequenceLoop(self._folded, self._form, self._act, self._block)

    @cached_property
    def _batch(self) -> BatchLoop:
        return BatchLoop(self._folded, self._form, self._act)

    @cached_property
    def _folded(self) -> Array:
        return folded_weights(self._cell, self._form, self._dtype)

    @cached_property
    def _natural(self) -> Array:
        return natural_weights(self._cell, self._dtype)

    def _recompute(self, x: Array, first: Array, h: Array, z: Mapping[str, Array]) -> None:
        """Write x kernel + h_prev recurrent_kernel + bias, by gate, each (B, n, U).

        The loops overwrite pre-activations with gates; one product a sequence, or a step where
        there are fewer, brings them back.
        """
        if x.shape[0] > x.shape[1]:  # time first, so that the products are few and large
            before = np.concatenate((first[np.newaxis], h.swapaxes(0, 1)[:-1]))  # (n, B, U)
            x = x.swapaxes(0, 1)
            z = {name: array.swapaxes(0, 1) for name, array in z.items()}
        else:
            before = np.concatenate((first[:, np.newaxis], h[:, :-1]), axis=1)  # (B, n, U)
        features, units = x.shape[2], self._cell.units
        stacked = np.ones((x.shape[1], features + 1 + units), self._dtype)  # [x 1 h]
        for k in range(len(x)):
            stacked[:, :features] = x[k]
            stacked[:, features + 1 :] = before[k]
            product = np.dot(stacked, self._natural).reshape(-1, 4, units)
            for number, name in enumerate("ifgo"):
                if name in z:
                    z[name][k] = product[:, number]


class SequenceLoop:
    """One sequence: a ring of rows that every block reuses, with the views of each step made once.

    Row t of ``_rows`` holds the planes o i f g of step t and c before it: (n + 1, 5, U); row t of
    ``_hidden`` h before it. So c and h of a step are written where the next step reads them.
    """

    def __init__(self, weights: Array, form: GateForm, act: InPlace, block: int) -> None:
        """``weights``: (F + 1 + U, 4, U), folded."""
        units = weights.shape[2]
        features = len(weights) - 1 - units
        stacked = weights.reshape(len(weights), 4 * units)
        self._kernel, self._recurrent = stacked[: features + 1], stacked[features + 1 :]
        self._form, self._act = form, act
        self._x_1 = np.ones((block, features + 1), weights.dtype)  # [x 1], for kernel and bias
        self._rows = np.empty((block + 1, 5, units), weights.dtype)
        self._hidden = np.empty((block + 1, units), weights.dtype)
        self._views = _step_views(self._rows, self._hidden)
        self._product = np.empty(4 * units, weights.dtype)
        self._terms = np.empty((2, units), weights.dtype)  # i g, f c
        self._ones = np.ones((3, units), weights.dtype)
        self._zeros = np.zeros((3, units), weights.dtype)

    def run(self, x: Array, state: State, results: Mapping[str, Array]) -> State:
        """x (1, n, F), state (1, U) each, results (1, n, U)."""
        n, units = x.shape[1], self._hidden.shape[1]
        rows, hidden = self._rows, self._hidden
        hidden[0], rows[0, 4] = state[0][0], state[1][0]
        self._x_1[:n, :-1] = x[0]
        gates = rows.reshape(-1, 5 * units)[:n, : 4 * units]  # (n, 4U), o i f g
        np.matmul(self._x_1[:n], self._kernel, gates)
        if self._form.is_exp:
            self._sigmoid_steps(n)
        else:
            self._steps(n)
        for name, array in results.items():
            if name == "h":
                array[0] = hidden[1 : n + 1]
            elif name == "c":
                array[0] = rows[1 : n + 1, 4]
            else:
                array[0] = rows[:n, PLANES.index(name)]
        return hidden[n : n + 1].copy(), rows[n : n + 1, 4].copy()

    def _sigmoid_steps(self, n: int) -> None:
        """Steps whose gates are 1 / (1 + exp(z)), z being folded.

        To divide by 1 + exp(z) saves the call that would make the gate first; the gates of all
        steps are made of it together.
        """
        add, divide, exp = np.add, np.divide, np.exp
        act, recurrent = self._act, self._recurrent
        product, terms, ones = self._product, self._terms, self._ones
        i_g, f_c = terms
        for row, oif, o, i_f, g, g_c, c, dot_h_before, h in self._views[:n]:
            dot_h_before(recurrent, product)  # (U,) x (U, 4U) -> (4U,)
            add(row, product, row)
            exp(oif, oif)
            add(oif, ones, oif)
            act(g, g)
            divide(g_c, i_f, terms)  # (2, U)
            add(i_g, f_c, c)
            act(c, h)
            divide(h, o, h)
        gates = self._rows[:n, :3]
        np.reciprocal(gates, gates)

    def _steps(self, n: int) -> None:
        """Steps with gates of any other form."""
        add, multiply, maximum, minimum = np.add, np.multiply, np.maximum, np.minimum
        act, recurrent, form = self._act, self._recurrent, self._form
        is_clip, function = form.is_clip, form.function
        product, terms, ones, zeros = self._product, self._terms, self._ones, self._zeros
        i_g, f_c = terms
        for row, oif, o, i_f, g, g_c, c, dot_h_before, h in self._views[:n]:
            dot_h_before(recurrent, product)  # (U,) x (U, 4U) -> (4U,)
            add(row, product, row)
            if is_clip:
                maximum(oif, zeros, out=oif)
                minimum(oif, ones, out=oif)
            else:
                function(oif, oif)  # (3, U): one gate a row
            act(g, g)
            multiply(i_f, g_c, terms)  # (2, U)
            add(i_g, f_c, c)
            act(c, h)
            multiply(h, o, h)


def _step_views(rows: Array, hidden: Array) -> list[tuple[Any, ...]]:
    """What each step reads and writes; making views in the loop would cost more than the step."""
    width = 4 * rows.shape[2]
    return [
        (
            now.reshape(-1)[:width],
            now[:3],
            now[0],
            now[1:3],
            now[3],
            now[3:],
            after[4],
            h.dot,
            h_after,
        )
        for now, after, h, h_after in zip(rows[:-1], rows[1:], hidden[:-1], hidden[1:], strict=True)
    ]


class BatchLoop:
    """Several sequences: a product [x 1 h] weights for each gate, into planes of their own."""

    def __init__(self, weights: Array, form: GateForm, act: InPlace) -> None:
        """``weights``: (F + 1 + U, 4, U), folded."""
        self._weights = np.ascontiguousarray(weights.swapaxes(0, 1))  # (4, F + 1 + U, U)
        self._form, self._act = form, act

    def run(self, x: Array, state: State, results: Mapping[str, Array]) -> State:
        """x (B, n, F), state (B, U) each, results (B, n, U)."""
        step = BatchStep(self._weights, self._form, self._act, len(x))
        step.h[...], step.c[...] = state
        writes = [(array.swapaxes(0, 1), step.tensors[name]) for name, array in results.items()]
        for t, x_t in enumerate(x.swapaxes(0, 1)):  # (B, F)
            step.advance(x_t)
            for array, tensor in writes:
                array[t] = tensor
        return step.h.copy(), step.c.copy()


class BatchStep:
    """One step of several sequences, in buffers that every step reuses.

    Attributes:
        h, c: the state, before a step to be set by the caller, (B, U).
        tensors: where each tensor of the step stands, by name, (B, U).
    """

    def __init__(self, weights: Array, form: GateForm, act: InPlace, batch: int) -> None:
        """``weights``: (4, F + 1 + U, U), folded."""
        _, stacked, units = weights.shape
        dtype = weights.dtype
        self._form, self._act = form, act
        self._x_1_h = np.ones((batch, stacked), dtype)
        self._x, self.h = self._x_1_h[:, : -1 - units], self._x_1_h[:, -units:]
        planes = np.empty((5, batch, units), dtype)  # o i f g c
        self._oif, self._i_f, self._g_c = planes[:3], planes[1:3], planes[3:]
        self._o, self._g, self.c = planes[0], planes[3], planes[4]
        self._products = list(zip(weights, planes[:4], strict=True))
        self._terms = np.empty((2, batch, units), dtype)  # i g, f c
        self._tanh_c = np.empty((batch, units), dtype)
        self._zero, self._one = dtype.type(0), dtype.type(1)
        self.tensors = dict(zip((*PLANES, "c", "h"), (*planes, self.h), strict=True))

    def advance(self, x: Array) -> None:
        """Read one step of input, (B, F)."""
        oif = self._oif
        self._x[...] = x
        for weights, plane in self._products:
            np.dot(self._x_1_h, weights, plane)  # (B, F + 1 + U) x (F + 1 + U, U) -> (B, U)
        if self._form.is_exp:
            np.exp(oif, oif)
            np.add(oif, self._one, oif)
            np.reciprocal(oif, oif)
        elif self._form.is_clip:
            np.maximum(oif, self._zero, out=oif)
            np.minimum(oif, self._one, out=oif)
        else:
            self._form.function(oif, oif)  # (3, B, U): one gate a plane
        self._act(self._g, self._g)
        np.multiply(self._i_f, self._g_c, self._terms)  # (2, B, U)
        np.add(self._terms[0], self._terms[1], self.c)
        self._act(self.c, self._tanh_c)
        np.multiply(self._tanh_c, self._o, self.h)
