"""Every layer against the framework's own numbers: ``tests/golden/layers``, made by
``tests/golden/make_layers.py``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lstm_cli.engine.layers import RULES
from lstm_cli.engine.tensor import Tensor
from lstm_cli.model import Activation, Array, Operation

FOLDER = Path(__file__).parents[2] / "golden" / "layers"
CASES = sorted(path.stem for path in FOLDER.glob("*.npz"))

WITHOUT_A_CASE = {"op_identity"}
"""Raw TensorFlow's, which ``keras.ops`` lacks."""


@cache
def stored(name: str) -> dict[str, Array]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


class Case(NamedTuple):
    operation: Operation
    inputs: list[Tensor]
    outputs: list[Tensor]


def read(name: str, dtype: Any = np.float32) -> Case:
    file = stored(name)
    arrays = {key: _in(array, dtype) for key, array in file.items() if key != "case"}
    head = json.loads(file["case"].item())
    settings = {key: _decoded(key, value) for key, value in head["settings"].items()}
    weights = {
        key.removeprefix("weight_"): value
        for key, value in arrays.items()
        if key.startswith("weight_")
    }
    return Case(
        Operation(head["operation"], settings, weights),
        _tensors(arrays, "input", "mask"),
        _tensors(arrays, "output", "output_mask"),
    )


def _in(array: Array, dtype: Any) -> Array:
    return array.astype(dtype if array.dtype.kind == "f" else array.dtype)


def _decoded(key: str, value: Any) -> Any:
    if key == "activation":
        return Activation(**value)
    return tuple(map(_index, value)) if key == "key" else value


def _index(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return slice(*value["slice"]) if "slice" in value else ...


def _tensors(arrays: dict[str, Array], name: str, mask: str) -> list[Tensor]:
    count = sum(key.rsplit("_", 1)[0] == name for key in arrays)
    return [Tensor(arrays[f"{name}_{k}"], arrays.get(f"{mask}_{k}")) for k in range(count)]


def compute(operation: Operation, inputs: list[Tensor]) -> list[Tensor]:
    found = RULES[operation.name].compute(operation, inputs)
    return found if isinstance(found, list) else [found]


def has_floats(name: str) -> bool:
    case = read(name)
    arrays = [x.array for x in case.inputs] + list(case.operation.weights.values())
    return any(array.dtype.kind == "f" for array in arrays)


def is_stepwise(name: str) -> bool:
    case = read(name)
    return RULES[case.operation.name].stepwise(case.operation, [x.array.ndim for x in case.inputs])


@pytest.mark.parametrize("name", CASES)
def test_layer_gives_what_the_framework_gives(name: str) -> None:
    operation, inputs, outputs = read(name)

    found = compute(operation, inputs)

    assert len(found) == len(outputs)
    for ours, theirs in zip(found, outputs, strict=True):
        # float32 sums in another order: 1e-5 of the largest value covers what was seen (4e-7).
        finite = theirs.array[np.isfinite(theirs.array)]
        tolerance = 1e-5 * max(1.0, float(np.max(np.abs(finite), initial=0)))
        np.testing.assert_allclose(ours.array, theirs.array, rtol=0, atol=tolerance)
        assert ours.array.shape == theirs.array.shape
        if theirs.array.dtype.kind in "fb":
            assert ours.array.dtype == theirs.array.dtype
        if theirs.mask is None:
            assert ours.mask is None
        else:
            np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_every_layer_has_a_golden_case() -> None:
    tested = {read(name).operation.name for name in CASES}

    assert set(RULES) - tested == WITHOUT_A_CASE


@pytest.mark.parametrize("name", CASES)
def test_inputs_and_weights_are_not_written_to(name: str) -> None:
    operation, inputs, _ = read(name)
    before = [x.array.copy() for x in inputs]
    for array in (*operation.weights.values(), *(x.array for x in inputs)):
        array.flags.writeable = False

    compute(operation, inputs)

    for x, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x.array, copy)


@pytest.mark.parametrize("name", [name for name in CASES if has_floats(name)])
def test_double_precision_stays_double(name: str) -> None:
    operation, inputs, outputs = read(name, np.float64)

    found = compute(operation, inputs)

    kinds = [theirs.array.dtype for theirs in outputs]
    assert [ours.array.dtype for ours in found if ours.array.dtype.kind == "f"] == [
        dtype for dtype in kinds if dtype.kind == "f"
    ]


@pytest.mark.parametrize("name", [name for name in CASES if is_stepwise(name)])
def test_a_stepwise_layer_can_be_cut_in_time(name: str) -> None:
    operation, inputs, _ = read(name)
    whole = compute(operation, inputs)
    rank, steps = max((x.array.ndim, x.array.shape[1]) for x in inputs if x.array.ndim > 1)

    for part in (slice(0, 2), slice(2, steps)):
        cut = [_cut(x, part) if x.array.ndim == rank else x for x in inputs]
        for ours, all_steps in zip(compute(operation, cut), whole, strict=True):
            # The same sums in the same order: equal to the last bit.
            np.testing.assert_array_equal(ours.array, all_steps.array[:, part])
            if all_steps.mask is None:
                assert ours.mask is None
            else:
                np.testing.assert_array_equal(ours.mask, all_steps.mask[:, part])


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("op_")])
def test_a_layer_takes_no_sequences_too(name: str) -> None:
    operation, inputs, outputs = read(name)

    found = compute(operation, [_first(x, 0) for x in inputs])

    shapes = [theirs.array.shape for theirs in outputs]
    assert [ours.array.shape for ours in found] == [(0, *shape[1:]) for shape in shapes]


def _first(x: Tensor, count: int) -> Tensor:
    return Tensor(x.array[:count], None if x.mask is None else x.mask[:count])


def _cut(x: Tensor, part: slice) -> Tensor:
    return Tensor(x.array[:, part], None if x.mask is None else x.mask[:, part])


def test_there_are_golden_cases() -> None:
    assert len(CASES) > 250
    assert sum(map(is_stepwise, CASES)) > 120
