"""Colour scales that colour-blind people can read, on light and on dark backgrounds.

Source: the colours of viridis (matplotlib, public domain) at nine points; a blue to red scale
through grey after Moreland, "Diverging Color Maps for Scientific Visualization" (2009).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from rich.color import Color
from rich.style import Style

LEVELS = 64
"""Shades of a scale; more cannot be told apart, and fewer styles make shorter output."""

SEQUENTIAL = (
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 144, 141),
    (39, 173, 129),
    (92, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
)
DIVERGING = ((59, 76, 192), (141, 176, 254), (221, 221, 221), (244, 154, 123), (180, 4, 38))

NAN_RGB = (255, 0, 255)
NOT_A_NUMBER = Color.from_rgb(*NAN_RGB)
MASKED_COLOUR = Color.from_rgb(128, 128, 128)

LINES = {
    "c": (190, 130, 0),
    "h": (0, 135, 200),
    "i": (0, 158, 115),
    "f": (213, 94, 0),
    "o": (204, 121, 167),
    "g": (120, 120, 120),
}
"""The colour of each tensor's line: those of Okabe and Ito, as dark or light as it takes to have a
contrast of 3 on white and on black.

Source: Okabe and Ito, "Color Universal Design" (2008).
"""

LINE_COLOURS = {tensor: Color.from_rgb(*rgb) for tensor, rgb in LINES.items()}


def colour(fraction: float, diverging: bool) -> Color:
    """The colour of ``fraction``, 0 to 1, of a scale; magenta for NaN."""
    if np.isnan(fraction):
        return NOT_A_NUMBER
    return _scale(diverging)[round(min(1.0, max(0.0, fraction)) * (LEVELS - 1))]


def half_blocks(upper: Color, lower: Color | None) -> Style:
    """The style in which ``▀`` shows two values; without a lower one the background stays.

    Made anew each time: a style remembers how the first console wrote it, and another may have
    other colours.
    """
    return Style(color=upper, bgcolor=lower)


@cache
def _scale(diverging: bool) -> tuple[Color, ...]:
    stops = np.array(DIVERGING if diverging else SEQUENTIAL, float)
    at = np.linspace(0, len(stops) - 1, LEVELS)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, k]) for k in range(3)]
    return tuple(Color.from_rgb(*rgb) for rgb in np.rint(np.transpose(channels)))
