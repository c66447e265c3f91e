"""Complete lines of a text source, with their numbers, as soon as they are there."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import InputError
from .signatures import refuse_binary
from .sources import ByteSource

LONGEST_LINE = 64 << 20
"""Bytes after which a line without an end is taken for something else than text."""

BLOCK_BYTES = 16 << 20
"""Text held for one block of rows, however many rows were asked for."""


class LineReader:
    """Lines without their ends (LF, CRLF or CR), decoded as UTF-8 or, failing that, Latin-1.

    Attributes:
        name: of the source, for messages.
        number: line number, from 1, of the first line in ``waiting``.
        waiting: lines that were read and not yet taken.
    """

    def __init__(self, source: ByteSource, translate: Callable[[str], str] | None = None) -> None:
        self.name = source.name
        self.number = 1
        self.waiting: list[str] = []
        self._source = source
        self._translate = translate
        self._rest: list[bytes] = []  # pieces of a line whose end has not come yet
        self._rest_size = 0
        self._bytes_read = 0
        self._started = self._ended = False

    def more(self) -> bool:
        """Read once and append the lines that this completes; False at the end.

        Raises:
            InputError: If the bytes are not text.
        """
        if self._ended:
            return False
        data = self._source.read()
        if not data:
            self._ended = True
            last = self._joined()
            self._append(last)
            return bool(last)
        refuse_binary(data, self.name)
        self._bytes_read += len(data)
        cut = _after_last_line(data)
        if cut:
            self._append(self._joined() + data[:cut])
        self._rest.append(data[cut:])
        self._rest_size += len(data) - cut
        if self._rest_size > LONGEST_LINE:
            raise InputError(
                f"{self.name}: line {self.number + len(self.waiting)} is longer than "
                f"{LONGEST_LINE >> 20} MiB; expected a text file with one time step a line"
            )
        return True

    def fill(self, count: int) -> None:
        """Read until ``count`` lines wait; of a live source, no more than has arrived."""
        most = self._bytes_read + BLOCK_BYTES
        while len(self.waiting) < count:
            enough = self._source.live or self._bytes_read > most
            if (enough and self.waiting) or not self.more():
                return

    def take(self, count: int) -> tuple[int, list[str]]:
        """The number of the first waiting line, and at most ``count`` lines."""
        number, lines = self.number, self.waiting[:count]
        del self.waiting[:count]
        self.number += len(lines)
        return number, lines

    def find(self, start: int) -> int | None:
        """Position in ``waiting``, from ``start`` on, of a line that is no comment and not blank.

        Waits for such a line to arrive; None if the source ends before it.
        """
        while True:
            while start < len(self.waiting):
                if is_content(self.waiting[start]):
                    return start
                start += 1
            if not self.more():
                return None

    def _append(self, data: bytes) -> None:
        if not data:
            return
        text = _decode(data)
        if not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if self._translate:
            text = self._translate(text)
        self.waiting += text.removesuffix("\n").split("\n")

    def _joined(self) -> bytes:
        joined = b"".join(self._rest)
        self._rest, self._rest_size = [], 0
        return joined


def is_content(line: str) -> bool:
    """Whether a line holds data: it is neither blank nor a ``#`` comment."""
    stripped = line.lstrip()
    return bool(stripped) and not stripped.startswith("#")


def _after_last_line(data: bytes) -> int:
    """Index after the last line end in ``data``, 0 without one.

    A CR at the very end is left out, because the LF that belongs to it may follow.
    """
    cut = data.rfind(b"\n") + 1
    return cut or data.rfind(b"\r", 0, len(data) - 1) + 1


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
