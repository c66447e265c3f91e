"""Open a saved model, run a sequence, and see every gate and state of its LSTM layers.

>>> import lstm_cli
>>> model = lstm_cli.load("sample_models/three_steps.keras")
>>> trace = lstm_cli.trace(model, [[0.1], [0.2], [0.3]])
>>> trace.h.shape  # B sequences, T steps, U units
(1, 3, 1)

Everything is imported when it is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import inspect, load, run, trace, trace_blocks, weights
    from .engine.session import Session
    from .errors import (
        AmbiguousNameError,
        InputError,
        LstmCliError,
        MissingEntryError,
        ModelFileError,
        NoSuchNameError,
        OutputError,
        ShapeError,
        UnknownFormatError,
        UnsupportedFeatureError,
        UsageError,
    )
    from .model import Model
    from .traces import State, Trace, Traces

__version__ = "0.1.0"

__all__ = [
    "AmbiguousNameError",
    "InputError",
    "LstmCliError",
    "MissingEntryError",
    "Model",
    "ModelFileError",
    "NoSuchNameError",
    "OutputError",
    "Session",
    "ShapeError",
    "State",
    "Trace",
    "Traces",
    "UnknownFormatError",
    "UnsupportedFeatureError",
    "UsageError",
    "__version__",
    "inspect",
    "load",
    "run",
    "trace",
    "trace_blocks",
    "weights",
]

_HOMES = {
    ".api": ("inspect", "load", "run", "trace", "trace_blocks", "weights"),
    ".engine.session": ("Session",),
    ".model": ("Model",),
    ".traces": ("State", "Trace", "Traces"),
    ".errors": tuple(name for name in __all__ if name.endswith("Error")),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(home, __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
