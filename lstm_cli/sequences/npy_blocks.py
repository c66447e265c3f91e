"""The values of one NPY array in blocks along time, by plain reads.

A memory map of the whole file would count against the process as it is read; blocks do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .npy import Array, NpyHeader, check_end, ended_early, read_values
from .sources import CHUNK, ByteSource

BLOCK_BYTES = 32 << 20
"""Most bytes of a file's values in one block; a step that is larger makes a block of its own."""

ENGINE_STEPS = 256
"""Blocks that must be shorter than asked for stay a multiple of this where they can, because the
engine's results do not depend on where a sequence is cut at such multiples."""


def raw_blocks(source: ByteSource, header: NpyHeader, axis: int, rows: int) -> Iterator[Array]:
    """Blocks of at most ``rows`` steps along ``axis``, in the file's own type and C order.

    Args:
        source: Right behind the header.
        header: What ``read_header`` returned; no axis is empty.
        axis: The axis of time; the other axes are whole in every block.
        rows: Most steps in a block.

    Raises:
        InputError: If the values end too early or something follows them.
    """
    step = header.size // header.shape[axis]
    fitting = max(1, BLOCK_BYTES // step)
    if fitting < rows:
        rows = fitting - fitting % ENGINE_STEPS or fitting
    outer = math.prod(header.shape[axis + 1 :] if header.fortran else header.shape[:axis])
    if source.size is not None:
        return _sought_blocks(source, header, axis, rows)
    if outer == 1:
        return _arriving_blocks(source, header, axis, rows)
    # In a pipe the first block's last value is near the end of the array.
    return _held_blocks(source, header, axis, rows)


def _sought_blocks(source: ByteSource, header: NpyHeader, axis: int, rows: int) -> Iterator[Array]:
    """From a regular file: each block is one run of bytes for every index of the outer axes."""
    shape = header.shape[::-1] if header.fortran else header.shape
    along = len(shape) - 1 - axis if header.fortran else axis
    outer, steps = math.prod(shape[:along]), shape[along]
    run = math.prod(shape[along + 1 :])  # values of one step in one run
    item = header.dtype.itemsize
    for start in range(0, steps, rows):
        count = min(rows, steps - start)
        runs = np.empty((outer, count * run), header.dtype)
        for k in range(outer):
            source.seek(header.offset + (k * steps + start) * run * item)
            data = source.read_fully(count * run * item)
            if len(data) < count * run * item:
                raise ended_early(source, header, (k * steps + start) * run + len(data) // item)
            runs[k] = np.frombuffer(data, header.dtype)
        block = runs.reshape(*shape[:along], count, *shape[along + 1 :])
        yield np.ascontiguousarray(block.T) if header.fortran else block


def _arriving_blocks(
    source: ByteSource, header: NpyHeader, axis: int, rows: int
) -> Iterator[Array]:
    """From a stream in which one step follows the other: whole steps, as they come."""
    shape = list(header.shape)
    step = header.size // shape[axis]
    done, held = 0, b""
    while done < header.shape[axis]:
        wanted = min(rows, header.shape[axis] - done) * step
        least = min(step, wanted) if source.live else wanted
        held = _at_least(source, held, least, wanted)
        if len(held) < least:
            values = done * (step // header.dtype.itemsize) + len(held) // header.dtype.itemsize
            raise ended_early(source, header, values)
        shape[axis] = len(held) // step
        whole = shape[axis] * step
        block = np.frombuffer(held[:whole], header.dtype)
        done, held = done + shape[axis], held[whole:]
        ordered = block.reshape(shape, order="F" if header.fortran else "C")
        yield np.ascontiguousarray(ordered)
    check_end(source)


def _at_least(source: ByteSource, held: bytes, least: int, most: int) -> bytes:
    """``held`` and what follows it: until ``least`` bytes are there, never beyond ``most``."""
    parts, size = [held], len(held)
    while size < least and (data := source.read(min(CHUNK, most - size))):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def _held_blocks(source: ByteSource, header: NpyHeader, axis: int, rows: int) -> Iterator[Array]:
    values = read_values(source, header, None)
    for start in range(0, header.shape[axis], rows):
        index = (slice(None),) * axis + (slice(start, start + rows),)
        yield np.ascontiguousarray(values[index])
