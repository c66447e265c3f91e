"""Damage to zip archives and to what is in them, to ``.npy`` members and to safetensors."""

from __future__ import annotations

import json
import random
import re
import zipfile
from collections.abc import Callable
from io import BytesIO

from . import hdf5_nodes, json_values, pickles, raw_bytes

SIGNATURE = b"PK\x03\x04"
Members = dict[str, bytes]

INSIDE: dict[str, tuple[Callable[[bytes, random.Random], bytes], ...]] = {}
"""What can happen to a member of an archive, by the end of its name."""


def removed(members: Members, chance: random.Random) -> None:
    """A member removed."""
    del members[chance.choice(list(members))]


def renamed(members: Members, chance: random.Random) -> None:
    """A member under another name."""
    name = chance.choice(list(members))
    new = chance.choice((f"{name}x", f"../{name}", f"/{name}", name.upper(), f"a/{name}", "é\x01"))
    members[new] = members.pop(name)


def emptied(members: Members, chance: random.Random) -> None:
    """A member without content."""
    members[chance.choice(list(members))] = b""


def cut(members: Members, chance: random.Random) -> None:
    """A member cut short, within an archive that is whole."""
    name = chance.choice([name for name, content in members.items() if content])
    members[name] = raw_bytes.cut(members[name], chance)


def flipped(members: Members, chance: random.Random) -> None:
    """Bits of a member flipped, within an archive that is whole."""
    name = chance.choice([name for name, content in members.items() if content])
    members[name] = raw_bytes.flipped(members[name], chance)


def swapped(members: Members, chance: random.Random) -> None:
    """Two members under each other's names."""
    one, other = chance.sample(sorted(members), 2)
    members[one], members[other] = members[other], members[one]


def changed(members: Members, chance: random.Random) -> None:
    """A member damaged as its own format can be."""
    known = {name: kinds for name in members for end, kinds in INSIDE.items() if name.endswith(end)}
    if not known:
        raise ValueError("the archive holds no member of a known format")
    name = chance.choice(sorted(known))
    members[name] = chance.choice(known[name])(members[name], chance)


CHANGES = (removed, renamed, emptied, cut, flipped, swapped, changed, changed, changed)


def _damage(
    change: Callable[[Members, random.Random], None],
) -> Callable[[bytes, random.Random], bytes]:
    def damage(content: bytes, chance: random.Random) -> bytes:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        change(members, chance)
        target = BytesIO()
        packed = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(target, "w", packed) as archive:
            for name, member in members.items():
                archive.writestr(name, member)
        return target.getvalue()

    damage.__name__ = f"zip_{change.__name__}"
    return damage


DAMAGES = tuple(_damage(change) for change in CHANGES)


# -- .npy


def npy_header(content: bytes, chance: random.Random) -> bytes:
    """An array that says it is of another shape, type or order."""
    old, new = chance.choice(
        (
            (rb"'shape': \([^)]*\)", b"'shape': (1000000000000,)"),
            (rb"'shape': \([^)]*\)", b"'shape': (0, 4)"),
            (rb"'shape': \([^)]*\)", b"'shape': (-1, 16)"),
            (rb"'shape': \([^)]*\)", b"'shape': 7"),
            (rb"'descr': '[^']*'", b"'descr': '|O'"),
            (rb"'descr': '[^']*'", b"'descr': '|V9'"),
            (rb"'descr': '[^']*'", b"'descr': '<U4'"),
            (rb"'descr': '[^']*'", b"'descr': 'x'"),
            (rb"'fortran_order': \w+", b"'fortran_order': True"),
            (rb"'fortran_order': \w+, ", b""),
        )
    )
    return re.sub(old, new, content, count=1)


def npy_length(content: bytes, chance: random.Random) -> bytes:
    """An array whose header says that it is of another length."""
    return content[:8] + chance.randrange(2**16).to_bytes(2, "little") + content[10:]


# -- safetensors


def safetensors_header(content: bytes, chance: random.Random) -> bytes:
    """A header with keys removed, values of another type, other shapes and offsets."""
    size = int.from_bytes(content[:8], "little")
    document = json.loads(content[8 : 8 + size])
    chance.choice(json_values.CHANGES)(document, chance)
    header = json.dumps(document).encode()
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def safetensors_length(content: bytes, chance: random.Random) -> bytes:
    """A header that says it is of another length."""
    size = int.from_bytes(content[:8], "little")
    others = (0, 1, size - 1, size + 1, len(content), 2**31, 2**40, 2**63, 2**64 - 1)
    return chance.choice(others).to_bytes(8, "little") + content[8:]


INSIDE.update(
    {
        ".json": json_values.DAMAGES,
        ".h5": hdf5_nodes.DAMAGES,
        ".pkl": pickles.DAMAGES,
        ".npy": (npy_header, npy_length, raw_bytes.cut),
    }
)
