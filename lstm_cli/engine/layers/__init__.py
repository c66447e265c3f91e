"""What each layer without recurrence computes, by the name that readers give it.

The names and settings are those of ``model.Operation``; settings follow the config keys of Keras.
Layers keep, change or drop a mask as Keras does; ``op_…``, the small operations of functional
models, drop it. One file holds one family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from .rule import Compute, Rule, Stepwise

__all__ = ["RULES", "Compute", "Rule", "Stepwise"]

LAYER_FAMILIES = (
    "embedding",
    "dense",
    "activation_layers",
    "normalisation",
    "convolution",
    "pooling",
    "shaping",
    "merging",
    "dot",
    "attention",
)
OP_FAMILIES = ("elementwise_ops", "reduction_ops", "array_ops")


class Rules(Mapping[str, Rule]):
    """Operation name to rule; a family is imported when a name is looked for in it.

    The families stand in the order of how common they are, as most models need two or three.
    """

    def __getitem__(self, name: str) -> Rule:
        families = OP_FAMILIES if name.startswith("op_") else LAYER_FAMILIES
        for family in families:
            rules = _rules_of(family)
            if name in rules:
                return rules[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        for family in (*LAYER_FAMILIES, *OP_FAMILIES):
            yield from _rules_of(family)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _rules_of(family: str) -> Mapping[str, Rule]:
    rules: Mapping[str, Rule] = import_module(f".{family}", __name__).RULES
    return rules


RULES: Mapping[str, Rule] = Rules()
"""Operation name to rule."""
