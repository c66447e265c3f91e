"""The golden SavedModels and checkpoints: where they are, and how they are unpacked."""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

import numpy as np
from golden_files import FLOAT32, FLOAT64, ROOT, Array

FOLDER = ROOT / "tests" / "golden" / "savedmodel"


def unpacked(name: str, into: Path) -> Path:
    """A SavedModel of the golden folder, with its program, which is kept packed."""
    folder = into / name
    shutil.copytree(FOLDER / name, folder, copy_function=shutil.copyfile)
    packed = folder / "saved_model.pb.xz"
    (folder / "saved_model.pb").write_bytes(lzma.decompress(packed.read_bytes()))
    packed.unlink()
    return folder


def numbers(name: str) -> dict[str, Array]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def inputs(values: dict[str, Array]) -> list[Array]:
    return [values[name] for name in sorted(values) if name.startswith("x")]


def assert_equal(found: Array, expected: Array) -> None:
    """Within 1e-5 (1e-12 in float64) of the larger of 1 and the largest number."""
    tolerance = FLOAT64 if expected.dtype == np.float64 else FLOAT32
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)
