"""An open trace file, with its cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Protocol

from ..errors import InputError
from ..model import LSTM_WEIGHTS, Array
from ..traces import Trace, Traces
from .cell_names import base, meta_number, prefixes
from .cells import CELL_TENSORS, StepArray, StoredTrace, TracedCell, choose_cells
from .cut import OF_A_CUT, with_lengths_from


class ClosableTrace(StoredTrace, Protocol):
    """What ``sequences.open_trace_file`` opens."""

    batched: bool

    def close(self) -> None:
        """Close the file."""


class TraceFile:
    """A trace in a file; a context manager that closes it.

    Attributes:
        name: the file's path.
        meta: where the arrays come from.
        batched: whether the arrays in the file have an axis of sequences.
        cells: its cells by part or address, ``""`` for a lone one.
    """

    def __init__(self, file: ClosableTrace) -> None:
        self._file = file
        self.name, self.meta, self.batched = file.name, file.meta, file.batched
        try:
            self.cells: dict[str, TracedCell] = stored_cells(file)
        except InputError as error:
            file.close()
            raise InputError(f"{file.name}: {error}") from error
        except BaseException:
            file.close()
            raise

    @property
    def steps(self) -> dict[str, Any]:
        """The arrays with a time axis, by name in the file."""
        return self._file.steps

    @property
    def others(self) -> dict[str, Array]:
        """All other arrays, by name in the file."""
        return self._file.others

    def choose(self, names: Collection[str]) -> dict[str, TracedCell]:
        """The cells that addresses, or ends of them, choose; all of them without any.

        Raises:
            NoSuchNameError: if there is none.
        """
        return choose_cells(self.cells, names)

    def read(self) -> Trace | Traces:
        """The whole trace, as ``lstm_cli.trace`` returned it."""
        traces = {name: cell.read() for name, cell in self.cells.items()}
        if list(traces) == [""]:
            return traces[""]
        arrays = {name: array.read(0, array.shape[1]) for name, array in self.steps.items()}
        for name, values in self.others.items():
            if base(name) not in LSTM_WEIGHTS:
                arrays[name] = values
        return Traces(traces, arrays, self.meta)

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __repr__(self) -> str:
        return f"<TraceFile {self.name}: {', '.join(filter(None, self.cells)) or 'one cell'}>"


def stored_cells(file: StoredTrace) -> dict[str, TracedCell]:
    """The cells of a trace in a file; by name, in the order of its layers."""
    found = dict.fromkeys(
        name.rpartition("/")[0] for name in file.steps if base(name) in CELL_TENSORS
    )
    metas = file.meta.get("layers") or [file.meta]
    if len(found) > len(metas):
        raise InputError(f"'meta' has the facts of {len(metas)} of {len(found)} cells")
    order = {name: meta_number(metas, name) for name in found}
    names = sorted(found, key=lambda name: order[name])
    cut = {key: file.meta[key] for key in OF_A_CUT if key in file.meta}
    return {name: _stored_cell(file, name, {**metas[order[name]], **cut}) for name in names}


def _stored_cell(file: StoredTrace, name: str, meta: Mapping[str, Any]) -> TracedCell:
    steps: dict[str, StepArray] = {}
    others: dict[str, Array] = {}
    for prefix in prefixes(name):
        for full, array in file.steps.items():
            if full.rpartition("/")[0] == prefix:
                steps.setdefault(base(full), array)
        for full, values in file.others.items():
            if full.rpartition("/")[0] == prefix and base(full) not in LSTM_WEIGHTS:
                others.setdefault(base(full), values)
    cell = TracedCell(name, meta, steps, with_lengths_from(others, meta))
    if cell.lengths is not None:  # the trace may end before the sequence does
        cell.others["lengths"] = cell.lengths.clip(max=cell.steps)
    cell.add_weights({n: a for n, a in file.others.items() if base(n) in LSTM_WEIGHTS})
    return cell
