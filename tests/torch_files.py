"""PyTorch and safetensors files for tests: the golden ones, changed ones, and some made by hand."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

GOLDEN = Path(__file__).parent / "golden" / "torch"
MADE = GOLDEN / "made"
OLDER = GOLDEN / "older"
SAME = GOLDEN / "same_weights"


def numbers(path: Path) -> dict[str, Array]:
    """The arrays that stand beside a golden file."""
    with np.load(path.parent / f"{path.name.rsplit('.', 1)[0]}.npz") as arrays:
        return dict(arrays)


# -- pickles, opcode by opcode


def pickled(*parts: bytes) -> bytes:
    """A pickle of protocol 2 that consists of these parts."""
    return b"\x80\x02" + b"".join(parts) + b"."


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def whole(value: int) -> bytes:
    content = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def several(*parts: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def called(function: bytes, *arguments: bytes) -> bytes:
    return function + several(*arguments) + b"R"


def mapping(pairs: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in pairs.items()) + b"u"


def storage(key: str, length: int, kind: str = "FloatStorage", module: str = "torch") -> bytes:
    parts = text("storage"), name(module, kind), text(key), text("cpu"), whole(length)
    return several(*parts) + b"Q"


def tensor(
    stored: bytes,
    shape: Sequence[int],
    strides: Sequence[int] | None = None,
    offset: int = 0,
) -> bytes:
    if strides is None:
        strides = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    sizes = several(*map(whole, shape)), several(*map(whole, strides))
    hooks = called(name("collections", "OrderedDict"))
    function = name("torch._utils", "_rebuild_tensor_v2")
    return called(function, stored, whole(offset), *sizes, b"\x89", hooks)


# -- archives


def archive(
    path: Path,
    pickle: bytes,
    storages: Mapping[str, bytes],
    packed: bool = False,
    byteorder: str = "little",
) -> Path:
    """A zip archive as torch.save writes it."""
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("archive/data.pkl", pickle)
        for key, content in storages.items():
            file.writestr(f"archive/data/{key}", content)
        file.writestr("archive/byteorder", byteorder)
    return path


def state_dict(path: Path, arrays: Mapping[str, Array], byteorder: str = "little") -> Path:
    """An archive with a state dict of float32 or float64 arrays, a storage for each."""
    entries, storages = {}, {}
    for k, (key, array) in enumerate(arrays.items()):
        kind = "DoubleStorage" if array.dtype.itemsize == 8 else "FloatStorage"
        entries[key] = tensor(storage(str(k), array.size, kind), array.shape)
        storages[str(k)] = array.tobytes()
    return archive(path, pickled(mapping(entries)), storages, byteorder=byteorder)


def edited(source: Path, target: Path, edits: Mapping[str, Any], packed: bool = False) -> Path:
    """A copy of an archive: ``edits`` gives for endings of members a function of their bytes."""
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for member in old.namelist():
            content = old.read(member)
            for ending, edit in edits.items():
                content = edit(content) if member.endswith(ending) else content
            new.writestr(member, content)
    return target


def safetensors(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file with this header, whatever it says."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(content) if length is None else length
    path.write_bytes(struct.pack("<Q", size) + content + data)
    return path


def lstm_arrays(
    features: int = 3, units: int = 2, levels: int = 1, both: bool = False, seed: int = 0
) -> dict[str, Array]:
    """Arrays of an nn.LSTM, by PyTorch's names."""
    random = np.random.default_rng(seed)
    arrays = {}
    for level in range(levels):
        width = features if level == 0 else units * (1 + both)
        for suffix in (f"_l{level}", f"_l{level}_reverse")[: 1 + both]:
            arrays[f"weight_ih{suffix}"] = random.standard_normal((4 * units, width))
            arrays[f"weight_hh{suffix}"] = random.standard_normal((4 * units, units))
            arrays[f"bias_ih{suffix}"] = random.standard_normal(4 * units)
            arrays[f"bias_hh{suffix}"] = random.standard_normal(4 * units)
    return {key: array.astype(np.float32) for key, array in arrays.items()}
