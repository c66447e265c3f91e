"""Sequences of unequal length: where their ends are known, and that nothing behind them counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import UnsupportedFeatureError
from ..model import Array, Model, Reference
from .returns import Axes
from .sizes import Given, steps_of
from .steps_flow import Flow, follow_steps, input_axes


def known_ends(
    model: Model, targets: Iterable[int], lengths: Array | None, arrays: Given
) -> Mapping[Reference, Axes]:
    """Where the ends of sequences of unequal length are known; nothing where all are equal.

    Args:
        model: the model.
        targets: the calls that are computed.
        lengths: (B,), of the sequences.
        arrays: the inputs.

    Returns:
        By value, which axes hold the sequences and their steps.

    Raises:
        UnsupportedFeatureError: if the filling behind an end would change a result.
    """
    steps = steps_of(arrays)
    longest = max(steps.values(), default=0)
    if lengths is None or (lengths == longest).all():
        return {}
    flow = follow_steps(
        model,
        targets,
        input_axes(entry for entry, _ in arrays if steps.get(entry.call) == longest),
        arrays,
    )
    if reasons := mixing_reasons(flow):
        raise UnsupportedFeatureError(
            f"sequences of unequal length would mix with what fills them up: "
            f"{'; '.join(reasons)}; run each sequence by itself"
        )
    return flow.axes


def mixing_reasons(flow: Flow) -> list[str]:
    """Why steps of the inputs mix on the way to what is computed, in the order of the calls."""
    found = {**flow.mixing, **flow.misread}
    return list(dict.fromkeys(found[number] for number in sorted(found)))
