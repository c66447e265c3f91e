"""Conditions on figures, as a person writes them: ``saturated>0.3,dead>0``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ..errors import NoSuchNameError, UsageError

_FORM = re.compile(r"\s*([\w-]+)\s*(<=|>=|<|>)\s*([-+.\w]+)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A figure, a comparison and a number; it fails where the comparison holds."""

    figure: str
    comparison: str
    number: float

    def __str__(self) -> str:
        return f"{self.figure}{self.comparison}{self.number:g}"

    def failing(self, values: Mapping[str, float]) -> dict[str, float]:
        """Those of ``values`` for which it holds."""
        holds = _COMPARE[self.comparison]
        return {name: value for name, value in values.items() if holds(value, self.number)}


def parse_conditions(text: str, known: Collection[str]) -> list[Condition]:
    """Conditions from ``FIGURE>NUMBER,…`` with ``> >= < <=``.

    Raises:
        UsageError: if one cannot be understood.
        NoSuchNameError: if there is no such figure.
    """
    found = []
    for part in text.split(","):
        match = _FORM.fullmatch(part)
        number = _number(match[3]) if match else None
        if match is None or number is None:
            raise UsageError(
                "--fail-on: expected conditions such as 'saturated>0.3,dead>0', found "
                f"'{part.strip()}'"
            )
        if match[1] not in known:
            raise NoSuchNameError("figure", match[1], known)
        found.append(Condition(match[1], match[2], number))
    return found


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if number != number else number
