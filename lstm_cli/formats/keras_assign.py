"""Which arrays of a legacy HDF5 group belong to which layer inside it.

Keras lists a group's arrays as all trainable ones first, then the others, so a BatchNormalization
or a frozen layer inside a nested model comes apart. Arrays are dealt out in that order and the
names they carry are used as a check; where the two disagree, names decide if they are complete.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..model import Array
from .keras_config import CELLS, RECURRENT, LayerConfig
from .keras_layers import variables
from .reading import Problem


class Leaf(NamedTuple):
    """A config that holds arrays itself.

    Attributes:
        config: the layer or cell.
        unit: the layer it is part of, as a model lists it: itself, or the wrapper around it.
        trainable: which of its arrays Keras lists as trainable; None for an unknown class.
        labels: what its arrays' names may call it: its own name and those of what wraps it, each
            also with the side of a Bidirectional in front.
    """

    config: LayerConfig
    unit: LayerConfig
    trainable: tuple[bool, ...] | None
    labels: frozenset[str]


SIDES = ("forward", "backward")


def leaves(
    config: LayerConfig,
    keras1: bool,
    frozen: bool = False,
    unit: LayerConfig | None = None,
    labels: frozenset[str] = frozenset(),
    side: str = "",
) -> list[Leaf]:
    """The configs below ``config`` that hold arrays, in the order in which Keras visits them."""
    frozen = frozen or not config.settings.boolean("trainable", True)
    unit = None if config.is_model else unit or config
    own = {config.name} | ({f"{side}_{config.name}"} if side else set())
    labels = frozenset() if unit is None else labels | own
    if config.class_name in RECURRENT or config.class_name in CELLS:
        trainable = (not frozen,) * _cell_arrays(config, keras1)
        return [Leaf(config, unit or config, trainable, labels)]
    if config.sublayers:
        sides = SIDES if config.class_name == "Bidirectional" else (side,) * len(config.sublayers)
        return [
            leaf
            for inner, where in zip(config.sublayers, sides, strict=True)
            for leaf in leaves(inner, keras1, frozen, unit, labels, where)
        ]
    expected = variables(config)
    if expected is None:
        return [Leaf(config, unit or config, None, labels)]
    trainable = tuple(var.trainable and not frozen for var in expected)
    return [Leaf(config, unit or config, trainable, labels)]


def _cell_arrays(config: LayerConfig, keras1: bool) -> int:
    gates = {"LSTM": 4, "GRU": 3}.get(config.class_name, 1)
    if keras1 and gates > 1 and config.settings.get("consume_less") != "gpu":
        return 3 * gates
    return 2 + config.settings.boolean("use_bias", True)


def assign(
    group: LayerConfig, names: Sequence[str], arrays: Sequence[Array], keras1: bool
) -> dict[int, list[Array]]:
    """The arrays of each config in ``group``, by the config's ``id``.

    Args:
        group: the layer, wrapper or nested model that the file keeps in one group.
        names: the arrays' names, relative to the group, in the file's order.
        arrays: the arrays, in the same order.
        keras1: whether Keras 1 wrote the file.

    Raises:
        Problem: if they cannot be told apart.
    """
    found = leaves(group, keras1)
    if len(found) == 1:
        return {id(found[0].config): list(arrays)}
    nested = any(inner.is_model for inner in group.walk())
    order = _in_keras_order(found)
    if order is not None and len(order) == len(arrays):
        if (not nested or _names_agree(order, names, found)) and not _contradicted(
            order, names, found
        ):
            return _dealt(found, order, arrays)
    owners = _by_name(found, names)
    if owners is not None:
        return _dealt(found, owners, arrays)
    if order is not None and len(order) == len(arrays) and not _any_name(found, names):
        return _dealt(found, order, arrays)
    expected = "an unknown number of" if order is None else str(len(order))
    raise Problem(
        f"{group.owner} should hold {expected} arrays, found {len(arrays)} "
        f"({', '.join(names[:4])}{', …' if len(names) > 4 else ''})"
    )


def _in_keras_order(found: Sequence[Leaf]) -> list[int] | None:
    """For each array the number of the leaf that owns it; None where a class is unknown."""
    first: list[int] = []
    later: list[int] = []
    for number, leaf in enumerate(found):
        if leaf.trainable is None:
            return None
        for trainable in leaf.trainable:
            (first if trainable else later).append(number)
    return first + later


def _dealt(
    found: Sequence[Leaf], owners: Sequence[int], arrays: Sequence[Array]
) -> dict[int, list[Array]]:
    dealt: dict[int, list[Array]] = {id(leaf.config): [] for leaf in found}
    for owner, array in zip(owners, arrays, strict=True):
        dealt[id(found[owner].config)].append(array)
    return dealt


def _matches(name: str, leaf: Leaf) -> bool:
    """Whether a name says whose array it is: by a path component, or as ``lstm_6_W_i``."""
    inner = {config.name for config in leaf.unit.walk()}
    labels = inner | {f"{side}_{label}" for side in SIDES for label in inner}
    if labels & set(name.split("/")[:-1]):
        return True
    return any(
        re.fullmatch(re.escape(label) + r"_[A-Za-z]+(_[a-z])?(:0)?", name) for label in labels
    )


def _names_agree(order: Sequence[int], names: Sequence[str], found: Sequence[Leaf]) -> bool:
    """Whether each array that is called by the name of a layer goes to that layer."""
    return all(
        _matches(name, found[owner]) or not _any_name(found, [name])
        for owner, name in zip(order, names, strict=True)
    )


def _contradicted(order: Sequence[int], names: Sequence[str], found: Sequence[Leaf]) -> bool:
    """Whether a name calls another cell of the same wrapper by its own name."""
    return any(
        _names_another(name, found[owner], found) for owner, name in zip(order, names, strict=True)
    )


def _names_another(name: str, leaf: Leaf, found: Sequence[Leaf]) -> bool:
    others = [other.labels for other in found if other.unit is leaf.unit and other is not leaf]
    parts = set(name.split("/")[:-1])
    return any(
        parts & (labels - leaf.labels) and not parts & (leaf.labels - labels) for labels in others
    )


def _any_name(found: Sequence[Leaf], names: Sequence[str]) -> bool:
    return any(_matches(name, leaf) for leaf in found for name in names)


def _by_name(found: Sequence[Leaf], names: Sequence[str]) -> list[int] | None:
    """Owners by name alone; None unless each array has one owner and each layer all its arrays."""
    units = {id(leaf.unit): leaf for leaf in found}
    members = {key: [k for k, leaf in enumerate(found) if id(leaf.unit) == key] for key in units}
    waiting: dict[int, list[int]] = {}
    for key, numbers in members.items():
        order = _in_keras_order([found[k] for k in numbers])
        waiting[key] = [numbers[k] for k in order] if order is not None else []
    owners = []
    for name in names:
        candidates = [key for key, leaf in units.items() if _matches(name, leaf)]
        if len(candidates) != 1:
            return None
        queue = waiting[candidates[0]]
        known = found[members[candidates[0]][0]].trainable is not None
        fitting = [k for k in queue if not _names_another(name, found[k], found)]
        if known and not fitting:
            return None
        owner = fitting[0] if fitting else members[candidates[0]][0]
        if fitting:
            queue.remove(owner)
        owners.append(owner)
    return None if any(waiting.values()) else owners
