"""Damage to pickles: instructions removed, doubled, exchanged; other names, other numbers."""

from __future__ import annotations

import pickletools
import random
from collections.abc import Callable
from io import BytesIO

from . import raw_bytes

HOSTILE = (b"cos\nsystem\n", b"cbuiltins\neval\n", b"csubprocess\nPopen\n", b"cposix\nsystem\n")
"""Instructions that fetch something which no model needs."""

ODD = (
    *(b"0", b"1", b"2", b"(", b".", b"N", b"t", b"e", b"u", b"a", b"s", b"d", b"l", b"R", b"b"),
    *(
        b"}",
        b"]",
        b")",
        b"q\x00",
        b"h\x00",
        b"K\x05",
        b"Q",
        b"\x81",
        b"\x94",
        b"\x93",
        b"j\xff" * 2,
    ),
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    *HOSTILE,
)


def _instructions(content: bytes) -> list[bytes]:
    """The instructions of one pickle after another; what is no pickle is one piece at the end."""
    stream = BytesIO(content)
    found: list[bytes] = []
    while True:
        start = stream.tell()
        try:
            places = [place for _, _, place in pickletools.genops(stream)]
        except ValueError:
            return [*found, content[start:]]
        ends = [*places[1:], stream.tell()]
        found += [content[a:b] for a, b in zip(places, ends, strict=True)]


def removed(parts: list[bytes], chance: random.Random) -> None:
    """An instruction removed."""
    del parts[chance.randrange(len(parts) - 1)]


def doubled(parts: list[bytes], chance: random.Random) -> None:
    """An instruction twice, or a hundred times."""
    place = chance.randrange(len(parts) - 1)
    parts[place] *= chance.choice((2, 2, 100))


def exchanged(parts: list[bytes], chance: random.Random) -> None:
    """Two instructions in each other's place."""
    one, other = chance.sample(range(len(parts) - 1), 2)
    parts[one], parts[other] = parts[other], parts[one]


def inserted(parts: list[bytes], chance: random.Random) -> None:
    """An instruction where none should be."""
    parts.insert(chance.randrange(len(parts)), chance.choice(ODD))


def numbers(parts: list[bytes], chance: random.Random) -> None:
    """Another number: a size, a stride, an offset."""
    found = [k for k, part in enumerate(parts) if part[:1] in (b"K", b"M", b"J", b"\x8a")]
    if not found:
        raise ValueError("the pickle holds no numbers")
    new = chance.choice((0, 1, 2, 3, 5, 255, 65535, 2**31 - 1, -1, -5))
    huge = b"\x8a\x08" + (2**62).to_bytes(8, "little")
    number = b"J" + new.to_bytes(4, "little", signed=True)
    parts[chance.choice(found)] = chance.choice((number, number, huge))


def names(parts: list[bytes], chance: random.Random) -> None:
    """Another function or class."""
    found = [k for k, part in enumerate(parts) if part[:1] == b"c"]
    if not found:
        raise ValueError("the pickle names nothing")
    others = [parts[k] for k in found]
    parts[chance.choice(found)] = chance.choice((*HOSTILE, b"ctorch\nTensor\n", *others))


CHANGES = (removed, doubled, exchanged, inserted, numbers, names)


def several(parts: list[bytes], chance: random.Random) -> None:
    """Several changes at once."""
    for _ in range(4):
        chance.choice(CHANGES)(parts, chance)


def _damage(
    change: Callable[[list[bytes], random.Random], None],
) -> Callable[[bytes, random.Random], bytes]:
    def damage(content: bytes, chance: random.Random) -> bytes:
        parts = _instructions(content)
        if len(parts) < 4:
            return raw_bytes.flipped(content, chance)
        change(parts, chance)
        return b"".join(parts)

    damage.__name__ = f"pickle_{change.__name__}"
    return damage


DAMAGES = tuple(_damage(change) for change in (*CHANGES, several))
