"""Tables on a terminal: whole output at fixed widths, compared as text."""

from __future__ import annotations

import io
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from lstm_cli.errors import UsageError
from lstm_cli.outputs.grid import Lines
from lstm_cli.outputs.results import Layout, Results, step_names
from lstm_cli.outputs.tables import outputs_table, trace_table
from lstm_cli.traces import Trace


def shown(lines: Lines, width: int) -> str:
    """What a console of this width shows, without the spaces at the ends of lines."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(lines)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def table(arrays: dict[str, Any], width: int, height: int = 24, **layout: Any) -> str:
    trace = Trace(arrays, {"layer": "lstm"})
    results = Results(trace.arrays, trace.meta, step_names(arrays), Layout(**layout))
    return shown(trace_table(results, width, height), width)


def numbers(sequences: int, steps: int, units: int, start: float = 0.0) -> Any:
    """start, start + 0.1, … with every other one negative."""
    flat = start + np.arange(sequences * steps * units) / 10
    flat[1::2] *= -1
    return flat.reshape(sequences, steps, units).astype(np.float32)


def test_everything_where_it_fits() -> None:
    arrays = {"h": numbers(1, 3, 2), "c": numbers(1, 3, 2, 10)}
    assert table(arrays, 80) == dedent("""\
             │ h ───────────── │ c ─────────────
        step │    [0]      [1] │    [0]      [1]
           0 │ 0       -0.1000 │ 10.000  -10.100
           1 │ 0.2000  -0.3000 │ 10.200  -10.300
           2 │ 0.4000  -0.5000 │ 10.400  -10.500
        """)


def test_first_and_last_steps_and_units_that_fit() -> None:
    arrays = {"h": numbers(1, 100, 8), "c": numbers(1, 100, 8)}
    assert table(arrays, 60, 12, first_step=20) == dedent("""\
             │ h ───────────────────── │ c ─────────────────────
        step │    [0]      [1]     [2] │    [0]      [1]     [2]
          20 │  0       -0.100   0.200 │  0       -0.100   0.200
          21 │  0.800   -0.900   1.000 │  0.800   -0.900   1.000
          22 │  1.600   -1.700   1.800 │  1.600   -1.700   1.800
          23 │  2.400   -2.500   2.600 │  2.400   -2.500   2.600
           … │      …        …       … │      …        …       …
         117 │ 77.600  -77.700  77.800 │ 77.600  -77.700  77.800
         118 │ 78.400  -78.500  78.600 │ 78.400  -78.500  78.600
         119 │ 79.200  -79.300  79.400 │ 79.200  -79.300  79.400
        … 5 more units, 93 more steps: use --units, --steps or -o
        """)


def test_tensors_stand_above_each_other_where_the_console_is_narrow() -> None:
    arrays = {name: numbers(1, 9, 8) for name in "ifgo"}
    units = {name: [3, *range(10, 17)] for name in "ifgo"}
    assert table(arrays, 40, 24, units=units) == dedent("""\
             │ i ───────────── │ f ─────────────
        step │    [3]     [10] │    [3]     [10]
           0 │ 0       -0.1000 │ 0       -0.1000
           1 │ 0.8000  -0.9000 │ 0.8000  -0.9000
           2 │ 1.6000  -1.7000 │ 1.6000  -1.7000
           3 │ 2.4000  -2.5000 │ 2.4000  -2.5000
           … │      …        … │      …        …
           6 │ 4.8000  -4.9000 │ 4.8000  -4.9000
           7 │ 5.6000  -5.7000 │ 5.6000  -5.7000
           8 │ 6.4000  -6.5000 │ 6.4000  -6.5000

             │ g ───────────── │ o ─────────────
        step │    [3]     [10] │    [3]     [10]
           0 │ 0       -0.1000 │ 0       -0.1000
           1 │ 0.8000  -0.9000 │ 0.8000  -0.9000
           2 │ 1.6000  -1.7000 │ 1.6000  -1.7000
           3 │ 2.4000  -2.5000 │ 2.4000  -2.5000
           … │      …        … │      …        …
           6 │ 4.8000  -4.9000 │ 4.8000  -4.9000
           7 │ 5.6000  -5.7000 │ 5.6000  -5.7000
           8 │ 6.4000  -6.5000 │ 6.4000  -6.5000
        … 6 more units, 2 more steps: use
        --units, --steps or -o
        """)


def test_masked_steps_are_marked_and_their_gates_blank() -> None:
    i = np.full((1, 3, 1), 0.5, np.float32)
    i[0, 1] = np.nan
    h = np.array([[[0.25], [0.25], [0.75]]], np.float32)
    arrays = {"i": i, "h": h, "mask": np.array([[True, False, True]])}
    assert table(arrays, 80) == dedent("""\
                │ i ──── │ h ────
        step    │    [0] │    [0]
           0    │ 0.5000 │ 0.2500
           1  m │        │ 0.2500
           2    │ 0.5000 │ 0.7500
        m: masked step, the state is carried over
        """)


def test_sequences_that_fit_are_all_there_without_what_is_beyond_their_ends() -> None:
    assert table({"h": numbers(3, 3, 1)}, 80, lengths=np.array([2, 3, 0])) == dedent("""\
                       │ h ─────
        sequence  step │     [0]
               0     0 │  0
               0     1 │ -0.1000
               1     0 │ -0.3000
               1     1 │  0.4000
               1     2 │ -0.5000
        """)


def test_of_too_many_sequences_the_first_is_shown() -> None:
    lengths = np.array([2, 9, 3])
    assert table({"h": numbers(3, 9, 1)}, 40, 10, lengths=lengths) == dedent("""\
             │ h ─────
        step │     [0]
           0 │  0
           1 │ -0.1000
        … 2 more sequences: use -o
        """)


def test_one_sequence_without_a_batch_axis() -> None:
    assert table({"forward/h": numbers(1, 2, 2)[0]}, 80, batched=False) == dedent("""\
             │ forward/h ─────
        step │    [0]      [1]
           0 │ 0       -0.1000
           1 │ 0.2000  -0.3000
        """)


def test_numbers_that_four_decimals_do_not_show() -> None:
    arrays = {
        "h": np.array([[[np.nan, np.inf, 1e-7], [1, 2, 0]]], np.float32),
        "c": np.array([[[1e-5, 0], [-2e-9, 1e-6]]], np.float32),
        "x": np.array([[[3], [-12]]]),
        "output": np.array([[[12345.678], [-0.5]]], np.float32),
    }
    assert table(arrays, 80) == dedent("""\
             │ h ──────────────────── │ c ─────────────────── │ x ─ │ output
        step │    [0]     [1]     [2] │        [0]        [1] │ [0] │     [0]
           0 │    nan     inf   1e-07 │  1.000e-05  0         │   3 │ 12345.7
           1 │ 1.0000  2.0000  0      │ -2.000e-09  1.000e-06 │ -12 │    -0.5
        """)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("height", [2, 24, 60])
def test_nothing_is_wider_than_the_console(width: int, height: int) -> None:
    arrays = {f"bidirectional_1/backward/{n}": numbers(2, 50, 40, -9) for n in "ifgohc"}
    lines = trace_table(Results(arrays, {}, step_names(arrays)), width, height)
    assert max(line.cell_len for line in lines.lines) <= width
    assert len(lines.lines) <= max(height, 6 * 7 + 4)  # six tensors of four rows, at the least


def test_a_wide_console_is_used() -> None:
    arrays = {"h": numbers(1, 5, 40)}
    lines = trace_table(Results(arrays, {}, step_names(arrays)), 200, 24)
    assert 190 <= max(line.cell_len for line in lines.lines) <= 200


def test_no_steps() -> None:
    assert table({"h": np.zeros((1, 0, 2), np.float32)}, 80) == dedent("""\
             │ h ──────
        step │ [0]  [1]
        """)
    assert table({"final_h": np.zeros((1, 2))}, 80) == "nothing with steps to show\n"


def test_tensors_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="different lengths"):
        table({"a/h": numbers(1, 3, 1), "b/h": numbers(1, 2, 1)}, 80)


def test_names_cannot_steer_the_terminal() -> None:
    text = table({"\x1b[31m/h": numbers(1, 1, 3)}, 80)
    assert "\x1b" not in text
    assert "\ufffd[31m/h" in text


def test_outputs_with_names_and_shapes() -> None:
    arrays = {
        "output": numbers(2, 9, 3),
        "state_h": numbers(1, 2, 9)[0],
        "count": np.array([1, -2]),
        "scale": np.float32(0.5),
        "none": np.zeros((0, 3)),
    }
    assert shown(outputs_table(arrays, 44, 24), 44) == dedent("""\
        output  (2, 9, 3)  float32
                    [0]      [1]      [2]
        [0, 0]   0       -0.1000   0.2000
        [0, 1]  -0.3000   0.4000  -0.5000
             …        …        …        …
        [1, 8]  -5.1000   5.2000  -5.3000

        state_h  (2, 9)  float32
                 [0]      [1]      [2]      [3]
        [0]   0       -0.1000   0.2000  -0.3000
        [1]  -0.9000   1.0000  -1.1000   1.2000

        count  (2,)  int64
        [0]  [1]
          1   -2

        scale  ()  float32
        0.5000

        none  (0, 3)  float64
        no values
        … 15 more rows, 5 more columns: use -o
        """)


def test_small_outputs_leave_their_room_to_large_ones() -> None:
    arrays = {"small": numbers(1, 1, 2)[0], "large": numbers(1, 30, 2)[0]}
    text = shown(outputs_table(arrays, 80, 24), 80)
    assert 20 <= len(text.splitlines()) <= 24
    assert "[29]" in text
    assert "… 15 more rows: use -o" in text
