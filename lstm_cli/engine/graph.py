"""The needed calls of a model, computed in order, each value dropped after its last use."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..errors import InputError, LstmCliError, ShapeError, UnsupportedFeatureError
from ..model import Foreign, Layer, Model
from .dependencies import references
from .foreign import Evaluators, evaluated
from .plain_calls import PlainCalls
from .recurrent_calls import RecurrentCalls
from .tensor import Tensor
from .values import Live, Request, Values, is_made, is_missing, value_of

OF_UNFIT_SHAPES = (ValueError, IndexError, OverflowError)
"""What NumPy raises by itself."""


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
        self._model, self._needed, self._evaluators = model, needed, evaluators
        self._plain, self._recurrent = PlainCalls(dtype), RecurrentCalls(dtype)
        self._last_use = {ref.call: k for k in needed for ref in references(model.calls[k])}

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
        for number in self._needed:
            if number not in live:
                made = is_made(self._model.calls[number], live)
                live[number] = self._call(number, live, request, found) if made else []
            for ref in references(self._model.calls[number]):
                if self._last_use[ref.call] == number and ref.call not in wanted:
                    live.pop(ref.call, None)
        found.tensors = {number: live[number] for number in wanted}
        return found

    def _call(self, number: int, live: Live, request: Request, found: Values) -> list[Tensor]:
        call = self._model.calls[number]
        operation = call.layer.operation
        tensors = [
            value_of(argument, live)
            for argument in call.arguments
            if not is_missing(argument, live)
        ]
        try:
            with np.errstate(all="ignore"):  # NaN and overflow are results, as in the framework
                if call.layer.recurrent is not None:
                    return self._recurrent.run(number, call, tensors[0], live, request, found)
                if isinstance(operation, Foreign):
                    arrays = [tensor.array for tensor in tensors]
                    return [Tensor(y) for y in evaluated(operation, arrays, self._evaluators)]
                return self._plain.run(call, tensors, live)
        except (InputError, UnsupportedFeatureError, *OF_UNFIT_SHAPES, MemoryError) as error:
            raise _named(error, call.layer, tensors) from error


def _named(error: Exception, layer: Layer, tensors: Sequence[Tensor]) -> LstmCliError:
    """The error of a layer, with its name."""
    name = f"layer '{layer.address}' ({layer.kind})"
    shapes = " and ".join(str(tensor.array.shape) for tensor in tensors)
    if isinstance(error, ShapeError):
        return ShapeError(f"{name}: {error.name}", error.expected, error.found, error.advice)
    if isinstance(error, UnsupportedFeatureError):
        return UnsupportedFeatureError(f"{name}: {error}", error.features)
    if isinstance(error, OF_UNFIT_SHAPES):
        return InputError(f"{name} cannot take {shapes}: {error}")
    if isinstance(error, MemoryError):
        advice = "--batch-size computes fewer sequences at once"
        return InputError(f"{name}: what it makes of {shapes} does not fit into memory; {advice}")
    return InputError(f"{name}: {error}")
