"""LSTM layers of files that hold named arrays and no config, and what is assumed about them.

Structure that the names do say, such as forward and backward cells, is taken as it is; all else
(activations above all) is the writer's default, with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import NamedTuple

from ..model import (
    Activation,
    Array,
    Convention,
    Direction,
    Layer,
    LstmCell,
    Recurrent,
    Unsupported,
    parameter_count,
)
from . import gates
from .reading import Problem


class Listed(NamedTuple):
    """A layer as the names of its arrays show it.

    Attributes:
        address: what it is called.
        ways: for each direction the arrays of its cells in Keras's order: kernel, recurrent
            kernel, bias; forward and backward are two ways. Empty for a layer of another kind.
        others: shapes of the arrays of a layer of another kind.
        old: whether the names may be of TensorFlow 1, whose Keras had another default.
        reason: why the layer is not computed; ``""`` where it may be.
        kind: what it is, where the names say so.
    """

    address: str
    ways: tuple[tuple[Sequence[Array], ...], ...] = ()
    others: tuple[tuple[int, ...], ...] = ()
    old: bool = False
    reason: str = ""
    kind: str = "unknown"


SAID = "Keras's default, as the file does not say"
HARD = Activation("hard_sigmoid", 0.2, 0.5)


def layers_of(found: Sequence[Listed], tensorflow: str = "") -> tuple[list[Layer], list[str]]:
    """The layers of a file, and what was assumed about each.

    Args:
        found: the layers as the names show them.
        tensorflow: its version, where the file says it.
    """
    notes: list[str] = []
    return [_layer(each, tensorflow, notes) for each in found], notes


def _layer(found: Listed, tensorflow: str, notes: list[str]) -> Layer:
    arrays = [array for way in found.ways for cell in way for array in cell]
    count = parameter_count(*arrays) + sum(prod(shape) for shape in found.others)
    every = [*(array.shape for array in arrays), *found.others]
    shapes = ", ".join(map(str, every[:12])) + (", …" if len(every) > 12 else "")
    reason = found.reason or f"the file does not say what its arrays {shapes} are for"
    if not found.ways or found.reason or found.others:
        return Layer(found.address, found.kind, Unsupported(reason), parameters=count)
    try:
        cells = [[_cell(cell, found.address) for cell in way] for way in found.ways]
    except Problem:
        return Layer(found.address, "unknown", Unsupported(reason), parameters=count)
    for way in cells:
        sizes = [(cell.input_size, cell.units) for cell in way]
        if any(before[1] != after[0] for before, after in pairwise(sizes)):
            fault = Unsupported(f"its {len(way)} cells of sizes {sizes} do not fit together")
            return Layer(found.address, "unknown", fault, parameters=count)
    dtype = "float64" if cells[0][0].kernel.dtype.itemsize == 8 else "float32"
    gate, why = _gate_activation(found, cells[0][0].units, tensorflow)
    cells = [[replace(cell, recurrent_activation=gate) for cell in way] for way in cells]
    notes.append(f"{found.address}: recurrent activation {gate}, {why}")
    kind, operation = _arranged(found.address, cells, notes)
    return Layer(found.address, kind, operation, dtype=dtype, parameters=count)


def _cell(arrays: Sequence[Array], owner: str) -> LstmCell:
    if any(array.dtype.kind != "f" for array in arrays):
        raise Problem(f"{owner} should hold floating-point numbers")
    if len(arrays) not in (2, 3) or (len(arrays) == 3 and arrays[2].ndim != 1):
        raise Problem(f"{owner} should hold two or three arrays")
    return LstmCell(*gates.keras_lstm(arrays, owner))


def _gate_activation(found: Listed, units: int, tensorflow: str) -> tuple[Activation, str]:
    """The activation of the gates, and why it is assumed."""
    first = found.ways[0][0]
    if len(first) == 3 and first[2].shape == (8 * units,):
        return Activation("sigmoid"), "because its bias is 8 times its units long, as CuDNN has it"
    if found.old and tensorflow.startswith("1."):
        return HARD, f"the default of tf.keras in TensorFlow {tensorflow}, as the file does not say"
    doubt = "; tf.keras of TensorFlow 1 used hard_sigmoid" if found.old else ""
    return Activation("sigmoid"), SAID + doubt


def _arranged(address: str, cells: list[list[LstmCell]], notes: list[str]) -> tuple[str, Recurrent]:
    """A layer of one direction or two, with the sentences that say what is assumed."""
    notes.append(f"{address}: activation tanh, {SAID}")
    if len(cells) == 2:
        notes.append(f"{address}: both directions concatenated, {SAID}")
    else:
        notes.append(f"{address}: read forward, as nothing says otherwise")
    return recurrent_of([cells])


def recurrent_of(
    levels: Sequence[Sequence[Sequence[LstmCell]]], convention: Convention = "keras"
) -> tuple[str, Recurrent]:
    """A layer's kind and operation.

    Args:
        levels: of a stack, lowest first; each of one direction or two, each of some cells.
        convention: what it returns.
    """
    built = []
    for ways in levels:
        names = ("forward", "backward") if len(ways) == 2 else ("",)
        pairs = zip(names, ways, strict=True)
        built.append(tuple(Direction(name, tuple(way), name == "backward") for name, way in pairs))
    single = all(len(way) == 1 for ways in levels for way in ways)
    kind = "LSTM" if single else "RNN(LSTMCell)"
    two = len(levels[0]) == 2
    recurrent = Recurrent(
        built[0],
        "concat" if two else None,
        return_sequences=True,
        above=tuple(built[1:]),
        convention=convention,
    )
    return f"Bidirectional({kind})" if two else kind, recurrent
