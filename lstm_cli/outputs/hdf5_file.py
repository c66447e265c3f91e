"""The file under an HDF5 file, whose troubles HDF5 never learns of."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any


class QuietFile(io.RawIOBase):
    """Keeps the first failure to write to itself, and from then on only pretends to write.

    The HDF5 library can crash the process when its file cannot be flushed, as on a full disk
    (``H5Fclose`` after a failed write). So it is told that all went well, and whoever uses it
    asks ``check`` afterwards.

    Args:
        path: of an existing file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("r+b", buffering=0)
        self._failure: OSError | None = None

    def check(self) -> None:
        """Raise what went wrong.

        Raises:
            OSError: if anything could not be written.
        """
        if self._failure is not None:
            raise self._failure

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Read; what was only pretended to be written reads as zeros."""
        view = memoryview(buffer)
        count = self._file.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        return len(view)

    def write(self, data: Any) -> int:
        view = memoryview(data)
        done = 0
        try:
            while done < len(view) and self._failure is None:
                done += self._file.write(view[done:]) or 0
        except OSError as error:
            self._failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._failure = self._failure or error
            return size or 0

    def close(self) -> None:
        self._file.close()
        super().close()
