"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class PendingFile:
    """A file under a temporary name in its target's folder, until it is complete.

    Nothing exists until ``create``. Then either ``commit`` puts it in the target's place, or
    ``discard`` removes it, and the target stays what it was.

    Raises:
        OutputError: if nothing can be written there, before any work is done for it.
    """

    def __init__(self, target: Path) -> None:
        check_target(target)
        self.target = target
        self._place = Path(os.path.realpath(target))  # a link stays, what it points to is replaced
        self.path = self._place.with_name(f".lstm-{os.urandom(8).hex()}.tmp")

    def create(self) -> Path:
        """Make the temporary file, empty, with the permissions that the target will have."""
        with write_errors(self.target):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            if self._place.exists():
                self.path.chmod(stat.S_IMODE(self._place.stat().st_mode))
        return self.path

    def commit(self) -> None:
        """Put the file in the target's place."""
        with write_errors(self.target):
            self.path.replace(self._place)

    def discard(self) -> None:
        """Remove the temporary file, if it is still there."""
        self.path.unlink(missing_ok=True)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """The path to write to instead of ``target``, which is replaced if the body succeeds."""
    pending = PendingFile(target)
    try:
        yield pending.create()
        pending.commit()
    finally:
        pending.discard()


def check_target(target: Path) -> None:
    """See that a file could be written at ``target``.

    Raises:
        OutputError: if it is a folder, a device, or write-protected, or if its folder is not
            there or cannot be written to.
    """
    folder = Path(os.path.realpath(target)).parent
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; give the name of a file in it")
    if target.exists() and not target.is_file():
        raise OutputError(f"{target}: is not a regular file, so it cannot be replaced; use '-o -'")
    if not folder.is_dir():
        raise OutputError(f"{target}: there is no folder '{folder}'; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: the folder '{folder}' cannot be written to; choose another")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"{target}: is write-protected; choose another name or allow writing")


def refuse_overwrite(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse to write a result onto a file that is read.

    Raises:
        UsageError: if ``out`` is one of ``inputs``, under whatever name.
    """
    for path in inputs:
        if out.exists() and path.exists() and out.samefile(path):
            raise UsageError(
                f"{out}: is also read as '{path}', and would be lost; choose another name with -o"
            )


@contextmanager
def write_errors(target: object) -> Iterator[None]:
    """Turn the system's refusal to write into one sentence; a closed pipe stays what it is.

    Raises:
        OutputError: instead of any other OSError.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            reason = "the disk is full; make room, or choose another place with -o"
        elif error.errno in _FORBIDDEN:
            reason = "writing is not allowed there; choose another place with -o"
        else:
            reason = f"could not be written: {error.strerror or error}"
        raise OutputError(f"{target}: {reason}") from error
