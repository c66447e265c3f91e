"""The object graph of a TensorFlow 2 checkpoint: which variables belong to which object, and how.

A checkpoint keeps its variables under the shortest path that leads to them, often a bare number in
a list. The graph beside them names every attribute: ``layer-1`` → ``forward_layer`` → ``cell`` →
``kernel`` is the same in checkpoints and SavedModels of every version.

Source: ``trackable_object_graph.proto`` of TensorFlow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..model import Array
from .protobuf import Message
from .reading import Problem
from .tensor_bundle import DTYPES, Bundle

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
MAX_OBJECTS = 2_000_000
MAX_DEPTH = 100

NOT_PARTS = {
    *("keras_api", "signatures", "variables", "trainable_variables", "non_trainable_variables"),
    *("regularization_losses", "metrics", "keras_metrics", "losses", "_self_unconditional"),
    *("trainable_weights", "non_trainable_weights", "weights", "_all_variables", "_metrics"),
    *("_variables", "_trainable_variables", "_non_trainable_variables", "_optimizer", "optimizer"),
}
"""Children that are no parts of a model: other lists of the same variables, and optimizers."""


_OPTIMIZERS = ({"_iterations", "_learning_rate"}, {"iter", "learning_rate"})
"""What optimizers of Keras hold: those of TensorFlow 2.11 and later, those before."""


@dataclass(slots=True)
class Tracked:
    """An object: its attributes by name (numbers of other objects), and its tensor if it has one.

    Attributes:
        number: which object of the graph it is.
        children: the objects it holds, by the names of its attributes.
        key: the key of its tensor; ``""`` where it is no variable.
        full_name: the name that TensorFlow gave the variable: ``lstm/lstm_cell/kernel``.
    """

    number: int
    children: dict[str, int] = field(default_factory=dict)
    key: str = ""
    full_name: str = ""

    @property
    def is_optimizer(self) -> bool:
        held = set(self.children)
        return bool(self.number) and any(names <= held for names in _OPTIMIZERS)


class ObjectGraph:
    """The objects of a checkpoint, and the tensors they hold; number 0 is the root."""

    def __init__(self, bundle: Bundle) -> None:
        """Read the graph of a checkpoint that has one.

        Raises:
            Problem: if it is damaged.
        """
        self.bundle = bundle
        message = Message(bundle.text(KEY), "the object graph")
        views = message.views(1)
        if not views or len(views) > MAX_OBJECTS:
            raise Problem(f"the object graph should hold objects, found {len(views):,}")
        self.objects = []
        self.slots: set[int] = set()
        for number, view in enumerate(views):
            self.objects.append(self._object(number, Message(view, "an object of the graph")))
        for tracked in self.objects:
            if any(child >= len(views) for child in tracked.children.values()):
                raise Problem("the object graph is damaged: it names an object that is not there")

    def _object(self, number: int, message: Message) -> Tracked:
        found = Tracked(number)
        for child in message.messages(1, "a child in the object graph"):
            place = child.integer(1)
            if place < 0:
                raise Problem("the object graph is damaged: it names an object that is not there")
            found.children.setdefault(child.text(2), place)
        for attribute in message.messages(2, "a tensor in the object graph"):
            if attribute.text(1) == "VARIABLE_VALUE":
                found.full_name, found.key = attribute.text(2), attribute.text(3)
        for slot in message.messages(3, "a slot in the object graph"):
            self.slots.add(slot.integer(3))
        return found

    @property
    def root(self) -> Tracked:
        return self.objects[0]

    def child(self, tracked: Tracked, *names: str) -> Tracked | None:
        """The object that a path of attributes leads to, or None."""
        for name in names:
            if name not in tracked.children:
                return None
            tracked = self.objects[tracked.children[name]]
        return tracked

    def variable(self, tracked: Tracked, name: str) -> Tracked | None:
        """An attribute that is a variable, or None; Keras 3 keeps the variable one step further."""
        found = self.child(tracked, name)
        if found is not None and not found.key:
            found = self.child(found, "_value")
        return found if found is not None and self.holds(found) else None

    def holds(self, tracked: Tracked) -> bool:
        """Whether the object is a variable, and its numbers are there."""
        entry = self.bundle.entries.get(tracked.key)
        return entry is not None and entry.dtype in DTYPES

    def array(self, tracked: Tracked) -> Array:
        return self.bundle.array(tracked.key)

    def variables(self, tracked: Tracked) -> list[Tracked]:
        """The variables among an object's attributes, in order."""
        found = [self.variable(tracked, name) for name in tracked.children if name not in NOT_PARTS]
        return [each for each in found if each is not None]

    def numbered(self, tracked: Tracked, front: str) -> list[Tracked]:
        """The children ``front0``, ``front1`` …, in order."""
        found = []
        for name, place in tracked.children.items():
            digits = name.removeprefix(front)
            if name.startswith(front) and digits.isdecimal() and len(digits) < 10:
                found.append((int(digits), place))
        return [self.objects[place] for _, place in sorted(found)]

    def inside(self, tracked: Tracked, seen: set[int] | None = None) -> list[Tracked]:
        """An object and all the parts that it holds, directly or not, but for those ``seen``."""
        seen = set() if seen is None else seen
        seen.add(tracked.number)
        waiting, found = [tracked], [tracked]
        while waiting:
            for name, place in waiting.pop().children.items():
                if place not in seen and name not in NOT_PARTS:
                    seen.add(place)
                    waiting.append(self.objects[place])
                    found.append(self.objects[place])
        return found

    def reached(self) -> Iterator[tuple[str, Tracked]]:
        """Every part of the model once, with the shortest path to it, nearest first."""
        seen, waiting = {0} | self.slots, deque[tuple[tuple[str, ...], Tracked]]([((), self.root)])
        while waiting:
            path, tracked = waiting.popleft()
            yield "/".join(path), tracked
            if len(path) > MAX_DEPTH:
                raise Problem(f"its objects hold each other more than {MAX_DEPTH} deep")
            if tracked.is_optimizer:
                continue
            for name, place in tracked.children.items():
                if place not in seen and name not in NOT_PARTS:
                    seen.add(place)
                    waiting.append(((*path, name), self.objects[place]))
