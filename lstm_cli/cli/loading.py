"""From options to a loaded model, and from input files to what a session takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .options import ModelOptions, RunOptions

if TYPE_CHECKING:
    from ..model import Array, Input, Model

STDIN = "-"


def load_model(options: ModelOptions) -> Model:
    """The model that the options name."""
    from .. import load

    return load(
        options.model,
        architecture=options.architecture,
        recurrent_activation=options.recurrent_activation,
        activation=options.activation,
        hard_sigmoid=options.hard_sigmoid,  # type: ignore[arg-type]
        override=options.override,
        treat_as_lstm=options.treat_as_lstm or (),
        gate_order=options.gate_order,
    )


class InputData(NamedTuple):
    """One INPUT, ready for a session.

    Attributes:
        source: the file's path or ``-``.
        x: an array, or arrays by input name.
        lengths, mask: for its sequences, where there are any.
        notes: what a user should know about it.
        sequences: their names, where the file names them.
    """

    source: str
    x: Any
    lengths: Array | None
    mask: Array | None
    notes: tuple[str, ...]
    sequences: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What output files are named after."""
        return "stdin" if self.source == STDIN else Path(self.source).stem


def read_sequence(source: str, options: RunOptions, inputs: Sequence[Input]) -> InputData:
    """Read one INPUT in the rank that the model's inputs want."""
    from ..errors import UsageError, listing
    from ..sequences import read_input, read_lengths, windows

    file = read_input(
        source,
        columns=chosen_columns(options),
        sequence_column=options.sequence_column,
        dtype=reading_dtype(options, inputs),
    )
    notes = list(file.notes)
    lengths = file.lengths
    if lengths is not None and (lengths == lengths[0]).all():
        lengths = None
    if list(file.arrays) == [""]:
        x: Any = with_rank(file.arrays[""], inputs, file.kind == "text")
        if options.window is not None:
            x = windows(x, options.window, options.stride or 1)
        notes += [nonfinite_note(source, x)]
    else:
        if options.window is not None:
            raise UsageError("--window cuts one series; this INPUT holds several arrays")
        x = dict(file.arrays)
        unknown = [name for name in x if name not in {entry.name for entry in inputs}]
        if 0 < len(unknown) < len(x):
            notes.append(f"{source} holds what is no input of the model: {listing(unknown)}")
        notes += [nonfinite_note(f"{source}, {name}", array) for name, array in x.items()]
    if options.lengths is not None:
        lengths = read_lengths(options.lengths)
    mask = _mask(x, options, inputs)
    return InputData(source, x, lengths, mask, tuple(filter(None, notes)), file.sequences)


def _mask(x: Any, options: RunOptions, inputs: Sequence[Input]) -> Array | None:
    """The mask that the options give, true for a real step."""
    from ..errors import UsageError
    from ..sequences import read_mask

    if options.mask is not None:
        return read_mask(options.mask)
    if options.mask_value is None:
        return None
    if isinstance(x, Mapping):
        raise UsageError("--mask-value works on one array; this INPUT holds several")
    return mask_of_value(x, options.mask_value, inputs)


def chosen_columns(options: RunOptions) -> list[str | int] | None:
    """``--columns`` as names and numbers."""
    if options.columns is None:
        return None
    from ..sequences import parse_columns

    return list(parse_columns(options.columns))


def reading_dtype(options: RunOptions, inputs: Sequence[Input]) -> Any:
    """float64 where the model or the caller wants it, or where ids must stay exact."""
    import numpy as np

    exact = options.dtype == "float64" or any(
        entry.dtype == "float64" or "int" in entry.dtype for entry in inputs
    )
    return None if exact else np.float32


def with_rank(array: Array, inputs: Sequence[Input], is_text: bool) -> Array:
    """One column of ids as (T,), where the model takes (B, T): a text file always has columns."""
    shape = inputs[0].shape if is_text and len(inputs) == 1 else None
    if shape is not None and len(shape) == 2 and array.ndim in (2, 3) and array.shape[-1] == 1:
        if array.ndim == 3 or shape[1] != 1:
            return array[..., 0]
    return array


def mask_of_value(x: Array, value: float, inputs: Sequence[Input]) -> Array:
    """True for steps that have another value in any feature; the value may be NaN."""
    import numpy as np

    shape = inputs[0].shape if len(inputs) == 1 else None
    ids = shape is not None and len(shape) == 2
    real = x != value if value == value else ~np.isnan(x)
    return np.asarray(real if ids else real.any(axis=-1))


def nonfinite_note(source: str, x: Array, axis: int = 0, first_step: int = 0) -> str:
    """A warning that says where the first NaN or infinity is; ``""`` where there is none.

    Args:
        source: the file.
        x: its values, or a block of them.
        axis: of time, where ``x`` is a block.
        first_step: the number of the block's first step.
    """
    from ..sequences import first_nonfinite

    where = first_nonfinite(x)
    if where is None:
        return ""
    kind = "NaN" if x[where] != x[where] else "infinity"
    names = {1: ("step",), 2: ("step", "feature"), 3: ("sequence", "step", "feature")}
    axes = names.get(x.ndim, tuple(f"axis {k}" for k in range(x.ndim)))
    numbers = [index + first_step * (k == axis) for k, index in enumerate(where)]
    place = ", ".join(f"{axis} {index}" for axis, index in zip(axes, numbers, strict=True))
    return f"{source} holds {kind}; the first is at {place} (counted from 0)"


def read_initial_state(text: str | None) -> Any:
    """``--initial-state``: an archive, two arrays, ``zeros`` or a number."""
    if text is None:
        return None
    if text == "zeros":
        return 0.0
    try:
        return float(text)
    except ValueError:
        pass
    from .. import State
    from ..sequences import read_array, read_arrays

    if "," in text and not Path(text).exists():
        from ..errors import UsageError

        names = text.split(",")
        if len(names) != 2:
            raise UsageError(f"--initial-state: expected H.npy,C.npy, found {len(names)} files")
        return State(read_array(names[0]), read_array(names[1]))
    return read_arrays(text)
