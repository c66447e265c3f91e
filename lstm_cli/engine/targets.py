"""What ``run`` returns: which values of which calls, their names, and what their axes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..errors import InputError, UsageError, listing
from ..model import Array, Layer, Model, Recurrent, Reference
from .graph import Values
from .returns import Axes, axes_of
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


def found_values(targets: Targets, values: Values) -> dict[str, tuple[Reference, Array]]:
    """The values of a run by name, each with the place it comes from.

    Raises:
        InputError: if a value was not computed because of an If.
    """
    references, names = targets.references, targets.names
    if not names:
        call = references[0].call
        references = [Reference(call, k) for k in range(len(values.tensors[call]))]
        names = numbered("output", len(references))
    missing = [ref for ref in references if not values.tensors[ref.call]]
    if missing or not names:
        raise not_run(targets.model, [ref.call for ref in missing or targets.references])
    found = {}
    for name, reference in zip(names, references, strict=True):
        tensors = values.tensors[reference.call]
        if reference.output >= len(tensors):
            raise InputError(f"output {reference.output} was asked for, there are {len(tensors)}")
        array = tensors[reference.output].array
        if targets.directions is not None and targets.layer and name in targets.layer.state_names:
            array = array[-targets.directions :]
        found[name] = (reference, array)
    return found


def not_run(model: Model, calls: Sequence[int]) -> InputError:
    """The error for layers in a branch that the input does not choose."""
    layers = dict.fromkeys(model.calls[call].layer.address for call in calls)
    return InputError(
        f"{listing(layers)}: not run for this input, which chooses another branch of an If"
    )


def value_axes(
    targets: Targets, name: str, reference: Reference, array: Array, default: int, swapped: bool
) -> Axes:
    """Where a returned value has its sequences and its steps.

    Args:
        targets: what was asked for.
        name: the value's name.
        reference: where it comes from.
        array: the value.
        default: the axis of sequences of three-axis values that nothing else is known of.
        swapped: whether outputs of a layer run directly are (T, B, ...).
    """
    layer = targets.model.calls[reference.call].layer.recurrent
    if targets.layer is not None:
        return axes_of(targets.layer, name, array.ndim, swapped or bool(default))
    if layer is not None and layer.convention != "keras":
        return axes_of(layer, layer.returned(True)[reference.output], array.ndim, False)
    for output in targets.model.outputs:
        if output.reference == reference and output.batch_axis is not None:
            return Axes(output.batch_axis, output.steps_axis)
    return Axes(default, 1 - default) if array.ndim > 2 else Axes(0)


def numbered(name: str, count: int) -> list[str]:
    """One name as it is, several with their numbers."""
    return [name] if count == 1 else [f"{name}_{k}" for k in range(count)]


def _chosen(given: bool | None, saved: bool) -> bool:
    return saved if given is None else given
