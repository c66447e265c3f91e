"""LSTM layers among named tensors: PyTorch's state dicts, whatever file they stand in.

Names decide: ``encoder.lstm.weight_ih_l0`` belongs to a module ``encoder.lstm``, and a module with
``weight_ih`` and ``weight_hh`` is recurrent. Only tensors of LSTM layers are read.

Source: ``torch/nn/modules/module.py`` (names) and ``rnn.py``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..errors import listing
from ..model import Layer, Recurrent, Unsupported
from .reading import NotComputed
from .torch_recurrent import is_cell, recurrent, size_of
from .torch_weights import WEIGHT_DROP, LazyTensor, Weight, part_of, weight_of

__all__ = ["Facts", "LazyTensor", "Tensors", "layers_of_tensors"]

Tensors = Mapping[str, LazyTensor]

NO_PURPOSE = "a state dict does not say what its tensors are for"
BATCH_FIRST = "INPUT is taken as (B, T, F) here, or (T, B, F) with --time-major"
_NUMBERS = {"qint8": "int8", "quint8": "int8"}


class Facts(NamedTuple):
    """What a file says of one module beside its tensors; None for what it does not say.

    Attributes:
        kind: the module's class: ``Linear``.
        refusal: why the module cannot be computed, as a clause.
        is_treated: whether it is computed because the caller says what its class is.
        is_lost: whether the file keeps the module in a form that is not read.
        batch_first, bidirectional, levels, dropout: settings of nn.LSTM.
    """

    kind: str = ""
    refusal: str = ""
    is_treated: bool = False
    is_lost: bool = False
    batch_first: bool | None = None
    bidirectional: bool | None = None
    levels: int | None = None
    dropout: float | None = None


@dataclass(slots=True)
class _Module:
    """Tensors of one module: of recurrent arrays by name and form, and all others by name."""

    arrays: dict[str, dict[str, LazyTensor]] = field(default_factory=dict)
    others: dict[str, LazyTensor] = field(default_factory=dict)

    @property
    def is_recurrent(self) -> bool:
        return any(name.startswith(("weight_ih", "weight_hh")) for name in self.arrays)

    @property
    def count(self) -> int:
        forms = [*self.arrays.values(), self.others]
        return sum(math.prod(tensor.shape) for form in forms for tensor in form.values())


def layers_of_tensors(
    tensors: Tensors, facts: Mapping[str, Facts] | None = None
) -> tuple[list[Layer], list[str]]:
    """Every module that holds tensors as a layer, in their order, and what was assumed.

    Args:
        tensors: by their names, such as ``encoder.lstm.weight_ih_l0``.
        facts: by the address of the module.

    Raises:
        Problem: if the tensors of an LSTM layer cannot be read.
    """
    facts = facts or {}
    modules = _modules(tensors)
    prefixes = sorted(modules)
    layers: list[Layer] = []
    notes: list[str] = []
    for prefix, module in modules.items():
        if module.is_recurrent:
            layers.append(_recurrent_layer(prefix, module, prefixes, facts, notes))
        else:
            layers += _other_layers(prefix, module, facts)
    for address, told in facts.items():
        if told.is_lost:
            layers.append(Layer(address, told.kind, Unsupported(told.refusal), ""))
    return distinct(layers), notes


def distinct(layers: list[Layer]) -> list[Layer]:
    """The layers with addresses of their own; LSTM layers keep theirs before all others."""
    taken = {layer.address: layer for layer in reversed(layers)}
    taken |= {layer.address: layer for layer in reversed(layers) if layer.is_lstm}
    counts: Counter[str] = Counter()
    found = []
    for layer in layers:
        address = layer.address
        while taken.setdefault(address, layer) is not layer:
            counts[layer.address] += 1
            address = f"{layer.address}_{counts[layer.address] + 1}"
        found.append(layer if address == layer.address else replace(layer, address=address))
    return found


def recurrent_addresses(names: Iterable[str]) -> set[str]:
    """The modules that names of tensors show to be recurrent; one at the top is ``""``."""
    parts = (part_of(name) for name in names)
    return {part.prefix[:-1] for part in parts if part and part.array.startswith("weight")}


def _modules(tensors: Tensors) -> dict[str, _Module]:
    """Modules by prefix, ``encoder.lstm.``, in the order of their first tensors."""
    modules: dict[str, _Module] = {}
    for name, tensor in tensors.items():
        part = part_of(name)
        if part is not None:
            module = modules.setdefault(part.prefix, _Module())
            module.arrays.setdefault(part.array, {})[part.form] = tensor
        else:
            cut = max(name.rfind("."), name.rfind("/")) + 1
            modules.setdefault(name[:cut], _Module()).others[name[cut:]] = tensor
    _join_weight_drop(modules)
    return modules


def _join_weight_drop(modules: dict[str, _Module]) -> None:
    """WeightDrop keeps ``weight_hh_l0_raw`` beside the ``module`` that it belongs to."""
    for prefix, module in list(modules.items()):
        inner = modules.get(f"{prefix}module.")
        raw = {name for name, forms in module.arrays.items() if set(forms) == {"raw"}}
        if inner is not None and raw and raw == set(module.arrays):
            for name in raw:
                inner.arrays.setdefault(name, {}).update(module.arrays.pop(name))
            if not module.others:
                del modules[prefix]


def _address(prefix: str, kind: str, prefixes: list[str]) -> str:
    """A prefix without its last dot; where there is none, the usual name of such a module."""
    address = prefix[:-1] or kind.removesuffix("Cell").lower()
    while not prefix and f"{address}." in prefixes:
        address += "_"
    return address


# -- recurrent modules


def _recurrent_layer(
    prefix: str,
    module: _Module,
    prefixes: list[str],
    facts: Mapping[str, Facts],
    notes: list[str],
) -> Layer:
    told = facts.get(prefix[:-1], Facts())
    kind = "LSTM"
    operation: Recurrent | Unsupported
    try:
        weights = {name: weight_of(name, forms) for name, forms in module.arrays.items()}
        kind = _kind(weights)
        _refuse(kind, told, module, _inside(prefix, prefixes))
        operation = recurrent(weights)
        _compare(operation, told)
    except NotComputed as reason:
        address = _address(prefix, kind, prefixes)
        return Layer(address, kind, Unsupported(str(reason)), parameters=module.count)
    address = _address(prefix, kind, prefixes)
    notes += [f"{address}: {note}" for note in _notes(weights, told, operation, module)]
    dtype = "float64" if _is_double(weights) else "float32"
    return Layer(address, kind, operation, dtype=dtype, parameters=module.count)


def _kind(weights: Mapping[str, Weight]) -> str:
    kind = size_of({name: weight.shape for name, weight in weights.items()}).kind
    return f"{kind}Cell" if is_cell(weights) else kind


def _refuse(kind: str, told: Facts, module: _Module, inside: list[str]) -> None:
    """What is no LSTM of PyTorch's own, though its tensors are named like one."""
    if not kind.startswith("LSTM"):
        name, blocks = {"G": ("a GRU", "3 blocks"), "R": ("an RNN", "1 block")}[kind[0]]
        raise NotComputed(
            f"it is {name}, not an LSTM: its weights have {blocks} of rows, an LSTM's have 4"
        )
    if told.refusal:
        raise NotComputed(told.refusal)
    extra = [name for name in module.others if kind == "LSTMCell" or _is_levelled(name)]
    extra += inside if kind == "LSTMCell" else []
    if extra:
        raise NotComputed(f"it also holds {listing(extra, 6)}, which nn.{kind} does not have")


def _inside(prefix: str, prefixes: list[str]) -> list[str]:
    """A module that stands inside the one of this prefix, if there is any."""
    after = bisect_right(prefixes, prefix)
    return [name for name in prefixes[after : after + 1] if name.startswith(prefix)]


def _is_levelled(name: str) -> bool:
    """Whether a name is one of a level's arrays, such as ``weight_ch_l0`` of peepholes."""
    return name.startswith(("weight_", "bias_")) and "_l" in name


def _compare(operation: Recurrent, told: Facts) -> None:
    """What a module's settings say is what its tensors are."""
    levels, ways = len(operation.levels), len(operation.directions)
    if told.levels not in (None, levels):
        raise NotComputed(f"num_layers is {told.levels}, but its arrays are of {levels}")
    if told.bidirectional not in (None, ways == 2):
        found = f"{ways} direction{'s' if ways > 1 else ''}"
        raise NotComputed(f"bidirectional is {told.bidirectional}, but its arrays are of {found}")


def _is_double(weights: Mapping[str, Weight]) -> bool:
    return any("float64" in weight.dtypes for weight in weights.values())


def _notes(
    weights: Mapping[str, Weight], told: Facts, operation: Recurrent, module: _Module
) -> Iterator[str]:
    """What the semantics card says of one layer."""
    if operation.convention == "torch cell":
        yield "its tensors have nn.LSTMCell's names; it is run along the input, (B, T, F)"
    elif told.batch_first is None:
        yield f"batch_first is not in a state dict; {BATCH_FIRST}"
    else:
        yield f"batch_first={told.batch_first} in the file; {BATCH_FIRST}"
    if told.dropout:
        yield f"dropout={told.dropout:g} between levels is off, as after eval()"
    yield from _forms(weights)
    if module.others:
        yield f"{listing(module.others, 6)} of the same module is not part of nn.LSTM and not used"


def _forms(weights: Mapping[str, Weight]) -> Iterator[str]:
    """How weights that are no plain float32 or float64 tensors are read."""
    for how in dict.fromkeys(weight.how for weight in weights.values() if weight.how):
        names = listing([name for name, weight in weights.items() if weight.how == how], 6)
        if how == WEIGHT_DROP:
            yield f"{how} is off, as after eval(), so that {names} is the tensor named _raw"
        else:
            yield f"{how} is applied to {names}"
    dtypes = dict.fromkeys(dtype for weight in weights.values() for dtype in weight.dtypes)
    for dtype in dtypes:
        if dtype in _NUMBERS:
            yield (
                f"dynamically quantised; its {_NUMBERS[dtype]} weights are dequantised and used as "
                "float32, while PyTorch also rounds what comes in at every step"
            )
        elif dtype.endswith("16"):
            yield f"its weights are {dtype}; they are used as float32"


# -- other modules


def _other_layers(prefix: str, module: _Module, facts: Mapping[str, Facts]) -> Iterator[Layer]:
    """One layer for a module; tensors outside of any module go by their own names."""
    if not prefix:
        for name, tensor in module.others.items():
            count = math.prod(tensor.shape)
            yield Layer(name, "unknown", Unsupported(NO_PURPOSE), "", parameters=count)
        return
    kind = facts.get(prefix[:-1], Facts()).kind
    reason = f"{kind} of PyTorch is listed, not run" if kind else NO_PURPOSE
    address = prefix[:-1]
    yield Layer(address, kind or "unknown", Unsupported(reason), "", parameters=module.count)
