"""Activation functions as Keras configs name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Activation
from .keras_era import Era
from .reading import NotComputed, Problem, as_number, describe

PLAIN = frozenset(
    "celu elu exponential gelu glu hard_shrink hard_tanh linear log_sigmoid log_softmax mish relu "
    "relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid "
    "sparsemax squareplus tanh tanh_shrink threshold".split()
)
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "identity": "linear"}


def parse_activation(value: Any, era: Era, default: str = "linear") -> Activation:
    """An activation from a config value: a name, None, or a serialised layer or function.

    Raises:
        NotComputed: if it is custom code or a name of no Keras version.
    """
    if value is None:
        value = default
    if isinstance(value, Mapping):
        return _serialised(value, era)
    if not isinstance(value, str):
        raise Problem(f"an activation should be a name, found {describe(value)}")
    return named(value, era)


def named(name: str, era: Era) -> Activation:
    """The activation that the Keras of ``era`` calls ``name``."""
    name = name.rsplit(">", 1)[-1].rsplit(".", 1)[-1]
    name = _ALIASES.get(name, name)
    if name == "hard_sigmoid":
        return era.hard_sigmoid
    if name == "hard_silu":
        return Activation("hard_silu", 1 / 6, 0.5)
    if name == "leaky_relu":
        return Activation("leaky_relu", 0.2)
    if name in PLAIN:
        return Activation(name)
    raise NotComputed(f"activation '{name[:60]}' is not one of Keras's own")


def _serialised(value: Mapping[str, Any], era: Era) -> Activation:
    kind, config = value.get("class_name"), value.get("config")
    if kind == "function" and isinstance(config, str):  # Keras 3: module, class_name "function"
        return named(config, era)
    if isinstance(config, Mapping):
        slope = config.get("negative_slope", config.get("alpha"))
        bounded = config.get("max_value") is not None or config.get("threshold") not in (
            None,
            0,
            0.0,
        )
        number = as_number(slope)
        if kind == "LeakyReLU" and (slope is None or number is not None):
            return Activation("leaky_relu", 0.3 if number is None else number)
        if kind == "ELU" and (slope is None or number is not None):
            return Activation("elu", 1.0 if number is None else number)
        if kind == "ReLU" and not slope and not bounded:
            return Activation("relu")
        if kind == "Softmax" and config.get("axis", -1) == -1:
            return Activation("softmax")
        if kind == "Activation":
            return parse_activation(config.get("activation"), era)
    raise NotComputed(f"activation {describe(dict(value))} is not one of Keras's own")
