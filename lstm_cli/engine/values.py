"""Values on their way through the calls of a model, and what a run is to keep of them.

Letters: B sequences, T time steps, F input features.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..errors import InputError
from ..model import Argument, Array, Call, Constant, Operation, Reference
from .dependencies import EITHER, references
from .recurrent import LayerResult
from .tensor import Tensor

Live = Mapping[int, list[Tensor]]
"""What calls have returned, by their numbers; nothing for a call that was not made."""

StatesByCall = Mapping[int, Mapping[str, tuple[Array, ...]]]
"""States (B, U) by call and part."""


@dataclass(slots=True, eq=False, repr=False)
class Request:
    """What a run is to compute beside the plain values.

    Attributes:
        keep: per recurrent call, the per-step tensors to return.
        sequences: recurrent calls whose outputs at every step are wanted.
        states: initial states by call and part; others come from the graph, or are zeros.
        mask: (B, T) of real steps, for every recurrent layer that reads so many steps, beside the
            graph's own.
        lengths: of the sequences, for every recurrent call; or None.
        seen: per call, which sequences have had a real step in an earlier block.
    """

    keep: Mapping[int, Collection[str]] = field(default_factory=dict)
    sequences: Collection[int] = ()
    states: StatesByCall = field(default_factory=dict)
    mask: Array | None = None
    lengths: Array | None = None
    seen: Mapping[int, Array | None] = field(default_factory=dict)


@dataclass(slots=True, eq=False, repr=False)
class Values:
    """What a run computed.

    Attributes:
        tensors: outputs of the calls whose values were asked for.
        layers: what each recurrent call did.
        inputs, masks, lengths: per traced recurrent call, the (B, T, F) it received, and the mask
            (B, T) and the lengths (B,) it used.
        mask_used: whether the request's mask applied to any layer.
    """

    tensors: dict[int, list[Tensor]] = field(default_factory=dict)
    layers: dict[int, LayerResult] = field(default_factory=dict)
    inputs: dict[int, Array] = field(default_factory=dict)
    masks: dict[int, Array | None] = field(default_factory=dict)
    lengths: dict[int, Array | None] = field(default_factory=dict)
    mask_used: bool = False

    @property
    def final_states(self) -> dict[int, dict[str, tuple[Array, ...]]]:
        """The states after the last step read, by call and part."""
        return {number: dict(result.final) for number, result in self.layers.items()}


def value_of(argument: Argument, live: Live) -> Tensor:
    """What an argument stands for, among the values of calls.

    Raises:
        InputError: if the call returned fewer values.
    """
    if isinstance(argument, Constant):
        return Tensor(argument.value)
    values = live[argument.call]
    if argument.output >= len(values):
        raise InputError(f"output {argument.output} was asked for, there are {len(values)}")
    return values[argument.output]


def is_missing(argument: Argument, live: Live) -> bool:
    """Whether an argument is the result of a call that was not made."""
    return isinstance(argument, Reference) and not live[argument.call]


def is_made(call: Call, live: Live) -> bool:
    """Whether the condition of a call holds, and every value that it needs is there."""
    if call.condition is not None:
        reference, wanted = call.condition
        if is_missing(reference, live):
            return False
        if bool(value_of(reference, live).array.all()) != wanted:
            return False
    operation = call.layer.operation
    if isinstance(operation, Operation) and operation.name == EITHER:
        return not all(is_missing(argument, live) for argument in call.arguments)
    return not any(is_missing(reference, live) for reference in references(call))
