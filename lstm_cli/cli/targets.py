"""Where results go: the terminal, standard output, one file, or a folder of files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, NamedTuple

from .options import RunOptions

MERGING = (".npz", ".h5")

Kind = Literal["terminal", "stdout", "file", "merged", "folder"]


class Target(NamedTuple):
    """Where the results of a command go.

    Attributes:
        kind: ``merged`` is one file that holds the results of several inputs, by name.
        paths: the file; for a folder one file an input; nothing for the terminal and pipes.
        form: the format's name; nothing for the terminal.
    """

    kind: Kind
    paths: tuple[Path, ...] = ()
    form: str = ""

    @property
    def is_table(self) -> bool:
        """Whether it takes a line a step, which leaves no place for anything else."""
        return self.form in ("csv", "jsonl")

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.paths[0]) if self.paths else self.form


def find_target(options: RunOptions) -> Target:
    """The target that the options name, refused here if nothing can be written there.

    Raises:
        UsageError: if the options do not go together, or an output is an input.
        OutputError: if a folder is missing or closed.
    """
    from ..errors import UsageError
    from ..outputs.pending import check_target, refuse_overwrite

    target = _target(options)
    read = [options.model, *(Path(source) for source in options.inputs if source != "-")]
    read += [p for p in (options.mask, options.lengths, options.architecture) if p is not None]
    states = [Path(name) for name in (options.initial_state or "").split(",") if name]
    for path in target.paths:
        refuse_overwrite(path, [*read, *states])
        check_target(path if path.parent.exists() or target.kind != "folder" else path.parent)
    state = options.save_state
    if state is not None:
        if state.suffix.lower() != ".npz":
            raise UsageError(f"--save-state: expected FILE.npz, found {state}")
        if state.resolve() in [path.resolve() for path in target.paths]:
            raise UsageError(f"-o and --save-state both name {state}; choose another name for one")
        refuse_overwrite(state, read)
        check_target(state)
    return target


def _target(options: RunOptions) -> Target:
    from ..errors import UsageError
    from ..outputs.files import format_of

    many = len(options.inputs) > 1 and not options.stateful
    if options.output is None or options.output == "-":
        if options.output is None and options.format is None and sys.stdout.isatty():
            return Target("terminal")
        if options.format == "h5":
            raise UsageError("h5 needs a file that can be sought in; use -o FILE.h5")
        if many:
            raise UsageError(
                f"the results of {len(options.inputs)} inputs need a folder (-o FOLDER) or one "
                "file that holds them all (-o FILE.npz or FILE.h5)"
            )
        return Target("stdout", form=options.format or "csv")
    path = Path(options.output)
    if not many:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; name a file in it")
        extension = format_of(path)
        if options.format not in (None, extension):
            raise UsageError(f"{path} ends in .{extension}, --format says {options.format}")
        return Target("file", (path,), extension)
    if path.is_dir() or not path.suffix:
        paths = _files_in(path, options)
        return Target("folder", paths, format_of(paths[0]))
    if path.suffix.lower() in MERGING:
        return Target("merged", (path,), format_of(path))
    raise UsageError(
        f"{path} cannot hold the results of {len(options.inputs)} inputs; name a folder, or a "
        "file that ends in .npz or .h5"
    )


def _files_in(folder: Path, options: RunOptions) -> tuple[Path, ...]:
    names = input_names(options)
    return tuple(folder / f"{name}.{options.format or 'npz'}" for name in names)


def input_names(options: RunOptions) -> list[str]:
    """What the results of each input are called.

    Raises:
        UsageError: if two inputs have the same name.
    """
    from ..errors import UsageError

    names = ["stdin" if source == "-" else Path(source).stem for source in options.inputs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two inputs are called '{name}', and one would overwrite the other")
    return names
