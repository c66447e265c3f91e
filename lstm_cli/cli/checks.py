"""Options that do not go together, refused before anything is read."""

from __future__ import annotations

from .options import RunOptions

_EXCLUSIVE = (
    ("mask", "mask_value"),
    ("sequence_column", "window"),
    ("sequence_column", "lengths"),
    ("window", "lengths"),
)


def check_combinations(options: RunOptions) -> None:
    """Refuse options of which one would be ignored, or contradict another.

    Raises:
        UsageError: says which.
    """
    from ..errors import UsageError

    for first, second in _EXCLUSIVE:
        if getattr(options, first) is not None and getattr(options, second) is not None:
            raise UsageError(f"{_flag(first)} and {_flag(second)} exclude each other")
    if options.stride is not None and options.window is None:
        raise UsageError("--stride goes with --window")
    if options.stateful or len(options.inputs) == 1:
        return
    if options.save_state is not None:
        raise UsageError(
            f"--save-state writes one final state, and {len(options.inputs)} inputs have one each; "
            "--stateful makes them consecutive chunks"
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
