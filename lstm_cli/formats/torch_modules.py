"""Saved modules, pickled or as TorchScript: their tensors by name and what they say of themselves.

A pickled module keeps ``_parameters``, ``_buffers`` and ``_modules``; a TorchScript module keeps
all of that as attributes, and constants such as ``batch_first`` in its code.

Source: ``torch/nn/modules/module.py``; ``torch/csrc/jit/serialization`` of PyTorch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .reading import Problem, describe
from .state_dict import Facts
from .torch_globals import is_tensor
from .torch_pickle_machine import Name, Stub
from .torch_quantised import is_packed, single_parts, unpacked
from .torch_script import Script
from .torch_storage import Tensor

MAX_MODULES, MAX_DEPTH = 100_000, 100
"""Far above any real model; a module may stand in several others."""

_SCRIPT = "__torch__"
_KNOWN = re.compile(
    r"torch\.nn(\.modules\.rnn|\.parallel\.\w+)"
    r"|torch(\.ao)?\.nn\.(quantized\.dynamic|quantized|quantizable|qat\.dynamic|qat)\.modules\.rnn"
)
_RECURRENT = ("LSTM", "LSTMCell", "GRU", "GRUCell", "RNN", "RNNCell")


class _Node(NamedTuple):
    prefix: str
    module: Stub
    depth: int


def is_script(value: Any) -> bool:
    return (
        isinstance(value, Stub)
        and isinstance(value.kind, Name)
        and value.kind.module.split(".")[0] == _SCRIPT
        and not is_packed(value)
    )


def is_module(value: Any) -> bool:
    """Whether a value of a pickle is a saved module."""
    if not isinstance(value, Stub):
        return False
    attributes = value.attributes
    pickled = isinstance(attributes.get("_modules"), dict)
    return (pickled and isinstance(attributes.get("_parameters"), dict)) or is_script(value)


def module_contents(
    root: Stub, treat_as_lstm: tuple[str, ...], script: Script
) -> tuple[dict[str, Tensor], dict[str, Facts]]:
    """All tensors of a module and those inside it, by name, and facts by module address.

    Raises:
        Problem: if modules stand in each other too deep, or there are too many.
    """
    entries: list[tuple[str, Any]] = []
    facts: dict[str, Facts] = {}
    nodes = [_Node("", root, 0)]
    for _ in range(MAX_MODULES):
        if not nodes:
            break
        node = nodes.pop()
        facts.setdefault(node.prefix[:-1], _facts(node.module, treat_as_lstm, script))
        facts.update(_lost(node))
        entries += ((node.prefix + name, value) for name, value in _own(node.module))
        nodes += reversed(list(_children(node)))
    else:
        raise Problem(f"it has more than {MAX_MODULES:,} modules")
    ways = {
        f"{address}." if address else "": told.bidirectional
        for address, told in facts.items()
        if told.bidirectional is not None
    }
    plain = unpacked(entries, ways)
    for prefix, refusal in plain.refusals.items():
        facts[prefix[:-1]] = facts[prefix[:-1]]._replace(refusal=refusal)
    return plain.tensors, facts


def _own(module: Stub) -> Iterator[tuple[str, Any]]:
    """The tensors and packed weights of a module itself."""
    attributes = module.attributes
    groups: list[Any] = [attributes]
    if not is_script(module):
        groups = [attributes.get("_parameters"), attributes.get("_buffers"), attributes]
    for k, group in enumerate(groups):
        for name, value in group.items() if isinstance(group, dict) else ():
            plain = is_tensor(value) and (k < 2 or is_script(module))
            if isinstance(name, str) and (plain or is_packed(value)):
                yield name, value
    for name, value in _inner(module):
        yield from ((f"{name}.{part}", tensor) for part, tensor in single_parts(value))


def _inner(module: Stub) -> Iterator[tuple[str, Any]]:
    """What a module holds as modules, by name."""
    attributes = module.attributes
    children = attributes if is_script(module) else attributes.get("_modules")
    for name, value in children.items() if isinstance(children, dict) else ():
        if isinstance(name, str):
            yield name, value


def _children(node: _Node) -> Iterator[_Node]:
    for name, value in _inner(node.module):
        if is_module(value):
            if node.depth >= MAX_DEPTH:
                raise Problem(f"modules stand in each other more than {MAX_DEPTH} deep")
            yield _Node(f"{node.prefix}{name}.", value, node.depth + 1)


def _lost(node: _Node) -> Iterator[tuple[str, Facts]]:
    """Recurrent modules that are kept as tuples, as quantised ones were in PyTorch 1.3 and 1.4."""
    for name, value in _inner(node.module):
        if isinstance(value, Stub) and isinstance(value.state, tuple):
            kind = value.kind.name if isinstance(value.kind, Name) else ""
            if kind in _RECURRENT and not value.attributes:
                refusal = "it is kept in a form of PyTorch 1.3 and 1.4 that is not read"
                yield node.prefix + name, Facts(kind, refusal, is_lost=True)


# -- what modules say of themselves


def _facts(module: Stub, treat_as_lstm: tuple[str, ...], script: Script) -> Facts:
    kind = module.kind if isinstance(module.kind, Name) else Name("", "module")
    home = ".".join(
        part for part in kind.module.split(".") if not part.startswith("___torch_mangle")
    )
    home = home.removeprefix(f"{_SCRIPT}.")
    told = _settings(module)
    if is_script(module):
        told = script.facts(kind.module, kind.name, told)
    known = _KNOWN.fullmatch(home) and kind.name in _RECURRENT
    if known or kind.name in treat_as_lstm:
        return told._replace(kind=kind.name, is_treated=not known)
    shown = describe(kind.name).strip("'")
    return told._replace(
        kind=shown,
        refusal=f"its class {shown} is code of its own, which is not run; "
        f"--treat-as-lstm {shown} reads it as nn.LSTM",
    )


def _settings(module: Stub) -> Facts:
    """The settings of nn.LSTM that the attributes of a module hold."""
    found = module.attributes
    first, both, levels, dropout = (
        found.get(key) for key in ("batch_first", "bidirectional", "num_layers", "dropout")
    )
    return Facts(
        batch_first=first if isinstance(first, bool) else None,
        bidirectional=both if isinstance(both, bool) else None,
        levels=levels if type(levels) is int else None,
        dropout=float(dropout) if isinstance(dropout, (int, float)) else None,
    )
