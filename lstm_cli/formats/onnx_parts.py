"""Operators around LSTMs as calls: of the engine where it has them all, else of a library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from math import prod

from ..model import Constant, Foreign, Layer, parameter_count
from .onnx_calls import Calls
from .onnx_folding import Folder
from .onnx_names import segment_name
from .onnx_native import natives
from .onnx_programs import FIRST_CAST, GIVEN, program
from .onnx_proto import File
from .onnx_rules import Native
from .onnx_segments import Segment
from .onnx_steps import Step, Value

WEIGHTS = (1, 2, 3, 10, 11, 16)
"""Types of tensors that hold weights, whole numbers of 8 bits among them."""
CAST = (1, 9, 10, 11, 16)
"""Types that a value may have lost on its way: the engine computes in float32 or float64."""


class Parts:
    """Adds the calls for segments of one file.

    Args:
        file: the file.
        folder: finds its constants.
        calls: where to add them.
        names: what the steps are called.
    """

    def __init__(self, file: File, folder: Folder, calls: Calls, names: Mapping[Step, str]) -> None:
        self._file, self._folder, self._calls, self._names = file, folder, calls, names
        self._used: Counter[str] = Counter()

    def add(self, segment: Segment) -> None:
        """The calls for a segment: of the engine's own operations, or of one library."""
        native = natives(segment, self._calls.ranks, self._folder)
        if native is not None:
            for step, each in native.items():
                self._native(step, each)
            return
        names = {name: self._cast_of(value) for name, value in segment.inputs.items()}
        casts = {name: kind for name, kind in names.items() if kind}
        operation = Foreign(
            library="onnx",
            inputs=tuple(GIVEN.format(name) if name in casts else name for name in segment.inputs),
            outputs=tuple(value.name for value in segment.outputs),
            operators=tuple(step.node.op for step in segment.every_step),
            program=partial(program, self._file, self._folder.tensors, segment, casts),
        )
        name = segment_name(segment, self._names)
        self._used[name] += 1
        address = name if self._used[name] == 1 else f"{name} {self._used[name]}"
        layer = Layer(address, "ONNX operators", operation, "", _numbers_in(segment))
        arguments = [self._calls.argument(value) for value in segment.inputs.values()]
        scope = segment.steps[0].scope
        places = self._calls.add(layer, arguments, len(segment.outputs), scope=scope)
        self._calls.places.update(zip(segment.outputs, places, strict=True))

    def _cast_of(self, value: Value) -> int:
        """The type to cast a value to before operators read it; 0 for none."""
        kind = self._calls.types.get(value, 0)
        return kind if kind in CAST and self._file.opset >= FIRST_CAST else 0

    def _native(self, step: Step, native: Native) -> None:
        arguments = [self._calls.argument(value) for value in native.arguments]
        address = self._names[step]
        layer = Layer(
            *(address, step.node.op, native.operation, ""),
            parameters=parameter_count(
                *(each.value for each in arguments if isinstance(each, Constant)),
                *native.operation.weights.values(),
            ),
            distributed=native.distributed,
        )
        scope = step.scope
        places = self._calls.add(layer, arguments, len(step.outputs), scope=scope)
        if native.then is not None:
            operation, values = native.then
            more = [self._calls.argument(value) for value in values]
            layer = Layer(f"{address} (+ C)", step.node.op, operation, dtype="")
            places = self._calls.add(layer, [*places[:1], *more], scope=scope)
        self._calls.keep(step, places)
        kind = max((self._calls.types.get(value, 0) for value in native.arguments), default=0)
        for output in step.outputs:
            self._calls.learn(output, native.rank, kind)


def _numbers_in(segment: Segment) -> int:
    """How many numbers the tensors of a segment hold, without indices and shapes."""
    tensors = {
        name: value.tensor
        for step in segment.every_step
        for name, value in step.named_reads
        if value.tensor is not None and not value.sparse
    }
    return sum(
        prod(tensor.integers(1)) for tensor in tensors.values() if tensor.integer(2) in WEIGHTS
    )
