"""TFLite files: FlatBuffers read through the ``tflite`` package, with every size checked.

The package follows offsets blindly, so that a damaged file ends in any of several errors; they
become a ``Problem`` where the reader is entered (``guarded``). Numbers that say how many there are
of something are held against the size of the file before anything is repeated that often.

Source: ``schema.fbs`` of TensorFlow Lite.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import MissingExtraError
from ..model import Array
from .reading import SMALL, Problem
from .tensor_bundle import mapped

NUMBERS = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 7: "<i2", 9: "i1", 10: "<f8"}
"""Types of tensors by their number in the schema."""
FLOATS = {0: "float32", 1: "float16", 10: "float64"}


class Operator(NamedTuple):
    """An operator: its kind, the numbers of its tensors (-1: absent), and where its options are."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Any


def schema() -> Any:
    """The package that knows the format.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import tflite
    except ImportError as error:
        raise MissingExtraError(
            "reading a TFLite file", "tflite and flatbuffers", "tflite"
        ) from error
    return tflite


@contextmanager
def guarded() -> Iterator[None]:
    """What damaged offsets lead to, as one Problem."""
    try:
        yield
    except (
        struct.error,
        IndexError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        raise Problem(f"the TFLite file is damaged or cut short ({error})") from error


class Graph:
    """One subgraph of a file: its operators, in order, and its tensors.

    Attributes:
        name: of the subgraph.
        operators: all of them.
        inputs, outputs: numbers of the subgraph's own inputs and outputs.
    """

    def __init__(self, file: TfliteFile, table: Any) -> None:
        self._file, self._table = file, table
        self.tensors = file.count(table.TensorsLength(), "tensors")
        self.operators = [
            file.operator(table.Operators(k), self.tensors)
            for k in range(file.count(table.OperatorsLength(), "operators"))
        ]

    def name(self, number: int) -> str:
        """The name of a tensor."""
        return str((self._tensor(number).Name() or b"").decode(errors="replace"))

    def shape(self, number: int) -> tuple[int, ...]:
        tensor = self._tensor(number)
        return tuple(
            int(tensor.Shape(k)) for k in range(self._file.count(tensor.ShapeLength(), "axes"))
        )

    def type(self, number: int) -> str:
        """The type of a tensor: ``float32``, ``int8``."""
        found = NUMBERS.get(self._tensor(number).Type())
        return np.dtype(found).name if found else f"type {self._tensor(number).Type()}"

    def makers(self) -> dict[int, Operator]:
        """The operator that makes each tensor."""
        return {number: each for each in self.operators for number in each.outputs}

    def constant(self, number: int) -> Array | None:
        """The numbers that the file holds for a tensor; None where it is computed.

        Integers that stand for real numbers are multiplied out, half precision is widened.

        Raises:
            Problem: if the file does not hold as many as the shape says.
        """
        tensor = self._tensor(number)
        content = self._file.buffer(tensor.Buffer())
        if content is None:
            return None
        dtype, shape = NUMBERS.get(tensor.Type()), self.shape(number)
        if dtype is None or tensor.Sparsity() is not None:
            raise Problem(f"tensor '{self.name(number)}' is sparse or of a type that is not read")
        size = prod(shape) * np.dtype(dtype).itemsize
        if min(shape, default=1) < 0 or size != len(content):
            raise Problem(
                f"tensor '{self.name(number)}' of shape {shape} should take {size:,} bytes, the "
                f"file holds {len(content):,}"
            )
        self._file.take(4 * prod(shape))
        return self._real(tensor, np.frombuffer(content, dtype).reshape(shape))

    def is_constant(self, number: int) -> bool:
        """Whether the file holds the tensor's numbers."""
        return self._file.buffer(self._tensor(number).Buffer()) is not None

    def _real(self, tensor: Any, values: Array) -> Array:
        scales, zeros, axis = self.scales(tensor)
        if values.dtype == np.float16:
            return values.astype(np.float32)
        if values.dtype.kind == "f" or scales is None:
            return values
        if scales.size > 1:
            if not 0 <= axis < values.ndim or scales.size != values.shape[axis]:
                raise Problem("a tensor has as many scales as none of its axes is long")
            form = [1] * values.ndim
            form[axis] = scales.size
            scales, zeros = scales.reshape(form), zeros.reshape(form)
        return ((values.astype(np.float32) - zeros.astype(np.float32)) * scales).astype(np.float32)

    def scales(self, tensor: Any) -> tuple[Array | None, Array, int]:
        """Scales and zero points of a quantised tensor, and the axis they go along."""
        found = tensor.Quantization()
        count = 0 if found is None else self._file.count(found.ScaleLength(), "scales")
        if not count:
            return None, np.zeros(1), 0
        scales = np.array([found.Scale(k) for k in range(count)], np.float32)
        many = self._file.count(found.ZeroPointLength(), "zero points")
        zeros = np.array([found.ZeroPoint(k) for k in range(many)] or [0] * count)
        if zeros.size != count:
            raise Problem("a tensor has more scales than zero points")
        return scales, zeros, int(found.QuantizedDimension())

    def is_quantised(self, number: int) -> bool:
        """Whether integers stand for the tensor's real numbers."""
        kind = self._tensor(number).Type()
        return kind not in FLOATS and self.scales(self._tensor(number))[0] is not None

    def _tensor(self, number: int) -> Any:
        if not 0 <= number < self.tensors:
            raise Problem(f"the file names tensor {number} of {self.tensors}")
        return self._table.Tensors(number)


class TfliteFile:
    """A file, and the operators and tensors in it."""

    def __init__(self, path: Path) -> None:
        self.schema = schema()
        self.view = mapped(path)
        self._taken = 0
        self._model = self.schema.Model.GetRootAsModel(self.view, 0)
        self._kinds = {
            number: name
            for name, number in vars(self.schema.BuiltinOperator).items()
            if isinstance(number, int)
        }

    @property
    def description(self) -> str:
        """What the converter says about the file."""
        return str((self._model.Description() or b"").decode(errors="replace"))

    @property
    def version(self) -> int:
        return int(self._model.Version())

    def graphs(self) -> list[Graph]:
        count = self.count(self._model.SubgraphsLength(), "subgraphs")
        return [Graph(self, self._model.Subgraphs(k)) for k in range(count)]

    def count(self, number: int, what: str) -> int:
        """A number of things that each take four bytes of the file at least."""
        if not 0 <= number <= len(self.view) // 4:
            raise Problem(f"the TFLite file is damaged: it claims {number:,} {what}")
        return int(number)

    def take(self, size: int) -> None:
        """Count the bytes of weights that are read, which a file uses once.

        Raises:
            Problem: if operators use the same weights over and over.
        """
        self._taken += size
        if self._taken > SMALL + 16 * len(self.view):
            raise Problem("its operators use the same weights over and over, which is refused")

    def operator(self, table: Any, tensors: int) -> Operator:
        index = table.OpcodeIndex()
        if index >= self.count(self._model.OperatorCodesLength(), "kinds of operators"):
            raise Problem(f"the file names operator kind {index}, which is not there")
        code = self._model.OperatorCodes(index)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = self._kinds.get(number, f"operator {number}")
        if kind == "CUSTOM":
            kind = (code.CustomCode() or b"CUSTOM").decode(errors="replace")
        inputs = self._numbers(table.Inputs, table.InputsLength(), tensors)
        outputs = self._numbers(table.Outputs, table.OutputsLength(), tensors)
        return Operator(kind, inputs, outputs, table)

    def _numbers(self, at: Callable[[int], int], length: int, tensors: int) -> tuple[int, ...]:
        found = tuple(int(at(k)) for k in range(self.count(length, "tensors of an operator")))
        if any(not -1 <= number < tensors for number in found):
            raise Problem(
                "the TFLite file is damaged: an operator names a tensor that is not there"
            )
        return found

    def options(self, operator: Operator, name: str) -> Any:
        """The options of an operator, of the schema's table ``name``; None where it has none."""
        table = operator.table.BuiltinOptions()
        wanted = getattr(self.schema.BuiltinOptions, name)
        if table is None or operator.table.BuiltinOptionsType() != wanted:
            return None
        options = getattr(self.schema, name)()
        options.Init(table.Bytes, table.Pos)
        return options

    def buffer(self, number: int) -> memoryview | None:
        """The bytes of a buffer; None for an empty one."""
        if not 0 <= number < self.count(self._model.BuffersLength(), "buffers"):
            raise Problem(f"the file names buffer {number}, which is not there")
        buffer = self._model.Buffers(number)
        offset, size = int(buffer.Offset()), int(buffer.Size())
        if offset > 1:  # files above 2 GB keep their buffers behind everything else
            if offset + size > len(self.view):
                raise Problem(f"buffer {number} ends beyond the file")
            return self.view[offset : offset + size]
        if not buffer.DataLength():
            return None
        return memoryview(buffer.DataAsNumpy()).cast("B")
