"""What a picture or a table left out, and how to see it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from .grid import wrapped

OPTIONS = {"unit": "--units", "step": "--steps"}


def left_out_note(counts: Mapping[str, int], width: int) -> list[Text]:
    """``… 12 more units, 480 more steps: use --units, --steps or -o``; nothing if all is shown.

    Args:
        counts: how many of each are not shown, by singular: ``unit``, ``step``, ``sequence``.
        width: of the console.
    """
    missing = {what: count for what, count in counts.items() if count > 0}
    if not missing:
        return []
    amounts = [f"{count} more {what}{'s' if count > 1 else ''}" for what, count in missing.items()]
    options = [OPTIONS[what] for what in missing if what in OPTIONS]
    advice = f"{', '.join(options)} or -o" if options else "-o"
    return wrapped(f"… {', '.join(amounts)}: use {advice}", width, "dim")
