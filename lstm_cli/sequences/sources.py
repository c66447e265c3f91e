"""Where bytes come from: a file by its path, standard input, or a binary stream."""

from __future__ import annotations

import os
import select
import stat
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

from ..errors import InputError

STANDARD_INPUT = "-"
CHUNK = 1 << 20
"""Most bytes that are taken at once."""

_Closable = TypeVar("_Closable", bound="Closable")

Readable = str | os.PathLike[str] | BinaryIO
"""What the reading functions accept; ``"-"`` means standard input."""


class Closable(ABC):
    """A context manager that closes itself."""

    def __enter__(self: _Closable) -> _Closable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held open."""


class ByteSource(Closable):
    """A binary stream that hands out bytes as they arrive and can be looked at before it is read.

    Attributes:
        name: the file's path or ``standard input``, for messages.
        live: true for a pipe or terminal, whose reader must not wait for more than has arrived.
        size: bytes in a regular file, or None where the end is not known before it is reached.
    """

    def __init__(
        self,
        name: str,
        stream: Any,
        *,
        live: bool = True,
        size: int | None = None,
        owned: bool = False,
    ) -> None:
        self.name, self.live, self.size = name, live, size
        self._stream = stream
        self._owned = owned
        self._seen = b""
        # A buffered stream's `read` waits for all that was asked for; its `read1` does not.
        self._take = getattr(stream, "read1", stream.read)

    def close(self) -> None:
        """Close the stream if this object opened it."""
        if self._owned:
            self._stream.close()

    def read(self, most: int = CHUNK) -> bytes:
        """Between 1 and ``most`` bytes, as soon as there are any; none at the end."""
        if self._seen:
            taken, self._seen = self._seen[:most], self._seen[most:]
            return taken
        try:
            data = self._take(most)
            while data is None:  # a non-blocking descriptor that has nothing yet
                select.select([self._stream], [], [])
                data = self._take(most)
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read: {_reason(error)}") from error
        return bytes(data)

    def read_fully(self, count: int) -> bytes:
        """Exactly ``count`` bytes, or all that come before the end."""
        parts, missing = [], count
        while missing and (part := self.read(min(missing, CHUNK))):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def head(self, count: int) -> bytes:
        """The next ``count`` bytes, which stay to be read; fewer before the end."""
        while len(self._seen) < count:
            seen, self._seen = self._seen, b""
            more = self.read()
            self._seen = seen + more
            if not more:
                break
        return self._seen[:count]

    def seek(self, position: int) -> None:
        """Go on reading at ``position``; for regular files only."""
        self._seen = b""
        try:
            self._stream.seek(position)
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read: {_reason(error)}") from error

    def rewound(self) -> BinaryIO:
        """The stream itself, from its first byte on; for regular files only."""
        self.seek(0)
        stream: BinaryIO = self._stream
        return stream


def open_source(source: Readable | ByteSource) -> ByteSource:
    """Open a path, ``"-"`` for standard input, or a binary stream, which stays the caller's.

    Raises:
        InputError: If there is no such file, it is a directory, or it may not be read.
    """
    if isinstance(source, ByteSource):
        return source
    if isinstance(source, str | os.PathLike):
        return _standard_input() if source == STANDARD_INPUT else _open_file(Path(source))
    name = getattr(source, "name", None)  # a number where the stream was made of a descriptor
    return ByteSource(name if isinstance(name, str) else "the stream", source)


def _open_file(path: Path) -> ByteSource:
    try:
        # Unbuffered: one system call a read, and what a pipe holds comes at once.
        stream = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; expected a .csv, .npy or .npz file") from None
    except PermissionError:
        raise InputError(f"{path}: permission to read the file is denied") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened: {_reason(error)}") from error
    status = os.fstat(stream.fileno())
    regular = stat.S_ISREG(status.st_mode)
    size = status.st_size if regular else None
    return ByteSource(str(path), stream, live=not regular, size=size, owned=True)


def _standard_input() -> ByteSource:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input: it is closed; give the name of a file instead of '-'")
    stream = sys.stdin.buffer
    try:
        descriptor = stream.fileno()
    except OSError:  # a stand-in without a descriptor, such as a BytesIO
        return ByteSource("standard input", stream)
    raw = open(descriptor, "rb", buffering=0, closefd=False)
    live = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    return ByteSource("standard input", raw, live=live)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
