"""Files that are no model, and JSON from strangers: one sentence, whatever is in them."""

from __future__ import annotations

import json
import os
import socket
import zipfile
from pathlib import Path
from threading import Thread
from typing import Any

import h5py
import numpy as np
import pytest
from golden_files import COMMITTED, Array
from keras_files import layer, lstm, random_lstm, sequential, write_archive, write_hdf5

import lstm_cli

SAMPLES = Path(__file__).parents[2] / "sample_models"
ARRAYS = random_lstm(1, 3, 4)
MODEL = sequential(lstm("lstm", 4))
TREE = {"layers/lstm/cell": ARRAYS}


def refused(
    path: Path, message: str, error: type[lstm_cli.LstmCliError] = lstm_cli.ModelFileError
) -> None:
    with pytest.raises(error, match=message) as raised:
        lstm_cli.load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


# -- what is no model


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"step,temperature\n0,21.5\n", "plain text"),
        (b"\x93NUMPY\x01\x00", "begins with"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "begins with"),
        (bytes(5000), "begins with"),
        (b"[1, 2, 3]", "plain text"),
        (b"{" * 100_000, "plain text"),
        (b'{"class_name": "Sequential"', "plain text"),
    ],
)
def test_content_that_no_reader_knows(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    refused(path, message, lstm_cli.UnknownFormatError)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    refused(tmp_path / "missing.h5", "No such file")
    refused(tmp_path, r"no config\.json", lstm_cli.UnknownFormatError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    os.mkfifo(path)
    writer = Thread(target=lambda: path.open("wb").close(), daemon=True)  # ends a wait at once
    writer.start()
    refused(path, r": it is a pipe; save the model to a file, which is read in several places$")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # what the writer waited for
    writer.join(10)
    os.close(reader)
    assert not writer.is_alive()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such devices")
def test_devices_and_sockets_are_no_models(tmp_path: Path) -> None:
    refused(Path("/dev/null"), r": it is a device; save the model to a file")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "s"))
        refused(tmp_path / "s", r": it is a socket; save the model to a file")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="there are no files of descriptors")
def test_a_file_by_its_descriptor() -> None:
    """As ``lstm inspect /dev/stdin < model.h5`` has it; ``<(…)`` gives a pipe."""
    with (SAMPLES / "three_steps.h5").open("rb") as file:
        assert len(lstm_cli.load(f"/dev/fd/{file.fileno()}").lstm_layers) == 1
    read, write = os.pipe()
    refused(Path(f"/dev/fd/{read}"), ": it is a pipe; save the model to a file")
    os.close(read)
    os.close(write)


def test_zip_of_other_things(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, r"a zip archive of none of these", lstm_cli.UnknownFormatError)


def test_an_architecture_alone_says_how_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(MODEL))
    refused(path, r"--architecture model\.json")


@pytest.mark.parametrize("length", [1, 7, 8, 100, 2000, -1, -100])
@pytest.mark.parametrize(
    "name", ["keras2/k2.2.4_tensorflow_rnn_cells.h5", "keras3/k3.6.0_tensorflow_seq_names.keras"]
)
def test_files_cut_short(tmp_path: Path, name: str, length: int) -> None:
    path = tmp_path / "cut"
    path.write_bytes((COMMITTED / name).read_bytes()[:length])
    refused(path, "cut short|no reader knows")


# -- JSON


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON .it is nested too deeply"),
        ('{"a":' * 100_000, "not valid JSON .it is nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("NaN", "found nan"),
        ("1" * 5000, "not valid JSON"),
        ("null", "found None"),
        ('"\\ud800"', "should be a JSON object"),
        ("\xff\xfe", "not valid JSON"),
        ('{"class_name": "LSTM", "class_name": 3}', "should be a text, found 3"),
    ],
    ids=[
        "nothing",
        "half",
        "lists without end",
        "objects without end",
        "deep, but closed",
        "NaN",
        "a number of 5000 digits",
        "null",
        "half a character",
        "not UTF-8",
        "a key twice",
    ],
)
@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_damaged_json(tmp_path: Path, text: str, message: str, kind: str) -> None:
    path = tmp_path / f"model.{kind}"
    if kind == "keras":
        write_archive(path, MODEL, TREE)
        replace_member(path, "config.json", text.encode("latin-1"))
    else:
        write_hdf5(path, MODEL, {"lstm": dict(zip("abc", ARRAYS, strict=True))})
        replace_config(path, text.encode("latin-1"))
    refused(path, message)


def replace_config(path: Path, text: bytes) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
        file.attrs.create("model_config", text, dtype=h5py.string_dtype())


def replace_member(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    members[name] = content
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in members.items():
            archive.writestr(entry, data)


def test_json_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    """70 MB of blanks in a small zip archive."""
    path = write_archive(tmp_path / "m.keras", MODEL, TREE)
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    members["config.json"] = b" " * (70 * 2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for entry, data in members.items():
            archive.writestr(entry, data)
    assert path.stat().st_size < 2**19
    refused(path, r"config\.json is 73,400,320 bytes long")


# -- archives


def test_archive_that_claims_more_than_it_can_hold(tmp_path: Path) -> None:
    """A member of 4 kB that says it is 4 GB: refused before memory is taken for it."""
    path = write_archive(tmp_path / "m.keras", MODEL, TREE)
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\x01\x02")  # of the last member, the weights
    content[central + 24 : central + 28] = (0xF0000000).to_bytes(4, "little")
    path.write_bytes(content)
    refused(path, "claims 4,026,531,840 bytes")


def test_zip_bomb(tmp_path: Path) -> None:
    """300 MB of zeros in 1.5 MB: further packed than any weights are."""
    path = tmp_path / "bomb.keras"
    write_archive(path, MODEL, TREE)
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("config.json", members["config.json"])
        with archive.open("model.weights.h5", "w", force_zip64=True) as stream:
            stream.write(members["model.weights.h5"])
            for _ in range(75):
                stream.write(bytes(2**22))
    assert path.stat().st_size < 2**21
    refused(path, "member model.weights.h5 claims 31.,...,... bytes")


def test_members_outside_are_never_unpacked(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "m.keras", MODEL, TREE)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../outside.txt", "x")
        archive.writestr("/tmp/outside.txt", "x")
    assert lstm_cli.load(path).lstm_layers
    assert not (tmp_path.parent / "outside.txt").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_twice(tmp_path: Path) -> None:
    """The last one counts, as for every zip reader that goes by the directory at the end."""
    path = write_archive(tmp_path / "m.keras", {"class_name": "Sequential", "config": []}, TREE)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", json.dumps(MODEL))
    np.testing.assert_array_equal(lstm_cli.weights(lstm_cli.load(path))["kernel"], ARRAYS[0])


def test_archive_with_a_password(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "m.keras", MODEL, TREE)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(signature)
        while start >= 0:
            content[start + offset] |= 1
            start = content.find(signature, start + 1)
    path.write_bytes(content)
    refused(path, "the zip archive is damaged or cut short .*password")


# -- values of another type


@pytest.mark.parametrize(
    ("class_name", "config", "message"),
    [
        ("Dense", {"units": 2.5}, "'units' of layer 'x'.*whole number, found 2.5"),
        ("Dense", {"units": True}, "whole number, found True"),
        ("Dense", {"units": 10**30}, "says 1000000000000000000000000000000 units"),
        ("Dense", {"units": 2, "activation": 3}, "an activation should be a name, found 3"),
        ("Masking", {"mask_value": "0"}, "'mask_value' of layer 'x'.*a number, found '0'"),
        ("Reshape", {"target_shape": ["a"]}, "'target_shape'"),
        ("Permute", {"dims": [0]}, "the axes 1, 2"),
        ("Permute", {"dims": [1, 1]}, "the axes 1, 2"),
        ("Conv1D", {"kernel_size": [0]}, "kernel_size"),
        ("MaxPooling1D", {"padding": "round"}, "valid, same or causal"),
        ("LeakyReLU", {"alpha": {"class_name": "x"}}, "a number"),
        ("RepeatVector", {"n": None}, "'n' of layer 'x'.*found None"),
        ("Flatten", {"data_format": "middle"}, "channels_last or channels_first"),
        ("Concatenate", {"axis": "last"}, "'axis' of layer 'x'"),
        ("ZeroPadding1D", {"padding": [1, -1]}, "whole numbers from 0"),
        ("BatchNormalization", {"axis": [1, 2]}, "one axis"),
    ],
)
def test_settings_of_another_type(
    tmp_path: Path, class_name: str, config: dict[str, Any], message: str
) -> None:
    """The message names the layer, the key, what was expected, and what was found."""
    document = sequential(lstm("lstm", 4), layer(class_name, "x", **config))
    held: dict[str, list[Array]] = {
        "Dense": [np.ones((4, 2), "f4"), np.ones(2, "f4")],
        "Conv1D": [np.ones((3, 4, 2), "f4"), np.ones(2, "f4")],
        "BatchNormalization": [np.ones(4, "f4")] * 4,
    }
    groups = {
        "lstm": dict(zip("abc", ARRAYS, strict=True)),
        "x": {str(k): array for k, array in enumerate(held.get(class_name, []))},
    }
    refused(write_hdf5(tmp_path / "m.h5", document, groups), message)
