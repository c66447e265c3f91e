"""The last step of every Keras reader: architecture and arrays become a ``Model``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..model import Argument, Call, Input, Layer, LstmCell, Model, Operation, Output, Reference
from .keras_config import LayerConfig
from .keras_era import Era
from .keras_functional import endpoints, input_specs
from .keras_graph import Graph, Weights


class Source(NamedTuple):
    """Where a model comes from: its path, its container in words, the rules of its writer."""

    path: str
    format: str
    era: Era


def model_with_graph(
    source: Source, config: LayerConfig, weights: Weights, notes: Sequence[str]
) -> Model:
    """The model of an architecture whose arrays are assigned."""
    graph = Graph(source.era, weights)
    for text in notes:
        graph.note(text)
    time_major = any(inner.settings.boolean("time_major") for inner in config.walk())
    inputs, tensors = [], []
    for number, spec in enumerate(input_specs(config)):
        tensors += graph.call(Layer(spec.name, "Input", Operation("identity"), dtype=""), ())
        inputs.append(Input(spec.name, spec.shape, spec.dtype, number, int(time_major)))
    outputs = graph.unfold(config, tensors, "")
    _note_rules(graph, source.era)
    return Model(
        path=source.path,
        format=source.format,
        written_by=source.era.writer,
        layers=tuple(graph.layers),
        calls=tuple(graph.calls),
        inputs=tuple(inputs),
        outputs=tuple(_outputs(config, outputs, graph.calls)),
        assumptions=tuple(graph.notes),
    )


def model_without_graph(
    source: Source,
    layers: Sequence[Layer],
    notes: Sequence[str],
    why: str,
    takes_architecture: bool = False,
) -> Model:
    """The model of a file that lists arrays but not how layers are connected."""
    return Model(
        path=source.path,
        format=source.format,
        written_by=source.era.writer,
        layers=tuple(layers),
        assumptions=tuple(dict.fromkeys(notes)),
        no_graph=why,
        takes_architecture=takes_architecture,
    )


def _outputs(
    config: LayerConfig, values: Sequence[Argument], calls: Sequence[Call]
) -> list[Output]:
    if config.class_name == "Sequential":
        names = [config.sublayers[-1].name] * len(values)
    else:
        names = [ref.layer for ref in endpoints(config, "output_layers")]
    outputs: list[Output] = []
    for name, value in zip(names, values, strict=True):
        used = [output.name for output in outputs]
        unique, k = name, 0
        while unique in used:
            k += 1
            unique = f"{name}_{k}"
        if isinstance(value, Reference):
            outputs.append(Output(unique, value))
    return outputs


def _note_rules(graph: Graph, era: Era) -> None:
    """The rules in force that the file does not spell out, where they make a difference."""
    recurrent = [layer for layer in graph.layers if layer.recurrent is not None]
    cells = [
        cell for layer in recurrent if layer.recurrent for _, _, cell in layer.recurrent.cells()
    ]
    hard = {
        str(cell.recurrent_activation)
        for cell in cells
        if isinstance(cell, LstmCell) and cell.recurrent_activation.name == "hard_sigmoid"
    }
    version = era.version or "missing, which means Keras 1"
    for variant in sorted(hard):
        graph.note(f"{variant}, because keras_version is {version}")
    stacked = [
        layer
        for layer in recurrent
        if layer.recurrent and len(layer.recurrent.directions[0].cells) > 1
    ]
    if era.flavour == "tf" and era.numbers < (2, 2):
        for layer in stacked:
            graph.note(
                f"{layer.address}: states of its stacked cells are taken first cell first, as from "
                "TensorFlow 1.12 on; before it, the last cell came first under the same version"
            )
    if era.version in ("2.2.4-tf", "2.3.0-tf") and recurrent:
        graph.note(f"written by {era.writer}: told from the file's other traces")
