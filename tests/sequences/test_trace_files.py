"""Traces that ``lstm export`` wrote, read back: whole, in blocks, and damaged."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from cli_runs import SAMPLES, Array, Cli, load_npz

from lstm_cli.errors import InputError
from lstm_cli.sequences.trace_checks import PER_STEP, WEIGHTS
from lstm_cli.sequences.trace_files import TraceFile, is_trace_file, open_trace_file
from lstm_cli.traces import STEP_TENSORS

MODEL, INPUT = SAMPLES / "bidirectional.keras", SAMPLES / "bidirectional.npy"
LONE = (SAMPLES / "three_steps.keras", SAMPLES / "three_steps.csv")
META = np.array(json.dumps({"source": "m"}))


@pytest.fixture(params=["npz", "h5"])
def exported(request: pytest.FixtureRequest, lstm: Cli, tmp_path: Path) -> Path:
    """Six sequences of three bidirectional layers, with weights and input."""
    path = tmp_path / f"trace.{request.param}"
    lstm("export", MODEL, INPUT, "--with-weights", "--with-input", "-o", path).succeeded()
    return path


@pytest.fixture(params=["npz", "h5"])
def small(request: pytest.FixtureRequest, lstm: Cli, tmp_path: Path) -> Path:
    """One cell, three steps."""
    path = tmp_path / f"small.{request.param}"
    lstm("export", *LONE, "-o", path).succeeded()
    return path


def written(path: Path) -> dict[str, Array]:
    """The arrays of a file, as NumPy and h5py read them."""
    if path.suffix == ".npz":
        return {name: array for name, array in load_npz(path).items() if name != "meta"}
    found: dict[str, Array] = {}

    def take(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset) and name != "meta":
            found[name] = node[()]

    with h5py.File(path) as file:
        file.visititems(take)
    return found


def everything(file: TraceFile) -> dict[str, Array]:
    steps = {name: array.read(0, array.shape[1]) for name, array in file.steps.items()}
    return {**steps, **file.others}


def test_the_names_are_those_of_traces() -> None:
    assert set(PER_STEP) == set(STEP_TENSORS)


def test_all_arrays_come_back(exported: Path) -> None:
    expected = written(exported)
    assert len(expected) == 6 * (6 + 4 + 3) + 3 * 3
    with open_trace_file(exported) as file:
        found = everything(file)
        assert file.batched
        assert file.meta["source"] == str(MODEL)
        assert [layer["layer"] for layer in file.meta["layers"]][::2] == ["bottom", "middle", "top"]
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype, name


def test_blocks_are_the_steps(exported: Path) -> None:
    expected = written(exported)
    with open_trace_file(exported) as file:
        for name, array in file.steps.items():
            assert array.shape == expected[name].shape
            for start, stop in ((0, 4), (3, 4), (8, 30), (10, 12)):
                block = array.read(start, stop)
                np.testing.assert_array_equal(block, expected[name][:, start:stop], err_msg=name)


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_without_sequences_there_is_one(lstm: Cli, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"trace.{form}"
    lstm("export", *LONE, "--with-weights", "--with-input", "-o", path).succeeded()
    expected = written(path)

    with open_trace_file(path) as file:
        assert not file.batched
        np.testing.assert_array_equal(file.steps["h"].read(1, 3), expected["h"][np.newaxis, 1:3])
        np.testing.assert_array_equal(file.steps["x"].read(0, 3), expected["x"][np.newaxis])
        np.testing.assert_array_equal(file.others["final_c"], expected["final_c"][np.newaxis])
        for name in WEIGHTS[:3]:
            np.testing.assert_array_equal(file.others[name], expected[name])


def test_compressed_and_fortran_arrays(tmp_path: Path) -> None:
    h = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.savez_compressed(tmp_path / "packed.npz", h=h, meta=META)
    np.savez(tmp_path / "columns.npz", h=np.asfortranarray(h), meta=META)
    np.savez(tmp_path / "swapped.npz", h=h.astype(">f8"), meta=META)
    for name in ("packed", "columns", "swapped"):
        with open_trace_file(tmp_path / f"{name}.npz") as file:
            block = file.steps["h"].read(1, 4)
            np.testing.assert_array_equal(block, h[:, 1:4])
            assert block.dtype == np.float64


@pytest.mark.parametrize("packed", [("h",), ("c",), ("h", "c")], ids=str)
def test_packed_hdf5_arrays(tmp_path: Path, packed: tuple[str, ...]) -> None:
    h = np.random.default_rng(0).normal(size=(2, 50, 3))
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        for name in ("h", "c"):
            packing = "gzip" if name in packed else None
            file.create_dataset(name, data=h, chunks=(1, 7, 3), compression=packing)
        file["meta"] = "{}"
    with open_trace_file(tmp_path / "packed.h5") as opened:
        for name in ("h", "c"):
            for start, stop in ((0, 50), (5, 30), (49, 50)):
                block = opened.steps[name].read(start, stop)
                np.testing.assert_array_equal(block, h[:, start:stop])


# -- what is a trace


@pytest.mark.parametrize(
    "path", [MODEL, SAMPLES / "three_steps.h5", INPUT, SAMPLES / "three_steps.csv", SAMPLES]
)
def test_models_and_inputs_are_no_traces(path: Path) -> None:
    assert not is_trace_file(path)


def test_content_decides_what_is_a_trace(exported: Path, tmp_path: Path) -> None:
    renamed = exported.rename(tmp_path / "anything.bin")
    assert is_trace_file(renamed)
    assert not is_trace_file(tmp_path / "nothing.h5")
    np.savez(tmp_path / "input.npz", heard=np.zeros(3))
    assert not is_trace_file(tmp_path / "input.npz")
    np.savez(tmp_path / "state.npz", h=np.zeros((2, 3)), c=np.zeros((2, 3)))
    assert not is_trace_file(tmp_path / "state.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    assert not is_trace_file(tmp_path / "bad.npz")
    assert not is_trace_file(tmp_path / "bad.h5")


# -- what cannot be read


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        open_trace_file(path)
    return str(error.value).replace(str(path), "FILE")


def test_files_that_are_no_traces_are_refused(tmp_path: Path, lstm: Cli) -> None:
    missing, text = tmp_path / "no.h5", tmp_path / "t.csv"
    text.write_text("1,2\n")
    weights = tmp_path / "weights.npz"
    lstm("weights", MODEL, "-o", weights).succeeded()

    assert not is_trace_file(weights)
    assert refusal(missing) == "FILE: there is no such file"
    assert refusal(text) == "FILE: expected a trace that lstm export wrote, .npz or .h5"
    assert refusal(weights) == (
        "FILE: holds no h, c or gates of an LSTM; lstm export writes a trace that does"
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"h": np.zeros((2, 3))}, "FILE: no 'meta' in it, which lstm export writes"),
        (
            {"h": np.zeros((2, 3)), "meta": np.array("[1]")},
            "FILE: 'meta' is not what lstm export writes; export it again",
        ),
        (
            {"h": np.zeros((2, 3)), "c": np.zeros((1, 2, 3)), "meta": META},
            "FILE: expected h, c and gates of shape (T, U), or all (B, T, U)",
        ),
        (
            {"h": np.zeros(3), "meta": META},
            "FILE: expected h, c and gates of shape (T, U), or all (B, T, U)",
        ),
    ],
)
def test_arrays_that_are_no_trace(tmp_path: Path, arrays: dict[str, Array], message: str) -> None:
    np.savez(tmp_path / "t.npz", **arrays)  # type: ignore[arg-type]
    assert refusal(tmp_path / "t.npz") == message


def test_links_and_virtual_arrays_are_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["h"] = np.zeros((2, 3))
    for name in ("soft", "external", "virtual"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["meta"] = str(META)
            if name == "soft":
                file["h"] = h5py.SoftLink("/c")
            elif name == "external":
                file["h"] = h5py.ExternalLink(str(other), "h")
            else:
                layout = h5py.VirtualLayout((2, 3), float)
                layout[:] = h5py.VirtualSource(other, "h", (2, 3))
                file.create_virtual_dataset("h", layout)

    link = "FILE: 'h' is a link to another place, not followed"
    assert refusal(tmp_path / "soft.h5") == link
    assert refusal(tmp_path / "external.h5") == link
    assert refusal(tmp_path / "virtual.h5") == (
        "FILE, 'h' keeps its numbers in another file, not followed"
    )


def test_any_cut_of_a_trace_is_one_sentence_or_the_same_numbers(small: Path) -> None:
    whole = small.read_bytes()
    expected = written(small)
    messages = []
    for size in range(0, len(whole), len(whole) // 40):
        small.write_bytes(whole[:size])
        try:
            with open_trace_file(small) as file:
                found = everything(file)
        except InputError as error:
            messages.append(str(error))
            continue
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name])
    assert len(messages) > 30
    assert not any("\n" in message for message in messages)


def test_changed_bytes_never_crash(small: Path) -> None:
    whole = bytearray(small.read_bytes())
    numbers = np.random.default_rng(1)
    places = [*range(0, 200, 9), *numbers.integers(0, len(whole), 60)]
    read = 0
    for place in places:
        changed = whole.copy()
        changed[place] ^= 0xFF
        small.write_bytes(changed)
        try:
            with open_trace_file(small) as file:
                everything(file)
            read += 1
        except InputError:
            pass
    assert 0 < read < len(places)


def test_a_heap_that_lies_is_refused(lstm: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.h5"
    lstm("export", *LONE, "-o", path).succeeded()
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL")
    data[heap + 8 : heap + 16] = (1 << 60).to_bytes(8, "little")
    path.write_bytes(data)
    assert refusal(path) == "FILE: no text 'meta' in it, which lstm export writes"


def test_an_archive_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 4)}
    )
    meta = io.BytesIO()
    np.save(meta, META)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("h.npy", header.getvalue() + bytes(64))
        archive.writestr("meta.npy", meta.getvalue())
    assert refusal(path) == "FILE, array 'h': its header does not fit its size; it is damaged"
