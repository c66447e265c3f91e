"""New shapes that a graph computes from the shape of what it reshapes, as exporters write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx_files import X, graph, model, node, saved, tensor, weights

import lstm_cli
from lstm_cli.model import Array, Foreign, Operation

NUMBERS = {"n0": [0], "n1": [1], "n2": [2], "n3": [3], "n4": [4], "minus": [-1], "four": [4]}


def opened(folder: Path, nodes: Sequence[bytes]) -> lstm_cli.Model:
    """A bidirectional LSTM of 2 units, Y as ``y`` of (T, B, D, U), and nodes that reshape it."""
    front = [
        node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm", hidden_size=2, direction="bidirectional"),
        node("Transpose", ["Y"], ["y"], "turn", perm=[0, 2, 1, 3]),
    ]
    tensors = [*weights(ways=2), *(tensor(k, np.array(v)) for k, v in NUMBERS.items())]
    return lstm_cli.load(saved(folder, model(graph([*front, *nodes], [X], ["out"], tensors), 17)))


def sizes(picked: str) -> list[bytes]:
    """The first two sizes of ``y`` as they are, and the product of the others."""
    if picked == "Slice":
        return [
            node("Shape", ["y"], ["shape"]),
            *(node("Slice", ["shape", f"n{k}", f"n{k + 1}"], [f"s{k}"]) for k in range(4)),
        ]
    if picked == "Gather":
        return [
            node("Shape", ["y"], ["shape"]),
            *(node("Gather", ["shape", f"n{k}"], [f"s{k}"]) for k in range(4)),
        ]
    return [node("Shape", ["y"], [f"s{k}"], start=k, end=k + 1) for k in range(4)]


FLATTEN = [
    node("Mul", ["s2", "s3"], ["product"]),
    node("Reshape", ["product", "minus"], ["rest"]),
    node("Concat", ["s0", "s1", "rest"], ["sizes"], axis=0),
    node("Reshape", ["y", "sizes"], ["out"], "flat"),
]

TIMES_FIRST = np.random.default_rng(2).normal(size=(5, 3, 3)).astype(np.float32)


def is_native(found: lstm_cli.Model) -> bool:
    return not any(isinstance(layer.operation, Foreign) for layer in found.layers)


def by_hand(found: lstm_cli.Model) -> Array:
    """The directions of each step side by side, from the layer's own h."""
    trace = lstm_cli.trace(found, TIMES_FIRST, layer="lstm")
    assert isinstance(trace, lstm_cli.Traces)
    h = np.concatenate([trace["forward"].h, trace["backward"].h], axis=-1)
    return np.asarray(h.swapaxes(0, 1))


@pytest.mark.parametrize("picked", ["Slice", "Gather", "Shape"])
def test_axes_that_stay_and_axes_that_become_one(tmp_path: Path, picked: str) -> None:
    found = opened(tmp_path, [*sizes(picked), *FLATTEN])
    assert is_native(found)
    np.testing.assert_array_equal(lstm_cli.run(found, TIMES_FIRST), by_hand(found))
    (output,) = found.outputs
    assert (output.batch_axis, output.steps_axis) == (1, 0)


def test_sizes_that_other_operators_hand_on(tmp_path: Path) -> None:
    nodes = [
        *sizes("Slice"),
        node("Cast", ["s0"], ["t0"], to=7),
        node("Squeeze", ["t0"], ["t1"]),
        node("Unsqueeze", ["t1", "n0"], ["t2"]),
        node("Concat", ["t2", "s1", "four"], ["sizes"], axis=0),
        node("Reshape", ["y", "sizes"], ["out"], "flat"),
    ]
    found = opened(tmp_path, nodes)
    assert is_native(found)
    np.testing.assert_array_equal(lstm_cli.run(found, TIMES_FIRST), by_hand(found))


def test_only_what_computes_the_shape_is_left_out(tmp_path: Path) -> None:
    found = opened(tmp_path, [*sizes("Slice"), *FLATTEN])
    names = [layer.kind for layer in found.layers if isinstance(layer.operation, Operation)]
    assert names == ["Input", "Transpose", "Reshape"]


@pytest.mark.parametrize(
    "concat",
    [
        ["s1", "s0", "rest"],  # sizes in another order: two that are not known
        ["s0", "shape", "rest"],  # a whole shape, not one size
        ["s0", "product", "rest"],
        ["s0", "minus", "rest"],  # two that are left
        ["pair", "rest"],  # a slice of two
    ],
)
def test_what_is_not_certain_is_left_to_a_library(tmp_path: Path, concat: list[str]) -> None:
    nodes = [
        *sizes("Slice"),
        node("Slice", ["shape", "n0", "n2"], ["pair"]),
        *FLATTEN[:2],
        node("Concat", concat, ["sizes"], axis=0),
        FLATTEN[-1],
    ]
    assert not is_native(opened(tmp_path, nodes))


def test_the_shape_of_something_else(tmp_path: Path) -> None:
    """What X is long, y may not be: two sizes that are not known."""
    nodes = [
        node("Shape", ["X"], ["shape"]),
        *(node("Slice", ["shape", f"n{k}", f"n{k + 1}"], [f"s{k}"]) for k in range(2)),
        node("Concat", ["s0", "s1", "four"], ["sizes"], axis=0),
        node("Reshape", ["y", "sizes"], ["out"], "flat"),
    ]
    assert not is_native(opened(tmp_path, nodes))
