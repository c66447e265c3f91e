"""Reader for Keras's legacy HDF5 files: whole models and weights, Keras 0.3 to 3.

A whole model keeps its architecture in the root attribute ``model_config`` and its arrays in the
group ``model_weights``; a weights file has the content of that group at its root. Source:
``save_weights_to_hdf5_group`` and ``load_weights_from_hdf5_group`` of Keras 1.2 to 3.15.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..model import Array
from . import hdf5
from .keras_assign import assign, leaves
from .keras_config import LayerConfig
from .keras_era import Clues, Era
from .reading import Problem


class WeightGroup(NamedTuple):
    """The arrays that a file keeps for one layer, in the file's order."""

    layer: str
    names: tuple[str, ...]
    arrays: tuple[Array, ...]


def weight_groups(root: Any) -> list[WeightGroup]:
    """Every layer's arrays; ``root`` is ``model_weights`` or the root of a weights file."""
    layers = hdf5.attribute_names(root, "layer_names")
    if layers is None:
        return _keras0_groups(root)
    twice = [name for name, count in Counter(layers).items() if count > 1]
    if twice:
        raise Problem(f"'layer_names' lists '{twice[0]}' twice")
    return [_group(root, name) for name in layers]


def _group(root: Any, name: str) -> WeightGroup:
    group = hdf5.child(root, name)
    if group is None:
        raise Problem(f"'layer_names' lists '{name}', but there is no group of that name")
    names = hdf5.attribute_names(group, "weight_names")
    if names is None:
        raise Problem(f"group '{name}' has no 'weight_names'")
    if len(set(names)) != len(names):
        raise Problem(
            f"group '{name}' lists an array twice ({', '.join(names[:3])}, …): Keras 3.0 to 3.2 "
            "could not save layers with two cells in this format, and the file is incomplete"
        )
    return WeightGroup(name, tuple(names), tuple(_array(group, entry) for entry in names))


def _array(group: Any, name: str) -> Array:
    dataset = hdf5.child(group, name)
    if dataset is None:
        raise Problem(f"group '{group.name}' lists '{name}', but there is no such dataset")
    return hdf5.read_array(dataset)


def _keras0_groups(root: Any) -> list[WeightGroup]:
    """Keras 0.x numbered its layers and arrays: ``layer_0/param_0``."""
    groups = []
    for k in range(hdf5.attribute_count(root, "nb_layers")):
        group = hdf5.child(root, f"layer_{k}")
        if group is None:
            raise Problem(f"'nb_layers' promises a group 'layer_{k}', but there is none")
        count = hdf5.attribute_count(group, "nb_params") if "nb_params" in group.attrs else 0
        names = [f"param_{n}" for n in range(count)]
        arrays = [_array(group, name) for name in names]
        groups.append(WeightGroup(f"layer_{k}", tuple(names), tuple(arrays)))
    return groups


def clues(config: LayerConfig | None, groups: list[WeightGroup]) -> Clues:
    """What tells the versions apart that ``keras_version`` does not."""
    names = [name for group in groups for name in group.names]
    implementation = [
        layer.settings.get("implementation") for layer in (config.walk() if config else ())
    ]
    return Clues(
        theano_names=bool(names) and not any(name.endswith(":0") for name in names),
        implementation_1=1 in implementation and 2 not in implementation,
        cell_names=any("lstm_cell" in name or "gru_cell" in name for name in names),
    )


def stored_layers(config: LayerConfig) -> list[LayerConfig]:
    """The layers that have a group of their own, in the file's order.

    The branches of a Keras 1 Merge that stands first in a Sequential are listed flat.
    """
    return list(_flattened(config.sublayers))


def _flattened(layers: list[LayerConfig]) -> Iterator[LayerConfig]:
    for layer in layers:
        if layer.class_name == "Merge" and layer.sublayers:
            for branch in layer.sublayers:
                yield from _flattened(branch.sublayers)
        else:
            yield layer


def name_nested(config: LayerConfig, groups: list[WeightGroup]) -> None:
    """Nested Sequentials of Keras 1 and early 2 get the name of the group at their position."""
    layers = [layer for layer in stored_layers(config) if layer.class_name != "InputLayer"]
    named = [group for group in groups if group.layer not in _input_names(config)]
    if len(layers) != len(named):
        return
    for layer, group in zip(layers, named, strict=True):
        if not layer.named:
            layer.name, layer.named = group.layer, True


def _input_names(config: LayerConfig) -> set[str]:
    return {layer.name for layer in config.sublayers if layer.class_name == "InputLayer"}


def assign_groups(
    config: LayerConfig, groups: list[WeightGroup], era: Era
) -> tuple[dict[int, list[Array]], list[str]]:
    """The arrays of each config, by its ``id``, and what had to be assumed.

    Layers are found by name. Where the names differ (weights saved by another run of the script
    that built the model), layers with arrays are paired in order, as Keras itself does.
    """
    layers = stored_layers(config)
    by_name = {group.layer: group for group in groups}
    holding = [layer for layer in layers if _holds_arrays(layer, era)]
    weighted = [group for group in groups if group.arrays]
    notes = []
    if all(layer.name in by_name for layer in holding):
        pairs = [(layer, by_name[layer.name]) for layer in layers if layer.name in by_name]
    elif len(holding) == len(weighted):
        pairs = list(zip(holding, weighted, strict=True))
        renamed = [f"{g.layer} → {layer.name}" for layer, g in pairs if g.layer != layer.name]
        notes.append(
            f"weights paired with layers in order, as the names differ: {', '.join(renamed)}"
        )
    else:
        raise Problem(
            f"the architecture has {len(holding)} layers with weights "
            f"({', '.join(layer.name for layer in holding)}), the file {len(weighted)} "
            f"({', '.join(group.layer for group in weighted)})"
        )
    arrays: dict[int, list[Array]] = {}
    for layer, group in pairs:
        if group.arrays or _holds_arrays(layer, era):
            arrays |= assign(layer, group.names, group.arrays, era.is_keras1)
    return arrays, notes


def _holds_arrays(layer: LayerConfig, era: Era) -> bool:
    return any(leaf.trainable for leaf in leaves(layer, era.is_keras1))
