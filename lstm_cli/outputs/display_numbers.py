"""Numbers for people: few digits, points in one column."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..model import Array

DECIMALS = 4
LARGEST_FIXED = 1e6
SMALLEST_FIXED = 1e-3


def number_format(array: Array) -> Callable[[float], str]:
    """How to write the numbers of one array, so that their points align.

    Four decimals below ten and fewer above it; exponents where the largest is beyond what decimals
    show; a lone tiny number keeps its exponent, so that it does not look like 0.
    """
    if array.dtype.kind in "biu":
        return lambda value: f"{value:d}"
    finite = np.abs(array[np.isfinite(array)])
    largest = float(finite.max()) if finite.size else 0.0
    if largest >= LARGEST_FIXED or 0 < largest < SMALLEST_FIXED:
        return _exponent
    decimals = max(1, DECIMALS - int(math.log10(max(1.0, largest))))
    return lambda value: _fixed(value, decimals)


def short_number(value: float) -> str:
    """One number by itself, three digits."""
    return "0" if value == 0 else f"{value:.3g}"


def _fixed(value: float, decimals: int) -> str:
    if value == 0:
        return "0" + " " * (decimals + 1)
    if abs(value) < 0.5 * 10**-decimals:
        return f"{value:.0e}"
    return f"{value:.{decimals}f}"


def _exponent(value: float) -> str:
    return "0" + " " * 8 if value == 0 else f"{value:.3e}"
