"""Tensors as PyTorch keeps them: a shape and strides over a storage, read only when asked for.

Several tensors may share a storage, be slices of it or transposed. What a tensor claims is checked
against what its storage holds before any memory is taken.

Source: ``torch/_utils.py``, ``torch/storage.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..model import Array
from .reading import Problem, describe

DTYPES = {
    "float32": "f4",
    "float64": "f8",
    "float16": "f2",
    "bfloat16": "u2",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint8": "u1",
    "bool": "u1",
    "uint16": "u2",
    "uint32": "u4",
    "uint64": "u8",
    "qint8": "i1",
    "quint8": "u1",
    "qint32": "i4",
}
"""PyTorch's kinds of numbers, and how NumPy reads their bytes; bfloat16 is shifted afterwards."""
SIZES = {
    **{name: int(code[1:]) for name, code in DTYPES.items()},
    **{"complex32": 4, "complex64": 8, "complex128": 16, "quint4x2": 1, "quint2x4": 1},
    **{f"float8_{kind}": 1 for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")},
}
"""Bytes of one number of each kind, also of those that are not read."""
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
    "TypedStorage": "uint8",
}
EXPANDED = 2**20
"""How many numbers a tensor may have beyond what its storage holds, by repeating them."""
MAX_AXES = 32


class Storage(NamedTuple):
    """Numbers of one kind in a row; the bytes are found when they are asked for.

    Attributes:
        name: for messages: ``storage 3``.
        dtype: PyTorch's name of the kind of numbers.
        length: how many the file says there are.
        content: gives all the bytes; raises Problem if the file does not hold them.
        big_endian: the order of the bytes.
        first: where it begins in ``content``, in numbers.
    """

    name: str
    dtype: str
    length: int
    content: Callable[[], memoryview]
    big_endian: bool = False
    first: int = 0

    def section(self, start: int, count: int, dtype: str) -> Array:
        """``count`` numbers of ``dtype`` from number ``start`` on, without a copy."""
        size, code = SIZES[dtype], DTYPES[dtype]
        content = self.content()
        begin = self.first * SIZES[self.dtype] + start * size
        end = begin + count * size
        if end > len(content):
            raise Problem(
                f"{self.name} should hold {self.length:,} numbers of {self.dtype}, "
                f"found {len(content):,} bytes: the file is damaged or cut short"
            )
        order = ">" if self.big_endian else "<"
        return np.frombuffer(content[begin:end], order + code)


@dataclass(frozen=True, slots=True, eq=False)
class StoredTensor:
    """A view of a storage: number (i, j, …) is number offset + i·stride₀ + j·stride₁ + … of it."""

    storage: Storage
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    def check(self) -> None:
        """Raise Problem if the tensor reaches beyond its storage, or claims far more than that."""
        if self.dtype not in DTYPES:
            return
        held = self.storage.length * SIZES[self.storage.dtype] // SIZES[self.dtype]
        count, reach = math.prod(self.shape), self._span() + self.offset
        if count and (reach > held or count > held + EXPANDED):
            raise Problem(
                f"a tensor of shape {_short(self.shape)} with strides {_short(self.strides)} at "
                f"{self.offset} reaches beyond {self.storage.name}, which holds {held:,} numbers"
            )

    def _span(self) -> int:
        """How far its last number is from its first, plus one."""
        steps = zip(self.shape, self.strides, strict=True)
        return 1 + sum((length - 1) * stride for length, stride in steps)

    def read(self) -> Array:
        """The values, shape ``shape``: float64 as it is, every other kind as float32."""
        return _as_float(self.numbers(), self.dtype)

    def numbers(self) -> Array:
        """The values as they stand in the file; a view."""
        self.check()
        if self.dtype not in DTYPES:
            raise Problem(f"numbers of {self.dtype} are not read")
        if 0 in self.shape:
            raise Problem(f"a tensor of shape {_short(self.shape)} holds no numbers")
        row = self.storage.section(self.offset, self._span(), self.dtype)
        steps = [
            stride * row.itemsize if length > 1 else 0
            for length, stride in zip(self.shape, self.strides, strict=True)
        ]
        return np.lib.stride_tricks.as_strided(row, self.shape, steps, writeable=False)


@dataclass(frozen=True, slots=True, eq=False)
class QuantisedTensor:
    """Whole numbers that stand for (number - zero point) · scale.

    ``scale`` and ``zero_point`` are numbers, or tensors with one for each index along ``axis``.
    """

    numbers: StoredTensor
    scale: float | StoredTensor
    zero_point: int | StoredTensor
    axis: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.numbers.shape

    @property
    def dtype(self) -> str:
        return self.numbers.dtype

    def check(self) -> None:
        self.numbers.check()

    def read(self) -> Array:
        """The values that the numbers stand for, in float32."""
        numbers = self.numbers.numbers().astype(np.float64)
        scale, zero = (self._along_axis(value) for value in (self.scale, self.zero_point))
        found: Array = ((numbers - zero) * scale).astype(np.float32)
        return found

    def _along_axis(self, value: float | StoredTensor) -> Array:
        if isinstance(value, (int, float)):
            return np.asarray(value, np.float64)
        shape = [1] * len(self.shape)
        if not 0 <= self.axis < len(shape) or value.shape != (self.shape[self.axis],):
            raise Problem("scales of a quantised tensor do not fit its shape")
        shape[self.axis] = -1
        return value.numbers().astype(np.float64).reshape(shape)


Tensor = StoredTensor | QuantisedTensor


def stored_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, dtype: str | None = None
) -> StoredTensor:
    """The tensor that a file describes so.

    Raises:
        Problem: if no tensor can be like that.
    """
    shape, strides = _axes(shape, "shape"), _axes(strides, "strides")
    if not isinstance(storage, Storage) or len(shape) != len(strides):
        raise Problem("a tensor should have a storage, and a stride for each axis")
    if not _is_count(offset):
        raise Problem(f"a tensor's offset should be a number from 0 on, found {describe(offset)}")
    return StoredTensor(storage, dtype or storage.dtype, shape, strides, offset)


def _axes(value: Any, what: str) -> tuple[int, ...]:
    if (
        not isinstance(value, (tuple, list))
        or len(value) > MAX_AXES
        or not all(map(_is_count, value))
    ):
        raise Problem(f"a tensor's {what} should be up to {MAX_AXES} numbers from 0 on")
    return tuple(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _short(numbers: tuple[int, ...]) -> str:
    return describe(tuple(numbers))


def _as_float(numbers: Array, dtype: str) -> Array:
    """A copy in the machine's own order of bytes."""
    if dtype == "bfloat16":  # the upper half of a float32
        return (numbers.astype(np.uint32, order="C") << 16).view(np.float32)
    return numbers.astype(np.float64 if dtype == "float64" else np.float32, order="C")
