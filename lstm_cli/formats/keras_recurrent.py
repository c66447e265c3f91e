"""Keras recurrent layers of every dress as one ``Recurrent``.

LSTM, CuDNNLSTM, GRU, CuDNNGRU, SimpleRNN, RNN of one cell or of stacked cells, and Bidirectional
around any of them. Source: ``keras/layers/recurrent.py`` and ``wrappers.py`` of Keras 1.2 to 2.3,
``keras/layers/rnn`` of tf.keras and Keras 3; the masking rules were checked on files of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..model import (
    Array,
    Cell,
    Direction,
    GruCell,
    LstmCell,
    MaskedOutput,
    MergeMode,
    Recurrent,
    SimpleRnnCell,
    Unsupported,
)
from . import gates
from .keras_activations import parse_activation
from .keras_config import CELLS, RECURRENT, LayerConfig
from .keras_era import Era
from .reading import NotComputed, Problem

MERGE_MODES: dict[str, MergeMode] = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "ave"}


def cell_configs(layer: LayerConfig) -> list[LayerConfig]:
    """The configs that hold weights, in the order in which Keras lists the weights."""
    if layer.class_name in RECURRENT or layer.class_name in CELLS:
        return [layer]
    return [cell for inner in layer.sublayers for cell in cell_configs(inner)]


def is_recurrent(layer: LayerConfig) -> bool:
    """Whether the layer is made of cells that we know, whatever wraps them."""
    if layer.class_name in RECURRENT:
        return True
    if layer.class_name in ("RNN", "StackedRNNCells", "Bidirectional"):
        return bool(layer.sublayers) and all(
            is_recurrent(inner) or inner.class_name in CELLS for inner in layer.sublayers
        )
    return False


def build_recurrent(
    layer: LayerConfig, arrays: list[list[Array]], era: Era
) -> Recurrent | Unsupported:
    """The recurrent layer of a config.

    Args:
        layer: a config for which ``is_recurrent`` holds.
        arrays: the arrays of each of ``cell_configs(layer)``.
        era: the rules of the file's Keras.
    """
    weights = iter(arrays)
    try:
        if layer.class_name == "Bidirectional":
            return _bidirectional(layer, weights, era)
        direction = _direction(layer, "", weights, era)
    except NotComputed as reason:
        return Unsupported(str(reason))
    return _recurrent(layer, (direction,), None, era)


def _recurrent(
    layer: LayerConfig, directions: tuple[Direction, ...], merge: MergeMode | None, era: Era
) -> Recurrent:
    settings = layer.settings
    return Recurrent(
        directions=directions,
        merge_mode=merge,
        return_sequences=settings.boolean("return_sequences"),
        return_state=settings.boolean("return_state"),
        stateful=settings.boolean("stateful"),
        time_major=settings.boolean("time_major"),
        reverse_state_order=_reversed_states(layer, era),
        mask_beside_states=not era.is_keras3,
    )


def _bidirectional(
    layer: LayerConfig, weights: Iterator[list[Array]], era: Era
) -> Recurrent | Unsupported:
    mode = layer.settings.get("merge_mode", "concat")
    if mode is not None and (not isinstance(mode, str) or mode not in MERGE_MODES):
        raise layer.settings.fail("merge_mode", "concat, sum, mul, ave or null")
    forward, backward = layer.sublayers
    inner = forward.settings
    if inner.boolean("time_major") and era.numbers < (2, 3):
        return Unsupported("a time-major Bidirectional of TensorFlow 2.2 or older mixes sequences")
    zeros = era.bidirectional_zeros == "always" or (
        era.bidirectional_zeros == "rnn only" and forward.class_name in ("RNN", "SimpleRNN")
    )
    directions = []
    for name, config in (("forward", forward), ("backward", backward)):
        direction = _direction(config, name, weights, era)
        if zeros:
            last: MaskedOutput = "state" if era.masked_output_is_state else "previous"
            masked = _zeros(config)
            direction = replace(direction, masked_output=masked, masked_last=last)
        directions.append(direction)
    first, second = (direction.cells[-1].units for direction in directions)
    if mode in ("sum", "mul", "ave") and first != second:
        raise Problem(f"{layer.owner} merges {first} forward units with {second} backward ones")
    built = _recurrent(forward, tuple(directions), MERGE_MODES.get(mode) if mode else None, era)
    return replace(built, stateful=built.stateful or layer.settings.boolean("stateful"))


def _direction(
    layer: LayerConfig, name: str, weights: Iterator[list[Array]], era: Era
) -> Direction:
    settings = layer.settings
    rule: MaskedOutput = "previous"
    last: MaskedOutput | None = None
    if settings.boolean("zero_output_for_mask"):
        rule, last = _zeros(layer), "zeros"
    elif era.masked_output_is_state and not settings.boolean("unroll"):
        rule = "state"
    cells = tuple(_cell(config, next(weights), era) for config in cell_configs(layer))
    if not cells:
        raise Problem(f"{layer.owner} holds no cells")
    for before, after in pairwise(cells):
        if after.input_size != before.units:
            raise Problem(
                f"{layer.owner}: a cell of {before.units} units feeds one that takes "
                f"{after.input_size}"
            )
    return Direction(name, cells, settings.boolean("go_backwards"), rule, last or rule)


def _zeros(layer: LayerConfig) -> MaskedOutput:
    """Zeros at masked steps; unrolled, Keras forgets to turn the mask round with the input."""
    turned = layer.settings.boolean("go_backwards") and layer.settings.boolean("unroll")
    return "mirrored zeros" if turned else "zeros"


def _reversed_states(layer: LayerConfig, era: Era) -> bool:
    if len(cell_configs(layer)) < 2:
        return False
    stacked = next((inner for inner in layer.walk() if inner.class_name == "StackedRNNCells"), None)
    if stacked is not None and "reverse_state_order" in stacked.settings:
        return stacked.settings.boolean("reverse_state_order")
    return era.stacked_states_reversed


def _cell(config: LayerConfig, arrays: list[Array], era: Era) -> Cell:
    settings = config.settings
    for array in arrays:
        if array.dtype.kind != "f":
            raise NotComputed(f"its weights are {array.dtype}, not floating-point numbers")
    activation = parse_activation(settings.get("activation"), era, "tanh")
    if config.class_name.startswith("SimpleRNN"):
        kernel, recurrent, bias = _three(config, arrays)
        return _checked(config, SimpleRnnCell(kernel, recurrent, bias, activation))
    recurrent_activation = parse_activation(
        settings.get("recurrent_activation"), era, era.default_recurrent_activation
    )
    if "GRU" in config.class_name:
        return _gru(config, arrays, era)
    found = gates.keras_lstm(arrays, config.owner)
    if config.class_name == "CuDNNLSTM":
        activation, recurrent_activation = (
            parse_activation("tanh", era),
            parse_activation("sigmoid", era),
        )
    return _checked(config, LstmCell(*found, activation, recurrent_activation))


def _gru(config: LayerConfig, arrays: list[Array], era: Era) -> Cell:
    settings = config.settings
    if len(arrays) == 9:  # Keras 1: W, U, b for each of z, r, h
        arrays = [_joined(arrays[k::3], config) for k in range(3)]
    kernel, recurrent, bias = _three(config, arrays)
    if config.class_name == "CuDNNGRU":
        kernel, recurrent, bias = gates.cudnn_gru([kernel, recurrent, bias])  # type: ignore[list-item]
        return _checked(config, GruCell(kernel, recurrent, bias, reset_after=True))
    cell = GruCell(
        kernel,
        recurrent,
        bias,
        parse_activation(settings.get("activation"), era, "tanh"),
        parse_activation(
            settings.get("recurrent_activation"), era, era.default_recurrent_activation
        ),
        settings.boolean("reset_after"),
    )
    return _checked(config, cell)


def _joined(blocks: list[Array], config: LayerConfig) -> Array:
    if len({block.shape for block in blocks}) != 1:
        raise Problem(f"{config.owner} holds gates of different shapes")
    return np.concatenate(blocks, axis=-1)


def _three(config: LayerConfig, arrays: list[Array]) -> tuple[Array, Array, Array | None]:
    if len(arrays) not in (2, 3):
        raise Problem(f"{config.owner} should hold 2 or 3 arrays, found {len(arrays)}")
    return arrays[0], arrays[1], arrays[2] if len(arrays) == 3 else None


def _checked(config: LayerConfig, cell: Cell) -> Cell:
    """The cell, if it is as large as its config says and has a bias exactly where it says so."""
    settings = config.settings
    if settings.get("units") is not None and settings.integer("units") != cell.units:
        raise Problem(
            f"{config.owner} says {settings.integer('units')} units, its arrays have {cell.units}"
        )
    # Keras 2.0.9 to 2.1.2 wrote cells with nothing but a name: then the arrays decide.
    if settings.get("use_bias") is not None and settings.boolean("use_bias") != (
        cell.bias is not None
    ):
        raise Problem(
            f"{config.owner} says use_bias {settings['use_bias']}, its arrays say otherwise"
        )
    return cell
