"""Large batches, computed in pieces: rows of what goes in, and results put together again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..model import Array, Layer
from .graph import Values
from .recurrent import LayerResult
from .returns import axes_of
from .tensor import Tensor

States = Mapping[int, Mapping[str, tuple[Array, ...]]]


def rows_of(states: States, rows: slice) -> dict[int, dict[str, tuple[Array, ...]]]:
    """The states of some of the sequences."""
    return {
        number: {part: tuple(array[rows] for array in state) for part, state in parts.items()}
        for number, parts in states.items()
    }


def joined(pieces: Sequence[Values], layers: Sequence[Layer]) -> Values:
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
