"""The commands together, and the one place where errors become a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer

from ..errors import LstmCliError
from . import INTERRUPTED
from .interrupts import INTERRUPTS
from .notes import printable
from .options import Command

COMMANDS = (
    *("inspect", "weights", "run", "states", "gates", "export"),
    *("stats", "why", "diff", "verify", "rank", "find", "probe", "plot", "text", "view"),
)


def command(name: str) -> Callable[..., None]:
    """The function behind a command; its module is imported now."""
    function: Callable[..., None] = getattr(import_module(f".{name}", __package__), name)
    return function


def build_app(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands; one alone is quicker to build than all of them."""
    app = typer.Typer(
        name="lstm",
        help="See every gate and state of the LSTM layers in a saved model.",
        epilog="Example: lstm gates sample_models/three_steps.keras sample_models/three_steps.csv",
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_lstm)
    for name in names:
        app.command(cls=Command, no_args_is_help=True)(command(name))
    return app


# Typer's own error classes, without importing the library that it may or may not carry inside.
_USAGE_ERROR: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        typer.echo(f"lstm {__version__}")
        raise typer.Exit


def _lstm(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        context.get_help()  # prints the help page


def run_app(arguments: list[str]) -> int:
    """Run a command line; its exit code. Every failure is one sentence on standard error."""
    INTERRUPTS.install()
    try:
        chosen = arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS
        app = build_app(COMMANDS if "_LSTM_COMPLETE" in os.environ else chosen)
        result = app(args=arguments, prog_name="lstm", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except LstmCliError as error:
        return _fail(str(error))
    except _USAGE_ERROR as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads any more
        return 0
    except SystemExit:  # the parser's own answer to a closed pipe
        return 0
    except MemoryError:
        return _fail("out of memory; --batch-size computes fewer sequences at once")
    except OSError as error:
        return _fail(f"{error.filename or 'standard output'}: {error.strerror or error}")
    except Exception as error:
        if os.environ.get("LSTM_DEBUG"):
            raise
        return _fail(
            f"this is an error in lstm itself: {type(error).__name__}: {error}. Please report it "
            "with the command and, if you can, the file; LSTM_DEBUG=1 shows where it happened"
        )


def _usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.format_message()  # prints the help page
        return 2
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "lstm"
    message = error.format_message().strip()
    return _fail(f"{message.rstrip('.')} (see '{command} --help')")


def _fail(message: str) -> int:
    """Print one sentence on standard error; the exit code for bad usage, files and data."""
    with suppress(OSError):  # a standard error that takes nothing leaves the exit code to say it
        typer.echo(f"error: {printable(message)}", err=True)
    return 2
