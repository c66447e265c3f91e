"""Initial states as callers give them, and final states as files keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError, listing
from ..model import Array, Recurrent
from ..traces import State
from .returns import framework_order
from .selection import Unit

StateLike = Any
"""A ``State``, a number, or a mapping of names such as ``h`` or ``bidirectional_1/forward/c``."""

Parts = dict[str, tuple[Array, ...]]


def parse_initial_state(
    given: StateLike, units: Sequence[Unit], chosen: Sequence[str], batch: int
) -> dict[int, Parts]:
    """Initial states by call and part.

    Args:
        given: a number for every state; a ``State`` for a single cell; or arrays by name, with or
            without the layer's address, each of shape (B, U), (1, U) or (U,); or what a run of a
            layer returns, with the states of all its cells in its framework's own shape.
        units: the recurrent calls that run.
        chosen: names of the calls whose arrays need no prefix.
        batch: B.

    Raises:
        InputError: if names are missing or unknown, all of them listed.
        ShapeError: if an array does not fit.
    """
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return {unit.call: _filled(unit, float(given), batch) for unit in units}
    if isinstance(given, State) or (isinstance(given, tuple) and len(given) == 2):
        given = {"h": given[0], "c": given[1]}
    if not isinstance(given, Mapping):
        raise InputError(
            f"initial state: expected a State, a number or arrays by name, found {given!r}"
        )
    clear = [unit for unit in units if len(units) == 1 or chosen in ([unit.name], (unit.name,))]
    arrays = _returned(_flat(given), clear[0]) if clear else _flat(given)
    names = _accepted_names(units, clear)
    unknown = [name for name in arrays if name not in names]
    targets = {names[name] for name in arrays if name in names}
    wanted = {target: _full_name(units, target) for target in dict.fromkeys(names.values())}
    missing = [name for target, name in wanted.items() if target not in targets]
    if unknown or missing:
        parts = [f"unknown: {listing(unknown)}"] if unknown else []
        parts += [f"missing: {listing(missing)}"] if missing else []
        raise InputError(f"initial state: {'; '.join(parts)} (expected {listing(wanted.values())})")
    return _fitted({names[name]: (name, array) for name, array in arrays.items()}, units, batch)


def _flat(given: Mapping[str, Any]) -> dict[str, Array]:
    """A mapping whose values may be ``State``s, as arrays by name."""
    arrays: dict[str, Array] = {}
    for name, value in given.items():
        if isinstance(value, State):
            arrays[f"{name}/h"], arrays[f"{name}/c"] = np.asarray(value.h), np.asarray(value.c)
        elif name != "meta":
            arrays[name.lstrip("/")] = np.asarray(value)
    return arrays


def _returned(arrays: dict[str, Array], unit: Unit) -> dict[str, Array]:
    """The states among what a run of a layer returns, under the names that its cells have.

    ``h_n c_n`` of an nn.LSTM are (L·D, B, U), ``Y_h Y_c`` of an ONNX node (D, B, U), without B
    where there is one sequence; ``h c`` may have these shapes too. Outputs are left out.
    """
    layer = _recurrent(unit)
    whole = layer.convention in ("torch", "onnx", "onnx batchwise")
    names = _names_of_states(layer, whole)
    parts = [part for part, _, _ in layer.cells()]
    found: dict[str, Array] = {}
    for given, array in arrays.items():
        short = given.removeprefix(unit.name.lstrip("/") + "/")
        name = names.get(short, "")
        place = 1 if layer.convention == "onnx batchwise" and array.ndim == 3 else 0
        if short in layer.returned(False):
            continue
        if not name or (name in arrays and name != short):
            found[given] = array
        elif not whole:
            found[name] = array
        elif array.ndim in (2, 3) and array.shape[place] == len(parts):
            rows = zip(parts, np.moveaxis(array, place, 0), strict=True)
            found |= {"/".join(filter(None, (part, name))): row for part, row in rows}
        else:
            found[given] = array
    return found


def _names_of_states(layer: Recurrent, whole: bool) -> dict[str, str]:
    """The name that a cell has for what a run returns as ``state_h``, ``forward_c``, ``h_n`` …

    With ``whole``, where one array holds the states of all cells, the part is left out.
    """
    cells = {part: cell for part, _, cell in layer.cells()}
    if whole:
        names = list(next(iter(cells.values())).state_names)
        return {
            **dict(zip(layer.state_names, names, strict=True)),
            **{name: name for name in names},
        }
    names = [
        "/".join(filter(None, (part, state)))
        for part in framework_order(layer)
        for state in cells[part].state_names
    ]
    return dict(zip(layer.state_names, names, strict=True))


Target = tuple[int, str, int]
"""A call, a part of its layer, and which of the part's states."""


def _accepted_names(units: Sequence[Unit], clear: Sequence[Unit]) -> dict[str, Target]:
    """Every name that a state array may have: with the address, and short where that is clear."""
    names: dict[str, Target] = {}
    for unit in units:
        for part, k, state in _states_of(unit):
            target = (unit.call, part, k)
            short = "/".join(filter(None, (part, state)))
            if not part and _recurrent(unit).convention == "torch":
                names[f"{unit.name}/l0/{state}"] = target
                if unit in clear:
                    names[f"l0/{state}"] = target
            names[f"{unit.name}/{short}"] = target
            names[f"{unit.name.lstrip('/')}/{short}"] = target
            if unit.name.endswith("@0") and sum(u.layer is unit.layer for u in units) == 1:
                names[f"{unit.layer.address}/{short}"] = target
            if unit in clear:
                names[short] = target
    return names


def _states_of(unit: Unit) -> list[tuple[str, int, str]]:
    layer = _recurrent(unit)
    return [
        (part, k, state)
        for part, _, cell in layer.cells()
        for k, state in enumerate(cell.state_names)
    ]


def _recurrent(unit: Unit) -> Recurrent:
    layer = unit.layer.recurrent
    if layer is None:
        raise TypeError(f"{unit.name} is not recurrent")
    return layer


def _full_name(units: Sequence[Unit], target: Target) -> str:
    unit = next(unit for unit in units if unit.call == target[0])
    state = next(s for part, k, s in _states_of(unit) if (part, k) == target[1:])
    prefix = unit.name if len(units) > 1 else ""
    return "/".join(filter(None, (prefix, target[1], state)))


def _filled(unit: Unit, value: float, batch: int) -> Parts:
    return {
        part: tuple(np.full((batch, size), value) for size in cell.state_sizes.values())
        for part, _, cell in _recurrent(unit).cells()
    }


def _fitted(
    given: Mapping[Target, tuple[str, Array]], units: Sequence[Unit], batch: int
) -> dict[int, Parts]:
    states: dict[int, Parts] = {}
    for unit in units:
        for part, _, cell in _recurrent(unit).cells():
            arrays = []
            for k, size in enumerate(cell.state_sizes.values()):
                name, array = given[unit.call, part, k]
                expected = (batch, size)
                if array.dtype.kind not in "fiub":
                    raise InputError(
                        f"initial state '{name}': expected numbers, found {array.dtype}"
                    )
                if array.shape not in (expected, (1, size), (size,)):
                    raise ShapeError(
                        f"initial state '{name}' of layer '{unit.name}'",
                        f"{expected} (sequences, units)",
                        array.shape,
                    )
                arrays.append(np.broadcast_to(array, expected).astype(np.float64, copy=False))
            states.setdefault(unit.call, {})[part] = tuple(arrays)
    return states


def named_states(
    units: Sequence[Unit], finals: Mapping[int, Mapping[str, tuple[Array, ...]]]
) -> dict[str, Array]:
    """Final states under their names in files: ``h``, ``forward/c``, ``lstm_1/h``."""
    arrays = {}
    for unit in units:
        for part, k, state in _states_of(unit):
            prefix = unit.name.lstrip("/") if len(units) > 1 else ""
            arrays["/".join(filter(None, (prefix, part, state)))] = finals[unit.call][part][k]
    return arrays
