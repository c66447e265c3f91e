"""What a cell receives: its layer's input, or what the cells below it did.

Letters: B sequences, F input features.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from ..model import Array
from .cells import TracedCell

_LEVEL = re.compile(r"^l(\d+)(?=/|$)")
_NUMBER = re.compile(r"(?:^|/)(\d+)$")


def read_input(cells: Mapping[str, TracedCell], name: str, step: int, size: int) -> Array:
    """What a cell receives at one step, (B, F).

    Args:
        cells: of the trace.
        name: which of them.
        step: of the input.
        size: how many features its weights take.

    Raises:
        InputError: if the trace lacks it.
    """
    cell = cells[name]
    part = str(cell.meta.get("part", ""))
    below = _below(part)
    if below is None:
        cell.require(("x",))
        found = cell.read(step, step + 1, ("x",)).arrays["x"][:, 0]
    else:
        front = name.removesuffix(part) if name.endswith(part) else None
        sources = [
            other
            for key, other in cells.items()
            if front is not None and _stands_at(key, f"{front}{below}")
        ]
        if not sources:
            raise InputError(
                f"cell '{part}' reads what the cells below it do, and the trace lacks those; "
                "choose the whole layer"
            )
        parts = [other.read(step, step + 1, ("h",)).arrays["h"][:, 0] for other in sources]
        found = np.concatenate(parts, axis=-1)
    if found.shape[-1] != size:
        raise InputError(
            f"the weights take {size} features, what the cell receives has {found.shape[-1]}"
        )
    return found


def _below(part: str) -> str | None:
    """The part whose cells a cell reads: ``0`` of ``1``, ``l0`` of ``l1/forward``."""
    number = _NUMBER.search(part)
    if number and int(number[1]):
        return f"{part[: number.start(1)]}{int(number[1]) - 1}"
    level = _LEVEL.search(part)
    if level and int(level[1]):
        return f"{part[: level.start(1)]}{int(level[1]) - 1}"
    return None


def _stands_at(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}/")
