"""What kind of file it is, told from its first bytes and its content, never from its name."""

from __future__ import annotations

import json
import mmap
import stat
import struct
from pathlib import Path

from ..errors import ModelFileError
from .reading import MAX_JSON_BYTES, Problem

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURE = b"PK\x03\x04"
TORCH_STREAM = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""PyTorch's magic number as a pickle holds it, behind two bytes for the pickle's protocol."""
TABLE_SIGNATURE = struct.pack("<Q", 0xDB4775248B80FB57)
"""The last bytes of the index of a TensorFlow checkpoint."""


SPECIAL = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
"""What is neither a file nor a folder; the others are devices."""


def head_of(path: Path) -> bytes:
    """The first bytes of a file, enough for HDF5's later places; nothing for a directory.

    Raises:
        ModelFileError: if it cannot be read; a pipe or device is not even opened.
    """
    try:
        if path.is_dir():
            return b""
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = SPECIAL.get(stat.S_IFMT(mode), "device")
            raise ModelFileError(
                path, f"it is a {kind}; save the model to a file, which is read in several places"
            )
        with path.open("rb") as file:
            return file.read(4096 + len(HDF5_SIGNATURE))
    except OSError as error:
        raise ModelFileError(path, error.strerror or str(error)) from error


def is_hdf5(path: Path, head: bytes) -> bool:
    """Whether the signature stands at the start, or behind a user block of 512 · 2ⁿ bytes."""
    places = (0, 512, 1024, 2048, 4096)
    if any(head[at : at + 8] == HDF5_SIGNATURE for at in places):
        return True
    if len(head) < places[-1] + 8 or head.startswith(ZIP_SIGNATURE):
        return False
    with path.open("rb") as file:
        for at in (2**n for n in range(13, 24)):
            file.seek(at)
            if file.read(8) == HDF5_SIGNATURE:
                return True
    return False


# -- zip archives


def is_keras_archive(path: Path, head: bytes) -> bool:
    return head.startswith(ZIP_SIGNATURE) and "config.json" in _members(path)


def is_torch_archive(path: Path, head: bytes) -> bool:
    """PyTorch from 1.6 on, TorchScript of any version, and torch.export, which is refused later."""
    if not head.startswith(ZIP_SIGNATURE):
        return False
    names = _members(path)
    if any(name.rsplit("/", 1)[-1] in ("data.pkl", "archive_format") for name in names):
        return True
    first = {name.removesuffix("/model.json") for name in names if name.endswith("/model.json")}
    return any(f"{root}/version" in names for root in first)  # TorchScript before 1.3


def is_npz(path: Path, head: bytes) -> bool:
    return head.startswith(ZIP_SIGNATURE) and any(name.endswith(".npy") for name in _members(path))


def _members(path: Path) -> list[str]:
    import zipfile  # with all that it needs, slow to import, and HDF5 files do without

    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise ModelFileError(path, f"the zip archive is damaged or cut short ({error})") from error


# -- pickles and what stands beside them


def is_torch_pickle(path: Path, head: bytes) -> bool:
    """PyTorch's stream before 1.6, or a plain pickle: both begin as a pickle of protocol 2 on."""
    return head[2:14] == TORCH_STREAM or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05")


def is_torch_tar(path: Path, head: bytes) -> bool:
    """The tar archives of PyTorch before 0.1.10."""
    return head[257:262] == b"ustar" and any(
        head.startswith(name) for name in (b"storages", b"tensors", b"pickle", b"sys_info")
    )


def is_safetensors(path: Path, head: bytes) -> bool:
    if len(head) < 9 or head[8:9] != b"{":
        return False
    return int.from_bytes(head[:8], "little") <= path.stat().st_size - 8


# -- JSON


def _json_keys(path: Path, head: bytes) -> set[str]:
    """Top-level keys, if the file is a JSON object of reasonable size."""
    if not head.lstrip().startswith(b"{") or path.stat().st_size > MAX_JSON_BYTES:
        return set()
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return set()
    return set(document) if isinstance(document, dict) else set()


def is_safetensors_index(path: Path, head: bytes) -> bool:
    return "weight_map" in _json_keys(path, head) and b".safetensors" in path.read_bytes()


def is_shard_map(path: Path, head: bytes) -> bool:
    return "weight_map" in _json_keys(path, head) and not is_pickle_index(path, head)


def is_pickle_index(path: Path, head: bytes) -> bool:
    """An index of PyTorch's ``.bin`` files, each of which is a state dict of its own."""
    if "weight_map" not in _json_keys(path, head):
        return False
    text = path.read_bytes()
    return b'.bin"' in text and b'.h5"' not in text


def is_architecture(path: Path, head: bytes) -> bool:
    return {"class_name", "config"} <= _json_keys(path, head)


# -- directories, and files that stand for one


def is_keras_directory(path: Path, head: bytes) -> bool:
    if not path.is_dir() or not (path / "config.json").is_file():
        return False
    return (path / "model.weights.h5").is_file() or not weights_beside_a_config(path)


def weights_beside_a_config(folder: Path) -> str:
    """The file to open in a folder of the transformers library; ``""`` if there is none."""
    names = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
    return next((name for name in names if (folder / name).is_file()), "")


def is_saved_model(path: Path, head: bytes) -> bool:
    """A SavedModel's directory, or the ``saved_model.pb`` in it."""
    folder = path if path.is_dir() else path.parent
    return (path.is_dir() or path.name == "saved_model.pb") and (
        folder / "saved_model.pb"
    ).is_file()


def is_checkpoint(path: Path, head: bytes) -> bool:
    """A TensorFlow checkpoint's index, or a directory that holds one."""
    if path.is_dir():
        found = (*path.glob("*.index"), *path.glob("variables/*.index"))
        return any(each.is_file() for each in found)
    if not head or path.stat().st_size < 48:
        return False
    with path.open("rb") as file:
        file.seek(-len(TABLE_SIGNATURE), 2)
        return file.read() == TABLE_SIGNATURE


# -- FlatBuffers and Protocol Buffers


def is_tflite(path: Path, head: bytes) -> bool:
    return head[4:8] == b"TFL3"


def is_onnx(path: Path, head: bytes) -> bool:
    """A message that has a version of the format (1) and a graph (7), as a ModelProto does."""
    if not head or head[:1] not in b"\x08\x12\x1a\x22\x2a\x30\x3a\x42":
        return False
    from .protobuf import BYTES, VARINT, fields

    types: dict[int, set[int]] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        whole = memoryview(view)
        try:
            for number, wire_type, value in fields(whole, "the file"):
                types.setdefault(number, set()).add(wire_type)
                if isinstance(value, memoryview):
                    value.release()
        except Problem:
            pass  # a file that is cut short is still the format that its beginning shows
        finally:
            whole.release()
    known = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES}
    if any(found != {known.get(number, BYTES)} for number, found in types.items()):
        return False
    return types.get(1) == {VARINT} and (7 in types or head[:1] == b"\x08")
