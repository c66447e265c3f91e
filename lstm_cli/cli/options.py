"""Options that several commands share, each defined once."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

import typer
from typer.core import TyperCommand

_MODEL, _INPUT, _STATE, _RUN, _OUTPUT = "Model", "Input", "State and masks", "Running", "Output"


def _option(panel: str, help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


class ModelOptions:
    """Which model, and what the caller says about it beyond what the file says.

    A plain class: a dataclass with as many fields takes several milliseconds of every start.
    """

    model: Annotated[Path, typer.Argument(metavar="MODEL", show_default=False)]
    architecture: Annotated[
        Path | None,
        _option(_MODEL, "JSON architecture (to_json) for a file of weights.", metavar="FILE.json"),
    ] = None
    recurrent_activation: Annotated[
        str | None,
        _option(_MODEL, "Gate activation, for files that cannot say.", metavar="NAME"),
    ] = None
    activation: Annotated[
        str | None, _option(_MODEL, "Activation of g and c, likewise.", metavar="NAME")
    ] = None
    hard_sigmoid: Annotated[
        str | None,
        _option(
            _MODEL, "Which hard_sigmoid: 0.2 (Keras 1, 2) or 1/6 (Keras 3).", metavar="0.2|1/6"
        ),
    ] = None
    override: Annotated[
        bool, _option(_MODEL, "Let these win over what the file says.", "--override")
    ] = False
    treat_as_lstm: Annotated[
        list[str] | None,
        _option(_MODEL, "Custom class that computes as an LSTM. Repeatable.", metavar="CLASS"),
    ] = None
    gate_order: Annotated[
        str | None,
        _option(
            _MODEL,
            "Order of the gates in an .npz that cannot say: ifco (Keras), iofc (ONNX), another.",
            metavar="LETTERS",
        ),
    ] = None

    without: ClassVar[frozenset[str]] = frozenset()
    """Options of the classes above that mean nothing to a command."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class InputOptions(ModelOptions):
    """How to run a model on input files."""

    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", show_default=False),
    ]
    layer: Annotated[
        list[str] | None,
        _option(_RUN, "Layer to look at. Repeatable.", "--layer", "-l", metavar="ADDRESS"),
    ] = None
    direct: Annotated[
        bool,
        _option(_RUN, "INPUT is what the layer receives, not the model's own input.", "--direct"),
    ] = False
    columns: Annotated[
        str | None, _option(_INPUT, "Columns of a text file, by name or number.", metavar="A,B,…")
    ] = None
    sequence_column: Annotated[
        str | None,
        _option(_INPUT, "Column whose values split rows into sequences.", metavar="NAME"),
    ] = None
    window: Annotated[
        int | None, _option(_INPUT, "Cut a series into sequences of N steps.", metavar="N", min=1)
    ] = None
    stride: Annotated[
        int | None, _option(_INPUT, "Steps between windows (1).", metavar="S", min=1)
    ] = None
    time_major: Annotated[
        bool, _option(_INPUT, "A direct INPUT is (T, B, F), not (B, T, F).", "--time-major")
    ] = False
    initial_state: Annotated[
        str | None,
        _option(
            _STATE,
            "State before the first step: FILE.npz of --save-state or run, H.npy,C.npy, zeros or a "
            "number.",
            metavar="STATE",
        ),
    ] = None
    stateful: Annotated[
        bool,
        _option(_STATE, "INPUTs are consecutive chunks of the same sequences.", "--stateful"),
    ] = False
    mask: Annotated[
        Path | None, _option(_STATE, "Which steps are real: (T,) or (B, T).", metavar="FILE")
    ] = None
    mask_value: Annotated[
        float | None,
        _option(_STATE, "Steps whose features all have this value are not real.", metavar="V"),
    ] = None
    lengths: Annotated[
        Path | None, _option(_STATE, "Steps of each sequence: (B,).", metavar="FILE")
    ] = None
    dtype: Annotated[
        Literal["float32", "float64"] | None, _option(_RUN, "Compute everything in it.")
    ] = None
    batch_size: Annotated[
        int | None,
        _option(_RUN, "Sequences computed at once (default by memory).", metavar="N", min=1),
    ] = None
    threads: Annotated[
        int | None, _option(_RUN, "Threads of the matrix products (1).", metavar="N", min=1)
    ] = None

    def set_threads(self) -> None:
        """Tell the matrix library, before NumPy loads it."""
        if self.threads is not None:
            os.environ["OPENBLAS_NUM_THREADS"] = str(self.threads)


class RunOptions(InputOptions):
    """How to run a model on input files, and what to show or write of it."""

    save_state: Annotated[
        Path | None, _option(_STATE, "Write the final states.", metavar="FILE.npz")
    ] = None
    steps: Annotated[
        str | None, _option(_OUTPUT, "Show or write these steps.", metavar="10:20")
    ] = None
    units: Annotated[
        str | None, _option(_OUTPUT, "Show or write these units.", metavar="0,3,7:12")
    ] = None
    tensors: Annotated[
        str | None, _option(_OUTPUT, "Show or write these arrays.", metavar="h,c,f")
    ] = None
    output: Annotated[
        str | None,
        _option(
            _OUTPUT,
            "Write .npy, .npz, .csv, .jsonl or .h5; a folder for several INPUTs; - for standard "
            "output.",
            "--output",
            "-o",
            metavar="OUT",
        ),
    ] = None
    format: Annotated[
        Literal["npy", "npz", "csv", "jsonl", "json", "h5"] | None,
        _option(
            _OUTPUT,
            "Format on standard output (npy, npz, csv, jsonl, json) or of the files in a folder.",
            metavar="NAME",
        ),
    ] = None


_SEQUENCES = "Sequences: .csv, .tsv, .npy, .npz (several model inputs), or - for standard input."

ARGUMENT_HELP = {
    "MODEL": "Saved model: a file or directory.",
    "MODEL|TRACE": "Saved model: a file or directory; or, by itself, a trace of lstm export.",
    "INPUT...": _SEQUENCES,
    "[INPUT...]": _SEQUENCES,
    "A": "A saved model, or a trace of lstm export; the reference.",
    "B [INPUT]": "Another model and an INPUT of both; or two INPUTs of model A; or a trace.",
    "[INPUT EXPECTED]": "A sequence, and what is expected of it (.npz, .npy).",
}
"""What arguments are, by what usage lines call them."""


class Command(TyperCommand):
    """A command whose help says what its arguments are, in paragraphs that fit the terminal.

    Typer before 0.26 and Click from 8.5 on lose the text that ``typer.Argument`` is given, and
    Typer breaks all paragraphs but the first where the docstring does.
    """

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        self.help = "\n\n".join(" ".join(text.split()) for text in paragraphs)
        for parameter in self.params:
            if parameter.param_type_name == "argument":
                vars(parameter)["help"] = ARGUMENT_HELP.get(str(parameter.metavar))


def _refuse_nan(values: dict[str, Any]) -> None:
    """Refuse ``nan`` for a number: every comparison with it would quietly fail, or hold."""
    from ..errors import UsageError

    for name, value in values.items():
        if isinstance(value, float) and value != value and name != "mask_value":
            raise UsageError(f"--{name.replace('_', '-')}: expected a number, found nan")


def with_options(kind: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of ``kind``, which it receives as one object in front.

    Typer reads a command's options from its signature; this writes that signature.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(kind, include_extras=True)
        shared = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(kind, name, inspect.Parameter.empty),
                annotation=hint,
            )
            for name, hint in hints.items()
            if name not in kind.without and name != "without"
        ]
        own_hints = get_type_hints(function, include_extras=True)
        own = [
            parameter.replace(
                kind=inspect.Parameter.KEYWORD_ONLY, annotation=own_hints[parameter.name]
            )
            for parameter in list(inspect.signature(function).parameters.values())[1:]
        ]

        def command(**values: Any) -> None:
            _refuse_nan(values)
            options = kind(**{parameter.name: values.pop(parameter.name) for parameter in shared})
            function(options, **values)

        parameters = [*shared, *own]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__module__ = function.__module__
        return command

    return decorate
