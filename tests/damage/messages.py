"""Damage to Protocol Buffers, and to the tables of TensorFlow checkpoints, which hold some.

Nothing knows the schema here: a message is a list of fields, and bytes that read as a message are
taken for one. Source: https://protobuf.dev/programming-guides/encoding, and the description of
the table format in LevelDB's ``doc/table_format.md``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from . import json_values, raw_bytes

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
NUMBERS = (0, 1, 2, 3, 7, 15, 127, 128, 2**31 - 1, 2**31, 2**32, 2**40, 2**63 - 1, 2**64 - 1)
TEXTS = (b"", b"x", b"LSTM", b"Loop", b"/etc/passwd", b"../x", b"\xff\xfe", b"a" * 300, bytes(8))

Field = tuple[int, int, bytes]
"""Number, wire type, and the bytes of the value, without its length."""


def varint(value: int) -> bytes:
    """A number as a message holds it."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))


def read_varint(content: bytes, place: int) -> tuple[int, int]:
    """A number, and where the next value begins."""
    value = shift = 0
    while True:
        if place >= len(content) or shift > 63:
            raise ValueError("no number there")
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def fields(content: bytes) -> list[Field]:
    """The fields of a message.

    Raises:
        ValueError: if the bytes are none.
    """
    found, place = [], 0
    while place < len(content):
        tag, place = read_varint(content, place)
        number, kind, start = tag >> 3, tag & 7, place
        if kind == VARINT:
            _, place = read_varint(content, place)
        elif kind in (FIXED64, FIXED32):
            place += 8 if kind == FIXED64 else 4
        elif kind == BYTES:
            size, start = read_varint(content, place)
            place = start + size
        else:
            raise ValueError("no such type")
        if not number or place > len(content):
            raise ValueError("not a message")
        found.append((number, kind, content[start:place]))
    return found


def joined(message: list[Field]) -> bytes:
    """The bytes of a message."""
    return b"".join(
        varint(number << 3 | kind) + (varint(len(value)) if kind == BYTES else b"") + value
        for number, kind, value in message
    )


def removed(message: list[Field], place: int, chance: random.Random) -> None:
    """A field removed."""
    del message[place]


def doubled(message: list[Field], place: int, chance: random.Random) -> None:
    """A field twice."""
    message.insert(place, message[place])


def revalued(message: list[Field], place: int, chance: random.Random) -> None:
    """Another value of the same type."""
    number, kind, value = message[place]
    if kind == VARINT:
        value = varint(chance.choice(NUMBERS))
    elif kind == BYTES:
        value = chance.choice((*TEXTS, value[:-1], value * 2, value[::-1]))
    else:
        value = chance.choice((bytes(len(value)), b"\xff" * len(value)))
    message[place] = (number, kind, value)


def retyped(message: list[Field], place: int, chance: random.Random) -> None:
    """A value of another type."""
    number, kind, value = message[place]
    if kind == BYTES:
        message[place] = (number, VARINT, varint(chance.choice(NUMBERS)))
    else:
        message[place] = (number, BYTES, chance.choice((*TEXTS, value)))


def renumbered(message: list[Field], place: int, chance: random.Random) -> None:
    """A field of another number."""
    number, kind, value = message[place]
    message[place] = (chance.choice((number + 1, max(1, number - 1), 1, 2, 5, 7)), kind, value)


def reordered(message: list[Field], place: int, chance: random.Random) -> None:
    """Fields in another order."""
    chance.shuffle(message)


CHANGES = (removed, doubled, revalued, revalued, retyped, renumbered, reordered)
Change = Callable[[list[Field], int, random.Random], None]


def changed(content: bytes, change: Change, chance: random.Random, depth: int = 0) -> bytes:
    """A message with a change somewhere in it, as likely deep as near the top."""
    message = fields(content)
    if not message:
        raise ValueError("an empty message")
    inside = [k for k, (_, kind, value) in enumerate(message) if kind == BYTES and len(value) > 1]
    if inside and depth < 12 and chance.random() < 0.8:
        place = chance.choice(inside)
        number, kind, value = message[place]
        try:
            message[place] = (number, kind, changed(value, change, chance, depth + 1))
            return joined(message)
        except ValueError:
            pass  # text or numbers: changed from outside
    change(message, chance.randrange(len(message)), chance)
    return joined(message)


def lengthened(content: bytes, chance: random.Random) -> bytes:
    """A length that is not that of what follows."""
    places = list(_lengths(content))
    place = chance.choice(places)
    size, end = read_varint(content, place)
    others = (size + 1, max(0, size - 1), size * 2, 2**31 - 1, 2**40, 2**63)
    return content[:place] + varint(chance.choice(others)) + content[end:]


def _lengths(content: bytes) -> Iterator[int]:
    """Where the lengths of the outer fields stand, and of the fields in these."""
    place = 0
    while place < len(content):
        tag, after = read_varint(content, place)
        size, start = read_varint(content, after)
        kind = tag & 7
        if kind == BYTES:
            yield after
            yield from _inner(content, start, start + size)
            place = start + size
        else:
            place = start if kind == VARINT else after + (8 if kind == FIXED64 else 4)


def _inner(content: bytes, start: int, end: int) -> Iterator[int]:
    try:
        fields(content[start:end])
        inner = list(_lengths(content[start:end]))
    except ValueError:
        return
    yield from (start + place for place in inner)


def _damage(change: Change) -> Callable[[bytes, random.Random], bytes]:
    def damage(content: bytes, chance: random.Random) -> bytes:
        return changed(content, change, chance)

    damage.__name__ = f"message_{change.__name__}"
    return damage


DAMAGES = (*(_damage(change) for change in CHANGES), lengthened)


def json_text(content: bytes, chance: random.Random) -> bytes:
    """A change in one of the JSON documents that a message holds."""
    places = list(_documents(content, 0))
    if not places:
        raise ValueError("no JSON in it")
    return _with_document(content, chance.choice(places), chance)


def _documents(content: bytes, depth: int) -> Iterator[tuple[int, ...]]:
    """Where fields hold JSON: which field, which field in it, and so on."""
    try:
        message = fields(content)
    except ValueError:
        return
    for k, (_, kind, value) in enumerate(message):
        if kind == BYTES and value[:1] == b"{" and value[-1:] == b"}":
            yield (k,)
        elif kind == BYTES and depth < 6:
            yield from ((k, *rest) for rest in _documents(value, depth + 1))


def _with_document(content: bytes, place: tuple[int, ...], chance: random.Random) -> bytes:
    message = fields(content)
    number, kind, value = message[place[0]]
    if place[1:]:
        value = _with_document(value, place[1:], chance)
    else:
        value = chance.choice(json_values.DAMAGES)(value, chance)
    message[place[0]] = (number, kind, value)
    return joined(message)


# -- tables


def _crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked_crc(content: bytes) -> bytes:
    """The check sum of a block, as tables hold it."""
    crc = _crc32c(content)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def table_value(content: bytes, chance: random.Random) -> bytes:
    """A message in a table changed, with the sizes and the check sum made right again."""
    return _rebuilt(content, lambda value: changed(value, chance.choice(CHANGES), chance), chance)


def table_text(content: bytes, chance: random.Random) -> bytes:
    """A value of a table replaced, cut or emptied, with the check sum made right again."""
    return _rebuilt(content, lambda value: chance.choice((*TEXTS, value[:-1])), chance)


def table_block(content: bytes, chance: random.Random) -> bytes:
    """Bits of the first block flipped, with the check sum made right again."""
    size = _first_block(content)
    block = raw_bytes.flipped(content[:size], chance) + content[size : size + 1]
    return block + masked_crc(block) + content[size + 5 :]


def _first_block(content: bytes) -> int:
    """The size of the first block, which the block of contents begins with."""
    footer = content[-48:]
    _, place = read_varint(footer, 0)
    _, place = read_varint(footer, place)
    start, place = read_varint(footer, place)
    size, _ = read_varint(footer, place)
    index = content[start : start + size]
    _, _, value = next(_entries(index))
    _, place = read_varint(value, 0)
    return read_varint(value, place)[0]


def _entries(block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """How much of its key each entry shares with the one before, the rest of the key, its value."""
    place, end = 0, len(block) - 4 * (int.from_bytes(block[-4:], "little") + 1)
    while place < end:
        shared, place = read_varint(block, place)
        rest, place = read_varint(block, place)
        size, place = read_varint(block, place)
        yield shared, block[place : place + rest], block[place + rest : place + rest + size]
        place += rest + size


def _rebuilt(content: bytes, change: Callable[[bytes], bytes], chance: random.Random) -> bytes:
    """A table of one block with one value changed."""
    size = _first_block(content)
    entries, key = [], b""
    for shared, rest, value in _entries(content[:size]):
        key = key[:shared] + rest
        entries.append((key, value))
    chosen = chance.randrange(len(entries))
    entries[chosen] = (entries[chosen][0], change(entries[chosen][1]))
    blocks = [_block(entries), _block([]), b""]
    handles, place = [], 0
    for k in (0, 1):
        handles.append(varint(place) + varint(len(blocks[k]) - 5))
        place += len(blocks[k])
    blocks[2] = _block([(entries[-1][0] + b"\xff", handles[0])])
    footer = handles[1] + varint(place) + varint(len(blocks[2]) - 5)
    return b"".join(blocks) + footer.ljust(40, b"\0") + content[-8:]


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A block without shared keys, its kind (not packed) and its check sum."""
    body = b"".join(
        varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in entries
    )
    places, place = [], 0
    for key, value in entries:
        places.append(place)
        place += len(varint(0) + varint(len(key)) + varint(len(value))) + len(key) + len(value)
    starts = places or [0]
    body += b"".join(start.to_bytes(4, "little") for start in starts)
    body += len(starts).to_bytes(4, "little") + b"\0"
    return body + masked_crc(body)


TABLE_DAMAGES = (table_value, table_value, table_text, table_block)
