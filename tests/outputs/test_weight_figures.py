"""Figures of weights, gate by gate, against numbers worked by hand."""

from __future__ import annotations

import io
from textwrap import dedent

import numpy as np
from rich.console import Console

from lstm_cli.model import Direction, GruCell, Layer, LstmCell, Operation, Recurrent
from lstm_cli.outputs.weights import WeightRow, statistics_lines, weight_statistics, weights_table


def layer(address: str = "lstm", bias: bool = True) -> Layer:
    """One input, two units; kernel columns i f g o are (3, -4), (0, 0), (1, 2), (nan, inf)."""
    kernel = np.array([[3, -4, 0, 0, 1, 2, np.nan, np.inf]], np.float32)
    recurrent = np.tile(np.array([[1], [-1]], np.float32), (1, 8))
    cell = LstmCell(kernel, recurrent, np.arange(8, dtype=np.float32) if bias else None)
    return Layer(address, "LSTM", Recurrent((Direction("", (cell,)),)))


def test_figures_of_each_gate() -> None:
    rows = weight_statistics(layer())
    assert [(row.tensor, row.gate, row.shape) for row in rows] == [
        *(("kernel", gate, (1, 2)) for gate in "ifgo"),
        *(("recurrent_kernel", gate, (2, 2)) for gate in "ifgo"),
        *(("bias", gate, (2,)) for gate in "ifgo"),
    ]
    # i holds 3 and -4: mean -0.5, deviations 3.5, norm 5 (3-4-5).
    assert rows[0] == WeightRow("lstm", "", "kernel", "i", (1, 2), -4, 3, -0.5, 3.5, 5, 0, 0)
    assert rows[1] == WeightRow("lstm", "", "kernel", "f", (1, 2), 0, 0, 0, 0, 0, 0, 0)
    assert rows[3] == WeightRow("lstm", "", "kernel", "o", (1, 2), None, None, None, None, 0, 1, 1)
    assert rows[4] == WeightRow("lstm", "", "recurrent_kernel", "i", (2, 2), -1, 1, 0, 1, 2, 0, 0)
    assert (rows[10].minimum, rows[10].maximum) == (4, 5)  # g is third


def test_no_bias_has_no_rows() -> None:
    assert {row.tensor for row in weight_statistics(layer(bias=False))} == {
        "kernel",
        "recurrent_kernel",
    }


def test_parts_and_other_cells() -> None:
    gru = GruCell(np.ones((2, 3)), np.ones((1, 3)), np.zeros((2, 3)), reset_after=True)
    two = Recurrent((Direction("forward", (gru,)), Direction("backward", (gru,))), "sum")
    rows = weight_statistics(Layer("both", "Bidirectional(GRU)", two))
    assert [(row.part, row.gate) for row in rows[:3]] == [("forward", gate) for gate in "zrh"]
    assert rows[-1].part == "backward"
    np.testing.assert_allclose(rows[0].norm, np.sqrt(2.0), rtol=1e-15)
    assert weight_statistics(Layer("dense", "Dense", Operation("dense"))) == []


def test_table() -> None:
    file = io.StringIO()
    table = weights_table(weight_statistics(layer(bias=False)), 80)
    Console(file=file, width=80, color_system=None).print(table)
    assert file.getvalue() == dedent("""\
        lstm/kernel
        gate  shape      min     max     mean     std    norm  NaN/Inf
        i     1 × 2  -4.0000  3.0000  -0.5000  3.5000  5.0000      0/0
        f     1 × 2   0.0000  0.0000   0.0000  0.0000  0.0000      0/0
        g     1 × 2   1.0000  2.0000   1.5000  0.5000  2.2361      0/0
        o     1 × 2        -       -        -       -  0.0000      1/1

        lstm/recurrent_kernel
        gate  shape      min     max    mean     std    norm  NaN/Inf
        i     2 × 2  -1.0000  1.0000  0.0000  1.0000  2.0000      0/0
        f     2 × 2  -1.0000  1.0000  0.0000  1.0000  2.0000      0/0
        g     2 × 2  -1.0000  1.0000  0.0000  1.0000  2.0000      0/0
        o     2 × 2  -1.0000  1.0000  0.0000  1.0000  2.0000      0/0
        """)


def test_narrow_table_is_cut_into_bands() -> None:
    lines = weights_table(weight_statistics(layer()), 40).plain.splitlines()
    assert lines[1] == "gate  shape      min     max     mean"
    assert lines[6] == "gate     std    norm  NaN/Inf"
    assert max(map(len, lines)) <= 40


def test_lines_of_csv() -> None:
    rows = weight_statistics(layer('a,"b"'))
    lines = list(statistics_lines([rows[0], rows[3]]))
    assert lines == [
        "layer,part,tensor,gate,shape,min,max,mean,std,norm,nan,inf",
        '"a,""b""",,kernel,i,1x2,-4,3,-0.5,3.5,5,0,0',
        '"a,""b""",,kernel,o,1x2,,,,,0,1,1',
    ]
