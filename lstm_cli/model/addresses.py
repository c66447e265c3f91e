"""What an address chooses: a layer, one of its calls, a part of it."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import AmbiguousNameError, NoSuchNameError
from .graph import Model
from .layers import Layer, Recurrent


class Choice(NamedTuple):
    """What a name chooses: a layer, which of its calls (None for all), which part (or all)."""

    layer: Layer
    call: int | None = None
    part: str = ""


def choose(model: Model, name: str) -> Choice:
    """What an address means: ``lstm_1``, ``shared@1``, ``encoder.lstm/l1``, ``shared@1/forward``.

    Raises:
        NoSuchNameError, AmbiguousNameError: see ``Model.find``.
    """
    try:
        return Choice(model.find(name))
    except AmbiguousNameError:
        raise
    except NoSuchNameError as error:
        call_named = re.fullmatch(r"(.+)@(\d+)(?:/(.+))?", name)
        if call_named:
            base, number, part = call_named.groups()
            layer = model.find(base)
            if part is None or part in _parts(layer):
                return Choice(layer, int(number), part or "")
        return _part(model, name, error)


def _part(model: Model, name: str, error: NoSuchNameError) -> Choice:
    """The one part of a layer that a name means; else ``error``."""
    places = {
        f"{layer.address}/{part}": Choice(layer, None, part)
        for layer in model.layers
        for part in _parts(layer)
    }
    if name in places:
        return places[name]
    found = [place for place in places if place.endswith(("/" + name, "." + name))]
    if len(found) > 1:
        raise AmbiguousNameError("part", name, found)
    if not found:
        raise error
    return places[found[0]]


def _parts(layer: Layer) -> list[str]:
    """Names of everything that holds cells in a layer: ``l0``, ``l0/forward``, ``backward/1``."""
    if layer.recurrent is None:
        return []
    cells = [name.split("/") for name, _, _ in layer.recurrent.placed() if name]
    return list(dict.fromkeys("/".join(name[: k + 1]) for name in cells for k in range(len(name))))


def in_part(cell: str, part: str, recurrent: Recurrent) -> str | None:
    """The name of a cell within a chosen part; None if it stands outside it.

    Args:
        cell: its part name, as ``Recurrent.cells`` gives it.
        part: the chosen part; ``""`` for the whole layer.
        recurrent: the layer.
    """
    if not part:
        return cell
    placed = {
        name: full
        for (name, _, _), (full, _, _) in zip(recurrent.cells(), recurrent.placed(), strict=True)
    }[cell]
    if placed == part:
        return ""
    return placed[len(part) + 1 :] if placed.startswith(part + "/") else None
