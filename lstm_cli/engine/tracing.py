"""What of a run a trace is to hold, and the traces that callers get of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..errors import NoSuchNameError
from ..model import Array, Model, in_part
from ..traces import GATE_TENSORS, PRE_ACTIVATIONS, STATE_TENSORS, Trace, Traces
from .plan import recurrent_of
from .recurrent import LayerResult
from .selection import Unit
from .values import Request, Values

CELL_TENSORS = (*STATE_TENSORS, *GATE_TENSORS, *PRE_ACTIVATIONS)
DEFAULT_TENSORS = (*STATE_TENSORS, *GATE_TENSORS, "output")
ALL_TENSORS = (*CELL_TENSORS, "output", "x")


def trace_request(units: Sequence[Unit], tensors: Collection[str]) -> Request:
    """What a run is to keep of some calls.

    Args:
        units: the calls.
        tensors: of ``ALL_TENSORS``.

    Raises:
        NoSuchNameError: if there is no such tensor.
    """
    unknown = [name for name in tensors if name not in ALL_TENSORS]
    if unknown:
        raise NoSuchNameError("tensor", unknown[0], ALL_TENSORS)
    kept = [name for name in tensors if name in CELL_TENSORS]
    calls = [unit.call for unit in units]
    return Request(dict.fromkeys(calls, kept), calls if "output" in tensors else ())


def build_trace(
    model: Model,
    units: Sequence[Unit],
    fronts: Sequence[str],
    values: Values,
    tensors: Collection[str],
) -> Trace | Traces:
    """The traces of some calls.

    Args:
        units: the calls.
        fronts: what stands before the names of each one's arrays, with its ``/``.
        values: the results.
        tensors: which of ``output`` and ``x`` to add to the per-step arrays.
    """
    cells: dict[str, Trace] = {}
    arrays: dict[str, Array] = {}
    for unit, front in zip(units, fronts, strict=True):
        shared = _of_layer(unit, values, tensors)
        arrays |= {front + name: array for name, array in shared.items()}
        for cell, own in _of_cells(unit, values).items():
            part = in_part(cell, unit.part, recurrent_of(unit))
            if part is None:
                continue
            prefix = front + (f"{part}/" if part else "")
            arrays |= {prefix + name: array for name, array in own.items()}
            meta = _meta(model, unit, cell)
            cells[prefix.rstrip("/")] = Trace({**own, **shared}, meta)
    if len(cells) == 1:
        ((name, trace),) = cells.items()
        return trace if not name else Traces(cells, arrays, trace.meta)
    meta = {"layers": [trace.meta for trace in cells.values()], **_source(model)}
    return Traces(cells, _in_order(arrays), meta)


def _in_order(arrays: dict[str, Array]) -> dict[str, Array]:
    """Arrays of cells first, those of whole layers after them, each in the order of making."""
    return dict(sorted(arrays.items(), key=lambda pair: ("/" not in pair[0] and -1) or 0))


def _of_cells(unit: Unit, values: Values) -> dict[str, dict[str, Array]]:
    """Per part: the per-step arrays, (B, T, U), and the states before and after, (B, U)."""
    result = values.layers[unit.call]
    found = {}
    for part, steps in result.steps.items():
        initial_h, initial_c = result.initial[part]
        final_h, final_c = result.final[part]
        found[part] = {
            **steps,
            "initial_h": np.array(initial_h),
            "initial_c": np.array(initial_c),
            "final_h": np.array(final_h),
            "final_c": np.array(final_c),
        }
    return found


def _of_layer(unit: Unit, values: Values, tensors: Collection[str]) -> dict[str, Array]:
    """What belongs to the layer as a whole: its output, its input, its mask or lengths."""
    result = values.layers[unit.call]
    found: dict[str, Array] = {}
    if "output" in tensors:
        sequences = _outputs(unit, result)
        many = len(sequences) > 1
        for k, sequence in enumerate(sequences):
            found[f"output_{k}" if many else "output"] = np.ascontiguousarray(sequence)
    if "x" in tensors:
        found["x"] = np.array(values.inputs[unit.call])
    mask = values.masks.get(unit.call)
    if mask is not None:
        found["mask"] = np.array(mask, bool)
    lengths = values.lengths.get(unit.call)
    if lengths is not None:
        found["lengths"] = np.array(lengths)
    return found


def _outputs(unit: Unit, result: LayerResult) -> list[Array]:
    """What the layer, or a level of it, hands on, each (B, T, U); nothing for other parts.

    The directions of an ONNX node stand side by side, as later nodes mostly read them.
    """
    recurrent = recurrent_of(unit)
    last = f"l{len(recurrent.levels) - 1}" if recurrent.convention == "torch" else ""
    if unit.part not in ("", last):
        return result.levels.get(unit.part, [])
    if recurrent.convention.startswith("onnx"):
        return [np.concatenate(result.sequences, axis=-1)]
    return result.sequences


def _source(model: Model) -> dict[str, Any]:
    return {"source": model.path, "written_by": model.written_by}


def _meta(model: Model, unit: Unit, part: str) -> dict[str, Any]:
    recurrent = recurrent_of(unit)
    direction, cell = next(
        (direction, cell) for name, direction, cell in recurrent.cells() if name == part
    )
    gates = getattr(cell, "recurrent_activation", None)
    return {
        **_source(model),
        "layer": unit.name,
        "part": part,
        "kind": unit.layer.kind,
        "units": cell.units,
        "activation": str(cell.activation),
        "recurrent_activation": "" if gates is None else str(gates),
        "direction": "backward" if direction.go_backwards else "forward",
        **_additions(cell),
    }


def _additions(cell: Any) -> dict[str, Any]:
    """Settings beyond the textbook's that no array of a trace tells, as far as there are any."""
    names = ("clip", "cell_clip", "projection_clip", "coupled", "output_activation")
    found = {name: getattr(cell, name, None) for name in names}
    return {n: str(v) if n == "output_activation" else v for n, v in found.items() if v}
