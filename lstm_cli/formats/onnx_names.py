"""What the layers of an ONNX model are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .onnx_segments import Segment
from .onnx_steps import Step, Value


def addresses(steps: Sequence[Step], inputs: Mapping[str, Value]) -> dict[Step, str]:
    """The name of each step: its node's, or its first output; with its place where they repeat.

    Args:
        steps: all of them.
        inputs: values by name, of which inputs of the model have a name of their own.
    """
    taken = [name for name, value in inputs.items() if value.is_input]
    nodes = [step for step in steps if step.kind != "guard"]
    found = {step: step.node.label or step.node.op for step in nodes}
    beside = {step: (step.scope.path, name) for step, name in found.items()}
    again = _repeated(beside, [((), name) for name in taken])
    found |= {step: _first_output(step) for step in nodes if beside[step] in again}
    again = _repeated(found, taken)
    found |= {
        step: "/".join((*step.scope.path, name)) for step, name in found.items() if name in again
    }
    again = _repeated(found, taken)
    found |= {step: f"{found[step]} {k}" for k, step in enumerate(nodes) if found[step] in again}
    return found | {step: step.node.label for step in steps if step.kind == "guard"}


def _repeated(names: Mapping[Step, object], taken: Sequence[object] = ()) -> set[object]:
    """Names that several nodes have, or that are taken."""
    users: dict[object, set[tuple[int, int]]] = {name: {(0, 0)} for name in taken}
    for step, name in names.items():
        users.setdefault(name, set()).add((id(step.node), id(step.scope)))
    return {name for name, nodes in users.items() if len(nodes) > 1}


def _first_output(step: Step) -> str:
    return next(filter(None, step.node.outputs), step.node.label)


def segment_name(segment: Segment, names: Mapping[Step, str]) -> str:
    """What to call operators that a library runs: by the LSTM that they stand before, or after."""
    if segment.before is not None:
        return f"{names[segment.before]}:before"
    return f"{names[segment.after]}:after" if segment.after is not None else "operators"
