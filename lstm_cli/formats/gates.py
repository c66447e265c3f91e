"""Gate orders and bias layouts of the frameworks, turned into this package's own, in one place.

Ours: columns i f g o, kernel (F, 4U), recurrent kernel (U, 4U), one bias (4U,).

| writer | arrays | order |
|---|---|---|
| Keras 2 and later | kernel (F, 4U), recurrent (U, 4U), bias (4U,) | i f g o (Keras: i f c o) |
| Keras 1, consume_less gpu | W (F, 4U), U (U, 4U), b (4U,) | i f g o |
| Keras 1, consume_less cpu or mem | 12: W, U, b for each gate | i **g f** o |
| PyTorch | weight_ih (4U, F), weight_hh (4U, U), two biases (4U,) | i f g o, transposed |
| ONNX | W (4U, F), R (4U, U), B (8U,): two biases | i **o f g** (ONNX: i o f c), transposed |
| TFLite | 4 weights (U, F), 4 recurrent (U, P), 4 biases (U,), apart | i f g o, transposed |
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


def added(first: Array, second: Array) -> Array:
    """The one bias that does what two do, in double precision for a run in float64.

    Rounded to float32 it is what their sum in float32 would be.
    """
    return first.astype(np.float64) + second


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
        added(bias[: 4 * units], bias[4 * units :]),
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


def tflite_lstm(*blocks: Sequence[Array | None]) -> LstmArrays:
    """The arrays of a TFLite operator: weights (U, F), recurrent weights (U, P), biases (U,).

    Each comes as i f g o apart; where there is no input gate, its columns are zeros.
    """
    kernel, recurrent, bias = (_side_by_side(gates) for gates in blocks)
    return LstmArrays(kernel, recurrent, bias)


def _side_by_side(gates: Sequence[Array | None]) -> Array:
    there = [gate for gate in gates if gate is not None]
    shapes = {gate.shape for gate in there}
    if len(shapes) != 1:
        raise Problem(f"the gates of an LSTM operator differ in shape: {sorted(shapes)}")
    columns = [np.zeros_like(there[0]) if gate is None else gate for gate in gates]
    return np.concatenate([column.T for column in columns], axis=-1)


ONNX = "iofg"
"""ONNX's order of the gates, in this package's letters."""

ORDER_LETTERS = {"c": "g", "j": "g"}
"""Other letters for the candidate g: Keras's and ONNX's c, TensorFlow's j."""


def gate_order(text: str) -> str:
    """An order of the four gates in this package's letters: ``iofg`` for ``iofc``.

    Raises:
        Problem: if it is not the four letters i f g o (c or j for g), each once.
    """
    order = "".join(
        ORDER_LETTERS.get(letter, letter) for letter in text.lower() if letter.isalpha()
    )
    if sorted(order) != sorted("ifgo"):
        raise Problem(
            "expected the letters i f c o in the file's order, such as ifco (Keras, PyTorch), iofc "
            f"(ONNX) or icfo (Keras 1, TensorFlow), found '{text}'"
        )
    return order


def reordered(stacked: Array, order: str) -> Array:
    """Blocks of the last axis that stand in ``order``, put into the order i f g o."""
    blocks = dict(zip(order, np.split(stacked, 4, axis=-1), strict=True))
    return np.concatenate([blocks[gate] for gate in "ifgo"], axis=-1)


def stacked_lstm(
    kernel: Array, recurrent: Array, bias: Array | None, order: str, owner: str
) -> LstmArrays:
    """Stacked arrays of any order, whose matrices are (F, 4U) and (U, 4U), or both transposed.

    Raises:
        Problem: if they are neither.
    """
    if bias is not None and bias.ndim == 2 and 1 in bias.shape:
        bias = bias.reshape(-1)
    if kernel.ndim == recurrent.ndim == 2 and recurrent.shape[0] == 4 * recurrent.shape[1]:
        kernel, recurrent = kernel.T, recurrent.T
    units = recurrent.shape[0] if recurrent.ndim == 2 else 0
    shapes = (recurrent.shape, kernel.shape[1:], (4 * units,) if bias is None else bias.shape)
    if not units or shapes != ((units, 4 * units), (4 * units,), (4 * units,)):
        told = ", ".join(str(each.shape) for each in (kernel, recurrent, bias) if each is not None)
        raise Problem(
            f"{owner} should hold arrays of shapes (F, 4U), (U, 4U), (4U,), or the first two "
            f"transposed, found {told}"
        )
    bias = None if bias is None else reordered(bias, order)
    return LstmArrays(reordered(kernel, order), reordered(recurrent, order), bias)


def lstm_of_gates(
    kernels: Sequence[Array], recurrents: Sequence[Array], biases: Sequence[Array], owner: str
) -> LstmArrays:
    """Arrays of each gate apart, in the order i f g o: (F, U), (U, U), (U,), or transposed.

    Raises:
        Problem: if they do not fit, or nothing tells which axis is which.
    """
    biases = [bias.reshape(-1) if bias.ndim == 2 and 1 in bias.shape else bias for bias in biases]
    units = recurrents[0].shape[0] if recurrents[0].ndim else 0
    shape = kernels[0].shape
    fit = (
        len(shape) == 2
        and all(each.shape == shape for each in kernels)
        and all(each.shape == (units, units) for each in recurrents)
        and all(each.shape == (units,) for each in biases)
    )
    if not fit or not units or units not in shape:
        told = ", ".join(str(each.shape) for each in (*kernels, *recurrents, *biases))
        raise Problem(f"{owner} should hold 4 times (F, U), (U, U), (U,), found {told}")
    if shape == (units, units) and units > 1:
        raise Problem(
            f"{owner} has as many inputs as units, {units}, so that nothing tells whether its "
            "matrices are to be transposed; save them stacked, as kernel (F, 4U), recurrent_kernel "
            "(U, 4U) and bias (4U,), gates in the order i f c o"
        )
    if shape[1] != units:
        kernels, recurrents = [each.T for each in kernels], [each.T for each in recurrents]
    kernel, recurrent = (np.concatenate(each, axis=-1) for each in (kernels, recurrents))
    return LstmArrays(kernel, recurrent, np.concatenate(biases) if biases else None)
