"""What TorchScript code says of LSTM modules: read as text, never run.

A scripted class states constants, ``batch_first : Final[bool] = True``; a traced one calls
``torch.lstm`` with literal arguments. A frozen archive has no modules any more: its weights stand
among the constants, and the call names them.

Source: ``torch/csrc/jit/serialization/python_print.cpp``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .state_dict import Facts

MAX_CODE = 16 * 2**20
_CLASS = re.compile(r"^class (\w+)\(", re.M)
_FINAL = re.compile(
    r"^  (batch_first|bidirectional|num_layers|dropout) : Final\[\w+\] = ([\w.+-]+)$", re.M
)
_LIST = re.compile(r"^ *(\w+) = (\[[^\[\]]*\])$", re.M)
_CALL = re.compile(
    r"torch\.lstm\((?P<input>\w+), (?P<states>\[[^\[\]]*\]|\w+), (?P<weights>\[[^\[\]]*\]|\w+), "
    r"(?P<bias>True|False), (?P<levels>\d+), (?P<dropout>[\d.e+-]+), \w+, "
    r"(?P<both>True|False), (?P<first>True|False)\)"
)


class Call(NamedTuple):
    """One call of ``torch.lstm``: its weights, as they are named in the code, and its settings."""

    argument: str
    weights: tuple[str, ...]
    has_biases: bool
    facts: Facts


class Script:
    """The TorchScript code of an archive, a text for each module of classes."""

    def __init__(self, text_of: Callable[[str], str]) -> None:
        self._text_of = text_of
        self._classes: dict[str, dict[str, str]] = {}

    def facts(self, module: str, name: str, told: Facts) -> Facts:
        """What is told already of a class, with what its code says beside it."""
        if module not in self._classes:
            self._classes[module] = _classes(self._text_of(module))
        code = self._classes[module].get(name, "")
        final = {match[1]: match[2] for match in _FINAL.finditer(code)}
        return _filled(
            _filled(told, said_by_calls(code)),
            Facts(
                batch_first=_boolean(final.get("batch_first")),
                bidirectional=_boolean(final.get("bidirectional")),
                levels=_whole(final.get("num_layers")),
                dropout=_number(final.get("dropout")),
            ),
        )


def calls_in(code: str) -> Iterator[Call]:
    """Every call of ``torch.lstm`` whose settings are literals."""
    code = code[:MAX_CODE]
    lists = {match[1]: match[2] for match in _LIST.finditer(code)}
    for match in _CALL.finditer(code):
        facts = Facts(
            batch_first=_boolean(match["first"]),
            bidirectional=_boolean(match["both"]),
            levels=_whole(match["levels"]),
            dropout=_number(match["dropout"]),
        )
        weights = lists.get(match["weights"], match["weights"])
        names = tuple(name.strip() for name in weights.strip("[]").split(","))
        yield Call(match["weights"], names, match["bias"] == "True", facts)


def said_by_calls(code: str) -> Facts:
    """What the calls of ``torch.lstm`` in the code say, if all of them say the same."""
    facts = {call.facts for call in calls_in(code)}
    return facts.pop() if len(facts) == 1 else Facts()


def _classes(code: str) -> dict[str, str]:
    """The parts of the code that define each class, by its name."""
    starts = [(match[1], match.start()) for match in _CLASS.finditer(code[:MAX_CODE])]
    ends = [*(start for _, start in starts[1:]), len(code)]
    return {name: code[start:end] for (name, start), end in zip(starts, ends, strict=False)}


def _filled(told: Facts, more: Facts) -> Facts:
    """``told``, and from ``more`` what it leaves open."""
    given = told._asdict()
    return told._replace(
        **{key: value for key, value in more._asdict().items() if given[key] is None}
    )


def _boolean(text: str | None) -> bool | None:
    return {"True": True, "False": False}.get(text or "")


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,9}", text) else None


def _number(text: str | None) -> float | None:
    known = text is not None and re.fullmatch(r"\d*\.?\d*(e[+-]?\d+)?", text) and text != "."
    return float(text) if known and text else None


def flat_names(call: Call, count: int) -> list[str]:
    """Names of ``count`` arrays in the order in which ``torch.lstm`` takes them."""
    kinds = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if call.has_biases else [])
    ways = ["", "_reverse"] if call.facts.bidirectional else [""]
    levels = call.facts.levels or 1
    if count == levels * len(ways) * (len(kinds) + 1):
        kinds.append("weight_hr")
    return [
        f"{kind}_l{k}{way}" for k in range(min(levels, count)) for way in ways for kind in kinds
    ]
