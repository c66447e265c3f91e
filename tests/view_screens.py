"""The full-screen browser as tests use it: opened without a terminal, and driven by its pilot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import numpy as np
from cli_runs import SAMPLES, load_npz
from numpy.typing import NDArray

import lstm_cli
from lstm_cli import Model
from lstm_cli.analysis.cells import cells_of
from lstm_cli.outputs.view_app import ViewApp
from lstm_cli.outputs.view_state import Viewer
from lstm_cli.traces import Trace, Traces

Array = NDArray[Any]

TENSORS = (*"hcifgo", "z_i", "z_f", "z_g", "z_o", "x")
SHOWN = 6e-5
"""Four decimals, and the rounding of float32."""

BRACKETS = (SAMPLES / "brackets.labels.txt").read_text().splitlines()


@cache
def traced(name: str) -> tuple[Model, Trace | Traces]:
    """A sample model and its trace."""
    model = lstm_cli.load(SAMPLES / f"{name}.keras")
    path = SAMPLES / f"{name}.npy"
    if path.exists():
        x = np.load(path)
    else:
        x = np.loadtxt(SAMPLES / f"{name}.csv", skiprows=1, delimiter=",")
    return model, lstm_cli.trace(model, x, tensors=TENSORS)


@cache
def golden(name: str = "brackets") -> dict[str, Array]:
    """What the framework computed."""
    return load_npz(SAMPLES / f"{name}.golden.npz")


def brackets(labels: bool = True, **start: Any) -> Viewer:
    model, trace = traced("brackets")
    return Viewer(cells_of(trace), (lambda _: BRACKETS) if labels else None, model, **start)


def made(**arrays: Array) -> Viewer:
    """A trace without a model."""
    return Viewer(cells_of(Trace(arrays, {"layer": "made"})))


class Screen:
    """An open browser and its pilot."""

    def __init__(self, app: ViewApp, pilot: Any) -> None:
        self.app, self.pilot, self.viewer = app, pilot, app.viewer

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def write(self, text: str) -> None:
        """Letters and digits, then enter."""
        await self.press(*({".": "full_stop"}.get(letter, letter) for letter in text), "enter")

    async def settle(self) -> None:
        """Until what was asked for is done, and what that asked for is on the screen."""
        for _ in range(3):
            if self.app.is_running and not self.app._exit:
                done = asyncio.Event()
                self.app.call_after_refresh(done.set)
                await asyncio.wait_for(done.wait(), 5)

    async def until(self, text: str) -> None:
        """Until it is on the screen; scrolling takes as many passes as it likes."""
        for _ in range(100):
            if text in self.text:
                return
            await self.settle()
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {text!r} in:\n{self.text}")

    async def click(self, column: int, line: int, where: str = "#map") -> None:
        await self.pilot.click(where, offset=(column, line))
        await self.settle()

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await self.settle()

    @property
    def lines(self) -> list[str]:
        """The whole screen as text."""
        width = self.app.size.width
        rows = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in row)[:width].rstrip() for row in rows]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def line(self, start: str) -> str:
        """The one line that begins so."""
        (found,) = (line for line in self.lines if line.startswith(start))
        return found

    def numbers(self, start: str) -> list[float]:
        """The decimal numbers of the one line that begins so."""
        return [float(n) for n in re.findall(r"[+-]?\d+\.\d+", self.line(start))]

    def gate(self, name: str) -> list[float]:
        """The numbers of a gate's line: what z is the sum of, z, and the gate."""
        (found,) = (line for line in self.lines if re.match(rf"{name} .* →", line))
        return [float(n) for n in re.findall(r"[+-]\d+\.\d+|-?\d+\.\d+", found)]

    @property
    def message(self) -> str:
        return self.app.message

    @property
    def listed(self) -> list[list[str]]:
        """The places that are seen in the list, each as its cells."""
        lists = self.app.lists
        assert lists is not None
        pairs = zip(lists.lines, lists.places, strict=True)
        return [line.plain.strip("▸ ").split() for line, place in pairs if place is not None]


def browse(
    viewer: Viewer,
    steps: Callable[[Screen], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
    colours: bool | None = True,
) -> ViewApp:
    """Open the browser, do something in it, and close it."""
    app = ViewApp(viewer, "made.csv", colours)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.settle()
            await steps(screen)

    asyncio.run(run())
    assert app.return_value is None
    return app
