"""What all tests share: the command line, and the account of the golden files at the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Cli
from golden_files import REPORT


@pytest.fixture
def lstm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cli]:
    """Runs a command line in an empty folder; what it changes in the process is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", os.environ.get("OPENBLAS_NUM_THREADS", "1"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("LSTM_DEBUG", raising=False)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield Cli()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its account to the process that prints the summary."""
    handed_over = getattr(session.config, "workeroutput", None)
    if handed_over is not None:
        handed_over["golden"] = asdict(REPORT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    REPORT.add(**getattr(node, "workeroutput", {}).get("golden", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in REPORT.lines():
        terminalreporter.write_line(line)
