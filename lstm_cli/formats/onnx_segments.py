"""Which operators around the LSTMs of an ONNX file are run together, and in which order.

An operator belongs with those that the same LSTMs need, and that need the same values of branches:
no part then needs what is made of its own results, and only what a layer depends on is run for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from .onnx_folding import Folder
from .onnx_steps import Scope, Step, Value
from .reading import Problem

RANDOM = {
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
}  # fmt: skip


MAX_POINTS = 2**12
"""Of LSTMs and values of branches: far above any model, and each costs every other node a bit."""


@dataclass(slots=True, eq=False, repr=False)
class Segment:
    """Operators that are run together.

    Attributes:
        steps: in order; those that others of the file need.
        copied: operators without inputs of the model, before them: weights in a chain of
            operators, which every segment makes for itself.
        inputs: what it reads of others, by the name that its operators have for it.
        outputs: what others read of it.
        before: the first LSTM that depends on it.
        after: the last LSTM that it depends on.
    """

    steps: list[Step]
    before: Step | None = None
    after: Step | None = None
    copied: list[Step] = field(default_factory=list)
    inputs: dict[str, Value] = field(default_factory=dict)
    outputs: list[Value] = field(default_factory=list)

    @property
    def every_step(self) -> list[Step]:
        return self.copied + self.steps


Unit = Segment | Step


class Flow:
    """What depends on what.

    Args:
        steps: all steps, in order.
        needs: what a step that is not an operator reads; others read all their inputs.
        outputs: what the model returns.
        folder: finds constants.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        needs: Callable[[Step], list[Value]],
        outputs: Sequence[Value],
        folder: Folder,
    ) -> None:
        self._steps, self._outputs, self._folder = steps, list(outputs), folder
        self._needs = needs
        self._number = {step: k for k, step in enumerate(steps)}
        self._points = [step for step in steps if step.kind != "operator"]
        self._bit = {step: k for k, step in enumerate(self._points)}
        self._lstms = sum(1 << k for step, k in self._bit.items() if step.kind == "lstm")
        self._joins = (1 << len(self._points)) - 1 & ~self._lstms
        if len(self._points) > MAX_POINTS:
            raise Problem(f"it has more than {MAX_POINTS:,} LSTM and If nodes")
        self._static: set[Step] = set()
        self._anchored: set[Step] = set()
        self._find_static()

    # -- what stands for itself

    def _find_static(self) -> None:
        """Operators that depend on nothing but the file.

        Those that others than operators want, and that cannot be folded, are anchored: they have
        a place of their own in the order.
        """
        for step in self._steps:
            if (
                step.kind == "operator"
                and step.node.op not in RANDOM
                and all(self._is_static(value) for value in step.reads)
            ):
                self._static.add(step)
        wanted = list(self._outputs)
        for step in self._steps:
            if step.kind != "operator":
                wanted += self._reads(step)
            elif step not in self._static:
                wanted += [v for name, v in step.named_reads if not _is_seen(name, v, step)]
        self._anchored = {
            value.step
            for value in wanted
            if value.step in self._static and self._folder.constant(value) is None
        } - {None}

    def _is_static(self, value: Value) -> bool:
        return value.tensor is not None or value.step in self._static

    def _reads(self, step: Step) -> list[Value]:
        """What a step needs, with the condition that it stands under."""
        needed = step.reads if step.kind == "operator" else self._needs(step)
        condition = step.scope.condition
        return needed if condition is None else [*needed, condition[0]]

    # -- the parts

    def units(self) -> list[Unit]:
        """Segments and other steps, each after what it needs; without what nobody needs."""
        above, below = self._above(), self._below()
        segments: dict[tuple[int, int, int], Segment] = {}
        owners: dict[Step, Unit] = {}
        for step in self._steps:
            if step.kind != "operator":
                if below[step] or step.kind in ("lstm", "refused"):
                    owners[step] = step
            elif below[step] and (step not in self._static or step in self._anchored):
                key = (id(step.scope), above[step] & self._joins, below[step])
                if key not in segments:
                    before, after = self._neighbours(below[step], above[step])
                    segments[key] = Segment([], before, after)
                segment = segments[key]
                segment.steps.append(step)
                owners[step] = segment
        for segment in segments.values():
            self._complete(segment)
        self._find_outputs(owners)
        return list(self._ordered(owners))

    def _neighbours(self, below: int, above: int) -> tuple[Step | None, Step | None]:
        """The first LSTM among bits of what depends on a segment, the last among the others."""
        after, before = above & self._lstms, below >> 1 & self._lstms
        first = self._points[(before & -before).bit_length() - 1] if before else None
        return first, self._points[after.bit_length() - 1] if after else None

    def _above(self) -> dict[Step, int]:
        """Which of the steps that are not operators each step depends on, as bits."""
        above: dict[Step, int] = {}
        for step in self._steps:
            found = 0
            for value in self._reads(step):
                maker = value.step
                if maker is not None:
                    own = 0 if maker.kind == "operator" else 1 << self._bit[maker]
                    found |= above[maker] | own
            above[step] = found
        return above

    def _below(self) -> dict[Step, int]:
        """Which of the steps that are not operators depend on each step, as bits; 1 for outputs."""
        below = dict.fromkeys(self._steps, 0)
        for value in self._outputs:
            if value.step is not None:
                below[value.step] |= 1
        for step in reversed(self._steps):
            own = 2 << self._bit[step] if step.kind in ("lstm", "refused") else 0
            if below[step] or own:
                for value in self._reads(step):
                    if value.step is not None:
                        below[value.step] |= below[step] | own
        return below

    def _complete(self, segment: Segment) -> None:
        """Add the operators that the segment makes for itself, and name what it reads."""
        own, copied = set(segment.steps), set[Step]()
        waiting = list(segment.steps)
        while waiting:
            step = waiting.pop()
            for name, value in step.named_reads:
                if value.step in own or value.step in copied:
                    continue
                seen = _is_seen(name, value, step)
                if value.step in self._static and value.step is not None and seen:
                    copied.add(value.step)
                    waiting.append(value.step)
                elif value.tensor is None or not seen:
                    segment.inputs[name] = value
        segment.copied = sorted(copied, key=self._number.__getitem__)

    def _find_outputs(self, owners: Mapping[Step, Unit]) -> None:
        """Tell each segment which of its values others read."""
        wanted = dict.fromkeys(self._outputs)
        for step, owner in owners.items():
            for value in self._reads(step):
                maker = value.step
                if maker is not None and owners.get(maker) is not owner:
                    wanted[value] = None
        for value in wanted:
            segment = None if value.step is None else owners.get(value.step)
            if isinstance(segment, Segment):
                segment.outputs.append(value)

    def _ordered(self, owners: Mapping[Step, Unit]) -> Iterator[Unit]:
        """The parts, each after those that it needs; of several that could be next, the first."""
        first: dict[Unit, int] = {}
        needed: dict[Unit, set[Unit]] = {}
        for step, owner in owners.items():
            first.setdefault(owner, self._number[step])
            makers = {owners[v.step] for v in self._reads(step) if v.step in owners and v.step}
            needed.setdefault(owner, set()).update(makers - {owner})
        users: dict[Unit, list[Unit]] = {}
        for owner, makers in needed.items():
            for maker in makers:
                users.setdefault(maker, []).append(owner)
        by_number = {number: unit for unit, number in first.items()}
        ready = [first[unit] for unit, makers in needed.items() if not makers]
        heapify(ready)
        while ready:
            unit = by_number[heappop(ready)]
            yield unit
            for user in users.get(unit, ()):
                needed[user].discard(unit)
                if not needed[user]:
                    heappush(ready, first[user])


def _is_seen(name: str, value: Value, step: Step) -> bool:
    """Whether a node that stands beside a step sees a value under this name by itself."""
    return value.name == name and step.scope.find(name) is value and _is_around(value, step)


def _is_around(value: Value, step: Step) -> bool:
    """Whether the scope that makes a value is that of a step, or one around it."""
    scope: Scope | None = step.scope
    while scope is not None:
        if scope is value.scope:
            return True
        scope = scope.parent
    return False
