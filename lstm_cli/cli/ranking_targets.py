"""The labels that ``rank`` compares units with: a file's, or a column of each INPUT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .sources import TraceOptions, is_trace

if TYPE_CHECKING:
    from ..model import Array


class Targets:
    """The labels of each INPUT or TRACE, in order.

    A column of the INPUT that serves as labels is no feature unless ``--columns`` names it, or the
    model takes as many features as there are columns with it.

    Args:
        options: as given; ``columns`` is filled in where the labels are a column of the INPUT.
        files: of ``--target``.
        column: of ``--column``.

    Raises:
        UsageError: if the options do not go together.
    """

    def __init__(self, options: TraceOptions, files: Sequence[str], column: str | None) -> None:
        from ..errors import UsageError

        self._column, self._sequence_column = column, options.sequence_column
        self._sources = _sources(options)
        self._files = list(files)
        self._window, self._stride = options.window, options.stride or 1
        if not files and column is None:
            raise UsageError("rank needs labels: --target FILE, or --column NAME of the INPUT")
        if files and len(files) != len(self._sources):
            raise UsageError(
                f"--target: expected a file for each of the {len(self._sources)} inputs, in their "
                f"order; found {len(files)}"
            )
        if "-" in files:
            raise UsageError("--target takes files; standard input is not one")
        if not files:
            self._check_inputs(options)

    def of(self, number: int) -> Array:
        """The labels of an INPUT: (T,), (B, T) or (B,), numbers or text; cut as the INPUT is."""
        labels = self._whole(number)
        if self._window is None or labels.ndim != 1:
            return labels
        from ..sequences import windows

        return windows(labels, self._window, self._stride)

    def _whole(self, number: int) -> Array:
        if not self._files:
            return self._from_column(self._sources[number])
        path = self._files[number]
        if self._column is not None:
            return self._from_column(path)
        from ..errors import InputError
        from ..sequences import read_labels
        from ..sequences.step_labels import read_step_labels

        try:
            return read_labels(path)
        except InputError:
            lines = read_step_labels(path)  # text, which is no table of numbers
        single: Array = _typed([lines])[0]
        return single

    def _from_column(self, path: str) -> Array:
        """A column, (T,), or (B, T) where another splits it into sequences."""
        from ..sequences.step_labels import read_label_column

        sequences = read_label_column(path, str(self._column), self._sequence_column)
        found = _typed(sequences if self._sequence_column is not None else sequences[:1])
        single: Array = found[0]
        return found if self._sequence_column is not None else single

    def _check_inputs(self, options: TraceOptions) -> None:
        from ..errors import UsageError

        if is_trace(options.model):
            raise UsageError("a trace has no columns: give --target FILE with --column NAME")
        if "-" in self._sources:
            raise UsageError("--column NAME reads INPUT twice, and standard input is read once")
        if options.columns is None:
            options.columns = _features(options, self._sources[0], str(self._column))


def _sources(options: TraceOptions) -> list[str]:
    return [str(options.model), *options.inputs] if is_trace(options.model) else options.inputs


def _features(options: TraceOptions, source: str, column: str) -> str | None:
    """``--columns`` without the column of labels; None where that one is a feature too."""
    from ..sequences.csv_columns import find_column
    from ..sequences.csv_layout import read_layout
    from ..sequences.lines import LineReader
    from ..sequences.sources import open_source
    from .loading import load_model

    if not Path(source).is_file():
        return None  # said where it is read
    with open_source(source) as opened:
        layout = read_layout(LineReader(opened))
    known = [name for name in (column, options.sequence_column) if name is not None]
    without = {find_column(name, layout.names, layout.width) for name in known}
    others = [k for k in range(layout.width) if k not in without]
    inputs = load_model(options).inputs
    shape = inputs[0].shape if len(inputs) == 1 and not options.direct else None
    declared = None if shape is None or len(shape) != 3 else shape[-1]
    if not others or declared == len(others) + 1:
        return None
    return ",".join(map(str, others))


def _typed(sequences: Sequence[Sequence[str]]) -> Array:
    """Labels (B, T), as numbers where all are; the ends of shorter sequences hold none."""
    import numpy as np

    longest = max(map(len, sequences), default=0)
    padded: Any = [[*labels, *[""] * (longest - len(labels))] for labels in sequences]
    text = np.array(padded, dtype=np.str_)
    try:
        return np.where(text == "", "nan", text).astype(np.float64)
    except ValueError:
        return text
