"""How layers are connected: calls in an order that can be computed, inputs, outputs, the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import AmbiguousNameError, NoSuchNameError
from .cells import Array
from .layers import Layer


@dataclass(frozen=True, slots=True)
class Reference:
    """Output number ``output`` of call number ``call``."""

    call: int
    output: int = 0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant:
    """A value that stands in the file where a tensor could stand."""

    value: Array


Argument = Reference | Constant


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call:
    """One use of a layer.

    Attributes:
        layer: the layer.
        index: which of the layer's calls this is, from 0.
        arguments: its inputs, in order.
        initial_state: for a recurrent layer, the states passed to it, in the framework's order.
        mask: an explicit mask, which replaces the implicit one; None keeps the implicit one.
        mask_handed_on: whether later layers see the explicit mask too, not the implicit one.
        lengths: how many steps each sequence has, (B,), where the graph computes it.
        condition: the call is made only where this value is as said; its results, and those of
            every call that needs them, are missing otherwise.
        settings: of this call alone, beside those of the layer's operation.
    """

    layer: Layer
    index: int = 0
    arguments: tuple[Argument, ...] = ()
    initial_state: tuple[Argument, ...] = ()
    mask: Argument | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    mask_handed_on: bool = False
    lengths: Argument | None = None
    condition: tuple[Reference, bool] | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the model.

    Attributes:
        name: as in the file.
        shape: as declared, None for an open axis; None if unknown.
        dtype: as declared: ``float32``, ``int64``; ``""`` for any.
        call: the number of its call.
        batch_axis: which axis holds the sequences; None for an input that is none of them.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str
    call: int
    batch_axis: int | None = 0


@dataclass(frozen=True, slots=True)
class Output:
    """An output of the model.

    Attributes:
        name: the layer it comes from, or the file's own name for it.
        reference: where it is computed.
        shape: as declared, None for an open axis; None if unknown.
        batch_axis: which axis holds the sequences, where the file's graph tells; None otherwise.
        steps_axis: which axis holds their steps, where it tells and there is one.
    """

    name: str
    reference: Reference
    shape: tuple[int | None, ...] | None = None
    batch_axis: int | None = None
    steps_axis: int | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Model:
    """A model read from a file.

    Attributes:
        path: the file.
        format: the container, in words: ``Keras HDF5, whole model``.
        written_by: the framework and version, as far as the file says.
        layers: every layer, in the file's order.
        calls: how they are connected, in an order that can be computed; empty without a graph.
        inputs, outputs: in the file's order.
        assumptions: everything assumed or inferred, a sentence each.
        no_graph: why there is no graph, as a clause; empty where there is one.
        takes_architecture: whether a JSON architecture can give the file its graph.
    """

    path: str
    format: str
    written_by: str
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    assumptions: tuple[str, ...] = ()
    no_graph: str = ""
    takes_architecture: bool = False

    def __repr__(self) -> str:
        return f"<Model {self.path}: {self.written_by}, {len(self.layers)} layers>"

    @property
    def has_graph(self) -> bool:
        """Whether the file says how its layers are connected."""
        return bool(self.outputs)

    @property
    def lstm_layers(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.is_lstm)

    def calls_of(self, layer: Layer) -> tuple[int, ...]:
        """Numbers of the calls of ``layer``, in order."""
        return tuple(k for k, call in enumerate(self.calls) if call.layer is layer)

    def find(self, name: str) -> Layer:
        """The layer with this address, or with an address that ends in it after ``/`` or ``.``.

        Raises:
            NoSuchNameError: if there is none; lists all, nearest first.
            AmbiguousNameError: if several end so.
        """
        for layer in self.layers:
            if layer.address == name:
                return layer
        ends = ("/" + name, "." + name)
        found = [layer for layer in self.layers if name and layer.address.endswith(ends)]
        if not found:
            raise NoSuchNameError("layer", name, (layer.address for layer in self.layers))
        if len(found) > 1:
            raise AmbiguousNameError("layer", name, (layer.address for layer in found))
        return found[0]
