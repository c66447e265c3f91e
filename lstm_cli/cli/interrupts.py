"""Ctrl-C, a polite kill and a closed terminal: all unwind alike, so nothing half-written stays."""

from __future__ import annotations

import signal
import sys
from typing import Any


class Interrupts:
    """Turns signals into ``KeyboardInterrupt``, and remembers that there was one.

    An exception that is raised in the middle of some clean-up of Python's own is lost there.
    Whoever is about to go on, or to put a result in its place, asks with ``check``.
    """

    def __init__(self) -> None:
        self._asked = False

    def install(self) -> None:
        """Take over the signals that nobody else handles, and forget earlier ones."""
        self._asked = False
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            usual = (signal.SIG_DFL, signal.default_int_handler)
            if number is not None and signal.getsignal(number) in usual:
                signal.signal(number, self._interrupt)

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` if the program was asked to stop."""
        if self._asked:
            raise KeyboardInterrupt

    def _interrupt(self, signum: int, frame: object) -> None:
        self._asked = True
        raise KeyboardInterrupt


INTERRUPTS = Interrupts()


def hide_lost_interrupts() -> None:
    """Keep Python from reporting an interrupt that was lost in its own clean-up."""
    report = sys.unraisablehook

    def hook(lost: Any) -> None:
        if lost.exc_type is not KeyboardInterrupt:
            report(lost)

    sys.unraisablehook = hook
