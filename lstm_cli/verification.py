"""Runs of a model beside stored numbers, or beside the framework that wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .analysis.agreement import Agreement, agree, gathered, traced_tensors
from .analysis.difference_sums import Tolerance
from .api import Session
from .engine.states import StateLike
from .errors import UnsupportedFeatureError, UsageError
from .model import Array, Model
from .peers.frameworks import framework_for, framework_results


def verify(
    model: Model,
    x: Any,
    expected: Mapping[str, Array] | None = None,
    *,
    against: str | None = None,
    layer: str | Sequence[str] | None = None,
    direct: bool = False,
    mask: Array | None = None,
    lengths: Array | None = None,
    initial_state: StateLike | None = None,
    dtype: str | None = None,
    of_trace: bool = False,
    leave_out_unfit: bool = False,
    tolerance: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
) -> Agreement:
    """Compare what a run gives with stored numbers, or with the framework's, and with float64.

    Args:
        expected: arrays by the names that ``trace`` and ``run`` give them: ``output``, ``h``,
            ``forward/c``, ``final_h``, ``state_h``; the axis of a single sequence may be missing.
        against: instead of it an installed framework that runs the file: ``keras``, ``torch`` or
            ``onnxruntime``. Compared are the model's outputs and what its layers return, LSTM
            layers at every step and with their final states.
        of_trace: ``output`` is what the layer hands on at every step, not what ``run`` returns.
        leave_out_unfit: whether an expected ``output`` of another shape, such as the whole model's
            beside a file of one layer's weights, is left unchecked instead of refused.
        tolerance, atol, rtol: as for ``diff``.

    The other arguments, and what is raised, are those of ``run``.

    Returns:
        For every array its figures and whether it is ``equal``, differs by ``rounding`` (it lies
        about as near to the run in float64 as ours does), or is ``different``.

    Raises:
        InputError: if nothing that is expected can be compared, or the framework refuses the file;
            ShapeError if a shape is another.
        UsageError: if the framework is not installed, or does not go with an argument.
    """
    allowed = Tolerance(tolerance, atol, rtol)
    given = {"mask": mask, "lengths": lengths, "initial_state": initial_state}
    if against is not None:
        if expected is not None or any(value is not None for value in given.values()):
            raise UsageError("a framework runs x alone, without expected, mask, lengths or states")
        return _verify_against(model, x, against, layer, direct, dtype, allowed)
    if expected is None:
        raise UsageError("give what is expected, or the framework to compare against")
    tensors = traced_tensors(expected, of_trace)
    runs = []
    for precision in (dtype, "float64"):
        session = Session(model, layer, direct=direct, dtype=precision)
        traced = session.trace(x, tensors=tensors, **given).arrays if tensors else {}
        returned = {} if of_trace else _returned(session, x, expected, given)
        runs.append(gathered(expected, returned, traced, of_trace))
    return agree(runs[0], expected, runs[1], allowed, leave_out_unfit=leave_out_unfit)


def _verify_against(
    model: Model,
    x: Any,
    against: str,
    layer: str | Sequence[str] | None,
    direct: bool,
    dtype: str | None,
    allowed: Tolerance,
) -> Agreement:
    alone = framework_for(against, model, direct).direct
    session = Session(model, layer, direct=alone)
    layers = model.lstm_layers if alone else model.layers
    names = [found.address for found in session.chosen_layers() or layers]
    peer = framework_results(against, session.model, session.given(x), names)
    expected = {
        "/".join(filter(None, (address, name))): array
        for address, arrays in peer.arrays.items()
        for name, array in arrays.items()
    }
    runs = [_as_returned(model, x, peer.arrays, session.direct, k) for k in (dtype, "float64")]
    found = agree(runs[0], expected, runs[1], allowed)
    called = set(map(_layer_of, peer.arrays))
    missing = [name for name in names if name not in called and model.find(name).is_lstm]
    notes = found.notes if found.same else (*found.notes, *_reasons(model, peer.by))
    return replace(found, unchecked=(*found.unchecked, *missing), by=peer.by, notes=notes)


def _reasons(model: Model, by: str) -> tuple[str, ...]:
    """What may explain that a framework differs: its version, and what we assume of the file."""
    reasons = list(model.assumptions)
    writer = model.written_by.split(",")[0]
    if by.startswith("keras ") and not writer.startswith("Keras 3"):
        reasons.append(
            f"{writer} wrote the file; tf_keras, where it is installed and can load it, is asked "
            "first, and has its rules"
        )
    if "keras" in by and writer != by.capitalize():
        reasons.append(
            f"{writer} wrote the file and {by} ran it: Keras has changed what masked "
            "steps give and what hard_sigmoid is; ours follows the version that wrote the file"
        )
    return tuple(reasons)


def _as_returned(
    model: Model, x: Any, returned: Mapping[str, Any], direct: bool, dtype: str | None
) -> dict[str, Array]:
    """What we give where a framework returned something; what we cannot compute is left out.

    Raises:
        UnsupportedFeatureError: if we can compute neither what the model returns nor an LSTM layer.
    """
    found: dict[str, Array] = {}
    computed: list[str] = []
    refused: list[UnsupportedFeatureError] = []
    for address, theirs in returned.items():
        whole = True if _looked_into(model, address, theirs) else None
        try:
            session = Session(model, address or None, direct=direct, dtype=dtype)
            arrays = session.run(x, return_sequences=whole, return_state=whole)
        except UnsupportedFeatureError as error:
            refused.append(error)
            continue
        computed.append(address)
        found |= {"/".join(filter(None, (address, name))): a for name, a in arrays.items()}
    lstms = {layer.address for layer in model.lstm_layers}
    if refused and not any(_layer_of(address) in ("", *lstms) for address in computed):
        raise refused[0]
    return found


def _layer_of(address: str) -> str:
    """The layer of one of its calls, ``NAME@0``."""
    return address.rsplit("@", 1)[0]


def _looked_into(model: Model, address: str, theirs: Mapping[str, Array]) -> bool:
    """Whether a framework gave a layer's every step and its states, however it was saved."""
    recurrent = model.find(_layer_of(address)).recurrent if address else None
    return recurrent is not None and set(theirs) == set(recurrent.returned(True))


def _returned(
    session: Session, x: Any, expected: Mapping[str, Array], given: dict[str, Any]
) -> dict[str, Array]:
    """What the framework would return, with the states of a lone LSTM layer where expected."""
    plain = session.names or session.source.has_graph
    found = session.run(x, **given) if plain else {}
    lone = session.names or [layer.address for layer in session.source.lstm_layers]
    if len(lone) == 1 and any(name.startswith(("state_", "forward_", "0/")) for name in expected):
        alone = Session(session.source, lone, direct=session.direct, dtype=session.dtype)
        found = {**alone.run(x, return_state=True, **given), **found}
    return found
