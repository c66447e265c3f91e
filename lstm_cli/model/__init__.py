"""What a model is, once the file it came from no longer matters: plain data, checked once.

A model is a list of layers and a flat list of calls to them, in an order that can be computed:
nested models are unfolded by their reader, so that their layers appear here with addresses such as
``outer/lstm``, and a layer that is used twice has two calls. Weights stand in this package's own
orders, and every setting that changes a number is explicit.
"""

from .addresses import Choice, choose, in_part
from .cells import (
    GATES,
    LSTM_WEIGHTS,
    PEEPHOLES,
    Activation,
    Array,
    Cell,
    Coupled,
    GruCell,
    LstmCell,
    SimpleRnnCell,
    parameter_count,
)
from .graph import Argument, Call, Constant, Input, Model, Output, Reference
from .layers import (
    Convention,
    Direction,
    Foreign,
    Layer,
    MaskedOutput,
    MergeMode,
    Operation,
    Recurrent,
    Unsupported,
    WrapperMask,
)

__all__ = [
    "GATES",
    "LSTM_WEIGHTS",
    "PEEPHOLES",
    "Activation",
    "Argument",
    "Array",
    "Call",
    "Cell",
    "Choice",
    "Constant",
    "Convention",
    "Coupled",
    "Direction",
    "Foreign",
    "GruCell",
    "Input",
    "Layer",
    "LstmCell",
    "MaskedOutput",
    "MergeMode",
    "Model",
    "Operation",
    "Output",
    "Recurrent",
    "Reference",
    "SimpleRnnCell",
    "Unsupported",
    "WrapperMask",
    "choose",
    "in_part",
    "parameter_count",
]
