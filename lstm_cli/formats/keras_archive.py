"""The parts of a ``.keras`` archive: ``metadata.json``, ``config.json``, ``model.weights.h5``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .reading import Problem, may_unpack_to, parse_json

MAX_MEMBER_BYTES = 16 * 2**30

Member = Callable[[str], "bytes | Path | None"]
"""Gives the part of a name, as bytes or as a file; None where there is no such part."""


def json_member(member: Member, name: str, required: bool = True) -> Any:
    """The JSON document in a part; an empty one where it may be missing and is."""
    content = member(name)
    if content is None:
        if required:
            raise Problem(f"it has no {name}")
        return {}
    return parse_json(content.read_bytes() if isinstance(content, Path) else content, name)


@contextmanager
def archive(path: Path) -> Iterator[Member]:
    """Members of a zip by name; sizes are checked before anything is unpacked."""
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(path) as opened:

            def member(name: str) -> bytes | None:
                if name not in opened.namelist():
                    return None
                info = opened.getinfo(name)
                fits = may_unpack_to(info.file_size, info.compress_size)
                if not fits or info.file_size > MAX_MEMBER_BYTES:
                    raise Problem(
                        f"member {name} claims {info.file_size:,} bytes, which is refused"
                    )
                with opened.open(info) as stream:
                    content = stream.read(info.file_size + 1)
                if len(content) != info.file_size:
                    raise Problem(f"member {name} is not as long as the archive says")
                return content

            yield member
    except (
        zipfile.BadZipFile,
        OSError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        zlib.error,
    ) as error:
        raise Problem(f"the zip archive is damaged or cut short ({error})") from error
