"""The full-screen browser. Textual is imported with this module, which ``view`` alone loads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ..errors import LstmCliError
from .grid import Lines, clipped_left
from .step_labels import shown_label
from .view_keys import KEYS, LAYOUT, SIDE, SIDE_WIDE, help_lines
from .view_map import BELOW, DrawnMap, draw_map, map_title, room_of
from .view_places import find_alike, find_label, largest_changes
from .view_state import Viewer
from .view_step_text import number_text, step_text

LINES_WITH_NUMBERS, LINES_WITH_KEYS = 18, 10
"""Lines that a screen must have for the numbers, and for the keys, to be on it."""

WIDE = 120
"""From this width on the lists are wider."""


class HeatMap(Static, can_focus=True):
    """Where arrow keys move the cursor, and a click puts it."""


class ViewApp(App[BaseException]):
    """Look through a trace; what ``run`` returns is what ended it too early, or None."""

    ENABLE_COMMAND_PALETTE = False
    CSS = LAYOUT
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, show=False) for key, action, _, _ in KEYS for key in key.split()
    ]

    def __init__(self, viewer: Viewer, name: str = "") -> None:
        super().__init__(ansi_color=True)  # before it decides how to do without colours
        self.viewer, self.source, self.message = viewer, name, ""
        self.drawn: DrawnMap | None = None
        self._loop_here: asyncio.AbstractEventLoop | None = None
        self._asked: Callable[[str], None] | None = None
        self.plain = self.no_color

    # -- the screen

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        with Horizontal(id="body"):
            with Vertical(id="side"):
                yield OptionList(id="cells")
                yield OptionList(id="places")
            yield HeatMap(id="map")
        yield Static(id="numbers")
        yield Static(id="message")
        with Horizontal(id="asking"):
            yield Static(id="question")
            yield Input(id="prompt")
        yield Static(id="keys")

    def on_mount(self) -> None:
        self.theme = "ansi-dark"  # the terminal's own colours, dark or light
        self.query_one("#map").focus()
        self._loop_here = asyncio.get_running_loop()

    def stop(self, *_: object) -> None:
        """Leave as Ctrl-C does; a handler of signals."""
        if self._loop_here is None:
            raise KeyboardInterrupt
        self._loop_here.call_soon_threadsafe(self.action_interrupt)

    def on_resize(self, event: events.Resize) -> None:
        wide = event.size.width >= WIDE
        self.query_one("#side").set_class(wide, "wide")
        self.query_one("#numbers").display = event.size.height >= LINES_WITH_NUMBERS
        self.query_one("#keys").display = event.size.height >= LINES_WITH_KEYS
        cells = self.query_one("#cells", OptionList)
        cells.clear_options()
        room = (SIDE_WIDE if wide else SIDE) - 2
        names = [shown_label(name or self._lone_name()) for name in self.viewer.cells]
        cells.add_options([Option(Text(clipped_left(name, room))) for name in names])
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Show where the viewer is now."""
        try:
            self._draw()
        except LstmCliError as error:
            self._show("#message", Text(str(error)))
        except Exception as error:
            self.exit(error)

    def _draw(self) -> None:
        viewer, size = self.viewer, self.query_one("#map").size
        if size.width < 1 or size.height < 1:
            return
        width, colours = self.size.width, not self.plain
        top = self.drawn.top if self.drawn else 0
        self.drawn = draw_map(viewer, size.width, max(size.height, BELOW + 1), top, colours=colours)
        self._show("#map", *self.drawn.lines)
        room = room_of(viewer, size.width)
        self._show("#title", map_title(viewer, width, room, colours, self.source))
        self._show("#numbers", *step_text(viewer.numbers(), width))
        self._show("#message", Text(self.message or self._whereabouts()))
        self._show("#keys", *help_lines(width))
        cells: OptionList = self.query_one("#cells", OptionList)
        cells.highlighted = list(viewer.cells).index(viewer.cell)

    def _show(self, where: str, *lines: Text) -> None:
        self.query_one(where, Static).update(Lines(lines))

    def _lone_name(self) -> str:
        return str(next(iter(self.viewer.cells.values())).meta.get("layer") or "lstm")

    def _whereabouts(self) -> str:
        viewer = self.viewer
        value = number_text(viewer.value())
        text = f"{viewer.tensor}[{viewer.step}] of unit {viewer.unit}: {value}"
        if viewer.span is not None:
            start, stop = viewer.span
            text += f"   marked {start}:{stop}, enter finds where else the units do the same"
        return text

    # -- what keys do

    def attempt(self, what: Callable[[], object], message: str = "") -> None:
        """Do something and draw; what cannot be done is said, and nothing else happens."""
        self.message = message
        try:
            what()
        except LstmCliError as error:
            self.message = str(error)
        except Exception as error:
            self.exit(error)
            return
        self.draw()

    def action_move(self, steps: int, units: int) -> None:
        self.attempt(lambda: self.viewer.move(steps * self.viewer.zoom, units))

    def action_page(self, by: int) -> None:
        steps = self.drawn.axis.steps if self.drawn else 1
        self.attempt(lambda: self.viewer.move(by * max(1, steps - 1)))

    def action_end(self, last: bool) -> None:
        self.attempt(lambda: self.viewer.move(self.viewer.length * (1 if last else -1)))

    def action_tensor(self, name: str) -> None:
        self.attempt(lambda: self.viewer.choose_tensor(name))

    def action_cell(self, by: int) -> None:
        names = list(self.viewer.cells)
        name = names[(names.index(self.viewer.cell) + by) % len(names)]
        self.attempt(lambda: self.viewer.choose_cell(name))

    def action_sequence(self, by: int) -> None:
        count = self.viewer.traced.sequences
        self.attempt(lambda: self.viewer.choose_sequence((self.viewer.sequence + by) % count))

    def action_zoom(self, closer: bool) -> None:
        room = room_of(self.viewer, self.query_one("#map").size.width)
        self.attempt(lambda: self.viewer.change_zoom(closer, room))

    def action_mark(self) -> None:
        viewer = self.viewer
        viewer.mark = viewer.step if viewer.mark is None else None
        self.attempt(viewer.move)

    def action_clear(self) -> None:
        self.viewer.mark, self.viewer.places, self.viewer.place = None, (), -1
        self._close_prompt()
        self._list_places()
        self.attempt(self.viewer.move)

    def action_change(self, every: bool) -> None:
        viewer = self.viewer
        unit = None if every else viewer.unit
        which = " in all units" if every else ""
        self._search(
            f"largest changes of {viewer.tensor}{which}",
            lambda: viewer.take(
                largest_changes(viewer.traced, viewer.tensor, viewer.sequence, unit)
            ),
        )

    def action_find(self) -> None:
        viewer, span = self.viewer, self.viewer.span
        if span is None:
            self.attempt(viewer.move, "mark a range first: space, then the arrow keys")
            return
        self._search(
            f"like {span[0]}:{span[1]} in {viewer.tensor}",
            lambda: viewer.take(find_alike(viewer.traced, viewer.tensor, span, viewer.sequence)),
        )

    def action_next(self, by: int) -> None:
        self.attempt(lambda: self.viewer.next_place(by))
        self._tell_place()

    def action_label(self) -> None:
        viewer = self.viewer
        self._ask(
            "label to search for",
            lambda text: self._search(
                f"'{text}'",
                lambda: viewer.take(find_label(viewer.labels, text, viewer.sequence), nearest=True),
            ),
        )

    def action_step(self) -> None:
        self._ask("step to go to", lambda text: self.attempt(lambda: self._go(text)))

    def _go(self, text: str) -> None:
        if not text.isdecimal() or int(text) >= self.viewer.length:
            self.message = f"there are steps 0 to {self.viewer.length - 1}, none '{text}'"
        else:
            self.viewer.move(int(text) - self.viewer.step)

    def action_interrupt(self) -> None:
        self.exit(KeyboardInterrupt())

    # -- places

    def _search(self, title: str, search: Callable[[], None]) -> None:
        """Look for places, after the screen has said so: a long trace takes its time."""
        self._show("#message", Text(f"searching: {title} …"))
        self.call_after_refresh(self._searched, title, search)

    def _searched(self, title: str, search: Callable[[], None]) -> None:
        before = self.viewer.places
        self.attempt(search)
        if self.message or self.viewer.places is before:
            return
        self._list_places()
        self._tell_place(title)

    def _tell_place(self, title: str = "") -> None:
        viewer, before = self.viewer, f"{title}: " if title else ""
        if not viewer.places:
            self.message = self.message or f"{before}nothing found"
        else:
            place = viewer.places[viewer.place]
            count = f"{viewer.place + 1} of {len(viewer.places)}"
            self.message = f"{before}{count}, {place.full}"
            self.query_one("#places", OptionList).highlighted = viewer.place
        self.draw()

    def _list_places(self) -> None:
        places = self.query_one("#places", OptionList)
        places.clear_options()
        for place in self.viewer.places:
            places.add_option(Option(Text(f"{place.start:>6} {place.brief}", no_wrap=True)))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_list.id == "cells":
            name = list(self.viewer.cells)[event.option_index]
            self.attempt(lambda: self.viewer.choose_cell(name))
        else:
            self.viewer.place = event.option_index
            self.action_next(0)

    # -- asking

    def _ask(self, question: str, answer: Callable[[str], None]) -> None:
        prompt = self.query_one("#prompt", Input)
        self._asked, prompt.value = answer, ""
        self._show("#question", Text(f"{question}:"))
        self._show_prompt(True)
        prompt.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        answer = self._asked
        self._close_prompt()
        if answer is not None and event.value:
            answer(event.value)

    def _close_prompt(self) -> None:
        self._asked = None
        self._show_prompt(False)
        self.query_one("#map").focus()

    def _show_prompt(self, shown: bool) -> None:
        self.query_one("#asking").display = shown
        self.query_one("#message").display = not shown

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self.query_one("#map"))
        place = self.drawn.place(offset.x, offset.y) if self.drawn and offset else None
        if place is not None:
            step, unit = place
            self.attempt(lambda: self.viewer.move(step - self.viewer.step, unit - self.viewer.unit))
