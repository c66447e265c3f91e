"""Calls of layers without recurrence: dtypes, weights, masks and the axes of a TimeDistributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..model import Argument, Call, Constant, Layer, Operation, Reference
from .dependencies import EITHER
from .distributed import folded, unfolded, wrapper_mask
from .layers import RULES
from .tensor import Tensor
from .values import Live, value_of


class PlainCalls:
    """Layers without recurrence, their weights cast once for each dtype.

    Args:
        dtype: computes everything in it; None for each layer's own.
    """

    def __init__(self, dtype: str | None) -> None:
        self._dtype = dtype
        self._operations: dict[tuple[int, str], Operation] = {}

    def run(self, call: Call, tensors: list[Tensor], live: Live) -> list[Tensor]:
        """What a call returns for the values of its arguments."""
        layer, operation = call.layer, call.layer.operation
        if not isinstance(operation, Operation):
            raise TypeError(f"{layer.address} was not refused")
        if operation.name in ("group", EITHER):
            return tensors
        if operation.name == "time_distributed_model":
            mask = wrapper_mask(layer, tensors[0].mask, tensors[1].mask)
            return [Tensor(tensors[0].array, mask)]
        dtype = self._target(layer, call.arguments, tensors)
        tensors = [_cast(tensor, dtype) for tensor in tensors]
        operation = self._prepared(layer, operation, dtype)
        if call.settings:
            operation = replace(operation, settings={**operation.settings, **call.settings})
        if call.mask is not None:
            given = value_of(call.mask, live).array.astype(bool)
            tensors = [Tensor(tensors[0].array, given), *tensors[1:]]
        if not layer.distributed:
            return _computed(operation, tensors)
        return _distributed(call, operation, tensors)

    def _target(
        self, layer: Layer, arguments: Sequence[Argument], tensors: Sequence[Tensor]
    ) -> np.dtype[Any]:
        """The dtype that a layer's floating inputs are cast to."""
        name = self._dtype or layer.dtype
        if layer.dtype:
            return np.dtype(name)
        pairs = zip(arguments, tensors, strict=True)
        floats = [
            tensor.array.dtype
            for argument, tensor in pairs
            if isinstance(argument, Reference) and tensor.array.dtype.kind == "f"
        ]
        return np.result_type(*floats) if floats else np.dtype(self._dtype or "float32")

    def _prepared(self, layer: Layer, operation: Operation, dtype: np.dtype[Any]) -> Operation:
        """The operation with its floating weights in the dtype of the run."""
        key = (id(layer), dtype.name)
        if key not in self._operations:
            weights = {
                name: array.astype(dtype, copy=False) if array.dtype.kind == "f" else array
                for name, array in operation.weights.items()
            }
            self._operations[key] = replace(operation, weights=weights)
        return self._operations[key]


def _distributed(call: Call, operation: Operation, tensors: Sequence[Tensor]) -> list[Tensor]:
    """What an operation returns that goes along further axes; constants are the same on all."""
    pairs = list(zip(call.arguments, tensors, strict=True))
    outer = next(tensor for argument, tensor in pairs if isinstance(argument, Reference))
    inner = [
        tensor if isinstance(argument, Constant) else folded(tensor, call.layer)
        for argument, tensor in pairs
    ]
    return [unfolded(result, call.layer, outer) for result in _computed(operation, inner)]


def _computed(operation: Operation, tensors: Sequence[Tensor]) -> list[Tensor]:
    """What an operation returns; ``drops_mask`` says that masks end here."""
    found = RULES[operation.name].compute(operation, tensors)
    results = found if isinstance(found, list) else [found]
    if operation.settings.get("drops_mask"):
        return [Tensor(result.array) for result in results]
    return results


def _cast(tensor: Tensor, dtype: np.dtype[Any]) -> Tensor:
    if tensor.array.dtype.kind != "f" or tensor.array.dtype == dtype:
        return tensor
    return Tensor(tensor.array.astype(dtype), tensor.mask)
