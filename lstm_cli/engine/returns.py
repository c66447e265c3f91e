"""What a recurrent layer takes and gives in its framework's own order and shapes.

Letters: B sequences, T time steps, U units, P size of the hidden state, D directions, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..model import Array, Recurrent
from .recurrent import LayerResult

States = Mapping[str, tuple[Array, ...]]


class Axes(NamedTuple):
    """Where an array has its sequences and its steps; None where it has none."""

    batch: int | None = 0
    steps: int | None = None


def returned_arrays(layer: Recurrent, result: LayerResult) -> tuple[list[Array], list[Array]]:
    """Outputs and states in the framework's order and shapes; no states unless they are returned.

    Outputs of the conventions of Keras and PyTorch are batch first.
    """
    if layer.convention.startswith("onnx"):
        y = np.stack(result.sequences, axis=2)  # (B, T, D, U)
        outputs = [y if layer.convention == "onnx batchwise" else y.transpose(1, 2, 0, 3)]
    else:
        outputs = result.sequences if layer.return_sequences else result.last
    return outputs, returned_states(layer, result.final) if layer.return_state else []


def returned_states(layer: Recurrent, states: States) -> list[Array]:
    """All states in the framework's order and shapes."""
    if layer.convention == "keras":
        return [array for part in framework_order(layer) for array in states[part]]
    parts = [name for name, _, _ in layer.cells()]
    if layer.convention == "torch cell":
        return list(states[parts[0]])
    axis = 1 if layer.convention == "onnx batchwise" else 0
    return [np.stack([states[part][k] for part in parts], axis) for k in range(2)]


def passed_states(
    layer: Recurrent, zeros: States, given: Sequence[Array]
) -> dict[str, tuple[Array, ...]]:
    """States in the framework's order and shapes, by part, each broadcast to (B, P) or (B, U).

    Args:
        layer: the layer.
        zeros: arrays of the shapes wanted, by part.
        given: what the graph passes.

    Raises:
        InputError: if there are not as many as the layer has.
    """
    if layer.convention != "keras":
        axis = 1 if layer.convention == "onnx batchwise" else 0
        parts = [name for name, _, _ in layer.cells()]
        _check_count(given, len(layer.state_names))
        whole = [
            np.broadcast_to(array, _stacked(zeros, parts, k, axis)) for k, array in enumerate(given)
        ]
        rows = [np.moveaxis(array, axis, 0) for array in whole]
        return {
            part: tuple(
                row[k].astype(zero.dtype, copy=False)
                for row, zero in zip(rows, zeros[part], strict=True)
            )
            for k, part in enumerate(parts)
        }
    _check_count(given, sum(len(state) for state in zeros.values()))
    states, position = {}, 0
    for part in framework_order(layer):
        taken = given[position : position + len(zeros[part])]
        position += len(zeros[part])
        states[part] = tuple(
            np.broadcast_to(value.astype(zero.dtype, copy=False), zero.shape)
            for value, zero in zip(taken, zeros[part], strict=True)
        )
    return states


def _check_count(given: Sequence[Array], wanted: int) -> None:
    if len(given) != wanted:
        raise InputError(f"expected {wanted} initial states, found {len(given)}")


def _stacked(zeros: States, parts: Sequence[str], k: int, axis: int) -> tuple[int, ...]:
    """The shape of one state of all parts: (D, B, U), or (B, D, U)."""
    shape = list(zeros[parts[0]][k].shape)
    shape.insert(axis, len(parts))
    return tuple(shape)


def framework_order(layer: Recurrent) -> list[str]:
    """Part names in the order in which the framework passes their states."""
    names: list[str] = []
    for direction in layer.directions:
        parts = [name for name, owner, _ in layer.cells() if owner is direction]
        names += reversed(parts) if layer.reverse_state_order else parts
    return names


def axes_of(layer: Recurrent, name: str, ndim: int, time_major: bool) -> Axes:
    """Where what a layer returns under ``name`` has its sequences and its steps.

    Args:
        layer: the layer.
        name: ``output``, ``h_n``, ``Y`` …
        ndim: how many axes it has.
        time_major: whether outputs of the conventions of Keras and PyTorch are (T, B, ...).
    """
    if layer.convention == "onnx":
        return Axes(2, 0) if name == "Y" else Axes(1)
    if layer.convention == "onnx batchwise":
        return Axes(0, 1) if name == "Y" else Axes(0)
    if layer.convention == "torch" and name in layer.state_names:
        return Axes(1)
    if name in layer.state_names or ndim < 3:
        return Axes(0)
    return Axes(1, 0) if time_major else Axes(0, 1)


def ended(array: Array, lengths: Array, axes: Axes) -> Array:
    """An array with a time axis, with zeros beyond each sequence's length."""
    if axes.batch is None or axes.steps is None:
        return array
    inside = np.arange(array.shape[axes.steps]) < lengths[:, None]  # (B, T)
    inside = inside if axes.batch < axes.steps else inside.T
    shape = [n if k in axes else 1 for k, n in enumerate(array.shape)]
    return np.where(inside.reshape(shape), array, array.dtype.type(0))
