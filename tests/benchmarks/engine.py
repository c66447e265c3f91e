"""Times our engine, with every gate and state kept, beside libraries that return h alone.

    python tests/benchmarks/engine.py [--python PATH] [--rounds 5] [--threads 1]

Each library runs in a process of its own, and waits while another is timed. In every round each of
them computes the same sequence from the same weights in float32, three times or more, of which the
median counts. Times and ratios are medians of the rounds; a ratio is ours / theirs, and below 1 we
are faster. The target beside it is the most it may be; targets are for medians, too. ``--python``
names an interpreter that has the libraries (torch, onnxruntime with onnx, keras); those that it
lacks are left out. Exits with 1 if a target is missed or results differ.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
OURS = "lstm_cli"
Array = NDArray[np.float32]


class Shape(NamedTuple):
    """A sequence and a layer: B sequences, T steps, F features, U units."""

    b: int
    t: int
    f: int
    u: int


# The most that ours / theirs may be: with AVX2 and with AVX-512 kernels in NumPy's OpenBLAS. "torch
# with gates" is the loop that a user of torch writes to see gates; it computes what we compute.
TARGETS: dict[Shape, dict[str, tuple[float, float]]] = {
    Shape(1, 1000, 32, 64): {
        "torch": (3.6, 3.5),
        "onnxruntime": (4.2, 4.2),
        "keras": (0.08, 0.08),
        "torch with gates": (0.2, 0.2),
    },
    Shape(1, 1000, 128, 256): {
        "torch": (1.8, 1.6),
        "onnxruntime": (1.9, 1.9),
        "keras": (0.3, 0.3),
        "torch with gates": (0.4, 0.4),
    },
    Shape(1, 200, 512, 1024): {
        "torch": (1.3, 1.2),
        "onnxruntime": (1.4, 1.4),
        "keras": (0.5, 0.5),
    },
    Shape(32, 200, 128, 256): {
        "torch": (2.5, 1.9),
        "onnxruntime": (2.2, 1.7),
        "keras": (0.4, 0.4),
        "torch with gates": (0.85, 0.85),
    },
    Shape(256, 100, 64, 128): {
        "torch": (1.9, 1.3),
        "onnxruntime": (1.7, 1.2),
        "keras": (0.4, 0.4),
        "torch with gates": (0.75, 0.75),
    },
    Shape(1, 100000, 8, 32): {
        "torch": (4.0, 4.0),
        "onnxruntime": (10.0, 10.0),
        "keras": (0.18, 0.18),
    },
}
PEERS = ("torch", "onnxruntime", "keras", "torch with gates")


class Weights(NamedTuple):
    """Columns i f g o; ``x`` is the input, (B, T, F)."""

    kernel: Array
    recurrent: Array
    bias: Array
    x: Array


def weights_of(shape: Shape) -> Weights:
    """The same numbers in every process."""
    rng = np.random.default_rng(0)
    k = 1 / np.sqrt(shape.u)
    sizes = ((shape.f, 4 * shape.u), (shape.u, 4 * shape.u), (4 * shape.u,))
    kernel, recurrent, bias = (rng.uniform(-k, k, size).astype(np.float32) for size in sizes)
    return Weights(kernel, recurrent, bias, rng.normal(size=shape[:3]).astype(np.float32))


# Each of these returns a function that runs the sequence and returns h, (B, T, U).
Run = Callable[[], Any]


def our_run(w: Weights, shape: Shape) -> Run:
    from lstm_cli.engine.recurrence import CellRunner
    from lstm_cli.model import LstmCell

    runner = CellRunner(LstmCell(w.kernel, w.recurrent, w.bias), np.dtype(np.float32))
    zeros = np.zeros((shape.b, shape.u), np.float32)
    return lambda: runner.run(w.x, (zeros, zeros), keep=("h", "c", "i", "f", "g", "o")).arrays["h"]


def torch_run(w: Weights, shape: Shape) -> Run:
    torch = import_module("torch")
    layer = torch.nn.LSTM(shape.f, shape.u, batch_first=True).eval()
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.from_numpy(w.kernel.T.copy()))
        layer.weight_hh_l0.copy_(torch.from_numpy(w.recurrent.T.copy()))
        layer.bias_ih_l0.copy_(torch.from_numpy(w.bias))
        layer.bias_hh_l0.zero_()
    x = torch.from_numpy(w.x)

    def run() -> Any:
        with torch.inference_mode():
            return layer(x)[0]

    return run


def torch_gates_run(w: Weights, shape: Shape) -> Run:
    torch = import_module("torch")
    kernel, recurrent, bias, x = (torch.from_numpy(array) for array in w)

    def run() -> Any:
        h = c = torch.zeros(shape.b, shape.u)
        steps = []
        with torch.inference_mode():
            for t in range(shape.t):
                z = x[:, t] @ kernel + h @ recurrent + bias
                i, f, g, o = z.chunk(4, 1)
                i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
                c = f * c + i * g
                h = o * c.tanh()
                steps.append((h, c, i, f, g, o))
            h_all, *_ = [torch.stack(parts, 1) for parts in zip(*steps, strict=True)]
            return h_all

    return run


def onnxruntime_run(w: Weights, shape: Shape) -> Run:
    onnx, runtime = import_module("onnx"), import_module("onnxruntime")
    helper, numpy_helper = onnx.helper, import_module("onnx.numpy_helper")

    def rows(array: Array) -> Array:
        """(…, 4U) in the order i f g o -> (1, 4U, …) in ONNX's order i o f g."""
        i, f, g, o = np.split(array, 4, axis=-1)
        return np.concatenate((i, o, f, g), axis=-1).T[np.newaxis]

    bias = np.concatenate((rows(w.bias), np.zeros((1, 4 * shape.u), np.float32)), axis=1)
    tensors = {"W": rows(w.kernel), "R": rows(w.recurrent), "B": bias}
    node = helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y"], hidden_size=shape.u)
    value, float32 = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "lstm",
        [value("X", float32, [shape.t, shape.b, shape.f])],
        [value("Y", float32, [shape.t, 1, shape.b, shape.u])],
        [numpy_helper.from_array(array.copy(), name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    session = runtime.InferenceSession(model.SerializeToString(), options)
    x = np.ascontiguousarray(w.x.swapaxes(0, 1))
    return lambda: session.run(None, {"X": x})[0][:, 0].swapaxes(0, 1)


def keras_run(w: Weights, shape: Shape) -> Run:
    keras = import_module("keras")
    layer = keras.layers.LSTM(shape.u, return_sequences=True)
    model = keras.Sequential([keras.Input((shape.t, shape.f)), layer])
    layer.set_weights([w.kernel, w.recurrent, w.bias])
    return lambda: model.predict(w.x, batch_size=shape.b, verbose=0)


RUNS: dict[str, Callable[[Weights, Shape], Run]] = {
    OURS: our_run,
    "torch": torch_run,
    "onnxruntime": onnxruntime_run,
    "keras": keras_run,
    "torch with gates": torch_gates_run,
}


def serve(library: str, threads: int) -> None:
    """A process of one library: for each shape on standard input, a time on standard output."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever the library prints is not an answer
    try:
        answers.write(json.dumps({"about": about(library, threads)}) + "\n")
    except ImportError as error:
        answers.write(json.dumps({"missing": str(error)}) + "\n")
        return
    prepared: tuple[Shape, Run] | None = None
    for line in sys.stdin:
        shape = Shape(*json.loads(line))
        if prepared is None or prepared[0] != shape:
            prepared = shape, RUNS[library](weights_of(shape), shape)
            prepared[1]()  # compiles, fills caches
        run = prepared[1]
        times: list[float] = []
        while len(times) < 3 or (sum(times) < 0.2 and len(times) < 50):
            start = time.perf_counter()
            h = run()
            times.append(time.perf_counter() - start)
        last = np.asarray(h)[:, -1, :8].ravel()[:64].tolist()
        answers.write(json.dumps({"ms": 1e3 * statistics.median(times), "last": last}) + "\n")


def about(library: str, threads: int) -> str:
    """Version and threads of a library, once it is known to import."""
    if library == OURS:
        return f"numpy {np.__version__}, OpenBLAS core {blas_core()}, threads {threads}"
    module = import_module(library.split()[0])
    beside = ""
    if library.startswith("torch"):
        module.set_num_threads(threads)
        module.set_num_interop_threads(1)
        threads = module.get_num_threads()
    if library == "onnxruntime":
        beside = f", onnx {import_module('onnx').__version__}"
    if library == "keras":
        beside = f" on {module.backend.backend()}"
        if module.backend.backend() == "tensorflow":
            tensorflow = import_module("tensorflow")
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
            beside += f" {tensorflow.__version__}"
    return f"{module.__version__}{beside}, threads {threads}"


def blas_core() -> str:
    """The processor that NumPy's OpenBLAS chose its kernels for, or ``unknown``."""
    folder = Path(np.__file__).parent.with_name("numpy.libs")
    for library in sorted(folder.glob("*openblas*")):
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename"):
            function = getattr(ctypes.CDLL(str(library)), name, None)
            if function is not None:
                function.restype = ctypes.c_char_p
                return str(function().decode())
    return "unknown"


class Library:
    """A process that times one library."""

    def __init__(self, name: str, python: str, threads: int) -> None:
        limits = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {
            **os.environ,
            **dict.fromkeys(limits, str(threads)),
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }
        self.name = name
        self._process = subprocess.Popen(
            [python, __file__, "--serve", name, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        answer = self._answer()
        self.missing: str = answer.get("missing", "")
        self.about: str = answer.get("about", "")

    def time(self, shape: Shape) -> tuple[float, list[float]]:
        """Milliseconds of one run, and a few numbers of its last step."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(shape) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["ms"], answer["last"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"missing": f"its process ended with {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(
    shape: Shape, ours: Library, peers: list[Library], rounds: int, column: int
) -> Iterator[tuple[str, bool]]:
    """A line for each library, and whether all is well with it."""
    times: dict[str, list[float]] = {library.name: [] for library in (ours, *peers)}
    last: dict[str, list[float]] = {}
    for _ in range(rounds):
        for library in (ours, *peers):
            milliseconds, last[library.name] = library.time(shape)
            times[library.name].append(milliseconds)
    name = ",".join(map(str, shape))
    median = statistics.median(times[ours.name])
    step = 1e3 * median / shape.t
    yield f"{name:17} {ours.name:17} {median:10.2f}   {step:.2f} us/step, all gates kept", True
    for peer in peers:
        ratios = [a / b for a, b in zip(times[ours.name], times[peer.name], strict=True)]
        ratio, target = statistics.median(ratios), TARGETS[shape][peer.name][column]
        off = float(np.abs(np.subtract(last[peer.name], last[ours.name])).max())
        verdict = "ok" if ratio <= target else "MISSED"
        if off > 1e-5:  # float32 on both sides
            verdict = f"DIFFERENT by {off:.1e}"
        yield (
            f"{name:17} {peer.name:17} {statistics.median(times[peer.name]):10.2f}   "
            f"{ratio:5.2f} ({min(ratios):.2f} to {max(ratios):.2f}), at most {target:g}: {verdict}",
            verdict == "ok",
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--python", default=sys.executable, help="interpreter with the libraries")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shape", type=int, help="only the shape of this number, from 0")
    parser.add_argument("--serve", choices=RUNS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.threads)
        return 0

    ours = Library(OURS, sys.executable, options.threads)
    asked = [Library(name, options.python, options.threads) for name in PEERS]
    for library in (ours, *asked):
        print(f"{library.name:17} {library.about or f'left out: {library.missing}'}")
    avx512 = any(core in ours.about for core in ("SkylakeX", "Cooperlake", "SapphireRapids"))
    column = int(avx512)
    print(f"targets for {'AVX-512' if avx512 else 'AVX2'}; medians of {options.rounds} rounds\n")
    print(f"{'B,T,F,U':17} {'library':17} {'ms':>10}   ours / theirs (rounds), target")
    shapes = list(TARGETS) if options.shape is None else [list(TARGETS)[options.shape]]
    well = True
    for shape in shapes:
        peers = [p for p in asked if not p.missing and p.name in TARGETS[shape]]
        for line, fine in compare(shape, ours, peers, options.rounds, column):
            print(line, flush=True)
            well = well and fine
    for library in (ours, *asked):
        library.close()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
