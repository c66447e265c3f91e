"""NPZ: several named arrays, each an NPY member of a zip archive.

Source: numpy.savez; PKWARE's APPNOTE.TXT for the archive.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from numpy.typing import DTypeLike

from ..errors import InputError, listing
from .npy import Array, NpyHeader, read_header, read_values
from .signatures import EXPECTED
from .sources import ByteSource

MOST_UNPACKED = 4 << 30
"""Bytes that compressed members may unpack to, all together."""
TIGHT = 1100
"""To how many bytes a packed one may unpack: deflate reaches 1032."""
SMALL = 1 << 20
"""Bytes up to which anything may unpack."""

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    KeyError,
)
"""What ``zipfile`` raises when an archive is damaged."""

_OTHER_ARCHIVES = {
    "config.json": "a Keras model (.keras)",
    "metadata.json": "a Keras model (.keras)",
    "[Content_Types].xml": "an Office document; save the sheet as CSV",
}


def read_npz(
    source: ByteSource, dtype: DTypeLike | None = None, *, text: bool = False
) -> dict[str, Array]:
    """All arrays of an archive by name, in the archive's order.

    Args:
        source: A regular file.
        dtype: Type of the arrays of numbers; None keeps the file's.
        text: Whether arrays of text are accepted; they keep their type.

    Raises:
        InputError: If the archive is damaged, holds something else than arrays, or unpacks to more
            than ``MOST_UNPACKED`` bytes; before memory is taken for what it declares.
    """
    if source.live or source.size is None:
        raise InputError(
            f"{source.name}: an .npz archive cannot be read from a stream; give the file's name, "
            "or send NPY or CSV"
        )
    with reporting(source.name), zipfile.ZipFile(source.rewound()) as archive:
        members = archive.infolist()
        check_members(members, source)
        return {
            member.filename.removesuffix(".npy"): read_member(archive, member, source, dtype, text)
            for member in members
        }


def check_members(members: list[zipfile.ZipInfo], source: ByteSource) -> None:
    """Refuse an archive that holds anything else than arrays, or claims sizes that cannot be."""
    names = [member.filename for member in members]
    if not names:
        raise InputError(f"{source.name}: the archive holds no arrays")
    others = [name for name in names if not name.endswith(".npy")]
    if others:
        kinds = [_OTHER_ARCHIVES[name] for name in others if name in _OTHER_ARCHIVES]
        if any(name.endswith("data.pkl") for name in others):
            kinds = ["a PyTorch file"]
        what = kinds[0] if kinds else f"an archive that holds {listing(others, most=3)}"
        raise InputError(f"{source.name}: this is {what}; {EXPECTED}")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        name = repeated[0].removesuffix(".npy")
        raise InputError(f"{source.name}: the archive holds the array '{name}' twice")
    _check_sizes(members, source)


def _check_sizes(members: list[zipfile.ZipInfo], source: ByteSource) -> None:
    """Believe no size that the archive's own bytes contradict."""
    size = source.size or 0
    for member in members:
        name = member.filename.removesuffix(".npy")
        where = f"{source.name}: array '{name}'"
        if member.flag_bits & 1:
            raise InputError(f"{where} is encrypted; save it without a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{where} is compressed in a way that NumPy does not use; save it with numpy.savez"
            )
    stored = [member for member in members if member.compress_type == zipfile.ZIP_STORED]
    packed = [member for member in members if member.compress_type != zipfile.ZIP_STORED]
    used = sum(m.file_size for m in stored) + sum(m.compress_size for m in packed)
    if used > size:
        raise InputError(
            f"{source.name}: the archive declares more bytes than the file's {size}; "
            "it is damaged, write it again"
        )
    unpacked = sum(member.file_size for member in packed)
    if unpacked > MOST_UNPACKED:
        raise InputError(
            f"{source.name}: the arrays unpack to {unpacked / 2**30:.1f} GiB, and at most "
            f"{MOST_UNPACKED / 2**30:g} GiB are unpacked; save them with numpy.savez, uncompressed"
        )
    if unpacked > max(SMALL, TIGHT * sum(member.compress_size for member in packed)):
        raise InputError(
            f"{source.name}: the archive has {size} bytes and claims to unpack to {unpacked}, more "
            "than it can; it is damaged, write it again"
        )


def read_member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    source: ByteSource,
    dtype: DTypeLike | None,
    text: bool,
) -> Array:
    """One array of an open archive; ``text`` as for ``read_npz``."""
    name = f"{source.name}, array '{member.filename.removesuffix('.npy')}'"
    with reporting(name), archive.open(member) as stream:
        values = ByteSource(name, stream, live=False)
        header = read_header(values, text=text)
        _check_member_size(header, member, name)
        values.size = member.file_size  # which the packed bytes can unpack to
        return read_values(values, header, None if header.dtype.kind in "SU" else dtype)


def _check_member_size(header: NpyHeader, member: zipfile.ZipInfo, name: str) -> None:
    declared = header.offset + header.size
    if declared != member.file_size:
        raise InputError(
            f"{name}: an array of shape {header.shape} and type {header.dtype.name} makes "
            f"{declared} bytes, and the archive declares {member.file_size}; it is damaged, "
            "write it again"
        )


@contextmanager
def reporting(name: str) -> Iterator[None]:
    """Turn what ``zipfile`` raises into an InputError."""
    try:
        yield
    except _BROKEN as error:
        reason = str(error)[:60]  # zipfile may quote whole parts of the archive
        raise InputError(f"{name}: the archive is damaged ({reason}); write it again") from error
