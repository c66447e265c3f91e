"""Weights of PyTorch's recurrent modules by name, in every form in which they are saved.

| saved as | what the module computes with |
|---|---|
| ``W`` | W |
| ``W_g``, ``W_v``; ``parametrizations.W.original0``, ``original1`` | weight_norm: g · v / ‖v‖ |
| ``W_orig``, ``W_u``, ``W_v``; ``parametrizations.W.original``, ``0._u``, ``0._v`` |
  spectral_norm: orig / (u · orig v), with the u and v that training left |
| ``W_orig``, ``W_mask`` | pruned: orig · mask |
| ``W_raw``, also one module up | dropout on weights, which is off: raw |

Source: ``torch/nn/utils/weight_norm.py``, ``spectral_norm.py``, ``parametrizations.py``,
``prune.py`` of PyTorch 2; for ``_raw`` WeightDrop of Salesforce's AWD-LSTM and of fastai.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from ..model import Array
from .reading import NotComputed

FLOATING = ("float16", "bfloat16", "float32", "float64", "qint8", "quint8")
"""Kinds of numbers that weights may be; all are read as float32 or float64."""


class LazyTensor(Protocol):
    """A tensor that is read when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> str:
        """PyTorch's or NumPy's name: ``float32``, ``bfloat16``."""
        ...

    def read(self) -> Array:
        """The values as float32, or float64 where the file has that.

        Raises:
            Problem: if the file does not hold them.
        """
        ...


class Part(NamedTuple):
    """What the name of one tensor says: the module, the array and the form it is part of.

    ``encoder.lstm.weight_hh_l0_g`` is ``encoder.lstm.``, ``weight_hh_l0`` and ``g``.
    """

    prefix: str
    array: str
    form: str


_ARRAY = r"(?P<array>(?:weight|bias)_(?:ih|hh|hr)(?:_l\d{1,4}(?:_reverse)?)?)"
_PLAIN = re.compile(rf"(?P<prefix>(?:.*[./])?){_ARRAY}(?:_(?P<form>g|v|orig|mask|u|raw))?", re.S)
_PARAMETRISED = re.compile(
    rf"(?P<prefix>(?:.*[./])?)parametrizations[./]{_ARRAY}[./](?P<form>.+)", re.S
)


def part_of(name: str) -> Part | None:
    """What a tensor's name says, if it is one that a recurrent module gives."""
    found = _PARAMETRISED.fullmatch(name)
    if found:
        return Part(found["prefix"], found["array"], f"parametrizations.{found['form']}")
    found = _PLAIN.fullmatch(name)
    return Part(found["prefix"], found["array"], found["form"] or "") if found else None


class Weight(NamedTuple):
    """One array that a module computes with, from the tensors that are saved for it.

    Attributes:
        name: without the module's prefix: ``weight_ih_l0``.
        shape: of the array itself.
        dtypes: kinds of numbers of the tensors it is made of.
        sources: the tensors.
        how: in words, where it is not one plain tensor; else empty.
    """

    name: str
    shape: tuple[int, ...]
    dtypes: tuple[str, ...]
    sources: tuple[LazyTensor, ...]
    how: str = ""

    def read(self) -> Array:
        arrays = [source.read() for source in self.sources]
        if self.how == WEIGHT_NORM:
            return _normed(*arrays)
        if self.how == SPECTRAL_NORM:
            return _divided(*arrays)
        return arrays[0] * arrays[1] if self.how == PRUNED else arrays[0]


WEIGHT_NORM = "weight_norm"
SPECTRAL_NORM = "spectral_norm"
PRUNED = "pruned"
WEIGHT_DROP = "dropout on weights"

SPECTRAL_FORMS = (
    ("orig", "u", "v"),
    ("parametrizations.original", "parametrizations.0._u", "parametrizations.0._v"),
)
"""What spectral_norm saves for one array, in the older and the newer way."""


def weight_of(name: str, forms: Mapping[str, LazyTensor]) -> Weight:
    """The array that is saved as these tensors.

    Raises:
        NotComputed: if they are of a form that is not computed.
    """
    forms = {form.replace("/", "."): tensor for form, tensor in forms.items()}
    has = set(forms)
    if "raw" in has:
        return _made(name, (forms["raw"],), WEIGHT_DROP)
    if {"g", "v"} <= has and "orig" not in has:
        return _weight_norm(name, forms["g"], forms["v"])
    if {"orig", "mask"} <= has:
        return _pruned(name, forms["orig"], forms["mask"])
    if has == {"parametrizations.original0", "parametrizations.original1"}:
        both = forms["parametrizations.original0"], forms["parametrizations.original1"]
        return _weight_norm(name, *both)
    for three in SPECTRAL_FORMS:
        if has == set(three):
            return _spectral_norm(name, *(forms[form] for form in three))
    if "orig" in has:
        method = "spectral_norm" if has & {"u", "v"} else "a parametrisation"
        raise NotComputed(f"{name} is made by {method}, which is not computed")
    if any(form.startswith("parametrizations.") for form in has):
        method = "a parametrisation that the file does not name"
        if any(re.fullmatch(r"parametrizations\.\d+\._[uv]", form) for form in has):
            method = "spectral_norm beside others"
        raise NotComputed(f"{name} is made by {method}, which is not computed")
    if "" not in has:
        given = " and ".join(f"{name}_{form}" for form in sorted(has))
        raise NotComputed(f"there is no {name}, only {given}")
    return _made(name, (forms[""],))


def _made(name: str, sources: tuple[LazyTensor, ...], how: str = "") -> Weight:
    dtypes = tuple(dict.fromkeys(source.dtype for source in sources))
    for dtype in dtypes:
        if dtype not in FLOATING:
            raise NotComputed(f"{name} is of {dtype}; weights should be floating point numbers")
    shape = max((source.shape for source in sources), key=math.prod)
    return Weight(name, tuple(shape), dtypes, sources, how)


def _weight_norm(name: str, g: LazyTensor, v: LazyTensor) -> Weight:
    """g has the shape of v with 1 for every axis that the norm is taken over, or is one number."""
    fits = g.shape in ((), (1,)) or (
        len(g.shape) == len(v.shape)
        and all(one in (1, many) for one, many in zip(g.shape, v.shape, strict=True))
    )
    if not fits:
        raise NotComputed(f"{name}: weight_norm's g of shape {g.shape} does not fit v {v.shape}")
    made = _made(name, (g, v), WEIGHT_NORM)
    return made._replace(shape=tuple(v.shape))


def _spectral_norm(name: str, original: LazyTensor, u: LazyTensor, v: LazyTensor) -> Weight:
    """u belongs to the rows and v to the columns; the other way round where ``dim`` was 1."""
    shape, ends = tuple(original.shape), (*u.shape, *v.shape)
    if len(u.shape) != 1 or len(v.shape) != 1 or ends not in (shape, shape[::-1]):
        raise NotComputed(
            f"{name}: spectral_norm's u {tuple(u.shape)} and v {tuple(v.shape)} do not fit {shape}"
        )
    if shape == shape[::-1]:
        raise NotComputed(
            f"{name} is made by spectral_norm of a square, whose dim the file does not name"
        )
    return _made(name, (original, u, v), SPECTRAL_NORM)._replace(shape=shape)


def _pruned(name: str, original: LazyTensor, mask: LazyTensor) -> Weight:
    if original.shape != mask.shape:
        raise NotComputed(f"{name}: its mask {mask.shape} does not fit its values {original.shape}")
    return _made(name, (original,))._replace(sources=(original, mask), how=PRUNED)


def _normed(g: Array, v: Array) -> Array:
    """g · v / ‖v‖, the norm over every axis along which g has one value."""
    axes = tuple(k for k in range(v.ndim) if g.ndim != v.ndim or g.shape[k] == 1)
    norm = np.sqrt(np.sum(np.square(v), axis=axes, keepdims=True, dtype=np.float64))
    if not np.all(norm):
        raise NotComputed("a direction of weight_norm has length 0, so that it gives no weights")
    return (g * (v / norm)).astype(v.dtype)


def _divided(original: Array, u: Array, v: Array) -> Array:
    """The matrix divided by what it makes of v, along u: its largest singular value, about."""
    matrix = original if len(u) == len(original) else original.T
    norm = u.astype(np.float64) @ matrix.astype(np.float64) @ v.astype(np.float64)
    if not norm:
        raise NotComputed("a spectral norm is 0, so that it gives no weights")
    return (original / norm).astype(original.dtype)
