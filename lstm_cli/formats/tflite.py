"""Reader of TFLite files: their LSTM operators, listed and run direct.

A converter of TensorFlow up to 2.15 makes one operator of a Keras LSTM; later ones write a WHILE
loop of small operators, in which there is no LSTM to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError, listing
from ..model import (
    Array,
    Direction,
    Layer,
    LstmCell,
    Model,
    Recurrent,
    Unsupported,
)
from .options import Options
from .reading import NotComputed, Problem
from .tflite_file import Graph, Operator, TfliteFile, guarded
from .tflite_lstm import BACKWARD, FORWARD, UNIDIRECTIONAL, Places, lstm_cell, settings_of

ONE_WAY, TWO_WAYS = "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"
OTHERS = {"LSTM", "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN", "SVDF"}
NO_GRAPH = "the operators around the LSTM layers of a TFLite file are not computed"
LOWERED = (
    "its recurrent layer was turned into a WHILE loop of small operators when the file was made "
    "(so does TensorFlow 2.16 and later with every LSTM, and earlier with any whose settings are "
    "not Keras's usual ones): no LSTM operator is there to read; open the model it was made from"
)


def read(path: Path, options: Options) -> Model:
    """The LSTM operators of a file.

    Raises:
        Problem: if the file is damaged, or has no LSTM operator.
        MissingExtraError: if the package that knows the format is not installed.
    """
    if options.architecture is not None:
        raise UsageError(f"{path} is a TFLite file, which --architecture does not go with")
    with guarded():
        return _model(path, TfliteFile(path))


def _model(path: Path, file: TfliteFile) -> Model:
    notes: list[str] = []
    layers: list[Layer] = []
    graphs = file.graphs()
    for graph in graphs:
        for layer in _Reading(file, graph, notes).layers():
            layers.append(_renamed(layer, layers))
    if not layers:
        raise Problem(_nothing(graphs))
    return Model(
        path=str(path),
        format=f"TFLite, schema version {file.version}",
        written_by=_writer(file.description),
        layers=tuple(layers),
        assumptions=tuple(dict.fromkeys(notes)),
        no_graph=NO_GRAPH,
    )


class _Pair(NamedTuple):
    """Two operators that read one sequence in both directions, and the one that joins them."""

    forward: Operator
    backward: Operator
    joined: Operator


class _Reading:
    """The LSTM layers of one subgraph."""

    def __init__(self, file: TfliteFile, graph: Graph, notes: list[str]) -> None:
        self.file, self.graph, self.notes = file, graph, notes
        self.makers = graph.makers()

    def layers(self) -> Iterator[Layer]:
        pairs = [pair for each in self.graph.operators if (pair := self._pair(each)) is not None]
        paired = {id(each) for pair in pairs for each in (pair.forward, pair.backward)}
        joined = {id(pair.joined): pair for pair in pairs}
        for operator in self.graph.operators:
            if id(operator) in joined:
                pair = joined[id(operator)]
                yield self._layer(operator, f"Bidirectional({ONE_WAY})", self._both, pair)
            elif operator.kind == ONE_WAY and id(operator) not in paired:
                yield self._layer(operator, ONE_WAY, self._one, operator)
            elif operator.kind == TWO_WAYS:
                yield self._layer(operator, TWO_WAYS, self._two, operator)
            elif operator.kind in OTHERS:
                reason = f"the TFLite operator {operator.kind} is not computed"
                yield Layer(self._address(operator), operator.kind, Unsupported(reason))

    def _address(self, operator: Operator) -> str:
        if not operator.outputs:
            raise Problem(f"an operator {operator.kind} has no output")
        return self.graph.name(operator.outputs[0]) or f"tensor {operator.outputs[0]}"

    def _layer(
        self, operator: Operator, kind: str, build: Callable[[Any], Recurrent], what: Any
    ) -> Layer:
        address = self._address(operator)
        try:
            recurrent = build(what)
        except NotComputed as reason:
            return Layer(address, kind, Unsupported(str(reason)))
        parts = what[:2] if isinstance(what, _Pair) else (what,)
        count = sum(self._count(part) for part in parts)
        self._note(address, parts)
        return Layer(address, kind, recurrent, parameters=count)

    def _note(self, address: str, parts: Sequence[Operator]) -> None:
        weights = [number for part in parts for number in part.inputs[1:] if number >= 0]
        if any(self.graph.is_quantised(number) for number in weights):
            self.notes.append(
                f"{address}: its 8-bit weights are multiplied out; TFLite also rounds what comes "
                "in to 8 bits, so its own results differ by about 1e-2"
            )
        if parts[0].kind == TWO_WAYS:
            self.notes.append(
                f"{address}: each sequence is computed by itself; TFLite's own kernel hands "
                "numbers on from one sequence of a batch to the next"
            )
        for part in parts[:1] if len(parts) == 1 else ():
            maker = self.makers.get(part.inputs[0])
            if maker is not None and maker.kind == "REVERSE_V2":
                self.notes.append(
                    f"{address}: a REVERSE_V2 before it turns its sequence round; a direct input "
                    "is what it receives, already turned"
                )

    # -- operators

    def _one(self, operator: Operator) -> Recurrent:
        cell, time_major = self._cell(operator)
        way = Direction("", (cell,))
        return Recurrent((way,), return_sequences=True, time_major=time_major)

    def _both(self, pair: _Pair) -> Recurrent:
        (forward, time_major), (backward, other) = map(self._cell, pair[:2])
        ways = (Direction("forward", (forward,)), Direction("backward", (backward,), True))
        return Recurrent(ways, "concat", return_sequences=True, time_major=time_major or other)

    def _two(self, operator: Operator) -> Recurrent:
        options = self.file.options(operator, "BidirectionalSequenceLSTMOptions")
        if options is None:
            raise NotComputed("it has no options, so that its activation is unknown")
        if any(self._input(operator, k) is not None for k in range(39, 48)):
            raise NotComputed("it reads a second, auxiliary input, which is not computed")
        cells = [self._built(operator, places, options) for places in (FORWARD, BACKWARD)]
        ways = (Direction("forward", (cells[0],)), Direction("backward", (cells[1],), True))
        return Recurrent(
            ways,
            "concat" if options.MergeOutputs() else None,
            return_sequences=True,
            time_major=bool(options.TimeMajor()),
        )

    def _cell(self, operator: Operator) -> tuple[LstmCell, bool]:
        options = self.file.options(operator, "UnidirectionalSequenceLSTMOptions")
        if options is None:
            raise NotComputed("it has no options, so that its activation is unknown")
        if options.DiagonalRecurrentTensors():
            raise NotComputed("its recurrent weights are diagonals, which is not computed")
        return self._built(operator, UNIDIRECTIONAL, options), bool(options.TimeMajor())

    def _built(self, operator: Operator, places: Places, options: Any) -> LstmCell:
        first = self._input(operator, 0)
        kind = "nothing" if first is None else self.graph.type(first)
        if kind != "float32":
            raise NotComputed(
                f"it computes in integers throughout (its input is {kind}), which is not done "
                "here; only its weights may be integers"
            )

        def constant(place: int) -> Array | None:
            number = self._input(operator, place)
            return None if number is None else self._constant(number)

        return lstm_cell(places, constant, settings_of(options))

    def _input(self, operator: Operator, place: int) -> int | None:
        """The tensor of an input; None where it is absent."""
        number = operator.inputs[place] if place < len(operator.inputs) else -1
        return None if number < 0 else number

    def _constant(self, number: int) -> Array:
        maker = self.makers.get(number)
        source = maker.inputs[0] if maker is not None and maker.kind == "DEQUANTIZE" else number
        values = self.graph.constant(source)
        if values is None:
            raise NotComputed(f"its weights '{self.graph.name(number)}' are computed by operators")
        if values.dtype.kind != "f":
            raise NotComputed(f"its weights '{self.graph.name(number)}' are {values.dtype}")
        return values

    def _count(self, operator: Operator) -> int:
        """How many numbers an operator's constants hold, its states not counted."""
        there = [number for number in operator.inputs[1:] if number >= 0]
        return sum(prod(self.graph.shape(k)) for k in there if self.graph.is_constant(k))

    # -- two operators that are one layer

    def _pair(self, joined: Operator) -> _Pair | None:
        """The pair that a CONCATENATION joins along the units; None if it joins anything else."""
        if joined.kind != "CONCATENATION" or len(joined.inputs) != 2:
            return None
        options = self.file.options(joined, "ConcatenationOptions")
        if options is None or options.FusedActivationFunction() or options.Axis() not in (-1, 2):
            return None
        forward, turned = (self.makers.get(number) for number in joined.inputs)
        if forward is None or turned is None or forward.kind != ONE_WAY:
            return None
        backward = self.makers.get(self._turned(turned, forward))
        if backward is None or backward.kind != ONE_WAY:
            return None
        before = self.makers.get(backward.inputs[0])
        if before is None or self._turned(before, backward) != forward.inputs[0]:
            return None
        return _Pair(forward, backward, joined)

    def _turned(self, operator: Operator, lstm: Operator) -> int:
        """The sequence that a REVERSE_V2 turns round in time; -1 if it does anything else."""
        options = self.file.options(lstm, "UnidirectionalSequenceLSTMOptions")
        if operator.kind != "REVERSE_V2" or len(operator.inputs) != 2 or options is None:
            return -1
        axis = self.graph.constant(operator.inputs[1])
        time = 0 if options.TimeMajor() else 1
        turned = (
            axis is not None and axis.size == 1 and int(axis.reshape(-1)[0]) in (time, time - 3)
        )
        return operator.inputs[0] if turned else -1


def _renamed(layer: Layer, others: Sequence[Layer]) -> Layer:
    """The layer with a number behind its address, where another has the same."""
    taken, address, k = {other.address for other in others}, layer.address, 0
    while address in taken:
        k += 1
        address = f"{layer.address}_{k}"
    return replace(layer, address=address)


def _writer(description: str) -> str:
    told = f" ({description})" if description else ""
    return f"TensorFlow Lite converter{told}"


def _nothing(graphs: Sequence[Graph]) -> str:
    """Why a file without LSTM operators is not read."""
    kinds = [operator.kind for graph in graphs for operator in graph.operators]
    if "WHILE" in kinds or any(kind.startswith("FlexTensorList") for kind in kinds):
        return LOWERED
    return f"it has no LSTM operator; its operators are: {listing(dict.fromkeys(kinds))}"
