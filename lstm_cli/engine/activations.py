"""Activation functions: all of Keras 1, 2 and 3, and those of ONNX's recurrent operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature

import numpy as np

from ..errors import UnsupportedFeatureError
from ..model import Activation, Array
from .activation_formulas import FORMULAS

InPlace = Callable[[Array, Array], Array]
"""``f(x, out)`` writes to ``out``, which may be ``x`` itself, and returns it."""


def apply(activation: Activation, x: Array) -> Array:
    """The activation of every element (or row) of ``x``, in its dtype; ``x`` itself if linear.

    Raises:
        UnsupportedFeatureError: if there is no such activation.
    """
    formula = _formula(activation)
    with quiet():
        return formula(x).astype(x.dtype, copy=False)


def in_place(activation: Activation) -> InPlace:
    """The same function in a form for loops; they enter ``quiet()`` once, around the loop.

    Raises:
        UnsupportedFeatureError: if there is no such activation, or it does not keep the shape.
    """
    formula = _formula(activation)
    if activation.name in _DIRECT:
        return _DIRECT[activation.name]
    if activation.name == "glu":
        raise UnsupportedFeatureError(
            "activation 'glu' halves the number of units, so that no recurrent cell can use it",
            ["activation glu in a cell"],
        )

    def write(x: Array, out: Array) -> Array:
        np.copyto(out, formula(x))
        return out

    return write


def quiet() -> np.errstate:
    """A context in which exp may overflow and inf - inf may be NaN: both are right answers here."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


def _formula(activation: Activation) -> Callable[[Array], Array]:
    if activation.name not in FORMULAS:
        raise UnsupportedFeatureError(
            f"activation '{activation.name}' is not computed; there is: {', '.join(sorted(NAMES))}",
            [f"activation {activation.name}"],
        )
    formula = FORMULAS[activation.name]
    given = {"alpha": activation.alpha, "beta": activation.beta}
    settings = {name: value for name, value in given.items() if value is not None}
    try:
        signature(formula).bind(None, **settings)
    except TypeError as error:
        raise UnsupportedFeatureError(
            f"activation '{activation.name}' cannot be used with the settings {settings}: {error}",
            [f"activation {activation.name} with settings {settings}"],
        ) from error
    return partial(formula, **settings)


def _sigmoid_in_place(x: Array, out: Array) -> Array:
    np.negative(x, out)
    np.exp(out, out)
    np.add(out, 1, out)
    result: Array = np.reciprocal(out, out)
    return result


_DIRECT: Mapping[str, InPlace] = {
    "tanh": np.tanh,
    "exponential": np.exp,
    "sigmoid": _sigmoid_in_place,
}

NAMES: frozenset[str] = frozenset(FORMULAS)
"""Every name that ``Activation.name`` may have."""
