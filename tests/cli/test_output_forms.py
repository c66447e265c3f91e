"""Every form a result can be written in holds the same numbers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from cli_runs import SAMPLES, Array, Cli, load_npz, read_table

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"
STATEFUL = SAMPLES / "stateful.keras", SAMPLES / "stateful.npy"


def read_file(path: Path) -> dict[str, Array]:
    """The arrays of a result file; tables as (B, T, U) of float32, which their text holds whole."""
    if path.suffix == ".npz":
        return {name: array for name, array in load_npz(path).items() if name != "meta"}
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return {name: file[name][()] for name in file if name != "meta"}
    if path.suffix == ".csv":
        table = read_table(path.read_text())
        batch = int(table.column("sequence")[-1]) + 1 if "sequence" in table.header else None
        shape = (-1,) if batch is None else (batch, len(table.values) // batch)
        names = dict.fromkeys(name.partition("[")[0] for name in table.header if "[" in name)
        columns = {name: table.columns(name).astype(np.float32) for name in names}
        return {name: a.reshape(*shape, a.shape[1]) for name, a in columns.items()}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    sequences = rows[-1]["sequence"] + 1
    tensors = [name for name in rows[0] if name not in ("sequence", "step")]
    values = {name: np.array([row[name] for row in rows], np.float32) for name in tensors}
    return {name: a.reshape(sequences, -1, a.shape[1]) for name, a in values.items()}


@pytest.mark.parametrize("extension", ["npz", "h5", "csv", "jsonl"])
@pytest.mark.parametrize("batched", [True, False])
def test_files_hold_the_same_bits(lstm: Cli, extension: str, batched: bool) -> None:
    data = STATEFUL[1]
    if not batched:
        np.save("one.npy", np.load(data)[0])
        data = Path("one.npy")
    lstm("states", STATEFUL[0], data, "-o", "reference.npz")
    lstm("states", STATEFUL[0], data, "-o", f"out.{extension}")

    expected, found = read_file(Path("reference.npz")), read_file(Path(f"out.{extension}"))

    assert set(found) == {"h", "c"}
    for name, array in found.items():
        values = array[0] if extension == "jsonl" and not batched else array
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("name", ["h", "c", "f"])
def test_a_npy_file_holds_one_array(lstm: Cli, name: str) -> None:
    lstm("export", *STATEFUL, "--tensors", name, "-o", "one.npy").succeeded()
    lstm("export", *STATEFUL, "-o", "all.npz").succeeded()

    np.testing.assert_array_equal(np.load("one.npy"), load_npz(Path("all.npz"))[name])


def test_a_npy_file_of_several_arrays_is_refused_with_their_names(lstm: Cli) -> None:
    assert lstm("states", *STATEFUL, "-o", "two.npy").refusal() == (
        "npy holds exactly one array, and there are 2: choose one with --tensors, of h, c; or "
        "write .npz"
    )
    assert not Path("two.npy").exists()


@pytest.mark.parametrize("form", ["npy", "npz", "csv", "jsonl", "json"])
def test_every_format_on_standard_output(lstm: Cli, form: str) -> None:
    done = lstm("states", MODEL, INPUT, "--tensors", "c", "-o", "-", "--format", form).succeeded()
    lstm("states", MODEL, INPUT, "--tensors", "c", "-o", "c.npy").succeeded()

    if form == "npy":
        found = np.load(io.BytesIO(done.out))
    elif form == "npz":
        found = done.npz["c"]
    elif form == "csv":
        found = done.table.columns("c").astype(np.float32)
    elif form == "jsonl":
        found = np.array([row["c"] for row in done.rows], np.float32)
    else:
        found = np.array(json.loads(done.text)["c"], np.float32)
    np.testing.assert_array_equal(found, np.load("c.npy"))


def test_the_format_alone_chooses_standard_output(lstm: Cli) -> None:
    short = lstm("states", MODEL, INPUT, "--format", "jsonl").succeeded()
    long = lstm("states", MODEL, INPUT, "-o", "-", "--format", "jsonl").succeeded()

    assert short.out == long.out
    assert [(row["sequence"], row["step"]) for row in short.rows] == [(0, 0), (0, 1), (0, 2)]


def test_nan_is_nan_in_csv_and_null_in_json(lstm: Cli) -> None:
    Path("mask.csv").write_text("1\n0\n1\n")
    options = ["--mask", "mask.csv", "--tensors", "f,mask"]
    table = lstm("gates", MODEL, INPUT, *options).succeeded().text.splitlines()
    rows = lstm("gates", MODEL, INPUT, *options, "--format", "jsonl").rows
    document = json.loads(lstm("gates", MODEL, INPUT, *options, "--format", "json").text)

    assert table[0] == "step,f[0],mask"
    assert table[2] == "1,nan,0"
    assert rows[1]["f"] == [None]
    assert document["f"][1] == [None]
    assert [bool(row["mask"]) for row in rows] == [True, False, True]


def test_files_say_where_they_come_from(lstm: Cli) -> None:
    lstm("states", MODEL, INPUT, "-o", "s.npz").succeeded()
    meta = json.loads(str(load_npz(Path("s.npz"))["meta"]))

    assert meta["source"] == str(MODEL)
    assert (meta["layer"], meta["written_by"]) == ("lstm", "Keras 3.15.1")
    assert (meta["activation"], meta["recurrent_activation"]) == ("tanh", "sigmoid")
    assert meta["direction"] == "forward"


def test_an_existing_file_is_replaced_whole(lstm: Cli) -> None:
    Path("s.csv").write_text("old " * 10_000)
    lstm("states", MODEL, INPUT, "-o", "s.csv").succeeded()
    assert len(read_table(Path("s.csv").read_text()).values) == 3


def test_a_refused_run_leaves_the_old_file_alone(lstm: Cli) -> None:
    Path("old.npz").write_bytes(b"old")
    Path("bad.csv").write_text("x\n1\n2\nfoo\n")
    lstm("states", MODEL, "bad.csv", "-o", "old.npz").refusal()

    assert Path("old.npz").read_bytes() == b"old"
    assert sorted(path.name for path in Path().iterdir()) == ["bad.csv", "old.npz"]


KNOWN = "the extension decides the format; expected .npy, .npz, .csv, .jsonl, .h5"
ONE_ARRAY = "npy holds exactly one array, and there are 2: choose one with --tensors, of h, c"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "q"], f"q: {KNOWN}, found no extension"),
        (["-o", "q.txt"], f"q.txt: {KNOWN}, found '.txt'"),
        (["-o", "q.npz", "--format", "csv"], "q.npz ends in .npz, --format says csv"),
        (["-o", "-", "--format", "h5"], "h5 needs a file that can be sought in; use -o FILE.h5"),
        (["--format", "npy"], f"{ONE_ARRAY}; or write .npz"),
        (["-o", "."], ". is a folder; name a file in it"),
        (["-o", "/dev/null"], f"/dev/null: {KNOWN}, found no extension"),
    ],
)
def test_targets_that_cannot_be_written(lstm: Cli, arguments: list[str], message: str) -> None:
    assert lstm("states", MODEL, INPUT, *arguments).refusal() == message


def test_an_output_that_is_an_input_is_refused_under_any_name(lstm: Cli) -> None:
    Path("x.csv").write_bytes(INPUT.read_bytes())
    Path("m.h5").write_bytes((SAMPLES / "three_steps.h5").read_bytes())
    Path("link.csv").symlink_to("x.csv")
    Path("hard.csv").hardlink_to("x.csv")

    for name in ("x.csv", "./x.csv", "link.csv", "hard.csv", "m.h5"):
        message = lstm("states", "m.h5", "x.csv", "-o", name).refusal()
        assert message.endswith("', and would be lost; choose another name with -o")
    assert Path("x.csv").read_bytes() == INPUT.read_bytes()


def test_a_missing_folder_is_said_before_anything_is_read(lstm: Cli) -> None:
    message = lstm("states", "no_model.keras", INPUT, "-o", "missing/s.npz").refusal()
    folder = Path("missing").resolve()
    assert message == f"missing/s.npz: there is no folder '{folder}'; make it first"


def test_export_needs_a_target(lstm: Cli) -> None:
    assert lstm("export", MODEL, INPUT).refusal() == (
        "export needs -o OUT: a .npz, .h5, .npy, .csv or .jsonl file, or -"
    )
