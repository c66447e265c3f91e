"""What names of arrays say when somebody chose them by hand: which cell, which array, which gates.

``kernel``, ``recurrent_kernel``, ``bias`` are Keras's own names and say the order of the gates.
``W``, ``U``, ``b`` and their like do not. ``W_i``, ``U_f``, ``b_o`` name each gate by itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

OURS = {"peepholes", "projection", "projection_bias", "layer_norm"}
"""Arrays that only this package writes under these names."""

KERAS = {name: name for name in ("kernel", "recurrent_kernel", "bias", *OURS)}
BY_HAND: dict[str, str] = {
    **dict.fromkeys(("W", "Wx", "W_x", "W_ih", "w_ih", "W_in"), "kernel"),
    **dict.fromkeys(("U", "R", "Wh", "W_h", "W_hh", "w_hh", "W_rec"), "recurrent_kernel"),
    **dict.fromkeys(("b", "B"), "bias"),
}
_FAMILIES: dict[str, str] = {
    **dict.fromkeys(("W", "Wx", "W_x"), "kernel"),
    **dict.fromkeys(("U", "R", "Wh", "W_h"), "recurrent_kernel"),
    "b": "bias",
}
_OF_A_GATE = re.compile(r"(?P<family>W|W_?x|U|R|W_?h|b)_?(?P<gate>[ifcgo])")
_LEVEL, _SIDE, _NUMBER = (
    re.compile(r"l(\d{1,4})"),
    re.compile(r"(forward|backward)(_.+)?"),
    re.compile(r"\d{1,4}"),
)
_CELL = re.compile(r"(lstm_cell(_\d+)?|stacked_rnn_cells(_\d+)?|cell)")


class Place(NamedTuple):
    """Where an array belongs.

    Attributes:
        address: of the layer; ``lstm`` where the name has nothing in front.
        level: of a stack such as nn.LSTM; None where the name says none.
        side: ``forward``, ``backward`` or ``""``.
        cell: which of several cells in one direction, as the name orders them.
        role: what the array is.
        gate: which gate it is for; ``""`` where it holds all four.
        keras: whether Keras gave the name, and with it the order of the gates.
    """

    address: str
    level: int | None
    side: str
    cell: str
    role: str
    gate: str
    keras: bool


def place_of(name: str) -> Place | None:
    """What a name says; None for a name of something else."""
    name = name.removesuffix(":0")
    for cut in _cuts(name):
        front, last = name[:cut].rstrip("/._"), name[cut:]
        if last in KERAS:
            return _place(front, KERAS[last], "", True)
        if last in BY_HAND:
            return _place(front, BY_HAND[last], "", False)
        match = _OF_A_GATE.fullmatch(last)
        if match:
            role = _FAMILIES[match["family"]]
            return _place(front, role, match["gate"].replace("c", "g"), False)
    return None


def _cuts(name: str) -> list[int]:
    """Where the last part of a name may begin: longest parts first."""
    slash = max(name.rfind("/"), name.rfind(".")) + 1
    return [slash, *(m.end() for m in re.finditer("_", name) if m.end() > slash)]


def _place(front: str, role: str, gate: str, keras: bool) -> Place:
    level, side, cell = None, "", ""
    parts = front.split("/")
    while parts:
        last = parts[-1]
        if (match := _LEVEL.fullmatch(last)) and level is None:
            level = int(match[1])
        elif (match := _SIDE.fullmatch(last)) and not side:
            side = match[1]
        elif (_NUMBER.fullmatch(last) or _CELL.fullmatch(last)) and not side and level is None:
            cell = f"{last}/{cell}"
        else:
            break
        parts.pop()
    return Place("/".join(parts) or "lstm", level, side, cell, role, gate, keras)
