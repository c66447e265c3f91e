"""TorchScript archives of PyTorch 1.0 to 1.2, whose modules are described by ``model.json``.

Source: ``caffe2/proto/torch.proto`` of PyTorch 1.2, written as JSON: 64-bit numbers are texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .reading import Problem, as_list, as_mapping, as_text, describe, parse_json
from .state_dict import Facts
from .torch_archive import Archive
from .torch_contents import Contents, Found
from .torch_script import said_by_calls
from .torch_storage import SIZES, Storage, StoredTensor, stored_tensor

DTYPES = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "INT64": "int64",
    "INT32": "int32",
    "INT16": "int16",
    "INT8": "int8",
    "UINT8": "uint8",
    "BYTE": "uint8",
    "BOOL": "bool",
}
MAX_MODULES, MAX_DEPTH = 100_000, 100


class _Node(NamedTuple):
    prefix: str
    module: Mapping[str, Any]
    depth: int


def described(archive: Archive) -> Contents:
    """The modules that ``model.json`` describes, and their tensors.

    Raises:
        Problem: if it does not make sense.
    """
    document = as_mapping(parse_json(bytes(archive.content("model.json")), "'model.json'"), "it")
    tensors = [_tensor(archive, entry) for entry in as_list(document.get("tensors", []), "tensors")]
    found = Found((), {}, {}, "TorchScript")
    nodes = [_Node("", as_mapping(document.get("mainModule"), "'mainModule'"), 0)]
    for _ in range(MAX_MODULES):
        if not nodes:
            break
        node = nodes.pop()
        found.facts[node.prefix[:-1]] = _facts(archive, node.module)
        for name, index in _parameters(node.module):
            if index >= len(tensors):
                raise Problem(f"{describe(name)} is tensor {index}, of {len(tensors)}")
            found.tensors[node.prefix + name] = tensors[index]
        nodes += reversed(list(_children(node)))
    return Contents([found] if found.tensors else [], {})


def _children(node: _Node) -> Iterator[_Node]:
    for entry in as_list(node.module.get("submodules", []), "submodules"):
        module = as_mapping(entry, "a module")
        name = _printable(as_text(module.get("name"), "a module's name"))
        if node.depth >= MAX_DEPTH:
            raise Problem(f"modules stand in each other more than {MAX_DEPTH} deep")
        yield _Node(f"{node.prefix}{name}.", module, node.depth + 1)


def _parameters(module: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for entry in as_list(module.get("parameters", []), "parameters"):
        parameter = as_mapping(entry, "a parameter")
        name = _printable(as_text(parameter.get("name"), "a parameter's name"))
        yield name, _number(parameter.get("tensorId", "0"), f"the tensor of {describe(name)}")


def _printable(name: str) -> str:
    """A name without the halves of characters that JSON may hold and no output can."""
    return name.encode("utf-8", "replace").decode()


def _tensor(archive: Archive, value: Any) -> StoredTensor:
    entry = as_mapping(value, "a tensor")
    key = as_text(as_mapping(entry.get("data"), "a tensor's data").get("key"), "a tensor's key")
    dtype = DTYPES.get(str(entry.get("dataType")), "")
    shape, strides = (
        tuple(_number(number, f"{part} of {key}") for number in as_list(entry.get(part, []), part))
        for part in ("dims", "strides")
    )
    offset = _number(entry.get("offset", "0"), f"the offset of {key}")
    if not dtype or entry.get("isQuantized") is True:
        raise Problem(f"{key} holds numbers that are not read, {describe(entry.get('dataType'))}")
    size = archive.size(key)
    storage = Storage(key, dtype, size // SIZES[dtype], lambda: archive.content(key))
    return stored_tensor(storage, offset, shape, strides)


def _number(value: Any, what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,18}", value):
        raise Problem(f"{what} should be a number, found {describe(value)}")
    return int(value)


def _facts(archive: Archive, module: Mapping[str, Any]) -> Facts:
    """What the code of a module says of its own call of ``torch.lstm``."""
    arena = module.get("torchscriptArena")
    key = arena.get("key") if isinstance(arena, dict) else None
    return said_by_calls(archive.text(key)) if isinstance(key, str) else Facts()
