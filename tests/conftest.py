"""What all tests share: the account of the golden files at the end of a session."""

from __future__ import annotations

import pytest
from golden_files import REPORT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in REPORT.lines():
        terminalreporter.write_line(line)
