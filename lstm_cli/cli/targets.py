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
    """

    kind: Kind
    paths: tuple[Path, ...] = ()


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
    written = list(target.paths)
    if options.save_state is not None:
        if options.save_state.suffix.lower() != ".npz":
            raise UsageError(f"--save-state: expected FILE.npz, found {options.save_state}")
        written.append(options.save_state)
    for path in written:
        refuse_overwrite(path, read)
        if target.kind != "folder" or path == options.save_state or path.parent.exists():
            check_target(path)
    if target.kind == "folder":
        check_target(path.parent if not path.parent.exists() else path)
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
        return Target("stdout")
    path = Path(options.output)
    if not many:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; name a file in it")
        extension = format_of(path)
        if options.format not in (None, extension):
            raise UsageError(f"{path} ends in .{extension}, --format says {options.format}")
        return Target("file", (path,))
    if path.is_dir() or not path.suffix:
        return Target("folder", _files_in(path, options))
    if path.suffix.lower() in MERGING:
        return Target("merged", (path,))
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
