"""What a call of a Keras layer passes on: tensors, states, a mask, settings; and op layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..model import Argument, Constant, Operation, Reference
from .keras_config import RECURRENT, LayerConfig
from .keras_era import Era
from .keras_layers import KINDS
from .keras_nodes import Node
from .keras_ops import OPS, Op, bind, keras3_op, tensorflow_op
from .reading import NotComputed, Problem, as_mapping, describe

TF_OP_CLASSES = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}
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


def is_op_layer(config: LayerConfig, node: Node, era: Era) -> bool:
    """Whether a layer of the file is an operation that was applied to tensors."""
    if config.class_name in TF_OP_CLASSES:
        return True
    if not era.is_keras3 or keras3_op(config.class_name) is None:
        return False
    if config.module:
        return ".ops" in config.module
    # Keras 3 legacy files name no module: an op takes separate arguments and has no dtype.
    if config.class_name not in KINDS:
        return True
    listed = len(node.args) == 1 and isinstance(node.args[0], (list, tuple))
    return not listed and "trainable" not in config.settings


def op_call(config: LayerConfig, node: Node) -> tuple[Operation, list[Argument]]:
    """The operation of an op layer with the settings of this call, and its tensor arguments.

    Raises:
        NotComputed: if it is an operation that we do not know.
    """
    if config.class_name == "TensorFlowOpLayer":
        op, args, kwargs, swapped = _graph_node(config, node)
    elif config.class_name in TF_OP_CLASSES:
        name = str(config.settings.get("function", ""))
        op, swapped = _known(tensorflow_op(name), name)
        args, kwargs = list(node.args), node.kwargs
    else:
        found = keras3_op(config.class_name)
        op, swapped = _known(found and (found, False), config.class_name)
        built = {k: v for k, v in config.settings.items() if k in op.settings}
        args, kwargs = list(node.args), {**built, **node.kwargs}
    bound = bind(op, args, kwargs)
    tensors: list[Argument] = []
    for parameter in op.tensors:
        value = bound.get(parameter.lstrip("*"))
        if parameter.startswith("*"):
            tensors += [
                argument(entry)
                for entry in (value if isinstance(value, (list, tuple)) else [value])
            ]
        elif value is not None:
            tensors.append(argument(value))
    if swapped:
        tensors.reverse()
    settings = {key: _setting(bound[key]) for key in op.settings if key in bound}
    if config.class_name in TF_OP_CLASSES:
        settings = _as_keras(op, settings)
    return Operation(op.name, settings), tensors


def _as_keras(op: Op, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a TensorFlow function where its meaning or default is not that of Keras 3."""
    sizes = settings.get("indices_or_sections")
    if op is OPS["split"] and isinstance(sizes, (list, tuple)):
        # Keras lists where to cut, TensorFlow how long the pieces are.
        settings["indices_or_sections"] = np.cumsum(sizes)[:-1].tolist()
    if op is OPS["gelu"]:
        settings.setdefault("approximate", False)
    if op is OPS["argmax"]:
        settings["axis"] = settings.get("axis") or 0
    return settings


def _known(found: tuple[Op, bool] | None, name: str) -> tuple[Op, bool]:
    if not found:
        raise NotComputed(f"operation '{name[:60]}'")
    return found


def _graph_node(config: LayerConfig, node: Node) -> tuple[Op, list[Any], dict[str, Any], bool]:
    """A TensorFlow graph node: its constants stand at the positions that ``constants`` says."""
    definition = as_mapping(config.settings.get("node_def"), f"'node_def' of {config.owner}")
    name = str(definition.get("op"))
    op, swapped = _known(tensorflow_op(name), name)
    constants = as_mapping(config.settings.get("constants") or {}, f"'constants' of {config.owner}")
    tensors = iter(tensors_of(node))
    count = len(constants) + len(list(tensors_of(node)))
    args = [constants[str(k)] if str(k) in constants else next(tensors, None) for k in range(count)]
    attributes = as_mapping(definition.get("attr") or {}, f"'attr' of {config.owner}")
    kwargs: dict[str, Any] = {}
    for key in ("keep_dims", "keepdims"):
        if isinstance(attributes.get(key), dict):
            kwargs["keepdims"] = bool(attributes[key].get("b"))
    if name == "StridedSlice" or (name in ("MatMul", "BatchMatMulV2") and _transposes(attributes)):
        raise NotComputed(f"operation '{name}' of a TensorFlow graph")
    if op is OPS["concatenate"]:
        args = [args[:-1], args[-1]]
    elif op is OPS["stack"]:
        axis = attributes.get("axis")
        kwargs["axis"] = int(axis.get("i", 0)) if isinstance(axis, dict) else 0
        args = [args]
    elif op is OPS["cast"]:
        target = attributes.get("DstT")
        text = str(target.get("type", "")) if isinstance(target, dict) else ""
        kwargs["dtype"] = text.removeprefix("DT_").lower().replace("float", "float32", 1)
    return op, args, kwargs, swapped


def _transposes(attributes: Any) -> bool:
    return any(
        isinstance(attributes.get(key), dict) and attributes[key].get("b")
        for key in ("transpose_a", "transpose_b", "adj_x", "adj_y")
    )


def _setting(value: Any) -> Any:
    """A setting of an operation: slices of tf.keras become ``slice``, lists stay lists."""
    if isinstance(value, (Reference, Constant)):
        raise NotComputed("an argument that is computed by the model itself")
    if isinstance(value, dict) and set(value) <= {"start", "stop", "step"}:
        return slice(value.get("start"), value.get("stop"), value.get("step"))
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        return tuple(_setting(entry) for entry in value)
    return value
