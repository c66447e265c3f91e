"""What ``run`` is asked for: which values of which calls, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..errors import UsageError
from ..model import Layer, Model, Recurrent, Reference
from .selection import Unit, find_unit


class Targets(NamedTuple):
    """Values to compute and return.

    Attributes:
        model: the model, with the flags of the chosen layer as asked for.
        references: the values; of a layer without recurrence the first one alone.
        names: one for each value; none where a layer returns as many values as it does.
        layer: the recurrent layer whose values they are; None for others.
        directions: of a level of a stack, how many of the last states are its own; else None.
    """

    model: Model
    references: list[Reference]
    names: list[str]
    layer: Recurrent | None = None
    directions: int | None = None


def run_targets(
    model: Model,
    names: Sequence[str],
    direct: bool,
    return_sequences: bool | None,
    return_state: bool | None,
) -> Targets:
    """What a run of the model, or of the one layer that is chosen, returns.

    Raises:
        UsageError: if several layers are chosen, or options do not go with the choice.
    """
    asked = return_sequences is not None or return_state is not None
    if not names and not direct:
        if asked:
            raise UsageError(
                "return_sequences and return_state choose what a layer returns; name the layer"
            )
        references = [output.reference for output in model.outputs]
        return Targets(model, references, numbered("output", len(references)))
    if len(names) > 1:
        raise UsageError(f"run shows one layer at a time, {len(names)} are chosen")
    unit = find_unit(model, names[0] if names else model.layers[0].address)
    recurrent = unit.layer.recurrent
    if recurrent is None:
        if asked:
            raise UsageError(
                f"'{unit.name}' ({unit.layer.kind}) has no sequences or states to return"
            )
        return Targets(model, [Reference(unit.call)], [])
    changed = replace(
        _level(recurrent, unit),
        return_sequences=_chosen(return_sequences, recurrent.return_sequences),
        return_state=_chosen(return_state, recurrent.return_state),
    )
    if recurrent.convention != "keras" and not changed.return_sequences:
        raise UsageError(f"'{unit.name}' returns the outputs of all steps; leave the option out")
    layer = replace(unit.layer, operation=changed)
    references = [Reference(unit.call, k) for k in range(len(changed.output_names))]
    return Targets(
        _with_layer(model, unit, layer),
        references,
        list(changed.output_names),
        changed,
        len(changed.directions) if unit.part else None,
    )


def _level(recurrent: Recurrent, unit: Unit) -> Recurrent:
    """The layer up to the level that is chosen.

    Raises:
        UsageError: if another part is chosen, which returns nothing by itself.
    """
    if not unit.part:
        return recurrent
    levels = [f"l{k}" for k in range(len(recurrent.levels))]
    if recurrent.convention != "torch" or unit.part not in levels:
        raise UsageError(
            f"'{unit.name}' is a part of '{unit.layer.address}', which returns its results as a "
            f"whole: --layer {unit.layer.address}, or see the part with 'lstm states' or 'gates'"
        )
    return replace(recurrent, above=recurrent.above[: levels.index(unit.part)])


def _with_layer(model: Model, unit: Unit, layer: Layer) -> Model:
    """The model with another layer at the unit's call."""
    calls = list(model.calls)
    calls[unit.call] = replace(calls[unit.call], layer=layer)
    layers = tuple(layer if old is unit.layer else old for old in model.layers)
    return replace(model, calls=tuple(calls), layers=layers)


def numbered(name: str, count: int) -> list[str]:
    """One name as it is, several with their numbers."""
    return [name] if count == 1 else [f"{name}_{k}" for k in range(count)]


def _chosen(given: bool | None, saved: bool) -> bool:
    return saved if given is None else given
