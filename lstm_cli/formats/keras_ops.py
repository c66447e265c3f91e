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

    A tensor parameter that starts with ``*`` takes a list of tensors. ``activation`` is the
    function that an ``op_activation`` applies.
    """

    name: str
    tensors: tuple[str, ...]
    settings: tuple[str, ...] = ()
    activation: str = ""


_AXIS = ("axis", "keepdims")

_UNARY = (
    "negative absolute square sqrt rsqrt exp log log1p tanh sigmoid relu relu6 sin cos sign floor "
    "ceil round logical_not identity reciprocal expm1 erf isnan"
).split()
_BINARY = (
    "add subtract multiply divide floor_divide mod power maximum minimum equal not_equal greater "
    "greater_equal less less_equal logical_and logical_or squared_difference"
).split()
_REDUCTIONS = "sum mean max min prod any all std var logsumexp".split()
_ACTIVATIONS = (
    "celu elu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax "
    "mish selu silu soft_shrink softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus "
    "tanh_shrink"
).split()
_NUMBER = {"elu": "alpha", "leaky_relu": "negative_slope"}
USUAL: Mapping[str, Mapping[str, Any]] = {
    # parameters that are left out of what we compute, and the values at which that is right
    "celu": {"alpha": 1.0},
    "hard_shrink": {"threshold": 0.5},
    "soft_shrink": {"threshold": 0.5},
    "squareplus": {"b": 4},
    "log_softmax": {"axis": -1},
    "sparsemax": {"axis": -1},
    "glu": {"axis": -1},
    "einsum": {"optimize": "greedy"},
    "pad": {"mode": ("constant", "CONSTANT")},
    "unstack": {"num": "any"},
    "take": {"batch_dims": 0},
}

OPS: Mapping[str, Op] = {
    **{name: Op(f"op_{name}", ("x",)) for name in _UNARY},
    **{name: Op(f"op_{name}", ("x1", "x2")) for name in _BINARY},
    **{name: Op(f"op_{name}", ("x",), _AXIS) for name in _REDUCTIONS},
    **{
        name: Op("op_activation", ("x",), tuple(filter(None, [_NUMBER.get(name)])), name)
        for name in _ACTIVATIONS
    },
    "matmul": Op("op_matmul", ("x1", "x2"), ("transpose_a", "transpose_b")),
    "zeros_like": Op("op_zeros_like", ("x",), ("dtype",)),
    "ones_like": Op("op_ones_like", ("x",), ("dtype",)),
    "take": Op("op_take", ("x",), ("indices", "axis")),
    "pad": Op("op_pad", ("x",), ("pad_width", "constant_values")),
    "einsum": Op("op_einsum", ("*xs",), ("subscripts",)),
    "unstack": Op("op_unstack", ("x",), ("axis",)),
    "swapaxes": Op("op_swapaxes", ("x",), ("axis1", "axis2")),
    "l2_normalize": Op("op_l2_normalize", ("x",), ("axis", "epsilon")),
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
    "floor_div": "floor_divide",
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
    "squareddifference": "squared_difference",
    "reduce_std": "std",
    "reduce_variance": "var",
    "reduce_logsumexp": "logsumexp",
    "stop_gradient": "identity",
    "stopgradient": "identity",
    "bias_add": "add",
    "gather": "take",
    "leakyrelu": "leaky_relu",
    "logsoftmax": "log_softmax",
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
    "copy": "identity",
    "stop_gradient": "identity",
    "convert_to_tensor": "identity",
    "hard_swish": "hard_silu",
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
    "paddings": "pad_width",
    "equation": "subscripts",
    "adjoint_a": "transpose_a",
    "adjoint_b": "transpose_b",
    "alpha": "negative_slope",
}
TENSOR_ALIASES = (
    "x input input_tensor features tensor logits values value a inputs self tensor_in t xs arrays "
    "params"
).split()
SECOND_ALIASES = ("y", "b", "exponent", "bias")
CHOICES = {"x": "x1", "y": "x2"}
"""How ``tf.where(condition, x, y)`` calls its second and third argument."""


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


def known_op(found: tuple[Op, bool] | None, name: str) -> tuple[Op, bool]:
    """The operation, if it is one that we know."""
    if not found:
        raise NotComputed(f"operation '{name[:60]}'")
    return found


def bind(op: Op, arguments: list[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by our parameter names, whatever the function called them.

    Positional arguments fill tensors first, then settings, in order; keywords go by name.
    """
    names = [name.lstrip("*") for name in op.tensors]
    order = names + list(op.settings)
    if len(arguments) > len(order):
        raise NotComputed(f"so many arguments of {op.name[3:]}")
    bound = dict(zip(order, arguments, strict=False))
    for given, value in keywords.items():
        if given in ("name", "training") or _is_usual(op, given, value):
            continue
        key = given if given in order else ALIASES.get(given, given)
        if op.name == "op_where":
            key = CHOICES.get(key, key)
        if key not in order and key in TENSOR_ALIASES:
            key = names[0]
        elif key not in order and key in SECOND_ALIASES and len(names) > 1:
            key = names[-1]
        if key in order:
            bound[key] = value
        elif value is not None and value is not False:
            raise NotComputed(
                f"argument {given}={describe(value)} of {op.activation or op.name[3:]}"
            )
    return bound


def _is_usual(op: Op, name: str, value: Any) -> bool:
    """Whether an argument that we know nothing of has the value at which it does nothing."""
    if op.name == "op_identity":
        return name in ("sparse", "ragged", "dtype") and not value
    if op.name == "op_round" and name == "decimals":
        return bool(value == 0)
    usual = USUAL.get(op.activation or op.name[3:], {}).get(name)
    if usual is None:
        return False
    return usual == "any" or (value in usual if isinstance(usual, tuple) else value == usual)
