"""``lstm stats``, ``why`` and ``find`` on a long trace, beside reading that trace from disk once.

    python tests/benchmarks/analysis.py [--steps 1000000] [--units 64]

The trace is made once, in a folder of its own (TMPDIR chooses the disk). Each round reads every
array of it in blocks with h5py alone, then runs every command; before each of them the file is put
out of the system's memory, so that all of them read it from disk. Figures are medians over the
rounds, ratios those of each round's own. Target: 3 times the reading, and a memory that does not
grow with the steps.
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
with h5py.File(sys.argv[1]) as file:
    for name in {tensors!r}:
        dataset = file[name]
        for start in range(0, len(dataset), {block}):
            dataset[start : start + {block}]
"""

COMMANDS = {
    "stats": ["stats"],
    "why, all units": ["why"],
    "why, one unit": ["why", "--unit", "63", "--top", "20"],
    "find": ["find", "--range", "10:17"],
}


def make_trace(path: Path, steps: int, units: int) -> None:
    """A trace that keeps its identities, from random gates; forget gates from 0.1 to 0.9999."""
    chance = np.random.default_rng(0)
    bias = np.linspace(-2, 9, units)
    c = np.zeros(units, np.float32)
    with h5py.File(path, "w") as file:
        shape, chunks = (steps, units), (1024, units)
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


class Run(NamedTuple):
    """One process: seconds on the wall and of processor time, peak resident memory in MiB."""

    wall: float
    processor: float
    mebibytes: float


def measure(command: list[str], path: Path) -> Run:
    """Run a command to its end, with nothing of the file in the system's memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.h5"
        # In a process of its own: what this one takes would count for those that it starts.
        making = multiprocessing.get_context("spawn").Process(
            target=make_trace, args=(path, options.steps, options.units)
        )
        making.start()
        making.join()
        read = [sys.executable, "-c", READ.format(tensors=TENSORS, block=BLOCK), str(path)]
        lstm = [sys.executable, "-m", "lstm_cli"]
        runs = {name: [*lstm, c[0], str(path), *c[1:]] for name, c in COMMANDS.items()}
        rounds = [
            {name: measure(command, path) for name, command in {"reading": read, **runs}.items()}
            for _ in range(options.rounds)
        ]
    for name in ("reading", *COMMANDS):
        wall = statistics.median(each[name].wall for each in rounds)
        ratio = statistics.median(each[name].wall / each["reading"].wall for each in rounds)
        processor = statistics.median(each[name].processor for each in rounds)
        memory = max(each[name].mebibytes for each in rounds)
        print(
            f"{name:<16} {wall:6.2f} s, {ratio:5.2f} x reading  "
            f"({processor:5.2f} s of processor time, {memory:4.0f} MiB)"
        )


if __name__ == "__main__":
    main()
