"""What the keys of the browser do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.text import Text

from ..errors import LstmCliError, UsageError
from .view_map import DrawnMap, room_of
from .view_places import Places, find_label, largest_changes
from .view_state import Viewer


class Commands:
    """The actions of the browser, apart from how it looks."""

    viewer: Viewer
    drawn: DrawnMap | None
    asked: Callable[[str], None] | None
    message: str
    draw: Callable[[], None]
    show: Callable[..., None]
    ask: Callable[..., None]
    close_prompt: Callable[[], None]
    call_after_refresh: Callable[..., Any]
    exit: Callable[..., None]
    map_width: Callable[[], int]

    @property
    def room(self) -> int:
        """How many columns of one cell the map has."""
        return room_of(self.viewer, self.map_width())

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

    def action_end(self, by: int) -> None:
        self.attempt(lambda: self.viewer.move(by * self.viewer.length))

    def action_tensor(self, name: str) -> None:
        self.attempt(lambda: self.viewer.choose_tensor(name))

    def action_cell(self, by: int) -> None:
        names = list(self.viewer.cells)
        name = names[(names.index(self.viewer.cell) + by) % len(names)]
        self.attempt(lambda: self.viewer.choose_cell(name))

    def action_sequence(self, by: int) -> None:
        self.attempt(lambda: self.viewer.next_sequence(by))

    def action_zoom(self, closer: bool) -> None:
        self.attempt(lambda: self.viewer.change_zoom(closer, self.room))

    def action_mark(self) -> None:
        viewer = self.viewer
        viewer.mark = viewer.step if viewer.mark is None else None
        self.attempt(viewer.move)

    def action_clear(self) -> None:
        """Leave the prompt, or else drop the range, or else the places."""
        viewer = self.viewer
        if self.asked is not None:
            self.close_prompt()
        elif viewer.mark is not None:
            viewer.mark = None
        else:
            viewer.places, viewer.place = Places(), 0
        self.attempt(viewer.move)

    # -- numbers to go to

    def action_step(self, begun: str) -> None:
        viewer = self.viewer
        question = f"step, {viewer.begin} to {viewer.end - 1}"
        self.ask(question, lambda text: self._with_number(text, viewer.go_to_step), begun)

    def action_unit(self) -> None:
        viewer = self.viewer
        last = viewer.number_of(viewer.units - 1)
        question = f"unit, {viewer.number_of(0)} to {last}"
        self.ask(question, lambda text: self._with_number(text, viewer.go_to_unit))

    def action_choose_sequence(self) -> None:
        viewer = self.viewer
        if viewer.traced.sequences == 1:
            self.attempt(viewer.move, "there is one sequence")
            return
        question = f"sequence, 0 to {viewer.traced.sequences - 1}"
        self.ask(question, lambda text: self._with_number(text, viewer.choose_sequence))

    def action_threshold(self) -> None:
        self.ask(
            f"a unit is on where |value| is at least (now {self.viewer.threshold:g})",
            lambda text: self.attempt(lambda: self._choose_threshold(text)),
        )

    def _choose_threshold(self, text: str) -> None:
        try:
            self.viewer.choose_threshold(float(text))
        except ValueError:
            raise UsageError(f"expected a number, found '{text}'") from None
        self.message = f"enter finds with units on at {self.viewer.threshold:g}"

    def _with_number(self, text: str, go: Callable[[int], None]) -> None:
        def act() -> None:
            if not text.strip().isdecimal():
                raise UsageError(f"expected a number, found '{text}'")
            go(int(text))

        self.attempt(act)

    # -- places

    def action_change(self, every: bool) -> None:
        viewer = self.viewer
        unit = None if every else viewer.unit
        self._search(
            f"changes of {viewer.tensor}",
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
            f"like {span[0]}:{span[1]} in {viewer.tensor}", lambda: viewer.take(viewer.alike(span))
        )

    def action_next(self, by: int) -> None:
        self.attempt(lambda: self.viewer.go(self.viewer.place + by))
        self.tell_place()

    def action_label(self) -> None:
        viewer = self.viewer

        def search(text: str) -> Places:
            return find_label(viewer.labels, text, viewer.sequence, viewer.begin)

        self.ask(
            "label to search for",
            lambda text: self._search(f"'{text}'", lambda: viewer.take(search(text), nearest=True)),
        )

    def _search(self, title: str, search: Callable[[], None]) -> None:
        """Look for places, after the screen has said so: a long trace takes its time."""
        self.show("#message", Text(f"searching: {title} …"))
        self.call_after_refresh(self._searched, search)

    def _searched(self, search: Callable[[], None]) -> None:
        before = self.viewer.places
        self.attempt(search)
        if not self.message and self.viewer.places is not before:
            self.tell_place()

    def tell_place(self) -> None:
        """Say which of the places it is, and how they were found."""
        places = self.viewer.places
        if self.message:
            return
        self.message = f"{places.title}: nothing found"
        if places.found:
            place = places.found[self.viewer.place]
            count = f"{self.viewer.place + 1} of {len(places.found)}"
            rule = f" ({places.rule})" if places.rule else ""
            self.message = f"{places.title}: {count}, {place.full}{rule}"
        self.draw()
