"""Small Keras files, made by hand with h5py and zipfile, and the LSTM equations written out."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from golden_files import Array

Arrays = Sequence[Array]


def random_lstm(seed: int, features: int, units: int) -> list[Array]:
    """Kernel (F, 4U), recurrent kernel (U, 4U) and bias (4U,), columns i f c o as in Keras."""
    numbers = np.random.default_rng(seed)
    shapes = ((features, 4 * units), (units, 4 * units), (4 * units,))
    return [numbers.normal(0, 0.7, shape).astype(np.float32) for shape in shapes]


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def hard_sigmoid(slope: float) -> Callable[[Array], Array]:
    return lambda z: np.clip(slope * z + 0.5, 0, 1)


def lstm_by_hand(
    x: Array,
    kernel: Array,
    recurrent: Array,
    bias: Array | None = None,
    *,
    gate: Callable[[Array], Array] = sigmoid,
    act: Callable[[Array], Array] = np.tanh,
) -> dict[str, Array]:
    """The equations, step by step in float64: i f g o c h, each (B, T, U)."""
    x, kernel, recurrent = (np.asarray(a, np.float64) for a in (x, kernel, recurrent))
    units = len(recurrent)
    h = c = np.zeros((len(x), units))
    steps: dict[str, list[Array]] = {name: [] for name in "ifgoch"}
    for t in range(x.shape[1]):
        z = x[:, t] @ kernel + h @ recurrent + (0 if bias is None else bias)
        i, f, o = (gate(z[:, k * units : (k + 1) * units]) for k in (0, 1, 3))
        g = act(z[:, 2 * units : 3 * units])
        c = f * c + i * g
        h = o * act(c)
        for name, value in zip("ifgoch", (i, f, g, o, c, h), strict=True):
            steps[name].append(value)
    return {name: np.stack(values, axis=1) for name, values in steps.items()}


# -- architectures


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, "trainable": True, **config}}


def lstm(name: str, units: int, **config: Any) -> dict[str, Any]:
    """An LSTM layer as Keras 2 and later write it."""
    settings = {
        "units": units,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "return_sequences": True,
    }
    return layer("LSTM", name, **{**settings, **config})


def sequential(*layers: dict[str, Any], shape: Sequence[int | None] = (None, None, 3)) -> Any:
    """A Sequential whose first layer declares the input."""
    first = {**layers[0], "config": {"batch_input_shape": list(shape), **layers[0]["config"]}}
    return {
        "class_name": "Sequential",
        "config": {"name": "sequential", "layers": [first, *layers[1:]]},
    }


# -- files

Groups = Mapping[str, Mapping[str, Array]]
"""For each layer its arrays by name, in the file's order."""


def write_groups(root: Any, groups: Groups) -> None:
    """The legacy layout: ``layer_names``, and a group with ``weight_names`` for each layer."""
    root.attrs["layer_names"] = [name.encode() for name in groups]
    for name, arrays in groups.items():
        group = root.create_group(name)
        group.attrs["weight_names"] = [entry.encode() for entry in arrays]
        for entry, array in arrays.items():
            group[entry] = array


def write_hdf5(
    path: Path, architecture: Any, groups: Groups, version: str = "2.4.0", backend: str = ""
) -> Path:
    """A whole-model ``.h5`` file; weights alone where there is no architecture."""
    with h5py.File(path, "w") as file:
        if version:
            file.attrs["keras_version"] = version.encode()
        if backend:
            file.attrs["backend"] = backend.encode()
        if architecture is None:
            write_groups(file, groups)
        else:
            file.attrs["model_config"] = json.dumps(architecture).encode()
            write_groups(file.create_group("model_weights"), groups)
    return path


Tree = Mapping[str, Arrays]
"""Arrays by the path of their ``vars`` group."""


def path_weights(tree: Tree, names: Mapping[str, str] | None = None) -> bytes:
    """A ``.weights.h5`` file of the path layout."""
    content = BytesIO()
    with h5py.File(content, "w") as file:
        for place, arrays in tree.items():
            group = file.create_group(f"{place}/vars".lstrip("/"))
            for k, array in enumerate(arrays):
                group[str(k)] = array
            if names and place in names:
                group.attrs["name"] = names[place]
    return content.getvalue()


def write_archive(
    path: Path,
    architecture: Any,
    tree: Tree,
    version: str = "3.15.1",
    names: Mapping[str, str] | None = None,
) -> Path:
    """A ``.keras`` archive."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(architecture))
        archive.writestr("model.weights.h5", path_weights(tree, names))
    return path


def edited(path: Path, folder: Path, change: Callable[[Any], object]) -> Path:
    """A copy of a whole-model ``.h5`` or ``.keras`` file with its architecture changed in place."""
    target = folder / f"edited_{path.name}"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
            for member in source.namelist():
                content = source.read(member)
                if member == "config.json":
                    document = json.loads(content)
                    change(document)
                    content = json.dumps(document).encode()
                archive.writestr(member, content)
        return target
    target.write_bytes(path.read_bytes())
    with h5py.File(target, "r+") as file:
        document = json.loads(file.attrs["model_config"])
        change(document)
        file.attrs["model_config"] = json.dumps(document).encode()
    return target


def configs(document: Any, class_name: str = "LSTM") -> list[dict[str, Any]]:
    """The configs of every layer of a class, wherever they are in an architecture."""
    found: list[dict[str, Any]] = []
    if isinstance(document, dict):
        if document.get("class_name") == class_name and isinstance(document.get("config"), dict):
            found.append(document["config"])
        document = list(document.values())
    if isinstance(document, list):
        for entry in document:
            found += configs(entry, class_name)
    return found
