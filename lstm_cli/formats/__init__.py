"""Readers of model files: each is asked by content, never by a file's name."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from ..errors import ModelFileError, ShapeError, UnknownFormatError
from ..model import Model
from . import recognising as told
from .options import Options, with_options
from .reading import Problem


class Reader(NamedTuple):
    """A file format: its name, how it is recognised, and who reads it.

    A reader is ``module.function`` of this package, imported when the first such file comes: what
    one format needs is no cost to the others. It takes the path and the options, and returns the
    model; it raises ``Problem`` with a clause that says what is wrong with the file.
    """

    name: str
    recognises: Callable[[Path, bytes], bool]
    reads: str

    def read(self, path: Path, options: Options) -> Model:
        module, _, function = self.reads.rpartition(".")
        found: Model = getattr(import_module(f".{module}", __package__), function)(path, options)
        return found


READERS = (
    Reader("Keras HDF5", told.is_hdf5, "keras.read_hdf5"),
    Reader("Keras archive", told.is_keras_archive, "keras.read_archive"),
    Reader("PyTorch archive", told.is_torch_archive, "pytorch.read_archive"),
    Reader("NumPy archive", told.is_npz, "npz.read"),
    Reader("PyTorch pickle", told.is_torch_pickle, "pytorch.read_pickle"),
    Reader("PyTorch tar archive", told.is_torch_tar, "pytorch.read_tar"),
    Reader("safetensors", told.is_safetensors, "safetensors.read"),
    Reader("safetensors index", told.is_safetensors_index, "safetensors.read_index"),
    Reader("Keras sharded weights", told.is_shard_map, "keras.read_shards"),
    Reader("Keras architecture", told.is_architecture, "keras.read_architecture_alone"),
    Reader("TFLite", told.is_tflite, "tflite.read"),
    Reader("Keras directory", told.is_keras_directory, "keras.read_directory"),
    Reader("TensorFlow SavedModel", told.is_saved_model, "saved_model.read"),
    Reader("TensorFlow checkpoint", told.is_checkpoint, "checkpoint.read"),
    Reader("ONNX", told.is_onnx, "onnx.read"),
)


def load(path: str | Path, options: Options | None = None) -> Model:
    """The model in a file or directory.

    Raises:
        ModelFileError: if it cannot be read; UnknownFormatError if no reader knows it.
        UsageError: if the options do not go with the file.
    """
    options = options or Options()
    path = Path(path)
    if not path.exists() and (index := path.with_name(path.name + ".index")).is_file():
        path = index  # a TensorFlow checkpoint goes by what its files' names have in common
    head = told.head_of(path)
    for reader in READERS:
        if reader.recognises(path, head):
            return _read(reader, path, options)
    raise UnknownFormatError(path, _unknown(path, head))


def _read(reader: Reader, path: Path, options: Options) -> Model:
    try:
        return with_options(reader.read(path, options), options)
    except (Problem, ShapeError) as problem:
        raise ModelFileError(path, str(problem)) from problem
    except OSError as error:
        raise ModelFileError(path, error.strerror or str(error)) from error
    except MemoryError as error:
        raise ModelFileError(path, "it does not fit into memory") from error


def _unknown(path: Path, head: bytes) -> str:
    known = "a model of Keras, PyTorch, ONNX, TensorFlow or TFLite, safetensors or .npz"
    if path.is_dir():
        if name := told.weights_beside_a_config(path):
            return f"it is a folder; open {name} in it"
        return (
            f"the directory holds no config.json, saved_model.pb or .index file; expected {known}"
        )
    if not head:
        return f"the file is empty; expected {known}"
    index = path.with_name(re.sub(r"(\.data-\d+-of-\d+|\.meta)$", ".index", path.name))
    if index != path and index.is_file():
        return f"it is a part of a TensorFlow checkpoint; open {index.name} beside it"
    if told.is_pickle_index(path, head):
        return "it is an index of PyTorch files; open the .bin files that it names, one at a time"
    what = "a zip archive of none of these" if head.startswith(told.ZIP_SIGNATURE) else ""
    if not what:
        text = all(byte in b"\t\n\r" or 32 <= byte for byte in head[:200])
        what = "plain text" if text else f"a file that begins with {head[:8]!r}"
    return f"no reader knows it by its content: it is {what}; expected {known}"
