"""The arrays of nn.LSTM and nn.LSTMCell as recurrent layers.

PyTorch keeps gates as blocks of rows i f g o and two biases that are added: the order is ours, and
the matrices are transposed. A hidden state smaller than the cell state comes from ``weight_hr``.

Source: ``torch/nn/modules/rnn.py``.

Letters: F input features, U units, P size of the hidden state (U without projection), D directions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ..errors import listing
from ..model import Array, Direction, LstmCell, Recurrent
from .gates import added
from .reading import NotComputed
from .torch_weights import Weight

BLOCKS = {4: "LSTM", 3: "GRU", 1: "RNN"}
"""How many blocks of rows a weight has, and what kind of module that makes it."""

_NAME = re.compile(r"(weight|bias)_(ih|hh|hr)(?:_l(\d+)(_reverse)?)?")


class Size(NamedTuple):
    """What the first arrays say: the kind of module, U and P."""

    kind: str
    units: int
    hidden: int


class Place(NamedTuple):
    """One cell of a module: its level and direction, and how its arrays' names end."""

    level: int
    backward: bool
    suffix: str


def size_of(shapes: Mapping[str, tuple[int, ...]]) -> Size:
    """Kind and sizes by the shapes of a module's arrays, by name.

    Raises:
        NotComputed: if they are of none of the three kinds, or the first are not there.
    """
    suffix = _suffix(shapes)
    needed = [f"weight_ih{suffix}", f"weight_hh{suffix}"]
    _refuse_missing(shapes, needed)
    rows, hidden = shapes[needed[0]], shapes[needed[1]]
    projection = shapes.get(f"weight_hr{suffix}", hidden)
    if not len(rows) == len(hidden) == len(projection) == 2:
        found = ", ".join(f"{name} {tuple(shapes[name])}" for name in needed)
        raise NotComputed(f"its weights should be matrices, found {found}")
    units = projection[1]
    kind = BLOCKS.get(rows[0] // units if units and rows[0] % units == 0 else 0)
    if kind is None or 0 in (*rows, *hidden):
        raise NotComputed(
            f"{needed[0]} {tuple(rows)} and {needed[1]} {tuple(hidden)} are those of no LSTM: "
            f"expected (4U, F) and (4U, U)"
        )
    return Size(kind, units, hidden[1])


def is_cell(names: Mapping[str, object]) -> bool:
    """Whether the arrays are named as nn.LSTMCell names them, without levels."""
    return not _suffix(names)


def _suffix(names: Mapping[str, object]) -> str:
    return "" if {"weight_ih", "weight_hh"} & set(names) else "_l0"


def recurrent(arrays: Mapping[str, Weight]) -> Recurrent:
    """An nn.LSTM or nn.LSTMCell; ``arrays`` by name, without a prefix.

    Raises:
        NotComputed: if arrays are missing or do not fit together; names them.
    """
    size = size_of({name: weight.shape for name, weight in arrays.items()})
    places = _places(arrays)
    _check(arrays, places, size)
    with np.errstate(all="ignore"):  # any numbers may stand in weights
        levels = [
            tuple(_direction(arrays, place, len(level)) for place in level) for level in places
        ]
    return Recurrent(
        levels[0],
        merge_mode=None if is_cell(arrays) else "concat",
        return_sequences=True,
        return_state=True,
        above=tuple(levels[1:]),
        convention="torch cell" if is_cell(arrays) else "torch",
    )


def _places(arrays: Mapping[str, Weight]) -> list[list[Place]]:
    """Every level's places, as many as the names say."""
    if is_cell(arrays):
        return [[Place(0, False, "")]]
    found = [match for name in arrays if (match := _NAME.fullmatch(name)) and match[3]]
    ways = ("", "_reverse") if any(match[4] for match in found) else ("",)
    levels = 1 + max(int(match[3]) for match in found)
    if levels > len(arrays):
        raise NotComputed(
            f"its arrays are incomplete: there is {listing(arrays, 8)}, too few for {levels} levels"
        )
    return [[Place(k, bool(way), f"_l{k}{way}") for way in ways] for k in range(levels)]


def _check(arrays: Mapping[str, Weight], places: list[list[Place]], size: Size) -> None:
    """Every array that the others ask for is there, has its shape, and there is no other."""
    expected = dict(_expected(arrays, places, size))
    _refuse_missing(arrays, expected)
    for name, weight in arrays.items():
        if name not in expected:
            raise NotComputed(f"{name} stands beside arrays that it does not belong to")
        if weight.shape != expected[name]:
            raise NotComputed(
                f"{name} should have shape {expected[name]}, found {tuple(weight.shape)}"
            )


def _expected(
    arrays: Mapping[str, Weight], places: list[list[Place]], size: Size
) -> Iterator[tuple[str, tuple[int, ...]]]:
    rows = 4 * size.units
    features = arrays[f"weight_ih{places[0][0].suffix}"].shape[1]
    for place in (place for level in places for place in level):
        width = size.hidden * len(places[0]) if place.level else features
        yield f"weight_ih{place.suffix}", (rows, width)
        yield f"weight_hh{place.suffix}", (rows, size.hidden)
        if any(name.startswith("bias") for name in arrays):
            yield f"bias_ih{place.suffix}", (rows,)
            yield f"bias_hh{place.suffix}", (rows,)
        if any(name.startswith("weight_hr") for name in arrays):
            yield f"weight_hr{place.suffix}", (size.hidden, size.units)


def _refuse_missing(arrays: Mapping[str, object], needed: Mapping[str, object] | list[str]) -> None:
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise NotComputed(
            f"its arrays are incomplete: there is {listing(arrays, 8)}, "
            f"but no {listing(missing, 8)}"
        )


def _direction(arrays: Mapping[str, Weight], place: Place, ways: int) -> Direction:
    name = ("backward" if place.backward else "forward") if ways == 2 else ""
    return Direction(name, (_cell(arrays, place.suffix),), go_backwards=place.backward)


def _cell(arrays: Mapping[str, Weight], suffix: str) -> LstmCell:
    bias = arrays.get(f"bias_ih{suffix}")
    projection = arrays.get(f"weight_hr{suffix}")
    return LstmCell(
        kernel=_turned(arrays[f"weight_ih{suffix}"]),  # (4U, F) -> (F, 4U)
        recurrent_kernel=_turned(arrays[f"weight_hh{suffix}"]),  # (4U, P) -> (P, 4U)
        bias=None if bias is None else added(bias.read(), arrays[f"bias_hh{suffix}"].read()),
        projection=None if projection is None else _turned(projection),  # (P, U) -> (U, P)
    )


def _turned(weight: Weight) -> Array:
    return np.ascontiguousarray(weight.read().T)
