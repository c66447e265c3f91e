"""Gate orders and bias layouts of the frameworks, turned into this package's own, in one place.

Ours: columns i f g o, kernel (F, 4U), recurrent kernel (U, 4U), one bias (4U,).

| writer | arrays | order |
|---|---|---|
| Keras 2 and later | kernel (F, 4U), recurrent (U, 4U), bias (4U,) | i f g o (Keras: i f c o) |
| Keras 1, consume_less gpu | W (F, 4U), U (U, 4U), b (4U,) | i f g o |
| Keras 1, consume_less cpu or mem | 12: W, U, b for each gate | i **g f** o |
| CuDNNLSTM | kernel, recurrent, bias (8U,): input and recurrent bias | i f g o, blocks transposed |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..model import Array
from .reading import Problem


class LstmArrays(NamedTuple):
    """Kernel (F, 4U), recurrent kernel (U, 4U) and bias (4U,) or None, columns i f g o."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None


def keras_lstm(arrays: Sequence[Array], owner: str) -> LstmArrays:
    """The arrays of one Keras LSTM of any version, in the order in which Keras lists them."""
    shapes = ", ".join(str(array.shape) for array in arrays)
    if len(arrays) == 12:
        return _twelve(arrays, owner, shapes)
    if len(arrays) not in (2, 3):
        raise Problem(f"{owner} should hold 2, 3 or 12 arrays, found {len(arrays)}: {shapes}")
    kernel, recurrent = arrays[:2]
    bias = arrays[2] if len(arrays) == 3 else None
    units = recurrent.shape[0] if recurrent.ndim == 2 else 0
    if units and bias is not None and bias.shape == (8 * units,):
        return _cudnn(kernel, recurrent, bias, units, owner)
    if (
        not units
        or recurrent.shape != (units, 4 * units)
        or kernel.ndim != 2
        or kernel.shape[1] != 4 * units
        or (bias is not None and bias.shape != (4 * units,))
    ):
        raise Problem(
            f"{owner} should hold arrays of shapes (F, 4U), (U, 4U), (4U,), found {shapes}"
        )
    return LstmArrays(kernel, recurrent, bias)


def _twelve(arrays: Sequence[Array], owner: str, shapes: str) -> LstmArrays:
    i, g, f, o = (arrays[k : k + 3] for k in range(0, 12, 3))  # Keras 1 lists i, c, f, o
    first = i[1].shape[0] if i[1].ndim == 2 else 0
    for kernel, recurrent, bias in (i, f, g, o):
        if (
            kernel.shape != i[0].shape
            or kernel.ndim != 2
            or kernel.shape[1] != first
            or recurrent.shape != (first, first)
            or bias.shape != (first,)
        ):
            raise Problem(f"{owner} should hold 4 times (F, U), (U, U), (U,), found {shapes}")
    kernel, recurrent, bias = (
        np.concatenate([gate[k] for gate in (i, f, g, o)], axis=-1) for k in range(3)
    )
    return LstmArrays(kernel, recurrent, bias)


def _cudnn(kernel: Array, recurrent: Array, bias: Array, units: int, owner: str) -> LstmArrays:
    """CuDNN keeps each block transposed, and two biases that add up."""
    if kernel.ndim != 2 or kernel.shape[1] != 4 * units or recurrent.shape != (units, 4 * units):
        raise Problem(
            f"{owner} (CuDNN) should hold (F, {4 * units}) and {(units, 4 * units)}, "
            f"found {kernel.shape} and {recurrent.shape}"
        )
    features = kernel.shape[0]
    kernels = [
        block.ravel().reshape(units, features).T  # a row-major refill, not a transpose of the block
        for block in np.split(kernel, 4, axis=1)
    ]
    recurrents = [block.T for block in np.split(recurrent, 4, axis=1)]
    return LstmArrays(
        np.concatenate(kernels, axis=1),
        np.concatenate(recurrents, axis=1),
        bias[: 4 * units] + bias[4 * units :],
    )


def cudnn_gru(arrays: Sequence[Array]) -> list[Array]:
    """CuDNNGRU arrays (bias 6U) as those of a GRU with reset_after (bias (2, 3U))."""
    kernel, recurrent, bias = arrays
    units, features = recurrent.shape[0], kernel.shape[0]
    kernels = [block.ravel().reshape(units, features).T for block in np.split(kernel, 3, axis=1)]
    recurrents = [block.T for block in np.split(recurrent, 3, axis=1)]
    return [
        np.concatenate(kernels, axis=1),
        np.concatenate(recurrents, axis=1),
        bias.reshape(2, 3 * units),
    ]
