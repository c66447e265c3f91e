"""The keys of the browser, the line and the page that tell them, and where its parts stand."""

from __future__ import annotations

from typing import NamedTuple

from rich.text import Text

from .heatmap import MASKED_MARK, PLAIN_NAN, SIGNED_RAMP
from .view_map import CURSOR, FOUND, MARKED
from .view_rows import HERE


class Key(NamedTuple):
    """Some keys.

    Attributes:
        actions: what each of them does, by its name.
        shown: how they are written.
        brief: what is said of them in the line of keys; empty for nothing.
        text: what is said of them on the page of keys.
    """

    actions: dict[str, str]
    shown: str
    brief: str
    text: str


_TENSORS = {name: f"tensor('{name}')" for name in "hcifgo"}

GROUPS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    (
        "Move",
        (
            Key(
                {
                    "left": "move(-1, 0)",
                    "right": "move(1, 0)",
                    "up": "move(0, -1)",
                    "down": "move(0, 1)",
                    "shift+left": "move(-10, 0)",
                    "shift+right": "move(10, 0)",
                    "shift+up": "move(0, -10)",
                    "shift+down": "move(0, 10)",
                },
                "←→↑↓",
                "move",
                "step, unit; with shift by 10",
            ),
            Key(
                {"home": "end(-1)", "end": "end(1)"},
                "Home End",
                "",
                "first, last step",
            ),
            Key(
                {"pageup": "page(-1)", "pagedown": "page(1)"},
                "PgUp PgDn",
                "",
                "a screen of steps",
            ),
            Key(
                {"colon": "step('')", **{digit: f"step('{digit}')" for digit in "0123456789"}},
                "0…9",
                "",
                "go to a step",
            ),
            Key({"u": "unit"}, "u", "", "go to a unit"),
        ),
    ),
    (
        "See",
        (
            Key(_TENSORS, "hcifgo", "show", "show h, c or a gate"),
            Key(
                {"left_square_bracket": "cell(-1)", "right_square_bracket": "cell(1)"},
                "[ ]",
                "layer",
                "layer, direction, level",
            ),
            Key(
                {"comma": "sequence(-1)", "full_stop": "sequence(1)"},
                ", .",
                "sequence",
                "sequence; s: by its number",
            ),
            Key({"s": "choose_sequence"}, "s", "", ""),
            Key(
                {"plus": "zoom(True)", "equals_sign": "zoom(True)", "minus": "zoom(False)"},
                "+ -",
                "zoom",
                "zoom: steps of a column",
            ),
        ),
    ),
    (
        "Find",
        (
            Key(
                {"j": "change(False)", "J": "change(True)"},
                "j J",
                "change",
                "largest changes; J: all units",
            ),
            Key({"slash": "label"}, "/", "label", "search for a label"),
            Key({"space": "mark"}, "space", "mark", "begin or drop a range"),
            Key({"enter": "find"}, "enter", "find", "where else units do as in it"),
            Key({"t": "threshold"}, "t", "", "|value| from which one is on"),
            Key({"n": "next(1)", "N": "next(-1)"}, "n N", "next", "next, previous place"),
            Key({"escape": "clear"}, "esc", "", "drop the range, the places"),
        ),
    ),
    (
        "Leave",
        (
            Key({"question_mark": "help", "f1": "help"}, "?", "help", "this page"),
            Key({"q": "quit"}, "q", "quit", "quit"),
            Key({"ctrl+c": "interrupt"}, "", "", ""),
            Key({"ctrl+z": "suspend_process"}, "", "", ""),
        ),
    ),
)

KEYS = [(name, do) for _, keys in GROUPS for key in keys for name, do in key.actions.items()]
"""Names of keys and what they do."""

FIRST = ("move", "show", "layer", "sequence", "change", "label", "mark", "find", "next", "zoom")
"""What the line of keys says while it has room."""

MOUSE = "click: move · drag: mark a range · wheel: units, with shift steps"
KEY_WIDTH, ENTRY_WIDTH = 10, 40

LAYOUT = """
#title { height: 1; }
#body { height: 1fr; }
#side { width: 20; display: none; }
#map { width: 1fr; height: 1fr; }
#numbers { height: auto; min-height: 8; max-height: 10; }
#message { height: auto; max-height: 3; min-height: 1; }
#asking { height: 1; display: none; }
#question { width: auto; padding-right: 1; text-style: bold; }
#prompt { width: 1fr; }
#keys { height: 1; }
HelpScreen { background: $background; }
HelpScreen Static { height: auto; }
VerticalScroll { scrollbar-size-vertical: 1; background: $background; }
"""


def key_line(width: int, several: set[str]) -> Text:
    """The keys that are needed most, as many as there is room for; help and the way out always.

    Args:
        width: of the line.
        several: what there are several of, so that it can be chosen: ``layer``, ``sequence``.
    """
    entries = {key.brief: key.shown for _, keys in GROUPS for key in keys if key.brief}
    wanted = [brief for brief in FIRST if brief not in ("layer", "sequence") or brief in several]
    shown, used = {"help", "quit"}, len("? help q quit")
    for brief in wanted:
        wide = len(entries[brief]) + len(brief) + 2
        if used + wide <= width:
            shown.add(brief)
            used += wide
    gap = "  " if used + len(shown) - 1 <= width else " "
    line = Text()
    for brief, key in entries.items():
        if brief in shown:
            line.append(gap if line else "").append(key, "bold reverse").append(f" {brief}")
    return line


def help_page(width: int, colours: bool) -> list[Text]:
    """All keys, and what the marks and colours mean."""
    blocks = [_block(name, keys) for name, keys in GROUPS]
    beside = width >= 2 * ENTRY_WIDTH
    left = [*blocks[0], Text(), *blocks[1]] if beside else []
    right = [*blocks[2], Text(), *blocks[3]] if beside else []
    lines = [line for block in ([] if beside else blocks) for line in (*block, Text())]
    for k in range(max(len(left), len(right))):
        line = left[k].copy() if k < len(left) else Text()
        line.pad_right(max(0, ENTRY_WIDTH - line.cell_len))
        lines.append(line.append_text(right[k]) if k < len(right) else line)
    return [*lines, *([Text()] if beside else []), *_marks(colours)]


def _marks(colours: bool) -> list[Text]:
    nan = PLAIN_NAN
    if colours:
        scale = "h c g: blue below 0, grey at 0, red above; i f o: dark at 0, yellow at 1"
        masked = MASKED_MARK
    else:
        low, high = SIGNED_RAMP[0], SIGNED_RAMP[-1]
        scale = f"h c g: {low} lowest, . at 0, {high} highest; i f o: . at 0, @ at 1"
        masked = "blank"
    lines = [
        f"{HERE} {CURSOR} cursor · {MARKED} range · {FOUND} found · {masked} masked · {nan} NaN",
        scale,
        "A column of several steps shows what stands out most: of a gate the value",
        "farthest from the unit's mean, of others the largest magnitude.",
        MOUSE,
        "esc: back",
    ]
    return [Text(line) for line in lines]


def _block(name: str, keys: tuple[Key, ...]) -> list[Text]:
    lines = [Text.assemble((name, "bold underline"))]
    for key in keys:
        if key.text:
            line = Text.assemble((key.shown, "bold"))
            line.pad_right(max(1, KEY_WIDTH - line.cell_len))
            lines.append(line.append(key.text))
    return lines
