"""Damaged model files: which files are damaged, and what is tried with each of them.

Run as a script it tries many and prints, as JSON, what became of them:
``python tests/mutations.py FOLDER CONTAINER FIRST_SEED COUNT``. A process of its own has limits of
its own for memory, and a crash or a hang inside a library is seen as such.
"""

from __future__ import annotations

import faulthandler
import json
import lzma
import random
import resource
import shutil
import sys
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cli_runs import Ran
from damage import ANY, Damage, damages_of
from golden_files import ROOT, Array

import lstm_cli
from lstm_cli.cli import main as main_program

MEMORY = 512 * 2**20
"""What a file of at most 60 kB may take, beside the libraries: address space, in bytes."""
PEAK = 128 * 2**20
"""What such files may really use of it; most use a few megabytes."""
SECONDS = 15.0
"""The longest that one file may take; most take a hundredth of a second."""
REMOVED = "file_removed"
"""The damage that a model of several files can take beside what happens to each."""
LARGEST, LARGEST_IN_FOLDER = 60_000, 900_000
"""Larger files are left out: they are no other kind, and take longer."""


class Container(NamedTuple):
    """A kind of file: where the undamaged ones are, and what belongs to each.

    Attributes:
        patterns: the golden files or folders, below ``tests/golden``.
        opens: for folders, the name in them that is opened; ``""`` for the folder itself.
        beside: endings of the files that go with a file, and take damage too.
        architecture: whether a JSON architecture stands beside and is given.
    """

    patterns: tuple[str, ...]
    opens: str = ""
    beside: tuple[str, ...] = ()
    architecture: bool = False


CONTAINERS = {
    "keras_hdf5": Container(("keras/*/*.h5",)),
    "keras_weights": Container(("keras/*/*.weights.h5",), beside=(".json",), architecture=True),
    "keras_archive": Container(("keras/*/*.keras",)),
    "keras_directory": Container(("keras/*/*_dirform",)),
    "keras_shards": Container(("keras/*/*_sharded",), opens="m.weights.json"),
    "torch_archive": Container(("torch/*.pt",)),
    "torch_stream": Container(("torch/*legacy.pt",)),
    "torch_checkpoint": Container(("torch/ckpt*.[cp]*",)),
    "safetensors": Container(("torch/*.safetensors",)),
    "onnx": Container(("onnx/*.onnx",), beside=(".onnx.data",)),
    "saved_model": Container(("savedmodel/tf_2.15.1_cells", "savedmodel/k3*[0-9d]")),
    "checkpoint": Container(("savedmodel/*_ckpt",), opens="w"),
    "tflite": Container(("tflite/*.tflite",)),
    "npz": Container(("npz/*.npz",)),
}


class Source(NamedTuple):
    """An undamaged model: its files by name, what is opened, and with which architecture."""

    name: str
    files: dict[str, bytes]
    opens: str
    architecture: str | None = None


def sources(container: Container) -> list[Source]:
    """The undamaged models of a container, by name."""
    golden, found = ROOT / "tests" / "golden", []
    for path in sorted(path for pattern in container.patterns for path in golden.glob(pattern)):
        source = _of_folder(path, container) if path.is_dir() else _of_file(path, container)
        largest = LARGEST_IN_FOLDER if path.is_dir() else LARGEST
        if max(map(len, source.files.values())) < largest:
            found.append(source)
    return found


def _of_folder(path: Path, container: Container) -> Source:
    files = {
        f"model/{file.relative_to(path)}".removesuffix(".xz"): _unpacked(file)
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
    return Source(path.name, files, "/".join(filter(None, ("model", container.opens))))


def _of_file(path: Path, container: Container) -> Source:
    files, architecture = {path.name: path.read_bytes()}, None
    stem = path.name.removesuffix(path.suffix).removesuffix(".weights")
    for ending in container.beside:
        other = path.with_name(stem + ending)
        if other.is_file():
            files[other.name] = other.read_bytes()
            architecture = other.name if container.architecture else None
    return Source(path.name, files, path.name, architecture)


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


class Mutation(NamedTuple):
    """A damaged model: what was damaged, how, and its files."""

    source: Source
    damaged: str
    kind: str
    files: dict[str, bytes]

    def __str__(self) -> str:
        return f"{self.kind} in {self.damaged} of {self.source.name}"

    def write(self, folder: Path) -> Path:
        """Its files in an empty folder; the path to open."""
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.source.opens


Targets = dict[str, list[tuple[Source, str, Damage]]]
"""By kind of damage the files that can take it."""


def targets(found: list[Source]) -> Targets:
    """Every kind of damage that goes with the files of some models."""
    kinds: Targets = {}
    for source in found:
        for name, content in source.files.items():
            damages = damages_of(name, content) if content else ()
            for damage in dict.fromkeys(damages):
                kinds.setdefault(damage.__name__, []).append((source, name, damage))
            if len(source.files) > 1:
                kinds.setdefault(REMOVED, []).append((source, name, ANY[0]))
    return kinds


def mutation(kinds: Targets, seed: int) -> Mutation:
    """A mutation, always the same for a seed; every kind of damage comes in its turn.

    Raises:
        ValueError: if the damage cannot be done to the file, or not be written down.
    """
    kind = sorted(kinds)[seed % len(kinds)]
    chance = random.Random(seed)
    source, name, damage = chance.choice(kinds[kind])
    files = dict(source.files)
    if kind == REMOVED:
        del files[name]
        return Mutation(source, name, kind, files)
    try:
        files[name] = damage(files[name], chance)
    except (TypeError, KeyError, OSError) as error:
        raise ValueError(f"{kind}: {error}") from error
    return Mutation(source, name, kind, files)


# -- what is tried


def attempt(path: Path, architecture: Path | None = None) -> list[str]:
    """Load, inspect, list weights, run, trace, whole and in blocks: ``ok`` or each one's error.

    Raises:
        Exception: whatever is not an ``LstmCliError`` of one sentence.
    """
    try:
        model = lstm_cli.load(path, architecture=architecture)
    except lstm_cli.LstmCliError as error:
        return [_sentence(error)]
    tries: list[Callable[[], Any]] = [
        lambda: json.dumps(lstm_cli.inspect(model)),
        lambda: lstm_cli.weights(model),
    ]
    x = {entry.name: _numbers(entry.shape, entry.dtype) for entry in model.inputs}
    if model.has_graph and all(array is not None for array in x.values()):
        tries += [
            lambda: lstm_cli.run(model, x),
            lambda: lstm_cli.trace(model, x),
            lambda: list(lstm_cli.trace_blocks(model, [x, x])),
        ]
    for layer in model.lstm_layers[:4]:
        size = layer.recurrent.input_size if layer.recurrent else 0
        one, name = np.ones((2, 3, size), np.float32), layer.address
        tries += [
            partial(lstm_cli.trace, model, one, layer=name, direct=True),
            partial(lstm_cli.run, model, one, layer=name, direct=True),
        ]
    return ["ok", *(_outcome(each) for each in tries)]


def _outcome(action: Callable[[], Any]) -> str:
    try:
        action()
    except lstm_cli.LstmCliError as error:
        return _sentence(error)
    return "ok"


def _sentence(error: lstm_cli.LstmCliError) -> str:
    """The kind of an error that reads as one should.

    Raises:
        ValueError: if it does not, or if memory ran out before the file was refused.
    """
    text = str(error)
    if not text.strip() or "\n" in text:
        raise ValueError(f"a {type(error).__name__} is not one sentence: {text!r}")
    if "fit into memory" in text:
        raise ValueError(f"memory was asked for that a file of this size cannot need: {text}")
    return type(error).__name__


def _numbers(shape: Sequence[int | None] | None, dtype: str) -> Array | None:
    """An input of a declared shape, 3 for every open axis; None where that is very large."""
    sizes = [2, *(3 if n is None else n for n in (shape or (None, None, 3))[1:])]
    if np.prod([float(n) for n in sizes]) > 1e5:
        return None
    return np.ones(sizes, np.int64 if "int" in dtype else np.float32)


def on_the_command_line(path: Path, architecture: Path | None) -> list[int]:
    """Exit codes of ``inspect`` and, if that goes well, of ``run`` and ``export --direct``."""
    more = [] if architecture is None else ["--architecture", str(architecture)]
    inspected = _command("inspect", str(path), "--json", *more)
    if inspected.code:
        return [inspected.code]
    folder, facts = path.parent, json.loads(inspected.text)
    x = {entry["name"]: _numbers(entry["shape"], entry["dtype"]) for entry in facts["inputs"]}
    codes = [0]
    if facts["outputs"] and all(array is not None and name for name, array in x.items()):
        _write_npz(folder / "x.npz", x)
        codes.append(_command("run", str(path), f"{folder}/x.npz", *more).code)
    for layer in [entry for entry in facts["layers"] if entry["lstm"]][:1]:
        np.save(folder / "x.npy", np.ones((3, layer["input_size"]), np.float32))
        direct = ("--direct", "--layer", layer["address"], "-o", f"{folder}/steps.npz")
        codes.append(_command("export", str(path), f"{folder}/x.npy", *direct, *more).code)
    return codes


def _write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """An archive whose members may have any name, ``file`` too."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", content.getvalue())


def _command(*arguments: str) -> Ran:
    """What a command does.

    Raises:
        ValueError: unless it ends with 0, or with 2 and one sentence after its notes.
    """
    ran = _run(list(arguments))
    notes = ran.notes[:-1] if ran.code else ran.notes
    if ran.code not in (0, 2) or not all(note.startswith("note: ") for note in notes):
        raise ValueError(f"exit code {ran.code} of {arguments[0]}: {ran.err}")
    if ran.code == 2 and (ran.out or not ran.notes[-1].startswith("error: ")):
        raise ValueError(f"{arguments[0]} says {ran.err!r}, and {ran.out[:200]!r}")
    if "error in lstm itself" in ran.err or "\x1b" in ran.err + ran.text:
        raise ValueError(f"{arguments[0]} shows {ran.err!r}")
    return ran


def _run(arguments: list[str]) -> Ran:
    """The whole program, with bytes in place of the standard streams."""
    out, err, before = BytesIO(), BytesIO(), (sys.stdout, sys.stderr)
    sys.stdout = TextIOWrapper(out, encoding="utf-8", write_through=True)
    sys.stderr = TextIOWrapper(err, encoding="utf-8", write_through=True)
    try:
        main_program(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        return Ran(code, out.getvalue(), err.getvalue().decode())
    finally:
        sys.stdout, sys.stderr = before


class Tally(NamedTuple):
    """What became of many mutations."""

    outcomes: Counter[str]
    kinds: Counter[str]
    wrong: list[str]

    def try_one(self, mutated: Mutation, folder: Path, label: str) -> None:
        """Try one mutation, in bounded time: the process ends, and says where, if it takes more."""
        (folder / "last").write_text(label)
        path = mutated.write(folder / "damaged")
        architecture = None
        if mutated.source.architecture is not None:
            architecture = folder / "damaged" / mutated.source.architecture
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        start = time.monotonic()
        try:
            found = attempt(path, architecture)
            codes = on_the_command_line(path, architecture)
            if (codes[0] == 0) is not (found[0] == "ok"):
                raise ValueError(f"load says {found[0]}, but inspect exits with {codes[0]}")
            found += [f"exit {code}" for code in codes]
        except Exception:
            found = ["wrong"]
            self.wrong.append(f"{label}: {traceback.format_exc(limit=-4)}")
        finally:
            faulthandler.cancel_dump_traceback_later()
        if (taken := time.monotonic() - start) > SECONDS / 3:
            self.wrong.append(f"{label}: {taken:.0f} seconds")
        self.kinds[mutated.kind] += 1
        self.outcomes.update(found)


def attempts(folder: Path, container: str, first: int, count: int) -> dict[str, Any]:
    """Try ``count`` mutations; how often each outcome and kind came, and all that went wrong."""
    kinds = targets(sources(CONTAINERS[container]))
    tally = Tally(Counter(), Counter(), [])
    skipped = 0
    for seed in range(first, first + count):
        try:
            mutated = mutation(kinds, seed)
        except ValueError:
            skipped += 1
            continue
        tally.try_one(mutated, folder, f"{container} seed {seed}, {mutated}")
    return {**tally._asdict(), "skipped": skipped}


def bound_memory() -> None:
    """Let this process have ``MEMORY`` more than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def peak() -> int:
    """The most memory that this process has used so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(folder: str, container: str, first: str, count: str) -> None:
    before = peak()
    bound_memory()
    found = attempts(Path(folder), container, int(first), int(count))
    print(json.dumps({**found, "memory": peak() - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
