"""Consecutive pieces of the same sequences, one after another in one output."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .interrupts import INTERRUPTS
from .selecting import has_steps
from .showing import note_left_out
from .targets import Target

if TYPE_CHECKING:
    from ..outputs.results import Results
    from ..outputs.streaming import StreamWriter


class Joined:
    """Takes the results of piece after piece; the output is made when there is something for it.

    Args:
        target: a file or standard output.
        stack: closes the output, and removes it if it is not complete.
    """

    def __init__(self, target: Target, stack: ExitStack) -> None:
        self._target, self._stack = target, stack
        self._writer: StreamWriter | None = None
        self._without_steps: dict[str, Any] = {}

    def append(self, results: Results) -> None:
        """Add the steps of the next piece, as far as ``--steps`` wants them.

        Raises:
            UsageError: if the format cannot be written while it is computed.
            OutputError: if it could not be written.
        """
        rest = {n: a for n, a in results.arrays.items() if n not in results.per_step}
        begun = {n: a for n, a in self._without_steps.items() if _is_initial(n)}
        self._without_steps = {**rest, **begun}
        INTERRUPTS.check()
        if not has_steps(results):
            return
        if self._writer is None:
            self._writer = self._stack.enter_context(self._open(results))
        self._writer.append({n: a for n, a in results.arrays.items() if n in results.per_step})

    def close(self) -> None:
        """Complete the output, if there was any step for it.

        Raises:
            OutputError: if it could not be written.
        """
        if self._writer is None:
            return
        INTERRUPTS.check()
        if self._target.is_table:
            note_left_out(self._target.name, self._without_steps)
        self._writer.close(self._without_steps)

    def _open(self, results: Results) -> StreamWriter:
        from ..outputs import streaming

        if self._target.kind == "file":
            return streaming.open_file(self._target.paths[0], results.meta, results.layout)
        return streaming.open_pipe(sys.stdout.buffer, self._target.form, results.layout)


def _is_initial(name: str) -> bool:
    """Whether an array is a state before the first step, which only the first piece knows."""
    return name.rsplit("/", 1)[-1] in ("initial_h", "initial_c")
