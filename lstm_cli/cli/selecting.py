"""``--steps``, ``--units`` and ``--tensors``: which part of a result is shown or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .options import RunOptions

if TYPE_CHECKING:
    from ..model import Array
    from ..outputs.results import Results

Axes = tuple[int | None, int | None]
"""Where an array has its sequences and its steps; None where it has none."""

_WITHOUT_UNITS = {"x", "mask", "lengths"}


def parse_steps(text: str | None) -> slice:
    """``10:20``, ``10:``, ``:20`` or ``10``; counted from 0, the end left out."""
    from ..errors import UsageError

    if text is None:
        return slice(None)
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = [None] * 3
    if len(numbers) == 1 and numbers[0] is not None and numbers[0] >= 0:
        return slice(numbers[0], numbers[0] + 1)
    if len(numbers) == 2 and all(n is None or n >= 0 for n in numbers):
        if numbers[1] is not None and numbers[1] <= (numbers[0] or 0):
            raise UsageError(f"--steps {text}: expected FROM:TO with TO above FROM, such as 10:20")
        return slice(*numbers)
    raise UsageError(f"--steps: expected FROM:TO, such as 10:20, found '{text}'")


def parse_units(text: str | None) -> list[int] | None:
    """``0,3,7:12`` as unit numbers."""
    from ..errors import UsageError

    if text is None:
        return None
    units: list[int] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        try:
            numbers = [int(first), int(last)] if colon else [int(first)]
        except ValueError:
            numbers = []
        if not numbers or min(numbers) < 0 or (colon and numbers[1] <= numbers[0]):
            raise UsageError(
                f"--units: expected numbers and ranges, such as 0,3,7:12, found '{text}'"
            )
        units += range(*numbers) if colon else numbers
    return list(dict.fromkeys(units))


def parse_names(text: str | None) -> list[str] | None:
    """``h,c,f`` as names."""
    from ..errors import UsageError

    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--tensors: expected names, such as h,c,f, found none")
    return names


def choose(arrays: Mapping[str, Array], names: Sequence[str] | None) -> dict[str, Array]:
    """The arrays with these names, in the order in which they are asked for.

    A name without a part stands for that array of every part: ``h`` for ``forward/h`` too.
    """
    from ..errors import NoSuchNameError

    if names is None:
        return dict(arrays)
    chosen: dict[str, Array] = {}
    for wanted in names:
        found = {
            name: array
            for name, array in arrays.items()
            if name == wanted or name.endswith(f"/{wanted}")
        }
        if not found:
            raise NoSuchNameError("tensor", wanted, arrays)
        chosen |= found
    return chosen


def make_results(
    arrays: Mapping[str, Array],
    meta: Mapping[str, Any],
    options: RunOptions,
    *,
    per_step: frozenset[str],
    batched: bool,
    axes: Mapping[str, Axes] = MappingProxyType({}),
    first_step: int = 0,
    lengths: Array | None = None,
) -> Results:
    """Arrays with a batch axis as what is written or shown.

    Args:
        arrays: by final name, each with a batch axis, save weights.
        per_step: those with a time axis.
        batched: whether the input had a batch axis; where it had none, results have none.
        axes: of arrays in the framework's own order, where they have their sequences and their
            steps; of all others these are the first axes.
        first_step: the input's number of the first step in the arrays.
        lengths: of the sequences, where the arrays with a time axis follow them.
    """
    from ..outputs.results import Layout, Results

    steps, units = parse_steps(options.steps), parse_units(options.units)
    kept: dict[str, Array] = {}
    cut: dict[str, Any] = {} if units is None else {"kept_units": units}
    columns: dict[str, Sequence[int]] = {}
    start = 0
    for name, whole in arrays.items():
        array = whole
        batch, time = axes.get(name, (0, 1 if name in per_step else None))
        if time is not None and name in per_step:
            axis = time
            span, start = _span(steps, first_step, array.shape[axis])
            cut |= _cut(span, start, array.shape[axis])
            array = array[(slice(None),) * axis + (span,)]
        if units is not None and _has_units(name, array):
            array = _units(name, array, units)
            columns[name] = units
        if not batched and not _is_weight(name) and batch is not None and array.ndim > batch:
            array = array.take(0, axis=batch) if array.shape[batch] == 1 else array
        kept[name] = array
    ends = None if lengths is None else (lengths - start).clip(0)
    layout = Layout(batched=batched, first_step=start, units=columns, lengths=ends)
    return Results(kept, {**meta, **cut}, per_step & set(kept), layout)


def _cut(span: slice, start: int, count: int) -> dict[str, Any]:
    """What a file says about the steps that are left out, so that a reader numbers them right."""
    before = {"first_step": start} if start else {}
    return {**before, "ends_early": True} if span.stop < count else before


def _span(steps: slice, first: int, count: int) -> tuple[slice, int]:
    """The chosen steps within a piece that begins at step ``first``, and the first one's number."""
    start = max(steps.start or 0, first)
    stop = first + count if steps.stop is None else min(steps.stop, first + count)
    return slice(start - first, max(stop - first, start - first)), start


def _is_weight(name: str) -> bool:
    from ..outputs.results import WEIGHT_TENSORS, base_name

    return base_name(name) in WEIGHT_TENSORS


def _has_units(name: str, array: Array) -> bool:
    without = name.rsplit("/", 1)[-1] in _WITHOUT_UNITS or _is_weight(name)
    return not without and array.ndim > 1


def _units(name: str, array: Array, units: Sequence[int]) -> Array:
    from ..errors import UsageError, numbered

    if max(units) >= array.shape[-1]:
        raise UsageError(
            f"--units: '{name}' has {numbered('unit', array.shape[-1])}, found {max(units)}"
        )
    return array[..., list(units)]


def check_steps(options: RunOptions, steps: int) -> None:
    """Refuse ``--steps`` that lie beyond the sequence."""
    from ..errors import UsageError, numbered

    if (parse_steps(options.steps).start or 0) >= steps:
        raise UsageError(f"--steps {options.steps}: the sequence has {numbered('step', steps)}")


def has_steps(results: Results) -> bool:
    """Whether ``--steps`` left any step of this piece of a sequence."""
    return all(array.size for name, array in results.arrays.items() if name in results.per_step)
