"""The README is true: its commands run, and print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from readme import README, ROOT, blocks, commands, run, workplace

TEXT = README.read_text()
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+e-?\d+")
# Transcripts hold float32 to 9 digits; another processor may round the last ones otherwise.
TOLERANCE = 1e-5


def test_there_are_transcripts() -> None:
    assert sum(len(commands(content)) for kind, content in blocks(TEXT) if kind != "python") > 15


def test_every_transcript_is_what_the_commands_print(tmp_path: Path) -> None:
    environment = workplace(tmp_path)
    for kind, content in blocks(TEXT):
        for command in commands(content) if kind != "python" else ():
            printed = run(command.text, tmp_path, environment, kind.endswith("terminal"))
            assert_same_text(printed, command.output, command.text)


def assert_same_text(printed: str, expected: str, command: str) -> None:
    """Equal but for the rounding of decimal numbers."""
    lines = [line.rstrip() for line in printed.splitlines()]
    found, wanted = NUMBER.split("\n".join(lines)), NUMBER.split(expected.rstrip("\n"))
    assert found == wanted, f"$ {command}\n{printed}"
    np.testing.assert_allclose(
        [float(n) for n in NUMBER.findall("\n".join(lines))],
        [float(n) for n in NUMBER.findall(expected)],
        rtol=TOLERANCE,
        atol=TOLERANCE,
        err_msg=command,
    )


def test_the_comparison_notices_a_difference() -> None:
    with pytest.raises(AssertionError):
        assert_same_text("h 0.1235\n", "h 0.1234\n", "made up")
    with pytest.raises(AssertionError):
        assert_same_text("g 0.1234\n", "h 0.1234\n", "made up")


def test_python_blocks_run(tmp_path: Path) -> None:
    environment = workplace(tmp_path)
    scripts = [content for kind, content in blocks(TEXT) if kind == "python"]
    assert scripts
    for script in scripts:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        comments = re.findall(r"^print\(.*\)  # (.*)$", script, re.M)
        assert comments == done.stdout.splitlines()


def test_every_command_is_in_the_readme() -> None:
    from lstm_cli.cli.app import COMMANDS

    for name in COMMANDS:
        assert f"lstm {name} " in TEXT


def test_the_two_lines_for_a_fresh_machine_are_those_of_continuous_integration() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("python3 -m venv ")]
    assert len(lines) == 2
    assert "sample_models/" in lines[0]
    assert "pytest" in lines[1]
    script = (ROOT / ".ci" / "run").read_text()
    assert "grep '^python3 -m venv ' README.md" in script
