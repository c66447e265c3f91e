"""Operators that a library runs, and layers in the branches of an If."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import lstm_cli
from lstm_cli.engine.session import Session
from lstm_cli.errors import InputError, UnsupportedFeatureError
from lstm_cli.model import (
    Call,
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

B, T, F, U = 2, 5, 3, 4


def program() -> bytes:
    raise AssertionError("nothing here reads the program")


def foreign(name: str, operator: str, inputs: int = 1) -> Layer:
    names = tuple(f"in{k}" for k in range(inputs))
    return Layer(name, "operators", Foreign("made up", names, ("out",), (operator,), program), "")


def lstm(name: str, seed: int) -> Layer:
    chance = np.random.default_rng(seed)
    kernel, recurrent, bias = (
        chance.normal(size=shape) for shape in ((F, 4 * U), (U, 4 * U), (4 * U,))
    )
    way = Direction("", (LstmCell(kernel, recurrent, bias),))
    return Layer(name, "LSTM", Recurrent((way,), return_sequences=True))


INPUT = Layer("x", "Input", Operation("identity"), dtype="")
LEFT, RIGHT = lstm("left", 1), lstm("right", 2)
DOUBLE, POSITIVE = foreign("double", "Double"), foreign("positive", "Positive")


class Library:
    """Runs the operators above, and remembers which."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def __call__(self, operation: Foreign, arrays: Sequence[Array]) -> list[Array]:
        self.ran += operation.operators
        (array,) = arrays
        return [array * 2] if operation.operators == ("Double",) else [np.array(array.sum() > 0)]


class Opened(Session):
    """A session with that library."""

    libraries: ClassVar = {"made up": Library}


def branching() -> Model:
    """``left`` reads the input doubled where its sum is positive, else ``right`` as it is."""
    holds, fails = (Reference(1), True), (Reference(1), False)
    calls = (
        Call(INPUT),
        Call(POSITIVE, arguments=(Reference(0),)),
        Call(DOUBLE, arguments=(Reference(0),), condition=holds),
        Call(LEFT, arguments=(Reference(2),)),
        Call(RIGHT, arguments=(Reference(0),), condition=fails),
        Call(
            Layer("chosen", "If", Operation("either"), dtype=""),
            arguments=(Reference(3), Reference(4)),
        ),
    )
    return Model(
        "made.up",
        "made up",
        "nobody",
        tuple(call.layer for call in calls),
        calls,
        (Input("x", (None, None, F), "float32", 0),),
        (Output("y", Reference(5)),),
    )


def x(sign: float) -> Array:
    return sign * np.abs(np.random.default_rng(0).normal(size=(B, T, F))).astype(np.float32)


def alone(layer: Layer, inputs: Array) -> Array:
    """What a layer returns that is run directly, which needs no library."""
    return np.asarray(lstm_cli.run(branching(), inputs, layer=layer.address, direct=True))


@pytest.mark.parametrize(("sign", "layer", "factor"), [(1, LEFT, 2), (-1, RIGHT, 1)])
def test_the_branch_that_the_input_chooses(sign: float, layer: Layer, factor: float) -> None:
    output = Opened(branching()).run(x(sign))["output"]
    np.testing.assert_array_equal(output, alone(layer, x(sign) * np.float32(factor)))


def test_only_what_is_needed_runs() -> None:
    session = Opened(branching())
    session.run(x(-1))
    library = session._evaluators["made up"]
    assert isinstance(library, Library)
    assert library.ran == ["Positive"]


def test_a_trace_holds_the_layers_that_ran_and_names_the_others() -> None:
    session = Opened(branching())
    trace = session.trace(x(1))
    assert [name for name in trace.arrays if name.endswith("/h")] == ["left/h"]
    np.testing.assert_array_equal(trace.arrays["left/h"], alone(LEFT, x(1) * np.float32(2)))
    assert session.notes == ["not run for this input, which chooses another branch of an If: right"]


def test_a_chosen_layer_that_does_not_run() -> None:
    message = "^right: not run for this input, which chooses another branch of an If$"
    with pytest.raises(InputError, match=message):
        Opened(branching(), "right").trace(x(1))
    with pytest.raises(InputError, match=message):
        Opened(branching(), "right").run(x(1))


def test_nobody_runs_the_operators() -> None:
    with pytest.raises(UnsupportedFeatureError, match="nothing here runs the operators of made up"):
        Session(branching()).run(x(1))


def test_operators_may_mix_steps() -> None:
    session = Opened(branching(), "left")
    with pytest.raises(UnsupportedFeatureError, match=r"'double' \(operators\) may mix steps"):
        list(session.stream([x(1)]))
    with pytest.raises(UnsupportedFeatureError, match="may mix steps"):
        session.trace(x(1), lengths=np.array([2, 5]))


def test_inspecting_runs_nothing() -> None:
    facts = lstm_cli.inspect(branching())
    assert facts["outputs"] == [{"name": "y", "shape": None}]
    assert [layer["address"] for layer in facts["layers"] if layer["lstm"]] == ["left", "right"]
