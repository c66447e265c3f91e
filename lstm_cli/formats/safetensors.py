"""Readers of safetensors files: named tensors behind a header, in one file or several.

Eight bytes say how long the header is; it is a JSON object that gives each tensor its kind of
numbers, its shape and its place behind the header. What the tensors are is told from names, as in
PyTorch's state dicts.

Source: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError
from ..model import Model
from .options import Options
from .reading import Problem, as_list, as_mapping, as_text, describe, parse_json
from .state_dict import layers_of_tensors
from .torch_archive import mapped
from .torch_storage import SIZES, Storage, StoredTensor, stored_tensor

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}
"""Kinds of numbers as the header names them; others are listed, not read."""
WRITERS = {"pt": "PyTorch", "np": "NumPy", "tf": "TensorFlow", "flax": "Flax", "mlx": "MLX"}
NO_GRAPH = "safetensors files do not say how layers are connected"
LENGTH = 8


class Content(NamedTuple):
    """What one file holds: its tensors by name, and who wrote it, if it says."""

    tensors: dict[str, StoredTensor]
    writer: str


def read(path: Path, options: Options) -> Model:
    """A safetensors file.

    Raises:
        Problem: if its header does not make sense, or says more than the file holds.
    """
    return _model(path, options, _content(path), "safetensors")


def read_index(path: Path, options: Options) -> Model:
    """An index that says which file of the same folder holds which tensor.

    Raises:
        Problem: if a file is missing, stands in another folder or cannot be read.
    """
    document = as_mapping(parse_json(path.read_bytes(), "the index"), "the index")
    places = as_mapping(document.get("weight_map"), "'weight_map'")
    shards = {file: _shard(path, file) for file in dict.fromkeys(map(_file_name, places.values()))}
    tensors: dict[str, StoredTensor] = {}
    for name, file in places.items():
        name = _printable(name)
        if name not in shards[file].tensors:
            raise Problem(
                f"'weight_map' puts {describe(name)} into {describe(file)}, which does not hold it"
            )
        tensors[name] = shards[file].tensors[name]
    writers = dict.fromkeys(content.writer for content in shards.values() if content.writer)
    content = Content(tensors, next(iter(writers), ""))
    count = f"{len(shards)} file{'s' if len(shards) != 1 else ''}"
    return _model(path, options, content, f"safetensors index of {count}")


def _file_name(value: Any) -> str:
    """A name in the index's own folder."""
    name = as_text(value, "a file in 'weight_map'")
    if not name or name in (".", "..") or set(name) & set("/\\:\0") or len(name) > 255:
        raise Problem(f"'weight_map' names {describe(name)}; only files beside the index are read")
    return name


def _shard(index: Path, name: str) -> Content:
    path = index.with_name(name)
    if not path.is_file():
        raise Problem(f"the index names {describe(name)}, which is not beside it")
    try:
        return _content(path)
    except Problem as problem:
        raise Problem(f"{name}: {problem}") from problem


def _model(path: Path, options: Options, content: Content, form: str) -> Model:
    if options.architecture is not None:
        raise UsageError(f"--architecture is for weights of Keras; {path} is safetensors")
    if not content.tensors:
        raise Problem("it holds no tensors")
    layers, notes = layers_of_tensors(content.tensors)
    return Model(
        path=str(path),
        format=form,
        written_by=content.writer,
        layers=tuple(layers),
        assumptions=tuple(notes),
        no_graph=NO_GRAPH,
    )


def _content(path: Path) -> Content:
    if path.stat().st_size <= LENGTH:
        raise Problem("it is too short for a header")
    view = mapped(path)
    start = LENGTH + int.from_bytes(view[:LENGTH], "little")
    if start > len(view):
        raise Problem(
            f"its header should be {start - LENGTH:,} bytes long, but the file has {len(view):,}: "
            "it is damaged or cut short"
        )
    header = as_mapping(parse_json(bytes(view[LENGTH:start]), "the header"), "the header")
    written = as_mapping(header.get("__metadata__", {}), "'__metadata__'")
    form = written.get("format")
    tensors = {
        _printable(name): _tensor(name, as_mapping(entry, describe(name)), view[start:])
        for name, entry in header.items()
        if name != "__metadata__"
    }
    return Content(
        tensors, WRITERS.get(form, describe(form)[1:-1]) if isinstance(form, str) else ""
    )


def _printable(name: str) -> str:
    """A name without the halves of characters that JSON may hold and no output can."""
    return name.encode("utf-8", "replace").decode()


def _tensor(name: str, entry: Mapping[str, Any], data: memoryview) -> StoredTensor:
    """The tensor that an entry of the header describes, with its numbers where they stand."""
    what = describe(name)
    kind = as_text(entry.get("dtype"), f"the dtype of {what}")
    dtype = DTYPES.get(kind, describe(kind))
    shape = as_list(entry.get("shape"), f"the shape of {what}")
    place = as_list(entry.get("data_offsets"), f"the offsets of {what}")
    if len(place) != 2 or not all(type(value) is int for value in (*place, *shape)):
        raise Problem(f"{what} should have a shape and two offsets of whole numbers")
    begin, end = place
    if not 0 <= begin <= end <= len(data):
        raise Problem(
            f"{what} should stand at bytes {begin:,} to {end:,}, but there are {len(data):,}: "
            "the file is damaged or cut short"
        )
    strides = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    storage = Storage(what, dtype, math.prod(shape), lambda: data[begin:end])
    tensor = stored_tensor(storage, 0, shape, strides, dtype)
    if dtype in SIZES and math.prod(shape) * SIZES[dtype] != end - begin:
        raise Problem(
            f"{what} of {dtype} and shape {describe(shape)} should take "
            f"{math.prod(shape) * SIZES[dtype]:,} bytes, found {end - begin:,}"
        )
    return tensor
