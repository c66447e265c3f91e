"""Traces of some steps and units: every command gives the numbers of the input and the layer."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import ROOT, SAMPLES, Cli, load_npz

import lstm_cli

BRACKETS = (SAMPLES / "brackets.keras", SAMPLES / "brackets.csv")
LABELS = SAMPLES / "brackets.labels.txt"
DEPTH = SAMPLES / "brackets.depth.csv"
FIRST, STOP, UNITS = 10, 30, [6, 1, 4]


@pytest.fixture(params=["npz", "h5"])
def cut(lstm: Cli, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / f"cut.{request.param}"
    lstm("export", *BRACKETS, "--steps", "10:30", "--units", "6,1,4", "-o", path).succeeded()
    return path


def facts(lstm: Cli, *arguments: object) -> Any:
    return json.loads(lstm(*arguments).succeeded().text)


def by_unit(text: str) -> dict[int, dict[str, str]]:
    return {int(row["unit"]): row for row in csv.DictReader(io.StringIO(text))}


def golden() -> dict[str, Any]:
    """The framework's own arrays, (T, U)."""
    return {n: a[0] for n, a in load_npz(SAMPLES / "brackets.golden.npz").items()}


def test_the_file_says_what_was_left_out(lstm: Cli, tmp_path: Path) -> None:
    for name, options, expected in (
        ("whole", (), (0, None, False)),
        ("all", ("--steps", "0:1000"), (0, None, False)),
        ("start", ("--steps", ":30"), (0, None, True)),
        ("end", ("--steps", "10:"), (10, None, False)),
        ("units", ("--units", "6,1,4"), (0, (6, 1, 4), False)),
    ):
        path = tmp_path / f"{name}.npz"
        lstm("export", *BRACKETS, *options, "-o", path).succeeded()
        with lstm_cli.open_trace(path) as file:
            cell = file.cells[""]
            assert (cell.cut.first_step, cell.cut.units, cell.cut.ends_early) == expected, name


def test_stats_names_the_units(lstm: Cli, cut: Path) -> None:
    found = by_unit(lstm("stats", cut).succeeded().text)
    assert sorted(found) == sorted(UNITS)
    f = golden()["f"][FIRST:STOP]
    for unit in UNITS:
        np.testing.assert_allclose(float(found[unit]["mean_f"]), f[:, unit].mean(), atol=1e-6)


def test_the_first_nan_is_at_its_own_step_and_unit(lstm: Cli, cut: Path) -> None:
    if cut.suffix == ".h5":
        pytest.skip("numbers are changed in an archive")
    arrays = load_npz(cut)
    arrays["c"][5:, 2] = arrays["h"][5:, 2] = np.nan
    np.savez(cut, **arrays)  # type: ignore[arg-type]
    found = facts(lstm, "stats", cut, "--json")["nonfinite"]
    assert (found["step"], found["units"], found["tensor"]) == (15, [4], "c")


def test_a_plot_and_a_text_count_as_the_input_does(lstm: Cli, cut: Path) -> None:
    more = ("--labels", LABELS, "--steps", "12:15", "--json")
    labels = LABELS.read_text().split("\n")[12:15]
    h = golden()["h"][12:15]

    drawn = facts(lstm, "plot", cut, "--tensors", "h", *more)
    assert (drawn["first_step"], drawn["labels"]) == (12, labels)
    assert drawn["panels"][0]["units"] == UNITS
    np.testing.assert_allclose(drawn["panels"][0]["low"], h[:, UNITS].T, atol=1e-6)
    one = facts(lstm, "plot", cut, "--tensors", "h", "--units", "4", "--sort", "activity", *more)
    assert one["panels"][0]["units"] == [4]
    np.testing.assert_allclose(one["panels"][0]["low"], h[:, [4]].T, atol=1e-6)

    told = facts(lstm, "text", cut, "--unit", "4,6", *more)
    assert (told["first_step"], told["labels"]) == (12, labels)
    assert [row["unit"] for row in told["units"]] == [4, 6]
    np.testing.assert_allclose([r["values"] for r in told["units"]], h[:, [4, 6]].T, atol=1e-6)

    beyond = "the sequence has steps 10 to 29"
    assert beyond in lstm("plot", cut, "--steps", "3:7").refusal()
    assert "the trace holds units 6, 1, 4" in lstm("plot", cut, "--units", "0").refusal()
    assert (
        "the trace holds units 6, 1, 4"
        in lstm("text", cut, "--unit", "0", "--labels", LABELS).refusal()
    )


def test_sorted_units_keep_their_numbers(lstm: Cli, cut: Path) -> None:
    h = golden()["h"][FIRST:STOP]
    drawn = facts(lstm, "plot", cut, "--tensors", "h", "--sort", "activity", "--json")
    units = drawn["panels"][0]["units"]
    assert sorted(units) == sorted(UNITS)
    for unit, low in zip(units, drawn["panels"][0]["low"], strict=True):
        np.testing.assert_allclose(low, h[:, unit], atol=1e-6)


def test_rank_takes_the_labels_of_the_whole_input(lstm: Cli, cut: Path) -> None:
    found = by_unit(lstm("rank", cut, "--target", DEPTH, "--tensors", "c", "--lags", 0).text)
    depth = np.loadtxt(DEPTH, delimiter=",", skiprows=1)
    c = golden()["c"]
    for unit in UNITS:
        expected = np.corrcoef(c[FIRST:STOP, unit], depth.reshape(-1)[FIRST:STOP])[0, 1]
        np.testing.assert_allclose(float(found[unit]["r"]), expected, atol=1e-5)


def test_find_counts_as_the_input_does(lstm: Cli, cut: Path) -> None:
    found = facts(lstm, "find", cut, "--range", "15:18", "--left", 0, "--format", "json")
    shown = np.tanh(golden()["c"][15:18])
    expected = [unit for unit in sorted(UNITS) if (np.abs(shown[:, unit]) >= 0.3).all()]
    assert expected
    assert sorted(unit["unit"] for unit in found["units"]) == expected
    assert found["hits"][0]["start"] == 15
    assert "has steps 10 to 29" in lstm("find", cut, "--range", "5:8").refusal()


def test_diff_counts_as_the_input_does(lstm: Cli, cut: Path, tmp_path: Path) -> None:
    if cut.suffix == ".h5":
        pytest.skip("numbers are changed in an archive")
    arrays = load_npz(cut)
    arrays["c"][5, 2] += 0.01
    np.savez(tmp_path / "b.npz", **arrays)  # type: ignore[arg-type]
    done = lstm("diff", cut, tmp_path / "b.npz", "--json")
    assert done.code == 1
    cell = json.loads(done.text)["cells"][0]
    assert (cell["first"]["tensor"], cell["first"]["step"], cell["first"]["unit"]) == ("c", 15, 4)

    lstm("export", *BRACKETS, "--steps", "11:31", "--units", "6,1,4", "-o", tmp_path / "c.npz")
    assert "hold other steps or units" in lstm("diff", cut, tmp_path / "c.npz").refusal()


def test_why_needs_the_steps_before(lstm: Cli, cut: Path, tmp_path: Path) -> None:
    missing = "the trace begins at step 10 (--steps)"
    for asked in ((), ("--unit", 4), ("--unit", 4, "--step", 12)):
        assert missing in lstm("why", cut, *asked).refusal()

    start = tmp_path / "start.npz"
    lstm("export", *BRACKETS, "--steps", ":30", "--units", "6,1,4", "-o", start).succeeded()
    found = facts(lstm, "why", start, "--unit", 4, "--json")
    assert (found["unit"], found["step"]) == (4, 29)
    np.testing.assert_allclose(found["value"], golden()["c"][29, 4], atol=1e-5)
    np.testing.assert_allclose(found["sum"], found["value"], atol=1e-5)
    units = facts(lstm, "why", start, "--json")["units"]
    assert [row["unit"] for row in units] == UNITS
    assert "the trace holds units 6, 1, 4" in lstm("why", start, "--unit", 0).refusal()
    assert "has steps 0 to 29" in lstm("why", start, "--unit", 4, "--step", 40).refusal()


def test_a_gate_is_explained_where_the_step_before_is_there(lstm: Cli, tmp_path: Path) -> None:
    path = tmp_path / "late.npz"
    more = ("--with-input", "--with-weights", "--pre-activation")
    lstm("export", *BRACKETS, "--steps", "10:30", *more, "-o", path).succeeded()
    gate = ("--unit", 4, "--gate", "f", "--json")
    found = facts(lstm, "why", path, "--step", 12, *gate)
    whole = facts(lstm, "why", *BRACKETS, "--step", 12, *gate)
    assert found["step"] == whole["step"] == 12
    np.testing.assert_allclose(found["residual"], 0, atol=1e-5)
    np.testing.assert_allclose(found["sum"], whole["sum"], atol=1e-6)
    assert "begins at step 10" in lstm("why", path, "--step", 10, *gate).refusal()


def test_a_backward_cell_begins_at_the_end(lstm: Cli, tmp_path: Path) -> None:
    model = (SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy")
    early, late = tmp_path / "early.npz", tmp_path / "late.npz"
    lstm("export", *model, "--layer", "top", "--steps", ":4", "-o", early).succeeded()
    lstm("export", *model, "--layer", "top", "--steps", "2:", "-o", late).succeeded()
    assert "ends at step 3 (--steps)" in lstm("why", early, "--cell", "backward").refusal()
    assert "begins at step 2 (--steps)" in lstm("why", late, "--cell", "forward").refusal()
    found = facts(lstm, "why", late, "--cell", "backward", "--unit", 0, "--json")
    assert found["step"] == 2
    np.testing.assert_allclose(found["sum"], found["value"], atol=1e-5)
    assert min(writer["step"] for writer in found["writers"]) >= 2


def test_lengths_count_from_the_first_step(lstm: Cli, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(2, 6, 4)).astype("f4"))
    np.save(tmp_path / "n.npy", np.array([6, 3]))
    model = ROOT / "tests" / "golden" / "torch" / "sd_plain.pt"
    path = tmp_path / "t.npz"
    given = (tmp_path / "x.npy", "--lengths", tmp_path / "n.npy", "--layer", "lstm/l0")
    done = lstm("export", model, *given, "--steps", "2:5", "-o", path)
    assert done.code == 0, done.err
    with lstm_cli.open_trace(path) as file:
        cell = next(iter(file.cells.values()))
        assert cell.lengths is not None
        # The first sequence goes on behind the last step that the trace holds.
        np.testing.assert_array_equal(cell.lengths, [3, 1])
    found = json.loads(lstm("stats", path, "--json").text)["cells"][0]
    assert (found["counted"], found["nonfinite_steps"]) == (4, 0)


def test_many_traces_are_open_one_at_a_time(lstm: Cli, cut: Path) -> None:
    resource = pytest.importorskip("resource")
    traces = [shutil.copy(cut, cut.with_stem(f"t{number}")) for number in range(40)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    already = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (already + 12, hard))
    try:
        for command in (("stats",), ("plot", "--json"), ("find", "--range", "15:18", "--left", 0)):
            done = lstm(command[0], *traces, *command[1:])
            assert (done.code, done.err) == (0, ""), command
        refused = lstm("rank", *traces, *["--target", DEPTH] * 40).refusal()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "open" in refused


@pytest.mark.parametrize("meta", ['{"first_step": "2"}', '{"kept_units": [1]}', "[]", "1", "{"])
def test_damaged_facts_are_refused(lstm: Cli, tmp_path: Path, meta: str) -> None:
    steps = {name: np.full((4, 2), 0.5, np.float32) for name in "hcifgo"}
    np.savez(tmp_path / "t.npz", **steps, meta=np.array(meta))  # type: ignore[arg-type]
    assert "'meta'" in lstm("stats", tmp_path / "t.npz").refusal()
