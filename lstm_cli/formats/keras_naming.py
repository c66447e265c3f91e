"""What a Keras layer is called: its kind, its dtype, and why it cannot be computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .keras_config import CELLS, RECURRENT, LayerConfig
from .keras_layers import KINDS


def kind_of(config: LayerConfig) -> str:
    """The class with what it wraps: ``Bidirectional(LSTM)``, ``RNN(LSTMCell, LSTMCell)``."""
    if config.class_name in ("TimeDistributed", "Bidirectional"):
        return f"{config.kind}({kind_of(config.sublayers[0])})"
    if config.class_name == "RNN":
        cells = [inner for inner in config.walk() if not inner.sublayers]
        return f"RNN({', '.join(cell.kind for cell in cells)})"
    return config.kind


def dtype_name(value: Any) -> str:
    """The dtype of a layer: a name, or a policy of tf.keras or Keras 3."""
    if isinstance(value, Mapping):
        config = value.get("config")
        value = (
            config.get("name") or config.get("source_name") if isinstance(config, Mapping) else ""
        )
    return value if isinstance(value, str) else ""


def why_unsupported(config: LayerConfig) -> str:
    """Why a layer of a class that we do not know cannot be computed."""
    unknown = next(
        (
            inner
            for inner in config.walk()
            if not inner.sublayers
            and inner.class_name not in KINDS
            and inner.class_name not in RECURRENT | CELLS
        ),
        config,
    )
    kind = unknown.kind
    if kind == "Lambda":
        return "a Lambda holds Python code, which is never executed"
    if "ConvLSTM" in kind:
        return f"the gates of a {kind} are convolutions, which are not computed"
    likely = unknown.looks_like_lstm and not unknown.module.startswith("keras")
    if not unknown.custom and not likely:
        return f"{kind} layers are not computed"
    hint = f" (if it computes as an LSTM: --treat-as-lstm {kind})" if likely else ""
    return f"{kind} is a custom class whose code is not in the file{hint}"
