"""Gates and states of a Keras LSTM, by stepping the framework's own cell one step at a time.

Keras returns h at every step and c at the last one only; its cell, called once a step, returns both
each time. The gates come from the framework's own operations on the layer's weights. Everything is
Keras in float32: nothing of ``lstm_cli`` takes part, so the arrays can stand against it.

The ``make_*.py`` scripts beside this file import it; it needs Keras 3.
Letters: B sequences, T time steps, F input features, U units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras  # type: ignore[import-not-found, import-untyped, unused-ignore]
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

GATES = ("i", "f", "g", "o")
CLOSE = 2e-6
"""How far the cell stepped by hand may be from the layer's own run, for values in [-1, 1]."""


def step(
    layer: Any,
    x: Array,
    state: tuple[Array, Array] | None = None,
    mask: Array | None = None,
) -> dict[str, Array]:
    """Everything one LSTM layer does with ``x``, step by step, checked against the layer itself.

    At masked steps h and c repeat the previous step's and the gates are NaN. The arrays follow the
    input's steps also where the layer reads the last step first.

    Args:
        layer: a ``keras.layers.LSTM`` with weights.
        x: what the layer receives, shape (B, T, F).
        state: h and c before the first step, each (B, U); zeros if left out.
        mask: true for a real step, shape (B, T); every step is real if left out.

    Returns:
        ``h c i f g o``, each (B, T, U), and ``final_h final_c``, each (B, U).
    """
    batch, steps = x.shape[:2]
    real = np.ones((batch, steps), bool) if mask is None else mask
    h, c = state or (np.zeros((batch, layer.units), np.float32),) * 2
    first = h, c
    cell = _cell(layer)
    found = {name: np.empty((batch, steps, layer.units), np.float32) for name in ("h", "c", *GATES)}
    order = reversed(range(steps)) if layer.go_backwards else range(steps)
    for t in order:
        gates = _gates(cell, x[:, t], h)
        _, (new_h, new_c) = cell(x[:, t], [h, c])
        here = real[:, t, None]
        h, c = np.where(here, new_h, h), np.where(here, new_c, c)
        for name, value in {"h": h, "c": c, **gates}.items():
            found[name][:, t] = value if name in "hc" else np.where(here, value, np.nan)
    found |= {"final_h": h, "final_c": c}
    _compare(found, layer, x, first, real)
    return found


def step_both(layer: Any, x: Array, mask: Array | None = None) -> dict[str, Array]:
    """The same for both cells of a Bidirectional layer, as ``forward/h`` and ``backward/h``."""
    parts = {"forward": layer.forward_layer, "backward": layer.backward_layer}
    return {
        f"{part}/{name}": array
        for part, single in parts.items()
        for name, array in step(single, x, mask=mask).items()
    }


def received_by(model: Any, name: str, x: Array) -> Array:
    """What layer ``name`` of ``model``, which has one input, receives when that input is ``x``."""
    received = model.get_layer(name).input
    sequence = received[0] if isinstance(received, list) else received  # a mask may follow it
    return np.asarray(keras.Model(model.inputs[0], sequence)(x, training=False))


def write_golden(path: Path, arrays: Mapping[str, Array], inputs: Iterable[str] = ("x",)) -> None:
    """Write the framework's arrays; every name in ``inputs`` and at least one other is required."""
    needed = set(inputs)
    if not needed < set(arrays):
        raise ValueError(f"{path.name} needs {sorted(needed)} and what they lead to")
    named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez_compressed(path, **named)


def _cell(layer: Any) -> Any:
    """A fresh cell with the layer's settings and weights."""
    cell = keras.layers.LSTMCell.from_config(layer.cell.get_config())
    cell.build((None, layer.cell.kernel.shape[0]))
    cell.set_weights(layer.cell.get_weights())
    return cell


def _gates(cell: Any, x: Array, h: Array) -> dict[str, Array]:
    """The gates at one step, each (B, U), from x (B, F) and the previous h (B, U)."""
    z = keras.ops.matmul(x, cell.kernel) + keras.ops.matmul(h, cell.recurrent_kernel) + cell.bias
    z_i, z_f, z_g, z_o = keras.ops.split(z, 4, axis=-1)
    recurrent, activation = cell.recurrent_activation, cell.activation
    values = recurrent(z_i), recurrent(z_f), activation(z_g), recurrent(z_o)
    return {name: np.asarray(value) for name, value in zip(GATES, values, strict=True)}


def _compare(
    found: Mapping[str, Array], layer: Any, x: Array, first: tuple[Array, Array], real: Array
) -> None:
    """Raise AssertionError where the layer, run whole, does something else.

    Masked steps are not compared: what a layer *outputs* there is not its state.
    """
    config = layer.get_config()
    config |= {"return_sequences": True, "return_state": True, "stateful": False}
    whole = keras.layers.LSTM.from_config(config)
    whole.build(x.shape)
    whole.set_weights(layer.get_weights())
    states = [keras.ops.convert_to_tensor(value) for value in first]
    output, h, c = whole(x, initial_state=states, mask=keras.ops.convert_to_tensor(real))
    output = np.asarray(output)[:, ::-1] if layer.go_backwards else np.asarray(output)
    np.testing.assert_allclose(found["h"][real], output[real], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(found["final_h"], np.asarray(h), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(found["final_c"], np.asarray(c), rtol=CLOSE, atol=CLOSE)
