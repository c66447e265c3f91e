"""The Dense layer that reads h behind an LSTM: found in the graph, with its weights on each cell.

Letters: P size of a cell's hidden state, K outputs of the Dense layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, NoSuchNameError, UsageError, listing
from ..model import Activation, Array, Choice, Direction, Model, Recurrent, Reference, choose
from .readout_walk import Path, Reader, Walk

CARRIED = ("previous", "state")
"""What a masked step puts out where that is h as it was before."""


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """A Dense layer that reads the h of some cells: y = Σ h weights + bias, before its activation.

    Attributes:
        layer: its address.
        activation: of its outputs.
        weights: of each cell that it reads, by part name, (P, K).
        bias: (K,).
        every_step: whether the layer before it puts out every step, not the last one alone.
        zeros_if_masked: whether it reads zeros, not h, at a masked step.
    """

    layer: str
    activation: Activation
    weights: Mapping[str, Array]
    bias: Array
    every_step: bool
    zeros_if_masked: bool

    @property
    def outputs(self) -> int:
        """Their number, K."""
        return len(self.bias)


def parse_readout(text: int | str) -> tuple[str, int]:
    """``3`` or ``LAYER:3`` as the Dense layer's name, empty without one, and the output.

    Raises:
        UsageError: if it is neither.
    """
    layer, _, number = str(text).rpartition(":")
    if not number.isdecimal():
        raise UsageError(f"readout: expected an output's number, or LAYER:N, found '{text}'")
    return layer, int(number)


def find_readout(model: Model, layer: str, name: str = "") -> Readout:
    """The Dense layer that reads a recurrent layer's h, with nothing between that is not linear.

    Args:
        model: with a graph.
        layer: address of the recurrent layer, or of one call of it.
        name: address of the Dense layer, or its end, where there are several.

    Raises:
        InputError: if there is none.
        UsageError: if one of several has to be chosen.
        NoSuchNameError: if there is none of that name.
    """
    if not model.has_graph:
        reason = model.no_graph or "it has no graph"
        raise InputError(f"{model.path}: no Dense layer behind '{layer}' is known: {reason}")
    chosen = choose(model, layer)
    recurrent = chosen.layer.recurrent
    if recurrent is None:
        raise InputError(f"'{layer}' is no recurrent layer")
    walk = Walk(model)
    for call in _calls(model, chosen):
        for number, output in enumerate(recurrent.output_names):
            if output != "c_n" and not output.endswith(("_c", "/c")):
                steps = recurrent.return_sequences and _is_output(output)
                walk.follow(Reference(call, number), Path(output, one_step=not steps))
    return _readout(recurrent, _chosen(walk, layer, name))


def _calls(model: Model, chosen: Choice) -> list[int]:
    calls = model.calls_of(chosen.layer)
    return [k for k in calls if chosen.call is None or model.calls[k].index == chosen.call]


def _chosen(walk: Walk, layer: str, name: str) -> Reader:
    found = {reader.address: reader for reader in walk.found}
    if name:
        fitting = [a for a in found if a == name or a.endswith((f"/{name}", f".{name}"))]
        if len(fitting) != 1:
            raise NoSuchNameError("Dense layer", name, found)
        return found[fitting[0]]
    if len(found) > 1:
        raise UsageError(
            f"several Dense layers read '{layer}'; choose one (LAYER:N): {listing(found)}"
        )
    if not found and walk.between:
        raise InputError(
            f"behind '{layer}' stands {listing(dict.fromkeys(walk.between))}, and no Dense layer "
            "that reads h as it is, so that an output is no weighted sum of it"
        )
    if not found:
        raise InputError(f"no Dense layer stands behind '{layer}'")
    return next(iter(found.values()))


def _readout(recurrent: Recurrent, reader: Reader) -> Readout:
    path, kernel = reader.path, reader.kernel
    parts, share = _read_parts(recurrent, reader)
    sizes = [size for _, size, _ in parts]
    joined = sum(sizes) if recurrent.merge_mode == "concat" or len(parts) == 1 else sizes[0]
    if len(kernel) != joined or np.size(path.scale) not in (1, joined):
        raise InputError(
            f"'{reader.address}' reads {len(kernel)} values, and one step of h has {joined}"
        )
    scaled = share * np.broadcast_to(path.scale, joined)[:, np.newaxis] * kernel
    rows = np.split(scaled, np.cumsum(sizes)[:-1]) if joined > sizes[0] else [scaled] * len(parts)
    weights = {name: own for (name, _, _), own in zip(parts, rows, strict=True)}
    every = recurrent.return_sequences and _is_output(path.output)
    rules = {way.masked_output if every else way.masked_last for _, _, way in parts}
    return Readout(
        reader.address,
        reader.activation,
        weights,
        reader.bias + np.broadcast_to(path.shift, joined) @ kernel,
        every,
        not rules <= set(CARRIED) and _is_output(path.output),
    )


def _is_output(name: str) -> bool:
    return name == "Y" or name.startswith("output")


def _read_parts(
    recurrent: Recurrent, reader: Reader
) -> tuple[list[tuple[str, int, Direction]], float]:
    """The cells whose h a Dense layer reads: part, size and direction; and a common factor."""
    output = reader.path.output
    ways = recurrent.levels[-1]
    names = [name for name, _, _ in recurrent.cells()][-sum(len(way.cells) for way in ways) :]
    parts = []
    for way in ways:
        own, names = names[: len(way.cells)], names[len(way.cells) :]
        parts.append((own[-1], way.cells[-1].hidden_size, way))
    if _is_output(output):
        if output in ("output_0", "output_1"):
            return [parts[int(output[-1])]], 1.0
        if len(parts) == 1 or (recurrent.merge_mode in ("concat", "sum", "ave")):
            return parts, 0.5 if recurrent.merge_mode == "ave" and len(parts) > 1 else 1.0
        merged = f"the two directions are merged by '{recurrent.merge_mode}'"
        raise InputError(f"{merged}, so that what '{reader.address}' reads is no sum over them")
    lone = ("state_h", "Y_h", "h_n") if len(parts) == 1 else ()
    found = [part for part in parts if output in (f"{part[0]}_h", f"{part[0]}/h", *lone)]
    if len(found) != 1:
        raise InputError(f"'{reader.address}' reads '{output}', which is no h of one cell")
    return found, 1.0
