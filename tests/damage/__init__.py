"""Damage to model files: functions that take a file's bytes and give back other bytes.

Each is one kind of damage, repeats exactly by its source of chance, and knows one container;
``damages_of`` says which go with a file. None of them shares code with the readers.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from . import archives, hdf5_nodes, json_values, messages, pickles, raw_bytes

Damage = Callable[[bytes, random.Random], bytes]

ANY = (raw_bytes.cut, raw_bytes.flipped, raw_bytes.flipped_early)
TORCH = (*archives.DAMAGES, *pickles.DAMAGES)

BY_ENDING: dict[str, tuple[Damage, ...]] = {
    ".json": json_values.DAMAGES,
    ".h5": hdf5_nodes.DAMAGES,
    ".keras": archives.DAMAGES,
    ".npz": archives.DAMAGES,
    ".pt": TORCH,
    ".pth": TORCH,
    ".ckpt": TORCH,
    ".bin": TORCH,
    ".safetensors": (raw_bytes.word, archives.safetensors_header, archives.safetensors_length),
    ".onnx": messages.DAMAGES,
    ".pb": (*messages.DAMAGES, messages.json_text),
    ".index": messages.TABLE_DAMAGES,
    ".tflite": (raw_bytes.word, raw_bytes.word_early),
}
"""What can happen to a file besides ``ANY``, by the end of its name."""


def damages_of(name: str, content: bytes) -> tuple[Damage, ...]:
    """The kinds of damage that go with a file."""
    ending = next((ending for ending in BY_ENDING if name.endswith(ending)), "")
    kinds = BY_ENDING.get(ending, (raw_bytes.word,))
    if content.startswith(archives.SIGNATURE):
        kinds = archives.DAMAGES
    elif kinds is TORCH:  # before PyTorch 1.6
        kinds = (raw_bytes.word, *pickles.DAMAGES)
    elif kinds is archives.DAMAGES:  # TensorFlow up to 2.12 writes HDF5 under this name
        kinds = hdf5_nodes.DAMAGES
    return (*ANY, *kinds)
