"""What INPUT may be: text, arrays, archives, standard input; every numeric type and order."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Array, Cli, assert_close, load_npz

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"
BRACKETS = SAMPLES / "brackets.keras"
FORECASTER = SAMPLES / "forecaster.keras", SAMPLES / "forecaster.csv"
X = np.array([[0.1], [0.2], [0.3]])


def golden(name: str) -> dict[str, Array]:
    return load_npz(SAMPLES / f"{name}.golden.npz")


def npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_floating_type_and_order(lstm: Cli, dtype: str, order: str) -> None:
    batch = np.stack([X, 2 * X, 3 * X]).astype(dtype)
    np.save("x.npy", np.asarray(batch, order="F" if order == "F" else "C"))

    table = lstm.csv("states", MODEL, "x.npy")

    tolerance = 1e-3 if dtype == "<f2" else 1e-5  # half precision has three digits
    assert_close(table.columns("h")[:3], golden("three_steps")["h"][0], tolerance)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", ">i4", "?"])
def test_whole_numbers_are_numbers(lstm: Cli, dtype: str) -> None:
    np.save("whole.npy", np.array([[1], [0], [1]], dtype))
    Path("whole.csv").write_text("x\n1\n0\n1\n")

    assert lstm("states", MODEL, "whole.npy").out == lstm("states", MODEL, "whole.csv").out


@pytest.mark.parametrize(
    "text",
    [
        "x\n0.1\n0.2\n0.3\n",
        "0.1\n0.2\n0.3\n",
        "x\r\n0.1\r\n0.2\r\n0.3\r\n",
        "\ufeffx\n0.1\n0.2\n0.3",
        '"x"\n"0.1"\n"0.2"\n"0.3"\n',
        "x\n1e-1\n.2\n+0.3\n",
    ],
)
def test_text_as_spreadsheets_write_it(lstm: Cli, text: str) -> None:
    Path("x.csv").write_bytes(text.encode())
    assert lstm("states", MODEL, "x.csv").out == lstm("states", MODEL, INPUT).out


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_delimiters_are_found_by_looking(lstm: Cli, delimiter: str) -> None:
    lines = FORECASTER[1].read_text().splitlines()[:20]
    Path("x.txt").write_text("\n".join(line.replace(",", delimiter) for line in lines))

    table = lstm.csv("states", FORECASTER[0], "x.txt")

    assert_close(table.columns("h"), golden("forecaster")["h"][0, :19])


def test_columns_are_chosen_by_name_or_number_in_any_order(lstm: Cli) -> None:
    lines = FORECASTER[1].read_text().splitlines()[:10]
    swapped = [
        "day,temperature,month",
        *(f"a,{b},{a}" for a, b in (s.split(",") for s in lines[1:])),
    ]
    Path("x.csv").write_text("\n".join(swapped) + "\n")

    by_name = lstm("states", FORECASTER[0], "x.csv", "--columns", "month,temperature").succeeded()
    by_number = lstm("states", FORECASTER[0], "x.csv", "--columns", "2,1").succeeded()

    assert_close(by_name.table.columns("h"), golden("forecaster")["h"][0, :9])
    assert by_number.out == by_name.out


def test_one_column_of_ids_is_a_sequence_and_a_row_of_them_too(lstm: Cli) -> None:
    ids = golden("brackets")["x"]  # (1, 69)
    np.save("vector.npy", ids[0])
    np.save("batch.npy", ids)
    Path("rows.csv").write_text("\n".join(",".join(map(str, ids[0, k : k + 5])) for k in (0, 5)))

    column = lstm.csv("states", BRACKETS, SAMPLES / "brackets.csv")
    vector = lstm.csv("states", BRACKETS, "vector.npy")
    batch = lstm.csv("states", BRACKETS, "batch.npy")
    rows = lstm.csv("states", BRACKETS, "rows.csv")
    piped = lstm("states", BRACKETS, "-", stdin=Path("rows.csv").read_bytes()).succeeded()

    assert column.header[0] == vector.header[0] == "step"
    assert_close(column.columns("h"), golden("brackets")["h"][0])
    np.testing.assert_array_equal(vector.values, column.values)
    assert batch.header[0] == rows.header[0] == "sequence"
    np.testing.assert_array_equal(batch.columns("h"), column.columns("h"))
    assert_close(rows.columns("h")[:5], golden("brackets")["h"][0, :5])
    np.testing.assert_array_equal(piped.table.values, rows.values)


def test_an_array_of_single_ids_is_a_batch_not_a_sequence(lstm: Cli) -> None:
    """(B, 1) has the model's own rank: B sequences of one step each, all from the same state."""
    ids = golden("brackets")["x"][0]
    np.save("x.npy", ids[:, None])
    table = lstm.csv("states", BRACKETS, "x.npy")

    np.testing.assert_array_equal(table.column("step"), np.zeros(69))
    same = [k for k in range(69) if ids[k] == ids[0]]
    first = golden("brackets")["h"][0, 0]
    assert_close(table.columns("h")[same], np.tile(first, (len(same), 1)))


def test_archives_go_by_the_names_of_the_inputs(lstm: Cli) -> None:
    np.savez("x.npz", x=X)
    np.savez("y.npz", y=X)
    np.savez("more.npz", x=X, y=X)
    reference = lstm("states", MODEL, INPUT).out

    assert lstm("states", MODEL, "x.npz").succeeded().out == reference
    assert lstm("states", MODEL, "y.npz").refusal() == (
        "the input lacks x; the model needs x, found y"
    )
    more = lstm("states", MODEL, "more.npz")
    assert (more.code, more.out) == (0, reference)
    assert more.notes == ["note: more.npz holds what is no input of the model: y"]


@pytest.mark.parametrize("content", [INPUT.read_bytes(), npy(X), npy(X.astype(">f4"))])
def test_standard_input_is_told_apart_by_its_first_bytes(lstm: Cli, content: bytes) -> None:
    piped = lstm("states", MODEL, "-", stdin=content).succeeded()
    assert_close(piped.table.columns("h"), golden("three_steps")["h"][0])


@pytest.mark.parametrize("command", ["run", "states", "gates"])
def test_every_command_reads_standard_input(lstm: Cli, command: str) -> None:
    piped = lstm(command, MODEL, "-", stdin=INPUT.read_bytes()).succeeded()
    assert piped.out == lstm(command, MODEL, INPUT).out


def test_an_archive_does_not_come_through_a_pipe(lstm: Cli) -> None:
    file = io.BytesIO()
    np.savez(file, x=X)
    for command in ("states", "run"):
        message = lstm(command, MODEL, "-", stdin=file.getvalue()).refusal()
        assert message.startswith("standard input: an .npz archive cannot be read")


def test_windows_of_a_series(lstm: Cli) -> None:
    model, data = FORECASTER
    lstm("states", model, data, "--window", "100", "--stride", "300", "-o", "w.npz").succeeded()
    lines = data.read_text().splitlines()
    Path("third.csv").write_text("\n".join([lines[0], *lines[601:701]]))
    alone = lstm.csv("states", model, "third.csv")

    h = load_npz(Path("w.npz"))["h"]
    assert h.shape == (3, 100, 8)
    assert_close(h[2], alone.columns("h").astype(np.float32), 1e-6)
    assert_close(h[0], golden("forecaster")["h"][0, :100])


def test_paths_of_any_letters(lstm: Cli) -> None:
    model, data = Path("mödel with spaces.keras"), Path("Über [bold] %s {x}.csv")
    model.write_bytes(MODEL.read_bytes())
    data.write_bytes(INPUT.read_bytes())

    done = lstm("states", model, data, "-o", "résultats [red].csv").succeeded()
    missing = lstm("states", model, "[nothing].csv").refusal()

    assert done.out == b""
    assert Path("résultats [red].csv").read_bytes() == lstm("states", MODEL, INPUT).out
    assert missing == "[nothing].csv: there is no such file"


def test_names_that_begin_with_a_dash_follow_two(lstm: Cli) -> None:
    Path("-x.csv").write_bytes(INPUT.read_bytes())
    assert lstm("states", MODEL, "--", "-x.csv").succeeded().out == lstm("states", MODEL, INPUT).out


def test_one_step_is_a_sequence(lstm: Cli) -> None:
    Path("one.csv").write_text("0.1")
    done = lstm("states", MODEL, "one.csv")

    assert done.notes == ["note: the model declares 3 steps for 'x', the input has 1"]
    assert_close(done.table.columns("h"), golden("three_steps")["h"][0, :1])


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_nan_and_infinity_are_allowed_and_their_place_is_said(lstm: Cli, value: str) -> None:
    Path("x.csv").write_text(f"0.1\n{value}\n0.3\n")
    kind = "NaN" if value == "nan" else "infinity"

    done = lstm("states", MODEL, "x.csv")
    whole = lstm("run", MODEL, "x.csv")

    expected = [f"note: x.csv holds {kind}; the first is at step 1, feature 0 (counted from 0)"]
    assert done.notes == whole.notes == expected
    np.testing.assert_array_equal(np.isnan(done.table.columns("h")[:, 0]), [
        False, value == "nan", value == "nan",
    ])  # fmt: skip


def test_the_place_of_nan_in_a_long_input_is_the_whole_files(lstm: Cli) -> None:
    """The input goes through in blocks; the step is that of the whole, not of the block."""
    x = np.zeros((20_000, 2), np.float32)
    x[19_000, 1] = np.nan
    np.save("x.npy", x)
    done = lstm("states", FORECASTER[0], "x.npy", "--steps", "18999:19001", "--units", "0")

    assert done.notes == [
        "note: x.npy holds NaN; the first is at step 19000, feature 1 (counted from 0)"
    ]
    np.testing.assert_array_equal(np.isnan(done.table.columns("h")[:, 0]), [False, True])
    np.testing.assert_array_equal(done.table.column("step"), [18999, 19000])


def bad_arrays() -> dict[str, Array]:
    return {
        "no sequences": np.zeros((0, 3, 1), np.float32),
        "no steps": np.zeros((2, 0, 1), np.float32),
        "complex": X.astype(complex),
        "text": np.array(["a", "b"]),
        "vector": X[:, 0],
        "four axes": X[None, None],
        "two features": np.zeros((3, 2)),
        "swapped": np.zeros((1, 3)),
    }


SHAPES = "input 'x': expected shape (3, 1) or (B, 3, 1), found"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no sequences", "x.npy: the array has shape (0, 3, 1); expected at least one time step"),
        ("no steps", "x.npy: the array has shape (2, 0, 1); expected at least one time step"),
        ("complex", "x.npy: the array holds complex numbers; expected real numbers"),
        ("text", "x.npy: the array holds text; expected real numbers"),
        ("vector", f"{SHAPES} (3,)"),
        ("four axes", f"{SHAPES} (1, 1, 3, 1)"),
        ("two features", f"{SHAPES} (3, 2); choose the columns that the model takes (--columns)"),
        ("swapped", f"{SHAPES} (1, 3); its axes look swapped"),
    ],
)
def test_arrays_that_do_not_fit(lstm: Cli, name: str, message: str) -> None:
    np.save("x.npy", bad_arrays()[name])
    assert lstm("states", MODEL, "x.npy").refusal() == message
    if "steps" not in name and "sequences" not in name:
        assert lstm("run", MODEL, "x.npy").refusal() == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file holds nothing; expected rows of numbers"),
        ("x\n", "the file holds a header (x) and no rows below it"),
        ("x,y\n1,2\n3\n", "row 2 (line 3): expected 2 cells as in the header, found 1"),
        (
            "x\n1\nfoo\n",
            "row 2 (line 3), column 'x': found 'foo', expected a number; correct the cell, or "
            "choose other columns",
        ),
        (
            "date,x\n2020-01-01,1\n2020-01-02,2\n",
            "column 'date' holds text ('2020-01-01' in row 1); choose numeric columns with "
            "--columns x",
        ),
        (
            "x\n1\n\n2\n",
            "line 3 is blank, between row 1 and the next; delete it, or write nan for a missing "
            "value",
        ),
    ],
)
def test_text_that_is_no_table_of_numbers(lstm: Cli, text: str, message: str) -> None:
    Path("x.csv").write_text(text)
    for command in ("states", "run"):
        assert lstm(command, MODEL, "x.csv").refusal() == f"x.csv: {message}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch.csv"], "nosuch.csv: there is no such file"),
        (["."], ".: this is a folder; expected a .csv, .npy or .npz file"),
        ([str(INPUT), "--columns", "q"], "no column 'q'; there is: x"),
        ([str(INPUT), "--columns", "7"], "no column '7'; there is: x"),
        ([str(INPUT), "--stride", "2"], "--stride goes with --window"),
        ([str(INPUT), "--window", "9"], "the sequence has 3 steps, --window asks for 9"),
        (
            [str(INPUT), "--time-major"],
            "--time-major is about a direct INPUT; add --direct, or leave it out",
        ),
    ],
)
def test_options_of_inputs_that_cannot_be(lstm: Cli, arguments: list[str], message: str) -> None:
    for command in ("states", "run"):
        assert lstm(command, MODEL, *arguments).refusal() == message


def test_ids_must_be_whole_numbers_the_layer_has(lstm: Cli) -> None:
    Path("half.csv").write_text("1\n0.5\n")
    Path("large.csv").write_text("1\n99\n")

    half = lstm("states", BRACKETS, "half.csv").refusal()
    large = lstm("states", BRACKETS, "large.csv").refusal()

    assert "embedding" in half
    assert "0.5 at sequence 0, step 1" in half
    assert "99 at sequence 0, step 1" in large


def test_a_model_of_two_inputs_needs_both(lstm: Cli) -> None:
    model = SAMPLES / "encoder_decoder.keras"
    both = load_npz(SAMPLES / "encoder_decoder.npz")
    np.save("x.npy", both["heard"])
    np.savez("heard.npz", heard=both["heard"])
    np.savez("unequal.npz", heard=both["heard"], said=both["said"][:2])
    np.savez("one.npz", heard=both["heard"][0], said=both["said"][0])

    assert lstm("run", model, "x.npy").refusal() == (
        "the model needs 2 inputs, by name: heard, said (an .npz file, or a mapping in Python)"
    )
    assert lstm("run", model, "heard.npz").refusal() == (
        "the input lacks said; the model needs heard, said, found heard"
    )
    assert lstm("run", model, "unequal.npz").refusal() == (
        "the inputs hold different numbers of sequences: heard 4, said 2"
    )
    encoder = lstm("states", model, "heard.npz", "--layer", "encoder").succeeded()
    single = lstm("states", model, "one.npz", "--layer", "decoder").succeeded()
    expected = golden("encoder_decoder")
    assert_close(encoder.table.columns("h"), expected["encoder/h"].reshape(20, 32))
    assert single.table.header[0] == "step"
    assert_close(single.table.columns("c"), expected["decoder/c"][0])


def test_time_major_input_of_a_layer_run_directly(lstm: Cli) -> None:
    """More sequences than a block has steps: none may be taken for later steps."""
    x = np.random.default_rng(0).normal(size=(3, 9000, 1)).astype(np.float32)  # (T, B, F)
    np.save("tbf.npy", x)
    np.save("btf.npy", np.ascontiguousarray(x.swapaxes(0, 1)))
    options = ["--layer", "lstm", "--direct"]

    lstm("states", MODEL, "tbf.npy", *options, "--time-major", "-o", "t.npz").succeeded()
    lstm("states", MODEL, "btf.npy", *options, "-o", "b.npz").succeeded()

    found, expected = load_npz(Path("t.npz")), load_npz(Path("b.npz"))
    assert found["h"].shape == (9000, 3, 1)
    np.testing.assert_array_equal(found["h"], expected["h"])
