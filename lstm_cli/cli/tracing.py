"""What ``states``, ``gates`` and ``export`` have in common: traces of LSTM layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .loading import InputData
from .options import RunOptions
from .running import Compute, Computed, steps_of
from .selecting import choose, parse_names

if TYPE_CHECKING:
    from ..engine.session import Session

BESIDE = ("mask", "lengths")
"""Arrays that go with any others, where the input has them."""

_OUTPUTS = ("output_0", "output_1")
_WITHOUT_STEPS = (
    *("initial_h", "initial_c", "final_h", "final_c", "lengths"),
    *("kernel", "recurrent_kernel", "bias", "peepholes"),
    *("projection", "projection_bias", "layer_norm"),
)


def tracer(
    options: RunOptions, default: Sequence[str], *, everything: bool = False, more: Any = None
) -> Compute:
    """A function that traces one input.

    Args:
        options: as given.
        default: per-step tensors where ``--tensors`` names none.
        everything: hand over all arrays of the trace, not these tensors alone.
        more: adds arrays to a session's own, such as weights.
    """
    asked = parse_names(options.tensors)

    def compute(session: Session, data: InputData, state: Any) -> Computed:
        trace = session.trace(
            data.x,
            mask=data.mask,
            lengths=data.lengths,
            initial_state=state,
            tensors=computed_tensors(asked, default),
        )
        arrays = dict(trace.arrays)
        if more is not None:
            arrays |= more(session)
        arrays = wanted_arrays(arrays, asked, default, everything, _single_array(options))
        lengths = trace.arrays.get("lengths") if data.lengths is None else data.lengths
        return Computed(arrays, trace.meta, steps_of(arrays), lengths=lengths)

    return compute


def computed_tensors(asked: Sequence[str] | None, default: Sequence[str]) -> list[str]:
    """The per-step tensors that a session has to keep.

    Raises:
        NoSuchNameError: if a name is none that a file could hold.
    """
    from ..errors import NoSuchNameError
    from ..traces import STEP_TENSORS

    if asked is None:
        return list(default)
    bases = dict.fromkeys(name.rsplit("/", 1)[-1] for name in asked)
    for base in bases:
        if base not in STEP_TENSORS and base not in _WITHOUT_STEPS:
            raise NoSuchNameError("tensor", base, (*STEP_TENSORS, *_WITHOUT_STEPS))
    kept = dict.fromkeys("output" if base in _OUTPUTS else base for base in bases)
    return [name for name in kept if name in STEP_TENSORS and name not in BESIDE]


def wanted_arrays(
    arrays: dict[str, Any],
    asked: Sequence[str] | None,
    default: Sequence[str],
    everything: bool,
    single: bool,
) -> dict[str, Any]:
    """The arrays to hand over, in order."""
    if asked is not None:
        return choose(arrays, asked)
    if everything:
        return arrays
    names = [*default] if single else [*default, *BESIDE]
    present = [name for name in names if any(a == name or a.endswith(f"/{name}") for a in arrays)]
    return choose(arrays, present)


def _single_array(options: RunOptions) -> bool:
    """Whether the format holds exactly one array, so that nothing is put beside it."""
    return options.format == "npy" or (options.output or "").lower().endswith(".npy")
