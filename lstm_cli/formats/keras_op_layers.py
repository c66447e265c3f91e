"""What a call of a Keras layer passes on: tensors, states, a mask, settings; and op layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..model import Activation, Argument, Constant, Operation, Reference
from .keras_config import RECURRENT, LayerConfig
from .keras_era import Era
from .keras_graph_nodes import graph_node
from .keras_layers import KINDS
from .keras_nodes import Node
from .keras_op_settings import check_settings
from .keras_ops import OPS, Op, bind, keras3_op, known_op, tensorflow_op
from .reading import NotComputed, Problem, describe

TF_OP_CLASSES = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}
_BOTH = {"Average", "Dot"}
"""Operations that we do not compute, and layers that we do."""
_RANDOM_IN_TRAINING = {
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "BatchNormalization",
}


def argument(value: Any) -> Argument:
    """A value of a call as a reference or a constant."""
    if isinstance(value, (Reference, Constant)):
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise Problem(f"a constant in the file is not an array: {describe(value)}") from error
    if array.dtype.kind not in "biuf":
        raise Problem(f"a constant in the file is not a number: {describe(value)}")
    return Constant(array)


def arguments_in(value: Any) -> Iterator[Argument]:
    """Every reference in nested arguments, in order."""
    if isinstance(value, (Reference, Constant)):
        yield value
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from arguments_in(entry)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from arguments_in(entry)


def tensors_of(node: Node) -> list[Argument]:
    """The tensors that a layer is called on."""
    return list(arguments_in(node.args)) or list(arguments_in(node.kwargs.get("inputs")))


def states_of(node: Node) -> list[Argument]:
    """Initial states given as a keyword: tensors, or literal values of shape (1, U)."""
    given = node.kwargs.get("initial_state")
    if given is None:
        return []
    tensors = list(arguments_in(given))  # Keras 3 nests those of stacked cells
    if tensors:
        return tensors
    return [argument(state) for state in (given if isinstance(given, (list, tuple)) else [given])]


def mask_of(node: Node) -> Argument | None:
    """An explicit mask; None for the implicit one."""
    mask = node.kwargs.get("mask")
    if isinstance(mask, (list, tuple)) and not list(arguments_in(mask)):
        return None
    if isinstance(mask, (list, tuple)):
        raise NotComputed("it is called with a list of masks")
    return None if mask is None else argument(mask)


def call_settings(config: LayerConfig, node: Node) -> dict[str, Any]:
    """Keywords of a call that change what a layer computes.

    Raises:
        NotComputed: if one is not known, or makes the layer draw random numbers.
    """
    if node.kwargs.get("training") is True and _random_in_training(config):
        raise NotComputed("it is called with training=True, so each run gives other numbers")
    known = {"initial_state", "mask", "training", "inputs", "constants", "attention_mask"}
    settings = {}
    for key, value in node.kwargs.items():
        if key in known or value in (None, False):
            continue
        if config.class_name in ("Attention", "AdditiveAttention") and value is True:
            settings["causal" if key == "use_causal_mask" else key] = True
        elif config.class_name in KINDS or config.class_name in RECURRENT:
            raise NotComputed(f"it is called with {key}={describe(value)}")
    return settings


def _random_in_training(config: LayerConfig) -> bool:
    return any(
        inner.class_name in _RANDOM_IN_TRAINING
        or inner.settings.get("dropout")
        or inner.settings.get("recurrent_dropout")
        for inner in config.walk()
    )


def is_op_layer(config: LayerConfig, era: Era) -> bool:
    """Whether a layer of the file is an operation that was applied to tensors."""
    if config.class_name in TF_OP_CLASSES:
        return True
    if not era.is_keras3 or config.sublayers:
        return False
    if config.module:
        return ".ops" in config.module
    # Keras 3 legacy files name no module; but layers say whether they can be trained, with a few
    # exceptions, none of which has the name of an operation.
    if "trainable" in config.settings:
        return False
    known = keras3_op(config.class_name) is not None or config.class_name in _BOTH
    return known or config.class_name not in KINDS


def op_call(config: LayerConfig, node: Node) -> tuple[Operation, list[Argument]]:
    """The operation of an op layer with the settings of this call, and its tensor arguments.

    Raises:
        NotComputed: if it is an operation that we do not know.
    """
    args, kwargs = list(node.args), dict(node.kwargs)
    if config.class_name == "TensorFlowOpLayer":
        op, args, kwargs, swapped = graph_node(config, list(tensors_of(node)))
    elif config.class_name in TF_OP_CLASSES:
        name = str(config.settings.get("function", ""))
        op, swapped = known_op(tensorflow_op(name), name)
    else:
        found = keras3_op(config.class_name)
        op, swapped = known_op(found and (found, False), config.class_name)
        kwargs = {key: value for key, value in config.settings.items() if key != "name"} | kwargs
    if op is OPS["einsum"]:
        args, kwargs = _einsum(args, kwargs)
    bound = bind(op, args, kwargs)
    tensors = _tensors(op, bound)
    if not any(isinstance(tensor, Reference) for tensor in tensors):
        raise NotComputed("an operation whose inputs the file does not name")
    if swapped:
        tensors.reverse()
    settings = {key: _setting(bound[key]) for key in op.settings if bound.get(key) is not None}
    if op is OPS["getitem"]:
        settings["key"] = _index(bound.get("key"))
    if isinstance(settings.get("newshape"), int):
        settings["newshape"] = [settings["newshape"]]
    check_settings(op, settings)
    if config.class_name in TF_OP_CLASSES:
        settings = _as_keras(op, settings)
    if op.activation:
        settings = {"activation": _activation(op, settings)}
    return Operation(op.name, settings), tensors


def _tensors(op: Op, bound: dict[str, Any]) -> list[Argument]:
    """What the operation is applied to, in its own order."""
    tensors: list[Argument] = []
    for parameter in op.tensors:
        value = bound.get(parameter.lstrip("*"))
        if parameter.startswith("*"):
            entries = value if isinstance(value, (list, tuple)) else [value]
            tensors += [argument(entry) for entry in entries]
        elif value is not None:
            tensors.append(argument(value))
    return tensors


def _activation(op: Op, settings: dict[str, Any]) -> Activation:
    """The function of an ``op_activation``; a hard sigmoid is that of Keras 3 here."""
    if op.activation in ("hard_sigmoid", "hard_silu"):
        return Activation(op.activation, 1 / 6, 0.5)
    if op.activation in ("elu", "leaky_relu"):
        usual = 1.0 if op.activation == "elu" else 0.2
        number = next(iter(settings.values()), usual)
        if not isinstance(number, (int, float)):
            raise NotComputed(f"argument {describe(number)} of {op.activation}")
        return Activation(op.activation, float(number))
    return Activation(op.activation)


def _einsum(args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """``einsum("bt,bs->bts", x, y)``: the text may stand first; the tensors follow one by one."""
    texts = [value for value in args if isinstance(value, str)]
    tensors = list(arguments_in([value for value in args if not isinstance(value, str)]))
    given = {"subscripts": texts[0]} if texts else {}
    return [tensors], given | kwargs


def _as_keras(op: Op, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a TensorFlow function where its meaning or default is not that of Keras 3."""
    sizes = settings.get("indices_or_sections")
    if op is OPS["split"] and isinstance(sizes, (list, tuple)):
        if -1 in sizes:
            raise NotComputed("a split whose last part takes what is left")
        # Keras lists where to cut, TensorFlow how long the pieces are.
        settings["indices_or_sections"] = np.cumsum(sizes)[:-1].tolist()
    if op is OPS["gelu"]:
        settings.setdefault("approximate", False)
    if op in (OPS["argmax"], OPS["cumsum"], OPS["take"], OPS["unstack"]):
        settings["axis"] = settings.get("axis") or 0
    return settings


def _setting(value: Any) -> Any:
    """A setting of an operation: a plain value, or lists of them."""
    if any(True for _ in arguments_in(value)):
        raise NotComputed("an argument that is computed by the model itself")
    return value


def _index(key: Any) -> Any:
    """What stands in the brackets of ``x[…]``; a list in the file was a tuple in the code."""
    if isinstance(key, (list, tuple)):
        return tuple(_index(each) for each in key)
    if isinstance(key, dict) and set(key) <= {"start", "stop", "step"}:
        key = slice(key.get("start"), key.get("stop"), key.get("step"))
    if isinstance(key, slice):
        parts = (key.start, key.stop, key.step)
        if all(part is None or isinstance(part, int) for part in parts):
            return key
    elif key is None or key is ... or isinstance(key, int):
        return key
    elif key == "..." or (isinstance(key, dict) and key.get("class_name") == "__ellipsis__"):
        return ...
    raise NotComputed(f"an index {describe(key)}")
