"""Damage to HDF5 files: groups, arrays and attributes removed, renamed, of another kind."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import h5py
import numpy as np
from golden_files import Array

from . import json_values

VERSIONS = ("1.2.2", "2.0.0", "2.1.6-tf", "2.2.4-tf", "2.3.0-tf", "3.15.1", "0", "x", "99.9", 5)


def nodes(file: Any, wanted: Callable[[Any], bool] = lambda node: True) -> list[str]:
    """The paths of all groups and arrays of the wanted kind."""
    names: list[str] = []
    file.visit(names.append)
    return [name for name in names if wanted(file[name])]


def _one(found: Sequence[str], chance: random.Random) -> str:
    if not found:
        raise ValueError("the file holds nothing of the kind")
    return chance.choice(found)


def config(file: Any, chance: random.Random) -> None:
    """A change in the architecture; where there is none, the version it is said to be of."""
    if "model_config" not in file.attrs:
        version(file, chance)
        return
    document = json.loads(file.attrs["model_config"])
    chance.choice(json_values.CHANGES)(document, chance)
    text = json.dumps(document).encode()
    del file.attrs["model_config"]
    file.attrs.create("model_config", text, dtype=h5py.string_dtype())


def key(file: Any, chance: random.Random) -> None:
    """A key of the architecture removed; where there is none, an attribute."""
    if "model_config" not in file.attrs:
        attribute(file, chance)
        return
    document = json.loads(file.attrs["model_config"])
    json_values.remove(document, chance)
    file.attrs["model_config"] = json.dumps(document).encode()


def removed(file: Any, chance: random.Random) -> None:
    """A group or array removed."""
    del file[_one(nodes(file), chance)]


def moved(file: Any, chance: random.Random) -> None:
    """A group or array under another name."""
    name = _one(nodes(file), chance)
    file.move(name, name + chance.choice(("x", "_1", "_99999999999999999999", "\\a", "é")))


def array(file: Any, chance: random.Random) -> None:
    """An array of another shape or type."""
    name = _one(nodes(file, lambda n: isinstance(n, h5py.Dataset) and n.dtype.kind == "f"), chance)
    new = odd_array(np.asarray(file[name][()]), chance)
    del file[name]
    file[name] = new


def attribute(file: Any, chance: random.Random) -> None:
    """An attribute removed, or of another kind."""
    node = file[_one(["/", *nodes(file)], chance)]
    if not len(node.attrs):
        node = file[_one(nodes(file, lambda n: len(n.attrs) > 0) or ["/"], chance)]
    name = _one(list(node.attrs), chance)
    value = np.asarray(node.attrs[name])
    new = chance.choice(
        (None, 3, b"x", [], [b"a", b"b"], np.zeros((2, 2)), b"\xff\xfe", h5py.Empty("f4"), 10**15)
    )
    if value.ndim == 1 and len(value) and chance.random() < 0.5:
        new = chance.choice((value[::-1], value[:-1], np.concatenate([value, value])))
    del node.attrs[name]
    if new is not None:
        node.attrs[name] = new


def version(file: Any, chance: random.Random) -> None:
    """Another version, or none that could be."""
    file[_one(["/", *nodes(file)], chance)].attrs["keras_version"] = chance.choice(VERSIONS)


def odd_array(values: Array, chance: random.Random) -> Any:
    """Weights of another shape or type."""
    choices: tuple[Callable[[], Any], ...] = (
        lambda: values[..., :-1] if values.ndim else values,
        lambda: values.T,
        lambda: values.reshape(-1),
        lambda: np.zeros((0, *values.shape), np.float32),
        lambda: values.astype(chance.choice(("f2", "f8", "i4", "u1", ">f4", "?", "c8", "S3"))),
        lambda: np.float32(3),
        lambda: np.full(values.shape, np.nan, np.float32),
        lambda: np.zeros(chance.choice(((1,), (1, 4), (4, 16), (0, 0), (1, 1, 1, 1))), "f4"),
    )
    with np.errstate(all="ignore"):
        return chance.choice(choices)()


CHANGES = (config, key, removed, moved, array, attribute, version)


def several(file: Any, chance: random.Random) -> None:
    """Several changes at once."""
    for _ in range(3):
        chance.choice(CHANGES)(file, chance)


def _damage(
    change: Callable[[Any, random.Random], None],
) -> Callable[[bytes, random.Random], bytes]:
    def damage(content: bytes, chance: random.Random) -> bytes:
        target = BytesIO()
        with h5py.File(BytesIO(content), "r") as source, h5py.File(target, "w") as file:
            for name in source:
                source.copy(name, file)
            for name, value in source.attrs.items():
                file.attrs[name] = value
            change(file, chance)
        return target.getvalue()

    damage.__name__ = f"hdf5_{change.__name__}"
    return damage


DAMAGES = tuple(_damage(change) for change in (*CHANGES, several))
