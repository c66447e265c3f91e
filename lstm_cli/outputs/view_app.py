"""The full-screen browser. Textual is imported with this module, which ``view`` alone loads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..errors import LstmCliError
from .grid import Lines, wrapped
from .view_commands import Commands
from .view_keys import KEYS, LAYOUT, help_page, key_line
from .view_lists import DrawnLists, draw_lists
from .view_map import BELOW, DrawnMap, draw_map
from .view_state import Viewer
from .view_step_text import step_text
from .view_title import map_title, whereabouts

LINES_WITH_NUMBERS, LINES_WITH_KEYS = 18, 10
"""Lines that a screen must have for the numbers, and for the keys, to be on it."""

OWN_COLOURS = "ansi-dark"
"""The theme that leaves the terminal its own colours, dark or light."""

MANY_COLOURS = ("256", "truecolor")


class HeatMap(Static, can_focus=True):
    """Where arrow keys move the cursor, a click puts it, and the mouse marks a range."""

    app: ViewApp

    def on_resize(self) -> None:
        self.app.draw()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self.app.point(event.x, event.y, True)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self.app.point(event.x, event.y, False)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.app.action_move(*((-1, 0) if event.shift else (0, -1)))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.app.action_move(*((1, 0) if event.shift else (0, 1)))

    def on_mouse_scroll_left(self) -> None:
        self.app.action_move(-1, 0)

    def on_mouse_scroll_right(self) -> None:
        self.app.action_move(1, 0)


class Lists(Static):
    """Cells and places, each chosen with a click."""

    app: ViewApp

    def on_click(self, event: events.Click) -> None:
        self.app.choose(event.y)


class HelpScreen(ModalScreen[None]):
    """All keys; left with most of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, "dismiss") for key in ("escape", "q", "question_mark", "f1", "enter")
    ]

    def __init__(self, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Lines(help_page(self.app.size.width, self._colours)))


class ViewApp(Commands, App[BaseException]):
    """Look through a trace; what ``run`` returns is what ended it too early, or None.

    Args:
        viewer: where it begins.
        name: of what is looked at.
        colours: whether the map has colours; None for what the terminal has.
    """

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    CSS = LAYOUT
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, show=False, priority=key == "ctrl+c") for key, action in KEYS
    ]

    def __init__(self, viewer: Viewer, name: str = "", colours: bool | None = None) -> None:
        theme = os.environ.get("TEXTUAL_THEME", "")
        own = theme and "NO_COLOR" not in os.environ
        super().__init__(ansi_color=None if own else True)  # before it does without colours
        known = theme in self.available_themes
        self.set_reactive(App.theme, theme if known else OWN_COLOURS)
        self.stylesheet.set_variables(self.get_css_variables())
        self.animation_level = "none"
        self.viewer, self.source, self.message = viewer, name, ""
        self.drawn: DrawnMap | None = None
        self.lists: DrawnLists | None = None
        self.asked: Callable[[str], None] | None = None
        self._loop_here: asyncio.AbstractEventLoop | None = None
        self._drag: int | None = None
        self._shown: dict[str, tuple[Text, ...]] = {}
        self._to_draw, self._drawn_for = False, Size(0, 0)
        many = not self.no_color and self.console.color_system in MANY_COLOURS
        self.colours = many if colours is None else colours

    # -- the screen

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        with Horizontal(id="body"):
            yield Lists(id="side")
            yield HeatMap(id="map")
        yield Static(id="numbers")
        yield Static(id="message")
        with Horizontal(id="asking"):
            yield Static(id="question")
            yield Input(id="prompt", compact=True, select_on_focus=False)
        yield Static(id="keys")

    def on_mount(self) -> None:
        self.query_one("#map").focus()
        self._loop_here = asyncio.get_running_loop()

    def stop(self, *_: object) -> None:
        """Leave as Ctrl-C does; a handler of signals."""
        if self._loop_here is None:
            raise KeyboardInterrupt
        self._loop_here.call_soon_threadsafe(self.action_interrupt)

    def on_resize(self, event: events.Resize) -> None:
        self.query_one("#numbers").display = event.size.height >= LINES_WITH_NUMBERS
        self.query_one("#keys").display = event.size.height >= LINES_WITH_KEYS
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Show where the viewer is, as soon as all keys that are waiting have been dealt with."""
        if not self._to_draw:
            self._to_draw = True
            self.call_later(self._draw_now)

    @property
    def is_drawn(self) -> bool:
        """Whether the screen shows all that was asked for."""
        drawn = self.drawn is not None and not self._to_draw
        return drawn and self._drawn_for == self.query_one("#map").size

    def _draw_now(self) -> None:
        self._to_draw = False
        try:
            self._draw()
        except LstmCliError as error:
            self.show("#message", Text(str(error)))
        except Exception as error:
            self.exit(error)

    def _draw(self) -> None:
        viewer, size = self.viewer, self.query_one("#map").size
        self._drawn_for = size
        if size.width < 1 or size.height < 1:
            return
        width, room = self.size.width, self.room
        top = self.drawn.top if self.drawn else 0
        self.lists = draw_lists(viewer, width, size.height)
        side = self.query_one("#side")
        side.display, side.styles.width = bool(self.lists.width), max(1, self.lists.width)
        height = max(size.height, BELOW + 1)
        self.drawn = draw_map(viewer, size.width, height, top, colours=self.colours)
        self.show("#side", *self.lists.lines)
        self.show("#map", *self.drawn.lines)
        self.show("#title", map_title(viewer, width, room, self.colours, self.source))
        self.show("#numbers", *step_text(viewer.numbers(), width))
        self.show("#message", *wrapped(self.message or whereabouts(viewer, room), width))
        several = {"layer"} if len(viewer.cells) > 1 else set()
        several |= {"sequence"} if viewer.traced.sequences > 1 else set()
        self.show("#keys", key_line(width, several))

    def map_width(self) -> int:
        """Cells of the terminal from left to right that the map has, with its margins."""
        return self.query_one("#map").size.width

    def show(self, where: str, *lines: Text) -> None:
        """Finished lines in a part of the screen; nothing is done where they are there already."""
        before = self._shown.get(where)
        if before != lines:
            self._shown[where] = lines
            layout = before is None or len(before) != len(lines)
            self.query_one(where, Static).update(Lines(lines), layout=layout)

    # -- the mouse

    def point(self, column: int, line: int, begin: bool) -> None:
        """Put the cursor there; where the mouse is moved with its button down, mark a range."""
        drawn, viewer = self.drawn, self.viewer
        step = drawn.step(column) if drawn else None
        if drawn is None or step is None:
            return
        unit, tensor = drawn.unit(line), drawn.tensor(line)
        if begin:
            self._drag = step if unit is not None or tensor is not None else None
            if tensor is not None:
                self.attempt(lambda: viewer.choose_tensor(tensor))
        if self._drag is None or (not begin and step == viewer.step):
            return
        if not begin:
            viewer.mark = self._drag
        down = 0 if unit is None or not begin else unit - viewer.unit
        self.attempt(lambda: viewer.move(step - viewer.step, down))

    def choose(self, line: int) -> None:
        """The cell or the place in a line of the lists."""
        lists = self.lists
        if lists is None or line >= len(lines := lists.lines) or not lines[line].plain:
            return
        cell, place = lists.cells[line], lists.places[line]
        if cell is not None:
            self.attempt(lambda: self.viewer.choose_cell(cell))
        elif place is not None:
            self.attempt(lambda: self.viewer.go(place))
            self.tell_place()

    # -- asking

    def ask(self, question: str, answer: Callable[[str], None], begun: str = "") -> None:
        """Read a line, and give it to ``answer``."""
        prompt = self.query_one("#prompt", Input)
        self.asked, prompt.value = answer, begun
        self.query_one("#question", Static).update(Text(f"{question}:", no_wrap=True))
        self._show_prompt(True)
        prompt.focus()
        prompt.cursor_position = len(begun)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        answer = self.asked
        self.close_prompt()
        if answer is not None and event.value:
            answer(event.value)

    def close_prompt(self) -> None:
        """Back to the map."""
        self.asked = None
        self._show_prompt(False)
        self.query_one("#map").focus()

    def _show_prompt(self, shown: bool) -> None:
        self.query_one("#asking").display = shown
        self.query_one("#message").display = not shown

    def action_help(self) -> None:
        self.push_screen(HelpScreen(self.colours))

    def action_interrupt(self) -> None:
        self.exit(KeyboardInterrupt())
