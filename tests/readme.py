"""The README's transcripts: run them, compare them, or write them anew.

``python tests/readme.py`` rewrites the outputs in README.md from what the commands print now.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(console|console terminal|python)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Command:
    """A command of a transcript and the output that follows it."""

    text: str
    output: str


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Kind and content of every block that can be run."""
    for match in BLOCK.finditer(text):
        yield match[1], match[2]


def commands(content: str) -> list[Command]:
    """The commands of a transcript: lines after ``$ ``, each with the output below it."""
    parts = re.split(r"^\$ ", content, flags=re.M)[1:]
    return [Command(first, rest) for first, _, rest in (part.partition("\n") for part in parts)]


def workplace(folder: Path) -> dict[str, str]:
    """A folder with the samples and the command ``lstm``; the environment to run in."""
    (folder / "sample_models").symlink_to(ROOT / "sample_models")
    tools = folder / ".tools"
    tools.mkdir()
    for name, code in (("lstm", "-m lstm_cli"), ("python", "")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {code} "$@"\n')
        tool.chmod(0o755)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": path,
        "TERM": "dumb",
        "COLUMNS": "80",
        "LINES": "30",
    }


def run(command: str, folder: Path, environment: dict[str, str], terminal: bool) -> str:
    """What a command prints, on standard output and error together."""
    if terminal:
        return _run_in_terminal(command, folder, environment)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def _run_in_terminal(command: str, folder: Path, environment: dict[str, str]) -> str:
    """The same on a pseudo-terminal, where ``lstm`` draws for people."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environment, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        printed = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end has closed
                break
            if not piece:
                break
            printed += piece
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def rewritten(text: str) -> str:
    """The README with every transcript's output replaced by what is printed now."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = workplace(folder)

        def block(match: re.Match[str]) -> str:
            kind, content = match[1], match[2]
            if kind == "python":
                return match[0]
            lines = []
            for command in commands(content):
                printed = run(command.text, folder, environment, kind.endswith("terminal"))
                lines.append(f"$ {command.text}\n" + "".join(_tidy(printed)))
            return f"```{kind}\n{''.join(lines)}```"

        return BLOCK.sub(block, text)


def _tidy(printed: str) -> Iterator[str]:
    for line in printed.splitlines():
        yield line.rstrip() + "\n"


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text()))
