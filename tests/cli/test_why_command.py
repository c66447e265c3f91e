"""``lstm why``: which steps wrote a memory, what opened a gate, and the summary of all units."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import ROOT, SAMPLES, Cli, Ran
from rich.console import Console

import lstm_cli
from lstm_cli.outputs.why_table import why_table

BRACKETS = (SAMPLES / "brackets.keras", SAMPLES / "brackets.csv")
SENTENCES = (SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy")
STEP = ("--step", 60)


def rows(done: Ran) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.succeeded().text)))


def column(found: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in found if row[name]]


def brackets(**more: Any) -> Any:
    model = lstm_cli.load(BRACKETS[0])
    return lstm_cli.trace(model, np.loadtxt(BRACKETS[1], delimiter=",", skiprows=1), **more)


def test_the_parts_of_a_memory_sum_up(lstm: Cli) -> None:
    found = rows(lstm("why", *BRACKETS, "--unit", 4, *STEP))
    trace = brackets()

    assert [row["part"] for row in found] == ["step"] * 61 + ["initial", "clipped"]
    parts = column(found, "contribution")
    sizes = [abs(part) for part in parts[:61]]
    assert sizes == sorted(sizes, reverse=True)
    # float32 rounding of 61 sums, c up to 8
    np.testing.assert_allclose(sum(parts), trace.c[0, 60, 4], atol=5e-6)
    for row in found[:61]:
        step = int(row["step"])
        written = trace.i[0, step, 4] * trace.g[0, step, 4]
        np.testing.assert_allclose(float(row["written"]), written, rtol=1e-6)
        kept = np.prod(trace.f[0, step + 1 : 61, 4].astype(np.float64))
        np.testing.assert_allclose(float(row["kept"]), kept, rtol=1e-6)


LABELS = SAMPLES / "brackets.labels.txt"


def test_the_counting_cell_counts_brackets(lstm: Cli) -> None:
    """Unit 4 falls by one at each open bracket, and what it wrote is kept while it is open."""
    found = rows(lstm("why", *BRACKETS, "--unit", 4, *STEP, "--labels", LABELS, "--top", 9))
    characters = LABELS.read_text().splitlines()
    assert found[0]["label"] in "(["
    for row in found[:9]:
        assert row["label"] == characters[int(row["step"])]
        sign = {"(": -1, "[": -1, ")": 1, "]": 1}[row["label"]]
        np.testing.assert_allclose(float(row["contribution"]), sign, atol=0.05)
    assert [row["label"] for row in found[9:]] == ["", ""]


def test_labels_in_json_and_in_the_table(lstm: Cli) -> None:
    command = ("why", *BRACKETS, "--unit", 4, *STEP, "--labels", LABELS, "--top", 2, "--json")
    writers = json.loads(lstm(*command).succeeded().text)["writers"]
    assert {writer["label"] for writer in writers} <= {"(", "["}
    answer = lstm_cli.why(brackets(), unit=4, step=60)
    console = Console(width=80, file=io.StringIO(), highlight=False)
    console.print(why_table(answer, 80, (24, 4), labels=["x"] * 60 + ["the last of them all"]))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[1] for line in lines[2:7]] == ["label", "x", "x", "x", "x"]
    assert lines[0] == "c[4] at step 60 'the last of the…' = -5.0352"
    everything = drawn(answer, 80, None)
    assert not any("label" in line for line in everything)


def test_labels_have_to_fit_and_count_as_the_input_does(lstm: Cli, tmp_path: Path) -> None:
    lines = LABELS.read_text().splitlines()
    few, own = tmp_path / "few.txt", tmp_path / "own.txt"
    few.write_text("\n".join(lines[:60]) + "\n")
    own.write_text("\n".join(lines[:30]) + "\n")
    assert lstm("why", *BRACKETS, "--labels", few).refusal() == (
        "expected 69 labels, one a step, found 60"
    )
    cut = tmp_path / "cut.npz"
    lstm("export", *BRACKETS, "--steps", ":30", "-o", cut).succeeded()
    for labels in (LABELS, own):
        found = rows(lstm("why", cut, "--unit", 4, "--step", 29, "--labels", labels))
        for row in found[:-2]:
            assert row["label"] == lines[int(row["step"])]


def test_the_parts_of_a_gate_sum_up(lstm: Cli) -> None:
    found = rows(lstm("why", *BRACKETS, "--unit", 4, *STEP, "--gate", "f"))
    trace = brackets(tensors=("z_f", "h"))
    assert [row["part"] for row in found].count("x") == 4
    assert [row["part"] for row in found].count("h") == 8
    assert [row["part"] for row in found][-2:] == ["bias", "clipped"]
    # float32: 12 products of up to 1
    np.testing.assert_allclose(sum(column(found, "product")), trace.z_f[0, 60, 4], atol=2e-6)
    seen = {int(row["index"]): float(row["value"]) for row in found if row["part"] == "h"}
    np.testing.assert_allclose([seen[k] for k in range(8)], trace.h[0, 59], rtol=1e-6)


def test_the_summary_has_a_line_a_unit(lstm: Cli) -> None:
    found = rows(lstm("why", *BRACKETS, *STEP))
    trace = brackets()
    assert column(found, "unit") == list(range(8))
    np.testing.assert_allclose(column(found, "value"), trace.c[0, 60], rtol=1e-6)
    assert np.abs(column(found, "residual")).max() < 5e-6
    for unit in (0, 6):
        single = json.loads(
            lstm("why", *BRACKETS, *STEP, "--unit", unit, "--json").succeeded().text
        )
        assert int(found[unit]["writer"]) == single["writers"][0]["step"]
        assert int(found[unit]["span"]) == single["span"]


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_a_trace_says_the_same_as_the_run(lstm: Cli, tmp_path: Path, form: str) -> None:
    trace = tmp_path / f"t.{form}"
    extra = ("--with-weights", "--with-input", "--pre-activation")
    lstm("export", *SENTENCES, *extra, "-o", trace).succeeded()
    place = ("--cell", "middle/backward", "--sequence", 2, "--step", 1)
    for more in ((), ("--unit", 3), ("--unit", 3, "--gate", "o")):
        for style in ((), ("--json",)):
            expected = lstm("why", *SENTENCES, *place, *more, *style).succeeded().text
            assert lstm("why", trace, *place, *more, *style).succeeded().text == expected
    by_layer = ("--layer", "middle/backward", "--sequence", 2, "--step", 1, "--unit", 3)
    found = json.loads(lstm("why", trace, *by_layer, "--json").succeeded().text)
    assert (found["cell"], found["sequence"]) == ("middle/backward", 2)


def test_an_initial_state_has_its_share(lstm: Cli) -> None:
    done = lstm("why", *BRACKETS, "--unit", 6, "--step", 3, "--initial-state", 2, "--json")
    found = json.loads(done.succeeded().text)
    trace = brackets(initial_state=2.0)
    expected = 2 * np.prod(trace.f[0, :4, 6].astype(np.float64))
    np.testing.assert_allclose(found["initial"], expected, rtol=1e-6)
    assert found["initial"] > 1


def test_the_share_that_makes_a_span(lstm: Cli) -> None:
    spans = [
        json.loads(lstm("why", *BRACKETS, "--unit", 4, "--span", share, "--json").text)["span"]
        for share in (0.5, 0.9, 0.99)
    ]
    assert spans == sorted(set(spans))


# -- on a terminal


def drawn(answer: Any, width: int, height: int | None, top: int | None = None) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    room = None if height is None else (height, top)
    console.print(why_table(answer, width, room))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("asked", [{}, {"unit": 4}, {"unit": 4, "gate": "f"}], ids=str)
def test_no_line_is_wider_than_the_terminal(asked: dict[str, Any], width: int) -> None:
    model = lstm_cli.load(BRACKETS[0])
    trace = brackets(tensors=(*"hcifgo", "x", "z_f"))
    answer = lstm_cli.why(trace, step=60, model=model, **asked)
    for height in (24, None):
        lines = drawn(answer, width, height)
        assert max(map(len, lines)) <= width
        assert height is None or width < 80 or len(lines) <= height


def test_what_is_not_shown_is_summed_up() -> None:
    answer = lstm_cli.why(brackets(), unit=4, step=60)
    lines = drawn(answer, 80, 24)
    parts = [line.split("│")[0].split("█")[0].split() for line in lines[3:]]
    steps = [float(part[-1]) for part in parts if len(part) == 4 and part[0].isdigit()]
    rest = next(float(part[-1]) for part in parts if part[1:2] == ["more"])
    # as many digits as are shown
    np.testing.assert_allclose(sum(steps) + rest, -5.0352, atol=2e-4)
    assert lines[0] == "c[4] at step 60 = -5.0352"
    assert any(line.startswith("sum -5.03518") and "residual" in line for line in lines)
    few = drawn(answer, 80, 24, top=3)
    assert sum(line.split()[0].isdigit() for line in few[3:6]) == 3
    assert "58 more" in few[7]


def test_a_memory_that_nothing_wrote() -> None:
    """No figure of it is a number: the backward cell had read nothing before the padding."""
    model = lstm_cli.load(SENTENCES[0])
    words = np.load(SENTENCES[1])[:1]
    trace = lstm_cli.trace(model, words)
    last = int(np.flatnonzero(words[0])[-1])
    lines = drawn(lstm_cli.why(trace, cell="top/backward", unit=1, step=last + 1), 80, 24)
    assert lines[-1] == "nothing was written up to this step, and there was no initial state"
    assert not any("nan" in line for line in lines)
    one = drawn(lstm_cli.why(trace, cell="top/backward", unit=1, step=last), 80, 24)
    assert any(line.startswith("memory span 1 step (90% of") for line in one)


# -- what is refused


def test_wrong_input_is_one_sentence(lstm: Cli, tmp_path: Path) -> None:
    trace, cut = tmp_path / "t.npz", tmp_path / "cut.npz"
    lstm("export", *BRACKETS, "-o", trace).succeeded()
    lstm("export", *BRACKETS, "--steps", "10:20", "-o", cut).succeeded()

    assert lstm("why", *SENTENCES).refusal() == (
        "there are several cells; choose one (--cell): bottom/forward, bottom/backward, "
        "middle/forward, middle/backward, top/forward, top/backward"
    )
    assert lstm("why", trace, "--unit", 0, "--gate", "f").refusal() == (
        "the trace lacks kernel, recurrent_kernel, x (it has h, c, i, f, g, o, output); export it "
        "with --with-input --with-weights"
    )
    assert lstm("why", trace, "--gate", "f").refusal() == (
        "gate f is asked for without a unit; say which (--unit)"
    )
    assert lstm("why", trace, "--unit", 0, "--gate", "q").refusal() == (
        "no gate 'q'; there is: i, f, g, o"
    )
    assert lstm("why", trace, "--unit", 9).refusal() == "unit 9: the cell has units 0 to 7"
    assert lstm("why", trace, "--step", 69).refusal() == "step 69: sequence 0 has steps 0 to 68"
    assert lstm("why", cut).refusal() == (
        "the trace begins at step 10 (--steps), and what the cell read before is needed; export it "
        "without --steps"
    )
    assert lstm("why", trace, "--top", 3, "--all").refusal() == (
        "--top and --all exclude each other"
    )
    assert lstm("why", trace, trace).refusal() == "why explains one input, found 2"
    assert (
        lstm("why", BRACKETS[0]).refusal().startswith(f"{BRACKETS[0]} is no trace of lstm export")
    )


def test_a_masked_step_has_no_gate(lstm: Cli) -> None:
    place = ("--cell", "top/forward", "--step", 9, "--unit", 0)
    assert lstm("why", *SENTENCES, *place, "--gate", "i").refusal() == (
        "step 9 of sequence 0 is masked: no gate was applied"
    )
    carried = json.loads(lstm("why", *SENTENCES, *place, "--json").succeeded().text)
    assert all(writer["step"] < 9 for writer in carried["writers"])
    assert abs(carried["residual"]) < 2e-6


# -- what an export says about the cell


def exported(lstm: Cli, model: Path, path: Path) -> dict[str, Any]:
    """A trace with weights of a model that has one layer, on an input of its own."""
    recurrent = lstm_cli.load(model).lstm_layers[0].recurrent
    assert recurrent is not None
    features = recurrent.input_size
    x = 3 * np.random.default_rng(5).normal(size=(1, 6, features)).astype(np.float32)
    np.save(path.with_name("x.npy"), x)
    more = ("--with-input", "--with-weights", "--pre-activation", "--direct", "-o", path)
    done = lstm("export", model, path.with_name("x.npy"), *more)
    assert done.code == 0, done.err
    with np.load(path) as arrays:
        found: dict[str, Any] = json.loads(str(arrays["meta"]))
    return found


def test_a_clip_is_one_where_the_trace_says_so(lstm: Cli, tmp_path: Path) -> None:
    """A number that was changed by hand is not taken for what a clip did."""
    path = tmp_path / "t.npz"
    model = ROOT / "tests" / "golden" / "tflite" / "operator_cell_clip.tflite"
    limit = exported(lstm, model, path)["cell_clip"]
    found = json.loads(lstm("why", path, "--json").succeeded().text)["units"]
    with np.load(path) as file:
        arrays = dict(file)
    clipped = np.isclose(np.abs(arrays["c"][0]), limit).any(axis=0)
    assert clipped.any()
    np.testing.assert_array_equal([unit["clipped"] != 0 for unit in found], clipped)

    meta = {k: v for k, v in json.loads(str(arrays["meta"])).items() if k != "cell_clip"}
    np.savez(path, **{**arrays, "meta": np.array(json.dumps(meta))})
    unit = int(clipped.argmax())
    assert "c is not f times the c before plus i g" in lstm("why", path, "--unit", unit).refusal()


def test_a_coupled_gate_is_known_from_the_trace(lstm: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    model = ROOT / "tests" / "golden" / "onnx" / "coupled_reverse.onnx"
    assert exported(lstm, model, path)["coupled"] == "f"
    asked = ("--unit", 0, "--step", 2, "--gate")
    assert lstm("why", path, *asked, "f").refusal() == (
        "gate f is 1 - i in this cell; ask for gate i"
    )
    found = json.loads(lstm("why", path, *asked, "i", "--json").succeeded().text)
    np.testing.assert_allclose(found["residual"], 0, atol=1e-5)


def test_a_textbook_cell_has_nothing_more_to_say(lstm: Cli, tmp_path: Path) -> None:
    lstm("export", *BRACKETS, "-o", tmp_path / "t.npz").succeeded()
    with np.load(tmp_path / "t.npz") as arrays:
        known = set(json.loads(str(arrays["meta"])))
    assert not known & {"clip", "cell_clip", "projection_clip", "coupled", "output_activation"}
