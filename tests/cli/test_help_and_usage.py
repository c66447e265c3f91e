"""Help pages, the version, and command lines that cannot be understood."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from cli_runs import ROOT, SAMPLES, Cli

from lstm_cli import __version__
from lstm_cli.cli.app import COMMANDS

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"


def page(lstm: Cli, *arguments: str) -> str:
    return lstm(*arguments).succeeded().text


def example(text: str) -> list[str]:
    """The arguments of a help page's example, which may go over two lines."""
    found = re.search(r"Example: lstm (.*?)\n\s*\n", text, re.DOTALL)
    assert found, text
    return shlex.split(found[1])


def test_every_command_is_listed(lstm: Cli) -> None:
    text = page(lstm, "--help")
    for name in COMMANDS:
        assert re.search(rf"│ {name} ", text), name
    assert lstm("-h").text == text
    assert lstm().succeeded().text.strip() == text.strip()


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_example_of_each_help_page_runs(
    lstm: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    arguments = example(page(lstm, *([name] if name else []), "--help"))
    assert not name or arguments[0] == name
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")

    done = lstm(*arguments).succeeded()

    if "-o" in arguments:
        assert Path(arguments[-1]).stat().st_size > 0
    else:
        assert done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_is_explained(lstm: Cli, name: str) -> None:
    """At a width where nothing is folded, each has a sentence that ends in a full stop."""
    os.environ["COLUMNS"] = "300"  # the fixture puts it back
    rows = [line for line in page(lstm, name, "--help").splitlines() if re.match(r"│ [-*]", line)]
    assert len(rows) > 5
    for row in rows:
        assert re.search(r"\w.*[.)\]] +│$", row), row
    arguments = [row for row in rows if row.startswith("│ *")]
    assert "aved model" in arguments[0]
    if name in ("inspect", "weights", "run", "states", "gates", "export"):
        assert "Saved model: a file or directory." in arguments[0]
        assert len(arguments) == (1 if name in ("inspect", "weights") else 2)


@pytest.mark.parametrize("name", COMMANDS)
def test_paragraphs_fill_the_width(lstm: Cli, name: str) -> None:
    """A paragraph is folded where the terminal ends, not where the source does."""
    os.environ["COLUMNS"] = "1000"  # the fixture puts it back
    before = page(lstm, name, "--help").partition("╭")[0].strip()
    assert before.startswith("Usage: ")
    for text in re.split(r"\n\s*\n", before):
        assert "\n" not in text.strip(), text


def test_shared_options_are_the_same_everywhere(lstm: Cli) -> None:
    os.environ["COLUMNS"] = "300"
    pages = [page(lstm, name, "--help") for name in ("run", "states", "gates", "export")]
    rows = [{" ".join(line.split()) for line in text.splitlines()} for text in pages]
    names = set(re.findall(r"│ (--[a-z-]+) ", "\n".join(set.intersection(*rows))))

    assert names >= {
        *("--layer", "--direct", "--columns", "--sequence-column", "--window", "--stride"),
        *("--time-major", "--initial-state", "--save-state", "--stateful", "--mask"),
        *("--mask-value", "--lengths", "--dtype", "--batch-size", "--threads", "--steps"),
        *("--units", "--tensors", "--output", "--format", "--architecture", "--activation"),
        *("--recurrent-activation", "--hard-sigmoid", "--override", "--treat-as-lstm"),
    }


def test_the_version(lstm: Cli) -> None:
    assert page(lstm, "--version") == f"lstm {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch' (see 'lstm --help')"),
        (["states", "m"], "Missing argument 'INPUT...' (see 'lstm states --help')"),
        (
            ["states", "m", "x", "--heatmapp"],
            "No such option '--heatmapp'. (Did you mean one of: '--heatmap', '--help'?) "
            "(see 'lstm states --help')",
        ),
        (
            ["gates", "m", "x", "--return-state"],
            "No such option '--return-state'. (Did you mean one of: '--initial-state', "
            "'--save-state'?) (see 'lstm gates --help')",
        ),
        (
            ["states", "m", "x", "--dtype", "float16"],
            "Invalid value for '--dtype': 'float16' is not one of 'float32', 'float64' "
            "(see 'lstm states --help')",
        ),
        (
            ["run", "m", "x", "--threads", "0"],
            "Invalid value for '--threads': 0 is not in the range x>=1 (see 'lstm run --help')",
        ),
        (
            ["run", "m", "x", "--mask-value", "many"],
            "Invalid value for '--mask-value': 'many' is not a valid float (see 'lstm run --help')",
        ),
        (
            ["states", "m", "x", "--format", "xml"],
            "Invalid value for '--format': 'xml' is not one of 'npy', 'npz', 'csv', 'jsonl', "
            "'json', 'h5' (see 'lstm states --help')",
        ),
        (["--nosuch"], "No such option '--nosuch' (see 'lstm --help')"),
    ],
)
def test_command_lines_that_cannot_be_understood(
    lstm: Cli, arguments: list[str], message: str
) -> None:
    assert lstm(*arguments).refusal() == message


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_alone_explains_itself(lstm: Cli, name: str) -> None:
    done = lstm(name)
    assert done.code == 2
    assert (done.text + done.err).strip() == page(lstm, name, "--help").strip()


def test_control_characters_in_names_do_not_reach_the_terminal(lstm: Cli) -> None:
    message = lstm("states", MODEL, INPUT, "--layer", "\x1b[31mred\x07").refusal()
    assert message.startswith("no layer '\\x1b[31mred\\x07'; there is: ")
