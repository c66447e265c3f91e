"""``lstm why --readout``: which steps made an output of the layer behind the LSTM."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, load_npz
from rich.console import Console

import lstm_cli
from lstm_cli.outputs.why_table import why_table

BRACKETS = (SAMPLES / "brackets.keras", SAMPLES / "brackets.csv")
SENTENCES = (SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy")
LABELS = SAMPLES / "brackets.labels.txt"
CHARACTERS = LABELS.read_text().splitlines()


def logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))


@pytest.mark.parametrize("step", [0, 30, 67])
def test_both_columns_sum_up_to_what_keras_said(lstm: Cli, step: int) -> None:
    done = lstm("why", *BRACKETS, "--readout", 0, "--step", step, "--labels", LABELS)
    rows = list(csv.DictReader(io.StringIO(done.succeeded().text)))
    assert [row["part"] for row in rows] == ["step"] * (step + 1) + [
        *("initial", "elsewhere", "bias")
    ]
    said = float(load_npz(SAMPLES / "brackets.golden.npz")["output"][0, step, 0])
    for name in ("contribution", "surviving"):
        # Keras's own float32 probability, whose logit has fewer digits the closer it is to 1:
        # at 0.997 it is known to 2e-5
        total = sum(float(row[name]) for row in rows)
        np.testing.assert_allclose(total, logit(said), rtol=1e-5, atol=5e-5)
    sizes = [abs(float(row["surviving"])) for row in rows[: step + 1]]
    assert sizes == sorted(sizes, reverse=True)
    assert all(row["label"] == CHARACTERS[int(row["step"])] for row in rows[: step + 1])


def test_open_brackets_count_against_a_closed_text(lstm: Cli) -> None:
    """Eight are open at step 58: what has most to do with the answer are brackets of that run."""
    done = lstm("why", *BRACKETS, "--readout", 0, "--step", 58, "--labels", LABELS, "--json")
    found = json.loads(done.succeeded().text)
    assert found["readout"] == {"layer": "all_closed", "output": 0, "activation": "sigmoid"}
    assert found["output"] < 1e-6
    first = found["steps"][:2]
    assert [(each["step"], each["label"]) for each in first] == [(50, "("), (51, "(")]
    assert all(each["surviving"] < -6 for each in first)
    assert max(abs(found["residual"]), abs(found["surviving_residual"])) < 5e-6
    assert (
        len(json.loads(lstm("why", *BRACKETS, "--readout", 0, "--top", 3, "--json").text)["steps"])
        == 3
    )


def test_the_table(lstm: Cli) -> None:
    model = lstm_cli.load(SENTENCES[0])
    trace = lstm_cli.trace(model, np.load(SENTENCES[1]))
    answer = lstm_cli.why(trace, readout=0, model=model, cell="top/forward", sequence=1)
    for width in (40, 80, 200):
        console = Console(width=width, file=io.StringIO(), highlight=False)
        console.print(why_table(answer, width, (24, 4), True, ["so"] * 10))
        lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
        assert max(map(len, lines)) <= width
        text = " ".join(" ".join(lines).split())
        assert "output 0 of praise at step 9 of sequence 1 = -9.7185, 6.0158e-05 after" in text
        assert "top/forward: sum -9.71847" in text
        cells = [line.split()[:4] for line in lines]
        assert width < 80 or ["other", "cells", "-2.0674", "-2.0674"] in cells
        assert "2 more" in text  # it has six words, the rest is masked


def test_refusals(lstm: Cli, tmp_path: object) -> None:
    assert lstm("why", *BRACKETS, "--readout", 1).refusal() == (
        "'all_closed' has output 0 alone, none number 1"
    )
    assert lstm("why", *BRACKETS, "--readout", "x").refusal() == (
        "readout: expected an output's number, or LAYER:N, found 'x'"
    )
    assert "leave out the unit" in lstm("why", *BRACKETS, "--readout", 0, "--unit", 1).refusal()
    alone = (SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv")
    assert lstm("why", *alone, "--readout", 0).refusal() == "no Dense layer stands behind 'lstm'"
    trace = f"{tmp_path}/t.npz"
    lstm("export", *BRACKETS, "-o", trace).succeeded()
    assert lstm("why", trace, "--readout", 0).refusal() == (
        "a trace does not hold the Dense layer behind the LSTM; give the model and its input"
    )
    below = lstm("why", *SENTENCES, "--readout", 0, "--cell", "bottom/forward").refusal()
    assert below.startswith("behind 'bottom' stands 'middle' (Bidirectional(LSTM)), and no Dense")
    state_dict = (SAMPLES / "three_steps.safetensors", alone[1])
    done = lstm("why", *state_dict, "--readout", 0)
    assert (done.code, done.out) == (2, b"")
    assert "no Dense layer behind 'lstm' is known: " in done.notes[-1]
