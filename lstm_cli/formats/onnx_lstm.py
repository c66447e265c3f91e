"""The LSTM operator of ONNX, and onnxruntime's quantised one, as a recurrent layer.

Letters: D directions, F input features, U units.

ONNX keeps blocks of rows in the order i o f c (here i f g o, as columns), and peepholes in the
order i o f (here i f o). The quantised operator keeps blocks of columns, in the same order.

Source: https://github.com/onnx/onnx/blob/main/docs/Operators.md#LSTM and
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..model import Activation, Array, Direction, LstmCell, Recurrent, parameter_count
from . import gates
from .onnx_folding import Folder
from .onnx_proto import Node
from .onnx_steps import Step, Value
from .reading import NotComputed

X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, P = range(8)
W_SCALE, W_ZERO, R_SCALE, R_ZERO = range(8, 12)
INPUT_NAMES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
PEEPHOLE_ROWS = [0, 2, 1]
"""Where ONNX's i o f has our i f o."""

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
NAMES = {
    **{"sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "affine": "affine"},
    **{"leakyrelu": "leaky_relu", "thresholdedrelu": "thresholded_relu", "elu": "elu"},
    **{"scaledtanh": "scaled_tanh", "hardsigmoid": "hard_sigmoid"},
    **{"softsign": "softsign", "softplus": "softplus"},
}
"""Our names of activations, by ONNX's in small letters."""
NUMBERS: dict[str, tuple[str, ...]] = {
    **{"affine": ("alpha", "beta"), "scaled_tanh": ("alpha", "beta")},
    **{"hard_sigmoid": ("alpha", "beta"), "leaky_relu": ("alpha",)},
    **{"thresholded_relu": ("alpha",), "elu": ("alpha",)},
}
"""Which numbers an activation takes from the lists in the attributes."""
DEFAULTS = {
    **{("hard_sigmoid", "alpha"): 0.2, ("hard_sigmoid", "beta"): 0.5},
    **{("leaky_relu", "alpha"): 0.01, ("elu", "alpha"): 1.0},
}
"""Where ONNX and onnxruntime agree; they do not for ThresholdedRelu, Affine and ScaledTanh."""


class ReadLstm(NamedTuple):
    """An LSTM operator.

    Attributes:
        layer: what it computes.
        dtype: ``float32`` or ``float64``.
        parameters: how many numbers it holds.
        kept_as: the type's number of its values in the file: 1, 10 for float16, 11 for float64.
        notes: what was assumed, as sentences without its name.
    """

    layer: Recurrent
    dtype: str
    parameters: int
    kept_as: int
    notes: tuple[str, ...]


def read_lstm(step: Step, folder: Folder) -> ReadLstm:
    """The layer of an LSTM operator.

    Raises:
        NotComputed: if its weights are no constants, or it asks for what is not computed.
    """
    node, found = step.node, _Arrays(step, folder)
    if input_of(step, X) is None:
        raise NotComputed("it has no X")
    direction = node.text("direction", "forward")
    if direction not in DIRECTIONS:
        raise NotComputed(f"its direction is '{direction[:40]}'")
    layout = node.integer("layout", 0)
    if layout not in (0, 1):
        raise NotComputed(f"its layout is {layout}; 0 and 1 are known")
    ways = DIRECTIONS[direction]
    w, r, b, p = found.weights(len(ways))
    activations = list(_activations(node, len(ways)))
    clip = node.real("clip", 0.0) if "clip" in node.attributes else None
    if clip is not None and not 0 < clip < np.inf:
        raise NotComputed(f"its clip is {clip:g}, expected a number above 0")
    dtype = np.float64 if found.kept_as == 11 else np.float32
    directions = tuple(
        Direction(
            "" if len(ways) == 1 else ("backward" if backwards else "forward"),
            (
                _cell(
                    (w[k], r[k], None if b is None else b[k], None if p is None else p[k]),
                    activations[k],
                    clip,
                    node.integer("input_forget", 0) != 0,
                    dtype,
                ),
            ),
            go_backwards=backwards,
        )
        for k, backwards in enumerate(ways)
    )
    layer = Recurrent(
        directions,
        return_sequences=True,
        return_state=True,
        time_major=layout == 0,
        convention="onnx batchwise" if layout else "onnx",
    )
    count = parameter_count(w, r, b, p)
    return ReadLstm(layer, np.dtype(dtype).name, count, found.kept_as, tuple(found.notes))


def _cell(
    arrays: Sequence[Array | None],
    activations: Sequence[Activation],
    clip: float | None,
    input_forget: bool,
    dtype: type[np.floating],
) -> LstmCell:
    """One direction: W (4U, F), R (4U, U), B (8U,) or None, P (3U,) or None."""
    w, r, b, p = arrays
    if w is None or r is None:
        raise TypeError("an LSTM has W and R")
    f, g, h = activations
    bias = None if b is None else gates.reordered(gates.added(*b.reshape(2, -1)), gates.ONNX)
    return LstmCell(
        kernel=gates.reordered(w.astype(dtype).T, gates.ONNX),
        recurrent_kernel=gates.reordered(r.astype(dtype).T, gates.ONNX),
        bias=bias,
        activation=g,
        recurrent_activation=f,
        output_activation=None if h == g else h,
        peepholes=None if p is None else p.astype(dtype).reshape(3, -1)[PEEPHOLE_ROWS],
        clip=clip,
        coupled="f" if input_forget else "",
    )


# -- arrays


class _Arrays:
    """The weights of one operator, as constants of the file."""

    def __init__(self, step: Step, folder: Folder) -> None:
        self.step, self.folder = step, folder
        self.quantised = bool(step.node.domain)
        self.kept_as = 1
        self.notes: list[str] = []

    def weights(self, ways: int) -> tuple[Array, Array, Array | None, Array | None]:
        """W (D, 4U, F), R (D, 4U, U), B (D, 8U), P (D, 3U), each checked against the others."""
        w, r = (self._matrix(W, W_SCALE), self._matrix(R, R_SCALE))
        b, p = self._constant(B), self._constant(P)
        units = r.shape[-1]
        stated = self.step.node.integer("hidden_size", units)
        if stated != units:
            raise NotComputed(f"its hidden_size is {stated}, its recurrent weights have {units}")
        wanted = {
            "W": (w, (ways, 4 * units, w.shape[-1])),
            "R": (r, (ways, 4 * units, units)),
            "B": (b, (ways, 8 * units)),
            "P": (p, (ways, 3 * units)),
        }
        for name, (array, shape) in wanted.items():
            if array is not None and (array.shape != shape or 0 in shape):
                raise NotComputed(f"its {name} has the shape {array.shape}, expected {shape}")
            if array is not None and array.dtype.kind != "f":
                raise NotComputed(f"its {name} holds {array.dtype}, expected floating numbers")
        if {array.dtype.itemsize for array, _ in wanted.values() if array is not None} == {8}:
            self.kept_as = 11
        elif w.dtype == np.float16:
            self.kept_as = 10
            self.notes.append("its weights are float16; it is computed in float32")
        return w, r, b, p

    def _matrix(self, place: int, scale: int) -> Array:
        array = self._constant(place)
        if array is None:
            raise NotComputed(f"it has no {INPUT_NAMES[place]}")
        if self.quantised:
            array = self._dequantised(array, scale)
        if array.ndim != 3:
            raise NotComputed(f"its {INPUT_NAMES[place]} has the shape {array.shape}")
        return array

    def _constant(self, place: int) -> Array | None:
        value = input_of(self.step, place)
        if value is None:
            return None
        name = INPUT_NAMES[place] if place <= P else "scale or zero point"
        found = self.folder.folded(value, f"its {name}")
        if found.dequantised:
            self._note("its weights are stored as whole numbers, and dequantised")
        return found.array

    def _dequantised(self, array: Array, place: int) -> Array:
        """W (D, F, 4U) or R (D, U, 4U) of the quantised operator, as (D, 4U, F) in float32."""
        scale, zero = self._constant(place), self._constant(place + 1)
        if scale is None:
            raise NotComputed("its quantised weights have no scale")
        if array.ndim != 3 or array.dtype.kind not in "iu":
            raise NotComputed(f"its quantised weights are {array.dtype} of shape {array.shape}")
        self._note(
            "its weights are dequantised and the input is not rounded, as onnxruntime rounds it to "
            "8 bits at every step: its outputs differ from these by about 1 %"
        )
        whole = array.astype(np.int64)
        if zero is not None:
            whole -= self._beside(zero, array).astype(np.int64)
        values = whole * self._beside(scale, array).astype(np.float32)
        return values.astype(np.float32).transpose(0, 2, 1)

    def _beside(self, each: Array, array: Array) -> Array:
        """Scales or zero points: one for all, for each direction, or for each column."""
        if each.size == 1:
            return each.reshape(())
        ways, _, columns = array.shape
        if each.size not in (ways, ways * columns):
            raise NotComputed(f"its scales are of shape {each.shape} beside {array.shape}")
        return each.reshape(ways, 1, -1)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def input_of(step: Step, place: int) -> Value | None:
    """An input of an operator; None where it is left out."""
    return step.inputs[place] if place < len(step.inputs) else None


# -- activations


def _activations(node: Node, ways: int) -> Iterator[list[Activation]]:
    """Per direction, those of the gates, of the candidate and of the output."""
    names = node.texts("activations") or ["Sigmoid", "Tanh", "Tanh"] * ways
    if len(names) != 3 * ways:
        raise NotComputed(f"it has {len(names)} activations, expected {3 * ways}")
    given = {
        "alpha": [] if (found := node.reals("activation_alpha")) is None else found.tolist(),
        "beta": [] if (found := node.reals("activation_beta")) is None else found.tolist(),
    }
    read = [_activation(name, given) for name in names]
    for k in range(ways):
        yield read[3 * k : 3 * k + 3]


def _activation(name: str, given: dict[str, list[float]]) -> Activation:
    """One activation, which takes its numbers from the front of the lists."""
    ours = NAMES.get(name.lower())
    if ours is None:
        raise NotComputed(f"its activation '{name[:40]}' is not one of ONNX's")
    numbers = {}
    for which in NUMBERS.get(ours, ()):
        if given[which]:
            numbers[which] = given[which].pop(0)
        elif (ours, which) in DEFAULTS:
            numbers[which] = DEFAULTS[ours, which]
        else:
            raise NotComputed(
                f"its activation {name} has no {which}, for which runtimes take different numbers"
            )
    return Activation(ours, **numbers)
