"""How long a unit's memory lasts, in steps, as its forget gate says.

A reading of the gate alone: it takes what was written as not written again, and holds where
gradients decay exponentially (arXiv 2111.03282 argues it holds only there).

Source: Mahto, Vo, Turek and Huth, "Multi-timescale representation learning in LSTM language
models", ICLR 2021: T = -1 / ln f for a constant gate, and T = 1 / ln(1 + exp(-b)) for its bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..model import Activation, Array

Floats = NDArray[np.float64]


def timescale(mean_f: Array) -> Floats:
    """Steps until a memory has fallen to 1/e, from the mean forget gate: T = -1 / ln f.

    Args:
        mean_f: arithmetic means of f over real steps, any shape, in [0, 1].

    Returns:
        The same shape; 0 for f = 0, infinity for f = 1.
    """
    with np.errstate(divide="ignore"):
        return effective_timescale(np.log(np.asarray(mean_f, np.float64)))


def effective_timescale(mean_log_f: Array) -> Floats:
    """The same from the mean of ln f, exact for what survives a window: never above ``timescale``.

    Args:
        mean_log_f: means of ln f, any shape, at most 0; minus infinity where f was 0 once.

    Returns:
        The same shape; 0 where f was 0 once, infinity where it was always 1.
    """
    with np.errstate(divide="ignore"):
        return np.abs(1.0 / np.asarray(mean_log_f, np.float64))


def half_life(steps: Array) -> Floats:
    """Steps until half of a memory is left, from its timescale: T ln 2."""
    return np.asarray(np.asarray(steps, np.float64) * np.log(2.0))


def quantiles(values: Array, shares: Sequence[float]) -> Floats:
    """Quantiles of values of which some may be infinite, in proportion between neighbours.

    Args:
        values: (N,).
        shares: which quantiles, from 0 to 1.

    Returns:
        One for each share; infinity between a finite value and an infinite one.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    places = np.asarray(shares, np.float64) * (len(ordered) - 1)
    below, above = ordered[np.floor(places).astype(int)], ordered[np.ceil(places).astype(int)]
    with np.errstate(invalid="ignore"):
        between = below + (above - below) * (places % 1)
    return np.asarray(np.where(below == above, below, between))


def bias_timescale(bias: Array, activation: Activation, input_bias: bool = False) -> Floats | None:
    """The timescale that a forget gate has from its bias alone, at x = 0 and h = 0.

    Args:
        bias: of the forget gate, summed where there are two, any shape.
        activation: of the gate.
        input_bias: ``bias`` is that of an input gate i to which f = 1 - i is coupled.

    Returns:
        The same shape; None where the activation is neither sigmoid nor hard sigmoid.
    """
    b = np.asarray(bias, np.float64)
    b = -b if input_bias else b
    if activation.name == "sigmoid":
        with np.errstate(over="ignore", divide="ignore"):
            return np.asarray(1.0 / np.logaddexp(0.0, -b))
    if activation.name == "hard_sigmoid" and activation.alpha is not None:
        return timescale(np.clip(activation.alpha * b + (activation.beta or 0.0), 0.0, 1.0))
    return None
