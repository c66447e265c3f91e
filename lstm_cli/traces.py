"""What a run leaves behind: named, read-only arrays for every cell.

Letters: B sequences, T time steps, F input features, U units. Per-step arrays follow the input's
steps in every direction: index t is what the cell did while reading input step t.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .errors import NoSuchNameError
from .model import Array

GATE_TENSORS = ("i", "f", "g", "o")
PRE_ACTIVATIONS = ("z_i", "z_f", "z_g", "z_o")
STATE_TENSORS = ("h", "c")
STEP_TENSORS = (
    *STATE_TENSORS,
    *GATE_TENSORS,
    *PRE_ACTIVATIONS,
    "output",
    "output_0",
    "output_1",
    "x",
    "mask",
)
"""Tensors with a time axis, in the order in which files hold them."""


class State(NamedTuple):
    """Hidden state ``h`` and cell state ``c``, each of shape (B, U)."""

    h: Array
    c: Array


class Trace:
    """Everything one LSTM cell did, as arrays with attributes of the same names.

    Per step, shape (B, T, U): ``h`` hidden state, ``c`` cell state (unbounded), ``i f o`` gates in
    [0, 1], ``g`` candidate; ``z_i z_f z_g z_o`` where pre-activations were asked for. ``output``:
    what the layer hands on at each step, in the framework's order. ``initial_h initial_c final_h
    final_c``, shape (B, U). ``mask`` (B, T), true for a real step, or ``lengths`` (B,), where there
    is one. At masked steps h and c repeat the previous step's and gates are NaN; beyond a
    sequence's length h, c and output are 0 and gates NaN.

    Attributes:
        arrays: all of them, by name, read-only.
        meta: where they come from: layer, activations, direction.
    """

    def __init__(self, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        self.arrays = _frozen(arrays)
        self.meta = dict(meta)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_") or name == "arrays":
            raise AttributeError(name)
        if name not in self.arrays:
            raise AttributeError(f"this trace has no '{name}'; it has: {', '.join(self.arrays)}")
        return self.arrays[name]

    @property
    def initial_state(self) -> State:
        """The state before the first step that the cell read."""
        return State(self.arrays["initial_h"], self.arrays["initial_c"])

    @property
    def final_state(self) -> State:
        """The state after the last step that the cell read; feeds the next call's initial_state."""
        return State(self.arrays["final_h"], self.arrays["final_c"])

    def __repr__(self) -> str:
        b, t = self.arrays["h"].shape[:2]
        u = self.arrays["final_c"].shape[1]
        return f"<Trace of {self.meta.get('layer')}: B={b} T={t} U={u}>"


class Traces(Mapping[str, Trace]):
    """The traces of several cells, by part or address: ``traces["forward"].h``.

    Attributes:
        arrays: every array under its name in files: ``forward/h``; what belongs to a layer as a
            whole (``output``, ``mask``) has the layer's prefix alone.
        meta: of all cells, and what they have in common.
    """

    def __init__(
        self, cells: Mapping[str, Trace], arrays: Mapping[str, Array], meta: Mapping[str, Any]
    ) -> None:
        self._cells = dict(cells)
        self.arrays = _frozen(arrays)
        self.meta = dict(meta)

    def __getitem__(self, name: str) -> Trace:
        if name not in self._cells:
            raise NoSuchNameError("part", name, self._cells)
        return self._cells[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_") or name == "arrays":
            raise AttributeError(name)
        if name in self.arrays:
            return self.arrays[name]
        first = next(iter(self._cells), "")
        raise AttributeError(
            f"this trace has several cells ({', '.join(self._cells)}); use trace[{first!r}].{name}"
        )

    def __repr__(self) -> str:
        return f"<Traces of {', '.join(self._cells)}>"


def _frozen(arrays: Mapping[str, Array]) -> dict[str, Array]:
    for array in arrays.values():
        array.flags.writeable = False
    return dict(arrays)
