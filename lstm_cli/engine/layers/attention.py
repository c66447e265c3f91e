"""Attention and AdditiveAttention: each query step's mixture of value steps.

Source: ``attention/attention.py`` of Keras 3.15.1 and ``base_dense_attention.py`` of tf_keras 2.21,
which agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import InputError, ShapeError
from ...model import Array, Operation
from ..tensor import Tensor
from .activation_layers import softmax_of
from .arithmetic import with_common_dtype
from .rule import BLOCK_ELEMENTS, Compute, Rule, quiet, weight

MASKED_SCORE = 1e9
"""Subtracted from the scores of value steps that may not be attended to."""

Scores = Callable[[Operation, Array, Array], Array]


def _attention(scores_of: Scores) -> Compute:
    """Inputs: query (B, Tq, F), value (B, Tv, V), key (B, Tv, F), by default the value.

    The output is (B, Tq, V), zero where the query is masked, and keeps the query's mask; a value
    step that is masked gets no weight. With ``return_attention_scores`` the weights (B, Tq, Tv)
    follow.
    """

    @quiet
    def compute(operation: Operation, inputs: Sequence[Tensor]) -> Tensor | list[Tensor]:
        query, value, key = _checked(inputs)
        query_mask, value_mask = inputs[0].mask, inputs[1].mask
        settings = operation.settings
        causal = settings.get("causal") or settings.get("use_causal_mask")
        y = np.empty((*query.shape[:2], value.shape[2]), query.dtype)
        weights = np.empty((*query.shape[:2], key.shape[1]), query.dtype)
        block = max(1, BLOCK_ELEMENTS // max(1, key.size))
        for start in range(0, query.shape[1], block):
            part = slice(start, start + block)
            scores = scores_of(operation, query[:, part], key)
            allowed = _allowed(scores.shape, value_mask, start if causal else None)
            weights[:, part] = softmax_of(np.where(allowed, scores, scores - MASKED_SCORE), -1)
            y[:, part] = weights[:, part] @ value
        if query_mask is not None:
            y = np.where(query_mask[:, :, None], y, y.dtype.type(0))
        output = Tensor(y, query_mask)
        return [output, Tensor(weights)] if settings.get("return_attention_scores") else output

    return compute


def _checked(inputs: Sequence[Tensor]) -> tuple[Array, Array, Array]:
    if len(inputs) not in (2, 3):
        raise InputError(f"expected query, value and perhaps key, found {len(inputs)} inputs")
    query, value, *rest = with_common_dtype([x.array for x in inputs])
    key = rest[0] if rest else value
    if query.ndim != 3:
        raise ShapeError("query", "(B, T, F)", query.shape)
    batch, _, features = query.shape
    if value.ndim != 3 or value.shape[0] != batch:
        raise ShapeError("value", f"({batch}, T, F)", value.shape)
    if key.shape != (batch, value.shape[1], features):
        raise ShapeError("key", str((batch, value.shape[1], features)), key.shape)
    return query, value, key


def _allowed(shape: tuple[int, ...], value_mask: Array | None, first: int | None) -> Array:
    """Which value steps each query step may use; ``first`` is the first query step's number."""
    allowed = np.ones(shape[-2:], bool)
    if first is not None:
        allowed = np.tri(shape[-2], shape[-1], k=first, dtype=bool)
    return allowed[None] if value_mask is None else allowed & value_mask[:, None, :]


def _attention_scores(operation: Operation, query: Array, key: Array) -> Array:
    scale = weight(operation, "scale")
    if operation.settings.get("score_mode", "dot") == "dot":
        scores: Array = query @ key.swapaxes(1, 2)
        return scores if scale is None else scores * scale
    pairs = query[:, :, None] + key[:, None]
    if scale is not None:
        pairs *= scale
    scores = np.tanh(pairs, out=pairs).sum(axis=-1)
    return scores * operation.weights["concat_score_weight"]


def _additive_scores(operation: Operation, query: Array, key: Array) -> Array:
    scale = weight(operation, "scale", key.shape[-1])
    pairs = query[:, :, None] + key[:, None]
    np.tanh(pairs, out=pairs)
    if scale is not None:
        pairs *= scale
    scores: Array = pairs.sum(axis=-1)
    return scores


RULES: Mapping[str, Rule] = {
    "attention": Rule(_attention(_attention_scores)),
    "additive_attention": Rule(_attention(_additive_scores)),
}
