"""Several INPUTs: a folder of results, or one file that holds them all."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, load_npz

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"


@pytest.fixture
def inputs(lstm: Cli) -> list[str]:
    Path("a.csv").write_bytes(INPUT.read_bytes())
    np.save("b.npy", np.array([[0.3], [0.2], [0.1], [0.0]]))
    return ["a.csv", "b.npy"]


def test_a_folder_gets_one_file_each(lstm: Cli, inputs: list[str]) -> None:
    done = lstm("states", MODEL, *inputs, "-o", "out")
    lstm("states", MODEL, *inputs, "-o", "out", "--format", "csv")

    assert done.notes == ["note: the model declares 3 steps for 'x', the input has 4"]
    assert sorted(path.name for path in Path("out").iterdir()) == [
        *("a.csv", "a.npz", "b.csv", "b.npz")
    ]
    for name in inputs:
        alone = lstm("states", MODEL, name)
        assert Path("out", Path(name).stem + ".csv").read_bytes() == alone.out


@pytest.mark.parametrize("target", ["all.npz", "all.h5"])
def test_one_file_holds_them_by_name(lstm: Cli, inputs: list[str], target: str) -> None:
    lstm("states", MODEL, *inputs, "-o", "out")
    lstm("states", MODEL, *inputs, "-o", target)

    if target.endswith(".npz"):
        found = load_npz(Path(target))
    else:
        with h5py.File(target) as file:
            found = {f"{k}/{n}": file[k][n][()] for k in "ab" for n in "hc"}
    for name in "ab":
        for tensor in "hc":
            expected = load_npz(Path("out", f"{name}.npz"))[tensor]
            np.testing.assert_array_equal(found[f"{name}/{tensor}"], expected)


def test_run_and_export_do_the_same(lstm: Cli, inputs: list[str]) -> None:
    lstm("run", MODEL, *inputs, "-o", "y.npz")
    lstm("export", MODEL, *inputs, "-o", "t.npz")

    predictions, traces = load_npz(Path("y.npz")), load_npz(Path("t.npz"))
    for name in "ab":
        np.testing.assert_array_equal(predictions[f"{name}/output"], traces[f"{name}/final_h"])


NEEDS = "the results of 2 inputs need a folder (-o FOLDER) or one file that holds them all"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], f"{NEEDS} (-o FILE.npz or FILE.h5)"),
        (["-o", "-"], f"{NEEDS} (-o FILE.npz or FILE.h5)"),
        (
            ["-o", "o.csv"],
            "o.csv cannot hold the results of 2 inputs; name a folder, or a file that ends in "
            ".npz or .h5",
        ),
        (
            ["-o", "o.npz", "--save-state", "s.npz"],
            "--save-state writes one final state, and 2 inputs have one each; --stateful makes "
            "them consecutive chunks",
        ),
        (
            ["-o", "out", "--format", "json"],
            "out/a.json: the extension decides the format; expected .npy, .npz, .csv, .jsonl, "
            ".h5, found '.json'",
        ),
    ],
)
def test_what_does_not_hold_them(
    lstm: Cli, inputs: list[str], arguments: list[str], message: str
) -> None:
    for command in ("states", "run"):
        assert lstm(command, MODEL, *inputs, *arguments).refusal() == message
    assert sorted(path.name for path in Path().iterdir()) == inputs


def test_results_that_would_overwrite_each_other(lstm: Cli, inputs: list[str]) -> None:
    np.save("a.npy", np.zeros((3, 1)))
    message = "two inputs are called 'a', and one would overwrite the other"

    assert lstm("states", MODEL, "a.csv", "a.npy", "-o", "out").refusal() == message
    assert lstm("states", MODEL, "a.csv", "a.csv", "-o", "o.npz").refusal() == message


def test_a_folder_does_not_overwrite_its_inputs(lstm: Cli, inputs: list[str]) -> None:
    content = Path("a.csv").read_bytes()
    message = lstm("states", MODEL, *inputs, "-o", ".", "--format", "csv").refusal()

    assert message.endswith("would be lost; choose another name with -o")
    assert Path("a.csv").read_bytes() == content


def test_a_failure_on_the_way_leaves_no_half_of_a_file(lstm: Cli, inputs: list[str]) -> None:
    Path("bad.csv").write_text("x\n1\nfoo\n")
    Path("old.npz").write_bytes(b"old")
    done = lstm("states", MODEL, "a.csv", "bad.csv", "-o", "old.npz")

    assert done.code == 2
    assert "bad.csv: row 2" in done.err
    assert Path("old.npz").read_bytes() == b"old"
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]
