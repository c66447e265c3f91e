"""Where the sequences and the steps of the inputs stand in what each call returns.

Letters: B sequences, T time steps, D directions, U units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ..errors import InputError
from ..model import Call, Constant, Foreign, Input, Model, Operation, Recurrent, Reference
from .dependencies import GROUPS, needed_calls
from .layers import RULES
from .layers.axis_moves import MOVES
from .layers.rule import aligned_steps, always
from .returns import Axes
from .shapes import Shape, possible_shapes, shapes_for
from .sizes import Given
from .tensor import Tensor


@dataclass(slots=True, eq=False, repr=False)
class Flow:
    """How steps go through the calls of a model.

    Attributes:
        axes: of the values whose sequences and steps are those of the inputs.
        mixing: by call, why it looks at several steps at once.
        misread: by recurrent call, that what it reads as steps are not those of the inputs.
    """

    axes: dict[Reference, Axes] = field(default_factory=dict)
    mixing: dict[int, str] = field(default_factory=dict)
    misread: dict[int, str] = field(default_factory=dict)


def follow_steps(
    model: Model, targets: Iterable[int], inputs: Mapping[int, Axes], arrays: Given = ()
) -> Flow:
    """Follow the steps of inputs through all that ``targets`` depend on.

    Args:
        model: the model.
        targets: calls.
        inputs: by the calls of those that have steps, where these stand.
        arrays: of all inputs, where they are known: what does not hold for every shape may hold
            for theirs.
    """
    needed = needed_calls(model, targets)
    if unknown := {k: reason for k in needed if (reason := _unforeseeable(model.calls[k]))}:
        return Flow(mixing=unknown)
    flow = Flow(mixing={needed[-1]: "its layers do not take sequences of every length"})
    for shapes in _shapes(model, needed, arrays):
        flow = Flow({Reference(number): axes for number, axes in inputs.items()})
        for number in needed:
            call = model.calls[number]
            if isinstance(call.layer.operation, Recurrent):
                _follow_recurrent(call, call.layer.operation, number, flow)
            elif isinstance(call.layer.operation, Operation):
                _follow_plain(call, call.layer.operation, number, flow, shapes)
        if not flow.mixing and not flow.misread:
            break
    return flow


def input_axes(inputs: Iterable[Input]) -> dict[int, Axes]:
    """The axes of all inputs that may have sequences and steps, by their calls."""
    return {
        entry.call: Axes(entry.batch_axis, 1 - entry.batch_axis)
        for entry in inputs
        if entry.batch_axis is not None and (entry.shape is None or len(entry.shape) > 1)
    }


def _unforeseeable(call: Call) -> str:
    """Why a call may mix steps: a library runs it, or some steps might do without it."""
    name = f"'{call.layer.address}' ({call.layer.kind})"
    if isinstance(call.layer.operation, Foreign):
        return f"{name} may mix steps"
    if call.condition is not None:
        return f"{name} is in a branch of an If, which each input decides anew"
    return ""


def _shapes(
    model: Model, needed: Sequence[int], arrays: Given
) -> Iterator[Mapping[int, list[Shape]]]:
    """Shapes of what the calls return, for every length if there are such, then for the arrays.

    They are of no use where all calls are recurrent.

    Raises:
        InputError: if a layer does not take what it gets of the arrays.
    """
    calls = [model.calls[number] for number in needed]
    if all(call.layer.recurrent or not call.arguments for call in calls):
        yield {}
        return
    with suppress(InputError):
        yield possible_shapes(model, needed)
    if arrays:
        yield shapes_for(model, needed, {entry.call: Tensor(array) for entry, array in arrays})


def _given(call: Call, flow: Flow) -> list[Axes | None]:
    """The axes of the arguments of a call; None for one that has no steps of the inputs."""
    return [flow.axes.get(each) if isinstance(each, Reference) else None for each in call.arguments]


def _follow_recurrent(call: Call, recurrent: Recurrent, number: int, flow: Flow) -> None:
    name = f"'{call.layer.address}' ({call.layer.kind})"
    read = Axes(1, 0) if recurrent.time_major else Axes(0, 1)
    given = _given(call, flow)[:1]
    if call.layer.distributed:
        flow.mixing[number] = f"{name} has two axes of steps"
    elif given != [read]:
        flow.misread[number] = f"{name} reads other steps than those of the sequences"
    elif recurrent.return_sequences:
        returned = Axes(2, 0) if recurrent.convention == "onnx" else read  # Y is (T, D, B, U)
        for output in range(len(recurrent.returned(False))):
            flow.axes[Reference(number, output)] = returned


def _follow_plain(
    call: Call, operation: Operation, number: int, flow: Flow, shapes: Mapping[int, list[Shape]]
) -> None:
    given = [
        flow.axes.get(each) if isinstance(each, Reference) else None for each in call.arguments
    ]
    if operation.name in GROUPS:
        found = list(given)
    elif not any(given):
        return
    else:
        taken = [
            shapes[each.call][each.output] if isinstance(each, Reference) else ()
            for each in call.arguments
        ]
        found = [_plain_axes(call, operation, given, taken, result) for result in shapes[number]]
        if None in found:
            flow.mixing[number] = f"'{call.layer.address}' ({call.layer.kind}) mixes steps"
            return
    for output, axes in enumerate(found):
        if axes is not None:
            flow.axes[Reference(number, output)] = axes


def _plain_axes(
    call: Call,
    operation: Operation,
    given: Sequence[Axes | None],
    shapes: Sequence[Shape],
    result: Shape,
) -> Axes | None:
    """Where sequences and steps stand in a result; None where steps do not stand for themselves.

    Args:
        call: of a layer without recurrence.
        operation: that of its layer.
        given: the axes of its arguments; None for one that has none.
        shapes: of its arguments; () for constants.
        result: the shape of the result.
    """
    axes, *others = dict.fromkeys(each for each in given if each is not None)
    if others:
        return None
    if call.layer.distributed:
        inside = all(axis is not None and axis <= call.layer.distributed for axis in axes)
        return axes if inside else None
    merged = replace(operation, settings={**operation.settings, **call.settings})
    if move := MOVES.get(operation.name):
        if given[0] is None:
            return None
        moved = [None if k is None else move(merged.settings, k, shapes[0], result) for k in axes]
        return None if None in moved else Axes(*moved)
    stepwise = RULES[operation.name].stepwise
    if set(axes) == {0, 1}:
        return axes if stepwise(merged, [len(shape) for shape in shapes]) else None
    alone = all(isinstance(each, Constant) for each in call.arguments[1:])
    by_element = stepwise is always or (stepwise is aligned_steps and len(result) == len(shapes[0]))
    return axes if alone and by_element else None
