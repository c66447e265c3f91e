"""Labels of steps, as text or numbers, made into what units are compared with.

Letters: B sequences, T time steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError, UsageError
from ..model import Array
from .cells import TracedCell

Kind = Literal["number", "yes/no", "class"]

MOST_CLASSES = 200


def fitted_labels(labels: Array, cells: Mapping[str, TracedCell]) -> Array:
    """The labels as (B, T) or (B,).

    Raises:
        InputError: if they are neither.
    """
    cell = next(iter(cells.values()))
    sequences, steps = cell.sequences, cell.steps
    if labels.ndim == 3 and labels.shape[2] == 1:
        labels = labels[..., 0]
    if labels.ndim == 2 and labels.shape[1] == 1 and steps > 1:
        labels = labels[:, 0]
    if labels.shape == (sequences, steps):
        return labels
    first = cell.cut.first_step
    if (first or cell.cut.ends_early) and labels.ndim in (1, 2) and labels.shape[-1] > steps:
        labels = labels[..., first : first + steps]
        if labels.shape == (sequences, steps):
            return labels
    if labels.shape == (steps,) and sequences == 1:
        return labels[np.newaxis]
    if labels.shape == (sequences,):
        return labels
    shape = f"({', '.join(map(str, labels.shape))}{',' if labels.ndim == 1 else ''})"
    expected = f"({steps},)" if sequences == 1 else f"({sequences}, {steps}) or ({sequences},)"
    raise InputError(f"target: expected a label for each step, {expected}; found {shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Labels as numbers.

    Attributes:
        kind: what they were taken for.
        arrays: for each run (B, T) or (B,): numbers, NaN where there is none; of classes their
            numbers.
        names: of the classes.
    """

    kind: Kind
    arrays: list[Array]
    names: tuple[str, ...] = ()


def code_labels(labels: Sequence[Array], kind: Kind | None) -> Coded:
    """Labels as what they are.

    Raises:
        InputError: if there are fewer than two values, or too many classes.
        UsageError: if the kind does not go with them.
    """
    flat = np.concatenate([array.ravel() for array in labels])
    is_text = flat.dtype.kind not in "biuf"
    known = flat != "" if is_text else np.isfinite(flat.astype(np.float64))
    values = np.unique(flat[known])
    if len(values) < 2:
        said = f"'{values[0]}'" if len(values) else "nothing"
        raise InputError(f"target: every step says {said}; expected at least two values")
    found: Kind = "yes/no" if len(values) == 2 else ("class" if is_text else "number")
    chosen = kind or found
    if chosen == "number":
        if is_text:
            raise UsageError(f"target: '{values[0]}' is no number; leave out the kind")
        return Coded(chosen, [array.astype(np.float64) for array in labels])
    if chosen == "yes/no" and len(values) != 2:
        raise UsageError(f"target: yes/no has two values, this has {len(values)}")
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"target: {len(values)} classes, more than {MOST_CLASSES}; expected numbers, or fewer"
        )
    names = tuple(str(value) if is_text else f"{value:g}" for value in values)
    codes = []
    for array in labels:
        known = array != "" if is_text else np.isfinite(array.astype(np.float64))
        codes.append(np.where(known, np.searchsorted(values, array), np.nan))
    return Coded(chosen, codes, names)
