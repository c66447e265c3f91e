"""The messages of ONNX: model, graph, node, attribute, as far as a reader of LSTMs needs them.

Why not the ``onnx`` package: it is 9 MB, needs a library for Protocol Buffers and takes 0.18 s to
import, where these readers take 0.07 s; and cutting a graph into parts takes the wire format
anyway, whose hundred lines the TensorFlow readers share.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from ..model import Array
from .protobuf import MAX_DEPTH, Message
from .reading import Problem

OWN_DOMAINS = ("", "ai.onnx")
"""The two names of ONNX's own set of operators."""

SAYS_VERSIONS = 3
"""The version of the format from which on a file says the versions of its operators."""
GRAPH, GRAPHS = 6, 11  # fields of an attribute
MAX_AXES = 64


class Port(NamedTuple):
    """A declared input or output: its name, its type's number (0 unknown), its axes.

    An axis is a size, or the name of an open one (``""`` for one without a name); None where
    nothing is said of the axes.
    """

    name: str
    type: int
    axes: tuple[int | str, ...] | None


class Attribute:
    """One attribute of a node; its value is read when it is asked for."""

    def __init__(self, view: memoryview, owner: str, depth: int) -> None:
        self.message = Message(view, f"an attribute of {owner}")
        self.name, self._owner, self._depth = self.message.text(1), owner, depth

    @property
    def is_reference(self) -> bool:
        """Whether it stands for an attribute of the function that it is in."""
        return bool(len(self.message.bytes(21)))

    @cached_property
    def graphs(self) -> tuple[Graph, ...]:
        """The graphs inside."""
        views = self.message.views(GRAPH) + self.message.views(GRAPHS)
        return tuple(
            Graph(Message(view, f"a graph in {self._owner}"), self._depth + 1) for view in views
        )


class Node:
    """One use of an operator.

    Attributes:
        view: its bytes in the file.
        op, domain: the operator; ``""`` is ONNX's own domain.
        name: ``""`` for none.
        inputs, outputs: names of values; ``""`` for one that is left out.
    """

    def __init__(self, view: memoryview, depth: int) -> None:
        message = Message(view, "a node")
        self.view = view
        self.inputs, self.outputs = tuple(message.texts(1)), tuple(message.texts(2))
        self.name, self.op = message.text(3), message.text(4)
        domain = message.text(7)
        self.domain = "" if domain in OWN_DOMAINS else domain
        self._attributes, self._depth = message.views(5), depth

    def __repr__(self) -> str:
        return f"{self.op} '{self.label}'"

    @property
    def label(self) -> str:
        """Its name, or its first output that has one."""
        return self.name or next(filter(None, self.outputs), "")

    @cached_property
    def attributes(self) -> Mapping[str, Attribute]:
        found = (Attribute(view, repr(self), self._depth) for view in self._attributes)
        return {attribute.name: attribute for attribute in found}

    @cached_property
    def graphs(self) -> tuple[Graph, ...]:
        """The graphs inside, of all its attributes."""
        return tuple(graph for each in self.attributes.values() for graph in each.graphs)

    def graph(self, name: str) -> Graph:
        """The one graph of an attribute."""
        attribute = self.attributes.get(name)
        if attribute is None or len(attribute.graphs) != 1:
            raise Problem(f"{self!r} has no graph '{name}'")
        return attribute.graphs[0]

    def integer(self, name: str, default: int) -> int:
        return self.attributes[name].message.integer(3) if name in self.attributes else default

    def real(self, name: str, default: float) -> float:
        return self.attributes[name].message.real(2) if name in self.attributes else default

    def text(self, name: str, default: str) -> str:
        return self.attributes[name].message.text(4) if name in self.attributes else default

    def integers(self, name: str) -> list[int] | None:
        return self.attributes[name].message.integers(8) if name in self.attributes else None

    def reals(self, name: str) -> Array | None:
        return self.attributes[name].message.reals(7) if name in self.attributes else None

    def texts(self, name: str) -> list[str] | None:
        return self.attributes[name].message.texts(9) if name in self.attributes else None


class Graph:
    """Nodes, the tensors that stand beside them, and what goes in and out.

    Attributes:
        nodes: in the file's order.
        tensors: the initialisers' messages, by name.
        sparse: names of the sparse initialisers, with their messages.
        inputs, outputs: as declared; inputs of old files name the initialisers too.
    """

    def __init__(self, message: Message, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            raise Problem(f"its graphs stand in each other more than {MAX_DEPTH} deep")
        self.nodes = [Node(view, depth) for view in message.views(1)]
        tensors = message.messages(5, "an initialiser")
        self.tensors = {tensor.text(8): tensor for tensor in tensors}
        sparse = message.messages(15, "a sparse initialiser")
        self.sparse = {each.message(1, "its values").text(8): each for each in sparse}
        self.inputs = [_port(each) for each in message.messages(11, "an input")]
        self.outputs = [_port(each) for each in message.messages(12, "an output")]

    @cached_property
    def free_names(self) -> tuple[str, ...]:
        """What it reads of the graphs around it, in the order of use."""
        made = {*self.tensors, *self.sparse, *(port.name for port in self.inputs)}
        made.update(name for node in self.nodes for name in node.outputs)
        read = [name for node in self.nodes for name in reads(node)]
        read += [port.name for port in self.outputs]
        return tuple(dict.fromkeys(name for name in read if name and name not in made))


def reads(node: Node) -> tuple[str, ...]:
    """The names that a node reads: its inputs, and what graphs inside it take from around it."""
    return (*node.inputs, *(name for graph in node.graphs for name in graph.free_names))


def _port(message: Message) -> Port:
    name, kind = message.text(1), message.message(2, "a type")
    if not kind.has(1):  # a sequence, a map or an optional value
        return Port(name, 0, None)
    tensor = kind.message(1, "a tensor's type")
    if not tensor.has(2):
        return Port(name, tensor.integer(1), None)
    axes: list[int | str] = []
    for axis in tensor.message(2, "a shape").messages(1, "an axis"):
        size = axis.integer(1, -1)
        axes.append(size if size >= 0 and axis.has(1) else axis.text(2))
    if len(axes) > MAX_AXES:
        raise Problem(f"'{name}' has {len(axes)} axes; at most {MAX_AXES} are read")
    return Port(name, tensor.integer(1), tuple(axes))


class Function:
    """An operator that the file itself makes of others.

    Attributes:
        key: its domain and name.
        inputs, outputs: names of the values that go in and out.
        nodes: what it is made of.
        opsets: the versions of the operators that it uses, by domain.
    """

    def __init__(self, message: Message) -> None:
        self.key = (message.text(10), message.text(1))
        self.inputs, self.outputs = message.texts(4), message.texts(5)
        self.nodes = [Node(view, 0) for view in message.views(7)]
        self.opsets = _opsets(message.messages(9, "a version of operators"))


def _opsets(messages: list[Message]) -> dict[str, int]:
    named = ((each.text(1), each.integer(2)) for each in messages)
    return {"" if domain in OWN_DOMAINS else domain: version for domain, version in named}


class File:
    """A whole file.

    Attributes:
        message: the ModelProto.
        graph: its graph.
        opsets: the versions of the operators that it uses, by domain.
        functions: by domain and name.
    """

    def __init__(self, view: memoryview) -> None:
        """Read the structure of a file; tensors stay where they are.

        Raises:
            Problem: if the bytes are no model.
        """
        self.message = Message(view, "the file")
        if not self.message.has(7):
            raise Problem("the file holds no graph; it may be cut short")
        self.graph = Graph(self.message.message(7, "the graph"))
        self.opsets = _opsets(self.message.messages(8, "a version of operators"))
        if not self.opsets and self.message.integer(1) >= SAYS_VERSIONS:
            raise Problem("it does not say which operators it uses; it may be cut short")
        functions = map(Function, self.message.messages(25, "a function"))
        self.functions = {function.key: function for function in functions}

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators; files of the first version do not say it."""
        return self.opsets.get("", 1)

    @property
    def writer(self) -> str:
        """What wrote it, and the version of its operators."""
        names = f"{self.message.text(2)} {self.message.text(3)}".strip()
        return f"{names or 'an unnamed program'}, ONNX opset {self.opset}"
