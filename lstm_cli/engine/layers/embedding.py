"""Layers at the entrance of a model that make masks: Embedding and Masking; and those that pass
everything on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import InputError, ShapeError
from ...model import Array, Operation
from ..tensor import Tensor
from .rule import Rule, always, one


def identity(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Its input: what dropout and noise are at inference."""
    x = one(inputs)
    return Tensor(x.array, None if operation.settings.get("drop_mask") else x.mask)


def embedding(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Rows of ``embeddings`` (V, D): ids of shape (B, ...) give (B, ..., D)."""
    table = operation.weights["embeddings"]
    ids = _row_numbers(one(inputs).array, len(table))
    mask = ids != 0 if operation.settings.get("mask_zero") else None
    return Tensor(table[ids], mask)


def _row_numbers(ids: Array, rows: int) -> Array:
    """``ids`` as integers; files and frameworks may hold them as floating numbers."""
    wrong = ~((ids >= 0) & (ids < rows))  # NaN is neither
    if ids.dtype.kind == "f":
        wrong |= ids != np.floor(ids)
    if wrong.any():
        position = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise InputError(
            f"embedding id {ids[position]:g} at {_place(position)} is not one of the {rows} that "
            f"the layer has: expected a whole number from 0 to {rows - 1}"
        )
    return ids.astype(np.intp)


def _place(position: tuple[int, ...]) -> str:
    names = ("sequence", "step", "feature")
    if len(position) > len(names):
        return f"position {list(position)}"
    return ", ".join(f"{name} {k}" for name, k in zip(names, position, strict=False))


def masking(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Masks the steps whose features all equal ``mask_value``, and sets them to 0."""
    x = one(inputs).array
    if x.ndim < 2:
        raise ShapeError("input", "(B, T, F)", x.shape)
    value = operation.settings["mask_value"]
    mask = np.any(x != (x.dtype.type(value) if x.dtype.kind == "f" else value), axis=-1)
    return Tensor(np.where(mask[..., None], x, x.dtype.type(0)), mask)


def _masking_steps(operation: Operation, ranks: Sequence[int]) -> bool:
    return ranks[0] >= 3


RULES: Mapping[str, Rule] = {
    "identity": Rule(identity, always),
    "embedding": Rule(embedding, always),
    "masking": Rule(masking, _masking_steps),
}
