"""Which axes of a model's output hold the sequences and the steps: told from where they come from.

An axis is followed back, through operators that keep or move axes, to an LSTM or to an input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from .onnx_folding import Folder
from .onnx_inputs import Place, axes_before
from .onnx_steps import Value

Meaning = Literal["batch", "steps"]


class OutputAxes(NamedTuple):
    """Where an output has its sequences and its steps; None where that is not clear."""

    batch: int | None
    steps: int | None


def axes_of_output(
    value: Value, rank: int | None, folder: Folder, inputs: Mapping[Value, int | None]
) -> OutputAxes:
    """The axes of an output.

    Args:
        value: the output.
        rank: how many axes it has; None where that is not known.
        folder: of the file.
        inputs: the axis of the sequences in each input of the model.
    """
    meanings = [_meanings(Place(value, axis, rank), folder, inputs) for axis in range(rank or 0)]

    def only(meaning: Meaning) -> int | None:
        found = [axis for axis, known in enumerate(meanings) if known == {meaning}]
        return found[0] if len(found) == 1 else None

    return OutputAxes(only("batch"), only("steps"))


def _meanings(start: Place, folder: Folder, inputs: Mapping[Value, int | None]) -> set[Meaning]:
    """What an axis holds, where it comes from LSTMs or inputs."""
    found: set[Meaning] = set()
    waiting, seen = [start], {(start.value, start.axis)}
    while waiting:
        place = waiting.pop()
        step = place.value.step
        own: Mapping[int, Meaning] = {}
        if step is None:
            own = _of_input(inputs.get(place.value))
        elif step.kind == "lstm":
            own = _of_lstm(place.value.slot, step.node.integer("layout", 0) == 1)
        if place.axis in own:
            found.add(own[place.axis])
        if step is None or step.kind == "lstm":
            continue
        for before in axes_before(step, place, folder):
            if (before.value, before.axis) not in seen:
                seen.add((before.value, before.axis))
                waiting.append(before)
    return found


def _of_lstm(slot: int, batchwise: bool) -> Mapping[int, Meaning]:
    """The axes of Y (T, D, B, U), of Y_h and Y_c (D, B, U); batchwise (B, T, D, U), (B, D, U)."""
    if slot:
        return {0 if batchwise else 1: "batch"}
    return {0: "batch", 1: "steps"} if batchwise else {0: "steps", 2: "batch"}


def _of_input(batch: int | None) -> Mapping[int, Meaning]:
    """The axes of an input of sequences."""
    return {batch: "batch", 1 - batch: "steps"} if batch in (0, 1) else {}
