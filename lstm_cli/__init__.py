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
    from .analysis.difference import diff
    from .analysis.ranking import rank
    from .analysis.search import find
    from .api import Session, inspect, load, run, trace, trace_blocks, weights
    from .errors import (
        AmbiguousNameError,
        InputError,
        LstmCliError,
        MissingEntryError,
        MissingExtraError,
        ModelFileError,
        NoSuchNameError,
        OutputError,
        ShapeError,
        UnknownFormatError,
        UnsupportedFeatureError,
        UsageError,
    )
    from .explanation import (
        TraceFile,
        open_trace,
        probe,
        read_trace,
        stats,
        weight_indicators,
        why,
    )
    from .model import Model
    from .outputs.pictures import plot, text
    from .outputs.view_start import view
    from .traces import State, Trace, Traces
    from .verification import verify

__version__ = "0.1.0"

__all__ = [
    "AmbiguousNameError",
    "InputError",
    "LstmCliError",
    "MissingEntryError",
    "MissingExtraError",
    "Model",
    "ModelFileError",
    "NoSuchNameError",
    "OutputError",
    "Session",
    "ShapeError",
    "State",
    "Trace",
    "TraceFile",
    "Traces",
    "UnknownFormatError",
    "UnsupportedFeatureError",
    "UsageError",
    "__version__",
    "diff",
    "find",
    "inspect",
    "load",
    "open_trace",
    "plot",
    "probe",
    "rank",
    "read_trace",
    "run",
    "stats",
    "text",
    "trace",
    "trace_blocks",
    "verify",
    "view",
    "weight_indicators",
    "weights",
    "why",
]

_HOMES = {
    ".api": ("Session", "inspect", "load", "run", "trace", "trace_blocks", "weights"),
    ".explanation": (
        "TraceFile",
        "open_trace",
        "probe",
        "read_trace",
        "stats",
        "weight_indicators",
        "why",
    ),
    ".analysis.difference": ("diff",),
    ".analysis.ranking": ("rank",),
    ".analysis.search": ("find",),
    ".verification": ("verify",),
    ".model": ("Model",),
    ".outputs.pictures": ("plot", "text"),
    ".outputs.view_start": ("view",),
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
