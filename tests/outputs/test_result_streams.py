"""Results written block by block are the same as results written at once."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lstm_cli.errors import OutputError, UsageError
from lstm_cli.outputs.files import write
from lstm_cli.outputs.results import Layout, Results, step_names
from lstm_cli.outputs.streaming import open_file, open_pipe

CUTS = [(0, 4), (4, 5), (5, 5), (5, 11)]
"""Blocks of unequal length, an empty one among them."""

META = {"layer": "lstm"}


def arrays(sequences: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    h = rng.normal(size=(sequences, 11, 3)).astype(np.float32)
    i = rng.normal(size=(sequences, 11, 3)).astype(np.float32)
    i[:, 2] = np.nan
    return {"h": h, "forward/i": i, "mask": ~np.isnan(i[:, :, 0])}


def blocks(whole: dict[str, Any], batched: bool) -> list[dict[str, Any]]:
    cut = [{name: a[:, start:end] for name, a in whole.items()} for start, end in CUTS]
    return cut if batched else [{name: a[0] for name, a in block.items()} for block in cut]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("sequences", [1, 3])
def test_text_is_the_same_to_the_byte(tmp_path: Path, form: str, sequences: int) -> None:
    whole = arrays(sequences)
    layout = Layout(first_step=100, units={"h": [2, 5, 9]})
    write(tmp_path / f"whole.{form}", Results(whole, META, step_names(whole), layout))

    with open_file(tmp_path / f"blocks.{form}", META, layout) as writer:
        for block in blocks(whole, True):
            writer.append(block)
        writer.close({"final_h": whole["h"][:, -1]})

    expected = (tmp_path / f"whole.{form}").read_bytes()
    assert (tmp_path / f"blocks.{form}").read_bytes() == expected
    assert expected.count(b"\n") == sequences * 11 + (form == "csv")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_text_ends_where_sequences_end(tmp_path: Path, form: str) -> None:
    whole = arrays(3)
    layout = Layout(lengths=np.array([11, 3, 5]))
    write(tmp_path / f"whole.{form}", Results(whole, META, step_names(whole), layout))
    with open_file(tmp_path / f"blocks.{form}", META, layout) as writer:
        for block in blocks(whole, True):
            writer.append(block)
    expected = (tmp_path / f"whole.{form}").read_bytes()
    assert (tmp_path / f"blocks.{form}").read_bytes() == expected
    assert expected.count(b"\n") == 11 + 3 + 5 + (form == "csv")


@pytest.mark.parametrize(("sequences", "batched"), [(1, False), (1, True), (3, True)])
def test_npy(tmp_path: Path, sequences: int, batched: bool) -> None:
    whole = {"h": arrays(sequences)["h"]}
    with open_file(tmp_path / "out.npy", META, Layout(batched=batched)) as writer:
        for block in blocks(whole, batched):
            writer.append(block)
    expected = whole["h"] if batched else whole["h"][0]
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected, strict=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "out.npy"]


@pytest.mark.parametrize(("sequences", "batched"), [(1, False), (1, True), (3, True)])
@pytest.mark.parametrize("form", ["npz", "h5"])
def test_archives(tmp_path: Path, form: str, sequences: int, batched: bool) -> None:
    whole = arrays(sequences)
    final = {"final_h": whole["h"][:, -1], "lengths": np.full(sequences, 11)}
    with open_file(tmp_path / f"out.{form}", META, Layout(batched=batched)) as writer:
        for block in blocks(whole, batched):
            writer.append(block)
        writer.close(final)

    expected = {name: a if batched else a[0] for name, a in whole.items()} | final
    with (np.load if form == "npz" else h5py.File)(tmp_path / f"out.{form}") as file:
        for name, array in expected.items():
            np.testing.assert_array_equal(file[name][()], array, strict=True)
        meta = file["meta"][()]
        assert json.loads(meta if isinstance(meta, bytes) else str(meta)) == META


def test_blocks_may_be_overwritten_by_their_owner(tmp_path: Path) -> None:
    buffer = np.zeros((1, 2, 1), np.float32)
    with open_file(tmp_path / "out.npz", META, Layout()) as writer:
        for k in range(3):
            buffer[:] = k
            writer.append({"h": buffer})
    found = np.load(tmp_path / "out.npz")["h"].ravel()
    np.testing.assert_array_equal(found, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0])


def test_npz_beyond_its_limit_says_what_to_use(tmp_path: Path) -> None:
    block = {"h": np.zeros((1, 256, 32), np.float32)}  # 32 KiB
    with open_file(tmp_path / "out.npz", META, Layout(), npz_limit=100_000) as writer:
        for _ in range(3):
            writer.append(block)
    with np.load(tmp_path / "out.npz") as found:
        assert found["h"].shape == (1, 768, 32)
    with (
        pytest.raises(OutputError, match=r"write \.h5"),
        open_file(tmp_path / "out.npz", META, Layout(), npz_limit=30_000) as writer,
    ):
        writer.append(block)
    assert list(tmp_path.iterdir()) == [tmp_path / "out.npz"]


def test_npy_of_several_arrays_says_what_to_choose(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="--tensors, of h, forward/i, mask"),
        open_file(tmp_path / "out.npy", META, Layout()) as writer,
    ):
        writer.append(arrays(1))
    assert list(tmp_path.iterdir()) == []


def test_npy_of_no_steps_at_all(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="no steps"),
        open_file(tmp_path / "out.npy", META, Layout()) as writer,
    ):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_h5_is_chunked_by_blocks(tmp_path: Path) -> None:
    with open_file(tmp_path / "out.h5", META, Layout()) as writer:
        for _ in range(3):
            writer.append({"h": np.zeros((2, 1000, 4), np.float32)})
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["h"].shape == (2, 3000, 4)
        assert file["h"].chunks == (1, 1000, 4)


class Screen(io.BytesIO):
    """What a reader has seen after each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    def flush(self) -> None:
        self.seen.append(self.getvalue())


def test_pipe_is_readable_after_every_block() -> None:
    h = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    screen = Screen()
    with open_pipe(screen, "csv", Layout()) as writer:
        writer.append({"h": h[:, :1]})
        assert screen.seen[-1] == b"sequence,step,h[0]\n0,0,0\n1,0,4\n"
        writer.append({"h": h[:, 1:3]})
        assert screen.seen[-1].endswith(b"0,1,1\n0,2,2\n1,1,5\n1,2,6\n")
        writer.append({"h": h[:, 3:]})
    assert screen.seen[-1].endswith(b"0,3,3\n1,3,7\n")


def test_pipe_takes_text_only() -> None:
    with pytest.raises(UsageError, match=r"'npy'.*csv, jsonl"):
        open_pipe(io.BytesIO(), "npy", Layout())


def test_pipe_of_one_sequence() -> None:
    screen = Screen()
    with open_pipe(screen, "jsonl", Layout(batched=False)) as writer:
        for step in range(2):
            writer.append({"h": np.full((1, 1), step, np.float32)})
    assert screen.getvalue().splitlines() == [
        b'{"sequence":0,"step":0,"h":[0]}',
        b'{"sequence":0,"step":1,"h":[1]}',
    ]
