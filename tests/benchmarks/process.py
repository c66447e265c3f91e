"""The whole process: ``lstm states`` beside the same job as a script of a framework.

    python tests/benchmarks/process.py --python PATH_OF_A_PYTHON_WITH_KERAS

Each round starts every contestant once, in turn; figures are medians over the rounds, and ratios
are the medians of each round's own ratio. Run it with ``lstm_cli`` installed, not from a checkout
whose modules are compiled anew at each start.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
MODEL = ROOT / "sample_models" / "three_steps.h5"
ARCHIVE = ROOT / "sample_models" / "three_steps.keras"
INPUT = ROOT / "sample_models" / "three_steps.csv"

# h of every step and the final c: what Keras can show of the same run without its gates.
KERAS = f"""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
model = keras.saving.load_model({str(ARCHIVE)!r})
x = np.loadtxt({str(INPUT)!r}, skiprows=1, dtype=np.float32).reshape(1, -1, 1)
layer = model.get_layer("lstm")
shown_layer = keras.layers.LSTM(layer.units, return_sequences=True, return_state=True)
inputs = keras.Input((None, 1))
shown = keras.Model(inputs, shown_layer(inputs))
shown_layer.set_weights(layer.get_weights())
for rows in shown.predict(x, verbose=0):
    print(rows)
"""
TARGETS = {"lstm --help": "≤ 110 ms", "lstm states": "≤ 135 ms, ≤ 60 MiB, ≤ 0.07 of Keras"}


class Run(NamedTuple):
    """One process: wall time in seconds, peak resident memory in MiB."""

    seconds: float
    mebibytes: float


def measure(command: list[str]) -> Run:
    """Run a command to its end."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"failed: {' '.join(command)[:200]}")
    return Run(seconds, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="an interpreter that has keras")
    parser.add_argument("--lstm", default=shutil.which("lstm"), help="the installed command")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if not arguments.lstm:
        raise SystemExit("no 'lstm' on the path; install the package first, or name it with --lstm")
    contestants = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import numpy, h5py": [sys.executable, "-c", "import numpy, h5py"],
        "lstm --help": [arguments.lstm, "--help"],
        "lstm states": [arguments.lstm, "states", str(MODEL), str(INPUT)],
    }
    if arguments.python:
        contestants["Keras script"] = [arguments.python, "-c", KERAS]
    runs: dict[str, list[Run]] = {name: [] for name in contestants}
    for command in contestants.values():
        measure(command)  # warms the file cache
    for _ in range(arguments.rounds):
        for name, command in contestants.items():
            runs[name].append(measure(command))
    print(f"{arguments.rounds} rounds, medians; {sys.version.split()[0]}, {os.cpu_count()} cores")
    print(f"{'process':<22}{'ms':>8}{'MiB':>8}{'x Keras':>9}  target")
    for name, found in runs.items():
        ratio = "" if "Keras script" not in runs else _ratio(found, runs["Keras script"])
        milliseconds = statistics.median(run.seconds for run in found) * 1e3
        memory = statistics.median(run.mebibytes for run in found)
        print(f"{name:<22}{milliseconds:>8.0f}{memory:>8.0f}{ratio:>9}  {TARGETS.get(name, '')}")


def _ratio(found: list[Run], peer: list[Run]) -> str:
    pairs = zip(found, peer, strict=True)
    return f"{statistics.median(a.seconds / b.seconds for a, b in pairs):.3f}"


if __name__ == "__main__":
    main()
