"""The command as a process: pipes, signals, full disks and terminals."""

from __future__ import annotations

import os
import pty
import re
import resource
import select
import shlex
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest
from cli_runs import SAMPLES, Cli, Ran, command, environment, finish, load_npz, start

from lstm_cli.cli.app import run_app

MODEL, INPUT = SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv"
FORECASTER = SAMPLES / "forecaster.keras"


@pytest.fixture(scope="module")
def long_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough steps for a run to be met in the middle."""
    path = tmp_path_factory.mktemp("long") / "long.npy"
    np.save(path, np.random.default_rng(0).normal(size=(1_000_000, 2)).astype(np.float32))
    return path


# -- pipes


def test_each_row_comes_out_as_soon_as_it_went_in() -> None:
    """A slow producer, a line at a time; the next line is not sent before the answer is there."""
    expected = load_npz(SAMPLES / "three_steps.golden.npz")["h"][0, :, 0]
    with start("states", MODEL, "-", stdin=subprocess.PIPE) as process:
        for step, line in enumerate(INPUT.read_bytes().splitlines()[1:]):
            _send(process, (b"x\n" if not step else b"") + line + b"\n")
            if not step:
                assert _line(process) == b"step,h[0],c[0]"
            cells = _line(process).split(b",")
            assert int(cells[0]) == step
            np.testing.assert_allclose(float(cells[1]), expected[step], rtol=0, atol=1e-5)
        assert finish(process) == Ran(0, b"", "")


def test_rows_that_are_sequences_are_not_taken_for_steps() -> None:
    """Rows of ids come in one by one: each is a sequence, and none continues the one before."""
    with start("states", SAMPLES / "brackets.keras", "-", stdin=subprocess.PIPE) as process:
        _send(process, b"1,2,3\n")
        time.sleep(0.3)
        _send(process, b"1,2,3\n")
        done = finish(process)
    table = done.succeeded().table
    np.testing.assert_array_equal(table.column("sequence"), [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(table.columns("h")[:3], table.columns("h")[3:])


def _send(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin
    process.stdin.write(data)
    process.stdin.flush()


def _line(process: subprocess.Popen[bytes]) -> bytes:
    """The next line of output, which must come within seconds; read without looking ahead."""
    assert process.stdout
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], 20)
        assert ready, "nothing came out"
        byte = os.read(process.stdout.fileno(), 1)
        assert byte, "the output ended"
        line += byte
    return line.rstrip(b"\n")


def test_a_reader_that_has_enough_is_no_error(long_input: Path) -> None:
    with start("states", FORECASTER, long_input) as process:
        assert _line(process).startswith(b"step,h[0]")
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["run", MODEL, INPUT]])
def test_a_reader_that_is_gone_is_no_error(arguments: list[object]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*arguments, stdout=writing)
    os.close(writing)
    assert finish(process) == Ran(0, b"", "")


def test_two_commands_in_a_row() -> None:
    """The states of one run, as CSV, are the input of the next; a layer reads them directly."""
    options = ["--columns", "h[0]", "--layer", "lstm", "--direct", "--tensors", "h"]
    with start("states", MODEL, INPUT, "--tensors", "h") as first:
        second = finish(start("states", MODEL, "-", *options, stdin=first.stdout))

    assert (second.code, second.err) == (0, "")
    assert second.table.values.shape == (3, 2)


def test_streams_that_are_closed() -> None:
    line = shlex.join(command("states", MODEL, INPUT))
    for closed, code in (("1>&-", 0), ("2>&-", 0), ("<&-", 0), ("--layer no 2>&-", 2)):
        done = subprocess.run(
            ["sh", "-c", f"{line} {closed}"], capture_output=True, check=False, env=environment()
        )
        assert (done.returncode, done.stderr) == (code, b"")


# -- disks


def test_a_full_disk_on_standard_output() -> None:
    for arguments in (["states", MODEL, INPUT], ["inspect", MODEL]):
        with Path("/dev/full").open("wb") as full:
            done = finish(start(*arguments, stdout=full))
        assert done.code == 2
        assert re.fullmatch(r"error: standard output: .*\n", done.err), done.err


def test_a_full_disk_on_standard_error() -> None:
    with Path("/dev/full").open("wb") as full:
        done = finish(start("states", "missing.h5", INPUT, stderr=full))
    assert (done.code, done.out) == (2, b"")


@pytest.mark.parametrize("extension", ["npy", "h5"])
def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path, extension: str) -> None:
    target = tmp_path / f"old.{extension}"
    target.write_bytes(b"old")
    tensors = ["--tensors", "h"] if extension == "npy" else []

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    data = SAMPLES / "forecaster.csv"
    process = start("states", FORECASTER, data, *tensors, "-o", target, preexec_fn=small_disk)

    assert finish(process).refusal() == f"{target}: could not be written: File too large"
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


# -- signals


@pytest.mark.parametrize(
    ("number", "extension"),
    [(signal.SIGINT, "h5"), (signal.SIGTERM, "csv"), (signal.SIGHUP, "npy")],
)
def test_an_interrupted_run_leaves_the_old_file_and_no_litter(
    tmp_path: Path, long_input: Path, number: signal.Signals, extension: str
) -> None:
    target = tmp_path / f"old.{extension}"
    target.write_bytes(b"old")
    tensors = ["--tensors", "h"] if extension == "npy" else []
    process = start("states", FORECASTER, long_input, *tensors, "-o", target)
    _until(lambda: len(list(tmp_path.iterdir())) > 1, process)

    process.send_signal(number)

    assert finish(process) == Ran(130, b"", "")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def _until(happened: object, process: subprocess.Popen[bytes]) -> None:
    """Wait for something while the process runs."""
    assert callable(happened)
    for _ in range(2000):
        if happened():
            return
        assert process.poll() is None, "the run ended before it could be interrupted"
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def test_an_interrupt_while_it_waits_for_input() -> None:
    with start("states", MODEL, "-", stdin=subprocess.PIPE) as process:
        _send(process, b"x\n0.1\n")
        assert _line(process) == b"step,h[0],c[0]"
        assert _line(process).startswith(b"0,")

        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=30) == 130  # although its input is still open
        assert finish(process) == Ran(130, b"", "")


# -- terminals


def test_a_table_on_a_terminal_of_its_own() -> None:
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    unset = ("COLUMNS", "LINES")
    settings = {name: v for name, v in environment(TERM="xterm").items() if name not in unset}
    process = subprocess.Popen(
        command("states", MODEL, INPUT),
        env=settings,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    text = read_terminal(leader)

    assert process.wait(timeout=30) == 0
    assert ESCAPE.sub("", text) == TABLE


def read_terminal(leader: int) -> str:
    """Everything that is written to a pseudo-terminal until its other end is closed."""
    chunks = []
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:  # the way in which Linux says that the other end is closed
            data = b""
        if not data:
            break
        chunks.append(data)
    os.close(leader)
    return b"".join(chunks).decode().replace("\r\n", "\n")


ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

TABLE = """\
     │ h ──── │ c ────
step │    [0] │    [0]
   0 │ 0.1591 │ 0.1792
   1 │ 0.2524 │ 0.2904
   2 │ 0.3636 │ 0.4318
"""


@pytest.fixture
def screen(lstm: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command line in this process, its output a pseudo-terminal of some width."""

    def show(*arguments: object, columns: int = 80, **settings: str) -> str:
        monkeypatch.delenv("NO_COLOR", raising=False)
        size = {"COLUMNS": str(columns), "LINES": "40"}
        for name, value in {"TERM": "xterm-256color", **size, **settings}.items():
            monkeypatch.setenv(name, value)
        leader, follower = pty.openpty()
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.append(read_terminal(leader)))
        reader.start()
        with os.fdopen(follower, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stream)
            code = run_app([str(argument) for argument in arguments])
        reader.join(timeout=30)
        assert code == 0, found
        return found[0]

    return show


@pytest.mark.parametrize("columns", [80, 200])
def test_a_heat_map_fits_the_terminal_and_is_in_colour(
    screen: Callable[..., str], columns: int
) -> None:
    data = SAMPLES / "forecaster.csv"
    text = screen("states", FORECASTER, data, "--heatmap", columns=columns)

    lines = ESCAPE.sub("", text).splitlines()
    assert ESCAPE.search(text)
    assert "▀" in text
    assert 0.9 * columns < max(map(len, lines)) <= columns
    assert len(lines) < 40


@pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour_a_heat_map_is_of_letters(
    screen: Callable[..., str], settings: dict[str, str]
) -> None:
    text = screen("states", FORECASTER, SAMPLES / "forecaster.csv", "--heatmap", **settings)

    coloured = [code for code in ESCAPE.findall(text) if re.search(r"[34]8;|\[[34][0-7]m", code)]
    assert coloured == []
    assert "▀" not in text
    assert re.search(r"^h  hidden state +-0\.\d+ Oo-\.\+xX 0\.\d+$", ESCAPE.sub("", text), re.M)


def test_several_results_have_headings_on_a_terminal(screen: Callable[..., str]) -> None:
    Path("other.csv").write_bytes(INPUT.read_bytes())
    text = ESCAPE.sub("", screen("states", MODEL, INPUT, "other.csv", columns=200))

    assert text == f"{INPUT}\n{TABLE}other.csv\n{TABLE}"


def test_chunks_on_a_terminal_keep_counting(screen: Callable[..., str]) -> None:
    Path("other.csv").write_bytes(INPUT.read_bytes())
    chunks = [INPUT, "other.csv", "--stateful", "--steps", "3:5"]
    text = ESCAPE.sub("", screen("states", MODEL, *chunks, columns=200))

    assert text.splitlines()[0] == "other.csv"
    assert [line.split("│")[0].strip() for line in text.splitlines()[3:]] == ["3", "4"]


def test_what_is_masked_is_blank_on_a_terminal(screen: Callable[..., str]) -> None:
    data = SAMPLES / "bidirectional.csv"
    model = SAMPLES / "bidirectional.keras"
    text = ESCAPE.sub("", screen("gates", model, data, "-l", "bottom", "--tensors", "f,mask"))

    masked = [line for line in text.splitlines() if re.match(r" +[6-9] +m │", line)]
    assert len(masked) == 4
    assert not any(re.search(r"\d", line.partition("│")[2]) for line in masked)


def test_what_a_layer_returns_on_a_terminal(screen: Callable[..., str]) -> None:
    options = ["--layer", "lstm", "--return-sequences", "--return-state"]
    text = ESCAPE.sub("", screen("run", MODEL, INPUT, *options))

    headings = [line for line in text.splitlines() if "float32" in line]
    assert [line.split()[0] for line in headings] == ["output", "state_h", "state_c"]
    assert "0.3636" in text


def test_pages_of_a_model_on_a_terminal(screen: Callable[..., str]) -> None:
    model = SAMPLES / "bidirectional.keras"
    facts = ESCAPE.sub("", screen("inspect", model))
    weights = ESCAPE.sub("", screen("weights", model, "--layer", "middle"))

    for text in (facts, weights):
        assert all(len(line) <= 80 for line in text.splitlines() if str(model) not in line)
    assert "Bidirectional(LSTM)" in facts
    assert "middle/backward/recurrent_kernel" in weights
