"""Which runs may be cut into pieces of the batch: not those that look at all sequences at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm_cli.engine.session import Session
from lstm_cli.model import (
    Call,
    Constant,
    Direction,
    Foreign,
    Input,
    Layer,
    LstmCell,
    Model,
    Operation,
    Output,
    Recurrent,
    Reference,
)

Array = NDArray[Any]
F, U = 3, 4
X = np.random.default_rng(3).normal(size=(5, 6, F)).astype(np.float32)


def cell() -> LstmCell:
    chance = np.random.default_rng(1)
    kernel, recurrent, bias = (
        chance.normal(size=shape) for shape in ((F, 4 * U), (U, 4 * U), (4 * U,))
    )
    return LstmCell(kernel, recurrent, bias)


def model(*before: Call, **settings: Any) -> Model:
    """An LSTM that reads the last of some calls on the input."""
    source = Call(Layer("x", "Input", Operation("identity"), dtype=""))
    layer = Layer("lstm", "LSTM", Recurrent((Direction("", (cell(),)),), return_sequences=True))
    read = Call(layer, arguments=(Reference(len(before)),), **settings)
    calls = (source, *before, read)
    return Model(
        "made.up",
        "made up",
        "nobody",
        tuple(call.layer for call in calls),
        calls,
        (Input("x", (None, None, F), "float32", 0),),
        (Output("y", Reference(len(calls) - 1)),),
    )


class Centred(Session):
    """Its library subtracts the mean of all sequences, which no piece of them has."""

    libraries = {"made up": lambda: lambda operation, arrays: [arrays[0] - arrays[0].mean(axis=0)]}  # noqa: RUF012


def test_operators_of_a_library_see_the_whole_batch() -> None:
    centre = Foreign("made up", ("a",), ("b",), ("Centre",), lambda: b"")
    centred = model(Call(Layer("centre", "operators", centre, ""), arguments=(Reference(0),)))
    plain = Session(model()).run(X - X.mean(axis=0))["output"]
    np.testing.assert_array_equal(Centred(centred, batch_size=2).run(X)["output"], plain)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_states_that_stand_in_the_file_go_with_their_sequences(size: int) -> None:
    chance = np.random.default_rng(4)
    h, c = (chance.normal(size=(5, U)).astype(np.float32) for _ in range(2))
    fixed = model(initial_state=(Constant(h), Constant(c)))
    given = Session(model()).run(X, initial_state={"h": h, "c": c})["output"]
    np.testing.assert_array_equal(Session(fixed, batch_size=size).run(X)["output"], given)


def test_lengths_that_stand_in_the_file_go_with_their_sequences() -> None:
    lengths = np.array([6, 2, 3, 1, 5])
    fixed = model(lengths=Constant(lengths))
    given = Session(model()).run(X, lengths=lengths)["output"]
    np.testing.assert_array_equal(Session(fixed, batch_size=2).run(X)["output"], given)


def test_an_input_without_sequences_beside_one_with_them() -> None:
    """A sample rate, say: it is no batch of one."""
    two = model()
    rate = Call(Layer("rate", "Input", Operation("identity"), dtype=""))
    calls = (*two.calls, rate)
    two = replace(
        two,
        calls=calls,
        inputs=(*two.inputs, Input("rate", (1, 1, 1), "float32", len(calls) - 1, None)),
        outputs=(*two.outputs, Output("rate", Reference(len(calls) - 1))),
    )
    found = Session(two, batch_size=2).run({"x": X, "rate": np.full((1, 1, 1), 8000.0)})
    np.testing.assert_array_equal(found["output_0"], Session(model()).run(X)["output"])
    np.testing.assert_array_equal(found["output_1"], np.full((1, 1, 1), 8000, np.float32))
