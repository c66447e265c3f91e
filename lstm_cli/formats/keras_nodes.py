"""The four encodings of ``inbound_nodes``, as one.

1. Keras 1: a node is a list of ``[layer, node, tensor]``.
2. Keras 2 and tf.keras: ``[layer, node, tensor, kwargs]``; state tensors are further entries.
3. TFOpLambda of tf.keras: one flat entry instead of a list of entries.
4. Keras 3: ``{"args": […], "kwargs": {…}}`` with serialised tensors inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .reading import Problem, as_mapping, describe

_MAX_DEPTH = 40


class TensorRef(NamedTuple):
    """Tensor number ``tensor`` of the call number ``node`` of the layer called ``layer``."""

    layer: str
    node: int
    tensor: int


@dataclass(slots=True)
class Node:
    """The arguments of one call, with every tensor in them as a ``TensorRef``.

    Attributes:
        args: positional; with the older encodings one list of tensors.
        kwargs: by name.
        separate: each tensor is an argument of its own (Keras 3), not one of a list.
    """

    args: list[Any]
    kwargs: dict[str, Any] = field(default_factory=dict)
    separate: bool = False

    def references(self) -> Iterator[TensorRef]:
        yield from references_in([self.args, self.kwargs])


def references_in(value: Any) -> Iterator[TensorRef]:
    if isinstance(value, TensorRef):
        yield value
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from references_in(entry)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from references_in(entry)


def parse_node(raw: Any, owner: str, names: set[str]) -> Node:
    """One entry of ``inbound_nodes``.

    Args:
        raw: as it stands in the file.
        owner: the layer, for messages.
        names: the model's layers; a list such as ``["lstm", 0, 0]`` is a tensor if it starts
            with one of them.
    """
    if isinstance(raw, Mapping) and "args" in raw:
        args = _keras3(raw.get("args"), owner, 0)
        kwargs = _keras3(raw.get("kwargs") or {}, owner, 0)
        if not isinstance(args, (list, tuple)) or not isinstance(kwargs, dict):
            raise Problem(f"'inbound_nodes' of {owner} has an unknown form: {describe(raw)}")
        return Node(list(args), kwargs, separate=True)
    if isinstance(raw, list) and raw and isinstance(raw[0], str):
        entries, flat = [raw], True
    else:
        entries, flat = _entries(raw, owner), False
    tensors, kwargs = [], {}
    for entry in entries:
        tensor, found = _entry(entry, owner)
        tensors.append(tensor)
        kwargs = kwargs or {key: _older(value, names, 0) for key, value in found.items()}
    return Node(tensors if flat else [tensors], kwargs)


def _entries(raw: Any, owner: str) -> list[Any]:
    """The entries of a node: a list of them, or a dict or nested list of the same."""
    if isinstance(raw, Mapping):
        raw = list(raw.values())
    if not isinstance(raw, list):
        raise Problem(f"'inbound_nodes' of {owner} has an unknown form: {describe(raw)}")
    found = []
    for entry in raw:
        if isinstance(entry, list) and entry and isinstance(entry[0], str):
            found.append(entry)
        elif isinstance(entry, (list, dict)) and len(found) < 10_000:
            found.extend(_entries(entry, owner))
        else:
            raise Problem(f"'inbound_nodes' of {owner} has an unknown form: {describe(raw)}")
    return found


def _entry(entry: list[Any], owner: str) -> tuple[Any, dict[str, Any]]:
    if len(entry) not in (3, 4) or not isinstance(entry[1], int):
        raise Problem(f"'inbound_nodes' of {owner} has an unknown entry: {describe(entry)}")
    kwargs = entry[3] if len(entry) == 4 else {}
    kwargs = as_mapping(kwargs or {}, f"the arguments in 'inbound_nodes' of {owner}")
    if entry[0] == "_CONSTANT_VALUE" and entry[1] == -1:
        return entry[2], dict(kwargs)
    if not isinstance(entry[2], int):
        raise Problem(f"'inbound_nodes' of {owner} has an unknown entry: {describe(entry)}")
    return TensorRef(entry[0], entry[1], entry[2]), dict(kwargs)


def _older(value: Any, names: set[str], depth: int) -> Any:
    """A keyword of the older encodings; tensors in it look like ``["lstm", 0, 0]``."""
    if depth > _MAX_DEPTH:
        raise Problem("the arguments of a layer are nested too deeply")
    if isinstance(value, list):
        if (
            len(value) in (3, 4)
            and isinstance(value[0], str)
            and value[0] in names
            and all(isinstance(n, int) for n in value[1:3])
        ):
            return TensorRef(value[0], value[1], value[2])
        return [_older(entry, names, depth + 1) for entry in value]
    if isinstance(value, dict):
        return {key: _older(entry, names, depth + 1) for key, entry in value.items()}
    return value


def _keras3(value: Any, owner: str, depth: int) -> Any:
    """A value as Keras 3 serialises it."""
    if depth > _MAX_DEPTH:
        raise Problem(f"the arguments of {owner} are nested too deeply")
    if isinstance(value, list):
        return [_keras3(entry, owner, depth + 1) for entry in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if not isinstance(kind, str):
        return {key: _keras3(entry, owner, depth + 1) for key, entry in value.items()}
    if kind == "__keras_tensor__":
        history = as_mapping(config, f"a tensor of {owner}").get("keras_history")
        if (
            not isinstance(history, list)
            or len(history) != 3
            or not isinstance(history[0], str)
            or not all(isinstance(n, int) for n in history[1:])
        ):
            raise Problem(f"a tensor of {owner} has no usable keras_history: {describe(history)}")
        return TensorRef(history[0], history[1], history[2])
    if kind == "__ellipsis__":
        return ...
    if isinstance(config, dict) and kind == "__slice__":
        return slice(config.get("start"), config.get("stop"), config.get("step"))
    if isinstance(config, dict) and kind in ("__tuple__", "__tensor__", "__numpy__"):
        inner = _keras3(config.get("value"), owner, depth + 1)
        return tuple(inner) if kind == "__tuple__" and isinstance(inner, list) else inner
    if kind == "DTypePolicy" and isinstance(config, dict):
        return config.get("name")
    raise Problem(f"an argument of {owner} is a {kind}, which is not read")
