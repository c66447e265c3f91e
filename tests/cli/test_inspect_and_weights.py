"""``lstm inspect`` and ``lstm weights``."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from cli_runs import GOLDEN, SAMPLES, Cli, load_npz

MODEL = SAMPLES / "three_steps.keras"

WHOLE_PAGE = f"""\
{MODEL}
written by  Keras 3.15.1
format      Keras archive (.keras)
input       x (?, 3, 1) float32
output      lstm (?, 1)

   layer  kind        input  units  parameters
   x      InputLayer                         0
●  lstm   LSTM            1      1          12

● LSTM layer

lstm
  direction forward · activation tanh · recurrent activation sigmoid · bias yes
  return_sequences no · return_state no · stateful no · go_backwards no
  masking no · dtype float32

assumed or inferred
  nothing: the file says it all
"""


def test_the_whole_page(lstm: Cli) -> None:
    assert lstm("inspect", MODEL).succeeded().text == WHOLE_PAGE


def test_json_gives_the_same_facts(lstm: Cli) -> None:
    facts = json.loads(lstm("inspect", MODEL, "--json").succeeded().text)

    assert list(facts) == [
        *("path", "format", "written_by", "inputs", "outputs", "layers"),
        *("assumptions", "unsupported"),
    ]
    assert facts["path"] == str(MODEL)
    assert facts["inputs"] == [{"name": "x", "shape": [None, 3, 1], "dtype": "float32"}]
    assert facts["outputs"] == [{"name": "lstm", "shape": [None, 1]}]
    assert [entry["address"] for entry in facts["layers"]] == ["x", "lstm"]
    assert facts["layers"][1]["lstm"] is True
    assert facts["layers"][1]["parameters"] == 4 * (1 + 1 + 1)
    assert (facts["assumptions"], facts["unsupported"]) == ([], [])


def test_layers_can_be_chosen(lstm: Cli) -> None:
    model = SAMPLES / "bidirectional.keras"
    chosen = ["--layer", "middle", "-l", "top"]
    facts = json.loads(lstm("inspect", model, *chosen, "--json").succeeded().text)
    page = lstm("inspect", model, "-l", "middle").succeeded().text

    assert [entry["address"] for entry in facts["layers"]] == ["middle", "top"]
    assert facts["layers"][0]["parts"] == ["forward", "backward"]
    assert "middle" in page
    assert "word_vectors" not in page


def test_what_cannot_be_computed_is_listed_with_what_it_blocks(lstm: Cli) -> None:
    path = GOLDEN / "keras2" / "k2.2.4_tensorflow_lambda.h5"
    page = lstm("inspect", path).succeeded().text
    facts = json.loads(lstm("inspect", path, "--json").text)

    assert "cannot be computed" in page
    [blocked] = facts["unsupported"]
    lstm_layers = [entry["address"] for entry in facts["layers"] if entry["lstm"]]
    assert "Lambda" in json.dumps(blocked)
    assert any(name in json.dumps(blocked) for name in lstm_layers)


def test_weights_alone_say_what_is_assumed(lstm: Cli) -> None:
    path = GOLDEN / "keras2" / "k2.0.0_theano_seq_emb.weights.h5"
    page = lstm("inspect", path).succeeded().text
    whole = lstm("inspect", path, "--architecture", f"{path.parent}/k2.0.0_theano_seq_emb.json")

    assert "inputs      none declared" in page
    assert "hard_sigmoid (0.2x + 0.5)" in page
    assert "none declared" not in whole.succeeded().text


def test_statistics_of_every_gate(lstm: Cli) -> None:
    rows = lstm("weights", SAMPLES / "forecaster.keras").succeeded().text.splitlines()
    lstm("weights", SAMPLES / "forecaster.keras", "-o", "w.npz").succeeded()
    arrays = load_npz(Path("w.npz"))

    assert rows[0] == "layer,part,tensor,gate,shape,min,max,mean,std,norm,nan,inf"
    assert len(rows) == 1 + 3 * 4
    for row in rows[1:]:
        layer, part, tensor, gate, shape, *numbers = row.split(",")
        block = np.split(arrays[tensor].astype(np.float64), 4, axis=-1)["ifgo".index(gate)]
        assert (layer, part, shape) == ("lstm", "", "x".join(map(str, block.shape)))
        expected = [block.min(), block.max(), block.mean(), block.std(), np.linalg.norm(block)]
        # float32 has 2**-24 of relative rounding; the file's nine digits add less.
        np.testing.assert_allclose([float(n) for n in numbers[:5]], expected, rtol=1e-6, atol=1e-8)
        assert numbers[5:] == ["0", "0"]


@pytest.mark.parametrize("name", ["w.npz", "w.h5", "w.csv", "w.jsonl"])
def test_exported_weights_are_the_files_own_in_our_gate_order(lstm: Cli, name: str) -> None:
    lstm("weights", SAMPLES / "three_steps.h5", "-o", name).succeeded()

    with h5py.File(SAMPLES / "three_steps.h5") as file:
        places = [str(place) for place in file["model_weights/lstm"].attrs["weight_names"]]
        place = next(place for place in places if "/kernel" in place)
        kernel = file["model_weights/lstm"][place][()]  # columns i f c o, and c is our g
    if name == "w.npz":
        found = load_npz(Path(name))["kernel"]
    elif name == "w.h5":
        with h5py.File(name) as file:
            found = file["kernel"][()]
    elif name == "w.csv":
        lines = [line.split(",") for line in Path(name).read_text().splitlines()]
        assert lines[0] == ["tensor", "row", "column", "value"]
        found = np.array([[float(line[3]) for line in lines if line[0] == "kernel"]], np.float32)
    else:
        objects = [json.loads(line) for line in Path(name).read_text().splitlines()]
        found = np.array(next(o["values"] for o in objects if o["tensor"] == "kernel"), np.float32)
    np.testing.assert_array_equal(found, kernel)


def test_weights_of_all_layers_have_their_addresses_in_front(lstm: Cli) -> None:
    lstm("weights", SAMPLES / "bidirectional.keras", "-o", "w.npz").succeeded()
    lstm("weights", SAMPLES / "bidirectional.keras", "-l", "middle", "-o", "m.npz").succeeded()

    everything, middle = load_npz(Path("w.npz")), load_npz(Path("m.npz"))
    assert everything["middle/backward/kernel"].shape == (12, 24)
    np.testing.assert_array_equal(middle["backward/kernel"], everything["middle/backward/kernel"])


def test_layers_without_gates_are_refused_by_kind(lstm: Cli) -> None:
    done = lstm("weights", SAMPLES / "bidirectional.keras", "--layer", "praise")

    assert done.refusal() == (
        "layer 'praise' (Dense) has no LSTM gates or cell state to trace (LSTM layers: "
        "bottom, middle, top); 'lstm run --layer praise' shows what it returns"
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("w.npy", "w.npy: npy holds one array, and these are several; write .npz"),
        (
            "w.txt",
            "w.txt: the extension decides the format; expected .npy, .npz, .csv, .jsonl, .h5, "
            "found '.txt'",
        ),
    ],
)
def test_where_weights_cannot_be_written(lstm: Cli, target: str, message: str) -> None:
    assert lstm("weights", MODEL, "-o", target).refusal() == message
    assert "there is no folder" in lstm("weights", MODEL, "-o", "missing/w.npz").refusal()
    assert list(Path().iterdir()) == []
