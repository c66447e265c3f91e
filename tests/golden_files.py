"""The golden files: real models of real frameworks, and what goes with each of them.

Two folders hold them: ``tests/golden/keras``, which is part of the repository, and a larger one
that the environment variable ``LSTM_GOLDEN`` names (or ``../shared/golden``, where that is there).
Both are laid out alike: ``ERA/VERSION_CASE.ext`` with ``VERSION_CASE.npz`` beside it, which holds
the inputs ``x0 x1 …``, the framework's outputs ``y0 y1 …`` and, for stateful models, those of a
second call on the same inputs, ``second_y0 …``.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ROOT = Path(__file__).parent.parent
COMMITTED = ROOT / "tests" / "golden" / "keras"
NO_FOLDER = "the large golden folder is not there (LSTM_GOLDEN names it)"

FLOAT32 = 1e-5
"""Of max(1, max |reference|): sums in another order differ by a few units in the last place."""
FLOAT64 = 1e-12
TOLERANCES = {
    # Case: tolerance, and why it is wider than the 1e-5 of every other one.
    "mixed_float16": (1e-3, "the framework computed in float16, whose numbers are 5e-4 apart at 1"),
    "dense_int8": (1e-3, "the framework also rounds the Dense layer's input to 8 bits"),
}

_NAME = re.compile(
    r"(?P<version>k[\d.]+(?:_(?:tensorflow|theano|torch|jax|numpy))?|tf(?:keras)?[\d.]+)_(?P<case>.+)"
)
_EXTENSIONS = (".weights.h5", ".weights.json", ".h5", ".hdf5", ".keras")


def large_folder() -> Path | None:
    """The folder with all golden files, or None."""
    folder = Path(os.environ.get("LSTM_GOLDEN") or ROOT.parent / "shared" / "golden")
    return folder if folder.is_dir() else None


@dataclass(frozen=True)
class Golden:
    """One golden file.

    Attributes:
        path: what to open: a file, a directory, or the map of sharded weights.
        era: the folder it is in: ``keras1``, ``tfkeras2``.
        version, case: the two halves of its name: ``k2.2.4_tensorflow``, ``nested``.
        stem: the path without extensions, which the files of one model share.
    """

    path: Path
    era: str
    version: str
    case: str
    stem: Path

    @property
    def id(self) -> str:
        return f"{self.era}/{self.path.relative_to(self.stem.parent)}".removesuffix(".xz")

    @property
    def holds_weights_alone(self) -> bool:
        return ".weights." in self.path.name

    @property
    def numbers(self) -> dict[str, Array]:
        """Inputs and the framework's outputs; empty where there are none."""
        path = self.stem.with_name(f"{self.stem.name}.npz")
        if not path.is_file():
            return {}
        with np.load(path) as arrays:
            return dict(arrays)

    @property
    def inputs(self) -> list[Array]:
        return in_order(self.numbers, "x")

    @property
    def tolerance(self) -> float:
        """The scaled tolerance of this file's outputs."""
        if self.case in TOLERANCES:
            return TOLERANCES[self.case][0]
        outputs = in_order(self.numbers, "y")
        return FLOAT64 if outputs and outputs[0].dtype == np.float64 else FLOAT32

    def opened(self, folder: Path) -> Path:
        """The path to load; what is packed to save space is unpacked into ``folder``."""
        if self.path.suffix != ".xz":
            return self.path
        target = folder / self.path.stem
        target.write_bytes(lzma.decompress(self.path.read_bytes()))
        return target

    def architecture(self, folder: Path) -> Path | None:
        """The JSON architecture that goes with a file of weights, if there is one."""
        beside = self.stem.with_name(f"{self.stem.name}.json")
        if beside.is_file():
            return beside
        for extension in (".keras", ".h5"):
            whole = self.stem.with_name(self.stem.name + extension)
            if whole.is_file():
                target = folder / f"{whole.name}.json"
                target.write_text(json.dumps(architecture_in(whole)))
                return target
        # The sharded weights and the unzipped directory were saved from one architecture.
        shared = self.stem.with_name(f"{self.version}_dirform") / "config.json"
        return shared if self.case == "sharded" and shared.is_file() else None


def in_order(numbers: dict[str, Array], letter: str) -> list[Array]:
    """The arrays ``x0, x1, …`` by number."""
    names = [name for name in numbers if re.fullmatch(rf"{letter}\d+", name)]
    return [numbers[name] for name in sorted(names, key=lambda name: int(name[len(letter) :]))]


def golden_files(folder: Path, eras: tuple[str, ...] = ()) -> list[Golden]:
    """Every golden file of a folder, or of some of its eras."""
    found = []
    for era in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not eras or era.name in eras:
            found += list(_of_era(era))
    return found


def _of_era(era: Path) -> Iterator[Golden]:
    for path in sorted(era.iterdir()):
        name = path.name.removesuffix(".xz")
        extension = next((e for e in _EXTENSIONS if name.endswith(e)), "")
        if not extension and not path.is_dir():
            continue
        stem = name.removesuffix(extension)
        match = _NAME.fullmatch(stem)
        if match is None:
            raise ValueError(f"{path}: expected a name such as k2.2.4_tensorflow_nested.h5")
        shards = sorted(path.glob("*.weights.json")) if path.is_dir() else []
        yield Golden(
            shards[0] if shards else path, era.name, match["version"], match["case"], era / stem
        )


def architecture_in(path: Path) -> Any:
    """The architecture inside a whole-model file, read without this package."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(path, "r") as file:
        return json.loads(file.attrs["model_config"])


def scaled_error(found: Array, expected: Array) -> float:
    """Largest difference, in units of max(1, max |expected|); NaN must meet NaN."""
    if found.shape != expected.shape:
        raise AssertionError(f"shape {found.shape}, expected {expected.shape}")
    if not np.array_equal(np.isnan(found), np.isnan(expected)):
        raise AssertionError("NaN at other places")
    if found.size == 0 or np.isnan(expected).all():
        return 0.0
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    return float(np.nanmax(difference) / max(1.0, float(np.nanmax(np.abs(expected)))))


@dataclass
class Report:
    """What became of the golden files in this session, for the summary at its end."""

    matched: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        matched: Sequence[str] = (),
        refused: Mapping[str, str] = MappingProxyType({}),
        listed: Mapping[str, str] = MappingProxyType({}),
        failed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """What became of the files of another process."""
        self.matched += matched
        self.refused |= refused
        self.listed |= listed
        self.failed |= failed

    def lines(self) -> list[str]:
        """The summary: one line of counts, then every file that does not match, with its reason."""
        count = sum(map(len, (self.matched, self.refused, self.listed, self.failed)))
        if not count:
            return []
        lines = [
            f"golden: {len(self.matched)} of {count} files match the framework's numbers; "
            f"{len(self.refused)} refused, {len(self.listed)} listed, {len(self.failed)} wrong"
        ]
        for title in ("refused", "listed", "failed"):
            entries: dict[str, str] = getattr(self, title)
            lines += [f"  {title}: {name}: {reason}" for name, reason in sorted(entries.items())]
        return lines


REPORT = Report()
