"""A run that can start: the calls that it needs, the inputs that they read, what computes them."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from ..model import Input, Model, Recurrent
from .dependencies import needed_calls, refuse_unsupported
from .foreign import Evaluators
from .graph import Executor
from .selection import Unit, units_of


class Prepared(NamedTuple):
    """A run that can start.

    Attributes:
        model: the model.
        needed: its calls, in order.
        inputs: the model's inputs that they need.
        recurrent: the recurrent calls among them.
        executor: computes them.
    """

    model: Model
    needed: list[int]
    inputs: list[Input]
    recurrent: list[Unit]
    executor: Executor


def prepare(
    model: Model,
    targets: Sequence[int],
    wanted: str,
    dtype: str | None,
    evaluators: Evaluators = MappingProxyType({}),
) -> Prepared:
    """A run of everything that ``targets`` depend on.

    Raises:
        UnsupportedFeatureError: naming all of it that is not computed; ``wanted`` says for what.
    """
    needed = needed_calls(model, targets)
    refuse_unsupported(model, needed, wanted)
    inputs = [entry for entry in model.inputs if entry.call in needed]
    recurrent = [unit for unit in recurrent_units(model) if unit.call in needed]
    return Prepared(model, needed, inputs, recurrent, Executor(model, needed, dtype, evaluators))


def recurrent_units(model: Model) -> list[Unit]:
    """Every call of every recurrent layer."""
    layers = [layer for layer in model.layers if layer.recurrent is not None]
    return [unit for layer in layers for unit in units_of(model, layer)]


def recurrent_of(unit: Unit) -> Recurrent:
    """The recurrent layer of a unit that has one."""
    if unit.layer.recurrent is None:
        raise TypeError(f"{unit.name} is not recurrent")
    return unit.layer.recurrent
