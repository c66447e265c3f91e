"""The calls of an ONNX model: its LSTMs, what stands between them, and the branches of its Ifs."""

from __future__ import annotations

import numpy as np

from ..model import (
    Argument,
    Call,
    Constant,
    Input,
    Layer,
    Operation,
    Output,
    Reference,
    Unsupported,
)
from .onnx_calls import Calls
from .onnx_folding import Folder
from .onnx_inputs import batch_axes, followed_axes
from .onnx_lstm import INITIAL_C, INITIAL_H, LENGTHS, ReadLstm, X, input_of, read_lstm
from .onnx_names import addresses
from .onnx_outputs import axes_of_output
from .onnx_parts import Parts
from .onnx_proto import File, Port
from .onnx_scopes import Unfolder
from .onnx_segments import Flow, Segment
from .onnx_steps import Step, Value
from .onnx_tensors import NAMES
from .reading import NotComputed, Problem

OTHER_CELLS = ("GRU", "RNN")


class Builder:
    """Puts the calls of one file together.

    Attributes:
        inputs, outputs, notes: those of the model.
    """

    def __init__(self, file: File, folder: Folder) -> None:
        self.inputs: list[Input] = []
        self.outputs: list[Output] = []
        self._file, self._folder, self._calls = file, folder, Calls(folder)
        unfolder = Unfolder(file, folder.constant)
        self._steps, self._top = unfolder.unfold(), unfolder.top
        self.notes = unfolder.notes
        self._lstms: dict[Step, ReadLstm | str] = {
            step: self._read(step) for step in self._steps if step.kind == "lstm"
        }
        self._addresses = addresses(self._steps, self._top.names)
        self._ifs: dict[str, Layer] = {}

    def build(self) -> tuple[list[Layer], list[Call]]:
        """Make everything; the layers and the calls of the model."""
        self._add_inputs()
        values = [self._output(port) for port in self._file.graph.outputs]
        flow = Flow(self._steps, self._needs, values, self._folder)
        parts = Parts(self._file, self._folder, self._calls, self._addresses)
        for unit in flow.units():
            if isinstance(unit, Segment):
                parts.add(unit)
            else:
                self._special(unit)
        self._list_other_cells()
        for port, value in zip(self._file.graph.outputs, values, strict=True):
            self.outputs.append(self._described(value, port))
        return self._calls.layers, self._calls.calls

    def _read(self, step: Step) -> ReadLstm | str:
        try:
            return read_lstm(step, self._folder)
        except NotComputed as reason:
            return str(reason)

    def _note(self, address: str, text: str) -> None:
        if (sentence := f"{address}: {text}") not in self.notes:
            self.notes.append(sentence)

    # -- what goes in and out

    def _add_inputs(self) -> None:
        named = [(step, self._addresses[step]) for step in self._lstms]
        followed = followed_axes(named, self._folder)
        graph = self._file.graph
        ports = [port for port in graph.inputs if port.name not in graph.tensors]
        axes = batch_axes(ports, {value.name: each for value, each in followed.items()})
        for port in ports:
            value, (axis, why) = self._top.names[port.name], axes[port.name]
            if why:
                self.notes.append(why)
            (place,) = self._calls.add(Layer(port.name, "Input", Operation("identity"), dtype=""))
            dtype = NAMES.get(port.type, "")
            self.inputs.append(Input(port.name, _shape(port), dtype, place.call, axis))
            self._calls.places[value] = place
            self._calls.learn(value, None if port.axes is None else len(port.axes), port.type)

    def _output(self, port: Port) -> Value:
        value = self._top.find(port.name)
        if value is None:
            raise Problem(f"its output '{port.name}' is made by nothing in the file")
        return value

    def _described(self, value: Value, port: Port) -> Output:
        rank = self._calls.ranks.get(value) if port.axes is None else len(port.axes)
        inputs = {self._top.names[entry.name]: entry.batch_axis for entry in self.inputs}
        axes = axes_of_output(value, rank, self._folder, inputs)
        return Output(port.name, self._reference(value, port), _shape(port), *axes)

    def _reference(self, value: Value, port: Port) -> Reference:
        place = self._calls.argument(value)
        if isinstance(place, Reference):
            return place
        return self._calls.constant(port.name, place)

    # -- LSTMs and branches

    def _needs(self, step: Step) -> list[Value]:
        """What a step that is no operator reads of others."""
        if step.kind in ("join", "guard"):
            return step.reads
        read = self._lstms.get(step)
        if not isinstance(read, ReadLstm):
            return []
        given = [input_of(step, place) for place in (X, LENGTHS)]
        states = [input_of(step, place) for place in (INITIAL_H, INITIAL_C)]
        given += [value for value in states if value and not self._folder.is_zero(value)]
        return [value for value in given if value is not None]

    def _has_states(self, step: Step) -> bool:
        given = (input_of(step, place) for place in (INITIAL_H, INITIAL_C))
        return any(value is not None and not self._folder.is_zero(value) for value in given)

    def _special(self, step: Step) -> None:
        address = self._addresses[step]
        if step.kind == "lstm":
            self._lstm(step, address)
        elif step.kind == "refused":
            layer = Layer(address, step.node.op, Unsupported(step.reason))
            self._calls.keep(
                step, self._calls.add(layer, results=len(step.outputs), scope=step.scope)
            )
        else:
            self._branch(step, address)

    def _lstm(self, step: Step, address: str) -> None:
        read, count = self._lstms[step], max(3, len(step.outputs))
        if isinstance(read, str):
            layer = Layer(address, step.node.op, Unsupported(read))
            self._calls.keep(step, self._calls.add(layer, results=count, scope=step.scope))
            return
        x, lengths = input_of(step, X), input_of(step, LENGTHS)
        layer = Layer(address, step.node.op, read.layer, read.dtype, read.parameters)
        places = self._calls.add(
            layer,
            () if x is None else (self._calls.argument(x),),
            3,
            self._states(step, address),
            None if lengths is None else self._calls.argument(lengths),
            step.scope,
        )
        self._calls.keep(step, places)
        for text in read.notes:
            self._note(address, text)
        for rank, output in zip((4, 3, 3), step.outputs, strict=False):
            self._calls.learn(output, rank, read.kept_as)

    def _states(self, step: Step, address: str) -> list[Argument]:
        given = [input_of(step, place) for place in (INITIAL_H, INITIAL_C)]
        if not self._has_states(step):
            if any(value is not None and value.step is not None for value in given):
                self._note(address, "its initial states are zeros unless given")
            return []
        zeros = Constant(np.zeros((1, 1, 1), np.float32))
        return [
            zeros if value is None or self._folder.is_zero(value) else self._calls.argument(value)
            for value in given
        ]

    def _branch(self, step: Step, address: str) -> None:
        """What an If returns, or a value under the condition of one of its branches."""
        key = address if step.kind == "join" else f"{address}/{step.scope.path[-1]}"
        kind = step.node.op if step.kind == "join" else f"{step.node.op} branch"
        if key not in self._ifs:
            self._ifs[key] = Layer(key, kind, Operation("either"), dtype="")
        scope = step.scope
        arguments = [self._calls.argument(value) for value in step.reads]
        if isinstance(arguments[0], Constant) and scope.condition is None:  # of a settled branch
            self._calls.keep(step, [self._calls.constant(step.reads[0].name, arguments[0])])
        else:
            self._calls.keep(step, self._calls.add(self._ifs[key], arguments, scope=scope))
        ranks = {self._calls.ranks.get(value) for value in step.reads}
        number = max(self._calls.types.get(value, 0) for value in step.reads)
        self._calls.learn(step.outputs[0], ranks.pop() if len(ranks) == 1 else None, number)

    def _list_other_cells(self) -> None:
        """GRU and RNN operators run with the others, and have no trace."""
        for step in self._steps:
            if step.kind == "operator" and step.node.op in OTHER_CELLS and not step.node.domain:
                reason = f"is a {step.node.op}, not an LSTM: it runs with the operators around it"
                self._calls.add(Layer(self._addresses[step], step.node.op, Unsupported(reason)))


def _shape(port: Port) -> tuple[int | None, ...] | None:
    if port.axes is None:
        return None
    return tuple(axis if isinstance(axis, int) else None for axis in port.axes)
