"""Damage that any file can take: cut short, bits flipped, words replaced."""

from __future__ import annotations

import random

EARLY = 4096
"""Where the structure of most files is."""

WORDS = (0, 1, 2, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0)


def cut(content: bytes, chance: random.Random) -> bytes:
    """Cut short: at any place, or only just."""
    if chance.random() < 0.3:
        return content[: -chance.randint(1, min(64, len(content)))]
    return content[: chance.randrange(len(content))]


def flipped(content: bytes, chance: random.Random) -> bytes:
    """One to sixteen bits flipped, anywhere."""
    return _flipped(content, len(content), chance)


def flipped_early(content: bytes, chance: random.Random) -> bytes:
    """One to sixteen bits flipped near the beginning."""
    return _flipped(content, min(len(content), EARLY), chance)


def _flipped(content: bytes, end: int, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for place in chance.sample(range(end), min(end, chance.choice((1, 1, 2, 4, 16)))):
        damaged[place] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def word(content: bytes, chance: random.Random) -> bytes:
    """A number of four bytes replaced: by a border case, or by one a little off."""
    return _with_word(content, len(content), chance)


def word_early(content: bytes, chance: random.Random) -> bytes:
    """The same near the beginning."""
    return _with_word(content, min(len(content), EARLY), chance)


def _with_word(content: bytes, end: int, chance: random.Random) -> bytes:
    if end < 4:
        raise ValueError("too short to hold a word")
    place = chance.randrange(end // 4) * 4
    old = int.from_bytes(content[place : place + 4], "little")
    others = [*WORDS, len(content), old + chance.choice((-4, -1, 1, 4))]
    new = chance.choice([each % 2**32 for each in others if each % 2**32 != old])
    return content[:place] + new.to_bytes(4, "little") + content[place + 4 :]
