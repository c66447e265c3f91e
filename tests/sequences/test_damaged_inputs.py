"""Hundreds of files with random damage: an array or one sentence, in little memory."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_cli.errors import InputError, NoSuchNameError, UsageError
from lstm_cli.sequences import (
    open_blocks,
    read_arrays,
    read_input,
    read_labels,
    read_lengths,
    read_mask,
)

TABLE = np.random.default_rng(0).standard_normal((20, 3))
PIECES = [b"\n", b",", b'"', b"9" * 20, b"\r", b"\xff", b"e", b"#", b"nan", b" ", b"-", b".", b"("]
MOST_MEMORY = 24 << 20  # bytes; the undamaged files are smaller than 4 KiB


def written(write: Callable[..., Any], *arguments: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    write(stream, *arguments, **options)
    return stream.getvalue()


WHOLE = {
    "npy": written(np.save, TABLE),
    "npy big-endian Fortran": written(np.save, np.asfortranarray(TABLE, ">f4")),
    "npy booleans": written(np.save, TABLE.reshape(4, 5, 3) > 0),
    "npz": written(np.savez, a=TABLE, b=TABLE > 0),
    "npz compressed": written(np.savez_compressed, a=TABLE, meta=np.array("text")),
    "spaces": written(np.savetxt, TABLE),
    "commas": written(np.savetxt, TABLE, delimiter=",", header="id,b,c"),
    "decimal commas": written(np.savetxt, TABLE, delimiter=";", fmt="%.3f").replace(b".", b","),
    "quoted": b'id,a,b\r\n"1","2",3\r\n4,5,6\r\n7,"8",9\r\n',
}


def damaged(content: bytes, chance: random.Random) -> bytes:
    """``content`` with one to ten changes: bits, bytes, pieces gone, added or repeated."""
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4, 10])):
        place = chance.randrange(len(changed) + 1)
        end = place + chance.choice([1, 2, 8, 64])
        kind = chance.randrange(7)
        if kind == 0:
            changed[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1 and place < len(changed):
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del changed[place:end]
        elif kind == 3:
            changed[place:place] = chance.choice(PIECES)
        elif kind == 4:
            changed[place : place + 4] = chance.randbytes(4)
        elif kind == 5:
            changed[place : place + 8] = chance.choice([b"\xff" * 8, b"\0" * 8, b"99999999"])
        else:
            changed[place:place] = changed[place:end]
    return bytes(changed)


def in_blocks(source: Any) -> Any:
    with open_blocks(source, 7) as opened:
        return np.concatenate(list(opened), opened.time_axis)


@pytest.mark.parametrize("kind", WHOLE)
def test_random_damage(kind: str, tmp_path: Path) -> None:
    chance = random.Random(kind)
    path = tmp_path / "x"
    outcomes: list[str | None] = []
    for _ in range(70):
        content = damaged(WHOLE[kind], chance)
        path.write_bytes(content)
        readings: list[Callable[[], Any]] = [
            partial(read_input, path),
            partial(read_input, path, sequence_column="id"),
            partial(read_input, path, columns=["1"]),
            partial(in_blocks, path),
            partial(in_blocks, io.BytesIO(content)),
            partial(read_arrays, path),
            partial(read_mask, path),
            partial(read_lengths, path),
            partial(read_labels, path, "1"),
        ]
        outcomes += map(outcome, readings)
    assert None in outcomes or kind.startswith("npz")
    assert any(outcomes)


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if not kind.startswith("npz")])
def test_blocks_of_damaged_files_are_the_whole(kind: str, tmp_path: Path) -> None:
    chance = random.Random(kind)
    path = tmp_path / "x"
    read = 0
    for _ in range(60):
        content = damaged(WHOLE[kind], chance) if read else WHOLE[kind]
        path.write_bytes(content)
        if outcome(partial(read_input, path)) is None:
            read += 1
            whole = read_input(path).array
            np.testing.assert_array_equal(in_blocks(path), whole)
            np.testing.assert_array_equal(in_blocks(io.BytesIO(content)), whole)
        else:
            assert outcome(partial(in_blocks, path)) is not None
            assert outcome(partial(in_blocks, io.BytesIO(content))) is not None
    assert read


def outcome(read: Callable[[], Any]) -> str | None:
    """The message of the error, None without one; anything but our own errors is a failure."""
    message = None
    tracemalloc.start()
    try:
        read()
    except (InputError, NoSuchNameError, UsageError) as error:
        message = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert message is None or (message and "\n" not in message)
    return message
