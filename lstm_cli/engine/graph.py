"""Computing a model: which calls are needed, and their values in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import InputError, LstmCliError, ShapeError, UnsupportedFeatureError
from ..model import (
    Argument,
    Array,
    Call,
    Constant,
    Layer,
    Model,
    Operation,
    Recurrent,
    Reference,
    Unsupported,
)
from .layers import RULES
from .recurrent import LayerResult, LayerRunner
from .tensor import Tensor

GROUPS = {"group", "time_distributed_model"}


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
    mask = () if call.mask is None else (call.mask,)
    given: tuple[Argument, ...] = (*call.arguments, *call.initial_state, *mask)
    return [argument for argument in given if isinstance(argument, Reference)]


def refuse_unsupported(model: Model, needed: Iterable[int], wanted: str) -> None:
    """Raise an error that names everything among the needed calls that we do not compute."""
    layers = {id(model.calls[k].layer): model.calls[k].layer for k in needed}
    blocking = [layer for layer in layers.values() if _reason(layer)]
    if not blocking:
        return
    listed = "; ".join(f"'{layer.address}' ({layer.kind}): {_reason(layer)}" for layer in blocking)
    direct = any(not layer.recurrent for layer in blocking) and wanted != "the model's output"
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
        inputs, masks: per traced recurrent call, the (B, T, F) it received and the mask it used.
        mask_used: whether the request's mask applied to any layer.
    """

    tensors: dict[int, list[Tensor]] = field(default_factory=dict)
    layers: dict[int, LayerResult] = field(default_factory=dict)
    inputs: dict[int, Array] = field(default_factory=dict)
    masks: dict[int, Array | None] = field(default_factory=dict)
    mask_used: bool = False


class Executor:
    """A model's needed calls, prepared for one dtype.

    Args:
        model: the model.
        needed: the calls, in order.
        dtype: computes everything in it; None for each layer's own.
    """

    def __init__(self, model: Model, needed: Sequence[int], dtype: str | None) -> None:
        self.model, self.needed, self.dtype = model, needed, dtype
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
            wanted: the calls whose outputs to return.
        """
        found = Values()
        live: dict[int, list[Tensor]] = {k: [tensor] for k, tensor in inputs.items()}
        for number in self.needed:
            if number not in live:
                live[number] = self._call(number, live, request, found)
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
        tensors = [value_of(argument, live) for argument in call.arguments]
        try:
            with np.errstate(all="ignore"):  # NaN and overflow are results, as in the framework
                if call.layer.recurrent is not None:
                    return self._recurrent(number, tensors, live, request, found)
                return self._plain(call, tensors, live)
        except ShapeError as error:
            name = f"layer '{call.layer.address}' ({call.layer.kind})"
            raise ShapeError(f"{name}: {error.name}", error.expected, error.found) from error
        except LstmCliError as error:
            name = f"layer '{call.layer.address}' ({call.layer.kind})"
            raise type(error)(f"{name}: {error}") from error
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

    def _plain(
        self, call: Call, tensors: list[Tensor], live: Mapping[int, list[Tensor]]
    ) -> list[Tensor]:
        operation = call.layer.operation
        if not isinstance(operation, Operation):
            raise TypeError(f"{call.layer.address} was not refused")
        if operation.name == "group":
            return tensors
        if operation.name == "time_distributed_model":
            mask = _wrapper_mask(call.layer, tensors[0].mask, tensors[1].mask)
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
        folded = [
            tensor if isinstance(argument, Constant) else _folded(tensor, layer)
            for argument, tensor in zip(call.arguments, tensors, strict=True)
        ]
        results = _computed(operation, folded)
        return [_unfolded(result, layer, outer) for result in results]

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
        tensor = _folded(_time_first(outer) if recurrent.time_major else outer, layer)
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
        result = runner.run(
            x,
            states,
            mask=mask,
            lengths=request.lengths,
            keep=request.keep.get(number, ()),
            sequences=recurrent.return_sequences or number in request.sequences,
            seen=request.seen.get(number),
        )
        found.layers[number] = result
        if number in request.keep:
            found.inputs[number], found.masks[number] = x, mask
        outputs = result.sequences if recurrent.return_sequences else result.last
        handed_on = mask if call.mask_handed_on and call.mask is not None else tensor.mask
        passed = handed_on if recurrent.return_sequences else None
        results = [Tensor(output, passed) for output in outputs]
        if layer.distributed:
            results = [_unfolded(result, layer, outer) for result in results]
        if recurrent.time_major and recurrent.return_sequences:
            results = [_time_first(result) for result in results]
        if recurrent.return_state:
            results += [Tensor(state) for state in ordered_states(recurrent, result.final)]
        return results

    def _mask(
        self, call: Call, implicit: Array | None, live: Mapping[int, list[Tensor]]
    ) -> Array | None:
        """The mask that the graph gives a recurrent layer."""
        recurrent = call.layer.recurrent
        if call.mask is not None:
            mask = Tensor(value_of(call.mask, live).array.astype(bool))
            return _folded(mask, call.layer).array
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
            wanted = sum(len(state) for state in states.values())
            if len(given) != wanted:
                raise InputError(f"expected {wanted} initial states, found {len(given)}")
            states = _named_states(runner.layer, states, given)
        for part, state in request.states.get(number, {}).items():
            states[part] = tuple(array.astype(runner.dtype, copy=False) for array in state)
        return states


def _named_states(
    layer: Recurrent, zeros: Mapping[str, tuple[Array, ...]], given: Sequence[Array]
) -> dict[str, tuple[Array, ...]]:
    """States in the framework's order, by part, each broadcast to (B, U)."""
    states, position = {}, 0
    for part in framework_order(layer):
        taken = given[position : position + len(zeros[part])]
        position += len(zeros[part])
        states[part] = tuple(
            np.broadcast_to(value.astype(zero.dtype, copy=False), zero.shape)
            for value, zero in zip(taken, zeros[part], strict=True)
        )
    return states


def framework_order(layer: Recurrent) -> list[str]:
    """Part names in the order in which the framework passes their states."""
    names: list[str] = []
    for direction in layer.directions:
        parts = [name for name, owner, _ in layer.cells() if owner is direction]
        names += reversed(parts) if layer.reverse_state_order else parts
    return names


def ordered_states(layer: Recurrent, states: Mapping[str, tuple[Array, ...]]) -> list[Array]:
    """All states in the framework's order."""
    return [array for part in framework_order(layer) for array in states[part]]


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


def _time_first(tensor: Tensor) -> Tensor:
    """Swap the first two axes: (T, B, …) ↔ (B, T, …)."""
    mask = None if tensor.mask is None else tensor.mask.swapaxes(0, 1)
    return Tensor(tensor.array.swapaxes(0, 1), mask)


def _folded(tensor: Tensor, layer: Layer) -> Tensor:
    """The axes that a TimeDistributed goes along, folded into the first: (B, N, …) → (B·N, …)."""
    depth = layer.distributed
    if not depth:
        return tensor
    shape = tensor.array.shape
    if len(shape) <= depth + 1:
        raise ShapeError("input", f"at least {depth + 2} axes", shape)
    rows = int(np.prod(shape[: depth + 1]))
    mask = None if layer.wrapper_mask == "unread" else tensor.mask
    if mask is not None:
        mask = mask.reshape(rows, *mask.shape[depth + 1 :]) if mask.ndim > depth + 1 else None
    return Tensor(tensor.array.reshape(rows, *shape[depth + 1 :]), mask)


def _unfolded(result: Tensor, layer: Layer, outer: Tensor) -> Tensor:
    """The reverse of ``_folded``, with the mask that TimeDistributed hands on."""
    leading = outer.array.shape[: layer.distributed + 1]
    inner = None if result.mask is None else result.mask.reshape(*leading, *result.mask.shape[1:])
    array = result.array.reshape(*leading, *result.array.shape[1:])
    return Tensor(array, _wrapper_mask(layer, inner, outer.mask))


def _wrapper_mask(layer: Layer, inner: Array | None, outer: Array | None) -> Array | None:
    """The inner layer's mask; without one the wrapper's own, a step real if any of it was.

    Keras 3, and Keras before 2.2, hand on the wrapper's own as it is.
    """
    if layer.wrapper_mask in ("passed", "unread"):
        return outer
    if inner is not None or outer is None or not layer.wrapper_mask:
        return inner
    return np.asarray(outer.any(axis=tuple(range(layer.distributed + 1, outer.ndim))))
