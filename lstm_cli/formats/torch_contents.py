"""State dicts and modules in what a PyTorch pickle holds, wherever a checkpoint keeps them.

Source: ``torch/nn/modules/module.py``; ``torch/optim/optimizer.py`` for what is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .reading import Problem
from .state_dict import Facts
from .torch_globals import is_tensor
from .torch_modules import is_module, is_script, module_contents
from .torch_pickle_machine import Stub
from .torch_quantised import is_packed, unpacked
from .torch_script import Script
from .torch_storage import Tensor

MAX_DEPTH = 100
"""Far above how deep real checkpoints nest."""
_OPTIMIZER = re.compile(
    r"(.*_)?(optim|optimi[sz]er|opt|optimi[sz]er_?states?|optim_?states?)s?(_.*|[A-Z\d].*)?"
    r"|exp_avg\w*|max_exp_avg\w*|momentum(_buffers?)?|grads?|gradients?",
)


class Found(NamedTuple):
    """Named tensors in one place of a checkpoint.

    Attributes:
        path: the keys that lead there.
        tensors: by name.
        facts: what is known of modules, by address.
        kind: ``state dict``, ``whole module``, ``TorchScript``, or ``tensor`` for one by itself.
    """

    path: tuple[str, ...]
    tensors: dict[str, Tensor]
    facts: dict[str, Facts]
    kind: str


class _Place(NamedTuple):
    path: tuple[str, ...]
    value: Any
    skipped: str = ""


class Contents(NamedTuple):
    """What was found, and the places of optimizer states, which repeat the names of weights."""

    found: list[Found]
    skipped: dict[str, None]


def contents(root: Any, treat_as_lstm: tuple[str, ...], script: Script) -> Contents:
    """Everything with named tensors in a value of a pickle, in the file's order.

    What belongs to an optimizer is looked at last: a model that it refers to is found by itself.

    Args:
        root: the value.
        treat_as_lstm: classes of modules that are to be read as nn.LSTM.
        script: the TorchScript code that stands beside it.

    Raises:
        Problem: if it is nested too deeply.
    """
    result = Contents([], {})
    seen: set[int] = set()
    places, skipped = [_Place((), root)], list[_Place]()
    while places or skipped:
        place = places.pop() if places else skipped.pop()
        if id(place.value) in seen:
            continue
        seen.add(id(place.value))
        found = _found(place, treat_as_lstm, script)
        if found is not None and place.skipped:
            result.skipped[place.skipped] = None
        elif found is not None:
            result.found.append(found)
        if not is_module(place.value):
            for inner in reversed(list(_inside(place))):
                (skipped if inner.skipped else places).append(inner)
    return result


def _found(place: _Place, treat_as_lstm: tuple[str, ...], script: Script) -> Found | None:
    value = place.value
    if is_module(value):
        tensors, facts = module_contents(value, treat_as_lstm, script)
        kind = "TorchScript" if is_script(value) else "whole module"
        return Found(place.path, tensors, facts, kind) if tensors else None
    if is_tensor(value):
        name = place.path[-1] if place.path else "tensor"
        return Found(place.path[:-1], {name: value}, {}, "tensor")
    if not isinstance(value, dict):
        return None
    entries = [
        (key, entry)
        for key, entry in value.items()
        if isinstance(key, str) and (is_tensor(entry) or is_packed(entry))
    ]
    plain = unpacked(entries, {})
    facts = {prefix[:-1]: Facts(refusal=why) for prefix, why in plain.refusals.items()}
    return Found(place.path, plain.tensors, facts, "state dict") if plain.tensors else None


def _inside(place: _Place) -> Iterator[_Place]:
    """What a value holds, as far as there may be tensors in it."""
    value = place.value
    parts: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, dict):
        parts = ((k, v) for k, v in value.items() if not (isinstance(k, str) and is_tensor(v)))
    elif isinstance(value, (list, tuple)):
        parts = ((k, v) for k, v in enumerate(value))
    elif isinstance(value, Stub):
        parts = _parts(value)
    optimizer = isinstance(value, dict) and {"state", "param_groups"} <= set(value)
    for key, part in parts:
        if isinstance(part, (dict, list, tuple, Stub)) or is_tensor(part):
            if len(place.path) >= MAX_DEPTH:
                raise Problem(f"it is nested more than {MAX_DEPTH} deep")
            name = str(key) if isinstance(key, (str, int)) else "key"
            path = (*place.path, name)
            skipped = place.skipped or (
                ".".join(place.path) or "the checkpoint" if optimizer else ""
            )
            if not skipped and _OPTIMIZER.fullmatch(name[:100]):
                skipped = ".".join(path)
            yield _Place(path, part, skipped)


def _parts(stub: Stub) -> Iterator[tuple[Any, Any]]:
    yield from stub.attributes.items()
    yield from stub.pairs.items()
    yield from enumerate(stub.items)
    yield from enumerate(stub.arguments)
