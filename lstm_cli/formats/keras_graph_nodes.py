"""Operations that TensorFlow 1.15 to 2.3 records as nodes of its graph, in a TensorFlowOpLayer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Argument
from .keras_config import LayerConfig
from .keras_ops import OPS, Op, known_op, tensorflow_op
from .reading import NotComputed, as_mapping, parse_json

_TRANSPOSES = (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))


def graph_node(
    config: LayerConfig, tensors: list[Argument]
) -> tuple[Op, list[Any], dict[str, Any], bool]:
    """The operation of a graph node, its arguments, and whether two operands are swapped.

    ``constants`` of the layer says which of the inputs are constant, by position.
    """
    raw = config.settings.get("node_def")
    if isinstance(raw, str):
        raw = parse_json(raw, f"'node_def' of {config.owner}")
    definition = as_mapping(raw, f"'node_def' of {config.owner}")
    name = str(definition.get("op"))
    constants = as_mapping(config.settings.get("constants") or {}, f"'constants' of {config.owner}")
    given = iter(tensors)
    count = len(constants) + len(tensors)
    args = [constants[str(k)] if str(k) in constants else next(given, None) for k in range(count)]
    attributes = as_mapping(definition.get("attr") or {}, f"'attr' of {config.owner}")
    if name == "StridedSlice":
        return OPS["getitem"], [args[0], _strided(args[1:], attributes)], {}, False
    op, swapped = known_op(tensorflow_op(name), name)
    args, kwargs = _arguments(op, name, args, attributes)
    return op, args, kwargs, swapped


def _arguments(
    op: Op, name: str, args: list[Any], attributes: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Inputs and attributes as the arguments of a function."""
    kwargs: dict[str, Any] = {}
    if any(key in attributes for key in ("keep_dims", "keepdims")):
        kwargs["keepdims"] = any(_flag(attributes, key) for key in ("keep_dims", "keepdims"))
    if op is OPS["matmul"]:
        for key, other in _TRANSPOSES:
            kwargs[key] = _flag(attributes, key) or _flag(attributes, other)
    elif op is OPS["leaky_relu"]:
        kwargs["alpha"] = float(_attribute(attributes, "alpha", "f", 0.2))
    elif op is OPS["squeeze"]:
        found = _attribute(attributes, "squeeze_dims", "list", {})
        axes = found.get("i", []) if isinstance(found, Mapping) else []
        kwargs["axis"] = [int(axis) for axis in axes] or None
    elif op is OPS["concatenate"]:
        args = [args[:-1], args[-1]]
    elif op is OPS["stack"]:
        kwargs["axis"] = int(_attribute(attributes, "axis", "i", 0))
        args = [args]
    elif op is OPS["cast"]:
        kwargs["dtype"] = _dtype(_attribute(attributes, "DstT", "type", ""))
    elif name in ("Split", "SplitV", "Unpack", "GatherV2", "Einsum", "Cumsum"):
        raise NotComputed(f"operation '{name}' of a TensorFlow graph")
    return args, kwargs


def _attribute(attributes: Mapping[str, Any], key: str, kind: str, default: Any) -> Any:
    value = attributes.get(key)
    return value.get(kind, default) if isinstance(value, Mapping) else default


def _flag(attributes: Mapping[str, Any], key: str) -> bool:
    return bool(_attribute(attributes, key, "b", False))


def _dtype(name: Any) -> str:
    text = str(name).removeprefix("DT_").lower()
    return {"float": "float32", "double": "float64", "half": "float32"}.get(text, text)


def _strided(bounds: list[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """``x[begin:end:step]`` a place, with one bit a place in masks that say what to leave out."""
    if len(bounds) != 3 or not all(isinstance(entry, list) for entry in bounds):
        raise NotComputed("a slice whose bounds are computed by the model itself")
    masks = {
        key: int(_attribute(attributes, f"{key}_mask", "i", 0))
        for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    return [_place(k, place, masks) for k, place in enumerate(zip(*bounds, strict=True))]


def _place(k: int, place: tuple[Any, ...], masks: Mapping[str, int]) -> Any:
    begin, end, step = place
    on = {key for key, mask in masks.items() if mask >> k & 1}
    if "ellipsis" in on:
        return ...
    if "new_axis" in on:
        return None
    if "shrink_axis" in on:
        return begin
    return slice(None if "begin" in on else begin, None if "end" in on else end, step)
