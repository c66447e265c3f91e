"""What the arrays of a cell are called: names in files, and what they share with its layer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..model import LSTM_WEIGHTS


def without_call(name: str) -> str:
    """``shared@1/forward`` -> ``shared/forward``: all calls have the same weights."""
    return re.sub(r"@\d+(?=/|$)", "", name)


def prefixes(name: str) -> Iterator[str]:
    """``a/b``, ``a``, and nothing: whose arrays a cell has, its own first."""
    while name:
        yield name
        name = name.rpartition("/")[0]
    yield ""


def meta_number(metas: list[Any], name: str) -> int:
    """Which of the layers' facts are those of a cell."""
    for number, meta in enumerate(metas):
        known = full_name(meta)
        if known == name or known.endswith(f"/{name}") or name.endswith(f"/{known}"):
            return number
    return 0


def full_name(meta: Mapping[str, Any]) -> str:
    """A cell's address and part, as its facts have them: ``bidirectional_1/forward``."""
    layer, part = str(meta.get("layer", "")).lstrip("/"), str(meta.get("part", ""))
    return "/".join(filter(None, (layer, part)))


def base(name: str) -> str:
    """``bidirectional_1/backward/c`` -> ``c``."""
    return name.rsplit("/", 1)[-1]


def export_advice(missing: Collection[str]) -> str:
    """What to ask ``export`` for."""
    flags = []
    if any(name.startswith("z_") for name in missing):
        flags.append("--pre-activation")
    if "x" in missing:
        flags.append("--with-input")
    if any(name in LSTM_WEIGHTS for name in missing):
        flags.append("--with-weights")
    if flags:
        return f"export it with {' '.join(flags)}"
    return "export it without --tensors"
