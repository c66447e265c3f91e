"""An ONNX model run by ONNX Runtime, with Y, Y_h and Y_c of its LSTM nodes beside its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..model import Array, Model
from .frameworks import Results, Returned, labelled, library, refusal

OUTPUTS = ("Y", "Y_h", "Y_c")


def results(model: Model, inputs: Mapping[str, Array], layers: Sequence[str]) -> Results:
    """What ONNX Runtime returns for the model and for those of ``layers`` in its main graph."""
    onnx, onnxruntime = library("onnx"), library("onnxruntime")
    try:
        program = onnx.load(model.path)
        own = [output.name for output in program.graph.output]
        probes = dict(_probes(onnx, program.graph, layers))
        data = _serialised(onnx, program, model.path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong comes as an error
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a library raises what it likes
        raise refusal("onnxruntime", f"load {model.path}", error) from error
    wanted = list(dict.fromkeys([*own, *probes]))
    given = {entry.name: _typed(inputs[entry.name], entry.type) for entry in session.get_inputs()}
    try:
        arrays = dict(zip(wanted, session.run(wanted, given), strict=True))
    except Exception as error:
        raise refusal("onnxruntime", f"run {model.path}", error) from error
    found: Returned = {"": {}}
    for k, name in enumerate(own):
        found[""]["output" if len(own) == 1 else f"output_{k}"] = arrays[name]
    for name, (address, meaning) in probes.items():
        found.setdefault(address, {})[meaning] = arrays[name]
    return Results(labelled(onnxruntime), found)


def _probes(onnx: Any, graph: Any, layers: Sequence[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Make every result of the LSTM nodes an output of the graph; its name, and what it is."""
    declared = {output.name for output in graph.output}
    for node in graph.node:
        address = node.name or next((name for name in node.output if name), "")
        if node.op_type != "LSTM" or address not in layers:
            continue
        names = [*node.output, *[""] * (len(OUTPUTS) - len(node.output))]
        names = [name or f"{address}:{OUTPUTS[k]}" for k, name in enumerate(names)]
        del node.output[:]
        node.output.extend(names)
        for name, meaning in zip(names, OUTPUTS, strict=True):
            if name not in declared:
                graph.output.append(onnx.ValueInfoProto(name=name))
            yield name, (address, meaning)


def _serialised(onnx: Any, program: Any, path: str) -> bytes:
    """The program as bytes, weights in other files included."""
    onnx.external_data_helper.load_external_data_for_model(program, str(Path(path).parent))
    data: bytes = program.SerializeToString()
    return data


def _typed(array: Array, kind: str) -> Array:
    """The array in the type that the program declares: ``tensor(int64)``."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    return array.astype({"float": np.float32, "double": np.float64}.get(name, name))
