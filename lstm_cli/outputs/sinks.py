"""What becomes of consecutive blocks of steps, one class a format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from zipfile import ZipFile

import numpy as np

from ..errors import OutputError, UsageError
from ..model import Array
from .files import several_arrays
from .npy import HEADER_BYTES, header_bytes, value_bytes, write_npy
from .results import Layout, meta_text, table_shape
from .rows import RowForm, StepRows
from .sequence_order import SequenceOrder, close_quietly


class Sink(Protocol):
    """Takes blocks, then what is known at the end, or is abandoned."""

    def append(self, block: Mapping[str, Array]) -> None:
        """Add the next steps of every array."""

    def finish(self, final: Mapping[str, Array]) -> None:
        """Add arrays without a time axis, and complete the file."""

    def abandon(self) -> None:
        """Let go of everything that is open."""


class NpySink:
    """One array, its header replaced when the number of steps is known."""

    def __init__(self, path: Path, batched: bool) -> None:
        self._file = path.open("r+b")
        self._order = SequenceOrder(self._file, path.parent)
        self._batched, self._steps = batched, 0
        self._like: Array | None = None

    def append(self, block: Mapping[str, Array]) -> None:
        if len(block) != 1:
            raise UsageError(several_arrays(list(block)))
        array = next(iter(_with_sequences(block, self._batched).values()))
        if self._like is None:
            self._like = array[:, :0]
            self._file.write(bytes(HEADER_BYTES))
        self._steps += array.shape[1]
        for sequence, values in enumerate(array):
            for piece in value_bytes(values):
                self._order.add(sequence, piece)

    def finish(self, final: Mapping[str, Array]) -> None:
        if self._like is None:
            raise OutputError("there were no steps, so there is no array to write")
        self._order.finish()
        sequences, _, *later = self._like.shape
        shape = (sequences, self._steps, *later) if self._batched else (self._steps, *later)
        self._file.seek(0)
        self._file.write(header_bytes(self._like.dtype, shape))
        self._file.close()

    def abandon(self) -> None:
        self._order.close()
        close_quietly(self._file)


class NpzSink:
    """Every array, kept in memory up to a limit, because a member's size comes before it."""

    def __init__(self, path: Path, batched: bool, meta: Mapping[str, Any], limit: int) -> None:
        self._path, self._batched, self._meta, self._limit = path, batched, meta, limit
        self._blocks: dict[str, list[Array]] = {}
        self._bytes = 0

    def append(self, block: Mapping[str, Array]) -> None:
        self._bytes += sum(array.nbytes for array in block.values())
        if self._bytes > self._limit:
            raise OutputError(
                f"npz is kept in memory until its end, and this one is larger than"
                f" {self._limit / 2**30:.3g} GiB; write .h5 instead"
            )
        for name, array in block.items():
            # A view would keep alive, or see change, whatever its owner computes next.
            self._blocks.setdefault(name, []).append(np.array(array))

    def finish(self, final: Mapping[str, Array]) -> None:
        with ZipFile(self._path, "w") as archive:
            for name, blocks in self._blocks.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    _write_joined(member, blocks, self._batched)  # type: ignore[arg-type]
            for name, array in {**final, "meta": np.array(meta_text(self._meta))}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    write_npy(member, array)  # type: ignore[arg-type]
        self._blocks.clear()

    def abandon(self) -> None:
        self._blocks.clear()


class TextSink:
    """Lines of text, a step each; a file gets them sequence by sequence, as if written whole."""

    def __init__(self, path: Path, form: RowForm, layout: Layout) -> None:
        self._file = path.open("r+b")
        self._order = SequenceOrder(self._file, path.parent)
        self._lines = BlockLines(form, layout)

    def append(self, block: Mapping[str, Array]) -> None:
        for sequence, piece in self._lines.of(block):
            self._order.add(sequence, piece)

    def finish(self, final: Mapping[str, Array]) -> None:
        self._order.finish()
        self._file.close()

    def abandon(self) -> None:
        self._order.close()
        close_quietly(self._file)


class PipeSink:
    """Lines of text that are readable at once: in each block sequence by sequence."""

    def __init__(self, file: BinaryIO, form: RowForm, layout: Layout) -> None:
        self._file, self._lines = file, BlockLines(form, layout)

    def append(self, block: Mapping[str, Array]) -> None:
        for _, piece in self._lines.of(block):
            self._file.write(piece)
        self._file.flush()

    def finish(self, final: Mapping[str, Array]) -> None:
        self._file.flush()

    def abandon(self) -> None:
        """Nothing of it is ours to close."""


class BlockLines:
    """Lines of consecutive blocks, the header before the first."""

    def __init__(self, form: RowForm, layout: Layout) -> None:
        self._form, self._layout = form, layout
        self._rows: StepRows | None = None
        self._steps = 0

    def of(self, block: Mapping[str, Array]) -> Iterator[tuple[int, bytes]]:
        """The lines of one block, each piece with its sequence."""
        arrays = _with_sequences(block, self._layout.batched)
        sequences, steps = table_shape(arrays, 2)
        if self._rows is None:
            self._rows = StepRows(self._form, arrays, self._layout)
            yield 0, self._rows.header().encode()
        for sequence in range(sequences):
            for text in self._rows.lines(arrays, sequence, self._steps):
                yield sequence, text.encode()
        self._steps += steps


def _with_sequences(block: Mapping[str, Array], batched: bool) -> dict[str, Array]:
    return {name: a if batched else a[np.newaxis] for name, a in block.items()}


def _write_joined(file: BinaryIO, blocks: list[Array], batched: bool) -> None:
    """One array from blocks of its steps, without a copy of the whole."""
    axis = 1 if batched else 0
    shape = list(blocks[0].shape)
    shape[axis] = sum(block.shape[axis] for block in blocks)
    file.write(header_bytes(blocks[0].dtype, tuple(shape)))
    for sequence in range(shape[0]) if batched else [...]:
        for block in blocks:
            for piece in value_bytes(block[sequence]):
                file.write(piece)
