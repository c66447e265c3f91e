"""Packed weights of dynamically quantised LSTM layers, under the names that plain ones have.

A quantised nn.LSTM keeps one packed object a cell, ``_all_weight_values.K.param``, K counting the
directions of each level; up to PyTorch 1.5 it kept each matrix by itself, ``_all_weight_values.N``
with N = 2K on the input and 2K + 1 on the hidden state. A quantised nn.LSTMCell keeps
``_packed_weight_ih`` and ``_hh``.

Source: ``torch/ao/nn/quantized/dynamic/modules/rnn.py``, ``aten/src/ATen/native/quantized/cpu`` of
PyTorch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .reading import NotComputed
from .torch_globals import is_tensor
from .torch_pickle_machine import Name, Stub
from .torch_storage import Tensor

_LEVELS = re.compile(r"(?P<prefix>(?:.*\.)?)_all_weight_values\.(?P<index>\d{1,4})\.param", re.S)
_SINGLE = re.compile(
    r"(?P<prefix>(?:.*\.)?)_all_weight_values\.(?P<index>\d{1,4})\.(?P<part>weight|bias)", re.S
)
_CELL = re.compile(r"(?P<prefix>(?:.*\.)?)_packed_(?P<weight>weight_(?P<of>ih|hh))", re.S)
_PACKED = ("ScriptObject", "CellParamsBase", "LinearPackedParamsBase")


class Linear(NamedTuple):
    """One packed matrix and the bias that is packed with it."""

    weight: Tensor
    bias: Tensor | None


class Plain(NamedTuple):
    """Tensors by name, and for the modules that cannot be computed the reason, by prefix."""

    tensors: dict[str, Tensor]
    refusals: dict[str, str]


def is_packed(value: Any) -> bool:
    """Whether an object of a pickle holds packed weights."""
    return isinstance(value, Stub) and isinstance(value.kind, Name) and value.kind.name in _PACKED


def unpacked(entries: Iterable[tuple[str, Any]], bidirectional: Mapping[str, bool]) -> Plain:
    """Tensors as they are, and those of packed objects under the names of plain layers.

    Args:
        entries: tensors and packed objects by name, in the file's order.
        bidirectional: what a file says of the modules, by prefix.
    """
    entries = list(entries)
    cells = _cells(entries)
    plain = Plain({}, {})
    for name, value in entries:
        found = _LEVELS.fullmatch(name) or _SINGLE.fullmatch(name)
        if found and found["prefix"] in cells:
            prefix = found["prefix"]
            _add_levels(plain, prefix, cells[prefix], bidirectional.get(prefix))
            cells[prefix] = {}
        elif is_tensor(value):
            plain.tensors[name] = value
        elif packed := _CELL.fullmatch(name):
            _add_linear(plain, packed["prefix"], packed["of"], "", value)
    return plain


def single_parts(value: Any) -> list[tuple[str, Tensor]]:
    """Weight and bias of an object that packs one matrix, as PyTorch made them up to 1.5."""
    if not isinstance(value, Stub) or not isinstance(value.kind, Name):
        return []
    state = value.state
    if value.kind.name != "PackedParameter" or not isinstance(state, tuple) or len(state) != 2:
        return []
    parts = state[0] if isinstance(state[0], tuple) else ()
    both = zip(("weight", "bias"), parts, strict=False)
    return [(name, part) for name, part in both if is_tensor(part)]


def _cells(entries: list[tuple[str, Any]]) -> dict[str, dict[int, list[Linear]]]:
    """The matrices of each cell K of quantised LSTM modules, by the modules' prefixes."""
    cells: dict[str, dict[int, list[Linear]]] = {}
    singles: dict[str, dict[int, dict[str, Tensor]]] = {}
    for name, value in entries:
        if not is_tensor(value):
            if found := _LEVELS.fullmatch(name):
                cells.setdefault(found["prefix"], {})[int(found["index"])] = _matrices(value)
        elif found := _SINGLE.fullmatch(name):
            module = singles.setdefault(found["prefix"], {})
            module.setdefault(int(found["index"]), {})[found["part"]] = value
    for prefix, module in singles.items():
        for index in sorted(index for index, parts in module.items() if "weight" in parts):
            cell = cells.setdefault(prefix, {}).setdefault(index // 2, [])
            cell.append(Linear(module[index]["weight"], module[index].get("bias")))
    return cells


def _add_levels(
    plain: Plain, prefix: str, matrices: dict[int, list[Linear]], bidirectional: bool | None
) -> None:
    """The arrays of every cell of one module, K = level · directions + direction."""
    try:
        ways = 1 + (_is_bidirectional(matrices) if bidirectional is None else bidirectional)
    except NotComputed as reason:
        plain.refusals[prefix], ways = str(reason), 1
    for index in sorted(matrices):
        level, backward = divmod(index, ways)
        suffix = f"_l{level}{'_reverse' if backward else ''}"
        for of, linear in zip(("ih", "hh"), matrices[index], strict=False):
            _add(plain, prefix, of, suffix, linear)


def _is_bidirectional(matrices: Mapping[int, list[Linear]]) -> bool:
    """Whether the second cell reads the input, as the first does, or what the first gives."""
    sizes = [
        tuple(linear.weight.shape[-1] if linear.weight.shape else 0 for linear in matrices[k])
        for k in sorted(matrices)
    ]
    if len(sizes) < 2 or not all(len(size) == 2 for size in sizes):
        return False
    features, units = sizes[0]
    if len(sizes) > 2:
        return sizes[2][0] == 2 * units
    if features == units == sizes[1][0]:
        raise NotComputed(
            "its two quantised cells may be two levels or two directions; a state dict does not say"
        )
    return sizes[1][0] != units


def _add_linear(plain: Plain, prefix: str, of: str, suffix: str, value: Any) -> None:
    linear = _linear(value)
    if linear is not None:
        _add(plain, prefix, of, suffix, linear)


def _add(plain: Plain, prefix: str, of: str, suffix: str, linear: Linear) -> None:
    plain.tensors[f"{prefix}weight_{of}{suffix}"] = linear.weight
    if linear.bias is not None:
        plain.tensors[f"{prefix}bias_{of}{suffix}"] = linear.bias


def _matrices(value: Any) -> list[Linear]:
    """The packed matrices of one cell: those on the input and on the hidden state."""
    for part in _content(value):
        if isinstance(part, (list, tuple)):
            found = [linear for entry in part if (linear := _linear(entry)) is not None]
            if len(found) == 2:
                return found
    return []


def _linear(value: Any) -> Linear | None:
    parts = _content(value)
    if len(parts) != 2 or not is_tensor(parts[0]):
        return None
    return Linear(parts[0], parts[1] if is_tensor(parts[1]) else None)


def _content(value: Any) -> tuple[Any, ...]:
    """What a packed object holds; some are kept with the name of their class beside them."""
    state = value.state if is_packed(value) else None
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], str):
        state = state[0]
    return state if isinstance(state, tuple) else ()
