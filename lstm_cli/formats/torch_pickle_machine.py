"""The machine that pickles are programs for, with nothing in it that runs code of the file.

Everything that it makes is counted, so that a short file cannot ask for much memory.

Source: ``Lib/pickletools.py`` of CPython, which defines every opcode.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .reading import Problem, describe

MAX_MEMORY, MAX_STEPS = 2**31, 2**25
"""What the objects of one file may take in bytes, and how many steps its pickles may have."""
MEMORY, STEPS = 2**25, 2**20
"""The same for the smallest file; larger ones may take so much more for each byte:"""
MEMORY_PER_BYTE, STEPS_PER_BYTE = 40, 4
ENTRY, CONTAINER = 100, 240
"""About what Python takes for an entry of a dictionary, and for an object that can hold others."""
LONGEST_INTEGER = 64
LARGEST_KEY = 2**60
NAMES = 20
U8, U16, U32, U64 = (struct.Struct(f"<{letter}") for letter in "BHIQ")
I32, F64 = struct.Struct("<i"), struct.Struct(">d")


class Name(NamedTuple):
    """What a pickle calls by name: a class, a function; never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Stub:
    """An object that is not made: its class or function, and what it was given.

    Attributes:
        kind: what was called: nearly always a ``Name``.
        arguments: what it was called with.
        state: what was set on it afterwards: attributes by name, where it has any.
        items, pairs: what was added to it as to a list, and as to a dictionary.
    """

    __slots__ = ("arguments", "items", "kind", "pairs", "state")

    def __init__(self, kind: Any, arguments: tuple[Any, ...] = ()) -> None:
        self.kind, self.arguments = kind, arguments
        self.state: Any = None
        self.items: list[Any] = []
        self.pairs: dict[Any, Any] = {}

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What ``__dict__`` would hold."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[0], dict):
            state = state[0]  # with __slots__, the state is a pair
        return state if isinstance(state, dict) else {}


class Budget:
    """What the pickles of one file may take, those inside of others included.

    Attributes:
        memory, steps: what is left of it.
        names: some of what was named so far, for messages.
    """

    __slots__ = ("memory", "names", "steps")

    def __init__(self, size: int) -> None:
        """``size``: of the file, in bytes; packed pickles may be larger than it."""
        self.memory = min(MAX_MEMORY, MEMORY + MEMORY_PER_BYTE * size)
        self.steps = min(MAX_STEPS, STEPS + STEPS_PER_BYTE * size)
        self.names: dict[str, None] = {}


class Allowed(NamedTuple):
    """What a pickle may do.

    Attributes:
        calls: by module and name, ``("collections", "OrderedDict")``; each is given the machine, to
            charge it for memory, and the arguments.
        persistent: the object that a persistent id stands for.
        budget: what it may take.
    """

    calls: Mapping[tuple[str, str], Callable[[Machine, tuple[Any, ...]], Any]]
    persistent: Callable[[Any], Any]
    budget: Budget


class Machine:
    """One pickle being read."""

    def __init__(self, data: memoryview, start: int, allowed: Allowed, what: str) -> None:
        self.data, self.at, self.what = data, start, what
        self._allowed, self.budget = allowed, allowed.budget
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def charge(self, size: int) -> None:
        """Count memory that is about to be taken.

        Raises:
            Problem: if it is more than a pickle may take.
        """
        self.budget.memory -= size
        if self.budget.memory < 0:
            raise Problem(f"{self.what} makes more objects than a file of its size may hold")

    def call(self, function: Any, arguments: Any) -> Any:
        """What ``function(*arguments)`` stands for: a value if it is allowed, else a stub."""
        if not isinstance(arguments, tuple):
            raise TypeError("arguments should be a tuple")
        self.charge(CONTAINER)
        allowed = self._allowed.calls.get(function) if isinstance(function, Name) else None
        return Stub(function, arguments) if allowed is None else allowed(self, arguments)

    # -- reading

    def take(self, size: int) -> memoryview:
        start = self.at
        if size > len(self.data) - start:
            raise ValueError("it is cut short")
        self.at = start + size
        return self.data[start : self.at]

    def number(self, layout: struct.Struct) -> Any:
        number = layout.unpack_from(self.data, self.at)[0]
        self.at += layout.size
        return number

    def line(self) -> str:
        """A text up to the end of its line; real ones are names."""
        near = bytes(self.data[self.at : self.at + 4096])
        end = near.find(b"\n")
        if end < 0:
            raise ValueError("a name does not end")
        self.at += end + 1
        return near[:end].decode()

    # -- values

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def text(self, size: int) -> None:
        self.push(str(self.take(size), "utf-8", "replace"))

    def old_text(self, size: int) -> None:
        """A text of Python 2, whose bytes are of no known encoding."""
        content = bytes(self.take(size))
        try:
            self.push(content.decode())
        except UnicodeDecodeError:
            self.push(content.decode("latin-1"))

    def integer(self, size: int) -> None:
        content = self.take(size)
        if size > LONGEST_INTEGER:
            self.push(Stub(Name("builtins", "int"), (content,)))
        else:
            self.push(int.from_bytes(content, "little", signed=True))

    def view(self, size: int) -> None:
        """Bytes, which are not copied."""
        self.charge(2 * CONTAINER)
        self.push(self.take(size))

    def make(self, make: Callable[[], Any]) -> None:
        self.charge(CONTAINER)
        self.push(make())

    def make_tuple(self, size: int) -> None:
        self.charge(CONTAINER)
        stack = self.stack
        if len(stack) < size:
            raise IndexError("the stack is empty")
        stack[len(stack) - size :] = [tuple(stack[len(stack) - size :])]

    # -- stack and memo

    def tuple_since_mark(self) -> None:
        self.charge(CONTAINER)
        self.push(tuple(self.since_mark()))

    def list_since_mark(self) -> None:
        self.charge(CONTAINER)
        self.push(self.since_mark())

    def mark(self) -> None:
        self.charge(CONTAINER)
        self._below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        found, self.stack = self.stack, self._below.pop()
        return found

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def keep(self, index: int) -> None:
        self.charge(ENTRY)
        self.memo[index] = self.stack[-1]

    # -- objects

    def add_items(self, items: list[Any]) -> None:
        owner = self.stack[-1]
        self.charge(8 * len(items))
        (owner.items if isinstance(owner, Stub) else _list(owner)).extend(items)

    def add_pairs(self, items: list[Any]) -> None:
        self.fill(self.stack[-1], zip(items[::2], items[1::2], strict=True), len(items) // 2)

    def fill(self, owner: Any, pairs: Iterable[tuple[Any, Any]], count: int) -> Any:
        """Put ``count`` pairs of key and value into a dictionary or a stub, and return it."""
        self.charge(ENTRY * count)
        into = owner.pairs if isinstance(owner, Stub) else owner
        if not isinstance(into, dict):
            raise TypeError("keys for what is no dictionary")
        for key, value in pairs:
            into[_key(key)] = value
        return owner

    def dictionary(self, items: list[Any]) -> None:
        self.make(dict)
        self.add_pairs(items)

    def make_set(self, items: list[Any], name: str) -> None:
        self.make(lambda: Stub(Name("builtins", name)))
        self.add_items(items)

    def name(self, module: str, name: str) -> None:
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        self.make(lambda: Name(module, name))
        if len(self.budget.names) < NAMES:
            self.budget.names[describe(f"{module}.{name}").strip("'")] = None

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError("a name should be a text")
        self.name(module, name)

    def reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], arguments)

    def new(self, with_keywords: bool) -> None:
        if with_keywords:
            self.stack.pop()
        self.reduce()

    def old_instance(self, parts: list[Any]) -> None:
        self.push(self.call(parts[0], tuple(parts[1:])))

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Stub):
            self.stack[-1].state = state

    def look_up(self) -> None:
        self.charge(CONTAINER)
        self.stack[-1] = self._allowed.persistent(self.stack[-1])

    def frame(self) -> None:
        if self.number(U64) > len(self.data) - self.at:
            raise ValueError("a frame is cut short")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("items for what is no list")
    return value


def _key(key: Any) -> Any:
    """A key that is quick to hash, whatever the file holds; others become stubs, each its own."""
    if isinstance(key, int) and -LARGEST_KEY < key < LARGEST_KEY:
        return key
    return key if key is None or isinstance(key, str) else Stub(Name("", "key"), (key,))
