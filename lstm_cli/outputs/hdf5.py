"""HDF5: one dataset an array, ``/`` in names as groups, chunked along time."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import h5py

from ..model import Array
from .hdf5_file import QuietFile
from .results import Results, meta_text

CHUNK_BYTES = 1 << 18
FEWEST_CHUNK_STEPS = 64


def write_hdf5(path: Path, results: Results) -> None:
    """Write every array and ``meta`` to the existing file ``path``."""
    time_axis = 1 if results.layout.batched else 0
    with QuietFile(path) as quiet:
        with h5py.File(quiet, "w", track_order=True) as file:
            for name, array in results.arrays.items():
                chunks = None
                if name in results.per_step and array.size:
                    chunks = chunk_shape(array, time_axis, array.shape[time_axis])
                file.create_dataset(name, data=array, chunks=chunks)
                quiet.check()
            file.create_dataset("meta", data=meta_text(results.meta))
        quiet.check()


class Hdf5Sink:
    """Datasets that grow along their time axis.

    Args:
        path: an existing file.
        batched: whether blocks have shape (B, t, ...) rather than (t, ...).
        meta: where the arrays come from.
    """

    def __init__(self, path: Path, batched: bool, meta: Mapping[str, Any]) -> None:
        self._meta, self._axis = meta, 1 if batched else 0
        self._quiet = QuietFile(path)
        self._file = h5py.File(self._quiet, "w", track_order=True)

    def append(self, block: Mapping[str, Array]) -> None:
        for name, array in block.items():
            if name not in self._file:
                self._create(name, array)
            self._extend(self._file[name], array)
            self._quiet.check()

    def finish(self, final: Mapping[str, Array]) -> None:
        for name, array in final.items():
            self._file.create_dataset(name, data=array)
        self._file.create_dataset("meta", data=meta_text(self._meta))
        self.abandon()
        self._quiet.check()

    def abandon(self) -> None:
        self._file.close()
        self._quiet.close()

    def _create(self, name: str, array: Array) -> None:
        shape, most = list(array.shape), list[int | None](array.shape)
        shape[self._axis], most[self._axis] = 0, None
        chunks = chunk_shape(array, self._axis, max(FEWEST_CHUNK_STEPS, array.shape[self._axis]))
        self._file.create_dataset(
            name, shape=shape, maxshape=most, dtype=array.dtype, chunks=chunks
        )

    def _extend(self, dataset: Any, array: Array) -> None:
        start = dataset.shape[self._axis]
        dataset.resize(start + array.shape[self._axis], axis=self._axis)
        steps = slice(start, None)
        dataset[(slice(None), steps) if self._axis else steps] = array


def chunk_shape(array: Array, time_axis: int, steps: int) -> tuple[int, ...]:
    """Chunks of one sequence and as many of ``steps`` steps as ``CHUNK_BYTES`` hold."""
    later = array.shape[time_axis + 1 :]
    step_bytes = max(1, array.itemsize * prod(later))
    chunk_steps = max(1, min(steps, CHUNK_BYTES // step_bytes))
    return (1,) * time_axis + (chunk_steps, *(max(1, length) for length in later))
