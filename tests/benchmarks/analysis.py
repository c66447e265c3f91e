"""The commands that analyse on a long trace, beside reading that trace once.

    python tests/benchmarks/analysis.py [--steps 1000000] [--units 64] [--rounds 3]

The traces are made once, in a folder of their own (TMPDIR chooses the disk). Each round reads every
array in blocks with h5py alone and runs every command, twice: from disk, with the files put out of
the system's memory before, and from the system's memory, where only work counts and not the disk.
``diff`` reads two traces, and stands beside reading both. Figures are medians over the rounds,
ratios those of each round's own; of memory the largest. Target: ``stats``, ``why`` and ``find``
within 3 times the reading, and a memory that does not grow with the steps.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

ROOT = Path(__file__).parent.parent.parent
BLOCK = 8192
TENSORS = ("h", "c", "i", "f", "g", "o", "output")

READ = """
import h5py, sys
for path in sys.argv[1:]:
    with h5py.File(path) as file:
        for name in {tensors!r}:
            dataset = file[name]
            for start in range(0, len(dataset), {block}):
                dataset[start : start + {block}]
"""

COMMANDS = {
    "stats": ["stats", "trace.h5"],
    "why, all units": ["why", "trace.h5"],
    "why, one unit": ["why", "trace.h5", "--unit", "63", "--top", "20"],
    "find": ["find", "trace.h5", "--range", "10:17"],
    "plot": ["plot", "trace.h5"],
    "rank, classes": ["rank", "trace.h5", "--target", "labels.npy", "--kind", "class"],
    "rank, numbers": ["rank", "trace.h5", "--target", "labels.npy"],
    "diff": ["diff", "trace.h5", "other.h5"],
}
DIFFERENT = 1
"""The exit code of ``diff`` where the traces differ."""


def make_trace(path: Path, steps: int, units: int) -> None:
    """A trace that keeps its identities, from random gates; forget gates from 0.1 to 0.9999."""
    chance = np.random.default_rng(0)
    bias = np.linspace(-2, 9, units)
    c = np.zeros(units, np.float32)
    with h5py.File(path, "w") as file:
        shape, chunks = (steps, units), (min(1024, steps), units)
        held = {name: file.create_dataset(name, shape, "f4", chunks=chunks) for name in TENSORS}
        for start in range(0, steps, BLOCK):
            count = min(BLOCK, steps - start)
            z = chance.normal(size=(4, count, units)).astype(np.float32)
            z[1] += bias
            i, f, o = (1 / (1 + np.exp(-z[k])) for k in (0, 1, 2))
            g, cells = np.tanh(z[3]), np.empty_like(i)
            for t in range(count):
                c = cells[t] = f[t] * c + i[t] * g[t]
            h = o * np.tanh(cells)
            block = {"h": h, "c": cells, "i": i, "f": f, "g": g, "o": o, "output": h}
            for name, array in block.items():
                held[name][start : start + count] = array
        for name in ("initial_h", "initial_c"):
            file[name] = np.zeros(units, np.float32)
        file["final_h"], file["final_c"] = h[-1], c
        file["meta"] = '{"source": "made", "layer": "lstm", "part": "", "direction": "forward"}'


def make_files(folder: Path, steps: int, units: int) -> None:
    """A trace, another that differs from it by rounding at each value, and a label a step."""
    make_trace(folder / "trace.h5", steps, units)
    chance = np.random.default_rng(1)
    np.save(folder / "labels.npy", np.cumsum(chance.integers(-1, 2, steps)) % 100)
    with h5py.File(folder / "trace.h5") as trace, h5py.File(folder / "other.h5", "w") as other:
        for name, dataset in trace.items():
            trace.copy(name, other)
            for start in range(0, steps if name in TENSORS else 0, BLOCK):
                block = dataset[start : start + BLOCK]
                noise = 1 + 1e-7 * chance.normal(size=block.shape)
                other[name][start : start + BLOCK] = block * noise


class Run(NamedTuple):
    """One process: seconds on the wall and of processor time, peak resident memory in MiB."""

    wall: float
    processor: float
    mebibytes: float


def measure(command: list[str], folder: Path, *, disk: bool) -> Run:
    """Run a command to its end.

    Args:
        command: what to run.
        folder: where.
        disk: whether nothing of the traces is in the system's memory; otherwise all of it is.
    """
    for path in folder.glob("*.h5"):
        with path.open("rb") as file:
            if disk:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            elif path.name in command:
                while file.read(1 << 24):
                    pass
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) not in (0, DIFFERENT if "diff" in command else 0):
        sys.exit(f"{' '.join(command)} failed")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    reading = [sys.executable, "-c", READ.format(tensors=TENSORS, block=BLOCK)]
    commands = {
        "reading": [*reading, "trace.h5"],
        "reading both": [*reading, "trace.h5", "other.h5"],
        **{name: [sys.executable, "-m", "lstm_cli", *rest] for name, rest in COMMANDS.items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: what this one takes would count for those that it starts.
        making = multiprocessing.get_context("spawn").Process(
            target=make_files, args=(Path(folder), options.steps, options.units)
        )
        making.start()
        making.join()
        os.sync()  # what is not on disk yet cannot be put out of memory
        rounds = [
            {
                (name, disk): measure(command, Path(folder), disk=disk)
                for name, command in commands.items()
                for disk in (True, False)
            }
            for _ in range(options.rounds)
        ]
    print(f"{'':<15} {'from disk':>16} {'from memory':>16} {'processor time':>16} {'memory':>9}")
    for name in commands:
        beside = "reading both" if name in ("reading both", "diff") else "reading"
        shown = [column(rounds, name, beside, disk, "wall") for disk in (True, False)]
        shown.append(column(rounds, name, beside, False, "processor"))
        most = max(
            run.mebibytes for each in rounds for (own, _), run in each.items() if own == name
        )
        print(f"{name:<15} {' '.join(shown)} {most:5.0f} MiB")


def column(
    rounds: list[dict[tuple[str, bool], Run]], name: str, beside: str, disk: bool, figure: str
) -> str:
    """Seconds, and how many times those of the reading."""
    pairs = [(getattr(r[name, disk], figure), getattr(r[beside, disk], figure)) for r in rounds]
    seconds = statistics.median(own for own, _ in pairs)
    ratio = statistics.median(own / base for own, base in pairs)
    return f"{seconds:6.2f} s {ratio:5.1f} x"


if __name__ == "__main__":
    main()
