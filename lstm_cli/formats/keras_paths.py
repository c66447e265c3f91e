"""The path layout of Keras 3 and of TensorFlow 2.12 on: ``layers/lstm_1/cell/vars/0``.

Names in the architecture are not used: a layer's key is its class in snake case and a counter of
its class within its container. Source: ``saving_lib.py`` of Keras 3 and of tf.keras 2.12 to 2.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..model import Array
from . import hdf5
from .keras_config import CELLS, RECURRENT, LayerConfig
from .keras_layers import variables
from .reading import Problem

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


@dataclass(slots=True)
class Node:
    """A group of the file: its groups, its arrays in creation order, the name it may carry.

    Attributes:
        integers: at the top, the type of Keras's own whole numbers (``Era.integers``).
    """

    path: str = ""
    children: dict[str, Node] = field(default_factory=dict)
    arrays: list[Array] = field(default_factory=list)
    name: str = ""
    integers: str = ""

    def at(self, *keys: str) -> Node:
        """The node below; an empty one where there is none."""
        node = self
        for key in keys:
            node = node.children.get(key) or Node(f"{node.path}/{key}".lstrip("/"))
        return node

    @property
    def holds_arrays(self) -> bool:
        return bool(self.arrays) or any(child.holds_arrays for child in self.children.values())

    def scalars(self) -> Iterator[Array]:
        """Every array here and below that is one number."""
        yield from (array for array in self.arrays if array.ndim == 0)
        for child in self.children.values():
            yield from child.scalars()

    @property
    def holds_names(self) -> bool:
        """Whether groups carry the names of their layers, as from Keras 3.6 on."""
        return bool(self.name) or any(child.holds_names for child in self.children.values())

    @property
    def container(self) -> Node:
        """The node with the layers of a model."""
        return next((self.children[key] for key in CONTAINERS if key in self.children), Node())


def read_tree(root: Any) -> Node:
    """The variables of a ``.weights.h5`` file of the path layout.

    Files of TensorFlow on Windows have backslashes in their group names; they separate too.
    """
    top = Node()
    for path, group in _var_groups(root, "", 0):
        parts = [part for part in re.split(r"[/\\]", path) if part]
        add_variables(top, parts[:-1], group)
    top.integers = _integers(root, top)
    return top


def _var_groups(group: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > 100:
        raise Problem("its groups are nested more than 100 deep")
    for name, child in hdf5.children(group):
        if not hasattr(child, "keys"):
            continue
        if re.split(r"[/\\]", name)[-1] == "vars":
            yield f"{path}/{name}", child
        if path or name not in ("optimizer", "metrics", "_optimizer"):
            yield from _var_groups(child, f"{path}/{name}", depth + 1)


def add_variables(top: Node, keys: list[str], group: Any) -> None:
    """Put the numbered datasets of a ``vars`` group at their place in the tree."""
    node = top
    for key in keys:
        path = f"{node.path}/{key}".lstrip("/")
        node = node.children.setdefault(key, Node(path))
    node.name = node.name or hdf5.attribute_text(group, "name")
    numbered = sorted((int(key), key) for key in group if key.isdigit())
    node.arrays += [hdf5.read_array(hdf5.child(group, key)) for _, key in numbered]


def _integers(root: Any, top: Node) -> str:
    """The type of Keras's own whole numbers: steps of the optimizer, samples of Normalization."""
    found = {array.dtype.name for array in top.scalars() if array.dtype.kind == "i"}
    steps = hdf5.scalar_type(root, "optimizer/vars/0")
    if steps.startswith("int"):
        found.add(steps)
    return found.pop() if len(found) == 1 else ""


def snake_case(class_name: str) -> str:
    """``Conv1D`` → ``conv1d``, ``TimeDistributed`` → ``time_distributed``, as Keras does it."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def assign_paths(config: LayerConfig, top: Node) -> dict[int, list[Array]]:
    """The arrays of each config of an architecture, by its ``id``.

    Raises:
        Problem: if a class has another number of layers with weights than the file.
    """
    found = Assigned(list(config.walk()))
    found.model(config, top)
    return found.arrays


@dataclass(slots=True)
class Assigned:
    """What is assigned so far.

    Attributes:
        order: all configs in the order in which Keras comes to them. It stores a layer that stands
            in several models once, at the first place.
        arrays: the arrays of each config, by its ``id``.
    """

    order: list[LayerConfig]
    arrays: dict[int, list[Array]] = field(default_factory=dict)

    def model(self, config: LayerConfig, node: Node) -> None:
        """Assign the layers of a model, in its order."""
        by_key: dict[str, list[LayerConfig]] = {}
        for layer in config.sublayers:
            if _takes_arrays(layer):
                by_key.setdefault(snake_case(layer.kind), []).append(layer)
        places: dict[int, Node] = {}
        for key, layers in by_key.items():
            places |= self._places(key, layers, node.container)
        for layer in config.sublayers:
            if id(layer) in places:
                _assign(layer, places[id(layer)], self)
            elif _takes_arrays(layer):
                self._share(layer)

    def _places(self, key: str, layers: list[LayerConfig], container: Node) -> dict[int, Node]:
        """The node of each layer of one class, without those that are stored elsewhere."""
        nodes = _numbered(container, key)
        if len(nodes) != len(layers):
            own = [layer for layer in layers if not self._is_seen(layer)]
            if len(nodes) != len(own):
                names = ", ".join(layer.name for layer in layers)
                raise Problem(
                    f"the architecture has {len(layers)} layers of class {layers[0].kind} with "
                    f"weights ({names}), the file {len(nodes)} under "
                    f"'{container.path or CONTAINERS[0]}/{key}'"
                )
            layers = own
        ordered = zip(_in_order(layers, nodes), nodes, strict=True)
        return {id(layer): node for layer, node in ordered}

    def _earlier(self, layer: LayerConfig) -> LayerConfig | None:
        """The same layer where it stood first: by its number, else by class and name."""
        for other in self.order:
            if other is layer:
                return None
            if other.shared is not None and other.shared == layer.shared:
                return other
            if other.shared is None and _alike(other, layer):
                return other
        return None

    def _is_seen(self, layer: LayerConfig) -> bool:
        if self._earlier(layer) is not None:
            return True
        inner = [each for each in layer.sublayers if _takes_arrays(each)]
        return bool(inner) and all(self._is_seen(each) for each in inner)

    def _share(self, layer: LayerConfig) -> None:
        """Give a layer the arrays that it has elsewhere."""
        earlier = self._earlier(layer)
        if earlier is None:
            for inner in layer.sublayers:
                if _takes_arrays(inner):
                    self._share(inner)
            return
        for other, same in zip(earlier.walk(), layer.walk(), strict=True):
            if id(other) in self.arrays:
                self.arrays[id(same)] = self.arrays[id(other)]


def _alike(one: LayerConfig, other: LayerConfig) -> bool:
    """Whether two configs can be those of one layer: the first of them has no number."""
    if (one.kind, one.name) != (other.kind, other.name):
        return False
    return bool(_unnumbered(dict(one.settings)) == _unnumbered(dict(other.settings)))


def _unnumbered(value: Any) -> Any:
    """A config without the numbers of shared objects in it."""
    if isinstance(value, dict):
        return {k: _unnumbered(v) for k, v in value.items() if k != "shared_object_id"}
    return [_unnumbered(each) for each in value] if isinstance(value, list) else value


def _numbered(container: Node, key: str) -> list[Node]:
    """The nodes ``key``, ``key_1``, ``key_2`` … that hold arrays, by number.

    TensorFlow 2.12 and 2.13 count layers with weights twice, so numbers may be left out.
    """
    found = []
    for name, node in container.children.items():
        match = re.fullmatch(re.escape(key) + r"(?:_(\d+))?", name)
        if match and node.holds_arrays:
            found.append((int(match[1] or 0), node))
    return [node for _, node in sorted(found, key=lambda pair: pair[0])]


def _in_order(layers: list[LayerConfig], nodes: list[Node]) -> list[LayerConfig]:
    """The layers in the order of the nodes: by the names that Keras 3.6 on stores, if all match."""
    names = {layer.name: layer for layer in layers}
    stored = [node.name for node in nodes]
    if all(stored) and len(names) == len(layers) and set(stored) == set(names):
        return [names[name] for name in stored]
    return layers


def _takes_arrays(layer: LayerConfig) -> bool:
    if layer.class_name in RECURRENT or layer.class_name in CELLS:
        return True
    if layer.sublayers:
        return any(_takes_arrays(inner) for inner in layer.sublayers)
    return bool(variables(layer))


def _assign(layer: LayerConfig, node: Node, found: Assigned) -> None:
    if layer.is_model:
        found.model(layer, node)
    elif layer.class_name in RECURRENT:
        found.arrays[id(layer)] = node.at("cell").arrays or node.arrays
    elif layer.class_name == "TimeDistributed":
        _assign(layer.sublayers[0], node.at("layer"), found)
    elif layer.class_name == "Bidirectional":
        for inner, key in zip(layer.sublayers, ("forward_layer", "backward_layer"), strict=True):
            _assign(inner, node.at(key), found)
    elif layer.class_name == "RNN":
        _assign(layer.sublayers[0], node.at("cell"), found)
    elif layer.class_name == "StackedRNNCells":
        _assign_cells(layer, node, found)
    else:
        found.arrays[id(layer)] = node.arrays


def _assign_cells(layer: LayerConfig, node: Node, found: Assigned) -> None:
    """Stacked cells lie under ``cells/lstm_cell``, ``cells/lstm_cell_1`` …, numbered by class."""
    by_key: dict[str, list[LayerConfig]] = {}
    for cell in layer.sublayers:
        by_key.setdefault(snake_case(cell.kind), []).append(cell)
    for key, cells in by_key.items():
        nodes = _numbered(node.at("cells"), key)
        if len(nodes) != len(cells):
            raise Problem(f"{layer.owner} has {len(cells)} {key}, the file {len(nodes)}")
        for cell, place in zip(cells, nodes, strict=True):
            found.arrays[id(cell)] = place.arrays
