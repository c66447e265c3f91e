"""What there is to compute in an ONNX file: values, the steps that make them, where names hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .onnx_proto import Node
from .protobuf import Message

Kind = Literal["lstm", "operator", "refused", "join", "guard"]


@dataclass(slots=True, eq=False, repr=False)
class Value:
    """One value: of an input, an initialiser, or an output of a step.

    Attributes:
        name: as in its scope.
        scope: where it is made.
        step: what makes it; None for an input or an initialiser.
        slot: which output of the step it is.
        tensor: the initialiser's message.
        sparse: whether that is a sparse tensor's.
    """

    name: str
    scope: Scope
    step: Step | None = None
    slot: int = 0
    tensor: Message | None = None
    sparse: bool = False

    @property
    def is_input(self) -> bool:
        return self.step is None and self.tensor is None


@dataclass(slots=True, eq=False, repr=False)
class Scope:
    """A graph whose names mean the same everywhere in it.

    Attributes:
        parent: the scope around it, whose names are seen here; None for the whole file and for
            functions.
        path: names of the nodes that it stands in, outermost first.
        condition: what must hold for its steps to be computed.
        names: the values made here, or passed in.
    """

    parent: Scope | None
    path: tuple[str, ...] = ()
    condition: tuple[Value, bool] | None = None
    names: dict[str, Value] = field(default_factory=dict)

    def find(self, name: str) -> Value | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None


@dataclass(slots=True, eq=False, repr=False)
class Step:
    """One thing to compute.

    Attributes:
        kind: an LSTM, any other operator, a node that is refused, a ``join`` of what the branches
            of an If return, or a ``guard``: a value that is there only under the scope's condition.
        scope: where its names are looked up.
        node: the node; for a join or a guard, the one that it belongs to.
        inputs: its values, None for those left out; in the node's own order.
        captured: what graphs inside the node take from around it, by the names they use.
        outputs: the values it makes, None for those left out.
        reason: why a node is refused.
    """

    kind: Kind
    scope: Scope
    node: Node
    inputs: list[Value | None]
    captured: dict[str, Value] = field(default_factory=dict)
    outputs: list[Value | None] = field(default_factory=list)
    reason: str = ""

    @property
    def reads(self) -> list[Value]:
        return [value for value in self.inputs if value is not None] + list(self.captured.values())

    @property
    def named_reads(self) -> list[tuple[str, Value]]:
        """The values that it reads, under the names that the node has for them."""
        named = zip(self.node.inputs, self.inputs, strict=False)
        found = [(name, value) for name, value in named if value is not None]
        return found + list(self.captured.items())
