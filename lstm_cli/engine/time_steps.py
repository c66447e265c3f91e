"""Which calls need a sequence as a whole, so that it cannot be computed in blocks of steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..model import Call, Model, Reference
from .dependencies import needed_calls, references
from .steps_flow import follow_steps, input_axes


def time_mixing(model: Model, targets: Iterable[int]) -> list[str]:
    """Why layers on the way to ``targets`` need the whole sequence at once; empty if none does."""
    needed = needed_calls(model, targets)
    flow = follow_steps(model, needed, input_axes(model.inputs))
    used = {ref for number in needed for ref in references(model.calls[number])}
    reasons = [
        reason
        for number in needed
        if (reason := flow.mixing.get(number) or _needs_all(model.calls[number], number, used))
    ]
    return list(dict.fromkeys(reasons or flow.misread.values()))


def _needs_all(call: Call, number: int, used: Collection[Reference]) -> str:
    """Why a recurrent call reads the last step first, or hands on what is there only after it."""
    recurrent = call.layer.recurrent
    if recurrent is None:
        return ""
    if recurrent.reads_backwards:
        return f"'{call.layer.address}' ({call.layer.kind}) reads backwards"
    outputs = [ref.output for ref in used if ref.call == number]
    if outputs and max(outputs) >= len(recurrent.returned(False)):
        return f"'{call.layer.address}' hands on its final state"
    if outputs and not recurrent.return_sequences:
        return f"'{call.layer.address}' hands on its last step alone"
    return ""
