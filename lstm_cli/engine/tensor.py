"""A value on its way through the graph."""

from __future__ import annotations

from dataclasses import dataclass

from ..model import Array


@dataclass(slots=True, eq=False, repr=False)
class Tensor:
    """An array and the mask that Keras would carry beside it.

    Attributes:
        array: the value; the first axis is B, the second, where there is one, usually T.
        mask: shape (B, T), true for a real step; None where nothing is masked.
    """

    array: Array
    mask: Array | None = None
