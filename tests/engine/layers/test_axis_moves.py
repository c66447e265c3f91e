"""Where operations put an axis, beside arrays that show it: along that axis alone they count up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm_cli.engine.layers import RULES
from lstm_cli.engine.layers.axis_moves import MOVES
from lstm_cli.engine.tensor import Tensor
from lstm_cli.model import Operation

# An operation, the shape it gets, its settings, and where it puts each axis; None where that is
# lost, or where it cannot be told from the shapes alone.
Case = tuple[str, tuple[int, ...], dict[str, Any], tuple[int | None, ...]]
CASES: list[Case] = [
    ("op_transpose", (2, 3, 4), {"axes": (1, 2, 0)}, (2, 0, 1)),
    ("op_transpose", (2, 3, 4, 5), {"axes": (0, -2, 1, 3)}, (0, 2, 1, 3)),
    ("op_transpose", (2, 3, 4), {"axes": None}, (2, 1, 0)),
    ("op_swapaxes", (2, 3, 4), {"axis1": 0, "axis2": -1}, (2, 1, 0)),
    ("permute", (2, 3, 4, 5), {"dims": (3, 1, 2)}, (0, 2, 3, 1)),
    ("op_squeeze", (2, 1, 3, 1), {"axis": (1, -1)}, (0, None, 1, None)),
    ("op_squeeze", (1, 2, 3), {"axis": 0}, (None, 0, 1)),
    ("op_squeeze", (2, 1, 3), {"axis": None}, (None, None, None)),
    ("op_expand_dims", (2, 3), {"axis": 1}, (0, 2)),
    ("op_expand_dims", (2, 3), {"axis": (0, -1)}, (1, 2)),
    ("op_take", (2, 3, 4), {"indices": 1, "axis": 1}, (0, None, 1)),
    ("op_take", (2, 3, 4), {"indices": np.array([0, 2]), "axis": -1}, (0, 1, None)),
    ("op_take", (2, 3), {"indices": 1, "axis": None}, (None, None)),
    ("op_reshape", (2, 3, 4, 5), {"shape": (2, 3, 20)}, (0, 1, None, None)),
    ("op_reshape", (2, 3, 4), {"shape": (2, -1)}, (0, None, None)),
    ("op_reshape", (2, 3, 4), {"shape": (3, 2, 4)}, (None, None, 2)),
    ("op_reshape", (2, 3, 4), {"shape": (2, 3, 2, 2)}, (0, 1, None)),
    ("op_reshape", (2, 1, 3, 4), {"shape": (2, 3, 4)}, (0, None, 1, 2)),
    ("op_reshape", (2, 3, 4), {"shape": (6, 1, 4)}, (None, None, 2)),
    ("op_reshape", (3, 1, 3, 2), {"shape": (3, 2, 3)}, (0, None, None, None)),
    ("reshape", (2, 6, 4), {"target_shape": (6, 2, 2)}, (0, 1, None)),
    ("reshape", (2, 6, 4), {"target_shape": (4, 6)}, (0, None, None)),
]


def places(array: NDArray[Any], length: int) -> list[int]:
    """The axes along which an array counts from 0 to its length, and nothing else changes."""
    found = []
    for axis, size in enumerate(array.shape):
        count = np.arange(length).reshape([-1 if k == axis else 1 for k in range(array.ndim)])
        if size == length and np.array_equal(array, np.broadcast_to(count, array.shape)):
            found.append(axis)
    return found


def test_every_operation_is_here() -> None:
    assert {name for name, *_ in CASES} == set(MOVES)


@pytest.mark.parametrize(("name", "shape", "settings", "expected"), CASES)
def test_where_an_axis_goes(
    name: str,
    shape: tuple[int, ...],
    settings: dict[str, Any],
    expected: tuple[int | None, ...],
) -> None:
    for axis, length in enumerate(shape):
        count = np.arange(length).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        given = Tensor(np.broadcast_to(count, shape).copy())
        result = RULES[name].compute(Operation(name, settings), [given])
        assert isinstance(result, Tensor)
        assert MOVES[name](settings, axis, shape, result.array.shape) == expected[axis]
        if expected[axis] is not None:
            assert places(result.array, length) == [expected[axis]]
