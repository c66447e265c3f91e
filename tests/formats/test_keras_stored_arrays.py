"""Which arrays belong to which layer: frozen parts, shared layers; and other ways to store them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import COMMITTED, FLOAT32, Array, in_order, scaled_error

import lstm_cli

FROZEN = COMMITTED / "keras3" / "k3.15.1_tensorflow_frozen_in_nested.h5"


def numbers(path: Path) -> tuple[list[Array], list[Array]]:
    with np.load(path.with_suffix(".npz")) as arrays:
        found = dict(arrays)
    return in_order(found, "x"), in_order(found, "y")


def error(path: Path, like: Path) -> float:
    """The largest scaled difference from the framework's outputs for ``like``."""
    inputs, expected = numbers(like)
    model = lstm_cli.load(path)
    found = list(lstm_cli.run(model, inputs[0], named=True).values())
    return max(scaled_error(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "name",
    [
        "keras3/k3.15.1_tensorflow_frozen_forward.h5",
        "keras3/k3.15.1_tensorflow_frozen_in_nested.h5",
        "tfkeras2/tf2.15.1_frozen_forward.h5",
        "tfkeras2/tf2.15.1_frozen_in_nested.h5",
    ],
)
def test_a_frozen_forward_layer_is_stored_behind_the_backward_one(name: str) -> None:
    path = COMMITTED / name
    with h5py.File(path) as file:
        groups = file["model_weights"].values()
        names = [str(n) for g in groups for n in g.attrs["weight_names"] if "ward_" in str(n)]
    assert "backward_" in names[0]
    assert "forward_" in names[-1]
    assert error(path, path) <= FLOAT32


@pytest.mark.parametrize(
    "name",
    [
        "keras3/k3.15.1_tensorflow_shared_in_nested.keras",
        "keras3/k3.15.1_tensorflow_td_shared.keras",
        "tfkeras2/tf2.15.1_shared_in_nested.keras",
        "tfkeras2/tf2.15.1_td_shared.keras",
    ],
)
def test_a_layer_that_stands_in_two_places_is_stored_once(name: str) -> None:
    path = COMMITTED / name
    assert error(path, path) <= FLOAT32


@pytest.mark.parametrize(
    "name",
    [
        "keras3/k3.15.1_tensorflow_nested_outputs.keras",
        "keras3/k3.15.1_tensorflow_nested_outputs.h5",
        "tfkeras2/tf2.12.1_nested_outputs.keras",
    ],
)
def test_outputs_that_a_nested_model_returns_are_those_of_the_right_call(name: str) -> None:
    path = COMMITTED / name
    assert error(path, path) <= FLOAT32


def test_states_of_stacked_cells_are_passed_on() -> None:
    path = COMMITTED / "keras3" / "k3.15.1_tensorflow_stacked_states.keras"
    assert error(path, path) <= FLOAT32


def rewritten(
    target: Path,
    attribute: Callable[[Any], Any] = lambda value: value,
    without: tuple[str, ...] = (),
    user_block: int = 0,
    **storage: Any,
) -> Path:
    """A copy of the frozen model's file, with other attributes or storage."""

    def copy(source: Any, place: Any) -> None:
        for key, value in source.attrs.items():
            if key not in without:
                place.attrs[key] = attribute(value)

    kwargs = {"userblock_size": user_block} if user_block else {}
    with h5py.File(FROZEN) as source, h5py.File(target, "w", **kwargs) as file:
        copy(source, file)

        def visit(name: str, node: Any) -> None:
            if isinstance(node, h5py.Group):
                copy(node, file.require_group(name))
            else:
                file.create_dataset(name, data=node[()], **storage)

        source.visititems(visit)
    return target


def as_text(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        texts = [v.decode() if isinstance(v, bytes) else str(v) for v in value]
        return np.array(texts, dtype=h5py.string_dtype())
    return value.decode() if isinstance(value, bytes) else value


def as_bytes(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.array([v if isinstance(v, bytes) else str(v).encode() for v in value], dtype="S")
    return np.bytes_(value.encode()) if isinstance(value, str) else value


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip", "shuffle": True},
        {"compression": "lzf", "fletcher32": True},
        {"attribute": as_text},
        {"attribute": as_bytes},
        {"without": ("keras_version", "backend")},
        {"user_block": 512},
        {"user_block": 8192},
        {"dtype": ">f4"},
    ],
    ids=["gzip", "lzf", "text", "bytes", "no version", "user block", "large user block", "endian"],
)
def test_other_ways_to_store_the_same_model(tmp_path: Path, options: dict[str, Any]) -> None:
    assert error(rewritten(tmp_path / "model.bin", **options), FROZEN) <= FLOAT32


def test_the_file_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    copy = shutil.copy(FROZEN, tmp_path / "weights.pt")
    assert error(Path(copy), FROZEN) <= FLOAT32
