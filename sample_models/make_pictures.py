"""Make the pictures that the README shows, with the commands that stand above them there.

    python make_pictures.py [FOLDER]

They go into ``pictures`` beside this script, or into FOLDER. Run twice, it makes the same files;
matplotlib of another version may draw letters a little differently.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

MODEL = "sample_models/brackets.keras sample_models/brackets.csv"
LABELS = "--labels sample_models/brackets.labels.txt"
COMMANDS = {
    "maps.svg": f"lstm plot {MODEL} {LABELS} --tensors c,f --sort similarity",
    "lines.svg": f"lstm plot {MODEL} {LABELS} --units 0",
    "text.svg": f"lstm text {MODEL} {LABELS} --unit 0,4,7 --tensor c",
    "view.svg": f"lstm view {MODEL} {LABELS} --tensor c --unit 4 --step 58",
}
"""What makes each picture, to be run in the folder above; ``-o`` and its name go behind it."""


def make_pictures(folder: Path) -> list[Path]:
    """Run every command; the files that it made.

    Raises:
        CalledProcessError: if one fails.
    """
    folder.mkdir(exist_ok=True)
    made = [folder.resolve() / name for name in COMMANDS]
    settings = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    for path, command in zip(made, COMMANDS.values(), strict=True):
        arguments = [sys.executable, "-m", "lstm_cli", *shlex.split(command)[1:], "-o", str(path)]
        subprocess.run(arguments, cwd=HERE.parent, env=settings, check=True)
    return made


if __name__ == "__main__":
    for made in make_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pictures"):
        print(made)
