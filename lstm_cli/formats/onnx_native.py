"""Parts of an ONNX graph around an LSTM that the engine computes itself.

Most models are no more than that around their LSTMs, and run without any library for ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping

from .onnx_folding import Folder
from .onnx_reshaping import new_shape
from .onnx_rules import RULES, Native, Reading
from .onnx_segments import Segment
from .onnx_steps import Step, Value


def natives(
    segment: Segment, ranks: Mapping[Value, int | None], folder: Folder
) -> dict[Step, Native] | None:
    """What the engine does for each operator of a segment; None unless it has all of them."""
    steps = _needed(segment, folder)
    if any(
        step.node.op not in RULES or step.node.domain or step.captured or not step.inputs
        for step in steps
    ):
        return None
    known, found = dict(ranks), dict[Step, Native]()
    for step in steps:
        native = RULES[step.node.op](Reading(step, known, folder))
        if native is None or not _are_known(native, folder):
            return None
        found[step] = native
        for output in step.outputs:
            if output is not None:
                known[output] = native.rank
    return found


def _needed(segment: Segment, folder: Folder) -> list[Step]:
    """The operators of a segment without those that only compute a shape which is known anyway."""
    needed: set[Step] = set()
    waiting = [value.step for value in segment.outputs]
    while waiting:
        step = waiting.pop()
        if step is None or step in needed:
            continue
        needed.add(step)
        known = step.node.op == "Reshape" and new_shape(step, folder) is not None
        waiting += [value.step for value in (step.reads[:1] if known else step.reads)]
    return [step for step in segment.steps if step in needed]


def _are_known(native: Native, folder: Folder) -> bool:
    """Whether there is something to compute, and every constant among the values can be read."""
    values = [*native.arguments, *(native.then[1] if native.then else ())]
    constants = [value for value in values if folder.is_static(value)]
    is_computed = len(constants) < len(values)
    return is_computed and all(folder.constant(value) is not None for value in constants)
