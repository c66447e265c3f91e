"""What reads an output of a recurrent layer, through everything that leaves it a step's h.

Letters: P numbers of h at a step, K outputs of a Dense layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..model import Activation, Array, Call, Constant, Model, Operation, Reference

PASSING = ("identity", "op_identity", "op_squeeze")
"""Operations that hand on what they get, but for axes of size 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """What has become of an output on the way.

    Attributes:
        output: which output of the recurrent layer, by name.
        one_step: whether it holds one step alone.
        scale, shift: each number of a step was multiplied by the one and then the other added.
    """

    output: str
    one_step: bool
    scale: Array | float = 1.0
    shift: Array | float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A Dense layer: its address, what comes to it, its kernel (P, K) and bias (K,)."""

    address: str
    path: Path
    activation: Activation
    kernel: Array
    bias: Array


class Walk:
    """Follows outputs through the graph.

    Attributes:
        found: the Dense layers that read a step's h.
        between: everything else that does, for people.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.found: list[Reader] = []
        self.between: list[str] = []

    def follow(self, value: Reference, path: Path) -> None:
        """Look at everything that reads a value, and what becomes of it on the way."""
        waiting = [(value, path)]
        while waiting:
            value, path = waiting.pop(0)
            for number, call in enumerate(self._model.calls):
                if value in call.arguments:
                    waiting += self._through(number, call, value, path)

    def _through(
        self, number: int, call: Call, value: Reference, path: Path
    ) -> list[tuple[Reference, Path]]:
        """Note who reads a value, or give what a call makes of it where that is to be followed."""
        operation = call.layer.operation
        passed = _passed(call, value, path)
        if passed is not None:
            places = [k for k, argument in enumerate(call.arguments) if argument == value]
            return [(Reference(number, place), passed) for place in places]
        if isinstance(operation, Operation) and _is_dense(call, value):
            self.found.append(self._dense(number, call, operation, path))
        else:
            self.between.append(f"'{call.layer.address}' ({call.layer.kind})")
        return []

    def _dense(self, number: int, call: Call, operation: Operation, path: Path) -> Reader:
        """A Dense layer, or a product with a constant and what is added to it."""
        activation = operation.settings.get("activation")
        if operation.name == "dense":
            kernel, bias = operation.weights["kernel"], operation.weights.get("bias")
        else:
            matrix = call.arguments[1]
            kernel = matrix.value if isinstance(matrix, Constant) else np.zeros((0, 0))
            kernel = kernel.T if operation.settings.get("transpose_b") else kernel
            bias = next(self._added(Reference(number), kernel.shape[1]), None)
        return Reader(
            call.layer.address,
            path,
            activation if isinstance(activation, Activation) else Activation("linear"),
            kernel.astype(np.float64),
            np.zeros(kernel.shape[1]) if bias is None else bias.astype(np.float64),
        )

    def _added(self, value: Reference, size: int) -> Iterator[Array]:
        """What is added to a product alone: a constant for each output."""
        for call in self._model.calls:
            operation = call.layer.operation
            if isinstance(operation, Operation) and operation.name == "op_add":
                if value in call.arguments:
                    for other in call.arguments:
                        if isinstance(other, Constant) and other.value.size == size:
                            yield other.value.reshape(size)


def _is_dense(call: Call, value: Reference) -> bool:
    operation = call.layer.operation
    if not isinstance(operation, Operation) or call.arguments[0] != value:
        return False
    if operation.name == "dense":
        return True
    other = call.arguments[1] if len(call.arguments) == 2 else None
    return operation.name == "op_matmul" and isinstance(other, Constant) and other.value.ndim == 2


def _passed(call: Call, value: Reference, path: Path) -> Path | None:
    """The path behind a call that leaves each step what it was, or scales it; else None."""
    operation = call.layer.operation
    if not isinstance(operation, Operation):
        return None
    if operation.name == "group":  # the outputs of a nested model, each as it is
        return path
    if call.arguments[0] != value:
        return None
    settings = {**operation.settings, **call.settings}
    same = operation.name in PASSING
    if operation.name == "activation":
        held = settings.get("activation")
        same = isinstance(held, Activation) and held.name == "linear"
    if operation.name == "op_transpose":
        axes = tuple(settings.get("axes") or ())
        same = axes[-1:] == (len(axes) - 1,)
    if same:
        return path
    if operation.name == "batch_normalization":
        return _normalised(operation, path)
    if operation.name == "op_take":
        one = settings.get("axis") in (0, 1) and np.ndim(settings.get("indices", [0])) == 0
        return replace(path, one_step=True) if one and len(call.arguments) == 1 else None
    if operation.name == "op_getitem" and _takes_a_step(settings.get("key")):
        return replace(path, one_step=True)
    return None


def _normalised(operation: Operation, path: Path) -> Path | None:
    """Behind a normalisation by stored moments along the last axis, which is linear."""
    axis = np.ravel(operation.settings.get("axis", -1))
    if len(axis) != 1 or axis[0] not in (-1, 1 if path.one_step else 2):
        return None
    weights = {name: array.astype(np.float64) for name, array in operation.weights.items()}
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    scale = weights.get("gamma", 1.0) / np.sqrt(variance + operation.settings["epsilon"])
    shift = weights.get("beta", 0.0) - mean * scale
    return replace(path, scale=path.scale * scale, shift=path.shift * scale + shift)


def _takes_a_step(key: object) -> bool:
    """Whether ``x[key]`` is one step of every sequence, whole: ``x[:, -1]``, ``x[:, -1, :]``."""
    if not isinstance(key, tuple) or len(key) not in (2, 3) or not isinstance(key[1], int):
        return False
    return all(part is Ellipsis or part == slice(None) for part in (key[0], *key[2:]))
