"""The command line. Only this part prints or exits; it computes nothing itself."""

from __future__ import annotations

import io
import os
import sys
from typing import NoReturn, TextIO

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 a check failed, 2 bad usage, file or data."""
    # One thread is as fast at most sizes and starts sooner; it must be said before NumPy loads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.stdout, sys.stderr = _open(sys.stdout), _open(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows ? instead
    try:
        from .app import run_app
        from .interrupts import hide_lost_interrupts

        hide_lost_interrupts()
        status = run_app(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # while the program was still being loaded
        status = INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        _let_go(stream)
    sys.exit(status)


def _let_go(stream: TextIO) -> None:
    """Write what is still held back; Python would complain at exit where nobody can take it."""
    try:
        stream.flush()
    except OSError:  # said already, in a sentence and an exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open(stream: TextIO | None) -> TextIO:
    """A standard stream; what goes to one that is closed goes nowhere."""
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w") if stream is None else stream
