"""Calls of recurrent layers: what the graph and the caller give them, and what they hand on.

Letters: B sequences, T time steps, F input features.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError, ShapeError
from ..model import Array, Call, Layer
from .distributed import folded, time_first, unfolded
from .recurrent import LayerRunner
from .returns import passed_states, returned_arrays
from .tensor import Tensor
from .values import Live, Request, Values, value_of


class RecurrentCalls:
    """Recurrent layers, each prepared once.

    Args:
        dtype: computes everything in it; None for each layer's own.
    """

    def __init__(self, dtype: str | None) -> None:
        self._dtype = dtype
        self._runners: dict[int, LayerRunner] = {}

    def run(
        self,
        number: int,
        call: Call,
        outer: Tensor,
        live: Live,
        request: Request,
        found: Values,
    ) -> list[Tensor]:
        """What call ``number`` returns for ``outer``; what it did is added to ``found``."""
        layer, runner = call.layer, self._runner(call.layer)
        recurrent = runner.layer
        tensor = folded(time_first(outer) if recurrent.time_major else outer, layer)
        x = tensor.array
        if x.ndim != 3 or x.shape[2] != recurrent.input_size:
            raise ShapeError("input", f"(B, T, {recurrent.input_size})", outer.array.shape)
        x = x.astype(runner.dtype, copy=False)
        mask = _graph_mask(call, tensor.mask, live)
        if mask is not None and mask.shape != x.shape[:2]:
            raise ShapeError("mask", str(x.shape[:2]), mask.shape)
        if request.mask is not None and request.mask.shape == x.shape[:2]:
            mask = request.mask if mask is None else mask & request.mask
            found.mask_used = True
        lengths = _lengths(call, live, request, x.shape)
        result = runner.run(
            x,
            _states(number, call, runner, len(x), live, request),
            mask=mask,
            lengths=lengths,
            keep=request.keep.get(number, ()),
            sequences=recurrent.return_sequences or number in request.sequences,
            seen=request.seen.get(number),
        )
        found.layers[number] = result
        if number in request.keep:
            found.inputs[number], found.masks[number] = x, mask
            found.lengths[number] = lengths
        outputs, returned = returned_arrays(recurrent, result)
        handed_on = mask if call.mask_handed_on and call.mask is not None else tensor.mask
        passed = handed_on if recurrent.return_sequences else None
        results = [Tensor(output, passed) for output in outputs]
        if layer.distributed:
            results = [unfolded(result, layer, outer) for result in results]
        swapped = recurrent.time_major and recurrent.return_sequences
        if swapped and recurrent.convention == "keras":
            results = [time_first(result) for result in results]
        return results + [Tensor(state) for state in returned]

    def _runner(self, layer: Layer) -> LayerRunner:
        """The prepared layer."""
        if id(layer) not in self._runners:
            if layer.recurrent is None:
                raise TypeError(f"{layer.address} is not recurrent")
            dtype = np.dtype(self._dtype or layer.dtype or "float32")
            self._runners[id(layer)] = LayerRunner(layer.recurrent, dtype)
        return self._runners[id(layer)]


def _graph_mask(call: Call, implicit: Array | None, live: Live) -> Array | None:
    """The mask that the graph gives a recurrent layer."""
    recurrent = call.layer.recurrent
    if call.mask is not None:
        mask = Tensor(value_of(call.mask, live).array.astype(bool))
        return folded(mask, call.layer).array
    if call.initial_state and recurrent is not None and not recurrent.mask_beside_states:
        return None
    return implicit


def _states(
    number: int, call: Call, runner: LayerRunner, batch: int, live: Live, request: Request
) -> dict[str, tuple[Array, ...]]:
    """Initial states: given, else passed by the graph, else zeros."""
    states = runner.zero_states(batch)
    if call.initial_state:
        given = [value_of(argument, live).array for argument in call.initial_state]
        states = passed_states(runner.layer, states, given)
    for part, state in request.states.get(number, {}).items():
        states[part] = tuple(array.astype(runner.dtype, copy=False) for array in state)
    return states


def _lengths(call: Call, live: Live, request: Request, shape: tuple[int, ...]) -> Array | None:
    """The lengths of the sequences: the caller's, within what the graph computes."""
    if call.lengths is None:
        return request.lengths
    given = value_of(call.lengths, live).array
    lengths = np.broadcast_to(given.astype(np.int64, copy=False), shape[:1])
    if (lengths < 0).any() or (lengths > shape[1]).any():
        raise InputError(
            f"sequence_lens: expected whole numbers from 0 to {shape[1]}, found {given.tolist()}"
        )
    return lengths if request.lengths is None else np.minimum(lengths, request.lengths)
