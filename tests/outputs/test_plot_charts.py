"""Charts: which panels, units and steps a picture of a trace has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstm_cli.analysis.cells import cells_of
from lstm_cli.errors import InputError, NoSuchNameError, UsageError
from lstm_cli.outputs.charts import Chart, make_chart, needed_tensors
from lstm_cli.traces import Trace, Traces

B, T, U = 3, 6, 4


def cell(direction: str = "forward", **more: Any) -> Trace:
    """h, c and gates in which each number tells its tensor, sequence, step and unit."""
    arrays = {
        name: 10_000.0 * k + np.arange(B * T * U, dtype=np.float32).reshape(B, T, U)
        for k, name in enumerate(("i", "h", "f", "c", "o", "g"))
    }
    states = {f"{when}_{name}": np.zeros((B, U)) for when in ("initial", "final") for name in "hc"}
    return Trace({**arrays, **states, **more}, {"direction": direction})


def chart(trace: Trace | Traces, *arguments: Any, **named: Any) -> Chart:
    return make_chart(cells_of(trace), *arguments, **named)


def test_states_come_before_gates_and_every_number_is_there() -> None:
    found = chart(cell(), sequence=1)
    assert [panel.name for panel in found.panels] == ["h", "c", "i", "f", "g", "o"]
    for panel in found.panels:
        values = cell().arrays[panel.tensor][1]
        np.testing.assert_array_equal(panel.columns.low, values)
        np.testing.assert_array_equal(panel.columns.high, values)
    assert (found.steps, found.first_step, found.sequences) == (T, 0, B)


def test_tensors_steps_and_units_are_chosen() -> None:
    found = chart(cell(), ["c", "h"], units=[2, 0], steps=slice(2, 5))
    assert [(panel.name, panel.units) for panel in found.panels] == [("c", (2, 0)), ("h", (2, 0))]
    np.testing.assert_array_equal(found.panels[0].columns.low, cell().c[0, 2:5][:, [2, 0]])
    assert (found.first_step, found.steps) == (2, 3)


def test_parts_have_their_names_and_directions() -> None:
    parts = {"forward": cell(), "backward": cell("backward")}
    both = Traces(parts, {}, {})
    found = chart(both, ["h", "backward/f"])
    shown = [(panel.name, panel.cell, panel.backward) for panel in found.panels]
    assert shown == [
        ("forward/h", "forward", False),
        ("backward/h", "backward", True),
        ("backward/f", "backward", True),
    ]
    np.testing.assert_array_equal(found.panels[1].columns.low, parts["backward"].h[0])


def test_masked_steps_have_no_numbers() -> None:
    mask = np.ones((B, T), np.bool_)
    mask[0, 2:4] = False
    found = chart(cell(mask=mask), ["h"]).panels[0].columns
    np.testing.assert_array_equal(found.masked, ~mask[0])
    np.testing.assert_array_equal(np.isnan(found.low[:, 0]), ~mask[0])


def test_a_short_sequence_ends_where_it_ends() -> None:
    lengths = np.array([6, 2, 4])
    labels = list("abcdef")
    found = chart(cell(lengths=lengths), ["h"], sequence=1, labels=labels)
    assert (found.steps, found.labels) == (2, ("a", "b"))
    np.testing.assert_array_equal(found.panels[0].columns.low, cell().h[1, :2])


def test_long_traces_are_read_in_blocks_and_stay_bounded() -> None:
    h = np.zeros((1, 20_000, 1), np.float32)
    h[0, 12_345], h[0, 4_096] = -3.0, 2.0
    found = chart(Trace({"h": h, "c": h, "f": np.abs(h)}, {})).panels[0].columns
    assert found.width == 8
    assert found.steps == 20_000
    np.testing.assert_array_equal(found.low[12_345 // 8], [-3])
    np.testing.assert_array_equal(found.high[4_096 // 8], [2])
    assert np.count_nonzero(found.low) == np.count_nonzero(found.high) == 1


def test_units_are_sorted_by_what_they_do_at_real_steps() -> None:
    h = np.array([[[0.1, -0.5, 0.2], [9.0, 0.0, 0.0], [0.1, 0.5, -0.4]]], np.float32)
    f = np.array([[[0.2, 0.3, 0.9], [1.0, 0.0, 0.0], [0.2, 0.3, 0.9]]], np.float32)
    mask = np.array([[True, False, True]])
    trace = Trace({"h": h, "c": h, "f": f, "mask": mask}, {})
    assert chart(trace, ["c"], sort="activity").panels[0].units == (1, 2, 0)
    assert chart(trace, ["h"], sort="timescale").panels[0].units == (2, 1, 0)
    assert chart(trace, ["h"], sort="timescale", units=[0, 1]).panels[0].units == (1, 0)
    assert chart(trace, ["h"], sort="activity").sort == "activity"


def test_a_projection_is_sorted_by_c_and_leaves_h_as_it_is() -> None:
    c = np.array([[[0.1, 0.3, 0.2]]], np.float32)
    h = np.array([[[0.5, 0.9]]], np.float32)
    found = chart(Trace({"h": h, "c": c, "f": c}, {}), sort="activity")
    assert [panel.units for panel in found.panels] == [(0, 1), (1, 2, 0), (1, 2, 0)]


def test_facts_for_json() -> None:
    facts = chart(cell(), ["f"], units=[1], steps=slice(4, 6), labels=list("abcdef")).facts()
    assert facts["labels"] == ["e", "f"]
    assert facts["panels"] == [
        {
            "name": "f",
            "steps_per_column": 1,
            "units": [1],
            "low": [[20017.0, 20021.0]],
            "high": [[20017.0, 20021.0]],
        }
    ]


@pytest.mark.parametrize(
    ("tensors", "named", "error", "message"),
    [
        (["z_f"], {}, NoSuchNameError, "no tensor 'z_f'; there is: f"),
        (None, {"units": [0, 4]}, UsageError, "unit 4: 'h' has units 0 to 3"),
        (None, {"sequence": 3}, UsageError, "sequence 3: the trace has sequences 0 to 2"),
        (None, {"steps": slice(6, 9)}, UsageError, "step 6: the sequence has steps 0 to 5"),
        (None, {"labels": list("abcde")}, UsageError, "expected 6 labels, one a step, found 5"),
        (None, {"labels": list("abcdefg")}, UsageError, "expected 6 labels, one a step, found 7"),
    ],
)
def test_what_is_not_there(
    tensors: list[str] | None, named: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        chart(cell(), tensors, **named)
    assert str(raised.value).startswith(message)


def test_cells_of_different_lengths_have_no_common_axis() -> None:
    short = Trace({"h": np.zeros((B, 2, U)), "c": np.zeros((B, 2, U))}, {})
    with pytest.raises(UsageError, match="the cells have 2 and 6 steps"):
        chart(Traces({"a": cell(), "b": short}, {}, {}))


def test_sorting_needs_its_tensor() -> None:
    trace = Trace({"h": np.zeros((1, 2, 2)), "c": np.zeros((1, 2, 2))}, {})
    with pytest.raises(InputError, match="lacks f"):
        chart(trace, ["h"], sort="timescale")


def test_what_has_to_be_computed() -> None:
    assert needed_tensors(None) == ["h", "c", "i", "f", "g", "o"]
    assert needed_tensors(["forward/h", "i"], "timescale") == ["h", "i", "f", "c"]
