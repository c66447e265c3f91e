"""The calls of an ONNX model while they are put together, and what is known of their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..model import Argument, Call, Constant, Layer, Operation, Reference
from .onnx_folding import Folder
from .onnx_steps import Scope, Step, Value
from .reading import Problem


class Calls:
    """Calls in their order, and where each value of the file comes from.

    Attributes:
        layers, calls: those of the model.
        places: what stands for a value that a call makes.
        ranks: how many axes a value has, where that is known.
        types: the number of the type that the file has for a value; 0 for what a library returns.
    """

    def __init__(self, folder: Folder) -> None:
        self.layers: list[Layer] = []
        self.calls: list[Call] = []
        self.places: dict[Value, Argument] = {}
        self.ranks: dict[Value, int | None] = {}
        self.types: dict[Value, int] = {}
        self._folder = folder
        self._counts: Counter[Layer] = Counter()

    def add(
        self,
        layer: Layer,
        arguments: Sequence[Argument] = (),
        results: int = 1,
        states: Sequence[Argument] = (),
        lengths: Argument | None = None,
        scope: Scope | None = None,
    ) -> list[Reference]:
        """Add a call; the values it returns."""
        index = self._counts[layer]
        self._counts[layer] += 1
        if not index:
            self.layers.append(layer)
        call = Call(
            layer,
            index,
            tuple(arguments),
            tuple(states),
            lengths=lengths,
            condition=self._condition(scope),
        )
        self.calls.append(call)
        return [Reference(len(self.calls) - 1, k) for k in range(results)]

    def _condition(self, scope: Scope | None) -> tuple[Reference, bool] | None:
        if scope is None or scope.condition is None:
            return None
        value, truth = scope.condition
        place = self.argument(value)
        if not isinstance(place, Reference):
            raise Problem(f"the condition '{value.name}' is no number")
        return place, truth

    def argument(self, value: Value) -> Argument:
        """What stands for a value in a call.

        Raises:
            NotComputed: if no call makes it, and it is no constant that is read.
        """
        if value in self.places:
            return self.places[value]
        return Constant(self._folder.folded(value, f"'{value.name}'").array)

    def constant(self, name: str, value: Constant) -> Reference:
        """A call that gives a constant, where no argument can stand for it."""
        dtype = value.value.dtype.name if value.value.dtype.kind == "f" else ""
        layer = Layer(name, "Constant", Operation("op_identity"), dtype=dtype)
        return self.add(layer, (value,))[0]

    def keep(self, step: Step, places: Sequence[Argument]) -> None:
        """Remember where the outputs of a step come from."""
        for output, place in zip(step.outputs, places, strict=False):
            if output is not None:
                self.places[output] = place

    def learn(self, value: Value | None, rank: int | None, kind: int) -> None:
        """Remember what is known of a value."""
        if value is not None:
            self.ranks[value], self.types[value] = rank, kind
