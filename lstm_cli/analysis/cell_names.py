"""What the arrays of a cell are called: names in files, and what they share with its layer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..errors import InputError
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
    """Which of the layers' facts are those of a cell.

    Raises:
        InputError: if none of several are.
    """
    for number, meta in enumerate(metas):
        known = full_name(meta)
        if known == name or known.endswith(f"/{name}") or name.endswith(f"/{known}"):
            return number
    if name and len(metas) > 1:
        raise InputError(f"'meta' says nothing about cell '{name}'; export it again")
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
    flags = {
        "--pre-activation": {name for name in missing if name.startswith("z_")},
        "--with-input": {"x"} & set(missing),
        "--with-weights": set(LSTM_WEIGHTS) & set(missing),
    }
    ways = ["without --tensors"] if set(missing) - set().union(*flags.values()) else []
    asked = [flag for flag, names in flags.items() if names]
    if asked:
        ways.append(f"with {' '.join(asked)}")
    return f"export it {' and '.join(ways)}"
