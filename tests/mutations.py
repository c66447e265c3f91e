"""Files with damage in them: the mutations, and what is tried with each mutated file.

Run as a script it tries many and prints, as JSON, what became of them:
``python tests/mutations.py FOLDER FIRST_SEED COUNT FILE…``. A separate process has limits of its
own for memory, and a crash of libhdf5 is seen as such.
"""

from __future__ import annotations

import copy
import faulthandler
import json
import random
import resource
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from golden_files import Array

import lstm_cli

MEMORY = 2 * 2**30
"""Address space of the process, its libraries included: what a file of 100 kB may take."""
SECONDS = 20.0
"""The longest that one file may take; most take a hundredth of a second."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 4, 10**9, 10**30, -(10**30), 0.5, 1e300),
    *(float("nan"), float("inf"), "", "x", "4", "relu", "softmax", "lstm", "é\x00\ud800", ".."),
    *([], {}, [1], [0], [-1], [None], [1, 2, 3], ["a"], [[["a", 0, 0]]], [10**9], [10**9] * 2),
    *({"a": 1}, {"class_name": "LSTM", "config": {}}, {"class_name": "Sequential", "config": []}),
    {"class_name": "__keras_tensor__", "config": {"keras_history": ["lstm", 0, 0]}},
    {"class_name": "__tensor__", "config": {"value": [[1.0]]}},
    *("channels_first", "same", "causal", "float64", "float16", "int32"),
)
CLASSES = (
    "LSTM GRU SimpleRNN Bidirectional TimeDistributed RNN LSTMCell StackedRNNCells Dense Embedding "
    "Masking Reshape Flatten Permute RepeatVector Concatenate Add Dot Attention Conv1D Conv2D "
    "MaxPooling1D BatchNormalization LayerNormalization Lambda Merge TFOpLambda TensorFlowOpLayer "
    "Softmax Normalization Rescaling UpSampling1D Cropping1D ZeroPadding1D PReLU Sequential "
    "GlobalAveragePooling1D AdditiveAttention Model Functional InputLayer Dropout Activation "
    "SeparableConv1D Multiply Split GetItem Cast Where CuDNNLSTM CuDNNGRU MultiHeadAttention"
).split()
KEYS = (
    "units initial_state mask training axis go_backwards layers cell layer name class_name config "
    "return_state stateful time_major reset_after use_bias dtype inbound_nodes batch_shape mode"
).split()
VERSIONS = ("1.2.2", "2.0.0", "2.1.6-tf", "2.2.4-tf", "2.3.0-tf", "3.15.1", "0", "x", "99.9", 5)


# -- JSON


def places(value: Any, front: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a document."""
    if front:
        yield front
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from places(entry, (*front, key))
    elif isinstance(value, list):
        for k, entry in enumerate(value):
            yield from places(entry, (*front, k))


def at(document: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def mutate_json(document: Any, chance: random.Random) -> Any:
    """A copy with a few values removed, replaced, copied elsewhere or put into another order."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        found = list(places(document))
        if not found:
            break
        place = chance.choice(found)
        parent, key = at(document, place[:-1]), place[-1]
        other = copy.deepcopy(at(document, chance.choice(found)))
        _change(parent, key, other, chance)
    return document


def _change(parent: Any, key: Any, other: Any, chance: random.Random) -> None:
    value, kind = parent[key], chance.randrange(8)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        parent[key] = other
    elif kind == 2 and isinstance(parent, list):
        chance.shuffle(parent)
    elif kind == 3 and isinstance(parent, list):
        parent.insert(chance.randrange(len(parent) + 1), copy.deepcopy(value))
    elif kind == 3:
        parent[chance.choice(KEYS)] = copy.deepcopy(chance.choice(VALUES))
    elif isinstance(value, bool):
        parent[key] = not value
    elif kind < 6 and isinstance(value, int):
        parent[key] = value + chance.choice((-2, -1, 1, 2))
    elif kind < 6 and isinstance(value, str):
        parent[key] = chance.choice(CLASSES)
    else:
        parent[key] = copy.deepcopy(chance.choice(VALUES))


# -- HDF5


def mutate_hdf5(content: bytes, chance: random.Random) -> bytes:
    """A copy with groups, datasets and attributes removed, renamed or replaced."""
    target = BytesIO()
    with h5py.File(BytesIO(content), "r") as source, h5py.File(target, "w") as file:
        for name in source:
            source.copy(name, file)
        for name, value in source.attrs.items():
            file.attrs[name] = value
        for _ in range(chance.choice((1, 1, 2, 3))):
            _change_hdf5(file, chance)
    return target.getvalue()


def _change_hdf5(file: Any, chance: random.Random) -> None:
    names: list[str] = []
    file.visit(names.append)
    kind = chance.randrange(8)
    if kind < 3 and "model_config" in file.attrs:
        document = json.loads(file.attrs["model_config"])
        text = json.dumps(mutate_json(document, chance)).encode()
        del file.attrs["model_config"]
        file.attrs.create("model_config", text, dtype=h5py.string_dtype())
        return
    name = chance.choice(names)
    node = file[name]
    if kind == 3:
        del file[name]
    elif kind == 4 and isinstance(node, h5py.Dataset) and node.dtype.kind == "f":
        array = odd_array(np.asarray(node[()]), chance)
        del file[name]
        file[name] = array
    elif kind == 5:
        moved = name + chance.choice(("x", "_1", "_99999999999999999999", "\\a", "é"))
        file.move(name, moved)
    elif kind == 6 and len(node.attrs):
        _change_attribute(node, chance.choice(list(node.attrs)), chance)
    else:
        chance.choice((file, node)).attrs["keras_version"] = chance.choice(VERSIONS)


def _change_attribute(node: Any, name: str, chance: random.Random) -> None:
    value = np.asarray(node.attrs[name])
    new = chance.choice(
        (None, 3, b"x", [], [b"a", b"b"], np.zeros((2, 2)), b"\xff\xfe", h5py.Empty("f4"), 10**15)
    )
    if value.ndim == 1 and len(value) and chance.random() < 0.5:
        new = chance.choice((value[::-1], value[:-1], np.concatenate([value, value])))
    del node.attrs[name]
    if new is not None:
        node.attrs[name] = new


def odd_array(array: Array, chance: random.Random) -> Any:
    """Weights of another shape or type."""
    choices: tuple[Callable[[], Any], ...] = (
        lambda: array[..., :-1] if array.ndim else array,
        lambda: array.T,
        lambda: array.reshape(-1),
        lambda: np.zeros((0, *array.shape), np.float32),
        lambda: array.astype(chance.choice(("f2", "f8", "i4", "u1", ">f4", "?", "c8", "S3"))),
        lambda: np.float32(3),
        lambda: np.full(array.shape, np.nan, np.float32),
        lambda: np.zeros(chance.choice(((1,), (1, 4), (4, 16), (0, 0), (1, 1, 1, 1))), "f4"),
    )
    with np.errstate(all="ignore"):
        return chance.choice(choices)()


# -- bytes


def flip(content: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, half of them near the beginning, where the structure is."""
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        end = len(damaged) if chance.random() < 0.5 else min(len(damaged), 4096)
        position = chance.randrange(end)
        damaged[position] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def mutate(content: bytes, chance: random.Random) -> bytes:
    """A golden file with damage of one kind or another."""
    if content.startswith(b"{"):
        return json.dumps(mutate_json(json.loads(content), chance)).encode()
    kind = chance.randrange(8)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    if kind == 1:
        return flip(content, chance)
    if not content.startswith(b"PK"):
        return flip(content, chance) if kind == 2 else mutate_hdf5(content, chance)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(members))
    if kind == 2:
        members[name] = flip(members[name], chance)
    elif kind == 3:
        del members[name]
    elif kind == 4:
        members["model.weights.h5"] = mutate_hdf5(members["model.weights.h5"], chance)
    else:
        document = json.loads(members["config.json"])
        members["config.json"] = json.dumps(mutate_json(document, chance)).encode()
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return target.getvalue()


# -- what is tried


def attempt(path: Path) -> list[str]:
    """Load, inspect, list weights, run, trace: ``ok`` or the kind of error of each.

    Raises:
        Exception: whatever is not an ``LstmCliError``.
    """
    try:
        model = lstm_cli.load(path)
    except lstm_cli.LstmCliError as error:
        return [_sentence(error)]
    tries: list[Callable[[], Any]] = [
        lambda: json.dumps(lstm_cli.inspect(model)),
        lambda: lstm_cli.weights(model),
    ]
    x = {entry.name: _numbers(entry.shape, entry.dtype) for entry in model.inputs}
    if model.has_graph and all(array is not None for array in x.values()):
        tries += [lambda: lstm_cli.run(model, x), lambda: lstm_cli.trace(model, x)]
    for layer in model.lstm_layers[:4]:
        size = layer.recurrent.input_size if layer.recurrent else 0
        one, name = np.ones((2, 3, size), np.float32), layer.address
        tries += [
            partial(lstm_cli.trace, model, one, layer=name, direct=True),
            partial(lstm_cli.run, model, one, layer=name, direct=True),
        ]
    return ["ok", *(_outcome(each) for each in tries)]


def _outcome(action: Callable[[], Any]) -> str:
    try:
        action()
    except lstm_cli.LstmCliError as error:
        return _sentence(error)
    return "ok"


def _sentence(error: lstm_cli.LstmCliError) -> str:
    text = str(error)
    if not text.strip() or "\n" in text:
        raise ValueError(f"a {type(error).__name__} is not one sentence: {text!r}")
    return type(error).__name__


def _numbers(shape: tuple[int | None, ...] | None, dtype: str) -> Array | None:
    """An input of a declared shape, 3 for every open axis; None where that is very large."""
    sizes = [2, *(3 if n is None else n for n in (shape or (None, None, 3))[1:])]
    if np.prod([float(n) for n in sizes]) > 1e7:
        return None
    return np.ones(sizes, np.int64 if "int" in dtype else np.float32)


def attempts(folder: Path, first: int, count: int, files: list[Path]) -> dict[str, Any]:
    """Try ``count`` mutations; how often each outcome came, and everything that went wrong."""
    outcomes: dict[str, int] = {}
    wrong: list[str] = []
    path = folder / f"mutated_{first}"
    for seed in range(first, first + count):
        chance = random.Random(seed)
        source = chance.choice(files)
        try:
            content = mutate(source.read_bytes(), chance)
        except (ValueError, TypeError, KeyError, OSError, RecursionError, UnicodeEncodeError):
            continue  # the damage could not be written down
        path.write_bytes(content)
        (folder / "last").write_text(f"seed {seed} of {source.name}")
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        start = time.monotonic()
        try:
            found = attempt(path)
        except Exception:
            found = ["wrong"]
            wrong.append(f"seed {seed} of {source.name}: {traceback.format_exc(limit=-3)}")
        finally:
            faulthandler.cancel_dump_traceback_later()
        if time.monotonic() - start > SECONDS / 2:
            wrong.append(f"seed {seed} of {source.name}: {time.monotonic() - start:.0f} seconds")
        for outcome in found:
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return {"outcomes": outcomes, "wrong": wrong}


def main(folder: str, first: str, count: str, *files: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    found = attempts(Path(folder), int(first), int(count), [Path(file) for file in files])
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
