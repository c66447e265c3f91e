"""What a trace says about itself: the JSON text ``meta``, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from .trace_checks import is_plain

MOST_STEPS = 2**53
"""Above every step of an input, and exact as a float."""

_TEXTS = (
    *("layer", "part", "kind", "source", "written_by"),
    *("activation", "recurrent_activation", "output_activation"),
)
_LIMITS = ("clip", "cell_clip", "projection_clip")
_CHOICES: dict[str, tuple[Any, ...]] = {
    "direction": ("forward", "backward"),
    "coupled": ("i", "f"),
    "ends_early": (True, False),
}


def parse_meta(text: str, sequences: int) -> dict[str, Any]:
    """The facts in a JSON text; of what is shown, characters that move a terminal are escaped.

    Args:
        text: from the file.
        sequences: how many the trace has, which may have names.

    Raises:
        InputError: if it is not what ``lstm export`` writes; without the name of the file.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _refused()
    meta = _checked(found)
    first = meta.get("first_step", 0)
    if not isinstance(first, int) or isinstance(first, bool) or not 0 <= first < MOST_STEPS:
        raise _refused("'first_step' should be a step's number")
    if "layers" in meta:
        layers = meta["layers"]
        if not isinstance(layers, list) or not all(isinstance(facts, dict) for facts in layers):
            raise _refused("'layers' should hold the facts of each cell")
        meta["layers"] = [_checked(facts) for facts in layers]
    names = meta.get("sequences")
    if names is not None:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _refused("'sequences' should hold their names")
        if len(names) != sequences:
            raise _refused(f"it names {len(names)} sequences, and the trace has {sequences}")
        meta["sequences"] = [_shown(name) for name in names]
    return meta


def _checked(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of which those that are read later are of their types."""
    for key, value in facts.items():
        wrong = (
            (key in _TEXTS and not isinstance(value, str))
            or (key in _CHOICES and value not in _CHOICES[key])
            or (key in _LIMITS and not _is_limit(value))
        )
        if wrong:
            raise _refused(f"'{key}' cannot be {ascii(value)[:40]}")
    return {k: _shown(v) if k in _TEXTS else v for k, v in facts.items()}


def _is_limit(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e300


def _shown(text: str) -> str:
    return text if is_plain(text) else "".join(c if is_plain(c) else ascii(c)[1:-1] for c in text)


def _refused(reason: str = "") -> InputError:
    more = f" ({reason})" if reason else ""
    return InputError(f"'meta' is not what lstm export writes{more}; export it again")
