"""A Keras architecture with its arrays, as a flat model: layers, and calls in computable order.

Nested models are unfolded: their layers get addresses such as ``outer/lstm``, and a call of a
model becomes calls of its layers. A TimeDistributed wrapper becomes a mark on the layers inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..model import (
    Argument,
    Array,
    Call,
    Input,
    Layer,
    Operation,
    Output,
    Recurrent,
    Reference,
    Unsupported,
    parameter_count,
)
from .keras_config import LayerConfig
from .keras_era import Era
from .keras_functional import Nodes, input_specs
from .keras_int8 import is_quantised
from .keras_layers import KINDS, build_operation
from .keras_naming import dtype_name, kind_of, why_unsupported
from .keras_nodes import Node
from .keras_op_layers import (
    arguments_in,
    call_settings,
    is_op_layer,
    mask_of,
    op_call,
    states_of,
    tensors_of,
)
from .keras_recurrent import build_recurrent, cell_configs, is_recurrent
from .keras_windows import differs_by_backend
from .reading import NotComputed, Problem

HALF_PRECISION = {
    "float16": "5e-4",
    "mixed_float16": "5e-4",
    "bfloat16": "5e-3",
    "mixed_bfloat16": "5e-3",
}
"""And by how much what the framework computes in it typically differs."""

DTYPES = {"float32", "float64", *HALF_PRECISION}
MANY = 64
MAX_CALLS = 50_000
"""Above any real model; models that call each other twice, 30 deep, would go on for ever."""

Weights = Mapping[int, list[Array]]
"""The arrays of each config that holds some, by the config's ``id``."""


@dataclass(slots=True)
class Graph:
    """The flat model under construction."""

    era: Era
    weights: Weights
    layers: list[Layer] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    _known: dict[int, Layer] = field(default_factory=dict)
    _counts: dict[int, int] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Something assumed, once."""
        self.notes[text] = None

    # -- layers

    def layer(self, config: LayerConfig, address: str, distributed: int) -> Layer:
        """The layer of a config; made at its first call."""
        if id(config) not in self._known:
            self._known[id(config)] = self._make(config, address, distributed)
            self.layers.append(self._known[id(config)])
        return self._known[id(config)]

    def _make(self, config: LayerConfig, address: str, distributed: int) -> Layer:
        inner = config
        while inner.class_name == "TimeDistributed":
            inner, distributed = inner.sublayers[0], distributed + 1
        arrays = [array for leaf in inner.walk() for array in self.weights.get(id(leaf), [])]
        operation: Recurrent | Operation | Unsupported
        try:
            if is_recurrent(inner):
                cells = [self.weights.get(id(cell), []) for cell in cell_configs(inner)]
                operation = build_recurrent(inner, cells, self.era)
            elif inner is not config and is_quantised(inner):
                # Keras 3.15: TimeDistributed calls the layer past the code that knows of scales.
                raise NotComputed("quantised weights under a TimeDistributed are not computed")
            elif inner.class_name in KINDS:
                operation = build_operation(inner, self.weights.get(id(inner), []), self.era)
            else:
                operation = Unsupported(why_unsupported(inner))
        except NotComputed as reason:
            operation = Unsupported(str(reason))
        except ShapeError as error:
            raise Problem(f"{inner.owner}: {error}") from error
        self._note_unsaved(inner, address)
        if is_quantised(inner) and isinstance(operation, Operation):
            self.note(
                f"{inner.owner}: its int8 weights are multiplied out; the framework also rounds "
                "what comes in to 8 bits, so its own results differ by about 1e-3"
            )
        dtype = self._dtype(inner, arrays)
        trainable = config.settings.boolean("trainable", True)
        return Layer(
            address=address,
            kind=kind_of(config),
            operation=operation,
            dtype=dtype,
            parameters=parameter_count(*arrays),
            trainable=trainable,
            distributed=distributed,
            wrapper_mask=self.era.wrapper_mask if inner is not config else "",
        )

    def _note_unsaved(self, config: LayerConfig, address: str) -> None:
        """What the numbers of a layer depend on, and the file cannot say."""
        era = self.era
        if era.is_keras3 and not (era.backend or era.integers) and differs_by_backend(config, era):
            self.note(
                f"{address}: computed as the TensorFlow and JAX backends do; PyTorch's counts "
                "what it pads with where that is uneven, and nothing in the file tells them apart"
            )
        if config.class_name == "Normalization" and era.saves_no_invert:
            self.note(
                f"{address}: read as not inverted; TensorFlow before 2.13 does not save `invert`"
            )

    def _dtype(self, config: LayerConfig, arrays: list[Array]) -> str:
        name = dtype_name(config.settings.get("dtype"))
        if name in HALF_PRECISION:
            self.note(
                f"{config.owner}: saved as {name}; computed in float32, so the framework's own "
                f"half-precision results differ by about {HALF_PRECISION[name]}"
            )
            return "float32"
        if name in DTYPES:
            return name
        floats = [array.dtype for array in arrays if array.dtype.kind == "f"]
        if not floats:
            return ""
        return "float64" if np.dtype(np.float64) in floats else "float32"

    # -- calls

    def call(
        self,
        layer: Layer,
        arguments: Sequence[Argument],
        states: Sequence[Argument] = (),
        mask: Argument | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Argument]:
        """Add a call; the values it returns.

        Raises:
            Problem: if a layer other than an input is called on nothing that the model computes,
                or there is no end of calls.
        """
        known = layer.kind != "Input" and not isinstance(layer.operation, Unsupported)
        if known and not any(isinstance(argument, Reference) for argument in arguments):
            raise Problem(f"layer '{layer.address}' ({layer.kind}) is called on no tensor")
        if len(self.calls) >= MAX_CALLS:
            raise Problem(f"its layers are called more than {MAX_CALLS:,} times")
        index = self._counts.get(id(layer), 0)
        self._counts[id(layer)] = index + 1
        found = Call(
            layer,
            index,
            tuple(arguments),
            tuple(states),
            mask,
            settings or {},
            mask_handed_on=self.era.explicit_masks_stay,
        )
        self.calls.append(found)
        number = len(self.calls) - 1
        return [Reference(number, k) for k in range(output_count(found))]

    def apply(
        self, config: LayerConfig, node: Node, address: str, distributed: int
    ) -> list[Argument]:
        """Call a layer, a wrapper or a model; the values it returns."""
        if config.class_name == "TimeDistributed" and config.sublayers[0].is_model:
            return self._distributed_model(config, tensors_of(node), address, distributed)
        if config.is_model:
            return self._nested(config, tensors_of(node), address, distributed)
        if is_op_layer(config, self.era):
            return self._op(config, node, address, distributed)
        if config.class_name == "Merge" and config.sublayers:
            return self._branches(config, tensors_of(node), address, distributed)
        layer = self.layer(config, address, distributed)
        tensors, states = tensors_of(node), states_of(node)
        if layer.recurrent is not None and len(tensors) > 1:
            tensors, states = tensors[:1], tensors[1:] + states
        try:
            mask, settings = mask_of(node), call_settings(config, node)
        except NotComputed as reason:
            layer = replace(layer, operation=Unsupported(str(reason)))
            return self.call(layer, tensors)
        return self.call(layer, tensors, states, mask, settings)

    def _nested(
        self, config: LayerConfig, tensors: list[Argument], address: str, distributed: int
    ) -> list[Argument]:
        """Unfold a model; a last call gathers its outputs under the model's own address."""
        group = self._group(config, address, "group", distributed)
        results = self.unfold(config, tensors, f"{address}/", distributed)
        return self.call(group, results)

    def _distributed_model(
        self, config: LayerConfig, tensors: list[Argument], address: str, distributed: int
    ) -> list[Argument]:
        """As a nested model, and the mask of what comes out follows the wrapper's own rule."""
        group = self._group(config, address, "time_distributed_model", distributed + 1)
        inner = config.sublayers[0]
        results = self.unfold(inner, tensors, f"{address}/", distributed + 1)
        if len(results) != 1:
            raise Problem(f"{config.owner} wraps a model with several outputs, which is not read")
        return self.call(group, [results[0], *tensors[:1]])

    def _group(self, config: LayerConfig, address: str, name: str, distributed: int) -> Layer:
        if id(config) not in self._known:
            wrapped = "" if config.is_model else self.era.wrapper_mask
            layer = Layer(
                address,
                kind_of(config),
                Operation(name),
                dtype="",
                distributed=distributed,
                wrapper_mask=wrapped,
            )
            self._known[id(config)] = layer
            self.layers.append(layer)
        return self._known[id(config)]

    def _branches(
        self, config: LayerConfig, tensors: list[Argument], address: str, distributed: int
    ) -> list[Argument]:
        """A Keras 1 Merge that stands first in a Sequential, with a branch model an input."""
        prefix = address[: len(address) - len(config.name)]
        results: list[Argument] = []
        for branch in config.sublayers:
            count = len(input_specs(branch))
            results += self.unfold(branch, tensors[:count], prefix, distributed)
            tensors = tensors[count:]
        return self.call(self.layer(config, address, distributed), results)

    def _op(
        self, config: LayerConfig, node: Node, address: str, distributed: int
    ) -> list[Argument]:
        operation: Operation | Unsupported
        try:
            operation, arguments = op_call(config, node)
        except NotComputed as reason:
            operation, arguments = Unsupported(str(reason)), list(arguments_in(node.args))
        if id(config) not in self._known:
            bare = Operation(operation.name) if isinstance(operation, Operation) else operation
            self._known[id(config)] = Layer(
                address, config.kind, bare, dtype="", distributed=distributed
            )
            self.layers.append(self._known[id(config)])
        settings = operation.settings if isinstance(operation, Operation) else {}
        return self.call(self._known[id(config)], arguments, settings=settings)

    # -- models

    def unfold(
        self, config: LayerConfig, tensors: Sequence[Argument], prefix: str, distributed: int = 0
    ) -> list[Argument]:
        """Call the layers of a model on ``tensors``; the model's outputs."""
        wanted = len(input_specs(config))
        if len(tensors) != wanted:
            raise Problem(f"{config.owner} takes {wanted} inputs, but is given {len(tensors)}")
        if config.class_name == "Sequential":
            return self._sequential(config, list(tensors), prefix, distributed)

        def start(layer: LayerConfig, node: Node) -> list[Argument]:
            return self.call(self.layer(layer, prefix + layer.name, distributed), tensors_of(node))

        def apply(layer: LayerConfig, node: Node) -> list[Argument]:
            return self.apply(layer, node, prefix + layer.name, distributed)

        return Nodes(config, start, apply).unfold(list(tensors))

    def _sequential(
        self, config: LayerConfig, values: list[Argument], prefix: str, distributed: int
    ) -> list[Argument]:
        for layer in config.sublayers:
            values = self.apply(layer, Node([values]), prefix + layer.name, distributed)
            if isinstance(self.calls[-1].layer.operation, Unsupported):
                values = values[:1]  # what the next layer takes
        return values


def output_count(call: Call) -> int:
    """How many values a call returns; more than enough where we cannot compute it."""
    operation = call.layer.operation
    if isinstance(operation, Recurrent):
        return len(operation.output_names)
    if not isinstance(operation, Operation) or operation.name in ("op_split", "op_unstack"):
        return MANY
    if operation.name == "group":
        return len(call.arguments)
    return 2 if call.settings.get("return_attention_scores") else 1
