"""The browser's screen as a picture, drawn without a terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .pending import replacing, write_errors
from .running_text_files import FONT
from .view_start import require_textual
from .view_state import Viewer

if TYPE_CHECKING:
    from .view_app import ViewApp

SIZE = (100, 30)
"""Columns and lines."""

SMALLEST, LARGEST = (20, 8), (500, 200)
TITLE = "lstm view"

_WEB_FONTS = re.compile(r"\s*@font-face\s*\{.*?\}", re.DOTALL)
_FAMILY = re.compile(r"font-family:[^;]*;")


def write_picture(viewer: Viewer, path: Path, name: str = "", size: tuple[int, int] = SIZE) -> None:
    """Write what the screen shows as .svg, whole or not at all.

    Args:
        viewer: where the cursor is.
        path: of the picture.
        name: of what is looked at.
        size: columns and lines of the screen.

    Raises:
        MissingExtraError: without Textual.
        UsageError: for another extension, or a size that no screen has.
        OutputError: if the file could not be written; an earlier one is untouched.
    """
    check_picture(path, size)
    content = screen_picture(viewer, name, size)
    with replacing(path) as temporary, write_errors(path):
        temporary.write_text(content, encoding="utf-8", errors="replace")


def check_picture(path: Path, size: tuple[int, int]) -> None:
    """Refuse what cannot be drawn.

    Raises:
        MissingExtraError: without Textual.
        UsageError: for another extension than .svg, or a size that no screen has.
    """
    require_textual()
    if path.suffix.lower() != ".svg":
        raise UsageError(f"{path}: a screen is written as .svg; choose a name that ends so")
    ends = zip(size, SMALLEST, LARGEST, strict=True)
    if not all(low <= number <= high for number, low, high in ends):
        raise UsageError(
            f"size {size[0]}x{size[1]}: expected {SMALLEST[0]}x{SMALLEST[1]} to "
            f"{LARGEST[0]}x{LARGEST[1]}"
        )


def screen_picture(viewer: Viewer, name: str = "", size: tuple[int, int] = SIZE) -> str:
    """The screen as SVG, in colour whatever the terminal has, without fonts from the web.

    Args:
        viewer: where the cursor is.
        name: of what is looked at.
        size: columns and lines.
    """
    from .view_app import ViewApp

    pictures: list[str] = []
    with _with_colours():
        app = ViewApp(viewer, name, colours=True)

    async def draw(pilot: Any) -> None:
        await settled(app, pilot)
        pictures.append(app.export_screenshot(title=TITLE, simplify=True))
        app.exit()

    failure = app.run(headless=True, size=size, auto_pilot=draw)
    if failure is not None:
        raise failure
    return _FAMILY.sub(f"font-family: {FONT};", _WEB_FONTS.sub("", pictures[0]))


async def settled(app: ViewApp, pilot: Any) -> None:
    """Until what was asked for is on the screen: each pass may move its parts once more."""
    while not app.is_drawn:
        await pilot.pause()


@contextmanager
def _with_colours() -> Iterator[None]:
    """Without NO_COLOR, which is about terminals."""
    setting = os.environ.pop("NO_COLOR", None)
    try:
        yield
    finally:
        if setting is not None:
            os.environ["NO_COLOR"] = setting
