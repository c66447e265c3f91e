"""Installed libraries that run what is not ours to compute: the operators around an LSTM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..model import Array, Foreign

Evaluator = Callable[[Foreign, Sequence[Array]], list[Array]]
"""Runs operators on the values of their inputs and returns those of their outputs, in order."""


def _onnx() -> Evaluator:
    from .onnx_nodes import OnnxNodes

    return OnnxNodes()


LIBRARIES: Mapping[str, Callable[[], Evaluator]] = {"onnx": _onnx}
"""By the name that ``model.Foreign`` has for it; the library itself is imported when it runs."""
