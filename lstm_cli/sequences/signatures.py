"""What kind of file it is, by its first bytes and never by its name."""

from __future__ import annotations

from typing import Literal

from ..errors import InputError
from .sources import ByteSource

Kind = Literal["npy", "npz", "text"]

EXPECTED = "expected text (.csv, .tsv), .npy or .npz"

_WANTED: dict[bytes, Kind] = {b"\x93NUMPY": "npy", b"PK\x03\x04": "npz", b"PK\x05\x06": "npz"}

_REFUSED = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, perhaps a saved model",
    b"\x80\x02": "a Python pickle, perhaps a saved model",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ\0": "compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first",
    b"PAR1": "a Parquet file; save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Office file; save the sheet as CSV",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"{": "JSON",
}


def kind_of(source: ByteSource) -> Kind:
    """Which reader the bytes are for; looks at no more of a pipe than it needs.

    Raises:
        InputError: If the bytes are a model, an archive or another binary file.
    """
    signatures = (*_WANTED, *_REFUSED)
    count = 1
    while (head := source.head(count)) and len(head) == count:
        if head in _WANTED:
            return _WANTED[head]
        if head in _REFUSED:
            raise InputError(f"{source.name}: this is {_REFUSED[head]}; {EXPECTED}")
        if not any(signature.startswith(head) for signature in signatures):
            break
        count += 1
    return "text"


def refuse_binary(data: bytes, name: str) -> None:
    """Raise InputError where text holds a NUL byte, which no number or name does."""
    if b"\0" in data:
        raise InputError(f"{name}: this is a binary file of a kind that is not known; {EXPECTED}")
