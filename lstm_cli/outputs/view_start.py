"""The public function that opens the full-screen browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from importlib.util import find_spec

from ..analysis.cells import AnyTrace, TracedCell, cells_of
from ..errors import MissingExtraError
from ..model import Model
from .view_state import Viewer


def view(
    trace: AnyTrace | TracedCell,
    labels: Sequence[str] = (),
    *,
    model: Model | None = None,
    cell: str | None = None,
    tensor: str | None = None,
    sequence: int = 0,
    step: int | None = None,
    unit: int | None = None,
) -> None:
    """Look through a trace in a full-screen browser, until it is left with q.

    >>> lstm_cli.view(trace, labels, model=model, unit=4)  # doctest: +SKIP

    Args:
        trace: from ``trace`` or ``open_trace``; of a long one only what is seen is read.
        labels: of the input's steps, from step 0 on.
        model: has the weights by which z is split; None for those that an export holds.
        cell: part or address to begin with, where there are several.
        tensor: ``h``, ``c`` or a gate to begin with; None for the first that is there.
        sequence, step, unit: where the cursor is put; None for the first that the trace holds.

    Raises:
        MissingExtraError: without Textual.
        NoSuchNameError: if the cell or tensor is not there.
        UsageError: if the sequence, step or unit is not there, or there is not one label a step.
        InputError: if the unit was left out of the trace.
    """
    require_textual()
    given = tuple(labels)
    viewer = Viewer(
        cells_of(trace),
        (lambda _: given) if given else None,
        model,
        cell=cell,
        tensor=tensor,
        sequence=sequence,
        step=step,
        unit=unit,
    )
    open_browser(viewer)


def open_browser(viewer: Viewer, name: str = "") -> None:
    """Run the browser on the terminal.

    Args:
        viewer: where it begins.
        name: of what is looked at.

    Raises:
        MissingExtraError: without Textual.
    """
    require_textual()
    from .view_app import ViewApp

    setting = os.environ.get("NO_COLOR")
    app = ViewApp(viewer, name)
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handlers = {number: signal.signal(number, app.stop) for number in numbers}
    try:
        failure = app.run()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if setting is not None:  # Textual takes it away
            os.environ["NO_COLOR"] = setting
    if failure is not None:
        raise failure


def require_textual() -> None:
    """See that Textual is there, before any work is done for it.

    Raises:
        MissingExtraError: if it is not.
    """
    if find_spec("textual") is None:
        raise MissingExtraError("the full-screen browser", "textual", "view")
