"""Pickles read as data: nothing is imported, and nothing called but the functions of a short list.

A global becomes a ``Name``; calling one that is not on the list gives a ``Stub`` that keeps what it
was given. Python's own Unpickler cannot be held to that: its memo takes memory by the largest
number that a file names, objects as dictionary keys are hashed without a bound on depth, and what
one byte creates is not counted.

Source: ``Lib/pickletools.py`` of CPython, which defines every opcode.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from .reading import Problem
from .torch_pickle_machine import (
    F64,
    I32,
    U8,
    U16,
    U32,
    U64,
    Allowed,
    Budget,
    Machine,
    Name,
    Stub,
)

__all__ = ["Allowed", "Budget", "Machine", "Name", "Stub", "unpickled"]

STOP = ord(".")


def unpickled(data: memoryview, start: int, allowed: Allowed, what: str) -> tuple[Any, int]:
    """The object that the pickle at ``start`` describes, and where the pickle ends.

    Bytes come as views of ``data``.

    Raises:
        Problem: if it is damaged, or larger than it may be.
    """
    machine = Machine(data, start, allowed, what)
    try:
        return _run(machine), machine.at
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise Problem(
            f"{what} is damaged at byte {machine.at:,}: it is no pickle that makes sense "
            f"({type(error).__name__}: {str(error)[:80]})"
        ) from error


def _run(machine: Machine) -> Any:
    data, opcodes = machine.data, OPCODES
    for step in range(machine.budget.steps):
        opcode = data[machine.at]
        machine.at += 1
        if opcode == STOP:
            machine.budget.steps -= step
            return machine.stack.pop()
        act = opcodes.get(opcode)
        if act is None:
            raise ValueError(f"opcode {bytes([opcode])!r} is not read")
        act(machine)
    raise Problem(f"{machine.what} has more steps than a pickle of a file of its size")


def _opcodes() -> dict[int, Callable[[Machine], None]]:
    """What each opcode does, by its byte; those of protocol 0, which are text, are not read."""
    table: dict[bytes, Callable[[Machine], None]] = {
        b"\x80": lambda m: m.number(U8),
        b"\x95": lambda m: m.frame(),
        b"N": lambda m: m.push(None),
        b"\x88": lambda m: m.push(True),
        b"\x89": lambda m: m.push(False),
        b"K": lambda m: m.push(m.number(U8)),
        b"M": lambda m: m.push(m.number(U16)),
        b"J": lambda m: m.push(m.number(I32)),
        b"G": lambda m: m.push(m.number(F64)),
        b"\x8a": lambda m: m.integer(m.number(U8)),
        b"\x8b": lambda m: m.integer(m.number(U32)),
        b"\x8c": lambda m: m.text(m.number(U8)),
        b"X": lambda m: m.text(m.number(U32)),
        b"\x8d": lambda m: m.text(m.number(U64)),
        b"U": lambda m: m.old_text(m.number(U8)),
        b"T": lambda m: m.old_text(m.number(U32)),
        b"C": lambda m: m.view(m.number(U8)),
        b"B": lambda m: m.view(m.number(U32)),
        b"\x8e": lambda m: m.view(m.number(U64)),
        b"\x96": lambda m: m.view(m.number(U64)),
        b"]": lambda m: m.make(list),
        b"}": lambda m: m.make(dict),
        b"\x8f": lambda m: m.make_set([], "set"),
        b")": lambda m: m.push(()),
        b"\x85": lambda m: m.make_tuple(1),
        b"\x86": lambda m: m.make_tuple(2),
        b"\x87": lambda m: m.make_tuple(3),
        b"(": lambda m: m.mark(),
        b"t": lambda m: m.tuple_since_mark(),
        b"l": lambda m: m.list_since_mark(),
        b"d": lambda m: m.dictionary(m.since_mark()),
        b"\x91": lambda m: m.make_set(m.since_mark(), "frozenset"),
        b"0": lambda m: m.pop(),
        b"1": lambda m: m.since_mark().clear(),
        b"2": lambda m: m.push(m.stack[-1]),
        b"a": lambda m: m.add_items([m.stack.pop()]),
        b"e": lambda m: m.add_items(m.since_mark()),
        b"\x90": lambda m: m.add_items(m.since_mark()),
        b"s": lambda m: m.add_pairs([m.stack.pop(-2), m.stack.pop()]),
        b"u": lambda m: m.add_pairs(m.since_mark()),
        b"q": lambda m: m.keep(m.number(U8)),
        b"r": lambda m: m.keep(m.number(U32)),
        b"\x94": lambda m: m.keep(len(m.memo)),
        b"h": lambda m: m.push(m.memo[m.number(U8)]),
        b"j": lambda m: m.push(m.memo[m.number(U32)]),
        b"c": lambda m: m.name(m.line(), m.line()),
        b"\x93": lambda m: m.stack_global(),
        b"R": lambda m: m.reduce(),
        b"\x81": lambda m: m.new(False),
        b"\x92": lambda m: m.new(True),
        b"o": lambda m: m.old_instance(m.since_mark()),
        b"b": lambda m: m.build(),
        b"Q": lambda m: m.look_up(),
    }
    return {code[0]: act for code, act in table.items()}


OPCODES = _opcodes()
