"""The formulas of the activation functions.

Every function keeps the dtype of its input, propagates NaN and follows the frameworks at infinity.
Those that look at more than one element (softmax and its relatives, glu) work along the last axis.

Source: keras/src/activations/activations.py, Keras 3.15; tf_keras 2.21; for affine, scaled_tanh and
thresholded_relu the LSTM operator of ONNX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ..model import Array


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)).

    This form keeps the relative accuracy of small results: 1e-38 in float32 still has 7 digits,
    where a form through tanh has none below 1e-7.
    """
    y: Array = np.exp(-x)
    y += 1
    return np.reciprocal(y, out=y)


def _linear(x: Array) -> Array:
    return x


def _tanh(x: Array) -> Array:
    y: Array = np.tanh(x)
    return y


def _exponential(x: Array) -> Array:
    y: Array = np.exp(x)
    return y


def _affine(x: Array, alpha: float, beta: float) -> Array:
    return alpha * x + beta


def _scaled_tanh(x: Array, alpha: float, beta: float) -> Array:
    return alpha * np.tanh(beta * x)


def _tanh_shrink(x: Array) -> Array:
    return x - np.tanh(x)


def _hard_tanh(x: Array) -> Array:
    return np.clip(x, -1, 1)


def _hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    # No defaults: the slope differs between versions, and only the file can say which it is.
    return np.clip(alpha * x + beta, 0, 1)


def _sparse_sigmoid(x: Array) -> Array:
    return np.clip(0.5 * (x + 1), 0, 1)


def _log_sigmoid(x: Array) -> Array:
    return -_softplus(-x)


def _softplus(x: Array) -> Array:
    """log(1 + exp(x)), which neither overflows nor loses small results."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sparse_plus(x: Array) -> Array:
    return np.where(x <= -1, 0, np.where(x < 1, 0.25 * (x + 1) ** 2, x))


def _square_plus(x: Array, alpha: float = 4.0) -> Array:
    return (x + np.sqrt(x * x + alpha)) / 2


def _softsign(x: Array) -> Array:
    y: Array = x / (1 + np.abs(x))
    return y


def _relu(x: Array, alpha: float = 0.0) -> Array:
    return _leaky_relu(x, alpha) if alpha else np.maximum(x, 0)


def _leaky_relu(x: Array, alpha: float = 0.2) -> Array:
    return np.where(x > 0, x, alpha * x)


def _relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def _thresholded_relu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x <= alpha, 0, x)


def _threshold(x: Array, alpha: float, beta: float) -> Array:
    return np.where(x <= alpha, beta, x)


def _soft_shrink(x: Array, alpha: float = 0.5) -> Array:
    return np.where(np.abs(x) <= alpha, 0, x - np.copysign(x.dtype.type(alpha), x))


def _hard_shrink(x: Array, alpha: float = 0.5) -> Array:
    return np.where(np.abs(x) <= alpha, 0, x)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: Array) -> Array:
    """Source: Klambauer et al. (2017), "Self-Normalizing Neural Networks", for the two numbers."""
    return 1.0507009873554805 * _elu(x, 1.6732632423543772)


def _celu(x: Array, alpha: float = 1.0) -> Array:
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)


def _silu(x: Array) -> Array:
    return x * sigmoid(x)


def _hard_silu(x: Array, alpha: float = 1 / 6, beta: float = 0.5) -> Array:
    return x * _hard_sigmoid(x, alpha, beta)


def _mish(x: Array) -> Array:
    return x * np.tanh(_softplus(x))


def _gelu(x: Array) -> Array:
    """x times the normal distribution function, through erfc, which is exact for x << 0 too."""
    scaled = x.astype(np.float64).ravel() * -math.sqrt(0.5)
    tail = np.fromiter(map(math.erfc, scaled.tolist()), np.float64, scaled.size)
    return 0.5 * x * tail.reshape(x.shape)


def _gelu_tanh(x: Array) -> Array:
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    y: Array = 0.5 * x * (1 + np.tanh(inner))
    return y


def _glu(x: Array) -> Array:
    """(…, 2N) -> (…, N)."""
    a, b = np.split(x, 2, axis=-1)
    return a * sigmoid(b)


def _softmax(x: Array) -> Array:
    y: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


def _log_softmax(x: Array) -> Array:
    y: Array = x - x.max(axis=-1, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=-1, keepdims=True))
    return y


def _sparsemax(x: Array) -> Array:
    """Sparsemax as Keras computes it: its threshold adds up *all* the partial sums of the support.

    Martins & Astudillo (2016) take the last partial sum alone, so that rows add up to 1; with more
    than one element in the support these do not.
    """
    ordered = -np.sort(-x, axis=-1)
    sums = np.cumsum(ordered, axis=-1)
    support = ordered - (sums - 1) / np.arange(1, x.shape[-1] + 1, dtype=x.dtype) > 0
    total = np.where(support, sums, 0).sum(axis=-1, keepdims=True)
    size = support.sum(axis=-1, keepdims=True, dtype=x.dtype)
    y: Array = np.maximum(x - (total - 1) / size, 0)
    return y


FORMULAS: Mapping[str, Callable[..., Array]] = {
    "affine": _affine,
    "celu": _celu,
    "elu": _elu,
    "exponential": _exponential,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "glu": _glu,
    "hard_shrink": _hard_shrink,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
    "hard_tanh": _hard_tanh,
    "identity": _linear,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "log_sigmoid": _log_sigmoid,
    "log_softmax": _log_softmax,
    "mish": _mish,
    "relu": _relu,
    "relu6": _relu6,
    "scaled_tanh": _scaled_tanh,
    "selu": _selu,
    "sigmoid": sigmoid,
    "silu": _silu,
    "soft_shrink": _soft_shrink,
    "softmax": _softmax,
    "softplus": _softplus,
    "softsign": _softsign,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _sparse_sigmoid,
    "sparsemax": _sparsemax,
    "squareplus": _square_plus,
    "swish": _silu,
    "tanh": _tanh,
    "tanh_shrink": _tanh_shrink,
    "threshold": _threshold,
    "thresholded_relu": _thresholded_relu,
}
"""By name; ``alpha`` and ``beta`` are those of ``Activation``."""
