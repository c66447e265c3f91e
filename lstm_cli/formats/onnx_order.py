"""Going through the nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

from .onnx_proto import Attribute, Graph, Node, reads
from .protobuf import Message
from .reading import Problem


def every_node(graph: Graph) -> Iterator[Node]:
    """The nodes of a graph, and of all graphs inside it."""
    for node in graph.nodes:
        yield node
        for inner in node.graphs:
            yield from every_node(inner)


def every_attribute(node: Node) -> Iterator[Attribute]:
    """The attributes of a node, and of all nodes inside it."""
    yield from node.attributes.values()
    for graph in node.graphs:
        for inner in graph.nodes:
            yield from every_attribute(inner)


def every_tensor(node: Node) -> Iterator[Message]:
    """The tensors that stand in a node's attributes, and in all graphs inside it."""
    for attribute in node.attributes.values():
        message = attribute.message
        yield from message.messages(5, "a tensor in a node")
        yield from message.messages(10, "a tensor in a node")
        sparse = [
            *message.messages(22, "a sparse tensor"),
            *message.messages(23, "a sparse tensor"),
        ]
        for graph in attribute.graphs:
            yield from graph.tensors.values()
            sparse += graph.sparse.values()
            for inner in graph.nodes:
                yield from every_tensor(inner)
        for each in sparse:
            yield each.message(1, "its values")
            yield each.message(2, "its places")


def in_order(nodes: Sequence[Node]) -> list[Node]:
    """Nodes such that each one comes after what it reads; the file's own order where that is so.

    Raises:
        Problem: if nodes need each other.
    """
    makers = {name: k for k, node in enumerate(nodes) for name in node.outputs if name}
    waiting = [
        {makers[name] for name in reads(node) if name in makers} - {k}
        for k, node in enumerate(nodes)
    ]
    for node in nodes:
        if set(reads(node)) & {name for name in node.outputs if name}:
            raise Problem(f"{node!r} reads what it makes itself")
    users: dict[int, list[int]] = {}
    for k, needed in enumerate(waiting):
        for maker in needed:
            users.setdefault(maker, []).append(k)
    ready = [k for k, needed in enumerate(waiting) if not needed]
    heapify(ready)
    ordered = []
    while ready:
        k = heappop(ready)
        ordered.append(nodes[k])
        for user in users.get(k, ()):
            waiting[user].discard(k)
            if not waiting[user]:
                heappush(ready, user)
    if len(ordered) < len(nodes):
        stuck = next(node for k, node in enumerate(nodes) if waiting[k])
        raise Problem(f"its nodes need each other in a circle; {stuck!r} is one of them")
    return ordered
