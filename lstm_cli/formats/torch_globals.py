"""The functions that a PyTorch pickle may call: an exact list, and nothing of them runs its code.

Source: ``_utils.py``, ``_tensor.py``, ``jit/_pickle.py`` and ``serialization.py`` of PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .reading import Problem, describe
from .torch_pickle_machine import Allowed, Budget, Machine, Name, Stub
from .torch_storage import (
    STORAGES,
    QuantisedTensor,
    Storage,
    StoredTensor,
    Tensor,
    stored_tensor,
)

Call = Callable[[Machine, tuple[Any, ...]], Any]
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")


class Source(NamedTuple):
    """Where a pickle's storages come from.

    Attributes:
        content: gives the bytes of the storage of a key; they may come after the pickle in the
            file, so that this is asked for when a tensor is read.
        big_endian: the order of the bytes.
        nested: gives the object in a file that stands in the pickle as bytes.
        met: told of every storage that the pickle names.
    """

    content: Callable[[str], memoryview]
    big_endian: bool
    nested: Callable[[memoryview], Any]
    met: Callable[[str, Storage], None] = lambda key, storage: None


def allowed(source: Source, budget: Budget) -> Allowed:
    """What a PyTorch pickle may do, its storages coming from ``source``."""
    calls = dict(CALLS)
    calls["torch.storage", "_load_from_bytes"] = lambda machine, arguments: source.nested(
        _bytes(arguments)
    )
    return Allowed(calls, lambda identity: _persistent(identity, source), budget)


def _persistent(identity: Any, source: Source) -> Any:
    """A storage, or the class of a saved module."""
    if not isinstance(identity, tuple) or len(identity) < 2:
        raise Problem(f"a persistent id should be a tuple, found {_brief(identity)}")
    if identity[0] == "module":
        return identity[1]
    if identity[0] != "storage" or len(identity) not in (5, 6):
        raise Problem(f"a persistent id should be of a storage, found {_brief(identity[0])}")
    kind, key, _, length = identity[1:5]
    name = kind.name if isinstance(kind, Name) and kind.module in _STORAGE_MODULES else ""
    if name not in STORAGES or not isinstance(key, str) or not _is_length(length):
        raise Problem(f"storage {_brief(key)} is of a kind that is not known, {_brief(kind)}")
    return _storage(source, STORAGES[name], key, length, identity[5:])


def _storage(source: Source, dtype: str, key: str, length: int, views: tuple[Any, ...]) -> Storage:
    """A storage; before PyTorch 0.4 it could be a part of another one."""

    def content() -> memoryview:
        return source.content(key)

    whole = Storage(f"storage {describe(key)}", dtype, length, content, source.big_endian)
    source.met(key, whole)
    if not views or views[0] is None:
        return whole
    view = views[0]
    if not (isinstance(view, tuple) and len(view) == 3 and all(map(_is_length, view[1:]))):
        raise Problem(
            f"a part of storage {describe(key)} is not described by key, offset and length"
        )
    return whole._replace(first=view[1], length=view[2])


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _brief(value: Any) -> str:
    """A value in a message; only those that are short to write are written."""
    if isinstance(value, Name):
        return describe(str(value)).strip("'")
    plain = isinstance(value, (str, int, float, type(None)))
    return describe(value) if plain else "something else"


# -- functions of the list


def _bytes(arguments: tuple[Any, ...]) -> memoryview:
    if len(arguments) != 1 or not isinstance(arguments[0], memoryview):
        raise Problem("a storage inside a pickle should be bytes")
    return arguments[0]


def _dictionary(machine: Machine, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """OrderedDict() or OrderedDict([[key, value], …]), the form of Python 2."""
    pairs = arguments[0] if arguments else []
    if not isinstance(pairs, (list, tuple)) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs
    ):
        raise Problem("an OrderedDict should be made from pairs")
    found: dict[Any, Any] = machine.fill({}, [(key, value) for key, value in pairs], len(pairs))
    return found


def _default_dictionary(machine: Machine, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    return {}


def _rebuild_tensor(machine: Machine, arguments: tuple[Any, ...]) -> StoredTensor:
    """storage, offset, shape, strides; what follows does not change the values, but for one."""
    storage, offset, shape, strides = arguments[:4]
    return _unless_negated(stored_tensor(storage, offset, shape, strides), arguments[6:7])


def _rebuild_tensor_v3(machine: Machine, arguments: tuple[Any, ...]) -> StoredTensor:
    """As before with the kind of numbers beside an untyped storage."""
    storage, offset, shape, strides, _, _, kind = arguments[:7]
    if not isinstance(kind, Name):
        raise Problem("a tensor should name the kind of its numbers")
    dtype = _DTYPE_NAMES.get(kind.name, kind.name)
    return _unless_negated(stored_tensor(storage, offset, shape, strides, dtype), arguments[7:8])


_DTYPE_NAMES = {"float": "float32", "double": "float64", "half": "float16"}


def _unless_negated(tensor: StoredTensor, metadata: tuple[Any, ...]) -> StoredTensor:
    """The tensor; one that is marked as a negated view of its storage is not read."""
    if (
        metadata
        and isinstance(metadata[0], dict)
        and any(metadata[0].get(mark) is True for mark in ("neg", "conj"))
    ):
        raise Problem("a tensor is a negated or conjugated view, which is not read")
    return tensor


def _rebuild_quantised(machine: Machine, arguments: tuple[Any, ...]) -> QuantisedTensor:
    storage, offset, shape, strides, quantiser = arguments[:5]
    numbers = stored_tensor(storage, offset, shape, strides)
    method = quantiser[0] if isinstance(quantiser, tuple) and quantiser else None
    name = method.name if isinstance(method, Name) else ""
    if name == "per_tensor_affine" and _are_numbers(quantiser[1:]):
        return QuantisedTensor(numbers, *quantiser[1:])
    if name.startswith("per_channel_affine") and _are_channels(quantiser[1:]):
        return QuantisedTensor(numbers, *quantiser[1:])
    raise Problem(
        f"a quantised tensor should have a scale and a zero point, found {_brief(method)}"
    )


def _are_numbers(values: tuple[Any, ...]) -> bool:
    return len(values) == 2 and all(type(value) in (int, float) for value in values)


def _are_channels(values: tuple[Any, ...]) -> bool:
    return (
        len(values) == 3
        and all(isinstance(value, StoredTensor) for value in values[:2])
        and _is_length(values[2])
    )


def _first(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    """What a wrapper is around: a parameter around a tensor, a typed list around a list."""
    return arguments[0]


def _parameter(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    """Parameter(tensor, …), as PyTorch 0.3 wrote it; without a tensor it is only a stub."""
    if arguments and isinstance(arguments[0], (StoredTensor, QuantisedTensor)):
        return arguments[0]
    return Stub(Name("torch.nn.parameter", "Parameter"), arguments)


def _subclassed(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    """A tensor of a subclass: the function that makes it, the class, arguments and state."""
    function, kind, inner = arguments[:3]
    if not isinstance(function, Name) or function.module != "torch._utils":
        raise Problem(
            f"a tensor should be made by a function of torch._utils, not {_brief(function)}"
        )
    made = machine.call(function, inner)
    known = isinstance(kind, Name) and kind.name in ("Tensor", "Parameter", "Buffer")
    if known or not isinstance(made, (StoredTensor, QuantisedTensor)):
        return made
    return Stub(kind, (made,))


def _reconstructed(machine: Machine, arguments: tuple[Any, ...]) -> Stub:
    """copyreg's way of making any object."""
    return Stub(arguments[0], arguments[1:])


def _encoded(machine: Machine, arguments: tuple[Any, ...]) -> memoryview:
    """Bytes as protocol 2 writes them: a text, to be encoded."""
    text, encoding = arguments
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "iso8859-1"):
        raise Problem("bytes should be a text in latin1")
    machine.charge(len(text))
    return memoryview(text.encode("latin-1"))


_TYPED_LISTS = ("build_tensorlist", "build_intlist", "build_doublelist", "build_boollist")

CALLS: dict[tuple[str, str], Call] = {
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "defaultdict"): _default_dictionary,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuild_tensor_v3,
    ("torch._utils", "_rebuild_qtensor"): _rebuild_quantised,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type"): _subclassed,
    ("torch._tensor", "_rebuild_from_type_v2"): _subclassed,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("torch.nn.parameter", "Buffer"): _parameter,
    ("torch.autograd.variable", "Variable"): _parameter,
    ("torch", "Size"): _first,
    ("torch.jit._pickle", "restore_type_tag"): _first,
    **{("torch.jit._pickle", name): _first for name in _TYPED_LISTS},
    ("copyreg", "_reconstructor"): _reconstructed,
    ("_codecs", "encode"): _encoded,
}


def is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)
