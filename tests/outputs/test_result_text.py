"""CSV and JSON lines: columns, rows, and numbers that read back to the same bits."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_cli.errors import UsageError
from lstm_cli.outputs.files import write, write_stream
from lstm_cli.outputs.results import Layout, Results, step_names

NAN, INF = np.float32("nan"), np.float32("inf")


def text(form: str, arrays: dict[str, Any], **layout: Any) -> str:
    file = io.BytesIO()
    write_stream(file, form, Results(arrays, {}, step_names(arrays), Layout(**layout)))
    return file.getvalue().decode()


def two_sequences() -> dict[str, Any]:
    h = np.array([[[0.5, -1], [0.25, 0.1]], [[1, 2], [3, INF]]], np.float32)
    i = np.array([[[0.5], [NAN]], [[0.75], [1]]], np.float32)
    return {"h": h, "forward/i": i, "mask": np.array([[True, False], [True, True]])}


def test_csv_of_several_sequences() -> None:
    final = {"final_h": np.zeros((2, 2), np.float32)}
    assert text("csv", two_sequences() | final) == (
        "sequence,step,h[0],h[1],forward/i[0],mask\n"
        "0,0,0.5,-1,0.5,1\n"
        "0,1,0.25,0.1,nan,0\n"
        "1,0,1,2,0.75,1\n"
        "1,1,3,inf,1,1\n"
    )


def test_csv_of_one_sequence_has_no_sequence_column() -> None:
    arrays = {name: a[0] for name, a in two_sequences().items()}
    assert text("csv", arrays, batched=False) == (
        "step,h[0],h[1],forward/i[0],mask\n0,0.5,-1,0.5,1\n1,0.25,0.1,nan,0\n"
    )


def test_jsonl_is_one_object_a_step() -> None:
    assert text("jsonl", two_sequences()) == (
        '{"sequence":0,"step":0,"h":[0.5,-1],"forward/i":[0.5],"mask":true}\n'
        '{"sequence":0,"step":1,"h":[0.25,0.1],"forward/i":[null],"mask":false}\n'
        '{"sequence":1,"step":0,"h":[1,2],"forward/i":[0.75],"mask":true}\n'
        '{"sequence":1,"step":1,"h":[3,null],"forward/i":[1],"mask":true}\n'
    )


def test_jsonl_of_one_sequence_is_sequence_0() -> None:
    h = two_sequences()["h"][0]
    rows = [json.loads(line) for line in text("jsonl", {"h": h}, batched=False).splitlines()]
    assert [list(row) for row in rows] == [["sequence", "step", "h"]] * 2
    assert [(row["sequence"], row["step"]) for row in rows] == [(0, 0), (0, 1)]


def test_chosen_steps_and_units_keep_their_numbers() -> None:
    h = np.array([[0.5, 1.5], [2.5, 3.5]], np.float32)
    layout = {"batched": False, "first_step": 10, "units": {"h": [7, 31]}}
    assert text("csv", {"h": h}, **layout) == "step,h[7],h[31]\n10,0.5,1.5\n11,2.5,3.5\n"
    steps = [json.loads(line)["step"] for line in text("jsonl", {"h": h}, **layout).splitlines()]
    assert steps == [10, 11]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_steps_beyond_a_length_have_no_rows_where_asked(form: str) -> None:
    h = np.zeros((3, 3, 1), np.float32)
    lines = text(form, {"h": h}, lengths=np.array([1, 3, 0])).splitlines()
    rows = lines[1:] if form == "csv" else lines
    assert len(rows) == 4
    assert len(text(form, {"h": h}).splitlines()) == len(lines) + 5


def test_extra_axes_become_extra_indices() -> None:
    y = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    assert text("csv", {"output": y}) == (
        "sequence,step,output[0][0],output[0][1],output[1][0],output[1][1]\n"
        "0,0,0,1,2,3\n0,1,4,5,6,7\n"
    )
    assert json.loads(text("jsonl", {"output": y}).splitlines()[1])["output"] == [[4, 5], [6, 7]]


def test_arrays_without_steps_alone_are_a_row_a_sequence() -> None:
    arrays = {"final_h": np.array([[0.5, 1], [2, 3]], np.float32), "lengths": np.array([4, 2])}
    assert text("csv", arrays) == "sequence,final_h[0],final_h[1],lengths\n0,0.5,1,4\n1,2,3,2\n"
    assert text("jsonl", arrays) == (
        '{"sequence":0,"final_h":[0.5,1],"lengths":4}\n{"sequence":1,"final_h":[2,3],"lengths":2}\n'
    )
    single = {"final_h": arrays["final_h"][0]}
    assert text("csv", single, batched=False) == "final_h[0],final_h[1]\n0.5,1\n"


def test_weights_alone_are_a_row_a_number() -> None:
    arrays = {"kernel": np.array([[1, 2], [3, 4.5]], np.float32), "bias": np.array([0.1, -1])}
    assert text("csv", arrays) == (
        "tensor,row,column,value\n"
        "kernel,0,0,1\nkernel,0,1,2\nkernel,1,0,3\nkernel,1,1,4.5\n"
        "bias,0,0,0.1\nbias,0,1,-1.0\n"
    )
    assert [json.loads(line) for line in text("jsonl", arrays).splitlines()] == [
        {"tensor": "kernel", "values": [[1, 2], [3, 4.5]]},
        {"tensor": "bias", "values": [0.1, -1]},
    ]


def test_names_that_a_format_would_trip_over() -> None:
    arrays = {'a,"b"%d/h': np.zeros((1, 1), np.float32), "nan/c": np.full((1, 1), NAN)}
    assert text("csv", arrays, batched=False) == ('step,"a,""b""%d/h[0]",nan/c[0]\n0,0,nan\n')
    row = json.loads(text("jsonl", arrays, batched=False))
    assert row == {"sequence": 0, "step": 0, 'a,"b"%d/h': [0], "nan/c": [None]}


def test_arrays_of_different_lengths_do_not_share_a_table() -> None:
    arrays = {"a/h": np.zeros((1, 3, 1)), "b/h": np.zeros((1, 2, 1))}
    with pytest.raises(UsageError, match=r"different lengths \(a/h \(1, 3\), b/h \(1, 2\)\)"):
        text("csv", arrays)


def awkward_numbers(dtype: str) -> Any:
    """Every exponent, both ends of the range, subnormals, and numbers with short decimals."""
    kind = np.uint32 if dtype == "float32" else np.uint64
    bits = np.random.default_rng(5).integers(0, np.iinfo(kind).max, 3000, kind, endpoint=True)
    numbers = bits.view(dtype)
    limits = np.finfo(dtype)
    smallest = [limits.tiny, limits.smallest_subnormal, limits.eps]
    edges = [0.0, -0.0, limits.max, -limits.max, *smallest]
    short = np.round(np.random.default_rng(6).normal(size=2000) * 100, 3)
    tens = 10.0 ** np.arange(-30, 31)
    decimals = np.concatenate([edges, short, tens, np.arange(0, 1, 0.001)])
    return np.concatenate([numbers, decimals.astype(dtype)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_csv_reads_back_exactly(tmp_path: Path, dtype: str) -> None:
    numbers = awkward_numbers(dtype)
    rows = numbers[: len(numbers) // 7 * 7].reshape(-1, 7)
    arrays = {"h": rows}

    write(tmp_path / "out.csv", Results(arrays, {}, frozenset(arrays), Layout(batched=False)))

    found = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1, dtype=dtype)
    np.testing.assert_array_equal(found[:, 1:], rows)
    np.testing.assert_array_equal(found[:, 0], np.arange(len(rows)))


@pytest.mark.parametrize("form", ["jsonl", "json"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_json_reads_back_exactly(form: str, dtype: str) -> None:
    numbers = awkward_numbers(dtype)[:, np.newaxis]
    found = text(form, {"h": numbers}, batched=False)
    if form == "json":
        values = json.loads(found)["h"]
    else:
        values = [json.loads(line)["h"] for line in found.splitlines()]
    finite = np.where(np.isfinite(numbers), numbers, np.nan)
    np.testing.assert_array_equal(np.array(values, np.float64).astype(dtype), finite)


def test_short_decimals_stay_short() -> None:
    """Seven digits where they say it; a 1/3 in float32 takes nine."""
    x = np.array([[0.1], [12.34], [0.1234567], [1e-5], [1 / 3], [1.5e6]], np.float32)
    lines = text("csv", {"x": x}, batched=False).splitlines()[1:]
    assert lines == ["0,0.1", "1,12.34", "2,0.1234567", "3,1e-05", "4,0.333333343", "5,1500000"]


def test_rows_beyond_one_formatting_block() -> None:
    h = np.arange(200_000, dtype=np.float32).reshape(2, 50_000, 2)
    h[1, 49_000] = np.nan
    rows = np.loadtxt(io.StringIO(text("csv", {"h": h})), delimiter=",", skiprows=1)
    np.testing.assert_array_equal(rows[:, 2:].reshape(h.shape), h)
    np.testing.assert_array_equal(rows[:, 1], np.tile(np.arange(50_000), 2))
    last = text("jsonl", {"h": h}).splitlines()[99_000]
    assert last == '{"sequence":1,"step":49000,"h":[null,null]}'
