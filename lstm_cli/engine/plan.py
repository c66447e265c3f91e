"""Preparing a run: which calls it needs, and whether it can go in blocks of steps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ..errors import InputError, LstmCliError
from ..model import Array, Call, Foreign, Input, Model, Operation, Output, Recurrent, Reference
from .foreign import Evaluators
from .graph import GROUPS, Executor, Request, needed_calls, references, refuse_unsupported
from .layers import RULES
from .selection import Unit, units_of
from .tensor import Tensor

OPEN_AXIS, OTHER_LENGTH = 977, 2003
"""Stand for an axis of any length while shapes are found out; primes no layer would produce."""
LARGEST_PROBE, LARGEST_ARRAY = 2**24, 2**48
"""Numbers that an input may hold while shapes are found out, and one sequence of any input."""


class Prepared(NamedTuple):
    """A run that can start.

    Attributes:
        model: the model.
        needed: its calls, in order.
        inputs: the model's inputs that they need.
        recurrent: the recurrent calls among them.
        executor: computes them.
    """

    model: Model
    needed: list[int]
    inputs: list[Input]
    recurrent: list[Unit]
    executor: Executor


def prepare(
    model: Model,
    targets: Sequence[int],
    wanted: str,
    dtype: str | None,
    evaluators: Evaluators = MappingProxyType({}),
) -> Prepared:
    """A run of everything that ``targets`` depend on.

    Raises:
        UnsupportedFeatureError: naming all of it that is not computed; ``wanted`` says for what.
    """
    needed = needed_calls(model, targets)
    refuse_unsupported(model, needed, wanted)
    inputs = [entry for entry in model.inputs if entry.call in needed]
    recurrent = [unit for unit in recurrent_units(model) if unit.call in needed]
    return Prepared(model, needed, inputs, recurrent, Executor(model, needed, dtype, evaluators))


def recurrent_units(model: Model) -> list[Unit]:
    """Every call of every recurrent layer."""
    layers = [layer for layer in model.layers if layer.recurrent is not None]
    return [unit for layer in layers for unit in units_of(model, layer)]


def recurrent_of(unit: Unit) -> Recurrent:
    """The recurrent layer of a unit that has one."""
    if unit.layer.recurrent is None:
        raise TypeError(f"{unit.name} is not recurrent")
    return unit.layer.recurrent


def time_mixing(model: Model, targets: Iterable[int]) -> list[str]:
    """Why layers on the way to ``targets`` need the whole sequence at once; empty if none does."""
    needed = needed_calls(model, targets)
    if unknown := _foreign(model, needed) + _conditional(model, needed):
        return unknown
    ranks = argument_ranks(model, needed)
    used = {ref for number in needed for ref in references(model.calls[number])}
    reasons = []
    for number in needed:
        call = model.calls[number]
        reason = mixes_time(call, ranks[number]) or _hands_on_the_end(call, number, used)
        if reason:
            reasons.append(reason)
    return reasons


def _foreign(model: Model, needed: Iterable[int]) -> list[str]:
    """Why needed calls that a library runs may mix steps: nothing is known of what they do."""
    layers = [model.calls[number].layer for number in needed]
    reasons = [
        f"'{layer.address}' ({layer.kind}) may mix steps"
        for layer in layers
        if isinstance(layer.operation, Foreign)
    ]
    return list(dict.fromkeys(reasons))


def _conditional(model: Model, needed: Iterable[int]) -> list[str]:
    """Why needed calls may be made for some steps and not for others."""
    calls = [model.calls[number] for number in needed]
    reasons = [
        f"'{call.layer.address}' ({call.layer.kind}) is in a branch of an If, which each input "
        "decides anew"
        for call in calls
        if call.condition is not None
    ]
    return list(dict.fromkeys(reasons))


def _hands_on_the_end(call: Call, number: int, used: Collection[Reference]) -> str:
    """Why what a recurrent call hands on is there only after its last step; ``""`` if it is not."""
    recurrent = call.layer.recurrent
    outputs = [ref.output for ref in used if ref.call == number]
    if recurrent is None or not outputs:
        return ""
    if max(outputs) >= len(recurrent.returned(False)):
        return f"'{call.layer.address}' hands on its final state"
    if not recurrent.return_sequences:
        return f"'{call.layer.address}' hands on its last step alone"
    return ""


def argument_ranks(model: Model, needed: Sequence[int]) -> dict[int, list[int]]:
    """How many axes the arguments of each call have; 0 for constants, none of recurrent layers."""
    if all(model.calls[k].layer.recurrent or not model.calls[k].arguments for k in needed):
        return {number: [] for number in needed}
    shapes = _possible_shapes(model, needed)
    return {
        number: [
            len(shapes[argument.call][argument.output]) if isinstance(argument, Reference) else 0
            for argument in model.calls[number].arguments
        ]
        for number in needed
    }


def _possible_shapes(
    model: Model, needed: Sequence[int], open_axis: int = OPEN_AXIS
) -> dict[int, list[tuple[int, ...]]]:
    """Shapes of what the calls return, for some length of the open axes that fits.

    An input of open length may be merged with one of a fixed length; then they are equally long.

    Raises:
        InputError: if no length does.
    """
    try:
        return call_shapes(model, needed, open_axis)
    except InputError:
        shapes = [entry.shape for entry in model.inputs if entry.call in needed and entry.shape]
        for size in sorted({n for shape in shapes for n in shape if n is not None}):
            with suppress(InputError):
                return call_shapes(model, needed, size)
        raise


class UnevenFlow(NamedTuple):
    """How sequences of unequal length go through a graph.

    Attributes:
        aligned: the outputs whose steps are those of the input, so that each sequence's own end
            is known in them.
        reasons: why calls would take the filling behind a sequence's end for steps of it.
    """

    aligned: frozenset[Reference]
    reasons: tuple[str, ...]


def uneven_flow(model: Model, targets: Iterable[int], inputs: Collection[int]) -> UnevenFlow:
    """Follow the steps of ``inputs``, by their calls, through all that ``targets`` depend on."""
    needed = needed_calls(model, targets)
    if unknown := _foreign(model, needed) + _conditional(model, needed):
        return UnevenFlow(frozenset(), tuple(unknown))
    ranks = argument_ranks(model, needed)
    aligned = {Reference(number) for number in inputs}
    reasons = []
    for number in needed:
        call = model.calls[number]
        given = [argument in aligned for argument in call.arguments]
        reason, outputs = _uneven_call(call, given, ranks[number])
        if reason:
            reasons.append(reason)
        aligned |= {Reference(number, output) for output in outputs}
    return UnevenFlow(frozenset(aligned), tuple(reasons))


def _uneven_call(
    call: Call, given: Sequence[bool], ranks: Sequence[int]
) -> tuple[str, Iterable[int]]:
    """Why a call cannot take sequences of unequal length, and its outputs that keep their steps."""
    layer, recurrent = call.layer, call.layer.recurrent
    name = f"'{layer.address}' ({layer.kind})"
    if recurrent is not None:
        if not given[0]:
            return f"{name} reads other steps than those of the sequences", ()
        if layer.distributed:
            return f"{name} has two axes of steps", ()
        outputs = range(len(recurrent.returned(False)))
        return "", outputs if recurrent.return_sequences else ()
    if isinstance(layer.operation, Operation) and layer.operation.name in GROUPS:
        return "", [k for k, each in enumerate(given) if each]
    if not any(given):
        return "", ()
    reason = mixes_time(call, ranks)
    return reason, () if reason else (0,)


def mixes_time(call: Call, ranks: Sequence[int]) -> str:
    """Why a call needs the whole sequence at once; ``""`` where each step stands for itself."""
    layer, operation = call.layer, call.layer.operation
    if not call.arguments:
        return ""  # an input
    if layer.distributed:
        twofold = isinstance(operation, Recurrent)
        return f"'{layer.address}' ({layer.kind}) has two axes of steps" if twofold else ""
    if isinstance(operation, Recurrent):
        if operation.reads_backwards:
            return f"'{layer.address}' ({layer.kind}) reads backwards"
        time_major = operation.time_major and operation.convention == "keras"
        return f"'{layer.address}' is time-major" if time_major else ""
    if isinstance(operation, Operation):
        if operation.name in GROUPS:
            return ""
        merged = replace(operation, settings={**operation.settings, **call.settings})
        if not RULES[operation.name].stepwise(merged, ranks):
            return f"'{layer.address}' ({layer.kind}) mixes steps"
    return ""


def call_shapes(
    model: Model, needed: Sequence[int], open_axis: int = OPEN_AXIS
) -> dict[int, list[tuple[int, ...]]]:
    """Shapes of what the calls return, found by running them on no sequences at all.

    Axes of any length are ``open_axis`` long in it.

    Raises:
        InputError: if a layer does not take that length, or an input would be too large.
    """
    executor = Executor(model, needed, None)
    inputs = {
        entry.call: Tensor(empty_input(entry, open_axis))
        for entry in model.inputs
        if entry.call in needed
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of no sequences is of no interest
        values = executor.run(inputs, Request(), needed)
    return {number: [t.array.shape for t in tensors] for number, tensors in values.tensors.items()}


def empty_input(entry: Input, open_axis: int = OPEN_AXIS) -> Array:
    """No sequences of an input's declared shape.

    Raises:
        InputError: if it would be large, for it has no axis of sequences, or larger than any array.
    """
    shape = entry.shape or (None, None, None)
    sizes = [open_axis if size is None else size for size in shape]
    if entry.batch_axis is not None:
        sizes[entry.batch_axis] = 0
    if math.prod(sizes) > LARGEST_PROBE or math.prod(size or 1 for size in sizes) > LARGEST_ARRAY:
        raise InputError(f"input '{entry.name}': its shape {shape} says too little")
    return np.zeros(sizes, np.int64 if "int" in entry.dtype else np.float32)


def with_output_shapes(model: Model) -> Model:
    """The model with the shapes of its outputs, as far as they can be computed."""
    outputs = [
        output if output.shape is not None else replace(output, shape=_output_shape(model, output))
        for output in model.outputs
    ]
    return replace(model, outputs=tuple(outputs))


def _output_shape(model: Model, output: Output) -> tuple[int | None, ...] | None:
    """The shape of an output, None for axes that differ with the input's; None if unknown."""
    needed = needed_calls(model, [output.reference.call])
    if _foreign(model, needed):
        return None
    try:
        refuse_unsupported(model, needed, output.name)
        probes = [_possible_shapes(model, needed, size) for size in (OPEN_AXIS, OTHER_LENGTH)]
    except LstmCliError:  # a run will say why
        return None
    returned = [probe[output.reference.call] for probe in probes]
    if output.reference.output >= min(map(len, returned)):  # a split into fewer parts, an If
        return None
    one, other = (shapes[output.reference.output] for shapes in returned)
    if len(one) != len(other):
        return None
    return tuple(n if n and n == m else None for n, m in zip(one, other, strict=True))
