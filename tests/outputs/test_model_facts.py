"""What ``inspect`` says about a model: the facts for JSON, and the page for a terminal."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from lstm_cli.model import (
    Activation,
    Call,
    Constant,
    Direction,
    GruCell,
    Input,
    Layer,
    LstmCell,
    Model,
    Operation,
    Output,
    Recurrent,
    Reference,
    Unsupported,
    WrapperMask,
)
from lstm_cli.outputs.facts import Blocked, layer_facts, model_facts
from lstm_cli.outputs.inspection import inspect_table
from lstm_cli.outputs.masking import is_masked

HARD = Activation("hard_sigmoid", 0.2, 0.5)


def cell(features: int, units: int, gates: Activation = HARD, bias: bool = True) -> LstmCell:
    return LstmCell(
        np.zeros((features, 4 * units), np.float32),
        np.zeros((units, 4 * units), np.float32),
        np.zeros(4 * units, np.float32) if bias else None,
        recurrent_activation=gates,
    )


def lstm(address: str, *cells: LstmCell, **settings: Any) -> Layer:
    return Layer(address, "LSTM", Recurrent((Direction("", cells),), **settings), parameters=10)


def operation(name: str, **settings: Any) -> Layer:
    return Layer(name, name.title(), Operation(name, settings))


def chain(*layers: Layer, **rest: Any) -> Model:
    """Each layer fed from the one before it."""
    calls = [Call(la, arguments=(Reference(k - 1),) if k else ()) for k, la in enumerate(layers)]
    return Model("model.h5", "Keras HDF5, whole model", "Keras 2.1.5", layers, tuple(calls), **rest)


def sentiment() -> Model:
    """An Embedding that masks, a Bidirectional, a Lambda, an LSTM and a Dense."""
    two = (Direction("forward", (cell(8, 32),)), Direction("backward", (cell(8, 32),), True))
    weights = {"kernel": np.zeros((16, 3)), "bias": np.zeros(3)}
    return chain(
        Layer("embedding", "Embedding", Operation("embedding", {"mask_zero": True}), "", 8000),
        Layer("both", "Bidirectional(LSTM)", Recurrent(two, "concat", True), parameters=10496),
        Layer("lambda_1", "Lambda", Unsupported("a Lambda holds Python code")),
        lstm("encoder/lstm", cell(64, 16, Activation("sigmoid"), False), return_state=True),
        Layer("dense", "Dense", Operation("dense", {"activation": Activation("tanh")}, weights)),
        inputs=(Input("words", (None, 10), "int32", 0),),
        outputs=(Output("dense", Reference(4), (None, 3)),),
        assumptions=("hard_sigmoid: Keras 2 form, because keras_version is 2.1.5",),
    )


LAMBDA = Blocked("lambda_1", "a Lambda holds Python code", ("encoder/lstm",))


def page(model: Model, width: int, *unsupported: Blocked) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(inspect_table(model_facts(model, unsupported), width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def test_facts_of_a_model_are_json() -> None:
    facts = json.loads(json.dumps(model_facts(sentiment(), [LAMBDA])))
    layers = facts.pop("layers")
    assert facts == {
        "path": "model.h5",
        "format": "Keras HDF5, whole model",
        "written_by": "Keras 2.1.5",
        "inputs": [{"name": "words", "shape": [None, 10], "dtype": "int32"}],
        "outputs": [{"name": "dense", "shape": [None, 3]}],
        "assumptions": ["hard_sigmoid: Keras 2 form, because keras_version is 2.1.5"],
        "unsupported": [
            {
                "address": "lambda_1",
                "reason": "a Lambda holds Python code",
                "blocks": ["encoder/lstm"],
            }
        ],
    }
    assert [layer["address"] for layer in layers] == [
        "embedding",
        "both",
        "lambda_1",
        "encoder/lstm",
        "dense",
    ]
    assert layers[1] == {
        "address": "both",
        "kind": "Bidirectional(LSTM)",
        "lstm": True,
        "recurrent": True,
        "input_size": 8,
        "units": 32,
        "parts": ["forward", "backward"],
        "direction": "bidirectional",
        "activation": "tanh",
        "recurrent_activation": "hard_sigmoid (0.2x + 0.5)",
        "use_bias": True,
        "return_sequences": True,
        "return_state": False,
        "stateful": False,
        "go_backwards": False,
        "additions": [],
        "masking": True,
        "dtype": "float32",
        "parameters": 10496,
        "trainable": True,
    }
    assert all(list(layer) == list(layers[1]) for layer in layers)


def test_facts_of_other_layers() -> None:
    model = sentiment()
    dense = layer_facts(model, model.layers[4])
    assert (dense["lstm"], dense["recurrent"], dense["parts"]) == (False, False, [])
    assert (dense["input_size"], dense["units"], dense["activation"]) == (16, 3, "tanh")
    assert dense["return_sequences"] is None
    embedding = layer_facts(model, model.layers[0])
    assert (embedding["units"], embedding["dtype"], embedding["masking"]) == (None, None, None)


def test_cells_that_differ_are_listed() -> None:
    layer = lstm("rnn", cell(3, 4), cell(4, 6, Activation("sigmoid")))
    facts = layer_facts(chain(layer), layer)
    assert facts["units"] == [4, 6]
    assert facts["recurrent_activation"] == ["hard_sigmoid (0.2x + 0.5)", "sigmoid"]
    assert facts["parts"] == ["0", "1"]


def test_a_gru_is_recurrent_and_no_lstm() -> None:
    gru = GruCell(np.zeros((2, 9)), np.zeros((3, 9)), None)
    layer = Layer("gru", "GRU", Recurrent((Direction("", (gru,), go_backwards=True),)))
    facts = layer_facts(chain(layer), layer)
    assert (facts["lstm"], facts["recurrent"], facts["units"]) == (False, True, 3)
    assert (facts["direction"], facts["go_backwards"]) == ("backward", True)


MASK = operation("masking", mask_value=0.0)


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ([], True),
        ([operation("dense"), operation("identity")], True),
        ([operation("identity", drop_mask=True)], False),
        ([operation("flatten")], False),
        ([operation("op_add")], False),
        ([lstm("before", cell(2, 2), return_sequences=True)], True),
        ([lstm("before", cell(2, 2))], False),
        ([Layer("odd", "Odd", Unsupported("it is odd"))], False),
    ],
    ids=["next", "kept", "dropped", "flatten", "op", "lstm with steps", "lstm", "unsupported"],
)
def test_how_far_a_mask_reaches(between: list[Layer], expected: bool) -> None:
    last = lstm("last", cell(2, 2))
    assert is_masked(chain(MASK, *between, last), last) is expected


@pytest.mark.parametrize(
    ("source", "wrapper", "expected"),
    [(1, "", True), (1, "passed", True), (1, "unread", False), (0, "passed", False)],
    ids=["inner", "inner, passed on", "not read", "of the outer steps"],
)
def test_masks_inside_time_distributed(source: int, wrapper: WrapperMask, expected: bool) -> None:
    """Only a mask that was made inside a TimeDistributed has an axis for the inner steps."""
    begin = replace(MASK, distributed=source, wrapper_mask=wrapper)
    last = replace(lstm("last", cell(2, 2)), distributed=1, wrapper_mask=wrapper)
    assert is_masked(chain(begin, last), last) is expected


def test_a_mask_reaches_through_one_of_two_branches() -> None:
    """Two paths from one source meet again; each call is looked at once."""
    left, right, both = operation("dense"), operation("flatten"), operation("add")
    last = lstm("last", cell(2, 2))
    calls = (
        Call(MASK),
        Call(left, arguments=(Reference(0),)),
        Call(right, arguments=(Reference(0),)),
        Call(both, arguments=(Reference(1), Reference(2), Reference(1))),
        Call(last, arguments=(Reference(3),)),
    )
    assert is_masked(Model("m", "f", "w", (MASK, left, right, both, last), calls), last)


def test_a_mask_given_to_the_call_counts() -> None:
    layer = lstm("lstm", cell(2, 2))
    given = Call(layer, mask=Constant(np.array([True])))
    assert is_masked(Model("m", "f", "w", (layer,), (given,)), layer)
    assert not is_masked(chain(operation("input"), layer), layer)


def test_a_mask_is_lost_beside_states_where_the_framework_loses_it() -> None:
    states = (Constant(np.zeros((1, 2))), Constant(np.zeros((1, 2))))
    for kept in (True, False):
        layer = lstm("lstm", cell(2, 2), mask_beside_states=kept)
        call = Call(layer, arguments=(Reference(0),), initial_state=states)
        model = Model("m", "f", "w", (MASK, layer), (Call(MASK), call))
        assert is_masked(model, layer) is kept


def test_page_at_80_columns() -> None:
    assert page(sentiment(), 80, LAMBDA) == dedent("""\
        model.h5
        written by  Keras 2.1.5
        format      Keras HDF5, whole model
        input       words (?, 10) int32
        output      dense (?, 3)

           layer         kind                 input  units  parameters
           embedding     Embedding                               8,000
        ●  both          Bidirectional(LSTM)      8     32      10,496
           lambda_1      Lambda                                      0
        ●  encoder/lstm  LSTM                    64     16          10
           dense         Dense                   16      3           0

        ● LSTM layer

        both
          parts forward, backward · direction bidirectional · activation tanh
          recurrent activation hard_sigmoid (0.2x + 0.5) · bias yes
          return_sequences yes · return_state no · stateful no · go_backwards no
          masking yes · dtype float32

        encoder/lstm
          direction forward · activation tanh · recurrent activation sigmoid · bias no
          return_sequences no · return_state yes · stateful no · go_backwards no
          masking no · dtype float32

        assumed or inferred
          - hard_sigmoid: Keras 2 form, because keras_version is 2.1.5

        cannot be computed
          - lambda_1: a Lambda holds Python code; blocks encoder/lstm
        """)


def test_page_at_200_columns_is_one_table() -> None:
    lines = page(sentiment(), 200).splitlines()
    assert lines[6:9] == [
        "   layer         kind                 input  units  direction      activation"
        "  recurrent activation       bias  sequences  state  stateful  go_backwards  masking"
        "  dtype    parameters",
        "   embedding     Embedding".ljust(len(lines[6]) - 5) + "8,000",
        "●  both          Bidirectional(LSTM)      8     32  bidirectional  tanh"
        "        hard_sigmoid (0.2x + 0.5)  yes   yes        no     no        no            yes"
        "      float32      10,496",
    ]
    assert "return_sequences" not in "\n".join(lines)


def test_page_at_40_columns_is_cut_into_bands() -> None:
    lines = page(sentiment(), 40, LAMBDA).splitlines()
    assert lines[5:19] == [
        "",
        "   layer         kind          input",
        "   embedding     Embedding",
        "●  both          Bidirection…      8",
        "   lambda_1      Lambda",
        "●  encoder/lstm  LSTM             64",
        "   dense         Dense            16",
        "",
        "   layer         units  parameters",
        "   embedding                 8,000",
        "●  both             32      10,496",
        "   lambda_1                      0",
        "●  encoder/lstm     16          10",
        "   dense             3           0",
    ]
    assert max(map(len, lines)) <= 40


def test_long_addresses_keep_their_ends() -> None:
    """What ``--layer`` takes is a suffix, so the end is what people need."""
    address = "module/" * 12 + "lstm_7"
    text = page(chain(lstm(address, cell(2, 2))), 60)
    assert "/module/lstm_7  LSTM" in text
    assert max(map(len, text.splitlines())) <= 60


def test_page_of_a_model_that_says_little() -> None:
    text = page(Model("w.h5", "Keras HDF5, weights", "", ()), 80)
    assert text == dedent("""\
        w.h5
        written by  not known
        format      Keras HDF5, weights
        inputs      none declared
        outputs     none declared

        assumed or inferred
          nothing: the file says it all
        """)


def test_page_of_a_model_without_lstm_layers() -> None:
    assert "no LSTM layers" in page(chain(operation("dense")), 80)
