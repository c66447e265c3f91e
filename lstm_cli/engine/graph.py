"""Computing a model: which calls are needed, and their values in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError, UnsupportedFeatureError
from ..model import (
    Argument,
    Array,
    Call,
    Constant,
    Foreign,
    Layer,
    Model,
    Operation,
    Reference,
    Unsupported,
)
from .distributed import folded, time_first, unfolded, wrapper_mask
from .foreign import Evaluators, evaluated
from .layers import RULES
from .recurrent import LayerResult, LayerRunner
from .returns import passed_states, returned_arrays
from .tensor import Tensor

EITHER = "either"
"""An operation that hands on the one of its arguments that is there: the branches of an If."""

GROUPS = {"group", "time_distributed_model", EITHER}


def needed_calls(model: Model, targets: Iterable[int]) -> list[int]:
    """The calls that ``targets`` depend on, and themselves, in computable order."""
    needed: set[int] = set()
    waiting = list(targets)
    while waiting:
        number = waiting.pop()
        if number in needed:
            continue
        needed.add(number)
        waiting.extend(ref.call for ref in references(model.calls[number]))
    return sorted(needed)


def references(call: Call) -> list[Reference]:
    """The values that a call takes in."""
    given = (*call.arguments, *call.initial_state, call.mask, call.lengths)
    values = [argument for argument in given if isinstance(argument, Reference)]
    return values if call.condition is None else [*values, call.condition[0]]


def refuse_unsupported(model: Model, needed: Iterable[int], wanted: str) -> None:
    """Raise an error that names everything among the needed calls that we do not compute."""
    layers = {id(model.calls[k].layer): model.calls[k].layer for k in needed}
    blocking = [layer for layer in layers.values() if _reason(layer)]
    if not blocking:
        return
    listed = "; ".join(f"'{layer.address}' ({layer.kind}): {_reason(layer)}" for layer in blocking)
    itself = ("the model's output", *(f"'{layer.address}'" for layer in blocking))
    direct = any(not layer.recurrent for layer in blocking) and wanted not in itself
    advice = "; --direct runs the layer alone, on what it receives" if direct else ""
    raise UnsupportedFeatureError(
        f"{model.path}: {wanted} depends on what is not computed here: {listed}{advice}",
        [layer.address for layer in blocking],
    )


def _reason(layer: Layer) -> str:
    """Why a layer cannot be computed; ``""`` where it can."""
    operation = layer.operation
    if isinstance(operation, Unsupported):
        return operation.reason
    if (
        isinstance(operation, Operation)
        and operation.name not in GROUPS
        and operation.name not in RULES
    ):
        return f"{layer.kind} layers are not computed"
    return ""


def unsupported_layers(model: Model) -> list[tuple[Layer, str]]:
    """The layers that cannot be computed, each with the reason."""
    return [(layer, reason) for layer in model.layers if (reason := _reason(layer))]


def blocked_layers(model: Model, layer: Layer) -> list[str]:
    """Addresses of the LSTM layers that depend on a layer that cannot be computed."""
    calls = set(model.calls_of(layer))
    return [
        other.address
        for other in model.lstm_layers
        if other is not layer and calls & set(needed_calls(model, model.calls_of(other)))
    ]


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
    states: Mapping[int, Mapping[str, tuple[Array, ...]]] = field(default_factory=dict)
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


class Executor:
    """A model's needed calls, prepared for one dtype.

    Args:
        model: the model.
        needed: the calls, in order.
        dtype: computes everything in it; None for each layer's own.
        evaluators: who runs operators that are not ours.
    """

    def __init__(
        self,
        model: Model,
        needed: Sequence[int],
        dtype: str | None,
        evaluators: Evaluators = MappingProxyType({}),
    ) -> None:
        self.model, self.needed, self.dtype = model, needed, dtype
        self._evaluators = evaluators
        self._runners: dict[int, LayerRunner] = {}
        self._operations: dict[tuple[int, str], Operation] = {}
        self._last_use = {ref.call: k for k in needed for ref in references(model.calls[k])}

    def runner(self, layer: Layer) -> LayerRunner:
        """The prepared recurrent layer."""
        if id(layer) not in self._runners:
            recurrent = layer.recurrent
            if recurrent is None:
                raise TypeError(f"{layer.address} is not recurrent")
            dtype = np.dtype(self.dtype or layer.dtype or "float32")
            self._runners[id(layer)] = LayerRunner(recurrent, dtype)
        return self._runners[id(layer)]

    def run(
        self, inputs: Mapping[int, Tensor], request: Request, wanted: Collection[int]
    ) -> Values:
        """Compute all needed calls.

        Args:
            inputs: the values of the calls that nothing feeds.
            request: what to keep on the way.
            wanted: the calls whose outputs to return; those of calls that were not made, because
                of their condition, are empty.
        """
        found = Values()
        live: dict[int, list[Tensor]] = {k: [tensor] for k, tensor in inputs.items()}
        for number in self.needed:
            if number not in live:
                made = _is_made(self.model.calls[number], live)
                live[number] = self._call(number, live, request, found) if made else []
            for ref in references(self.model.calls[number]):
                if self._last_use[ref.call] == number and ref.call not in wanted:
                    live.pop(ref.call, None)
        found.tensors = {number: live[number] for number in wanted}
        return found

    def _call(
        self,
        number: int,
        live: Mapping[int, list[Tensor]],
        request: Request,
        found: Values,
    ) -> list[Tensor]:
        call = self.model.calls[number]
        tensors = [
            value_of(argument, live)
            for argument in call.arguments
            if not _is_missing(argument, live)
        ]
        try:
            with np.errstate(all="ignore"):  # NaN and overflow are results, as in the framework
                if call.layer.recurrent is not None:
                    return self._recurrent(number, tensors, live, request, found)
                if isinstance(call.layer.operation, Foreign):
                    return self._foreign(call.layer.operation, tensors)
                return self._plain(call, tensors, live)
        except ShapeError as error:
            name = f"layer '{call.layer.address}' ({call.layer.kind})"
            raise ShapeError(f"{name}: {error.name}", error.expected, error.found) from error
        except InputError as error:
            name = f"layer '{call.layer.address}' ({call.layer.kind})"
            raise InputError(f"{name}: {error}") from error
        except UnsupportedFeatureError as error:
            name = f"layer '{call.layer.address}' ({call.layer.kind})"
            raise UnsupportedFeatureError(f"{name}: {error}", error.features) from error
        except (ValueError, IndexError, OverflowError) as error:  # NumPy's own, of unfit shapes
            shapes = " and ".join(str(tensor.array.shape) for tensor in tensors)
            raise InputError(
                f"layer '{call.layer.address}' ({call.layer.kind}) cannot take {shapes}: {error}"
            ) from error
        except MemoryError as error:
            shapes = " and ".join(str(tensor.array.shape) for tensor in tensors)
            raise InputError(
                f"layer '{call.layer.address}' ({call.layer.kind}): what it makes of {shapes} does "
                "not fit into memory; --batch-size computes fewer sequences at once"
            ) from error

    # -- layers without recurrence

    def _foreign(self, operation: Foreign, tensors: Sequence[Tensor]) -> list[Tensor]:
        arrays = [tensor.array for tensor in tensors]
        return [Tensor(array) for array in evaluated(operation, arrays, self._evaluators)]

    def _plain(
        self, call: Call, tensors: list[Tensor], live: Mapping[int, list[Tensor]]
    ) -> list[Tensor]:
        operation = call.layer.operation
        if not isinstance(operation, Operation):
            raise TypeError(f"{call.layer.address} was not refused")
        if operation.name in ("group", EITHER):
            return tensors
        if operation.name == "time_distributed_model":
            mask = wrapper_mask(call.layer, tensors[0].mask, tensors[1].mask)
            return [Tensor(tensors[0].array, mask)]
        dtype = self._target(call.layer, call.arguments, tensors)
        tensors = [_cast(tensor, dtype) for tensor in tensors]
        operation = self._prepared(call.layer, operation, dtype)
        if call.settings:
            operation = replace(operation, settings={**operation.settings, **call.settings})
        if call.mask is not None:
            given = value_of(call.mask, live).array.astype(bool)
            tensors = [Tensor(tensors[0].array, given), *tensors[1:]]
        layer = call.layer
        if not layer.distributed:
            return _computed(operation, tensors)
        outer = next(
            tensor
            for argument, tensor in zip(call.arguments, tensors, strict=True)
            if isinstance(argument, Reference)
        )
        inner = [
            tensor if isinstance(argument, Constant) else folded(tensor, layer)
            for argument, tensor in zip(call.arguments, tensors, strict=True)
        ]
        results = _computed(operation, inner)
        return [unfolded(result, layer, outer) for result in results]

    def _target(
        self, layer: Layer, arguments: Sequence[Argument], tensors: Sequence[Tensor]
    ) -> np.dtype[Any]:
        """The dtype that a layer's floating inputs are cast to."""
        name = self.dtype or layer.dtype
        if layer.dtype:
            return np.dtype(name)
        pairs = zip(arguments, tensors, strict=True)
        floats = [
            tensor.array.dtype
            for argument, tensor in pairs
            if isinstance(argument, Reference) and tensor.array.dtype.kind == "f"
        ]
        return np.result_type(*floats) if floats else np.dtype(self.dtype or "float32")

    def _prepared(self, layer: Layer, operation: Operation, dtype: np.dtype[Any]) -> Operation:
        """The operation with its floating weights in the dtype of the run."""
        key = (id(layer), dtype.name)
        if key not in self._operations:
            weights = {
                name: array.astype(dtype, copy=False) if array.dtype.kind == "f" else array
                for name, array in operation.weights.items()
            }
            self._operations[key] = replace(operation, weights=weights)
        return self._operations[key]

    # -- recurrent layers

    def _recurrent(
        self,
        number: int,
        tensors: list[Tensor],
        live: Mapping[int, list[Tensor]],
        request: Request,
        found: Values,
    ) -> list[Tensor]:
        call = self.model.calls[number]
        layer, runner = call.layer, self.runner(call.layer)
        recurrent = runner.layer
        outer = tensors[0]
        tensor = folded(time_first(outer) if recurrent.time_major else outer, layer)
        x = tensor.array
        if x.ndim != 3 or x.shape[2] != recurrent.input_size:
            raise ShapeError("input", f"(B, T, {recurrent.input_size})", outer.array.shape)
        x = x.astype(runner.dtype, copy=False)
        mask = self._mask(call, tensor.mask, live)
        if mask is not None and mask.shape != x.shape[:2]:
            raise ShapeError("mask", str(x.shape[:2]), mask.shape)
        if request.mask is not None and request.mask.shape == x.shape[:2]:
            mask = request.mask if mask is None else mask & request.mask
            found.mask_used = True
        states = self._states(number, runner, len(x), live, request)
        lengths = _lengths(call, live, request, x.shape)
        result = runner.run(
            x,
            states,
            mask=mask,
            lengths=lengths,
            keep=request.keep.get(number, ()),
            sequences=recurrent.return_sequences or number in request.sequences,
            seen=request.seen.get(number),
        )
        found.layers[number] = result
        if number in request.keep:
            found.inputs[number], found.masks[number] = x, mask
            found.lengths[number] = lengths
        outputs, returned = returned_arrays(recurrent, result)
        handed_on = mask if call.mask_handed_on and call.mask is not None else tensor.mask
        passed = handed_on if recurrent.return_sequences else None
        results = [Tensor(output, passed) for output in outputs]
        if layer.distributed:
            results = [unfolded(result, layer, outer) for result in results]
        swapped = recurrent.time_major and recurrent.return_sequences
        if swapped and recurrent.convention == "keras":
            results = [time_first(result) for result in results]
        return results + [Tensor(state) for state in returned]

    def _mask(
        self, call: Call, implicit: Array | None, live: Mapping[int, list[Tensor]]
    ) -> Array | None:
        """The mask that the graph gives a recurrent layer."""
        recurrent = call.layer.recurrent
        if call.mask is not None:
            mask = Tensor(value_of(call.mask, live).array.astype(bool))
            return folded(mask, call.layer).array
        if call.initial_state and recurrent is not None and not recurrent.mask_beside_states:
            return None
        return implicit

    def _states(
        self,
        number: int,
        runner: LayerRunner,
        batch: int,
        live: Mapping[int, list[Tensor]],
        request: Request,
    ) -> dict[str, tuple[Array, ...]]:
        """Initial states: given, else passed by the graph, else zeros."""
        call, states = self.model.calls[number], runner.zero_states(batch)
        if call.initial_state:
            given = [value_of(argument, live).array for argument in call.initial_state]
            states = passed_states(runner.layer, states, given)
        for part, state in request.states.get(number, {}).items():
            states[part] = tuple(array.astype(runner.dtype, copy=False) for array in state)
        return states


def _is_made(call: Call, live: Mapping[int, list[Tensor]]) -> bool:
    """Whether the condition of a call holds, and every value that it needs is there."""
    if call.condition is not None:
        reference, wanted = call.condition
        if _is_missing(reference, live):
            return False
        if bool(value_of(reference, live).array.all()) != wanted:
            return False
    operation = call.layer.operation
    if isinstance(operation, Operation) and operation.name == EITHER:
        return not all(_is_missing(argument, live) for argument in call.arguments)
    return not any(_is_missing(reference, live) for reference in references(call))


def _is_missing(argument: Argument, live: Mapping[int, list[Tensor]]) -> bool:
    """Whether an argument is the result of a call that was not made."""
    return isinstance(argument, Reference) and not live[argument.call]


def _lengths(
    call: Call, live: Mapping[int, list[Tensor]], request: Request, shape: tuple[int, ...]
) -> Array | None:
    """The lengths of the sequences: the caller's, within what the graph computes."""
    if call.lengths is None:
        return request.lengths
    given = value_of(call.lengths, live).array
    lengths = np.broadcast_to(given.astype(np.int64, copy=False), shape[:1])
    if (lengths < 0).any() or (lengths > shape[1]).any():
        raise InputError(
            f"sequence_lens: expected whole numbers from 0 to {shape[1]}, found {given.tolist()}"
        )
    return lengths if request.lengths is None else np.minimum(lengths, request.lengths)


def value_of(argument: Argument, live: Mapping[int, list[Tensor]]) -> Tensor:
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


def _computed(operation: Operation, tensors: Sequence[Tensor]) -> list[Tensor]:
    """What an operation returns; ``drops_mask`` says that masks end here."""
    found = RULES[operation.name].compute(operation, tensors)
    results = found if isinstance(found, list) else [found]
    if operation.settings.get("drops_mask"):
        return [Tensor(result.array) for result in results]
    return results


def _cast(tensor: Tensor, dtype: np.dtype[Any]) -> Tensor:
    if tensor.array.dtype.kind != "f" or tensor.array.dtype == dtype:
        return tensor
    return Tensor(tensor.array.astype(dtype), tensor.mask)
