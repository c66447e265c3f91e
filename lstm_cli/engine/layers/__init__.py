"""What each layer without recurrence computes, by the name that readers give it.

The names and settings are those of ``model.Operation``; settings follow the config keys of Keras.
Layers keep, change or drop a mask as Keras does; ``op_…``, the small operations of functional
models, drop it. One file holds one family.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    activation_layers,
    array_ops,
    attention,
    convolution,
    dense,
    dot,
    elementwise_ops,
    embedding,
    merging,
    normalisation,
    pooling,
    reduction_ops,
    shaping,
)
from .rule import Compute, Rule, Stepwise

__all__ = ["RULES", "Compute", "Rule", "Stepwise"]

RULES: Mapping[str, Rule] = {
    **embedding.RULES,
    **dense.RULES,
    **activation_layers.RULES,
    **normalisation.RULES,
    **convolution.RULES,
    **pooling.RULES,
    **shaping.RULES,
    **merging.RULES,
    **dot.RULES,
    **attention.RULES,
    **elementwise_ops.RULES,
    **reduction_ops.RULES,
    **array_ops.RULES,
}
"""Operation name to rule."""
