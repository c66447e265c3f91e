"""Layers of a TensorFlow checkpoint that has no config: told from its objects, or from names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..model import Array
from .listing import Listed
from .object_graph import ObjectGraph, Tracked
from .tensor_bundle import Bundle

ARRAYS = ("kernel", "recurrent_kernel", "bias")
FORGET_BIAS = (
    "a cell of tf.nn adds its forget_bias when it runs (1.0 unless the program said otherwise), "
    "and the checkpoint does not hold that number"
)
_CELL = re.compile(r"(lstm|gru|simple_rnn)_cell(_\d+)?|stacked_rnn_cells(_\d+)?")
_SIDE = re.compile(r"(forward|backward)_.+")
_TF_NN = re.compile(
    r"(layer_norm_)?basic_lstm_cell(_\d+)?|BasicLSTMCell|LSTMCell|lstm_cell(_\d+)?|"
    r"(lstm_block|lstm_fused|coupled_input_forget_gate_lstm|cudnn_compatible_lstm)_\w+"
)

Variables = Mapping[str, str]
"""The key of each variable, by the name that TensorFlow gave it."""


# -- by objects


def listed_objects(graph: ObjectGraph) -> list[Listed]:
    """The layers of an object graph, nearest first; by names where objects say nothing."""
    found: list[tuple[str, str, Listed]] = []
    taken: set[int] = set()
    loose: dict[str, str] = {}
    for path, tracked in graph.reached():
        if tracked.number in taken:
            continue
        ways = _ways(graph, tracked)
        if ways:
            names = [each.full_name for way in ways for cell in way for each in cell]
            keys = [[[each.key for each in cell] for cell in way] for way in ways]
            found.append(
                (path, _address(names[0], len(ways) == 2), _read(graph.bundle, keys, names))
            )
            graph.inside(tracked, taken)
        elif tracked.key:
            loose[tracked.full_name or path] = tracked.key
    if not found:
        return listed_names(graph.bundle, _named_variables(graph) or loose)
    found += [(owner, owner, each) for owner, each in _others(graph.bundle, loose)]
    return _addressed(found)


def _ways(graph: ObjectGraph, tracked: Tracked) -> list[list[list[Tracked]]]:
    """The variables of the cells of each direction; nothing for an object that is no layer."""
    sides = [graph.child(tracked, name) for name in ("forward_layer", "backward_layer")]
    ways = [_cells(graph, side) for side in sides if side is not None]
    if len(ways) != 2 or not all(ways):
        ways = [_cells(graph, tracked)]
    return ways if all(ways) else []


def _cells(graph: ObjectGraph, tracked: Tracked) -> list[list[Tracked]]:
    cell = graph.child(tracked, "cell") or tracked
    stacked = graph.child(cell, "cells")
    objects = graph.numbered(stacked, "") if stacked is not None else [cell]
    cells = [[graph.variable(each, name) for name in ARRAYS] for each in objects]
    if not all(found[0] is not None and found[1] is not None for found in cells):
        return []
    return [[each for each in found if each is not None] for found in cells]


def _named_variables(graph: ObjectGraph) -> Variables:
    """The variables of a list that holds all of a model's, as Keras 3 exports them."""
    held = graph.child(graph.root, "variables") or graph.child(graph.root, "_all_variables")
    listed = graph.numbered(held, "") if held is not None else []
    names: dict[str, str] = {}
    for each in listed:
        if each.key:
            names[_numbered(each.full_name or each.key, names)] = each.key
    return names


def _numbered(name: str, taken: Variables) -> str:
    """A name that other variables have too, with a number behind that of its layer."""
    found, k = name, 0
    address = _address(name, "/forward_" in name or "/backward_" in name)
    while found in taken:
        k += 1
        found = f"{address}_{k}{name.removeprefix(address)}"
    return found


# -- by names


def listed_names(bundle: Bundle, variables: Variables) -> list[Listed]:
    """The layers of variables that have nothing but names, in the order of the file."""
    # An optimizer's numbers for a variable stand below it: lstm/kernel/Adam.
    variables = {
        name: key for name, key in variables.items() if name.rpartition("/")[0] not in variables
    }
    cells: dict[str, dict[str, dict[str, list[str]]]] = {}
    taken: set[str] = set()
    for name in variables:
        owner, _, last = name.rpartition("/")
        own = [f"{owner}/{each}" for each in ARRAYS if f"{owner}/{each}" in variables]
        if last == "kernel" and f"{owner}/recurrent_kernel" in variables:
            side = next((m[1] for part in owner.split("/") if (m := _SIDE.fullmatch(part))), "")
            address = _address(name, bool(side))
            cells.setdefault(address, {}).setdefault(side, {})[owner] = own
            taken.update(own)
    found = []
    for address, sides in cells.items():
        order = [side for side in ("", "forward", "backward") if side in sides]
        names = [
            [sides[side][cell] for cell in sorted(sides[side], key=_natural)] for side in order
        ]
        keys = [[[variables[name] for name in cell] for cell in way] for way in names]
        flat = [name for way in names for cell in way for name in cell]
        listed = _read(bundle, keys, flat)
        if order not in ([""], ["forward", "backward"]):
            listed = Listed(
                "", listed.ways, reason="its cells read in directions that do not match"
            )
        found.append((address, address, listed))
    rest = {name: key for name, key in variables.items() if name not in taken}
    return _addressed(found + [(owner, owner, each) for owner, each in _others(bundle, rest)])


def _natural(text: str) -> list[tuple[int, str]]:
    """Text sorted with numbers by value: ``lstm_cell``, ``lstm_cell_2``, ``lstm_cell_10``."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d{1,9})", text)]


# -- both


def _read(bundle: Bundle, keys: Sequence[Sequence[Sequence[str]]], names: Sequence[str]) -> Listed:
    """The arrays of a layer's cells, by their keys and by the names that say how old they are."""
    flat = [key for way in keys for cell in way for key in cell]
    if sliced := [key for key in flat if key in bundle.entries and bundle.entries[key].sliced]:
        reason = f"its variable '{sliced[0]}' is stored in slices (it was partitioned), not read"
        return Listed("", others=tuple(bundle.shape(key) for key in flat), reason=reason)
    named = any(_CELL.fullmatch(part) for name in names for part in name.split("/"))
    ways: list[tuple[list[Array], ...]] = []
    for way in keys:
        ways.append(tuple([bundle.array(key) for key in cell] for cell in way))
    return Listed("", tuple(ways), old=not named)


def _address(name: str, two_ways: bool) -> str:
    """The layer that a variable's name begins with: ``zz`` of ``zz/lstm_cell/kernel``."""
    parts = name.split("/")[:-1]
    while len(parts) > 1 and (
        _CELL.fullmatch(parts[-1]) or (two_ways and _SIDE.fullmatch(parts[-1]))
    ):
        parts.pop()
    return "/".join(parts)


def _others(bundle: Bundle, variables: Variables) -> list[tuple[str, Listed]]:
    """Layers of other kinds: floating-point variables whose names begin alike."""
    owners: dict[str, list[str]] = {}
    for name, key in variables.items():
        owner, slash, _ = name.rpartition("/")
        if slash and key in bundle.entries and bundle.is_float(key):
            owners.setdefault(owner, []).append(key)
    found = []
    for owner, keys in owners.items():
        shapes = tuple(bundle.shape(key) for key in keys)
        of_tf_nn = any(_TF_NN.fullmatch(part) for part in owner.split("/")[-1:])
        listed = Listed("", others=shapes)
        if of_tf_nn:
            listed = listed._replace(reason=FORGET_BIAS, kind="LSTM cell of tf.nn")
        found.append((owner, listed))
    return found


def _addressed(found: Iterable[tuple[str, str, Listed]]) -> list[Listed]:
    """The layers with the names of their variables, or the paths to them where those are alike."""
    found = list(found)
    names = [name for _, name, _ in found]
    fronts = {name.partition("/")[0] for name in names}
    if len(fronts) == 1 and all("/" in name for name in names):
        names = [name.partition("/")[2] for name in names]  # the name of the model itself
    addresses: dict[str, str] = {}
    for name, (path, _, _) in zip(names, found, strict=True):
        clash = not name or names.count(name) > 1
        addresses[_unique(path if clash else name, addresses)] = ""
    return [
        each._replace(address=address)
        for address, (_, _, each) in zip(addresses, found, strict=True)
    ]


def _unique(name: str, taken: Mapping[str, str]) -> str:
    base, k = name, 0
    while name in taken:
        k += 1
        name = f"{base}_{k}"
    return name
