"""Numbers in options that would make a check quietly hold, or mean nothing."""

from __future__ import annotations

import pytest
from cli_runs import SAMPLES, Cli

MODEL, INPUT = SAMPLES / "brackets.keras", SAMPLES / "brackets.csv"
FIGURE = ("-o", "never.png")


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("stats", ("--lo", "nan"), "--lo: expected a number, found nan"),
        ("stats", ("--twin", "nan"), "--twin: expected a number, found nan"),
        ("stats", ("--lo", "0.95", "--hi", "0.1"), "--lo: expected no more than --hi, 0.1, found"),
        ("stats", ("--fail-on", "dead>nan"), "expected conditions such as"),
        ("why", ("--span", "nan"), "--span: expected a number, found nan"),
        ("plot", ("--width", "nan", *FIGURE), "--width: expected a number, found nan"),
        ("diff", (INPUT, "--atol", "nan"), "--atol: expected a number, found nan"),
        ("diff", (INPUT, "--tolerance", 1, "--rtol", 1), "does not go with --atol or --rtol"),
        ("verify", (INPUT, "--tolerance", "nan"), "--tolerance: expected a number, found nan"),
        ("find", ("--range", "5:9", "--threshold", "nan"), "--threshold: expected a number"),
        ("find", ("--range", "5:9", "--tensor", "h,c"), "find looks at one array, found h, c"),
        ("find", ("--range", "5:9", "--top", 0), "Invalid value for '--top'"),
        ("find", ("--range", "5:9", "--left", -1), "Invalid value for '--left'"),
        ("why", ("--cell", "other"), "no cell 'other'; there is: lstm"),
    ],
    ids=str,
)
def test_they_are_refused(
    lstm: Cli, command: str, options: tuple[object, ...], message: str
) -> None:
    assert message in lstm(command, MODEL, INPUT, *options).refusal()


@pytest.mark.parametrize("tensor", ["x", "output"])
def test_an_array_of_the_whole_layer_is_looked_at_alone(lstm: Cli, tensor: str) -> None:
    """The command has to ask for an array of the cell beside it, to know how many steps it has."""
    drawn = lstm("plot", MODEL, INPUT, "--tensors", tensor, "--json").succeeded().text
    assert f'"name": "{tensor}"' in drawn
    lstm("rank", MODEL, INPUT, "--target", SAMPLES / "brackets.depth.csv", "--tensors", tensor)
