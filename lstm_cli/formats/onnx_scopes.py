"""The nodes of an ONNX file in one computable list, with its conditions and functions unfolded.

A graph inside an ``If`` that holds an LSTM, and a function that does, is unfolded into steps of the
list, each with the scope it belongs to. Every other graph stays inside its node.

Source: https://github.com/onnx/onnx/blob/main/docs/IR.md, for what names mean where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..model import Array
from .onnx_order import every_attribute, every_node, in_order
from .onnx_proto import File, Function, Graph, Node, reads
from .onnx_steps import Kind, Scope, Step, Value
from .protobuf import MAX_DEPTH
from .reading import Problem

LSTM_OPERATORS = {("", "LSTM"), ("com.microsoft", "DynamicQuantizeLSTM")}
LOOPS = ("Loop", "Scan", "SequenceMap")
MAX_STEPS = 2**17
MAX_CALLS = 2**10
"""Of functions: far above any model, and low enough for functions that call others twice."""


class Unfolder:
    """Makes the list of steps of a file.

    Attributes:
        steps: the list.
        notes: which conditions were settled, a sentence each.
    """

    def __init__(self, file: File, constant: Callable[[Value], Array | None]) -> None:
        """``constant`` gives the value of what does not depend on the model's inputs."""
        self.file, self._constant = file, constant
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self._called = 0
        self._hides: dict[int, bool] = {}
        self.top = Scope(None)

    def unfold(self) -> list[Step]:
        """All steps, in an order that can be computed.

        Raises:
            Problem: if nodes read what nothing makes, or need each other.
        """
        graph = self.file.graph
        for port in graph.inputs:
            if port.name not in graph.tensors:
                self.top.names[port.name] = Value(port.name, self.top)
        self._graph(graph, self.top, 0)
        return self.steps

    def _graph(self, graph: Graph, scope: Scope, depth: int) -> None:
        for tensors, sparse in ((graph.tensors, False), (graph.sparse, True)):
            for name, tensor in tensors.items():
                if scope.parent is not None and scope.find(name) is not None:
                    raise Problem(
                        f"'{name}' is made twice, the second time inside {scope.path[-2]}"
                    )
                scope.names[name] = Value(name, scope, tensor=tensor, sparse=sparse)
        self._nodes(graph.nodes, scope, depth)

    def _nodes(self, nodes: Sequence[Node], scope: Scope, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Problem(
                f"its graphs and functions stand in each other more than {MAX_DEPTH} deep"
            )
        for node in in_order(nodes):
            if len(self.steps) >= MAX_STEPS:
                raise Problem(f"it has more than {MAX_STEPS:,} nodes")
            function = self.file.functions.get((node.domain, node.op))
            if (node.domain, node.op) in LSTM_OPERATORS:
                self._step("lstm", node, scope)
            elif node.op in LOOPS and not node.domain:
                reason = self._loop_reason(node)
                self._step("refused" if reason else "operator", node, scope, reason)
            elif not self.holds_lstm(node):
                self._step("operator", node, scope)
            elif function is not None:
                self._function(function, node, scope, depth)
            elif node.op == "If" and not node.domain:
                self._if(node, scope, depth)
            else:
                told = f"holds an LSTM inside a {node.op}, which is not unfolded"
                self._step("refused", node, scope, told)

    # -- what is inside

    def holds_lstm(self, node: Node) -> bool:
        """Whether an LSTM stands anywhere inside a node, or a loop that may hide one."""
        return any(self._graph_holds(inner, 0) for inner in self._inside(node))

    def _inside(self, node: Node) -> Iterator[Sequence[Node]]:
        for graph in node.graphs:
            yield graph.nodes
        function = self.file.functions.get((node.domain, node.op))
        if function is not None:
            yield function.nodes

    def _graph_holds(self, nodes: Sequence[Node], depth: int) -> bool:
        if depth > MAX_DEPTH:
            raise Problem(
                f"its graphs and functions stand in each other more than {MAX_DEPTH} deep"
            )
        if id(nodes) not in self._hides:
            self._hides[id(nodes)] = any(
                (node.domain, node.op) in LSTM_OPERATORS
                or (node.op in LOOPS and not node.domain and self._loop_reason(node))
                or any(self._graph_holds(inner, depth + 1) for inner in self._inside(node))
                for node in nodes
            )
        return self._hides[id(nodes)]

    def _loop_reason(self, node: Node) -> str:
        """Why a loop is refused; ``""`` where it is not."""
        if any(self._graph_holds(graph.nodes, 1) for graph in node.graphs):
            return f"a {node.op} around an LSTM, whose rounds are not unfolded"
        found = {each.op for graph in node.graphs for each in every_node(graph)}
        if {"Sigmoid", "Tanh"} <= found and found & {"MatMul", "Gemm"}:
            return (
                f"a {node.op} that may hide an LSTM: tf2onnx writes the LSTM layers of Keras so "
                "where they are masked; the Keras file itself can be opened"
            )
        return ""

    # -- unfolding

    def _step(self, kind: Kind, node: Node, scope: Scope, reason: str = "") -> Step:
        inputs = [self._value(name, node, scope) if name else None for name in node.inputs]
        inner = [name for name in reads(node)[len(node.inputs) :] if name]
        captured = {name: self._value(name, node, scope) for name in inner}
        step = Step(kind, scope, node, inputs, captured, reason=reason)
        step.outputs = [self._made(name, step, k) for k, name in enumerate(node.outputs)]
        self.steps.append(step)
        return step

    def _value(self, name: str, node: Node, scope: Scope) -> Value:
        found = scope.find(name)
        if found is None:
            raise Problem(f"{node!r} reads '{name}', which nothing in the file makes")
        return found

    def _made(self, name: str, step: Step, slot: int) -> Value | None:
        if not name:
            return None
        if step.scope.find(name) is not None:
            raise Problem(f"'{name}' is made twice, the second time by {step.node!r}")
        step.scope.names[name] = Value(name, step.scope, step, slot)
        return step.scope.names[name]

    def _guard(self, value: Value, node: Node, scope: Scope) -> Value:
        """A value that is there only where the condition of a scope holds."""
        step = Step("guard", scope, node, [value])
        made = Value(value.name, scope, step)
        step.outputs = [made]
        self.steps.append(step)
        return made

    def _if(self, node: Node, scope: Scope, depth: int) -> None:
        names = [name for name in node.inputs if name]
        if len(names) != 1:
            raise Problem(f"{node!r} should read one condition, found {len(names)}")
        condition = self._value(names[0], node, scope)
        settled = self._constant(condition)
        if settled is not None and settled.size == 1:
            which = "then" if settled.all() else "else"
            self.notes.append(f"{node.label}: its condition is always {bool(settled.all())}")
            values = self._branch(node, which, scope, scope.condition, depth)
            for name, value in zip(node.outputs, values, strict=True):
                self._join(name, [value], node, scope)
            return
        if scope.condition is not None and condition.scope is not scope:
            condition = self._guard(condition, node, scope)
        branches = []
        for which, truth in (("then", True), ("else", False)):
            values = self._branch(node, which, scope, (condition, truth), depth)
            branches.append(values)
        for name, *either in zip(node.outputs, *branches, strict=True):
            self._join(name, either, node, scope)

    def _branch(
        self,
        node: Node,
        which: str,
        scope: Scope,
        condition: tuple[Value, bool] | None,
        depth: int,
    ) -> list[Value]:
        """Unfold a branch of an If; what it returns, there only under the condition."""
        inner = Scope(scope, (*scope.path, node.label, which), condition)
        graph = node.graph(f"{which}_branch")
        self._graph(graph, inner, depth + 1)
        if len(graph.outputs) != len(node.outputs):
            raise Problem(
                f"{node!r} returns {len(node.outputs)} values, its branch '{which}' "
                f"{len(graph.outputs)}"
            )
        values = [self._value(port.name, node, inner) for port in graph.outputs]
        return [
            value if value.scope is inner and value.step else self._guard(value, node, inner)
            for value in values
        ]

    def _join(self, name: str, values: Sequence[Value], node: Node, scope: Scope) -> None:
        if name:
            step = Step("join", scope, node, list(values))
            step.outputs = [self._made(name, step, 0)]
            self.steps.append(step)

    def _function(self, function: Function, node: Node, scope: Scope, depth: int) -> None:
        other = [d for d, n in function.opsets.items() if self.file.opsets.get(d, n) != n]
        used = any(
            attribute.is_reference for each in function.nodes for attribute in every_attribute(each)
        )
        if other or used or len(node.inputs) > len(function.inputs):
            why = "operators of another version" if other else "attributes of its own"
            self._step("refused", node, scope, f"a function of the file with an LSTM and {why}")
            return
        self._called += 1
        if self._called > MAX_CALLS:
            raise Problem(f"it calls functions around LSTM nodes more than {MAX_CALLS:,} times")
        inner = Scope(None, (*scope.path, node.label), scope.condition)
        for formal, name in zip(function.inputs, node.inputs, strict=False):
            if name:
                inner.names[formal] = self._value(name, node, scope)
        self._nodes(function.nodes, inner, depth + 1)
        for formal, name in zip(function.outputs, node.outputs, strict=False):
            self._join(name, [self._value(formal, node, inner)], node, scope)
