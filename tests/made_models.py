"""Models of one recurrent layer, made in memory, with all that an LSTM cell may have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm_cli import Model
from lstm_cli.model import Activation, Direction, Layer, LstmCell, Recurrent

Array = NDArray[Any]

F, U = 3, 5
HARD = Activation("hard_sigmoid", 0.2, 0.5)


def cell(seed: int = 0, features: int = F, units: int = U, **more: Any) -> LstmCell:
    """A cell with random float64 weights."""
    chance = np.random.default_rng(seed)
    hidden = units - 1 if "projection" in more else units
    shapes = {"kernel": (features, 4 * units), "recurrent_kernel": (hidden, 4 * units)}
    arrays: Any = {name: chance.normal(0, 0.7, shape) for name, shape in shapes.items()}
    return LstmCell(**{**arrays, "bias": chance.normal(0, 0.7, 4 * units), **more})


def model_of(recurrent: Recurrent, name: str = "lstm") -> Model:
    """A file without a graph, whose one layer is run directly, in float64."""
    layer = Layer(name, "LSTM", recurrent, dtype="float64")
    return Model("made", "in memory", "a test", (layer,), no_graph="it has no graph")


def one_way(which: LstmCell, backward: bool = False) -> Model:
    return model_of(Recurrent((Direction("", (which,), backward),), return_sequences=True))


def two_ways(forward: LstmCell, backward: LstmCell) -> Model:
    directions = (Direction("forward", (forward,)), Direction("backward", (backward,), True))
    return model_of(Recurrent(directions, "concat", return_sequences=True))


def two_levels(units: int = U) -> Model:
    """As ``nn.LSTM(F, U, num_layers=2, bidirectional=True)``."""

    def level(seed: int, features: int) -> tuple[Direction, Direction]:
        return (
            Direction("forward", (cell(seed, features, units),)),
            Direction("backward", (cell(seed + 1, features, units),), True),
        )

    above = (level(3, 2 * units),)
    return model_of(
        Recurrent(level(1, F), "concat", return_sequences=True, above=above, convention="torch")
    )


def stacked(units: int = U) -> Model:
    """As Keras's RNN of two cells."""
    cells = (cell(1, F, units), cell(2, units, units))
    return model_of(Recurrent((Direction("", cells),), return_sequences=True))


def series(batch: int, steps: int, features: int = F, seed: int = 9) -> Array:
    return np.random.default_rng(seed).normal(size=(batch, steps, features))
