"""``--labels``: a label for every step, from a file of lines or from a column of each INPUT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .sources import TraceOptions, is_trace

STDIN = "-"


class StepLabels:
    """The labels of the steps of each INPUT.

    A column of text that serves as labels is no feature: where ``--columns`` names none, the
    options are changed to read all others.

    Args:
        options: as given.
        given: of ``--labels``; None for no labels.

    Raises:
        UsageError: if it is neither a file nor a column of every INPUT.
        InputError: if the file cannot be read.
    """

    def __init__(self, options: TraceOptions, given: str | None) -> None:
        self._given, self._sequence_column = given, options.sequence_column
        self._lines: list[str] | None = None
        if given is None:
            self._lines = []
        elif Path(given).exists() and not Path(given).is_dir():
            from ..sequences.step_labels import read_step_labels

            self._lines = read_step_labels(given)
        else:
            self._choose_column(options, given)

    def of(self, source: str, sequence: int) -> Sequence[str]:
        """The labels of one sequence of an INPUT, from its first step on."""
        if self._lines is not None:
            return self._lines
        from ..sequences.step_labels import read_label_column

        sequences = read_label_column(source, str(self._given), self._sequence_column)
        return sequences[sequence] if sequence < len(sequences) else sequences[0]

    def _choose_column(self, options: TraceOptions, given: str) -> None:
        from ..errors import InputError, NoSuchNameError, UsageError, listing
        from ..sequences.step_labels import feature_columns

        if is_trace(options.model):
            raise UsageError(f"--labels {given}: no such file; a trace has no column of labels")
        others: list[int] | None = None
        for source in options.inputs or []:
            if source == STDIN:
                raise UsageError("--labels takes a file where the INPUT is standard input")
            try:
                others = feature_columns(source, given, options.sequence_column)
            except NoSuchNameError as error:
                raise UsageError(
                    f"--labels {given}: no such file, and {source} has no column '{error.name}'; "
                    f"it has: {listing(error.known)}"
                ) from error
            except InputError as error:
                if not Path(source).is_file():
                    raise
                raise UsageError(
                    f"--labels {given}: no such file, and no column of the INPUT: {error}"
                ) from error
        if options.columns is None and others:
            options.columns = ",".join(map(str, others))
