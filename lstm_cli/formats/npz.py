"""Reader of weights in a plain ``.npz``: arrays under names that somebody chose.

Read are the export of ``lstm weights``, Keras's names, PyTorch's names, and ``W U b`` or
``W_i U_i b_i`` of each gate. What the names do not say is asked for or assumed, with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from ..errors import ShapeError, UsageError, listing
from ..model import Activation, Layer, Model, Unsupported
from . import gates
from .array_names import OURS, place_of
from .keras_activations import named
from .keras_era import era
from .listing import recurrent_of
from .named_cells import Cells, NamedCell, levels_of
from .npz_file import Member, members
from .options import Options, ordered
from .reading import NotComputed, Problem, parse_json
from .state_dict import layers_of_tensors, recurrent_addresses

FORMAT = "NumPy archive (.npz)"
NO_GRAPH = "the file holds weights alone"
OF_TRACES = {
    *("h", "c", "i", "f", "g", "o", "z_i", "z_f", "z_g", "z_o", "output", "mask", "lengths", "x"),
    *("initial_h", "initial_c", "final_h", "final_c", "meta"),
}


def read(path: Path, options: Options) -> Model:
    """The LSTM layers of an archive.

    Raises:
        Problem: if it is damaged, or holds no weights of an LSTM.
        UsageError: if nothing says the order of the gates.
    """
    if options.architecture is not None:
        raise UsageError(f"{path} is an .npz of arrays, which --architecture does not go with")
    found = members(path)
    meta = _meta(found)
    arrays = {name: member for name, member in found.items() if member.is_real}
    if recurrent_addresses(arrays):
        layers, notes = layers_of_tensors(arrays)
        return _model(path, layers, notes, "unknown; arrays named as by PyTorch")
    groups, others = _groups(arrays)
    if not any("recurrent_kernel" in {*cell.stacked, *cell.apart} for cell in _all(groups)):
        raise Problem(_nothing(found))
    _set_order(path, _all(groups), options)
    notes = [] if options.gate_order is None else [ordered(options.gate_order)]
    layers = [_layer(address, cells, meta, notes) for address, cells in groups.items()]
    layers += [_other(name, member) for name, member in others.items() if name not in OF_TRACES]
    ours = meta.get("written_by")
    writer = f"lstm-cli, from a model of {ours}" if ours else "unknown; arrays named by hand"
    return _model(path, layers, notes, writer)


def _model(path: Path, layers: Sequence[Layer], notes: Sequence[str], writer: str) -> Model:
    return Model(
        path=str(path),
        format=FORMAT,
        written_by=writer,
        layers=tuple(layers),
        assumptions=tuple(dict.fromkeys(notes)),
        no_graph=NO_GRAPH,
    )


# -- which array belongs where


def _groups(arrays: Mapping[str, Member]) -> tuple[dict[str, Cells], dict[str, Member]]:
    """The cells of each layer, and the arrays that are nobody's."""
    groups: dict[str, Cells] = {}
    others: dict[str, Member] = {}
    for name, member in arrays.items():
        place = place_of(name)
        if place is None:
            others[name] = member
            continue
        cells = groups.setdefault(place.address, {})
        key = (place.level or 0, place.side, place.cell)
        cells.setdefault(key, NamedCell()).add(place, member)
    return groups, others


def _all(groups: Mapping[str, Cells]) -> list[NamedCell]:
    return [cell for cells in groups.values() for cell in cells.values()]


def _set_order(path: Path, cells: Sequence[NamedCell], options: Options) -> None:
    """Tell each cell the order of the gates in its stacked arrays.

    Raises:
        UsageError: if neither names nor the caller say it, or both do.
    """
    unknown = [member.name for cell in cells if cell.needs_order for member in cell.members]
    if options.gate_order is None and unknown:
        raise UsageError(
            f"{path}: nothing says in which order the gates of {listing(unknown, 3)} are; add "
            "--gate-order with i f c o in their order: ifco (Keras, PyTorch), iofc (ONNX), icfo "
            "(Keras 1, TensorFlow's own cells) or another"
        )
    if options.gate_order is None:
        return
    try:
        order = gates.gate_order(options.gate_order)
    except Problem as problem:
        raise UsageError(f"--gate-order: {problem}") from problem
    if not unknown and not options.override:
        raise UsageError(
            f"{path} says by the names of its arrays in which order its gates are; add --override "
            "to use yours instead"
        )
    for cell in cells:
        if cell.needs_order or options.override:
            cell.order = order


def _meta(found: Mapping[str, Member]) -> dict[str, Any]:
    """What our own exports say about themselves."""
    if "meta" not in found or found["meta"].type.kind != "U":
        return {}
    try:
        document = parse_json(found["meta"].text(), "'meta'")
    except Problem:
        return {}
    return document if isinstance(document, dict) else {}


def _nothing(found: Mapping[str, Member]) -> str:
    """Why an archive without weights is not read."""
    ends = {name.rpartition("/")[2] for name in found}
    if ends & {"h", "c", "final_h", "output"} and ends <= OF_TRACES:
        return (
            "it holds states or gates of a run, not weights; name the model that they come from, "
            "and give states as --initial-state"
        )
    kinds = {member.type.kind for member in found.values()}
    if not kinds & {"f"}:
        return f"it holds no floating-point arrays; its arrays are: {listing(found)}"
    return (
        "no names of weights are among its arrays, such as kernel and recurrent_kernel, W and U, "
        f"or weight_ih_l0; its arrays are: {listing(found)}"
    )


# -- layers


def _layer(address: str, cells: Cells, meta: Mapping[str, Any], notes: list[str]) -> Layer:
    count = sum(prod(member.shape) for cell in cells.values() for member in cell.members)
    try:
        beyond = meta.get("additions")
        if isinstance(beyond, list) and beyond:
            raise NotComputed(
                f"its cells have {listing(map(str, beyond))}, which an export of weights does not "
                "bring back; open the model that it came from"
            )
        settings = _settings(address, meta, notes)
        levels = levels_of(address, cells, settings)
    except (NotComputed, Problem, ShapeError) as reason:
        return Layer(address, "unknown", Unsupported(str(reason)), parameters=count)
    stack = any(level for level, _, _ in cells) or len(levels) > 1
    if "additions" not in meta and any(set(cell.stacked) & OURS for cell in cells.values()):
        notes.append(f"{address}: no clips and no coupled gates, as the file does not say")
    kind, recurrent = recurrent_of(levels, "torch" if stack else "keras")
    if meta.get("direction") == "backward" and len(recurrent.directions) == 1:
        backward = replace(recurrent.directions[0], go_backwards=True)
        recurrent = replace(recurrent, directions=(backward,))
    elif meta.get("direction") != "forward" or len(levels[0]) == 2:
        told = "both directions concatenated" if len(levels[0]) == 2 else "read forward"
        notes.append(f"{address}: {told}, as nothing says otherwise")
    wide = any(member.type.itemsize == 8 for cell in cells.values() for member in cell.members)
    dtype = "float64" if wide else "float32"
    return Layer(address, kind, recurrent, dtype=dtype, parameters=count)


def _settings(
    address: str, meta: Mapping[str, Any], notes: list[str]
) -> tuple[Activation, Activation]:
    """The activations of g and c, and of the gates: as our exports say, else the usual ones."""
    found = []
    said = "the usual one, as the file does not say"
    for key, usual in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        text = meta.get(key)
        if isinstance(text, str):
            found.append(_activation(text))
        else:
            notes.append(f"{address}: {key.replace('_', ' ')} {usual}, {said}")
            found.append(Activation(usual))
    return found[0], found[1]


def _activation(text: str) -> Activation:
    """An activation as our exports write it: ``relu``, ``hard_sigmoid (0.2x + 0.5)``."""
    variants = {str(Activation("hard_sigmoid", slope, 0.5)): slope for slope in (0.2, 1 / 6)}
    if text in variants:
        return Activation("hard_sigmoid", variants[text], 0.5)
    if not text.isidentifier():
        raise NotComputed(f"its activation '{text}' is not read back from a file")
    return named(text, era("3.0.0"))


def _other(name: str, member: Member) -> Layer:
    reason = f"the file does not say what its array of shape {member.shape} is for"
    return Layer(name, "unknown", Unsupported(reason), parameters=prod(member.shape))
