"""Which state dicts of a checkpoint are listed, and names that keep their modules apart.

A module goes by the prefix that its state dict gives it. Where two state dicts of one file have a
module of one name, as a model and its average have, the keys that hold the dicts are put in front.
"""

from __future__ import annotations

from collections import Counter

from .state_dict import recurrent_addresses
from .torch_contents import Found

MOST_KEYS = 8
"""How many keys are put in front at most; real checkpoints keep their state dicts two deep."""


def renamed(found: list[Found]) -> list[Found]:
    """The state dicts to list: those with recurrent layers, or all where there is none.

    Modules of one address in several of them get as many of the keys that lead there as are needed
    to tell them apart.
    """
    listed = [entry for entry in found if recurrent_addresses(entry.tensors)] or found
    fronts: list[dict[str, int]] = [dict.fromkeys(_modules(entry), 0) for entry in listed]
    for _ in range(MOST_KEYS):
        counts = Counter(
            _address(entry.path, module, keys)
            for entry, front in zip(listed, fronts, strict=True)
            for module, keys in front.items()
        )
        if max(counts.values()) < 2:
            break
        for entry, front in zip(listed, fronts, strict=True):
            for module, keys in front.items():
                if counts[_address(entry.path, module, keys)] > 1:
                    front[module] = min(keys + 1, len(entry.path))
    return [_renamed(entry, front) for entry, front in zip(listed, fronts, strict=True)]


def _module(name: str) -> str:
    """The module that a tensor belongs to, as far as names tell."""
    head = name.split(".parametrizations.")[0]
    return head.rpartition(".")[0] if head == name else head


def _modules(entry: Found) -> list[str]:
    return list(dict.fromkeys(map(_module, entry.tensors)))


def _address(path: tuple[str, ...], module: str, keys: int) -> str:
    """What a module goes by with so many keys in front; one without a name goes by ``lstm``."""
    front = path[len(path) - keys :] if keys else ()
    return ".".join((*front, module) if module else front) or "lstm"


def _renamed(entry: Found, fronts: dict[str, int]) -> Found:
    if not any(fronts.values()):
        return entry
    tensors = {
        f"{_front(entry, fronts[_module(name)])}{name}": tensor
        for name, tensor in entry.tensors.items()
    }
    facts = {
        f"{_front(entry, fronts.get(module, 0))}{module}".rstrip("."): told
        for module, told in entry.facts.items()
    }
    return entry._replace(tensors=tensors, facts=facts)


def _front(entry: Found, keys: int) -> str:
    return "".join(f"{key}." for key in entry.path[len(entry.path) - keys :]) if keys else ""
