"""Pipes: what has arrived is handed out at once, and nothing is believed before it has arrived."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_cli.errors import InputError
from lstm_cli.sequences import open_blocks, read_input

PATIENCE = 20.0  # seconds; only a test that fails waits that long


class SlowProducer:
    """Writes a piece, and the next one only when the reader has said that it has the rows of it.

    A reader that waits for more than it needs therefore never gets it, and the test fails.
    """

    def __init__(self, pieces: list[bytes]) -> None:
        self.reading, self._writing = os.pipe()
        self.received = threading.Semaphore(0)
        self.gave_up = False
        self._pieces = pieces
        self._thread = threading.Thread(target=self._produce)
        self._thread.start()

    def _produce(self) -> None:
        with os.fdopen(self._writing, "wb", buffering=0) as pipe:
            pipe.write(self._pieces[0])
            for piece in self._pieces[1:]:
                if not self.received.acquire(timeout=PATIENCE):
                    self.gave_up = True
                    return
                pipe.write(piece)

    def join(self) -> None:
        self._thread.join(PATIENCE)


@pytest.fixture
def produce() -> Iterator[Callable[[list[bytes]], SlowProducer]]:
    producers: list[SlowProducer] = []

    def start(pieces: list[bytes]) -> SlowProducer:
        producers.append(SlowProducer(pieces))
        return producers[-1]

    yield start
    for producer in producers:
        producer.received.release(100)
        producer.join()


def received(source: Any, producer: SlowProducer) -> list[Any]:
    """The blocks as lists, each acknowledged to the producer when it is here."""
    blocks = []
    with open_blocks(source) as opened:
        assert opened.live
        for block in opened:
            blocks.append(block.tolist())
            producer.received.release()
    assert not producer.gave_up
    return blocks


def test_rows_of_text_come_one_by_one(produce: Callable[[list[bytes]], SlowProducer]) -> None:
    producer = produce([b"1,2\n", b"3,4\n", b"5,6\n7,8\n", b"9,10"])
    with os.fdopen(producer.reading, "rb", buffering=0) as pipe:
        blocks = received(pipe, producer)
    assert blocks == [[[1, 2]], [[3, 4]], [[5, 6], [7, 8]], [[9, 10]]]


def test_rows_below_a_header_come_one_by_one(
    produce: Callable[[list[bytes]], SlowProducer],
) -> None:
    producer = produce([b"# note\na;b\r\n1,5;2\r\n", b"3;4\r\n", b"5;6\r\n"])
    with os.fdopen(producer.reading, "rb", buffering=0) as pipe:
        blocks = received(pipe, producer)
    assert blocks == [[[1.5, 2]], [[3, 4]], [[5, 6]]]


def test_standard_input_and_half_lines(
    produce: Callable[[list[bytes]], SlowProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = produce([b"1 2\n3", b" 4\n5 6\n", b"7 8\n"])
    with os.fdopen(producer.reading) as text:
        monkeypatch.setattr(sys, "stdin", text)
        blocks = received("-", producer)
    assert blocks == [[[1, 2]], [[3, 4], [5, 6]], [[7, 8]]]


def test_a_named_pipe(produce: Callable[[list[bytes]], SlowProducer]) -> None:
    producer = produce([b"1\n", b"2\n"])
    path = Path(f"/proc/self/fd/{producer.reading}")
    if not path.exists():
        os.close(producer.reading)
        pytest.skip("needs /proc")
    try:
        assert received(path, producer) == [[[1]], [[2]]]
    finally:
        os.close(producer.reading)


@pytest.mark.parametrize("lead", [(), (1,)], ids=["(T, F)", "(1, T, F)"])
def test_steps_of_an_array_come_one_by_one(
    lead: tuple[int, ...], produce: Callable[[list[bytes]], SlowProducer]
) -> None:
    stream = io.BytesIO()
    np.save(stream, np.arange(8.0).reshape(*lead, 4, 2))
    content = stream.getvalue()
    start = len(content) - 64
    # The header and step 0, then steps 1 and 2, then step 3.
    pieces = [content[: start + 16], content[start + 16 : start + 48], content[start + 48 :]]
    producer = produce(pieces)
    with os.fdopen(producer.reading, "rb", buffering=0) as pipe:
        blocks = received(pipe, producer)
    whole = np.arange(8).reshape(*lead, 4, 2)
    expected = [whole[..., :1, :], whole[..., 1:3, :], whole[..., 3:, :]]
    assert blocks == [block.tolist() for block in expected]


def test_half_a_step_waits_for_the_other_half(
    produce: Callable[[list[bytes]], SlowProducer],
) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([[1.0, 2.0], [3.0, 4.0]]))
    content = stream.getvalue()
    producer = produce([content[:-8], content[-8:]])
    with os.fdopen(producer.reading, "rb", buffering=0) as pipe:
        blocks = received(pipe, producer)
    assert blocks == [[[1, 2]], [[3, 4]]]


def test_a_non_blocking_pipe_is_waited_for(
    produce: Callable[[list[bytes]], SlowProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = produce([b"1\n", b"2\n"])
    os.set_blocking(producer.reading, False)
    with os.fdopen(producer.reading) as text:
        monkeypatch.setattr(sys, "stdin", text)
        assert received("-", producer) == [[[1]], [[2]]]


@pytest.mark.parametrize("kind", ["text", "npy"])
def test_a_redirected_file_is_read_in_full_blocks(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = np.arange(60_000.0).reshape(20_000, 3)
    path = tmp_path / "x"
    if kind == "text":
        np.savetxt(path, table, fmt="%d", delimiter=",")
    else:
        with path.open("wb") as file:
            np.save(file, table)
    with path.open() as text:
        monkeypatch.setattr(sys, "stdin", text)
        with open_blocks("-", 8192) as source:
            assert (source.live, source.name) == (False, "standard input")
            blocks = list(source)
    assert [len(block) for block in blocks] == [8192, 8192, 3616]
    np.testing.assert_array_equal(np.concatenate(blocks), table)


def test_standard_input_without_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n")))
    found = read_input("-")
    np.testing.assert_array_equal(found.array, [[1, 2]])
    assert (found.name, found.columns) == ("standard input", ("a", "b"))


def test_errors_name_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(InputError, match=r"^standard input: the file holds nothing"):
        read_input("-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1,2\n3,x\n")))
    with pytest.raises(InputError, match=r"^standard input: row 2 \(line 2\), column 1: found 'x'"):
        read_input("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match=r"^standard input: it is closed; give the name of a file"):
        read_input("-")


def test_rows_before_an_error_are_handed_out(
    produce: Callable[[list[bytes]], SlowProducer],
) -> None:
    producer = produce([b"1,2\n", b"oops,4\n"])
    with os.fdopen(producer.reading, "rb", buffering=0) as pipe, open_blocks(pipe) as source:
        blocks = iter(source)
        np.testing.assert_array_equal(next(blocks), [[1, 2]])
        producer.received.release()
        with pytest.raises(InputError, match=r"row 2 \(line 2\), column 0: found 'oops'"):
            next(blocks)
