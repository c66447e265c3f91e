"""Weights without an architecture: which of the arrays are LSTM layers, by shape and order.

Order decides, never shape alone: with one or two units a kernel can look like a recurrent kernel.
All that the arrays do not say is assumed, and every assumption is written down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..model import (
    Activation,
    Array,
    Direction,
    Layer,
    LstmCell,
    Operation,
    Recurrent,
    Unsupported,
    parameter_count,
)
from . import gates
from .keras_era import Era
from .keras_hdf5 import WeightGroup
from .keras_paths import Node
from .reading import Problem

_KERAS_1_NAME = re.compile(r"(?P<layer>.*)_(?:[WUb])(?:_[icfozrh])?(?::0)?")
_VARIABLE = re.compile(r"(kernel|recurrent_kernel|bias)(_\d+)?(:0)?")


def looks_like_lstm(arrays: Sequence[Array]) -> bool:
    """Whether arrays in this order can be those of one LSTM cell of any Keras."""
    if len(arrays) not in (2, 3, 12) or arrays[1].ndim != 2:
        return False
    if any(array.dtype.kind != "f" for array in arrays):
        return False
    try:
        found = gates.keras_lstm(arrays, "")
    except Problem:
        return False
    return found.kernel.size > 0


def layers_of_groups(groups: Sequence[WeightGroup], era: Era) -> tuple[list[Layer], list[str]]:
    """Layers of a legacy weights file, and what was assumed about each."""
    layers: list[Layer] = []
    notes: list[str] = []
    for group in groups:
        for address, arrays in _sublayers(group):
            layer = _layer(address, arrays, era, notes)
            if layer is not None:
                layers.append(layer)
    return layers, notes


def _sublayers(group: WeightGroup) -> Iterator[tuple[str, list[list[Array]]]]:
    """The layers of a group with the cells of each; several where the group is a nested model."""
    owners = [_owner(name, group.layer) for name in group.names]
    for owner in dict.fromkeys(owners):
        arrays = [a for a, o in zip(group.arrays, owners, strict=True) if o == owner]
        address = group.layer if owner in ("", group.layer) else f"{group.layer}/{owner}"
        yield address, list(_cells(arrays))


def _owner(name: str, group: str) -> str:
    """The layer inside a group that an array's name points to."""
    parts = [part for part in name.split("/")[:-1] if not _is_cell(part)]
    parts = [part for part in parts if not re.match(r"(forward|backward)_", part)]
    if parts:
        return parts[-1]
    match = _KERAS_1_NAME.fullmatch(name)
    owner = match["layer"] if match else ""
    return re.sub(r"^(forward|backward)_", "", owner) if owner else ""


def _is_cell(part: str) -> bool:
    return bool(re.fullmatch(r"(lstm|gru|simple_rnn)_cell(_\d+)?|stacked_rnn_cells(_\d+)?", part))


def _cells(arrays: list[Array]) -> Iterator[list[Array]]:
    """Arrays in the file's order cut into those of one cell each."""
    while arrays:
        size = next((n for n in (12, 3, 2) if looks_like_lstm(arrays[:n])), len(arrays))
        if size == 3 and looks_like_lstm(arrays[:2]) and not _is_bias(arrays):
            size = 2
        yield arrays[:size]
        arrays = arrays[size:]


def _is_bias(arrays: list[Array]) -> bool:
    return arrays[2].ndim == 1


def _layer(address: str, cells: list[list[Array]], era: Era, notes: list[str]) -> Layer | None:
    count = parameter_count(*(array for arrays in cells for array in arrays))
    if not count:
        return None
    if not all(looks_like_lstm(arrays) for arrays in cells):
        shapes = ", ".join(str(array.shape) for arrays in cells for array in arrays)
        reason = f"the file does not say what its arrays {shapes} are for"
        return Layer(address, "unknown", Unsupported(reason), parameters=count)
    built = [_cell(address, arrays, era, notes) for arrays in cells]
    dtype = "float64" if built[0].kernel.dtype.itemsize == 8 else "float32"
    return Layer(address, *_arranged(address, built, notes), dtype=dtype, parameters=count)


def _arranged(
    address: str, cells: list[LstmCell], notes: list[str]
) -> tuple[str, Recurrent | Operation | Unsupported]:
    """One cell as an LSTM, two alike as a Bidirectional, others as stacked cells."""
    sizes = [(cell.input_size, cell.units) for cell in cells]
    if len(cells) == 1:
        notes.append(f"{address}: read forward, as nothing says otherwise")
        return "LSTM", Recurrent((Direction("", tuple(cells)),), return_sequences=True)
    if len(cells) == 2 and sizes[0] == sizes[1]:
        notes.append(
            f"{address}: two cells of one size are taken for a Bidirectional, concatenated"
        )
        directions = (Direction("forward", (cells[0],)), Direction("backward", (cells[1],), True))
        return "Bidirectional(LSTM)", Recurrent(directions, "concat", return_sequences=True)
    if all(a[1] == b[0] for a, b in pairwise(sizes)):
        notes.append(f"{address}: {len(cells)} cells are taken for stacked cells")
        return "RNN(LSTMCell)", Recurrent((Direction("", tuple(cells)),), return_sequences=True)
    return "unknown", Unsupported(f"its {len(cells)} cells of sizes {sizes} do not fit together")


def _cell(address: str, arrays: list[Array], era: Era, notes: list[str]) -> LstmCell:
    found = gates.keras_lstm(arrays, address)
    units = found.recurrent_kernel.shape[0]
    if len(arrays) == 3 and arrays[2].shape == (8 * units,):
        name, why = "sigmoid", "its bias is 8 times its units long, as CuDNN writes it"
    elif len(arrays) == 12:
        name, why = "hard_sigmoid", "12 arrays a layer are Keras 1's form"
    elif era.version:
        name, why = era.default_recurrent_activation, f"keras_version is {era.version}"
    else:
        name, why = "sigmoid", "the file has no keras_version, and this layout is a recent one"
    recurrent = era.hard_sigmoid if name == "hard_sigmoid" else Activation("sigmoid")
    if len(arrays) == 12 and era.is_keras3:
        recurrent = Activation("hard_sigmoid", 0.2, 0.5)
    notes.append(f"{address}: recurrent activation {recurrent}, because {why}")
    notes.append(f"{address}: activation tanh, Keras's default")
    return LstmCell(*found, Activation("tanh"), recurrent)


def layers_of_tree(top: Node, era: Era) -> tuple[list[Layer], list[str]]:
    """Layers of a weights file of the path layout, and what was assumed about each."""
    notes: list[str] = []
    layers = [
        layer
        for address, cells in _walk(top, "")
        if (layer := _layer(address, cells, era, notes)) is not None
    ]
    return layers, notes


def _walk(node: Node, address: str) -> Iterator[tuple[str, list[list[Array]]]]:
    cells = _cells_of(node)
    if cells:
        yield address, cells
        return
    for key, child in node.children.items():
        inside = key in ("layers", "_layer_checkpoint_dependencies", "layer")
        name = child.name or key
        yield from _walk(child, address if inside else "/".join(filter(None, (address, name))))


def _cells_of(node: Node) -> list[list[Array]]:
    """The arrays of each cell, if the node is a layer that holds arrays itself."""
    if {"forward_layer", "backward_layer"} <= set(node.children):
        return _cells_of(node.at("forward_layer")) + _cells_of(node.at("backward_layer"))
    cell = node.at("cell")
    stacked = cell.at("cells").children
    if stacked:
        return [stacked[key].arrays for key in sorted(stacked, key=_number)]
    if cell.arrays:
        return [cell.arrays]
    return [node.arrays] if node.arrays else []


def _number(key: str) -> int:
    match = re.search(r"_(\d+)$", key)
    return int(match[1]) if match else 0
