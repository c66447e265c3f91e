"""What ``run`` returns: the values that were asked for, by name, and what their axes are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..errors import InputError
from ..model import Array, Reference
from .branches import not_run
from .returns import Axes, axes_of, ended
from .targets import Targets, numbered
from .values import Values


class Results(NamedTuple):
    """What a run returns, in the framework's order and shapes.

    Attributes:
        arrays: by name.
        axes: by name, where they have their sequences and their steps.
        ended: names of those that follow the lengths of the sequences.
    """

    arrays: dict[str, Array]
    axes: dict[str, Axes]
    ended: frozenset[str]


def results_of(
    targets: Targets,
    values: Values,
    *,
    ends: Mapping[Reference, Axes],
    lengths: Array | None,
    batch_axis: int,
    time_major: bool,
) -> Results:
    """The values that were asked for.

    Args:
        targets: what was asked for.
        values: what was computed.
        ends: the values in which sequences end where ``lengths`` say, each with its axes.
        lengths: (B,).
        batch_axis: of three-axis values that nothing else is known of.
        time_major: whether a layer that is run directly reads (T, B, F).

    Raises:
        InputError: if a value was not computed because of an If.
    """
    layer = targets.layer
    swapped = time_major and layer is not None and layer.convention.startswith("torch")
    arrays, axes, followed = {}, {}, set()
    for name, reference, array in _named(targets, values):
        if swapped and name == "output":
            array = array.swapaxes(0, 1)
        axes[name] = _axes_of(targets, name, reference, array, batch_axis, swapped)
        if lengths is not None and reference in ends:
            if not swapped:
                axes[name] = ends[reference]
            array = ended(array, lengths, axes[name])
            followed.add(name)
        arrays[name] = array
    return Results(arrays, axes, frozenset(followed))


def _named(targets: Targets, values: Values) -> Iterator[tuple[str, Reference, Array]]:
    """The values of a run by name, each with the place it comes from."""
    references, names = targets.references, targets.names
    if not names:
        call = references[0].call
        references = [Reference(call, k) for k in range(len(values.tensors[call]))]
        names = numbered("output", len(references))
    missing = [ref for ref in references if not values.tensors[ref.call]]
    if missing or not names:
        raise not_run(targets.model, [ref.call for ref in missing or targets.references])
    for name, reference in zip(names, references, strict=True):
        tensors = values.tensors[reference.call]
        if reference.output >= len(tensors):
            raise InputError(f"output {reference.output} was asked for, there are {len(tensors)}")
        array = tensors[reference.output].array
        if targets.directions is not None and targets.layer and name in targets.layer.state_names:
            array = array[-targets.directions :]
        yield name, reference, array


def _axes_of(
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
