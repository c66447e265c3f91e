"""NPZ archives: arrays by name, and no belief in sizes that the bytes contradict."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_cli.errors import InputError, UsageError
from lstm_cli.sequences import open_blocks, read_array, read_arrays, read_input

H = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.npz"


def zipped(path: Path, members: dict[str, bytes], **options: Any) -> None:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def message_for(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_input(path)
    return str(error.value).removeprefix(str(path))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_inputs_by_name(save: Any, path: Path) -> None:
    save(path, left=H, right=np.array([[1, 2]]), mask=np.array([True, False]))

    found = read_input(path)

    assert (found.kind, list(found.arrays)) == ("npz", ["left", "right", "mask"])
    np.testing.assert_array_equal(found.arrays["left"], H.astype(np.float32), strict=True)
    np.testing.assert_array_equal(
        found.arrays["right"], np.array([[1, 2]], np.float32), strict=True
    )
    np.testing.assert_array_equal(found.arrays["mask"], np.array([1, 0], np.float32), strict=True)
    kept = read_input(path, dtype=None).arrays["right"]
    np.testing.assert_array_equal(kept, np.array([[1, 2]]), strict=True)


def test_one_array_needs_no_name(path: Path) -> None:
    np.savez(path, x=H)
    np.testing.assert_array_equal(read_input(path).array, H)
    np.testing.assert_array_equal(read_array(path), H, strict=True)


def test_several_arrays_where_one_is_needed(path: Path) -> None:
    np.savez(path, x=H, y=H)
    with pytest.raises(InputError) as error:
        read_array(path)
    assert str(error.value) == f"{path}: expected one array, found 2: x, y"


def test_state_files_keep_types_and_text(path: Path) -> None:
    arrays: dict[str, Any] = {"forward/h": H, "n": np.array(3, ">i4")}
    np.savez(path, **arrays, meta=np.array('{"a": "ö"}'))

    arrays = read_arrays(path)

    assert list(arrays) == ["forward/h", "n", "meta"]
    np.testing.assert_array_equal(arrays["forward/h"], H, strict=True)
    np.testing.assert_array_equal(arrays["n"], np.array(3, "i4"), strict=True)
    assert arrays["meta"].item() == '{"a": "ö"}'
    assert read_arrays(path, np.float32)["forward/h"].dtype == np.float32


def test_state_files_are_archives(tmp_path: Path) -> None:
    np.save(tmp_path / "h.npy", H)
    with pytest.raises(InputError, match=r"expected an \.npz archive of named arrays, found npy"):
        read_arrays(tmp_path / "h.npy")


def test_text_is_no_input(path: Path) -> None:
    np.savez(path, x=H, meta=np.array("{}"))
    assert message_for(path) == ", array 'meta': the array holds text; expected real numbers"


def test_empty_array(path: Path) -> None:
    np.savez(path, x=H, y=np.zeros((0, 2)))
    assert message_for(path).startswith(", array 'y': the array has shape (0, 2)")


def test_empty_archive(path: Path) -> None:
    zipped(path, {})
    assert message_for(path) == ": the archive holds no arrays"


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["config.json", "metadata.json", "model.weights.h5"], "a Keras model (.keras)"),
        (["archive/data.pkl", "archive/data/0"], "a PyTorch file"),
        (["[Content_Types].xml"], "an Office document; save the sheet as CSV"),
        (["a.txt", "x.npy"], "an archive that holds a.txt"),
    ],
)
def test_other_archives(names: list[str], what: str, path: Path) -> None:
    zipped(path, dict.fromkeys(names, b"{}"))
    assert message_for(path) == f": this is {what}; expected text (.csv, .tsv), .npy or .npz"


def test_one_name_twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(H))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", npy(H))
    assert message_for(path) == ": the archive holds the array 'x' twice"


def test_a_bomb_is_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_cli.sequences.npz.MOST_UNPACKED", 1 << 30)
    members = {f"x{k}.npy": bytes(1 << 20) for k in range(2)}
    zipped(path, members, compression=zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    # The directory may claim any size: 0x7fffffff bytes each.
    claimed = content.replace((1 << 20).to_bytes(4, "little"), b"\xff\xff\xff\x7f")
    assert claimed != content
    path.write_bytes(claimed)

    assert message_for(path) == (
        ": the arrays unpack to 4.0 GiB, and at most 1 GiB are unpacked; "
        "save them with numpy.savez, uncompressed"
    )


def test_a_header_that_claims_more_than_the_member_holds(path: Path) -> None:
    header = npy(np.zeros((10, 10))).replace(b"(10, 10), } ", b"(900000,), }")
    zipped(path, {"x.npy": header}, compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        message = message_for(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message == (
        ", array 'x': an array of shape (900000,) and type float64 makes 7200128 bytes, and the "
        "archive declares 928; it is damaged, write it again"
    )
    assert peak < 4 << 20  # the claim is 7 MB


def test_a_member_that_unpacks_to_less_than_it_declares(path: Path) -> None:
    """Header and directory agree on a megabyte that is not there."""
    content = npy(np.zeros(4)).replace(b"(4,), }     ", b"(130000,), }")
    short = content[:128]
    zipped(path, {"x.npy": short}, compression=zipfile.ZIP_DEFLATED)
    declared = 128 + 8 * 130000
    data = path.read_bytes().replace(
        len(short).to_bytes(4, "little"), declared.to_bytes(4, "little")
    )
    path.write_bytes(data)
    tracemalloc.start()
    try:
        message = message_for(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message.startswith(", array 'x': ")
    assert peak < 4 << 20


def test_damaged_values_are_noticed(path: Path) -> None:
    np.savez(path, x=H)
    content = bytearray(path.read_bytes())
    place = content.index(H.tobytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    assert message_for(path) == (
        ", array 'x': the archive is damaged (Bad CRC-32 for file 'x.npy'); write it again"
    )


def test_truncated_archive(path: Path) -> None:
    np.savez(path, x=H)
    path.write_bytes(path.read_bytes()[:-30])
    assert message_for(path) == ": the archive is damaged (File is not a zip file); write it again"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression(method: int, path: Path) -> None:
    zipped(path, {"x.npy": npy(H)}, compression=method)
    assert message_for(path) == (
        ": array 'x' is compressed in a way that NumPy does not use; save it with numpy.savez"
    )


def test_encrypted_member(path: Path) -> None:
    zipped(path, {"x.npy": npy(H)})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert message_for(path) == ": array 'x' is encrypted; save it without a password"


def test_what_an_archive_cannot_do(path: Path) -> None:
    np.savez(path, x=H)
    with pytest.raises(InputError, match=r"\.npz archive cannot be read from a stream"):
        read_input(io.BytesIO(path.read_bytes()))
    with pytest.raises(InputError, match=r"\.npz archive cannot be read in blocks"):
        open_blocks(path)
    with pytest.raises(UsageError, match=r"--columns works on one array, this is \.npz"):
        read_input(path, columns=[0])
