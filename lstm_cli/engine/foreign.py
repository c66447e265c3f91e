"""Operators that a library of their own format runs: how the engine asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..errors import UnsupportedFeatureError
from ..model import Array, Foreign

Evaluator = Callable[[Foreign, Sequence[Array]], list[Array]]
"""Runs operators on the values of their inputs and returns those of their outputs, in order."""

Evaluators = Mapping[str, Evaluator]
"""By the name of the library: ``onnx``."""


def evaluated(operation: Foreign, arrays: Sequence[Array], evaluators: Evaluators) -> list[Array]:
    """What the operators return.

    Raises:
        UnsupportedFeatureError: if nobody runs them.
    """
    if operation.library not in evaluators:
        raise UnsupportedFeatureError(
            f"nothing here runs the operators of {operation.library}", operation.operators
        )
    return evaluators[operation.library](operation, arrays)
