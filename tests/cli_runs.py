"""The command line as tests use it: inside this process, or as a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm_cli.cli.app import run_app

Array = NDArray[Any]

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_models"
GOLDEN = ROOT / "tests" / "golden" / "keras"

TOLERANCE = 1e-5
"""Of max(1, max |reference|): float32 sums in another order than the framework's."""


class Table(NamedTuple):
    """A CSV text: its header, and its numbers, (rows, columns)."""

    header: list[str]
    values: Array

    def column(self, name: str) -> Array:
        return np.asarray(self.values[:, self.header.index(name)])

    def columns(self, prefix: str) -> Array:
        """The columns ``prefix[0] prefix[1] …``, (rows, units)."""
        chosen = [k for k, name in enumerate(self.header) if name.startswith(f"{prefix}[")]
        return np.asarray(self.values[:, chosen])


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def notes(self) -> list[str]:
        """Lines of standard error."""
        return self.err.splitlines()

    @property
    def table(self) -> Table:
        return read_table(self.text)

    @property
    def npz(self) -> dict[str, Array]:
        with np.load(io.BytesIO(self.out)) as arrays:
            return dict(arrays)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Objects of JSON lines."""
        return [json.loads(line) for line in self.text.splitlines()]

    def succeeded(self) -> Ran:
        """This run, which must have gone well and without a word."""
        assert (self.code, self.err) == (0, ""), self.err
        return self

    def refusal(self) -> str:
        """The one sentence of a run that was refused and printed nothing else."""
        assert self.code == 2, (self.code, self.err)
        assert self.out == b"", self.text[:200]
        assert self.err.startswith("error: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        assert "an error in lstm itself" not in self.err, self.err
        return self.err.removeprefix("error: ").removesuffix("\n")


def read_table(text: str) -> Table:
    header, *rows = csv.reader(io.StringIO(text))
    return Table(header, np.array([[float(cell) for cell in row] for row in rows]))


def load_npz(path: Path) -> dict[str, Array]:
    with np.load(path) as arrays:
        return dict(arrays)


class Cli:
    """Runs commands inside this process, standard streams replaced by bytes."""

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Ran:
        out, err = io.BytesIO(), io.BytesIO()
        before = sys.stdin, sys.stdout, sys.stderr
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
        sys.stdout = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(err, encoding="utf-8", write_through=True)
        try:
            code = run_app([str(argument) for argument in arguments])
            return Ran(code, out.getvalue(), err.getvalue().decode())
        finally:
            sys.stdin, sys.stdout, sys.stderr = before

    def csv(self, *arguments: object, stdin: bytes = b"") -> Table:
        """What a command that goes well and without a word prints."""
        return self(*arguments, stdin=stdin).succeeded().table


def environment(**more: str) -> dict[str, str]:
    """For processes: this package, one thread, nothing of the user's own settings."""
    own = ("NO_COLOR", "TERM", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return {**kept, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **more}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "lstm_cli", *(str(argument) for argument in arguments)]


def start(
    *arguments: object, settings: Mapping[str, str] | None = None, **streams: Any
) -> subprocess.Popen[bytes]:
    """A process of its own, with pipes for whatever is not given."""
    pipes: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    return subprocess.Popen(
        command(*arguments), env=environment(**(settings or {})), **{**pipes, **streams}
    )


def finish(process: subprocess.Popen[bytes]) -> Ran:
    """Wait for a process to end."""
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out or b"", (err or b"").decode())


def assert_close(found: Array, expected: Array, tolerance: float = TOLERANCE) -> None:
    """Equal within ``tolerance`` of max(1, max |expected|); NaN must meet NaN."""
    scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)
