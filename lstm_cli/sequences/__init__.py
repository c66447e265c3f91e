"""Input files as arrays, whole or in blocks: text tables, NPY, NPZ and standard input."""

from .blocks import BlockSource, open_blocks
from .companions import read_array, read_arrays, read_labels, read_lengths, read_mask
from .csv_columns import parse_columns
from .inputs import InputFile, read_input
from .series import first_nonfinite, windows

__all__ = [
    "InputFile",
    "read_input",
    "BlockSource",
    "open_blocks",
    "read_mask",
    "read_lengths",
    "read_labels",
    "read_array",
    "read_arrays",
    "parse_columns",
    "first_nonfinite",
    "windows",
]
