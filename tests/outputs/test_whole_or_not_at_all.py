"""A file appears whole or not at all: the old one stays, and nothing is left lying about."""

from __future__ import annotations

import io
import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_cli.errors import OutputError, UsageError
from lstm_cli.outputs import files
from lstm_cli.outputs.files import FILE_FORMATS, write, write_stream
from lstm_cli.outputs.hdf5_file import QuietFile
from lstm_cli.outputs.pending import refuse_overwrite
from lstm_cli.outputs.results import Layout, Results
from lstm_cli.outputs.streaming import StreamWriter, open_file

LARGE = np.zeros((1, 20_000, 32), np.float32)
OLD = b"what was there before"


def results(array: Any = LARGE) -> Results:
    return Results({"h": array}, {}, frozenset({"h"}))


def stream(target: Path, array: Any, error: type[BaseException] | None = None) -> None:
    """Write ``array`` block by block, and raise ``error`` before the end."""
    with open_file(target, {}, Layout()) as writer:
        for start in range(0, array.shape[1], 1000):
            writer.append({"h": array[:, start : start + 1000]})
        if error:
            raise error


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond ``size`` bytes: a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("form", FILE_FORMATS)
def test_existing_file_is_replaced(tmp_path: Path, form: str) -> None:
    target = tmp_path / f"out.{form}"
    target.write_bytes(OLD)
    write(target, results(LARGE[:, :3]))
    assert target.read_bytes() != OLD
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("form", FILE_FORMATS)
def test_failed_write_leaves_the_old_file(tmp_path: Path, form: str) -> None:
    target = tmp_path / f"out.{form}"
    target.write_bytes(OLD)
    with at_most(100_000), pytest.raises(OutputError, match=f"out.{form}: could not be written"):
        write(target, results())
    assert target.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("form", ["npy", "csv", "jsonl", "h5"])
def test_failed_stream_leaves_the_old_file(tmp_path: Path, form: str) -> None:
    target = tmp_path / f"out.{form}"
    target.write_bytes(OLD)
    with at_most(100_000), pytest.raises(OutputError, match=f"out.{form}: could not be written"):
        stream(target, LARGE)
    assert target.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_failure_at_the_very_end(tmp_path: Path, form: str) -> None:
    """The steps find room, and what is written last does not."""
    target = tmp_path / f"out.{form}"
    target.write_bytes(OLD)
    writer = open_file(target, {}, Layout())
    with at_most(100_000), pytest.raises(OutputError, match="could not be written"), writer:
        finish_large(writer)
    assert target.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [target]


def finish_large(writer: StreamWriter) -> None:
    writer.append({"h": LARGE[:, :10]})
    writer.close({"final_h": LARGE})


def test_pieces_that_wait_may_find_no_room_either(tmp_path: Path) -> None:
    """All sequences but the first wait in a file of their own."""
    with at_most(100_000), pytest.raises(OutputError, match="could not be written"):
        stream(tmp_path / "out.npy", np.zeros((50, 1000, 1), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_hdf5_never_hears_of_a_full_disk(tmp_path: Path) -> None:
    """Its library crashes when it cannot flush, so its file keeps the failure to itself."""
    path = tmp_path / "file"
    path.touch()
    with QuietFile(path) as quiet, at_most(1000):
        assert quiet.write(bytes(600)) == 600
        quiet.check()
        assert quiet.write(b"x" * 600) == 600
        with pytest.raises(OSError, match="too large"):
            quiet.check()
        assert (quiet.readable(), quiet.writable(), quiet.seekable()) == (True, True, True)
        quiet.seek(590)
        buffer = bytearray(b"?" * 500)
        assert quiet.readinto(buffer) == 500
    assert bytes(buffer) == bytes(10) + b"x" * 400 + bytes(90)


@pytest.mark.parametrize("form", FILE_FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_interrupted_stream_leaves_the_old_file(
    tmp_path: Path, form: str, error: type[BaseException]
) -> None:
    target = tmp_path / f"out.{form}"
    target.write_bytes(OLD)
    with pytest.raises(error):
        stream(target, LARGE[:, :1500], error)
    assert target.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [target]


def test_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(form: str, *rest: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out.npy", results())
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_body_stay_what_they_are(tmp_path: Path) -> None:
    """A file that cannot be read is no reason to blame the one that is written."""
    with pytest.raises(FileNotFoundError), open_file(tmp_path / "a.csv", {}, Layout()):
        (tmp_path / "input.csv").read_text()


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no folder '.*nowhere'; make it first"):
        write(tmp_path / "nowhere" / "out.npz", results())


def test_target_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out.npz").mkdir()
    with pytest.raises(OutputError, match=r"out.npz: is a folder"):
        write(tmp_path / "out.npz", results())


def test_target_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.npz")
    with pytest.raises(OutputError, match="not a regular file"):
        write(tmp_path / "out.npz", results())


@pytest.mark.parametrize("what", ["folder", "file"])
def test_forbidden_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The superuser may write anywhere, so the answer of ``os.access`` is played here."""
    target = tmp_path / "out.npz"
    target.write_bytes(OLD)
    forbidden = tmp_path if what == "folder" else target
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != forbidden)
    message = "cannot be written to" if what == "folder" else "is write-protected"
    with pytest.raises(OutputError, match=message):
        write(target, results())
    assert target.read_bytes() == OLD


def test_trouble_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        open_file(tmp_path / "nowhere" / "out.npy", {}, Layout())
    with pytest.raises(UsageError, match="extension"):
        open_file(tmp_path / "out.txt", {}, Layout())


def test_full_disk_in_one_sentence() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        with pytest.raises(OutputError, match=r"^standard output: the disk is full"):
            write_stream(full, "csv", results())


def test_closed_pipe_stays_a_closed_pipe() -> None:
    class Closed(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        write_stream(Closed(), "csv", results())  # type: ignore[arg-type]


def test_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real.npy"
    real.write_bytes(OLD)
    link = tmp_path / "out.npy"
    link.symlink_to(real)
    write(link, results(np.arange(3.0)))
    assert link.is_symlink()
    np.testing.assert_array_equal(np.load(real), [0.0, 1.0, 2.0])
    assert sorted(tmp_path.iterdir()) == [tmp_path / "elsewhere", link]


def test_permissions_stay(tmp_path: Path) -> None:
    target = tmp_path / "out.npy"
    target.write_bytes(OLD)
    target.chmod(0o640)
    write(target, results())
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_new_file_has_the_users_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "out.npy", results())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.npy").stat().st_mode) == 0o640


@pytest.mark.parametrize("how", ["same name", "hard link", "symbolic link", "roundabout"])
def test_an_input_is_never_overwritten(tmp_path: Path, how: str) -> None:
    source = tmp_path / "x.npy"
    source.write_bytes(OLD)
    out = tmp_path / "out.npy"
    if how == "hard link":
        out.hardlink_to(source)
    elif how == "symbolic link":
        out.symlink_to(source)
    else:
        out = source if how == "same name" else tmp_path / ".." / tmp_path.name / "x.npy"
    with pytest.raises(UsageError, match="would be lost"):
        refuse_overwrite(out, [tmp_path / "model.h5", source])


def test_other_files_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(OLD)
    (tmp_path / "old.npy").write_bytes(OLD)
    for name in ("old.npy", "new.npy"):
        refuse_overwrite(tmp_path / name, [tmp_path / "x.npy", Path("-")])
