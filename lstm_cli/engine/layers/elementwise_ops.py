"""Operations that functional models apply element by element. They drop masks.

Arithmetic follows the frameworks where NumPy differs: whole numbers beside floating ones take the
floating dtype, and functions of whole numbers alone give float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import erf

import numpy as np

from ...errors import InputError
from ...model import Activation, Array, Operation
from ..activations import apply
from ..tensor import Tensor
from .arithmetic import need_broadcastable, with_common_dtype
from .rule import Rule, activated, aligned_steps, always, floating, one, quiet

Unary = Callable[[Array], Array]


def _unary(function: Unary) -> Rule:
    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        return Tensor(np.asarray(function(one(inputs).array)))

    return Rule(compute, always)


def _like(function: Unary) -> Rule:
    """An array of the same shape; of another kind of number where ``dtype`` says so."""

    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        array, dtype = function(one(inputs).array), str(operation.settings.get("dtype") or "float")
        return Tensor(array if "float" in dtype else array.astype(np.dtype(dtype)))

    return Rule(compute, always)


def _of_floats(function: Unary) -> Rule:
    return _unary(lambda x: function(floating(x)))


def _activated(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Any activation function, chosen by the setting ``activation``."""
    return Tensor(activated(operation, floating(one(inputs).array)))


def _activated_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    """Stepwise where the last axis, which softmax and others go along, is not that of steps."""
    return ranks[0] >= 3


def _operands(inputs: Sequence[Tensor], count: int) -> list[Array]:
    """``count`` arrays of shapes that fit together."""
    if len(inputs) != count:
        raise InputError(f"expected {count} inputs, found {len(inputs)}")
    arrays = [x.array for x in inputs]
    need_broadcastable(arrays)
    return arrays


def _binary(function: Callable[[Array, Array], Array]) -> Rule:
    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
        return Tensor(np.asarray(function(*with_common_dtype(_operands(inputs, 2)))))

    return Rule(compute, aligned_steps)


def _divide(x: Array, y: Array) -> Array:
    return np.divide(floating(x), floating(y))


def _power(x: Array, y: Array) -> Array:
    """Whole numbers stay whole, but for negative exponents, which NumPy refuses then."""
    return np.power(floating(x), y) if y.dtype.kind == "i" and np.any(y < 0) else np.power(x, y)


def _erf(x: Array) -> Array:
    return np.fromiter(map(erf, x.ravel().tolist()), x.dtype, x.size).reshape(x.shape)


def _gelu(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """The tanh form of Keras 3's function, unless ``approximate`` says otherwise."""
    name = "gelu_tanh" if operation.settings.get("approximate", True) else "gelu"
    return Tensor(apply(Activation(name), floating(one(inputs).array)))


@quiet
def _clip(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """x between ``x_min`` and ``x_max``: settings, or the second and third input."""
    settings = operation.settings
    bounds = [Tensor(np.asarray(settings[k])) for k in ("x_min", "x_max") if k in settings]
    x, low, high = with_common_dtype(_operands([*inputs, *bounds], 3))
    return Tensor(np.minimum(np.maximum(x, low), high))


def _where(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """The second input where the first is true, else the third."""
    condition, *choices = _operands(inputs, 3)
    return Tensor(np.where(condition.astype(bool), *with_common_dtype(choices)))


def _cast(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """To another kind of number; floating arrays stay in the precision of the run."""
    x, dtype = one(inputs).array, str(operation.settings["dtype"])
    if "float" in dtype:
        return Tensor(x if x.dtype.kind == "f" else x.astype(_FLOATS.get(dtype, np.float32)))
    return Tensor(x.astype(np.dtype(dtype)))


_FLOATS = {"float64": np.float64}

RULES: Mapping[str, Rule] = {
    "op_identity": _unary(lambda x: x),
    "op_negative": _unary(np.negative),
    "op_absolute": _unary(np.abs),
    "op_square": _unary(np.square),
    "op_sign": _unary(np.sign),
    "op_zeros_like": _like(np.zeros_like),
    "op_ones_like": _like(np.ones_like),
    "op_logical_not": _unary(np.logical_not),
    "op_isnan": _unary(np.isnan),
    "op_sqrt": _of_floats(np.sqrt),
    "op_rsqrt": _of_floats(lambda x: 1 / np.sqrt(x)),
    "op_reciprocal": _of_floats(np.reciprocal),
    "op_exp": _of_floats(np.exp),
    "op_expm1": _of_floats(np.expm1),
    "op_log": _of_floats(np.log),
    "op_log1p": _of_floats(np.log1p),
    "op_erf": _of_floats(_erf),
    "op_sin": _of_floats(np.sin),
    "op_cos": _of_floats(np.cos),
    "op_floor": _of_floats(np.floor),
    "op_ceil": _of_floats(np.ceil),
    "op_round": _of_floats(np.rint),
    "op_tanh": _of_floats(np.tanh),
    "op_sigmoid": _of_floats(lambda x: apply(Activation("sigmoid"), x)),
    "op_relu": _unary(lambda x: np.maximum(x, 0)),
    "op_relu6": _unary(lambda x: np.minimum(np.maximum(x, 0), 6)),
    "op_activation": Rule(quiet(_activated), _activated_steps),
    "op_gelu": Rule(quiet(_gelu), always),
    "op_add": _binary(np.add),
    "op_subtract": _binary(np.subtract),
    "op_multiply": _binary(np.multiply),
    "op_divide": _binary(_divide),
    "op_floor_divide": _binary(np.floor_divide),
    "op_mod": _binary(np.mod),
    "op_power": _binary(_power),
    "op_squared_difference": _binary(lambda x, y: np.square(x - y)),
    "op_maximum": _binary(np.maximum),
    "op_minimum": _binary(np.minimum),
    "op_equal": _binary(np.equal),
    "op_not_equal": _binary(np.not_equal),
    "op_greater": _binary(np.greater),
    "op_greater_equal": _binary(np.greater_equal),
    "op_less": _binary(np.less),
    "op_less_equal": _binary(np.less_equal),
    "op_logical_and": _binary(np.logical_and),
    "op_logical_or": _binary(np.logical_or),
    "op_clip": Rule(_clip, aligned_steps),
    "op_where": Rule(_where, aligned_steps),
    "op_cast": Rule(_cast, always),
}
