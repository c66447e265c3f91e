"""Opening a large checkpoint with a small LSTM in it, beside opening that LSTM alone.

    python tests/benchmarks/opening.py

Files of 1 GB, of which the LSTM is 1 MB, are written to a temporary folder. Each round opens every
file once, in a process of its own; figures are medians over the rounds: the time of
``lstm_cli.load``, the first import of the readers included, and the process's peak memory.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
FEATURES, UNITS = 128, 192  # 4·192·(128 + 192 + 2) numbers of 4 bytes are 0.94 MiB
OTHERS, OTHER_SHAPE = 64, (2048, 2048)  # 64 matrices of 16 MiB are 1 GiB
OPEN = """
import resource, sys, time
import numpy, lstm_cli
started = time.perf_counter()
model = lstm_cli.load(sys.argv[1])
seconds = time.perf_counter() - started
assert [layer.address for layer in model.lstm_layers] == ["lstm"]
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


class Opening(NamedTuple):
    """One opening: seconds, and the peak memory of its process in MiB."""

    seconds: float
    mebibytes: float


def opened(path: Path) -> Opening:
    run = [sys.executable, "-c", OPEN, str(path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    return Opening(*map(float, done.stdout.split()))


def make_files(folder: Path) -> dict[str, list[Path]]:
    """For each format the LSTM alone, and the checkpoint that holds it."""
    import torch_files as made

    arrays = {f"lstm.{key}": array for key, array in made.lstm_arrays(FEATURES, UNITS).items()}
    shapes = {f"block{k}.weight": OTHER_SHAPE for k in range(OTHERS)}
    empty = bytes(4 * math.prod(OTHER_SHAPE))
    entries = {
        key: made.tensor(made.storage(key, array.size), array.shape)
        for key, array in arrays.items()
    }
    others = {
        key: made.tensor(made.storage(key, math.prod(shape)), shape)
        for key, shape in shapes.items()
    }
    small = {key: array.tobytes() for key, array in arrays.items()}
    one = made.archive(folder / "one.pt", made.pickled(made.mapping(entries)), small)
    held = made.mapping({"model": made.mapping({**others, **entries}), "epoch": made.whole(3)})
    all_of_it = small | dict.fromkeys(shapes, empty)
    checkpoint = made.archive(folder / "checkpoint.pt", made.pickled(held), all_of_it)
    header, at = {}, 0
    for key, size in {k: len(v) for k, v in all_of_it.items()}.items():
        shape = arrays[key].shape if key in arrays else shapes[key]
        header[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    data = b"".join(small.values())
    alone = made.safetensors(folder / "one.safetensors", {k: header[k] for k in arrays}, data)
    whole = made.safetensors(folder / "all.safetensors", header, data)
    with whole.open("r+b") as file:  # the rest are zeros that take no room on the disk
        file.truncate(whole.stat().st_size - len(data) + at)
    return {".pt archive": [one, checkpoint], ".safetensors": [alone, whole]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    sys.path.insert(0, str(ROOT / "tests"))
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        found: dict[Path, list[Opening]] = {path: [] for pair in files.values() for path in pair}
        for _ in range(rounds):
            for path, openings in found.items():
                openings.append(opened(path))
        print(f"{'file':<34}{'MB':>8}{'load, ms':>10}{'peak, MiB':>11}")
        for form, pair in files.items():
            for path, name in zip(pair, ("the LSTM alone", "the LSTM in 1 GB"), strict=True):
                seconds = statistics.median(run.seconds for run in found[path])
                peak = statistics.median(run.mebibytes for run in found[path])
                size = path.stat().st_size / 1e6
                print(f"{form + ', ' + name:<34}{size:>8.1f}{1000 * seconds:>10.1f}{peak:>11.1f}")


if __name__ == "__main__":
    main()
