"""Results that are written while they are computed, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from ..errors import UsageError
from ..model import Array
from .files import FileFormat, format_of
from .pending import PendingFile, write_errors
from .results import Layout
from .rows import RowForm
from .sinks import NpySink, NpzSink, PipeSink, Sink, TextSink

NPZ_LIMIT_BYTES = 2 << 30


class StreamWriter:
    """Takes consecutive blocks of steps; what it writes to appears whole or not at all.

    Use it as a context manager: leaving the body by an exception removes what was written so far
    and leaves an earlier file untouched; leaving it otherwise closes the writer.
    """

    def __init__(
        self, target: object, open_sink: Callable[[], Sink], pending: PendingFile | None
    ) -> None:
        self._target, self._open_sink, self._pending = target, open_sink, pending
        self._sink: Sink | None = None
        self._closed = False

    def append(self, block: Mapping[str, Array]) -> None:
        """Add the next steps.

        Args:
            block: arrays with a time axis, shape ([B,] t, ...); the same names every time.

        Raises:
            UsageError: if the format cannot hold these arrays.
            OutputError: if they could not be written.
        """
        with write_errors(self._target):
            self._opened().append(block)

    def close(self, final: Mapping[str, Array] | None = None) -> None:
        """Complete the file and put it in its place.

        Args:
            final: arrays without a time axis; ``.npz`` and ``.h5`` hold them, the others do not.

        Raises:
            OutputError: if it could not be written.
        """
        with write_errors(self._target):
            self._opened().finish(final or {})
        if self._pending:
            self._pending.commit()
        self._closed = True

    def __enter__(self) -> StreamWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and not self._closed:
                self.close()
        finally:
            if not self._closed:
                self._discard()

    def _opened(self) -> Sink:
        """The sink; its file is made only now, so that an interrupt cannot leave it behind."""
        if self._sink is None:
            if self._pending:
                self._pending.create()
            self._sink = self._open_sink()
        return self._sink

    def _discard(self) -> None:
        try:
            if self._sink is not None:
                self._sink.abandon()
        finally:
            if self._pending:
                self._pending.discard()


def open_file(
    path: Path,
    meta: Mapping[str, Any],
    layout: Layout,
    *,
    npz_limit: int = NPZ_LIMIT_BYTES,
) -> StreamWriter:
    """A writer for ``path``, in the format of its extension.

    Bounded memory is for ``.npy .h5 .csv .jsonl``. ``.npz`` is kept in memory until it is closed.

    Args:
        path: the file.
        meta: where the arrays come from.
        layout: what the axes are.
        npz_limit: bytes that a ``.npz`` may take.

    Raises:
        UsageError: for an unknown extension.
        OutputError: if nothing can be written there; said before any work is done for it.
    """
    form = format_of(path)
    pending = PendingFile(path)
    return StreamWriter(path, lambda: _sink(form, pending, meta, layout, npz_limit), pending)


def open_pipe(file: BinaryIO, form: str, layout: Layout) -> StreamWriter:
    """A writer for standard output: ``csv`` or ``jsonl``, readable after every block.

    Several sequences take turns, block by block; the column ``sequence`` tells them apart.

    Raises:
        UsageError: for another format.
    """
    forms: Mapping[str, RowForm] = {"csv": "csv", "jsonl": "jsonl"}
    if form not in forms:
        raise UsageError(
            f"'{form}' cannot be written while it is computed; --format takes: {', '.join(forms)}"
        )
    return StreamWriter("standard output", lambda: PipeSink(file, forms[form], layout), None)


def _sink(
    form: FileFormat,
    pending: PendingFile,
    meta: Mapping[str, Any],
    layout: Layout,
    npz_limit: int,
) -> Sink:
    if form == "npy":
        return NpySink(pending.path, layout.batched)
    if form == "npz":
        return NpzSink(pending.path, layout.batched, meta, npz_limit)
    if form == "h5":
        from .hdf5 import Hdf5Sink

        return Hdf5Sink(pending.path, layout.batched, meta)
    return TextSink(pending.path, form, layout)
