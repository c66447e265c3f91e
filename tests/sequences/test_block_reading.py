"""Long sequences in blocks: together they are the whole, whatever the layout."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_cli.errors import InputError, UsageError
from lstm_cli.sequences import open_blocks


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    np.savetxt(path, np.arange(60).reshape(20, 3), delimiter=",", header="a,b,c")
    return path


@pytest.mark.parametrize("rows", [1, 7, 20, 8192])
def test_text_in_blocks(rows: int, table: Path) -> None:
    with open_blocks(table, rows) as source:
        assert (source.shape, source.total, source.live) == ((None, 3), None, False)
        assert source.columns == ("a", "b", "c")
        blocks = list(source)
    assert [len(block) for block in blocks[:-1]] == [rows] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks), np.arange(60).reshape(20, 3))
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}


def test_text_blocks_have_the_rows_asked_for_across_reads(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("x,y\n" + "".join(f"{k},{-k}\n" for k in range(300_000)))  # several MiB
    with open_blocks(path, 4096, columns=["y", "x"], dtype=np.float64) as source:
        blocks = list(source)
    assert {len(block) for block in blocks[:-1]} == {4096}
    k = np.arange(300_000)
    np.testing.assert_array_equal(np.concatenate(blocks), np.stack([-k, k], axis=1))


def test_long_lines_make_short_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_cli.sequences.lines.BLOCK_BYTES", 1 << 20)
    path = tmp_path / "wide.csv"
    table = np.arange(60 * 20_000).reshape(60, 20_000)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in table.tolist()))
    with open_blocks(path, dtype=np.float64) as source:
        blocks = list(source)
    assert max(block.nbytes for block in blocks) < table.astype(float).nbytes / 2
    np.testing.assert_array_equal(np.concatenate(blocks), table)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(11,), (11, 3), (1, 11, 3), (4, 11, 3)])
@pytest.mark.parametrize("rows", [1, 4, 11, 100])
def test_npy_along_every_axis(
    order: Any, shape: tuple[int, ...], rows: int, tmp_path: Path
) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(">f4")
    path = tmp_path / "x.npy"
    np.save(path, np.asarray(array, order=order))
    default = {1: 0, 2: 0, 3: 1}[len(shape)]

    for as_stream, axis in itertools.product((False, True), (None, *range(len(shape)))):
        source = io.BytesIO(path.read_bytes()) if as_stream else path
        with open_blocks(source, rows) as opened:
            assert (opened.shape, opened.time_axis, opened.total) == (shape, default, 11)
            blocks = list(opened.blocks(axis))
        axis = default if axis is None else axis
        assert max(block.shape[axis] for block in blocks) == min(rows, shape[axis])
        np.testing.assert_array_equal(np.concatenate(blocks, axis), array.astype("f4"), strict=True)


def test_blocks_of_large_steps_are_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_cli.sequences.npy_blocks.BLOCK_BYTES", 400 * 24)
    path = tmp_path / "x.npy"
    array = np.arange(3000.0).reshape(1000, 3)
    np.save(path, array)
    with open_blocks(path) as source:
        blocks = list(source)
    # A multiple of the engine's 256 steps that is at most 400.
    assert [len(block) for block in blocks] == [256, 256, 256, 232]
    np.testing.assert_array_equal(np.concatenate(blocks), array)


def test_dtype_is_kept_on_request(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([[2**24 + 1]]))
    with open_blocks(path, dtype=None) as source:
        np.testing.assert_array_equal(next(iter(source)), np.array([[2**24 + 1]]), strict=True)


def test_blocks_can_be_read_once(table: Path) -> None:
    with open_blocks(table) as source:
        assert len(list(source)) == 1
        with pytest.raises(UsageError, match="the blocks can be read once; open the file again"):
            list(source)


def test_axes_that_are_not_there(table: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    with open_blocks(tmp_path / "x.npy") as source, pytest.raises(UsageError, match="no axis 2"):
        source.blocks(2)
    with open_blocks(table) as source, pytest.raises(UsageError, match="along the rows, axis 0"):
        source.blocks(1)
    with pytest.raises(UsageError, match="blocks of 0 rows: expected at least 1"):
        open_blocks(table, 0)


def test_a_scalar_has_no_steps(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array(3.0))
    with pytest.raises(InputError, match=r"shape \(\).*expected at least one time step"):
        open_blocks(tmp_path / "x.npy")


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((100, 2)))
    with open_blocks(path, 10) as source:
        blocks = iter(source)
        next(blocks)
        with path.open("r+b") as file:
            file.truncate(128 + 16 * 25)
        next(blocks)
        with pytest.raises(InputError, match=r"declares 200 values .* the data ends after 50"):
            next(blocks)
