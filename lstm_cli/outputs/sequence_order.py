"""Pieces that arrive step by step, put into a file sequence by sequence, in bounded memory."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import IO, BinaryIO

COPY_BYTES = 1 << 24


class SequenceOrder:
    """Writes sequence 0 at once, and keeps the others' pieces on disk until it has ended.

    Args:
        file: where everything goes in the end.
        folder: where the waiting pieces are kept, in a file without a name.
    """

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self._file, self._folder = file, folder
        self._waiting: IO[bytes] | None = None
        self._pieces: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._end = 0

    def add(self, sequence: int, piece: bytes) -> None:
        """Add what comes next in one sequence."""
        if sequence == 0:
            self._file.write(piece)
            return
        if self._waiting is None:
            from tempfile import TemporaryFile  # slow to import; one sequence does without

            self._waiting = TemporaryFile(dir=self._folder)
        self._waiting.write(piece)
        self._pieces[sequence].append((self._end, len(piece)))
        self._end += len(piece)

    def finish(self) -> None:
        """Write the pieces that waited."""
        if self._waiting is not None:
            for sequence in sorted(self._pieces):
                for start, length in self._pieces[sequence]:
                    self._copy(self._waiting, start, length)
        self.close()

    def close(self) -> None:
        """Forget the pieces that wait."""
        if self._waiting is not None:
            close_quietly(self._waiting)
        self._waiting = None

    def _copy(self, source: IO[bytes], start: int, length: int) -> None:
        source.seek(start)
        for done in range(0, length, COPY_BYTES):
            self._file.write(source.read(min(COPY_BYTES, length - done)))


def close_quietly(file: IO[bytes]) -> None:
    """Close a file that nobody needs any more, even where its last bytes find no room."""
    try:
        file.close()
    except OSError:
        return
