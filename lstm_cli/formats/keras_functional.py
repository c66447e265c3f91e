"""Functional Keras models: which calls their nodes stand for, in computable order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..model import Argument
from .keras_config import LayerConfig
from .keras_nodes import Node, TensorRef, parse_node
from .reading import Problem, Settings, as_list, describe

Apply = Callable[[LayerConfig, Node], list[Argument]]


class InputSpec(NamedTuple):
    """An input of a model: its name, declared shape with None for an open axis, and dtype."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str


def endpoints(config: LayerConfig, key: str) -> list[TensorRef]:
    """``input_layers`` or ``output_layers``: a list, a single entry, or nested lists and dicts."""
    found: list[TensorRef] = []
    stack = [config.settings.get(key)]
    while stack:
        value = stack.pop()
        if (
            isinstance(value, list)
            and len(value) == 3
            and isinstance(value[0], str)
            and all(isinstance(n, int) for n in value[1:])
        ):
            found.append(TensorRef(value[0], value[1], value[2]))
        elif isinstance(value, (list, dict)):
            stack.extend(reversed(list(value.values()) if isinstance(value, dict) else value))
        else:
            raise Problem(f"'{key}' of {config.owner} has an unknown entry: {describe(value)}")
    if not found:
        raise Problem(f"{config.owner} has no '{key}'")
    return found


def input_specs(config: LayerConfig) -> list[InputSpec]:
    """The inputs that a model takes, in the file's order."""
    if config.class_name != "Sequential":
        layers = {layer.name: layer for layer in config.sublayers}
        specs = []
        for ref in endpoints(config, "input_layers"):
            if ref.layer not in layers:
                raise Problem(f"{config.owner} has no layer '{ref.layer}' for its input")
            specs.append(_spec(layers[ref.layer], ref.layer))
        return specs
    if not config.sublayers:
        raise Problem(f"{config.owner} has no layers")
    first = config.sublayers[0]
    if first.class_name == "InputLayer":
        return [_spec(first, first.name)]
    inner = first
    if first.class_name == "Merge" and first.sublayers:
        return [spec for branch in first.sublayers for spec in input_specs(branch)]
    if first.is_model:
        return input_specs(first)
    spec = _spec(inner, f"{first.name}_input")
    if spec.shape is None:
        spec = spec._replace(shape=_shape(config.settings, "build_input_shape", config))
    return [spec]


def _spec(layer: LayerConfig, name: str) -> InputSpec:
    shape = None
    for key in ("batch_shape", "batch_input_shape"):
        shape = shape or _shape(layer.settings, key, layer)
    dtype = layer.settings.get("input_dtype") or layer.settings.get("dtype")
    if layer.class_name == "Embedding":
        dtype = "int32"
        length = layer.settings.get("input_length")
        if shape is None and isinstance(length, int):
            shape = (None, length)
    return InputSpec(name, shape, dtype if isinstance(dtype, str) else "float32")


def _shape(settings: Settings, key: str, layer: LayerConfig) -> tuple[int | None, ...] | None:
    raw = settings.get(key)
    if raw is None:
        return None
    values = as_list(raw, f"'{key}' of {layer.owner}")
    if not all(
        n is None or (isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**31)
        for n in values
    ):
        raise Problem(f"'{key}' of {layer.owner} is not a shape: {describe(raw)}")
    return tuple(values) or None


class Nodes:
    """The calls of one functional model, resolved in an order that can be computed.

    Args:
        config: the model.
        start: calls an input layer on what the model is given.
        apply: calls a layer on the values of a node.
    """

    def __init__(self, config: LayerConfig, start: Apply, apply: Apply) -> None:
        self.config, self._start, self._apply = config, start, apply
        self.layers = {layer.name: layer for layer in config.sublayers}
        if len(self.layers) != len(config.sublayers):
            raise Problem(f"{config.owner} has two layers of the same name")
        names = set(self.layers)
        self.nodes = {
            layer.name: [parse_node(raw, layer.owner, names) for raw in layer.nodes]
            for layer in config.sublayers
        }
        self._shift = self._shifts()
        self._values: dict[tuple[str, int], list[Argument]] = {}

    def _shifts(self) -> dict[str, int]:
        """References to a nested model start at 1 before Keras 3: its own creation counts as 0.

        Keras 3 does so in ``output_layers`` alone, and not for a Sequential.
        """
        shift = dict.fromkeys(self.layers, 0)
        found = [
            ref for nodes in self.nodes.values() for node in nodes for ref in node.references()
        ]
        for ref in [*found, *endpoints(self.config, "output_layers")]:
            layer = self.layers.get(ref.layer)
            if layer is None:
                raise Problem(
                    f"{self.config.owner} refers to a layer '{ref.layer}' it does not have"
                )
            if self._from_keras3(layer):
                continue
            if layer.class_name != "InputLayer" and ref.node == len(self.nodes[ref.layer]):
                shift[ref.layer] = 1
        return shift

    def _from_keras3(self, layer: LayerConfig) -> bool:
        return any(node.separate for node in self.nodes[layer.name])

    def _outputs(self) -> list[TensorRef]:
        """``output_layers``, its references to nested models counted from 0."""
        return [
            ref._replace(node=ref.node - 1)
            if self._from_keras3(self.layers[ref.layer])
            and self.layers[ref.layer].class_name in ("Functional", "Model")
            else ref
            for ref in endpoints(self.config, "output_layers")
        ]

    def unfold(self, tensors: list[Argument]) -> list[Argument]:
        """Call everything; the values of the model's outputs."""
        for ref, tensor in zip(endpoints(self.config, "input_layers"), tensors, strict=True):
            self._values[ref.layer, 0] = self._start(self.layers[ref.layer], Node([tensor]))
        for name, nodes in self.nodes.items():
            for k in range(len(nodes)):
                self._resolve((name, k))
        return [self._value(ref) for ref in self._outputs()]

    def _key(self, ref: TensorRef) -> tuple[str, int]:
        node = ref.node - self._shift[ref.layer]
        if self.layers[ref.layer].class_name == "InputLayer":
            node = 0
        return ref.layer, node

    def _value(self, ref: TensorRef) -> Argument:
        values = self._values.get(self._key(ref))
        if values is None or not 0 <= ref.tensor < len(values):
            raise Problem(f"{self.config.owner} refers to {list(ref)}, which is never computed")
        return values[ref.tensor]

    def _resolve(self, wanted: tuple[str, int]) -> None:
        """Call ``wanted`` after everything it depends on, without recursion."""
        stack: list[tuple[str, int]] = [wanted]
        started: set[tuple[str, int]] = set()
        while stack:
            name, k = key = stack[-1]
            if key in self._values:
                stack.pop()
                continue
            if not 0 <= k < len(self.nodes[name]):
                raise Problem(
                    f"{self.config.owner} refers to call {k} of '{name}', which is not there"
                )
            node = self.nodes[name][k]
            missing = {self._key(ref) for ref in node.references()} - set(self._values)
            started.add(key)
            if missing & started:
                raise Problem(f"the layers of {self.config.owner} form a circle around '{name}'")
            if missing:
                stack.extend(sorted(missing))
                continue
            self._values[key] = self._apply(self.layers[name], self._filled(node))

    def _filled(self, node: Node) -> Node:
        """The node with every reference to a tensor replaced by the value it stands for."""
        return Node(self._fill(node.args), self._fill(node.kwargs), node.separate)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, TensorRef):
            return self._value(value)
        if isinstance(value, list):
            return [self._fill(entry) for entry in value]
        if isinstance(value, tuple):
            return tuple(self._fill(entry) for entry in value)
        if isinstance(value, dict):
            return {key: self._fill(entry) for key, entry in value.items()}
        return value
