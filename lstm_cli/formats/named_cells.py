"""Cells of an archive of named arrays: which arrays are there, and the cells that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..model import GATES, Activation, Array, LstmCell
from . import gates
from .array_names import OURS, Place
from .npz_file import Member
from .reading import NotComputed, Problem

MATRICES = ("kernel", "recurrent_kernel")


class NamedCell:
    """The arrays of one cell, by their roles; those of single gates by role and gate.

    Attributes:
        stacked: arrays of all four gates, by role.
        apart: arrays of single gates, by role and gate.
        keras: whether all have Keras's names, which say the order of the gates.
        order: of the gates in stacked arrays.
    """

    def __init__(self) -> None:
        self.stacked: dict[str, Member] = {}
        self.apart: dict[str, dict[str, Member]] = {}
        self.keras = True
        self.order = "ifgo"

    def add(self, place: Place, member: Member) -> None:
        """Put an array where its name says.

        Raises:
            Problem: if another has the same place.
        """
        self.keras = self.keras and place.keras
        into = self.apart.setdefault(place.role, {}) if place.gate else self.stacked
        key = place.gate or place.role
        if key in into:
            raise Problem(f"arrays '{into[key].name}' and '{member.name}' claim the same place")
        into[key] = member

    @property
    def members(self) -> list[Member]:
        apart = [member for gates in self.apart.values() for member in gates.values()]
        return [*self.stacked.values(), *apart]

    @property
    def needs_order(self) -> bool:
        """Whether nothing says the order of its gates."""
        return not self.keras and not self.apart and set(MATRICES) <= set(self.stacked)


Cells = dict[tuple[int, str, str], NamedCell]
"""The cells of a layer by level, direction and number."""


def levels_of(
    address: str, cells: Cells, settings: tuple[Activation, Activation]
) -> list[list[list[LstmCell]]]:
    """The cells of a layer by level and direction, in order.

    Args:
        address: of the layer.
        cells: its arrays.
        settings: the activations of g and c, and of the gates.

    Raises:
        NotComputed: if they make no layer.
    """
    levels = []
    for level in sorted({level for level, _, _ in cells}):
        sides = sorted({side for at, side, _ in cells if at == level}, reverse=True)
        if sides not in ([""], ["forward", "backward"]):
            raise NotComputed(f"its cells read in directions that do not match: {', '.join(sides)}")
        ways = []
        for side in sides:
            names = sorted(
                {cell for at, way, cell in cells if (at, way) == (level, side)}, key=_by_number
            )
            ways.append([_cell(address, cells[level, side, name], settings) for name in names])
        levels.append(ways)
    for before, after in pairwise(cell for ways in levels for way in ways[:1] for cell in way):
        size = before.units * len(levels[0]) if len(levels) > 1 else before.units
        if after.input_size != size:
            raise NotComputed(f"a cell of {size} outputs feeds one that takes {after.input_size}")
    return levels


def _cell(address: str, cell: NamedCell, settings: tuple[Activation, Activation]) -> LstmCell:
    where = f"layer '{address}'"
    if cell.apart and cell.stacked:
        raise NotComputed("some of its arrays are of single gates, others of all four")
    if cell.apart:
        kernels, recurrents = (_four(cell.apart.get(role, {}), role) for role in MATRICES)
        biases = _four(cell.apart["bias"], "bias") if "bias" in cell.apart else []
        return LstmCell(*gates.lstm_of_gates(kernels, recurrents, biases, where), *settings)
    held = {role: member.read() for role, member in cell.stacked.items()}
    if not set(MATRICES) <= set(held):
        raise NotComputed(f"it has no LSTM's arrays, only: {', '.join(held)}")
    if set(held) & OURS:
        bias = held.get("bias")
        more: dict[str, Any] = {name: array for name, array in held.items() if name in OURS}
        return LstmCell(held["kernel"], held["recurrent_kernel"], bias, *settings, **more)
    found = gates.stacked_lstm(
        held["kernel"], held["recurrent_kernel"], held.get("bias"), cell.order, where
    )
    return LstmCell(*found, *settings)


def _four(of_gates: Mapping[str, Member], role: str) -> list[Array]:
    missing = [gate for gate in GATES if gate not in of_gates]
    if missing:
        raise NotComputed(f"its {role.replace('_', ' ')} has no array for: {', '.join(missing)}")
    return [of_gates[gate].read() for gate in GATES]


def _by_number(cell: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d{1,4}", cell)]
