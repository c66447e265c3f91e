"""Keras layers that take several tensors, and those that only arrange one anew."""

from __future__ import annotations

from typing import Any

from ..model import Operation
from .keras_building import Arrays, Build, data_format
from .keras_config import LayerConfig
from .keras_era import Era
from .reading import NotComputed


def merge(name: str) -> Build:
    return lambda layer, arrays, era: Operation(name, _masks(era))


def _masks(era: Era) -> dict[str, Any]:
    """How a layer that takes a list merges the masks."""
    return {"mask_merge": era.mask_merge, "drops_mask": era.lists_lose_masks}


def concatenate(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("concatenate", {"axis": layer.settings.integer("axis", -1), **_masks(era)})


def dot(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    axes = layer.settings.integers("axes", -1, None)
    pair = axes * 2 if len(axes) == 1 else axes
    return Operation("dot", {"axes": pair, "normalize": layer.settings.boolean("normalize")})


_MERGES_OF_KERAS_1 = {"sum": "add", "mul": "multiply", "ave": "average", "max": "maximum"}


def keras1_merge(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    mode, settings = layer.settings.get("mode", "sum"), layer.settings
    if mode == "concat":
        axis = settings.integer("concat_axis", -1)
        return Operation("concatenate", {"axis": axis, "mask_merge": "and"})
    if mode in ("dot", "cos"):
        axes = settings.integers("dot_axes", -1, None)
        pair = axes * 2 if len(axes) == 1 else axes
        cosine = mode == "cos"
        return Operation("dot", {"axes": pair, "normalize": cosine, "extra_axis": cosine})
    if not isinstance(mode, str) or mode not in _MERGES_OF_KERAS_1:
        raise NotComputed("it merges by Python code of its own, which is never executed")
    return Operation(_MERGES_OF_KERAS_1[mode], {"mask_merge": "and"})


def attention(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    settings = layer.settings
    mode = settings.text("score_mode", "dot")
    if mode not in ("dot", "concat"):
        raise settings.fail("score_mode", "dot or concat")
    return Operation(
        "attention" if layer.class_name == "Attention" else "additive_attention",
        {
            "score_mode": mode,
            "causal": settings.boolean("causal"),
            "drops_mask": era.lists_lose_masks,
        },
        arrays,
    )


def flatten(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("flatten", {"data_format": data_format(layer.settings)})


def reshape(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    given = layer.settings.get("target_shape") or []
    if not isinstance(given, list) or not all(n is None or isinstance(n, int) for n in given):
        raise layer.settings.fail("target_shape", "a list of whole numbers")
    target = [-1 if n is None else n for n in given]
    return Operation("reshape", {"target_shape": target})


def permute(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    dims = layer.settings.integers("dims")
    if sorted(dims) != list(range(1, len(dims) + 1)):
        raise layer.settings.fail("dims", "the axes 1, 2, … in some order")
    return Operation("permute", {"dims": dims})


def repeat_vector(layer: LayerConfig, arrays: Arrays, era: Era) -> Operation:
    return Operation("repeat_vector", {"n": layer.settings.integers("n", length=1)[0]})
