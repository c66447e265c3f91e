"""Large batches, computed in pieces: rows of what goes in, and results put together again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..errors import InputError, ShapeError
from ..model import Array, Call, Constant, Foreign, Layer
from .plan import Prepared, recurrent_of
from .recurrent import LayerResult
from .returns import axes_of
from .sizes import Given, batch_of, steps_of, with_lengths
from .tensor import Tensor
from .values import Request, Values

PIECE_BYTES = 2**30
"""Working memory that one piece of a large batch may take."""


def run_in_pieces(
    prepared: Prepared, arrays: Given, request: Request, targets: Collection[int], size: int
) -> Values:
    """The values of a run, ``size`` sequences at once.

    Raises:
        InputError: if a layer does not take the arrays; ShapeError if the mask fits none.
    """
    batch = batch_of(arrays)
    pieces = []
    try:
        for start in range(0, batch, size):
            rows = slice(start, min(start + size, batch))
            inputs = {
                entry.call: Tensor(array if size >= batch else array[rows])
                for entry, array in arrays
            }
            pieces.append(prepared.executor.run(inputs, _rows(request, rows), targets))
    except InputError as error:
        raise with_lengths(error, arrays) from error
    values = _joined(pieces, [call.layer for call in prepared.model.calls])
    if request.mask is not None and not values.mask_used:
        steps = " or ".join(map(str, sorted(set(steps_of(arrays).values()))))
        raise ShapeError("mask", f"({batch}, {steps}), as the input has", request.mask.shape)
    return values


def piece_size(
    prepared: Prepared, arrays: Given, *, wanted: int | None, traced: bool, direct: bool
) -> int:
    """How many sequences to compute at once.

    Args:
        prepared: the run.
        arrays: its inputs.
        wanted: what the caller wants; None for what fits into ``PIECE_BYTES``.
        traced: whether gates and states are kept.
        direct: whether a layer is run by itself.
    """
    batch = batch_of(arrays)
    whole = any(_takes_whole_batch(prepared.model.calls[k]) for k in prepared.needed)
    if not direct:
        whole = whole or any(_is_onnx(call) for call in prepared.model.calls)
    if whole or any(entry.batch_axis != 0 for entry, _ in arrays):
        return batch
    if wanted is not None:
        return wanted
    steps = max((array.shape[1] if array.ndim > 1 else 1 for _, array in arrays), default=1)
    units = sum(
        cell.units for unit in prepared.recurrent for _, _, cell in recurrent_of(unit).cells()
    )
    features = sum(array[0].size for _, array in arrays)
    bytes_each = 4 * (features + steps * units * (8 if traced else 3)) + 1
    return int(max(1, min(batch, PIECE_BYTES // bytes_each)))


def _takes_whole_batch(call: Call) -> bool:
    """Whether a call may depend on all sequences at once, so that they cannot run in pieces."""
    constant = any(isinstance(value, Constant) for value in (*call.initial_state, call.lengths))
    return constant or call.condition is not None or isinstance(call.layer.operation, Foreign)


def _is_onnx(call: Call) -> bool:
    """Whether it is of a graph of ONNX, whose operators may move the axis of the sequences."""
    recurrent = call.layer.recurrent
    return recurrent is not None and recurrent.convention.startswith("onnx")


def _rows(request: Request, rows: slice) -> Request:
    """What is asked of some of the sequences."""
    states = {
        number: {part: tuple(array[rows] for array in state) for part, state in parts.items()}
        for number, parts in request.states.items()
    }
    mask = None if request.mask is None else request.mask[rows]
    lengths = None if request.lengths is None else request.lengths[rows]
    return Request(request.keep, request.sequences, states, mask, lengths)


def _joined(pieces: Sequence[Values], layers: Sequence[Layer]) -> Values:
    """The results of consecutive rows as one.

    Args:
        pieces: the results.
        layers: the layer of each call.
    """
    if len(pieces) == 1:
        return pieces[0]
    first = pieces[0]
    whole = Values(mask_used=any(piece.mask_used for piece in pieces))
    for number, tensors in first.tensors.items():
        whole.tensors[number] = [
            Tensor(
                np.concatenate(
                    [piece.tensors[number][k].array for piece in pieces],
                    _batch_axis(layers[number], k, tensor.array.ndim),
                )
            )
            for k, tensor in enumerate(tensors)
        ]
    for number in first.layers:
        whole.layers[number] = _joined_layer([piece.layers[number] for piece in pieces])
    for number in first.inputs:
        whole.inputs[number] = np.concatenate([piece.inputs[number] for piece in pieces])
        whole.masks[number] = _joined_masks(
            [piece.masks[number] for piece in pieces], [piece.inputs[number] for piece in pieces]
        )
        lengths = [each for piece in pieces if (each := piece.lengths[number]) is not None]
        whole.lengths[number] = np.concatenate(lengths) if lengths else None
    return whole


def _batch_axis(layer: Layer, output: int, ndim: int) -> int:
    """Which axis of what a layer returns holds the sequences."""
    recurrent = layer.recurrent
    if recurrent is None or recurrent.convention == "keras":
        return 0
    name = recurrent.returned(True)[output]
    return axes_of(recurrent, name, ndim, time_major=False).batch or 0


def _joined_masks(masks: Sequence[Array | None], inputs: Sequence[Array]) -> Array | None:
    if all(mask is None for mask in masks):
        return None
    return np.concatenate(
        [
            np.ones(x.shape[:2], bool) if mask is None else mask
            for mask, x in zip(masks, inputs, strict=True)
        ]
    )


def _joined_layer(results: Sequence[LayerResult]) -> LayerResult:
    first = results[0]
    return LayerResult(
        steps={
            part: {
                name: np.concatenate([result.steps[part][name] for result in results])
                for name in arrays
            }
            for part, arrays in first.steps.items()
        },
        initial=_joined_states([result.initial for result in results]),
        final=_joined_states([result.final for result in results]),
        sequences=_concatenated([result.sequences for result in results]),
        last=_concatenated([result.last for result in results]),
        levels={
            level: _concatenated([result.levels[level] for result in results])
            for level in first.levels
        },
    )


def _joined_states(
    states: Sequence[Mapping[str, tuple[Array, ...]]],
) -> dict[str, tuple[Array, ...]]:
    return {part: tuple(_concatenated([piece[part] for piece in states])) for part in states[0]}


def _concatenated(pieces: Sequence[Sequence[Array]]) -> list[Array]:
    return [np.concatenate(arrays) for arrays in zip(*pieces, strict=True)]
