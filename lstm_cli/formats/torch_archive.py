"""The zip archives of PyTorch: members found by their place in the file, not unpacked.

Members are stored as they are, so that a tensor is a part of the file that is mapped into memory.
Checksums are not looked at: PyTorch can be told to leave them out, and then writes wrong ones.

Source: ``torch/serialization.py``, ``caffe2/serialize/inline_container.cc``.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from pathlib import Path

from .reading import Problem, describe, may_unpack_to

_LOCAL_HEADER = struct.Struct("<4s22xHH")
ENCRYPTED = 1
UNPACKED, UNPACKED_PER_BYTE = 2**26, 50
"""How many bytes all members may be unpacked to, and how many more for each byte of the archive."""


def mapped(path: Path) -> memoryview:
    """The bytes of a file, read when they are looked at; released when nothing refers to them."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class Archive:
    """A zip archive whose members stand in a folder, beside its main one.

    Attributes:
        main: ``data.pkl``; before PyTorch 1.3 ``model.json``; empty where there is neither.
        root: the folder, with a ``/`` at its end.
    """

    def __init__(self, view: memoryview, path: Path) -> None:
        """Raises Problem if it is no zip archive."""
        self._view = view
        self._unpacked: dict[str, memoryview] = {}
        self._room = UNPACKED + UNPACKED_PER_BYTE * len(view)
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {member.filename: member for member in archive.infolist()}
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise Problem(f"the zip archive is damaged or cut short ({error})") from error
        self.main, self.root = "", ""
        for main in ("model.json", "data.pkl"):
            found = [name for name in self._members if name.rpartition("/")[2] == main]
            if found:
                nearest = min(found, key=lambda name: name.count("/"))
                self.main, self.root = main, nearest[: -len(main)]

    def __contains__(self, name: str) -> bool:
        return self.root + name in self._members

    def has_folder(self, name: str) -> bool:
        return any(member.startswith(self.root + name) for member in self._members)

    def names(self) -> list[str]:
        return list(self._members)

    def content(self, name: str) -> memoryview:
        """The bytes of a member beside the main one.

        Raises:
            Problem: if there is none, or the file does not hold what it should.
        """
        member = self._member(name)
        packed = self._packed(member)
        if member.compress_type == zipfile.ZIP_STORED:
            return packed
        if member.filename not in self._unpacked:
            self._check_claim(member)
            self._unpacked[member.filename] = _unpacked(member, packed)
        return self._unpacked[member.filename]

    def size(self, name: str) -> int:
        """How many bytes a member beside the main one has, as the archive says."""
        return self._member(name).file_size

    def _member(self, name: str) -> zipfile.ZipInfo:
        member = self._members.get(self.root + name)
        if member is None:
            raise Problem(f"the archive holds no {describe(self.root + name)}")
        return member

    def text(self, name: str) -> str:
        """A member as text; empty where there is none."""
        return str(self.content(name), "utf-8", "replace") if name in self else ""

    def _check_claim(self, member: zipfile.ZipInfo) -> None:
        """Refuse what is not packed as PyTorch packs, or claims more than that can hold."""
        name, size = describe(member.filename), member.file_size
        if member.compress_type != zipfile.ZIP_DEFLATED:
            raise Problem(f"member {name} is packed by a method that is not read")
        if not may_unpack_to(size, member.compress_size):
            raise Problem(
                f"member {name} claims {size:,} bytes, more than its {member.compress_size:,} "
                "packed ones may hold"
            )
        self._room -= size
        if self._room < 0:
            raise Problem("its members claim far more bytes than an archive of its size packs")

    def _packed(self, member: zipfile.ZipInfo) -> memoryview:
        """The member as it stands in the file, behind a header that says where it begins."""
        start = member.header_offset
        if not 0 <= start <= len(self._view) - _LOCAL_HEADER.size:
            raise Problem(f"member {describe(member.filename)} begins beyond the end of the file")
        mark, name, extra = _LOCAL_HEADER.unpack_from(self._view, start)
        start += _LOCAL_HEADER.size + name + extra
        if mark != b"PK\x03\x04" or start + member.compress_size > len(self._view):
            raise Problem(f"member {describe(member.filename)} is damaged or cut short")
        if member.flag_bits & ENCRYPTED:
            raise Problem(f"member {describe(member.filename)} is encrypted")
        return self._view[start : start + member.compress_size]


def _unpacked(member: zipfile.ZipInfo, packed: memoryview) -> memoryview:
    try:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        found = unpacker.decompress(packed, max(1, member.file_size))
    except zlib.error as error:
        raise Problem(f"member {describe(member.filename)} is damaged ({error})") from error
    return memoryview(found)
