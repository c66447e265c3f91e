"""The small operations that functional Keras models record as layers of their own.

Three spellings: ``TensorFlowOpLayer`` (TF 1.15 to 2.3, a graph node with its constants),
``TFOpLambda`` and ``SlicingOpLambda`` (TF 2.4 and later, a function with its arguments) and the
operation classes of Keras 3. Each becomes an ``op_…`` of ``engine.layers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .reading import NotComputed, describe


class Op(NamedTuple):
    """An operation: its name in the engine, which parameters are tensors, which are settings.

    A tensor parameter that starts with ``*`` takes a list of tensors.
    """

    name: str
    tensors: tuple[str, ...]
    settings: tuple[str, ...] = ()


_AXIS = ("axis", "keepdims")

_UNARY = (
    "negative absolute square sqrt rsqrt exp log log1p tanh sigmoid relu relu6 sin cos sign floor "
    "ceil round logical_not zeros_like ones_like identity softplus softsign silu elu selu "
    "reciprocal expm1 erf isnan"
).split()
_BINARY = (
    "add subtract multiply divide floor_divide mod power maximum minimum equal not_equal greater "
    "greater_equal less less_equal logical_and logical_or matmul"
).split()
_REDUCTIONS = "sum mean max min prod any all".split()

OPS: Mapping[str, Op] = {
    **{name: Op(f"op_{name}", ("x",)) for name in _UNARY},
    **{name: Op(f"op_{name}", ("x1", "x2")) for name in _BINARY},
    **{name: Op(f"op_{name}", ("x",), _AXIS) for name in _REDUCTIONS},
    "gelu": Op("op_gelu", ("x",), ("approximate",)),
    "softmax": Op("op_softmax", ("x",), ("axis",)),
    "clip": Op("op_clip", ("x", "x_min", "x_max")),
    "concatenate": Op("op_concatenate", ("*xs",), ("axis",)),
    "stack": Op("op_stack", ("*x",), ("axis",)),
    "split": Op("op_split", ("x",), ("indices_or_sections", "axis")),
    "expand_dims": Op("op_expand_dims", ("x",), ("axis",)),
    "squeeze": Op("op_squeeze", ("x",), ("axis",)),
    "reshape": Op("op_reshape", ("x",), ("newshape",)),
    "transpose": Op("op_transpose", ("x",), ("axes",)),
    "cast": Op("op_cast", ("x",), ("dtype",)),
    "getitem": Op("op_getitem", ("x",), ("key",)),
    "where": Op("op_where", ("condition", "x1", "x2")),
    "flip": Op("op_flip", ("x",), ("axis",)),
    "repeat": Op("op_repeat", ("x",), ("repeats", "axis")),
    "tile": Op("op_tile", ("x",), ("repeats",)),
    "argmax": Op("op_argmax", ("x",), ("axis",)),
    "cumsum": Op("op_cumsum", ("x",), ("axis",)),
}

_TENSORFLOW = {
    # op of a graph node, or last part of a function's name: ours
    "mul": "multiply",
    "addv2": "add",
    "biasadd": "add",
    "sub": "subtract",
    "realdiv": "divide",
    "truediv": "divide",
    "div": "divide",
    "floordiv": "floor_divide",
    "floormod": "mod",
    "pow": "power",
    "neg": "negative",
    "abs": "absolute",
    "concatv2": "concatenate",
    "concat": "concatenate",
    "notequal": "not_equal",
    "greaterequal": "greater_equal",
    "lessequal": "less_equal",
    "logicaland": "logical_and",
    "logicalor": "logical_or",
    "logicalnot": "logical_not",
    "expanddims": "expand_dims",
    "reduce_sum": "sum",
    "reduce_mean": "mean",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_any": "any",
    "reduce_all": "all",
    "reduce_prod": "prod",
    "clip_by_value": "clip",
    "swish": "silu",
    "reverse": "flip",
    "zeroslike": "zeros_like",
    "oneslike": "ones_like",
    "radd": "add",
    "rmul": "multiply",
    "logaddexp": "",
    "pack": "stack",
    "selectv2": "where",
    "batchmatmulv2": "matmul",
}
_NUMPY = {
    "true_divide": "divide",
    "abs": "absolute",
    "concat": "concatenate",
    "swish": "silu",
    "get_item": "getitem",
    "conjugate": "identity",
    "amax": "max",
    "amin": "min",
}
_SWAPPED = {"rsub": "subtract", "rtruediv": "divide", "rdiv": "divide", "rpow": "power"}

ALIASES = {
    # parameter names of TensorFlow's functions: ours
    "keep_dims": "keepdims",
    "perm": "axes",
    "shape": "newshape",
    "num_or_size_splits": "indices_or_sections",
    "slice_spec": "key",
    "multiples": "repeats",
    "clip_value_min": "x_min",
    "clip_value_max": "x_max",
    "reduction_indices": "axis",
    "dim": "axis",
}
TENSOR_ALIASES = (
    "x input input_tensor features tensor logits values value a inputs self tensor_in t xs arrays"
).split()
SECOND_ALIASES = ("y", "b", "exponent")


def keras3_op(class_name: str) -> Op | None:
    """The operation of a Keras 3 class such as ``NotEqual`` or ``ExpandDims``."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in class_name).lstrip("_")
    return OPS.get(_NUMPY.get(snake, snake))


def tensorflow_op(function: str) -> tuple[Op, bool] | None:
    """The operation of ``math.multiply``, ``__operators__.add`` or a graph node ``AddV2``.

    Returns:
        The operation, and whether its two operands are swapped.
    """
    last = function.rsplit(".", 1)[-1].strip("_").lower()
    if last in _SWAPPED:
        return OPS[_SWAPPED[last]], True
    op = OPS.get(_TENSORFLOW.get(last, last))
    return None if op is None else (op, False)


def bind(op: Op, arguments: list[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by our parameter names, whatever the function called them.

    Positional arguments fill tensors first, then settings, in order; keywords go by name.
    """
    names = [name.lstrip("*") for name in op.tensors]
    order = names + list(op.settings)
    if op.name in ("op_split", "op_stack", "op_concatenate") and len(arguments) == 1:
        order = names
    bound = dict(zip(order, arguments, strict=False))
    for given, value in keywords.items():
        if given in ("name", "training") or (given == "dtype" and given not in op.settings):
            continue
        key = ALIASES.get(given, given)
        if key not in order and key in TENSOR_ALIASES:
            key = names[0]
        elif key not in order and key in SECOND_ALIASES and len(names) > 1:
            key = names[-1]
        if key in order:
            bound[key] = value
        elif value not in (None, False):
            raise NotComputed(f"argument {given}={describe(value)} of {op.name[3:]}")
    return bound
