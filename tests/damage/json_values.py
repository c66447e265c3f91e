"""Damage to JSON documents: keys removed, values of another type, numbers a little off."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 4, 10**9, 10**30, -(10**30), 0.5, 1e300),
    *(float("nan"), float("inf"), "", "x", "4", "relu", "softmax", "lstm", "é\x00\ud800", ".."),
    *([], {}, [1], [0], [-1], [None], [1, 2, 3], ["a"], [[["a", 0, 0]]], [10**9], [10**9] * 2),
    *({"a": 1}, {"class_name": "LSTM", "config": {}}, {"class_name": "Sequential", "config": []}),
    {"class_name": "__keras_tensor__", "config": {"keras_history": ["lstm", 0, 0]}},
    {"class_name": "__tensor__", "config": {"value": [[1.0]]}},
    *("channels_first", "same", "causal", "float64", "float16", "int32", "F8_E5M2", "../x"),
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

Place = tuple[Any, ...]


def places(value: Any, front: Place = ()) -> Iterator[Place]:
    """The path of every value inside a document."""
    if front:
        yield front
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from places(entry, (*front, key))
    elif isinstance(value, list):
        for k, entry in enumerate(value):
            yield from places(entry, (*front, k))


def at(document: Any, place: Place) -> Any:
    """The value at a place."""
    for key in place:
        document = document[key]
    return document


def _chosen(
    document: Any, chance: random.Random, wanted: Callable[[Any], bool] = lambda value: True
) -> tuple[Any, Any]:
    """What holds a value of the wanted kind, and under which key."""
    found = [place for place in places(document) if wanted(at(document, place))]
    if not found:
        raise ValueError("the document holds no such value")
    place = chance.choice(found)
    return at(document, place[:-1]), place[-1]


def remove(document: Any, chance: random.Random) -> None:
    """Take away a key or an entry of a list."""
    parent, key = _chosen(document, chance)
    del parent[key]


def retype(document: Any, chance: random.Random) -> None:
    """Put any other value in a value's place."""
    parent, key = _chosen(document, chance)
    parent[key] = copy.deepcopy(chance.choice(VALUES))


def renumber(document: Any, chance: random.Random) -> None:
    """Make a number a little larger or smaller, a flag its opposite."""
    parent, key = _chosen(document, chance, lambda value: isinstance(value, int))
    value = parent[key]
    parent[key] = not value if isinstance(value, bool) else value + chance.choice((-2, -1, 1, 2))


def rename(document: Any, chance: random.Random) -> None:
    """Make a text the name of a class."""
    parent, key = _chosen(document, chance, lambda value: isinstance(value, str))
    parent[key] = chance.choice(CLASSES)


def move(document: Any, chance: random.Random) -> None:
    """Put a value where another one is, or a list into another order."""
    parent, key = _chosen(document, chance)
    if isinstance(parent, list) and len(parent) > 1 and chance.random() < 0.5:
        chance.shuffle(parent)
    else:
        other, place = _chosen(document, chance)
        parent[key] = copy.deepcopy(other[place])


def add(document: Any, chance: random.Random) -> None:
    """Add a key that means something elsewhere, or an entry of a list once again."""
    parent, key = _chosen(document, chance)
    if isinstance(parent, list):
        parent.insert(chance.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
    else:
        parent[chance.choice(KEYS)] = copy.deepcopy(chance.choice(VALUES))


CHANGES = (remove, retype, renumber, rename, move, add)


def several(document: Any, chance: random.Random) -> None:
    """Several changes at once."""
    for _ in range(4):
        chance.choice(CHANGES)(document, chance)


def _damage(
    change: Callable[[Any, random.Random], None],
) -> Callable[[bytes, random.Random], bytes]:
    def damage(content: bytes, chance: random.Random) -> bytes:
        document = json.loads(content)
        change(document, chance)
        return json.dumps(document).encode()

    damage.__name__ = f"json_{change.__name__}"
    return damage


DAMAGES = tuple(_damage(change) for change in (*CHANGES, several))
