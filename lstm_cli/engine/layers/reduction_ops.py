"""Operations of functional models that sum up or look along axes. They drop masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...model import Array, Operation
from ..tensor import Tensor
from .activation_layers import softmax_of
from .rule import Rule, axes_of, beside_steps, floating, one, quiet

Reduce = Callable[..., Any]


def _reduction(function: Reduce) -> Rule:
    """``function`` over ``axis``, by default over all; axes are kept with ``keepdims``."""

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        x = one(inputs).array
        axis, keepdims = operation.settings.get("axis"), operation.settings.get("keepdims", False)
        axes = None if axis is None else axes_of(axis, x.shape)
        return Tensor(np.asarray(function(x, axis=axes, keepdims=bool(keepdims))))

    return Rule(compute, beside_steps(None))


def _mean(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    return np.mean(floating(x), axis=axis, keepdims=keepdims)


def _argmax(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    """The place of the largest along one axis, or in the flattened array."""
    return np.argmax(x, axis=None if axis is None else axis[0], keepdims=keepdims)


def _std(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    return np.std(floating(x), axis=axis, keepdims=keepdims)


def _var(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    return np.var(floating(x), axis=axis, keepdims=keepdims)


def _logsumexp(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    x = floating(x)
    highest = np.max(x, axis=axis, keepdims=True)
    total = np.log(np.sum(np.exp(x - highest), axis=axis, keepdims=True)) + highest
    return total if keepdims else np.squeeze(total, axis=axis)


@quiet
def _l2_normalize(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """x over its length along ``axis``, whose square is taken for at least ``epsilon``."""
    x, axis = floating(one(inputs).array), operation.settings.get("axis")
    axes = None if axis is None else axes_of(axis, x.shape)
    epsilon = x.dtype.type(operation.settings.get("epsilon", 1e-12))
    square = np.sum(np.square(x), axis=axes, keepdims=True)
    return Tensor(x / np.sqrt(np.maximum(square, epsilon)))


@quiet
def _cumsum(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    x, axis = one(inputs).array, operation.settings.get("axis")
    return Tensor(np.cumsum(x, axis=None if axis is None else axes_of(axis, x.shape)[0]))


@quiet
def _softmax(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    x = floating(one(inputs).array)
    return Tensor(softmax_of(x, axes_of(operation.settings.get("axis", -1), x.shape)))


RULES: Mapping[str, Rule] = {
    "op_sum": _reduction(np.sum),
    "op_mean": _reduction(_mean),
    "op_max": _reduction(np.max),
    "op_min": _reduction(np.min),
    "op_prod": _reduction(np.prod),
    "op_any": _reduction(np.any),
    "op_all": _reduction(np.all),
    "op_std": _reduction(_std),
    "op_var": _reduction(_var),
    "op_logsumexp": _reduction(_logsumexp),
    "op_l2_normalize": Rule(_l2_normalize, beside_steps(None)),
    "op_argmax": _reduction(_argmax),
    "op_cumsum": Rule(_cumsum, beside_steps(None)),
    "op_softmax": Rule(_softmax, beside_steps(-1)),
}
