"""``--layer`` with a part: one direction or one level of a layer, named plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Array, Cli, assert_close, load_npz

BIDIRECTIONAL = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"


def golden() -> dict[str, Array]:
    """The framework's numbers of both directions of the layer ``middle``."""
    return load_npz(SAMPLES / "bidirectional.golden.npz")


@pytest.mark.parametrize("part", ["forward", "backward"])
def test_a_direction_by_itself(lstm: Cli, part: str) -> None:
    lstm("export", *BIDIRECTIONAL, "-l", f"middle/{part}", "-o", "part.npz").succeeded()
    arrays = load_npz(Path("part.npz"))

    assert {"h", "c", "i", "f", "g", "o", "final_h", "final_c"} <= set(arrays)
    assert not any("/" in name for name in arrays)
    assert "output" not in arrays  # a direction hands on nothing by itself
    for name in "hcifgo":
        assert_close(arrays[name], golden()[f"middle/{part}/{name}"])


def test_a_part_that_several_layers_have(lstm: Cli) -> None:
    message = lstm("states", *BIDIRECTIONAL, "-l", "backward").refusal()
    assert message == (
        "'backward' means several parts; choose one of: bottom/backward, middle/backward, "
        "top/backward"
    )


def test_both_directions_chosen_one_by_one(lstm: Cli) -> None:
    lstm(
        *("export", *BIDIRECTIONAL, "-l", "middle/backward", "-l", "middle/forward"),
        *("-o", "both.npz"),
    ).succeeded()
    arrays = load_npz(Path("both.npz"))
    assert_close(arrays["middle/backward/c"], golden()["middle/backward/c"])
    assert_close(arrays["middle/forward/c"], golden()["middle/forward/c"])


def test_a_part_directly(lstm: Cli) -> None:
    lstm("export", *BIDIRECTIONAL, "-l", "middle", "--with-input", "-o", "whole.npz").succeeded()
    whole = load_npz(Path("whole.npz"))
    np.save("x.npy", whole["x"])
    np.save("mask.npy", whole["mask"])
    lstm(
        *("export", BIDIRECTIONAL[0], "x.npy", "--direct", "--mask", "mask.npy"),
        *("-l", "middle/forward", "-o", "p.npz"),
    ).succeeded()
    assert_close(load_npz(Path("p.npz"))["h"], golden()["middle/forward/h"])


def test_weights_of_a_part(lstm: Cli) -> None:
    lstm("weights", BIDIRECTIONAL[0], "-l", "middle/backward", "-o", "part.npz").succeeded()
    lstm("weights", BIDIRECTIONAL[0], "-l", "middle", "-o", "whole.npz").succeeded()
    part, whole = load_npz(Path("part.npz")), load_npz(Path("whole.npz"))
    np.testing.assert_array_equal(part["kernel"], whole["backward/kernel"])
    rows = lstm("weights", BIDIRECTIONAL[0], "-l", "middle/backward").succeeded().text.splitlines()
    assert len(rows) == 1 + 3 * 4
    assert all(row.startswith("middle,backward,") for row in rows[1:])


def test_run_returns_whole_layers(lstm: Cli) -> None:
    message = lstm("run", *BIDIRECTIONAL, "-l", "middle/forward").refusal()
    assert message.startswith("'middle/forward' is a part of 'middle', which returns its results")
    assert "--layer middle" in message


def test_a_part_that_is_not_there(lstm: Cli) -> None:
    message = lstm("states", *BIDIRECTIONAL, "-l", "middle/l0").refusal()
    assert message.startswith("no layer 'middle/l0'; there is: middle")
