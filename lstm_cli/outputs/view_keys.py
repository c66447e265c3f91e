"""The keys of the browser, the lines that tell them, and where its parts stand."""

from __future__ import annotations

from rich.text import Text

KEYS: tuple[tuple[str, str, str, str], ...] = (
    ("left", "move(-1, 0)", "←→", "step"),
    ("right", "move(1, 0)", "", ""),
    ("up", "move(0, -1)", "↑↓", "unit"),
    ("down", "move(0, 1)", "", ""),
    ("h", "tensor('h')", "h c i f g o", "show"),
    *((name, f"tensor('{name}')", "", "") for name in "cifgo"),
    ("left_square_bracket", "cell(-1)", "[ ]", "layer"),
    ("right_square_bracket", "cell(1)", "", ""),
    ("comma", "sequence(-1)", ", .", "sequence"),
    ("full_stop", "sequence(1)", "", ""),
    ("j", "change(False)", "j", "largest change"),
    ("J", "change(True)", "J", "of all units"),
    ("slash", "label", "/", "label"),
    ("space", "mark", "space", "mark"),
    ("enter", "find", "enter", "find alike"),
    ("n", "next(1)", "n N", "next"),
    ("N", "next(-1)", "", ""),
    ("colon", "step", ":", "step"),
    ("plus equals_sign", "zoom(True)", "+ -", "zoom"),
    ("minus", "zoom(False)", "", ""),
    ("escape", "clear", "esc", "clear"),
    ("q", "quit", "q", "quit"),
    ("ctrl+c", "interrupt", "", ""),
    ("home", "end(False)", "", ""),
    ("end", "end(True)", "", ""),
    ("pageup", "page(-1)", "", ""),
    ("pagedown", "page(1)", "", ""),
)
"""Names of keys, what they do, how they are shown, and what is said of them."""

GAP = "  "
HELP = tuple((shown, text) for _, _, shown, text in KEYS if shown)

SIDE, SIDE_WIDE = 20, 32
"""Cells that the lists take."""

LAYOUT = f"""
#title, #message {{ height: 1; }}
#title {{ text-style: bold; }}
#body {{ height: 1fr; }}
#side {{ width: {SIDE}; padding-right: 1; }}
#side.wide {{ width: {SIDE_WIDE}; }}
#cells {{ height: auto; max-height: 60%; border: none; padding: 0; }}
#places {{ height: 1fr; border: none; padding: 0; }}
#map {{ width: 1fr; height: 1fr; }}
#numbers {{ height: 8; }}
#asking {{ height: 1; display: none; }}
#question {{ width: auto; padding-right: 1; text-style: bold; }}
#prompt {{ width: 1fr; height: 1; border: none; padding: 0; }}
OptionList {{ scrollbar-size-vertical: 1; }}
#cells > .option-list--option-highlighted, #places > .option-list--option-highlighted {{
    text-style: bold reverse;
}}
#keys {{ height: auto; text-style: dim; }}
"""


def help_lines(width: int) -> list[Text]:
    """All keys in as many lines as it takes."""
    lines = [Text()]
    for shown, text in HELP:
        entry = Text.assemble((shown, "bold"), f" {text}")
        gap = GAP if lines[-1] else ""
        if lines[-1] and lines[-1].cell_len + len(gap) + entry.cell_len > width:
            lines.append(Text())
            gap = ""
        lines[-1].append(gap).append_text(entry)
    return lines
